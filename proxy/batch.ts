import type { Principal } from '../policies/types.ts';
import { refusalReply, toGatewayError } from './answer.ts';
import { GatewayError } from './errors.ts';
import type { Gateway } from './gateway.ts';
import { findSession } from './identify.ts';
import type { Arrival, Frame, Outbound, Reply } from './types.ts';
import type { Batch } from './wire/batch.ts';
import { answering } from './wire/frame.ts';

/** The one revision that has batches. */
const BATCHING = '2025-03-26';

export interface BatchArrival {
  readonly arrival: Arrival;
  readonly principal: Principal;
  readonly gateway: Gateway;
  /** The pipeline: what one element walks. */
  readonly handle: (arrival: Arrival, gateway: Gateway) => AsyncGenerator<Reply>;
}

const ACCEPTED: Reply = { status: 202, mode: 'empty', headers: {}, outbound: [] };

/**
 * Each message of a batch walks the whole pipeline by itself; all begin in their order, none waits for another (BT-02).
 * The answer is one array, or, from the first element on that streams, one event stream with every message as an event.
 * A refused element gets its own error; where no revision with batches was agreed on, the whole is refused (BT-03).
 */
export async function* handleBatch({ frames }: Batch, given: BatchArrival): AsyncGenerator<Reply> {
  const { arrival, principal, gateway, handle } = given;
  checkRevision(arrival, principal, gateway);
  if (arrival.weigh?.(frames.length) === false) throw new GatewayError('too_busy');
  const steps = new Steps();
  const walks = frames.map((frame) => {
    const replies = handle({ ...arrival, body: frame.bytes }, gateway);
    return new Walk({ frame, replies, gateway, steps });
  });
  try {
    // On the event stream of a 2024-11-05 client the POST itself is answered at once.
    let streaming = arrival.carrier !== undefined;
    if (streaming) yield { ...ACCEPTED, admitted: frames };
    for (const walk of walks) walk.pull();
    let kept = 0;
    while (walks.some((walk) => walk.awaited)) {
      const { walk, reply } = await steps.next();
      if (reply === undefined) continue;
      kept += sizeOf(reply);
      // What would be more than one message may be is not kept for the array.
      if (reply.mode === 'sse' || streaming || kept > gateway.messageSize) {
        const ready = streaming ? [] : walks.filter((each) => each.answer !== undefined);
        streaming = true;
        walk.take(reply);
        yield asEvents([...ready, walk]);
        for (const each of [...ready, walk]) each.pull();
      } else {
        walk.take(reply);
      }
    }
    if (!streaming) {
      yield asArray(walks);
      for (const walk of walks) walk.pull();
      await Promise.all(walks.map(({ step }) => step));
    }
  } finally {
    await Promise.all(walks.map((walk) => walk.leave()));
  }
}

function checkRevision(arrival: Arrival, principal: Principal, gateway: Gateway): void {
  const named = arrival.headers['mcp-protocol-version'];
  const connection = gateway.connections.get(arrival.connection);
  const rules = gateway.settings().rulebook.connection(arrival.connection);
  if (connection === undefined || rules?.visible(principal) !== true) throw new GatewayError('connection_unknown');
  const refused = new GatewayError('invalid_request', `only ${BATCHING} has batches`);
  if (named !== undefined && named !== BATCHING) throw refused;
  const session = findSession(arrival, principal, undefined, connection, gateway);
  // Without a session the revision is the one that has no header to name it; HTTP+SSE, where nothing names it, has no batches.
  const agreed = session?.version ?? (arrival.carrier === undefined ? BATCHING : undefined);
  if (agreed !== BATCHING) throw refused;
}

const sizeOf = ({ outbound }: Reply): number =>
  outbound.reduce((sum, out) => sum + ('frame' in out ? out.frame.bytes.length : 0), 0);

interface Step {
  readonly walk: Walk;
  /** Undefined at the walk's end. */
  readonly reply: Reply | undefined;
}

