import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import type { UpstreamAnswer } from '../forward/upstream.ts';
import type { Outbound, Reply } from '../types.ts';
import { conclude } from './conclude.ts';
import { judgeFinal } from './judge.ts';
import { isFinal, readFrames } from './messages.ts';
import { inspectStream } from './stream.ts';

/**
 * Judges every message that comes back, and closes the exchange before its final answer leaves. Nothing passes uninspected:
 * what cannot be read, judged or recorded ends the answer with an error.
 */
export async function* inspect(exchange: Exchange, answer: UpstreamAnswer): AsyncGenerator<Reply> {
  if (exchange.asked.call.kind === 'http') yield await inspectPassed(exchange, answer);
  else if (answer.mode === 'sse') yield* inspectStream(exchange, answer);
  else if (answer.mode === 'empty' || exchange.asked.frame?.kind !== 'request')
    yield await inspectEmpty(exchange, answer);
  else yield await inspectJson(exchange, answer);
}

/** A route that is not MCP: its bytes are with the client but for the end, which waits for this. */
async function inspectPassed(exchange: Exchange, { status }: UpstreamAnswer): Promise<Reply> {
  await exchange.close({ outcome: 'answered', isError: status >= 400 });
  return { status, mode: 'empty', headers: {}, outbound: [] };
}

/** What has no message as its answer: notifications, answers of the client, the ends of sessions. A body here is nobody's answer. */
async function inspectEmpty(exchange: Exchange, { status }: UpstreamAnswer): Promise<Reply> {
  const { asked } = exchange;
  refuseStatus(exchange, status);
  if (asked.frame?.kind === 'request' || status >= 500) {
    throw new GatewayError('upstream_invalid', `status ${status} without a message`);
  }
  if (asked.session !== undefined && asked.call.method === 'DELETE' && status < 300) exchange.ends = 'deleted';
  await exchange.close({ outcome: status < 400 ? 'answered' : 'failed', isError: status >= 400 });
  // A GET that is not answered by a stream has none (duty S-07).
  return {
    status: asked.call.method === 'GET' && status < 300 ? 405 : status,
    mode: 'empty',
    headers: {},
    outbound: [],
  };
}

/** Statuses that say something about the gateway's own credential, session or address, not about the call. */
function refuseStatus(exchange: Exchange, status: number): void {
  if (status === 401 || status === 403) throw new GatewayError('upstream_refused', `status ${status}`);
  if (status >= 300 && status < 400) throw new GatewayError('upstream_refused', `a redirect (${status})`);
  if (status === 404 && exchange.asked.session !== undefined) {
    exchange.ends = 'lost';
    throw new GatewayError('session_unknown');
  }
}

async function inspectJson(exchange: Exchange, answer: UpstreamAnswer): Promise<Reply> {
  const { status } = answer;
  refuseStatus(exchange, status);
  const frames = readFrames(exchange, answer.body!, status);
  const frame = frames.find((each) => isFinal(exchange, each));
  if (frame === undefined) throw new GatewayError('upstream_invalid', 'an answer to another request');
  const final = await conclude(exchange, judgeFinal(exchange, frame), answer);
  const outbound: Outbound[] = [{ frame: final.frame }];
  const confirm = exchange.claim !== undefined;
  if (exchange.streaming) return { status: 200, mode: 'sse', headers: {}, outbound, confirm };
  return { status: status >= 500 ? 200 : status, mode: 'json', headers: final.headers, outbound, confirm };
}
