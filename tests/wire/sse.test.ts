import assert from 'node:assert/strict';
import t from 'tap';
import fc from 'fast-check';
import { GatewayError } from '../../proxy/errors.ts';
import { decodeFrame, FRAME_LIMITS, notificationFrame } from '../../proxy/wire/frame.ts';
import { COMMENT, SseReader, encodeEvent } from '../../proxy/wire/sse.ts';
import type { SseEvent } from '../../proxy/wire/sse.ts';

interface Plain {
  event?: string;
  id?: string;
  retry?: string;
  data?: string;
}

/** The grammar and processing rules of the HTML standard (9.2.5, 9.2.6), one line at a time, kept apart from the reader's own logic. */
function reference(stream: string): Plain[] {
  const input = stream.startsWith('\ufeff') ? stream.slice(1) : stream;
  const lines: string[] = [];
  let line = '';
  for (let i = 0; i < input.length; i += 1) {
    const unit = input[i]!;
    if (unit === '\r' || unit === '\n') {
      lines.push(line);
      line = '';
      if (unit === '\r' && input[i + 1] === '\n') i += 1;
    } else {
      line += unit;
    }
  }
  const blocks: Plain[] = [];
  let block: Plain = {};
  let data: string | undefined;
  for (const each of lines) {
    if (each === '') {
      if (data !== undefined) block.data = data.slice(0, -1);
      blocks.push(block);
      block = {};
      data = undefined;
      continue;
    }
    if (each.startsWith(':')) continue;
    const colon = each.indexOf(':');
    const field = colon === -1 ? each : each.slice(0, colon);
    let value = colon === -1 ? '' : each.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    switch (field) {
      case 'event':
        block.event = value;
        break;
      case 'data':
        data = `${data ?? ''}${value}\n`;
        break;
      case 'id':
        if (!value.includes('\0')) block.id = value;
        break;
      case 'retry':
        if (/^\d+$/.test(value)) block.retry = value;
        break;
    }
  }
  return blocks;
}

const read = (chunks: readonly Uint8Array[], eventSize = 1e6): SseEvent[] => {
  const reader = new SseReader({ eventSize });
  return chunks.flatMap((chunk) => reader.push(chunk));
};
const fields = (event: SseEvent): Plain => {
  const { event: type, id, retry, data } = event;
  return Object.fromEntries(
    Object.entries({ event: type, id, retry, data }).filter(([, value]) => value !== undefined),
  );
};

/** Cuts the bytes at the given places; a place twice makes an empty chunk. */
const cut = (bytes: Buffer, at: readonly number[]): Buffer[] => {
  const places = [0, ...at.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end));
};

const lineEnd = fc.constantFrom('\n', '\r\n', '\r');
const word = fc.oneof(
  fc.constantFrom('', ' ', '  x', '{"a":1}', 'é漢😀', '\ufeff', '\0', '42', '4 2', ':', 'data', '\u2028', '\u0085'),
  fc.string({ unit: 'grapheme', maxLength: 8 }).map((text) => text.replace(/[\r\n]/g, '')),
);
const line = fc.oneof(
  fc
    .tuple(
      fc.constantFrom('data', 'event', 'id', 'retry', 'Data', 'data ', '\ufeffdata', 'x', ''),
      fc.constantFrom(':', ': ', ''),
      word,
    )
    .map((parts) => parts.join('')),
  fc.constantFrom('', '', ':', ': keep-alive', 'data', 'data:', 'id', 'id:'),
);
const stream = fc
  .tuple(
    fc.constantFrom('', '\ufeff', '\ufeff\ufeff'),
    fc.array(fc.tuple(line, lineEnd), { maxLength: 16 }),
    fc.constantFrom('', 'data: cut', 'd'),
  )
  .map(([mark, lines, tail]) => mark + lines.flat().join('') + tail);

t.test(
  'however a stream is cut into chunks, its events and bytes are the same [E-01] [E-03] [sse-chunking-invisible]',
  async (t) => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(), { maxLength: 20 }), (text, places) => {
        const bytes = Buffer.from(text);
        const events = read(cut(bytes, places));
        assert.deepEqual(events.map(fields), reference(text));
        const raws = Buffer.concat(events.map(({ raw }) => raw));
        assert(bytes.subarray(0, raws.length).equals(raws), 'the bytes of the events are the bytes of the stream');
        const whole = Buffer.concat(read([bytes]).map(({ raw }) => raw));
        // Cut between the CR and the LF of a last blank line, that LF is an unterminated tail of its own.
        const isSame = whole.equals(raws) || (whole.length === raws.length + 1 && whole.at(-1) === 0x0a);
        assert(isSame, 'whichever the chunks');
      }),
      { numRuns: 400 },
    );
    const bytes = Buffer.from(
      '\ufeffevent: m\r\nid: é😀\r\ndata: {"a":\r\ndata: 1}\r\n\r\n:x\n\ndata: b\r\rdata: c\n\n',
    );
    const expected = reference(bytes.toString());
    t.equal(expected.length, 4);
    t.same(read([...bytes].map((byte) => Buffer.from([byte]))).map(fields), expected, 'byte by byte');
    for (let at = 0; at <= bytes.length; at += 1) t.same(read(cut(bytes, [at])).map(fields), expected, `cut at ${at}`);
  },
);

