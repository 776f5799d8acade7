import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { INPUT } from './corpus/input.ts';
import { OUTPUT } from './corpus/output.ts';
import { POINTS, type Entry, type Guard } from './corpus/types.ts';
import { TODO } from './corpus/todo.ts';
import { INPUT_CARRIERS } from './input-carriers.ts';
import { readable } from './leak-detector.ts';
import { OUTPUT_CARRIERS } from './output-carriers.ts';
import { run, USUAL } from './runner.ts';
import { OUT, startStage } from './stage.ts';

const ALL: readonly Entry[] = [...INPUT, ...OUTPUT];
const HARMLESS = 'Sparrow-5H2D-Linnet-40';
const guardsOf = ({ guards, direction }: Entry): readonly Guard[] => guards ?? USUAL[direction];
const policies = readFileSync(join(import.meta.dirname, '../../docs/policies.md'), 'utf8').replaceAll(/\s+/g, ' ');

t.test('the corpus is whole: every point, both directions, every carrier [bypass-corpus]', async (t) => {
  t.ok(ALL.length >= 150, `${ALL.length} entries`);
  t.equal(new Set(ALL.map(({ id }) => id)).size, ALL.length, 'no id twice');
  for (const [index, point] of POINTS.entries())
    t.ok(
      ALL.some((entry) => entry.point === index + 1),
      point,
    );
  const unused = (carriers: object, entries: readonly Entry[]): string[] =>
    Object.keys(carriers).filter((name) => !entries.some(({ carrier }) => carrier === name));
  t.strictSame(unused(INPUT_CARRIERS, INPUT), []);
  t.strictSame(unused(OUTPUT_CARRIERS, OUTPUT), []);
  const ids = new Set(ALL.map(({ id }) => id));
  t.strictSame(
    Object.keys(TODO).filter((id) => !ids.has(id)),
    [],
    'what is left to do is an entry',
  );
});

/** What the wire refuses, or leaves behind, whatever it says. */
const REFUSED: ReadonlySet<string> = new Set(
  `input: ARGUMENTS, Mcp-Method header, Mcp-Name header, Mcp-Name header in base64, Mcp-Name header with a line end, Name, Params alone,
  UTF-16 body, UTF-7 charset, __proto__ for the name, a comment in the message, another tool in a repeat, argument\u017f, batch,
  batch in a batch, batch of one, body name and header name, brotli body, byte order mark, cookie header, deeper than may be read,
  duplicate argument\\, escaped, duplicate argument\\, first, duplicate argument\\, last, duplicate arguments member, duplicate name,
  duplicate name\\, escaped, duplicate params, form body, full-width name, gzip body, gzip body without its header,
  larger than may be read, method in other case, method of another revision, method with NUL, method with a dot segment,
  method with a full-width slash, method with a space, name with NUL, name with a zero-width space,
  notification under the name of a call, other arguments in a repeat, overlong UTF-8, param\u017f, query of the URL,
  reason of a cancellation, request state, request with id null, request without its id, result of a request, task id,
  text behind the message, two messages in one body, unknown header, unknown method, user-agent header, version header;
  output: Result beside result, UTF-16 body, answer to another request, batch of answers, body of a 403, body of a 500,
  body that is no JSON, challenge of a 401, deeper than may be read, duplicate key, duplicate result,
  gzip body without its header, larger than may be read, plain body, response header, state of an answer, target of a redirect`
    .split(';')
    .flatMap((side) => {
      const [direction, names] = side.split(':') as [string, string];
      return names
        .split(/(?<!\\),/)
        .map((name) => `${direction.trim()}/${name.replaceAll('\\', '').trim().replaceAll(/\s+/g, ' ')}`);
    }),
);

t.test(
  'every other carrier arrives when it carries nothing forbidden, so that its entries prove something',
  async (t) => {
    t.setTimeout(100_000);
    const stage = await startStage(t);
    const arrived = new Set<string>();
    const carriers = new Map(ALL.map((entry) => [`${entry.direction}/${entry.carrier}`, entry]));
    for (const [name, entry] of carriers) {
      for (const era of entry.eras) {
        const got = await run(stage, { ...entry, disguise: 'plain' }, 'words', era, HARMLESS);
        if (got !== undefined) arrived.add(name);
      }
      t.equal(arrived.has(name), !REFUSED.has(name), name);
    }
  },
);

t.test(
  'nothing of the corpus gets through: not to the upstream, the client, the log, the record [bypass-corpus] [J-01] [J-06]',
  async (t) => {
    t.setTimeout(100_000);
    const stage = await startStage(t);
    for (const entry of ALL) {
      if (entry.detect_only !== undefined) continue;
      for (const era of entry.eras) {
        for (const guard of guardsOf(entry)) {
          if (entry.todo?.[guard] !== undefined) continue;
          t.equal(await run(stage, entry, guard, era), undefined, `${entry.id} (${guard}, ${era})`);
        }
      }
    }
    const secrets = [OUT.words, OUT.pattern, OUT.mask];
    for (const exchange of await stage.gateway.exchanges()) {
      // Of what is very long only the beginning is decoded; all of it is searched as it stands below.
      const text = JSON.stringify(exchange).slice(0, 20_000);
      const left = readable(text, ...secrets);
      if (left !== undefined) t.fail(`the record of ${exchange.method} ${exchange.name} says ${left}`, { text });
    }
    await stage.gateway.close();
    for (const name of readdirSync(stage.gateway.folder, { recursive: true, encoding: 'utf8' })) {
      const path = join(stage.gateway.folder, name);
      if (!statSync(path).isFile()) continue;
      const bytes = readFileSync(path);
      for (const secret of secrets) t.notOk(bytes.includes(secret), `${name} holds no forbidden text`);
    }
  },
);

t.test('what cannot be stopped raises a finding, or the documentation says why not [bypass-corpus]', async (t) => {
  t.setTimeout(100_000);
  const stage = await startStage(t);
  for (const entry of ALL) {
    const reason = entry.detect_only;
    if (reason === undefined) continue;
    for (const era of entry.eras) {
      for (const guard of guardsOf(entry)) {
        const before = (await stage.gateway.exchanges()).flatMap(({ findings }) => findings).length;
        await run(stage, entry, guard, era);
        const after = (await stage.gateway.exchanges()).flatMap(({ findings }) => findings).length;
        t.ok(after > before || policies.includes(reason), `${entry.id} (${guard}, ${era}): ${reason}`);
      }
    }
  }
});

t.test('what is left to do is counted', async (t) => {
  t.setTimeout(100_000);
  const stage = await startStage(t);
  let open = 0;
  for (const entry of ALL) {
    for (const guard of Object.keys(entry.todo ?? {}) as Guard[]) {
      let leaks = 0;
      for (const era of entry.eras) if ((await run(stage, entry, guard, era)) !== undefined) leaks += 1;
      if (leaks > 0) open += 1;
      t.comment(
        `${leaks > 0 ? 'open' : 'CLOSED, take it off the list'}: ${entry.id} (${guard}): ${entry.todo![guard]}`,
      );
    }
  }
  t.comment(`${open} holes are open`);
  t.equal(stage.upstream.requests.length >= open, true);
});
