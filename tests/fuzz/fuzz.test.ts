import fc from 'fast-check';
import t from 'tap';
import { checkDecode } from './decode-check.ts';
import { runFuzz } from './fuzz-run.ts';
import { lookalikeOf, readingsOf } from './json-readings.ts';
import { Random } from './random.ts';
import { readStream } from './sse-reference.ts';

t.test(
  'no made or mutated message makes the upstream execute what was not judged and recorded, and no stream is read otherwise than the standard reads it [fuzz-one-meaning] [J-01] [E-01]',
  async (t) => {
    // `npm run fuzz` does the same with hundreds of thousands; here another seed each day finds what one seed does not.
    const seed = Math.floor(Date.now() / 86_400_000);
    t.comment(`seed ${seed}`);
    const counts = await runFuzz({
      seed,
      frames: 3000,
      streams: 3000,
      streamsThroughDoor: 300,
      say: (line) => t.comment(line),
    });
    t.ok(counts.accepted > counts.frames / 3, `${counts.accepted} of ${counts.frames} messages were accepted`);
    t.ok(counts.executed > counts.frames / 6, `${counts.executed} were executed`);
    t.ok(counts.events > 1000 && counts.delivered > 200 && counts.answered > 50, JSON.stringify(counts));
  },
);

t.test('what the fuzzer compares with is right itself', async (t) => {
  const repeats = (text: string): boolean => readingsOf(text).repeats;
  t.ok(repeats('{"a":1,"a":2}') && repeats('[{"x":{"\\u0061":1 , "a":{}}}]'));
  t.notOk(repeats('{"a":{"a":[{"a":1},{"a":2}]},"b":"{\\"a\\":1,\\"a\\":2}"}'));
  t.equal(lookalikeOf(readingsOf('{"method":"x","Method":"y"}')), 'Method');
  t.equal(lookalikeOf(readingsOf('{"params":{"argument\\u017f":{}}}')), 'argument\u017f');
  t.equal(lookalikeOf(readingsOf('{"params":{"arguments":{"Name":1,"METHOD":2}}}')), undefined);
  fc.assert(fc.property(fc.json(), (text) => void readingsOf(text)));
  const plain = (text: string) => ({ bytes: Buffer.from(text), plain: true, headers: {} });
  t.ok(checkDecode(plain('{"jsonrpc":"2.0","id":1,"method":"ping"}'), 'client'));
  t.throws(() => checkDecode(plain('{"jsonrpc":"2.0","id":1}'), 'client'), /a plain message was refused/);
  const read = (text: string) => readStream(Buffer.from(text), 100);
  t.same(read('\ufeffdata: a\rdata:b\r\n\r\n: c\n\nid: 1\0\nretry: 1x\ndata\n\ndata: cut'), {
    blocks: [{ bytes: 21, data: 'a\nb' }, { bytes: 5 }, { bytes: 23, data: '' }],
    fault: false,
  });
  t.equal(readStream(Buffer.from([0x64, 0x3a, 0xff, 10, 10]), 100).fault, true);
  const [one, two] = [new Random(3, 4), new Random(3, 4)];
  t.same(
    Array.from({ length: 50 }, () => one.int(1000)),
    Array.from({ length: 50 }, () => two.int(1000)),
    'a seed repeats itself',
  );
});
