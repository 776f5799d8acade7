import { memberSpan } from '../../policies/json/member.ts';
import { splice } from '../../policies/json/splice.ts';
import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { Gone, type Admission } from '../hold.ts';
import { member } from '../identify.ts';
import type { Frame } from '../types.ts';
import { upstreamHeaders } from '../wire/headers.ts';
import { idKey } from '../wire/frame.ts';
import type { SseEvent } from '../wire/sse.ts';
import type { Flight, WireSession } from './sessions.ts';
import { UpstreamFault, type UpstreamAnswer } from './upstream.ts';

type Events = NonNullable<UpstreamAnswer['events']>;

const ACCEPTED: UpstreamAnswer = { status: 202, mode: 'empty' };

/** Sends an admitted call to its upstream: the only place that does. Says honestly whether it may have run. */
export async function forward(exchange: Exchange, admission: Admission): Promise<UpstreamAnswer> {
  const { asked } = exchange;
  const { frame, session, arrival, connection, era, version } = asked;
  if (admission.type === 'kept') return { status: 200, mode: 'json', body: withId(admission.answer, frame!) };
  if (exchange.signal.aborted) throw new Gone();
  if (frame !== undefined && absorbed(exchange, frame)) return ACCEPTED;
  exchange.sent = true;
  const startedAt = exchange.gateway.now();
  const limit = timeLimit(exchange, connection.timeoutMs);
  try {
    const answer = await connection.upstream.send({
      httpMethod: arrival.httpMethod,
      headers: upstreamHeaders(arrival.headers, { era, version }),
      signal: exchange.signal,
      caller: asked,
      ...(frame === undefined ? {} : { frame }),
      ...(session === undefined ? {} : { upstreamSession: session.upstreamSession }),
    });
    // The upstream knows it now; whatever it still says of that call reaches nobody (duty C-03).
    if (session !== undefined && frame?.method === 'notifications/cancelled') flightOf(session, frame)?.cancel();
    if (answer.events === undefined) limit.done();
    return answer.events === undefined ? answer : { ...answer, events: watched(answer.events, exchange, limit) };
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
  if (connection.transport === 'gateway') return false;
  if (frame.kind === 'response') return session === undefined || !session.serverRequests.delete(idKey(frame.id!));
  if (frame.method !== 'notifications/cancelled') return false;
  // On the modern wire the stream itself is cancelled; a notification could only hit somebody else's call.
  if (era === 'modern' || session === undefined) return true;
  const flight = flightOf(session, frame);
  if (flight === undefined) return true;
  if (flight.exchange.sent) return false;
  flight.cancel();
  return true;
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
  const timer = setTimeout(() => {
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
