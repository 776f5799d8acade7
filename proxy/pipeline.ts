import { refusalReply, toGatewayError } from './answer.ts';
import { authenticate, decode } from './arrive.ts';
import { handleBatch } from './batch.ts';
import { decide } from './decide.ts';
import type { Exchange } from './exchange.ts';
import { forward } from './forward/forward.ts';
import { gather } from './gather.ts';
import type { Gateway } from './gateway.ts';
import { Gone, hold } from './hold.ts';
import { identify, type Asked } from './identify.ts';
import { inspect } from './inspect/inspect.ts';
import { open } from './open.ts';
import { challengeHeaders, idOf, outcomeOf } from './refuse.ts';
import type { Arrival, Frame, Reply } from './types.ts';
import { Batch } from './wire/batch.ts';

/** How far a message came: what a refusal may say of it. */
interface Progress {
  frame?: Frame | undefined;
  asked?: Asked;
  exchange?: Exchange;
}

/**
 * The one way to an upstream. Every message, whatever its door, walks these steps in this order; each takes what the one
 * before it made. The consumer pulls the next reply only when it has delivered the last, and calls return() when it leaves.
 */
export async function* handle(arrival: Arrival, gateway: Gateway): AsyncGenerator<Reply> {
  const progress: Progress = {};
  try {
    const principal = await authenticate(arrival, gateway);
    const read = await decode(arrival, gateway);
    if (read instanceof Batch) return yield* handleBatch(read, { arrival, principal, gateway, handle });
    const frame = (progress.frame = read);
    const identified = (progress.asked = identify(arrival, principal, frame, gateway));
    const asked = (progress.asked = await gather(identified, gateway));
    const decided = decide(asked, gateway.limits);
    const exchange = (progress.exchange = await open(asked, decided, gateway));
    const admission = yield* hold(exchange);
    const answer = await forward(exchange, admission);
    yield* inspect(exchange, answer);
    await exchange.claim?.delivered();
  } catch (fault) {
    const reply = await refuse(fault, arrival, gateway, progress);
    if (reply !== undefined) yield reply;
  } finally {
    // The consumer left before the end: its answer counts as not delivered.
    await progress.exchange?.close({ outcome: 'disconnected', isError: false });
  }
}

/** The one place where a fault becomes an answer: recorded first, then said; nothing is said to whoever left. */
async function refuse(fault: unknown, arrival: Arrival, gateway: Gateway, at: Progress): Promise<Reply | undefined> {
  const { asked, exchange } = at;
  if (fault instanceof Gone) {
    await exchange?.close({ outcome: exchange.sent ? 'unknown' : 'cancelled', isError: false });
    return exchange?.streaming === true ? undefined : { status: 202, mode: 'empty', headers: {}, outbound: [] };
  }
  const error = toGatewayError(fault);
  if (error.code === 'internal')
    gateway.log.error({ err: fault, exchange: exchange?.id }, 'a call failed unexpectedly');
  const { address } = arrival.credentials;
  if (exchange === undefined)
    gateway.refusals.note({ code: error.code, address, route: arrival.route, at: gateway.now() });
  gateway.metrics.refused(error.code);
  const id = idOf(at.frame, fault);
  const reply = refusalReply(error, asked, id, exchange, challengeHeaders(error, arrival, gateway));
  const frame = reply.outbound.flatMap((out) => ('frame' in out ? [out.frame] : []))[0];
  try {
    await exchange?.close({
      outcome: outcomeOf(error.code),
      isError: true,
      code: error.code,
      ...(frame === undefined ? {} : { frame }),
    });
  } catch (lost) {
    return refusalReply(toGatewayError(lost), asked, id, exchange, {});
  }
  return reply;
}
