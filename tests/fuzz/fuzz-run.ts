import { checkDecode } from './decode-check.ts';
import { FrameDoor } from './frame-door.ts';
import { makeFrame } from './frame-maker.ts';
import { Random } from './random.ts';
import { checkEncode, checkStream } from './stream-check.ts';
import { StreamDoor } from './stream-door.ts';

export interface FuzzPlan {
  readonly seed: number;
  /** Messages against the decoder; those it accepts, batches, and one in ten of the others, also go through the whole door. */
  readonly frames: number;
  /** Byte sequences against the reader of event streams, each with a message that is encoded. */
  readonly streams: number;
  /** Of these, how many are also streamed through the whole door. */
  readonly streamsThroughDoor: number;
  readonly say: (line: string) => void;
}

export interface FuzzCounts {
  readonly frames: number;
  readonly accepted: number;
  readonly throughDoor: number;
  readonly executed: number;
  readonly streams: number;
  readonly events: number;
  readonly streamsThroughDoor: number;
  readonly delivered: number;
  readonly answered: number;
}

/** A case that went wrong, by the numbers that repeat it. */
export class FuzzFault extends Error {
  constructor(kind: 'frame' | 'stream', seed: number, turn: number, cause: unknown) {
    super(`${kind} ${turn} of seed ${seed}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'FuzzFault';
  }
}

const SAY_EVERY = 10_000;
// A gateway of its own for so many cases: its record is read whole at the end.
const WAVE = 5000;

/** Tries everything of the plan; throws a FuzzFault at the first case that went wrong. */
export async function runFuzz(plan: FuzzPlan): Promise<FuzzCounts> {
  const frames = await fuzzFrames(plan);
  const streams = await fuzzStreams(plan);
  return { ...frames, ...streams };
}

async function fuzzFrames({ seed, frames, say }: FuzzPlan) {
  let accepted = 0;
  let throughDoor = 0;
  let executed = 0;
  for (let from = 0; from < frames; from += WAVE) {
    const door = await FrameDoor.open();
    await inLanes(door.width, from, Math.min(from + WAVE, frames), async (lane, turn) => {
      try {
        const random = new Random(seed, turn);
        const made = makeFrame(random);
        checkDecode(made, 'server');
        const isAccepted = checkDecode(made, 'client');
        if (isAccepted) accepted += 1;
        // Batches are read by the door, one message after another.
        else if (made.bytes[0] !== 0x5b && !random.chance(10)) return;
        throughDoor += 1;
        await door.try(lane, made, isAccepted, random.chance(50));
      } catch (fault) {
        throw new FuzzFault('frame', seed, turn, fault);
      }
    });
    executed += door.executed;
    await door.close();
    const done = Math.min(from + WAVE, frames);
    if (done % SAY_EVERY === 0) say(`frames: ${done} tried, ${accepted} accepted, ${executed} executed upstream`);
  }
  return { frames, accepted, throughDoor, executed };
}

async function fuzzStreams({ seed, streams, streamsThroughDoor, say }: FuzzPlan) {
  let events = 0;
  for (let turn = 0; turn < streams; turn += 1) {
    const random = new Random(seed, turn);
    try {
      events += checkStream(random);
      checkEncode(random);
    } catch (fault) {
      throw new FuzzFault('stream', seed, turn, fault);
    }
    if ((turn + 1) % SAY_EVERY === 0) say(`streams: ${turn + 1} read, ${events} events`);
  }
  let delivered = 0;
  let answered = 0;
  for (let from = 0; from < streamsThroughDoor; from += WAVE) {
    const door = await StreamDoor.open();
    const until = Math.min(from + WAVE, streamsThroughDoor);
    await inLanes(door.width, from, until, async (lane, turn) => {
      try {
        await door.try(lane, new Random(seed, turn));
      } catch (fault) {
        throw new FuzzFault('stream', seed, turn, fault);
      }
    });
    delivered += door.delivered;
    answered += door.answered;
    await door.close();
    if (until % SAY_EVERY === 0) say(`streams through the door: ${until}, ${delivered} messages delivered`);
  }
  return { streams, events, streamsThroughDoor, delivered, answered };
}

/** Cases `from` to `until`, so many at once, each lane one after another. */
async function inLanes(
  width: number,
  from: number,
  until: number,
  attempt: (lane: number, turn: number) => Promise<void>,
): Promise<void> {
  let next = from;
  await Promise.all(
    Array.from({ length: width }, async (_, lane) => {
      while (next < until) {
        const turn = next;
        next += 1;
        await attempt(lane, turn);
      }
    }),
  );
}
