import { memberSpan } from '../../policies/json/member.ts';
import { splice } from '../../policies/json/splice.ts';
import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { Gone, type Admission } from '../hold.ts';
import type { Frame } from '../types.ts';
import { upstreamHeaders } from '../wire/headers.ts';
import { idKey } from '../wire/frame.ts';
import { member } from '../wire/member.ts';
import type { SseEvent } from '../wire/sse.ts';
import type { Flight, WireSession } from './sessions.ts';
import { UpstreamFault, type Outgoing, type UpstreamAnswer } from './upstream.ts';

type Events = NonNullable<UpstreamAnswer['events']>;

/** How long a client may take to answer what the server asks of it. */
const MOST_ASKING_MS = 3_600_000;

const ACCEPTED: UpstreamAnswer = { status: 202, mode: 'empty' };

/** Sends an admitted call to its upstream: the only place that does. Says honestly whether it may have run. */
export async function forward(exchange: Exchange, admission: Admission): Promise<UpstreamAnswer> {
  const { asked } = exchange;
  const { frame, session, arrival, connection, era, version, translated } = asked;
  if (admission.type === 'kept') return { status: 200, mode: 'json', body: withId(admission.answer, frame!) };
  if (exchange.signal.aborted) throw new Gone();
  if (arrival.carrier === '') {
    const events = exchange.gateway.carriers.open(arrival, asked.principal);
    return { status: 200, mode: 'sse', events };
  }
  if (frame !== undefined && absorbed(exchange, frame)) return ACCEPTED;
  exchange.sent = true;
  const startedAt = exchange.gateway.now();
  const limit = timeLimit(exchange, connection.timeoutMs);
  try {
    if (arrival.pass !== undefined) {
      const { status, bytes } = await arrival.pass(exchange.signal);
      exchange.bytesOut += bytes;
      return { status, mode: 'empty' };
    }
    const upstream = translated ? connection.faces[era] : connection.upstream;
    const answer = await upstream.send({
      httpMethod: arrival.httpMethod as Outgoing['httpMethod'],
      headers: { ...upstreamHeaders(arrival.headers, { era, version, body: frame !== undefined }), ...asked.mirrored },
      signal: exchange.signal,
      caller: asked,
      ...(frame === undefined ? {} : { frame: asked.outgoing ?? frame }),
      ...(session === undefined ? {} : { upstreamSession: session.upstreamSession }),
    });
    // The upstream knows it now; whatever it still says of that call reaches nobody (duty C-03).
    if (session !== undefined && frame?.method === 'notifications/cancelled') flightOf(session, frame)?.cancel();
    if (answer.events === undefined) limit.done();
    if (answer.events === undefined) return answer;
    const silent = answer.events.ready !== true;
    return { ...answer, silent, events: watched(answer.events, exchange, limit) };
  } catch (fault) {
    limit.done();
    throw explain(fault, exchange, limit.over());
  } finally {
    exchange.upstreamMs = exchange.gateway.now() - startedAt;
  }
}

/** A stream that falls silent before its answer is given up like an answer that does not begin. */
async function* watched(events: Events, exchange: Exchange, limit: TimeLimit): AsyncGenerator<readonly SseEvent[]> {
  try {
    for await (const batch of events) {
      limit.again();
      yield batch;
    }
  } catch (fault) {
    throw explain(fault, exchange, limit.over());
  } finally {
    limit.done();
  }
}

/** Messages that end here: answers nobody asked for, and cancellations of what is not the sender's or was not sent yet. */
function absorbed(exchange: Exchange, frame: Frame): boolean {
  const { session, era, connection } = exchange.asked;
  const { replicas } = exchange.gateway;
  if (connection.transport === 'gateway') return false;
  if (frame.kind === 'response') return session === undefined || !(answered(session, frame) || replicas);
  if (frame.method !== 'notifications/cancelled') return false;
  // On the modern wire the stream itself is cancelled; a notification could only hit somebody else's call.
  if (era === 'modern' || session === undefined) return true;
  const flight = flightOf(session, frame);
  if (flight === undefined) return !replicas;
  if (flight.exchange.sent) return false;
  flight.cancel();
  return true;
}

/** Was this asked of the client (duty J-04)? The call that waits for the answer goes on. */
function answered({ questions }: WireSession, frame: Frame): boolean {
  const key = idKey(frame.id!);
  questions.get(key)?.();
  return questions.delete(key);
}

/** The call that a cancellation names, if it is one of its own session and not answered yet. */
function flightOf(session: WireSession, frame: Frame): Flight | undefined {
  const id = member(member(frame.value, 'params'), 'requestId');
  return session.flights.get(idKey(JSON.stringify(id ?? null)));
}

/** Turns an upstream's failure into an error that says whether the call may have run. */
export function explain(fault: unknown, exchange: Exchange, timedOut: boolean): unknown {
  if (!(fault instanceof UpstreamFault)) return fault;
  if (timedOut) {
    return new GatewayError('upstream_timeout', `${exchange.asked.connection.timeoutMs / 1000} s`, { cause: fault });
  }
  if (exchange.signal.aborted) return new Gone();
  // What came could not be read: not a loss, and no better the next time.
  if (fault.cause instanceof GatewayError) return fault.cause;
  return new GatewayError(fault.sent ? 'upstream_lost' : 'upstream_unreachable', '', { cause: fault });
}

interface TimeLimit {
  /** The upstream gave a sign: the time begins anew. */
  again(): void;
  over(): boolean;
  done(): void;
}

/** Gives the exchange up when its upstream is silent for so long; a listening stream may be silent for ever. */
function timeLimit(exchange: Exchange, ms: number): TimeLimit {
  const { frame, call } = exchange.asked;
  if (frame === undefined || call.method === 'subscriptions/listen')
    return { again: () => undefined, over: () => false, done: () => undefined };
  let over = false;
  let asking = 0;
  const timer = setTimeout(() => {
    // While a person is asked the upstream cannot answer; but nobody is waited for without end.
    asking = exchange.questions > 0 ? asking + ms : 0;
    if (asking > 0 && asking < MOST_ASKING_MS) return void timer.refresh();
    over = true;
    exchange.giveUp();
  }, ms);
  return { again: () => void timer.refresh(), over: () => over, done: () => clearTimeout(timer) };
}

/** The kept answer under the id of the request that gets it. */
function withId(answer: Buffer, frame: Frame): Buffer {
  const text = answer.toString();
  const id = memberSpan(text, 0, 'id');
  if (id === undefined) throw new GatewayError('internal');
  return Buffer.from(splice(text, [{ ...id, text: frame.id! }]));
}
