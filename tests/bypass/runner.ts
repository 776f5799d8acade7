import type { Entry, Era, Guard } from './corpus/types.ts';
import { DISGUISES } from './corpus/disguises.ts';
import type { Received } from '../fixture/upstream.ts';
import { INPUT_CARRIERS } from './input-carriers.ts';
import { readable } from './leak-detector.ts';
import { OUTPUT_CARRIERS } from './output-carriers.ts';
import { IN, OUT, type Stage } from './stage.ts';

/** No entry may hang. */
const WATCHDOG_MS = 20_000;

/** Guards that judge a direction, unless an entry says otherwise. */
export const USUAL: Readonly<Record<Entry['direction'], readonly Guard[]>> = {
  input: ['words', 'pattern'],
  output: ['words', 'pattern', 'mask'],
};

/** Runs one entry against one guard in one era; what of the secret got through, or undefined. */
export async function run(
  stage: Stage,
  { id, direction, carrier, disguise }: Pick<Entry, 'id' | 'direction' | 'carrier' | 'disguise'>,
  guard: Guard,
  era: Era,
  secret: string = (direction === 'input' ? IN : OUT)[guard],
): Promise<string | undefined> {
  const spread = DISGUISES[disguise]!(secret);
  const { promise: late, reject } = Promise.withResolvers<never>();
  const watchdog = setTimeout(() => reject(new Error(`${id} hangs (${guard}, ${era})`)), WATCHDOG_MS);
  try {
    const passing =
      direction === 'input'
        ? goesUp(stage, carrier, spread, guard, era)
        : comesDown(stage, carrier, spread, guard, era);
    return readable(await Promise.race([passing, late]), secret);
  } finally {
    clearTimeout(watchdog);
    stage.play(undefined);
  }
}

async function goesUp(stage: Stage, name: string, spread: readonly string[], guard: Guard, era: Era): Promise<string> {
  const { upstream } = stage;
  const door = await stage.door(guard, era);
  const before = upstream.requests.length;
  const carrier = INPUT_CARRIERS[name]!;
  stage.play(carrier.script);
  await carrier.send(door, spread);
  return upstream.requests.slice(before).map(wholeOf).join('\n');
}

const wholeOf = ({ path, rawHeaders, raw }: Received): string => `${path}\n${rawHeaders.join('\n')}\n${raw.toString()}`;

async function comesDown(
  stage: Stage,
  name: string,
  spread: readonly string[],
  guard: Guard,
  era: Era,
): Promise<string> {
  const { logged } = stage.gateway;
  const door = await stage.door(guard, era);
  const before = logged.length;
  const carrier = OUTPUT_CARRIERS[name]!;
  stage.play((request) => carrier.answer(request, spread));
  const seen = await carrier.receive(door);
  return `${seen}\n${logged.slice(before).join('\n')}`;
}