t.test('the fields of an event are those of the grammar', async (t) => {
  const one = (text: string): SseEvent => {
    const events = read([Buffer.from(text)]);
    t.equal(events.length, 1);
    t.equal(events[0]!.raw.toString(), text);
    return events[0]!;
  };
  t.same(
    fields(one('id: 1\nretry: 3000\ndata:\n\n')),
    { id: '1', retry: '3000', data: '' },
    'a priming event has empty data [S-09]',
  );
  t.same(fields(one(': hello\n\n')), {}, 'a comment is relayed and carries no message [E-04]');
  t.same(fields(one('\n')), {}, 'so is a blank line');
  t.same(fields(one('data: a\ndata:b\ndata\n\n')), { data: 'a\nb\n' });
  t.same(fields(one('data:  a \n\n')), { data: ' a ' }, 'one space is dropped');
  t.same(
    fields(one('id: a\0b\nretry: 1s\nretry: -1\nfoo: bar\nDATA: x\n\n')),
    {},
    'what the grammar ignores is ignored',
  );
  t.same(fields(one('id: 1\nid\n\n')), { id: '' }, 'a field without a colon is empty');
  t.same(
    read([Buffer.from('data: a\n\ndata: never finished\n')]).map(fields),
    [{ data: 'a' }],
    'an unterminated event is not delivered',
  );
  t.same(
    read([Buffer.from('data: a\r\r')]).map(fields),
    [{ data: 'a' }],
    'a lone CR ends an event at once, without waiting for an LF',
  );
});

t.test('an event over the cap ends the stream, in one chunk or in many [E-02] [sse-event-capped]', async (t) => {
  const bytes = Buffer.from(`data: ${'x'.repeat(93)}\n\n`);
  t.equal(bytes.length, 101);
  for (const chunks of [
    [bytes],
    cut(bytes, [50]),
    [...bytes].map((byte) => Buffer.from([byte])),
    [Buffer.from(':\n\n'), bytes],
  ]) {
    const reader = new SseReader({ eventSize: 100 });
    const push = () => chunks.flatMap((chunk) => reader.push(chunk));
    t.throws(push, { code: 'upstream_invalid' });
    t.throws(() => reader.push(COMMENT), GatewayError, 'and nothing more is read');
    t.equal(read(chunks, 101).at(-1)?.data?.length, 93, 'at the cap it passes');
  }
  const endless = new SseReader({ eventSize: 1000 });
  t.throws(
    () => {
      for (let i = 0; i < 1001; i += 1) endless.push(Buffer.from('x'));
    },
    { code: 'upstream_invalid' },
    'without any line end too',
  );
  t.equal(
    read(
      Array.from({ length: 5000 }, () => Buffer.from('data: x\n\n')),
      100,
    ).length,
    5000,
    'the cap is for one event, not for the stream',
  );
});

t.test('an event that is not UTF-8 ends the stream [J-07]', async (t) => {
  const bad = Buffer.concat([Buffer.from('data: "'), Buffer.from([0xc3, 0x28]), Buffer.from('"\n\n')]);
  for (const chunks of [[bad], cut(bad, [8])]) t.throws(() => read(chunks), { code: 'upstream_invalid' });
});

t.test('a million bytes in single-byte chunks are read in linear time and space', async (t) => {
  const reader = new SseReader({ eventSize: 2_000_000 });
  const byte = Buffer.from('x');
  reader.push(Buffer.from('data: '));
  for (let i = 0; i < 1_000_000; i += 1) if (reader.push(byte).length > 0) t.fail('no event is complete yet');
  t.equal(reader.push(Buffer.from('\n\n'))[0]?.data?.length, 1_000_000);
});

t.test('a message is encoded as one event that reads back as itself [E-03]', async (t) => {
  const frame = notificationFrame('notifications/message', { level: 'info', data: 'line\r\nbreak\u2028 😀' });
  t.equal(encodeEvent(frame, {}).toString(), `data: ${frame.text}\n\n`);
  const bytes = encodeEvent(frame, { event: 'message', id: 'a:1', retry: '10' });
  t.equal(bytes.toString(), `event: message\nid: a:1\nretry: 10\ndata: ${frame.text}\n\n`);
  t.same(read([bytes]).map(fields), [{ event: 'message', id: 'a:1', retry: '10', data: frame.text }]);

  const pretty = decodeFrame(
    Buffer.from('{\r\n  "jsonrpc": "2.0",\n  "method": "notifications/x",\r"params": {"n": 1.0}}'),
    FRAME_LIMITS,
  );
  const [event] = read([encodeEvent(pretty, {})]);
  t.notMatch(event!.data, /[\r\n]/, 'one data line');
  t.same(JSON.parse(event!.data!), pretty.value);
  t.ok(event!.data!.includes('1.0'), 'numbers keep their digits');
  for (const id of ['a\nb', 'a\rb', '1\n\ndata: {}'])
    t.throws(() => encodeEvent(frame, { id }), GatewayError, 'a field cannot break out of its line');
  t.same(read([COMMENT]).map(fields), [{}], 'the keep-alive is an event without a message');
});
