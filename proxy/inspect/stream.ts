import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { explain } from '../forward/forward.ts';
import type { UpstreamAnswer } from '../forward/upstream.ts';
import { Gone } from '../hold.ts';
import { closing } from '../modern/listen.ts';
import type { Frame, Outbound, Reply } from '../types.ts';
import { answering } from '../wire/frame.ts';
import type { SseEvent } from '../wire/sse.ts';
import { Announcements } from './announcements.ts';
import { conclude } from './conclude.ts';
import { withFitFields } from './event-fields.ts';
import { bare, toOutbound } from './events.ts';
import { judgeFinal } from './judge.ts';
import { isFinal, listens, readFrames } from './messages.ts';
import { gateOf, passing, type Gate } from './passing.ts';

type Headers = Readonly<Record<string, string>>;

const sse = (outbound: readonly Outbound[], headers: Headers = {}): Reply => ({
  status: 200,
  mode: 'sse',
  headers,
  outbound,
});

/** An answer that is a stream: every complete event is judged before it passes, and the last one closes the exchange. */
export async function* inspectStream(exchange: Exchange, answer: UpstreamAnswer): AsyncGenerator<Reply> {
  if (listens(exchange.asked)) return yield* inspectListening(exchange, answer);
  const { asked } = exchange;
  // The client learns at once that the call runs, and is kept warm (duty H-10); the answer to initialize has headers of its own.
  if (answer.silent === true && asked.call.method !== 'initialize') {
    exchange.streaming = true;
    yield sse([]);
  }
  const reader = new StreamReader(exchange, answer);
  // A connection inspected whole passes nothing on before the answer is complete.
  let held: readonly Outbound[] = [];
  let heldBytes = 0;
  try {
    for await (const events of answer.events!) {
      let outbound = await reader.read(events);
      if (asked.connection.whole) {
        // A question of the server waits for its answer, so it cannot wait for the end.
        const questions = outbound.filter((out) => 'frame' in out && out.frame.kind === 'request');
        held = [...held, ...outbound.filter((out) => !questions.includes(out))];
        heldBytes += outbound.reduce((sum, out) => sum + ('frame' in out ? out.frame.bytes : out.raw).length, 0);
        if (heldBytes > exchange.gateway.messageSize && !reader.done)
          throw new GatewayError('upstream_invalid', 'what came before the answer is larger than server.message_size');
        outbound = reader.done ? [...questions, ...held] : questions;
      }
      if (outbound.length === 0) continue;
      exchange.streaming = true;
      yield { ...sse(outbound, reader.headers), confirm: reader.done && exchange.claim !== undefined };
      if (reader.done) return;
    }
  } catch (fault) {
    throw explain(fault, exchange, false);
  }
  if (exchange.signal.aborted) throw new Gone();
  // A legacy server may end a stream whose events have ids and finish on a later GET (duty S-11).
  if (asked.frame?.kind === 'request' && !(asked.era === 'legacy' && reader.resumable))
    throw new GatewayError('upstream_lost');
  await exchange.close({ outcome: 'disconnected', isError: false });
  if (!exchange.streaming || held.length > 0) yield sse(held);
}

/**
 * A stream for listening: silent for as long as it likes, and over when the gateway stops or its caller may listen no more.
 * A modern one then ends with its result; one that the upstream broke off ends without, so that the client comes again (duty L-04).
 */
async function* inspectListening(exchange: Exchange, answer: UpstreamAnswer): AsyncGenerator<Reply> {
  const { asked, gateway } = exchange;
  const stop = (): void => exchange.giveUp();
  gateway.stopping.on(stop);
  if (gateway.stopping.aborted) stop();
  let welcome = true;
  const reader = new StreamReader(exchange, answer);
  const own = new Announcements();
  const listener = {
    async review() {
      welcome &&= await mayListen(exchange);
      if (!welcome) stop();
    },
    rulesChanged() {
      if (exchange.adoptRules()) own.say(reader.listChanges());
    },
  };
  const { issuer, subject } = asked.principal;
  const leave = gateway.listeners.add(listener, JSON.stringify([issuer, subject]), gateway.now());
  if (leave === undefined) {
    await answer.events![Symbol.asyncIterator]().return?.();
    throw new GatewayError('too_many_streams');
  }
  exchange.streaming = true;
  try {
    yield { ...sse([]), listening: true };
    for await (const spoken of own.between(answer.events!)) {
      welcome = await mayListen(exchange);
      if (!welcome) break;
      const outbound = await (spoken.from === 'upstream' ? reader.read(spoken.events) : reader.announce(spoken.frames));
      if (outbound.length > 0) yield sse(outbound);
      if (reader.done) return;
    }
  } catch (fault) {
    const reason = explain(fault, exchange, false);
    if (!gateway.stopping.aborted && welcome && !isLoss(reason)) throw reason;
  } finally {
    leave();
    gateway.stopping.off(stop);
  }
  if (exchange.closed) return;
  const deliberate = gateway.stopping.aborted || !welcome;
  if (!deliberate && exchange.signal.aborted) throw new Gone();
  const last = deliberate && asked.frame !== undefined ? closing(asked.frame.id!) : undefined;
  const outcome = deliberate || asked.frame === undefined ? 'answered' : 'failed';
  await exchange.close({ outcome, isError: false, ...(last === undefined ? {} : { frame: last }) });
  if (last !== undefined) yield sse([{ frame: last }]);
}