/** The steps of all walks in the order in which they were made; a race would remember each winner at every loser. */
class Steps {
  readonly #made: Step[] = [];
  #wake: (() => void) | undefined;

  add(step: Step): void {
    this.#made.push(step);
    this.#wake?.();
  }

  async next(): Promise<Step> {
    while (this.#made.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.#made.shift()!;
  }
}

interface WalkParts {
  readonly frame: Frame;
  readonly replies: AsyncGenerator<Reply>;
  readonly gateway: Gateway;
  readonly steps: Steps;
}

/** One element on its way through the pipeline, and the reply of it that was not passed on yet. */
class Walk {
  readonly frame: Frame;
  readonly #replies: AsyncGenerator<Reply>;
  readonly #gateway: Gateway;
  readonly #steps: Steps;
  /** Its next reply, once it was asked for. */
  step: Promise<Step>;
  /** True while `step` is what the batch waits for. */
  awaited = true;
  answer: Reply | undefined;

  constructor({ frame, replies, gateway, steps }: WalkParts) {
    this.frame = frame;
    this.#replies = replies;
    this.#gateway = gateway;
    this.#steps = steps;
    this.step = Promise.resolve({ walk: this, reply: undefined });
  }

  pull(): void {
    this.answer = undefined;
    this.awaited = true;
    this.step = this.#next();
    void this.step.then((step) => this.#steps.add(step));
  }

  async #next(): Promise<Step> {
    try {
      const next = await this.#replies.next();
      if (next.done === true) this.awaited = false;
      return { walk: this, reply: next.done === true ? undefined : next.value };
    } catch (fault) {
      // Its siblings have their answers all the same.
      this.#gateway.log.error({ err: fault }, 'an element of a batch failed unexpectedly');
      const id = this.frame.kind === 'request' ? this.frame.id : undefined;
      return { walk: this, reply: refusalReply(toGatewayError(fault), undefined, id, undefined, {}) };
    }
  }

  take(reply: Reply): void {
    this.answer = reply;
    this.awaited = false;
  }

  /** What may be told of its reply: nothing but a request has an answer, and that has its id. */
  get outbound(): readonly Outbound[] {
    if (this.answer === undefined) return [];
    const { mode, outbound } = this.answer;
    if (mode === 'sse') return outbound;
    const { id, kind } = this.frame;
    return kind === 'request' && id !== undefined
      ? outbound.map((out) => ('frame' in out ? { ...out, frame: answering(out.frame, id) } : out))
      : [];
  }

  /** Ends it: an answer that had to be confirmed was not; what else is on its way is awaited, as for a single call. */
  async leave(): Promise<void> {
    if (this.answer !== undefined && this.answer.confirm !== true) this.pull();
    while (this.awaited && this.answer === undefined) {
      const { reply } = await this.step;
      if (reply === undefined || reply.confirm === true) break;
      this.pull();
    }
    await this.#replies.return(undefined);
  }
}

function asEvents(walks: readonly Walk[]): Reply {
  const outbound = walks.flatMap((walk) => walk.outbound);
  return { status: 200, mode: 'sse', headers: {}, outbound, confirm: walks.some((walk) => walk.answer?.confirm) };
}

/** All plain answers as one array; without requests an empty 202, or the first refusal. */
function asArray(walks: readonly Walk[]): Reply {
  const answers = walks.flatMap(({ answer }) => (answer === undefined ? [] : [answer]));
  const outbound = walks.flatMap((walk) => walk.outbound);
  if (outbound.length === 0) return answers.find(({ status }) => status >= 400) ?? ACCEPTED;
  // Only this status makes a client open a new session (S-03).
  const status = answers.every((answer) => answer.status === 404) ? 404 : 200;
  return {
    status,
    mode: 'json',
    headers: {},
    outbound,
    batch: true,
    confirm: answers.some(({ confirm }) => confirm === true),
  };
}
