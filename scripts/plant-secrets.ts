import { parseArgs } from 'node:util';
import t from 'tap';
import { plantSecrets } from '../tests/bypass/plant-run.ts';

const USAGE = 'usage: node scripts/plant-secrets.ts [--seed N] [--runs N]';

/** Plants secrets in twenty thousand answers and asks for them through the door; says the seed that repeats the run. */
const { values } = parseArgs({ options: { seed: { type: 'string' }, runs: { type: 'string' } } });
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
const runs = Number(values.runs ?? 20_000);
if (!Number.isInteger(seed) || !Number.isInteger(runs) || runs < 1) {
  console.error(USAGE);
  process.exit(2);
}
console.log(`# seed ${seed}`);
t.setTimeout(60 * 60_000);
await t.test(`no planted secret left, seed ${seed}`, async (t) => {
  t.setTimeout(60 * 60_000);
  const counts = await plantSecrets(t, { runs, seed });
  t.equal(counts.runs >= runs, true, `${counts.runs} runs`);
});
