import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { PROMISES } from './promises.ts';

const folder = resolve(import.meta.dirname);

/** Ids in brackets in the titles of tests, by file. */
function citations(): ReadonlyMap<string, string> {
  const cited = new Map<string, string>();
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.test.ts') || name.includes('node_modules')) continue;
    const text = readFileSync(join(folder, name), 'utf8');
    for (const match of text.matchAll(/\[([A-Z]{1,2}-\d{2}|[a-z]{2,}(?:-[a-z0-9]+)+)\]/g)) cited.set(match[1]!, name);
  }
  return cited;
}

t.test('every promise is cited by a test', async (t) => {
  const cited = citations();
  for (const { id } of PROMISES) t.ok(cited.has(id), `a test cites [${id}]`);
});

t.test('every duty of docs/duties.md is cited by a test', async (t) => {
  const cited = citations();
  const duties = [...readFileSync(join(folder, '../docs/duties.md'), 'utf8').matchAll(/^\| ([A-Z]{1,2}-\d{2}) \|/gm)];
  t.ok(duties.length > 80, 'the duties were found');
  for (const [, id] of duties) t.ok(cited.has(id!), `a test cites [${id}]`);
});

t.test('every id that a test cites is a promise or a duty of the protocol', async (t) => {
  const known = new Set(PROMISES.map(({ id }) => id));
  for (const [id, file] of citations()) {
    t.ok(/^[A-Z]{1,2}-\d{2}$/.test(id) || known.has(id), `[${id}] of ${file} is in tests/promises.ts`);
  }
});

t.test('promises have an id of their own, a sentence and a source', async (t) => {
  t.equal(new Set(PROMISES.map(({ id }) => id)).size, PROMISES.length, 'ids are unique');
  for (const { id, promise, source } of PROMISES) {
    t.match(id, /^[a-z0-9]+(-[a-z0-9]+)+$/, id);
    t.ok(promise.length > 20 && source.length > 2, `${id} says what and why`);
  }
});
