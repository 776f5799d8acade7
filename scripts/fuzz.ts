import { parseArgs } from 'node:util';
import { runFuzz } from '../tests/fuzz/fuzz-run.ts';

const USAGE = 'usage: npm run fuzz -- [--seed N] [--frames N] [--streams N] [--door-streams N]';
// No case may hang; this is for the run as a whole.
const WATCHDOG_MS = 40 * 60_000;

/** Made and mutated messages and streams against the decoders and the whole door; says the seed that repeats the run. */
async function main(): Promise<number> {
  let seed: number;
  let counts: { frames: number; streams: number; streamsThroughDoor: number };
  try {
    const { values } = parseArgs({
      options: {
        seed: { type: 'string' },
        frames: { type: 'string' },
        streams: { type: 'string' },
        'door-streams': { type: 'string' },
      },
    });
    const whole = (name: string, text: string | undefined, otherwise: number): number => {
      const value = Number(text ?? otherwise);
      if (!Number.isInteger(value) || value < 0 || value > 1e9) throw new TypeError(`--${name} must be a whole number`);
      return value;
    };
    seed = whole('seed', values.seed, Math.floor(Math.random() * 1e9));
    counts = {
      frames: whole('frames', values.frames, 200_000),
      streams: whole('streams', values.streams, 200_000),
      streamsThroughDoor: whole('door-streams', values['door-streams'], 20_000),
    };
  } catch (fault) {
    console.error(`${(fault as Error).message}\n${USAGE}`);
    return 2;
  }
  console.log(`seed ${seed}`);
  const watchdog = setTimeout(() => {
    console.error(`a case hangs: the run of seed ${seed} did not end in ${WATCHDOG_MS / 60_000} minutes`);
    process.exit(1);
  }, WATCHDOG_MS);
  try {
    const done = await runFuzz({ seed, ...counts, say: (line) => console.log(line) });
    const words = Object.entries(done).map(([name, count]) => `${name} ${count}`);
    console.log(`no fault. seed ${seed}: ${words.join(', ')}`);
    return 0;
  } catch (fault) {
    console.error(fault);
    return 1;
  } finally {
    clearTimeout(watchdog);
  }
}

process.exit(await main());