const isLoss = (fault: unknown): boolean => fault instanceof GatewayError && fault.code === 'upstream_lost';

/** A stream may outlive its token and the rules it began with: then nothing more is told on it (duty A-13). */
async function mayListen({ asked, gateway }: Exchange): Promise<boolean> {
  const { arrival, connection } = asked;
  try {
    const who = await gateway.authenticate(arrival.credentials, arrival.route, gateway.now());
    return gateway.settings().rulebook.connection(connection.name)?.visible(who) === true;
  } catch {
    // Whoever cannot prove who he is any more has heard enough.
    return false;
  }
}

/** Turns the events of one stream into what leaves. */
class StreamReader {
  readonly #exchange: Exchange;
  readonly #answer: UpstreamAnswer;
  readonly #gate: Gate;
  #unwritten: Buffer[] = [];
  /** True once the final answer was read. */
  done = false;
  resumable = false;
  headers: Headers = {};

  constructor(exchange: Exchange, answer: UpstreamAnswer) {
    this.#exchange = exchange;
    this.#answer = answer;
    this.#gate = gateOf(exchange);
  }

  /** By what a listening client is told that its lists changed. */
  listChanges(): readonly Frame[] {
    return this.#gate.listChanges?.() ?? [];
  }

  /** What the gateway itself says on the stream. */
  async announce(frames: readonly Frame[]): Promise<Outbound[]> {
    const exchange = this.#exchange;
    await exchange.messages(
      frames.map((frame) => exchange.recordable(frame)),
      'to_client',
    );
    return frames.map((frame) => ({ frame }));
  }

  /** What may leave of these events, all of it on record. */
  async read(events: readonly SseEvent[]): Promise<Outbound[]> {
    const exchange = this.#exchange;
    const { inspects } = exchange.asked.rules;
    const outbound: Outbound[] = [];
    this.#unwritten = [];
    try {
      for (const each of events) {
        const event = withFitFields(exchange, each);
        this.resumable ||= event.id !== undefined;
        if (event.data === undefined || event.data === '') outbound.push(bare(event, inspects));
        else {
          const later = this.#messages(event, event.data, outbound);
          if (later !== undefined) await later;
        }
        if (this.done) break;
      }
    } finally {
      // What passed before a fault is on record too.
      await this.#write();
    }
    return outbound;
  }

  readonly #record = (frame: Frame): void => void this.#unwritten.push(this.#exchange.recordable(frame));

  async #write(): Promise<void> {
    const bodies = this.#unwritten;
    this.#unwritten = [];
    await this.#exchange.messages(bodies, 'to_client');
  }

  #messages(event: SseEvent, data: string, outbound: Outbound[]): Promise<void> | void {
    const frames = readFrames(this.#exchange, data, 200);
    if (frames.length !== 1) return this.#batch(event, frames, outbound);
    const frame = frames[0]!;
    const delivered = isFinal(this.#exchange, frame)
      ? this.#final(frame)
      : passing(this.#exchange, frame, this.#gate, this.#record);
    const deliver = (passed: Frame | undefined): void => {
      const { inspects } = this.#exchange.asked.rules;
      if (passed !== undefined) outbound.push(toOutbound(passed, frame, event, inspects));
    };
    return delivered instanceof Promise ? delivered.then(deliver) : deliver(delivered);
  }

  /** What came as a batch leaves message by message; the place in the stream is that of the last. */
  async #batch(event: SseEvent, frames: readonly Frame[], outbound: Outbound[]): Promise<void> {
    for (const [index, frame] of frames.entries()) {
      const isFinalAnswer = isFinal(this.#exchange, frame);
      const passed = await (isFinalAnswer
        ? this.#final(frame)
        : passing(this.#exchange, frame, this.#gate, this.#record));
      const id = index === frames.length - 1 || this.done ? event.id : undefined;
      if (passed !== undefined) outbound.push({ frame: passed, ...(id === undefined ? {} : { event: { id } }) });
      if (this.done) break;
    }
  }

  async #final(frame: Frame): Promise<Frame> {
    const exchange = this.#exchange;
    const fault = this.#gate.fault(frame);
    if (fault !== undefined) throw new GatewayError('upstream_invalid', fault);
    // An error without an id would leave its client waiting: on a stream nothing else tells whose answer it is.
    const answer = answering(frame, exchange.asked.frame!.id!);
    const judged = judgeFinal(exchange, answer);
    // What came before the answer stands before it on the record.
    const written = this.#write();
    const [final] = await Promise.all([conclude(exchange, judged, this.#answer), written]);
    this.headers = final.headers;
    this.done = true;
    return final.frame;
  }
}
