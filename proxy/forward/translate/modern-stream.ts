import { Abort, type Signal } from '../../abort.ts';
import { GatewayError } from '../../errors.ts';
import type { Frame } from '../../types.ts';
import { decodeFrame, type FrameLimits } from '../../wire/frame.ts';
import { UpstreamFault, type UpstreamAnswer } from '../upstream.ts';

/** Reads the rest of a stream that its server closed after the event with this id. */
export type Resume = (lastEventId: string) => Promise<UpstreamAnswer>;

const MOST_RESUMPTIONS = 10;
const RETRY_MS = 1_000;
const MOST_RETRY_MS = 30_000;

/**
 * The messages of an answer, those that came together in one array; an empty one is a sign of life. A stream that its server
 * closes after an event with an id is taken up again (duty S-11), at most ten times without a message in between.
 */
export async function* framesOf(
  answer: UpstreamAnswer,
  limits: FrameLimits,
  signal: Signal,
  resume: Resume,
): AsyncGenerator<readonly Frame[]> {
  if (answer.mode === 'json') yield [readFrame(answer.body!, limits, answer.status)];
  if (answer.mode !== 'sse') return;
  let events = answer.events!;
  let last: string | undefined;
  let retryMs = RETRY_MS;
  for (let tries = 0; ;) {
    for await (const batch of events) {
      const frames: Frame[] = [];
      for (const event of batch) {
        if (event.id !== undefined) last = event.id;
        if (event.retry !== undefined) retryMs = Math.min(Number(event.retry), MOST_RETRY_MS);
        // Events of other names are no messages (duty E-04).
        if ((event.event ?? 'message') !== 'message') continue;
        if (event.data !== undefined && event.data !== '') frames.push(readFrame(Buffer.from(event.data), limits, 200));
      }
      if (frames.length > 0) tries = 0;
      yield frames;
    }
    if (last === undefined || last === '' || tries === MOST_RESUMPTIONS || signal.aborted) return;
    tries += 1;
    await pause(retryMs, signal);
    const next = await resume(last);
    if (next.mode !== 'sse') throw new UpstreamFault(`the stream could not be resumed (${next.status})`, true);
    events = next.events!;
  }
}

function readFrame(bytes: Buffer, limits: FrameLimits, status: number): Frame {
  try {
    return decodeFrame(bytes, limits, 'server');
  } catch (cause) {
    throw new GatewayError('upstream_invalid', `status ${status} with a body that is not a JSON-RPC message`, {
      cause,
    });
  }
}

/** Waits; less long when given up. */
export function pause(ms: number, signal: Signal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.off(done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.on(done);
  });
}

/** What comes within this time. */
export async function soon<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  const patience = new Abort();
  try {
    return await Promise.race([promise, pause(ms, patience).then(() => undefined)]);
  } finally {
    patience.abort();
    // It is awaited again by whoever reads the stream.
    promise.catch(() => undefined);
  }
}
