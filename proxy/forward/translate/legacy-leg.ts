import type { Signal } from '../../abort.ts';
import { GatewayError } from '../../errors.ts';
import type { Frame } from '../../types.ts';
import { decodeFrame, idKey, objectMember } from '../../wire/frame.ts';
import type { FrameLimits } from '../../wire/frame.ts';
import type { Caller, Outgoing, Upstream, UpstreamAnswer } from '../upstream.ts';
import { UpstreamFault } from '../upstream.ts';
import { modernHeaders } from './legacy-request.ts';
import type { FaceOptions } from './options.ts';

/** One request on its way to the server behind, in the words of 2026-07-28. */
export interface Leg {
  readonly frame: Frame;
  /** The headers of the client's own request. */
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: Signal;
  readonly caller: Caller;
  /** True when the server has already seen the call that this leg goes on with. */
  readonly begun: boolean;
}

/**
 * Sends one request with the headers that repeat its body. When the server refuses those headers, which it does before it
 * runs anything, they are made once more from its fresh list of tools.
 */
export async function sendLeg(leg: Leg, inner: Upstream, options: FaceOptions): Promise<UpstreamAnswer> {
  const { frame } = leg;
  if (leg.begun && frame.bytes.length > options.messageSize)
    throw new GatewayError('too_large', `${options.messageSize} bytes`);
  if (frame.method !== 'tools/call') return post(leg, modernHeaders(leg.headers, frame), leg.begun, inner);
  const tool = objectMember(frame.value, 'params')?.['name'];
  const name = typeof tool === 'string' ? tool : '';
  const headers = modernHeaders(leg.headers, frame, await options.params(name, false));
  const answer = await post(leg, headers, leg.begun, inner);
  if (answer.status !== 400 || !refusesHeaders(answer.body, options.limits)) return answer;
  const fresh = modernHeaders(leg.headers, frame, await options.params(name, true));
  if (JSON.stringify(fresh) === JSON.stringify(headers)) return answer;
  return post(leg, fresh, true, inner);
}

async function post(
  { frame, signal, caller }: Leg,
  headers: Readonly<Record<string, string>>,
  begun: boolean,
  inner: Upstream,
): Promise<UpstreamAnswer> {
  const outgoing: Outgoing = { httpMethod: 'POST', frame, headers, signal, caller };
  try {
    return await inner.send(outgoing);
  } catch (fault) {
    // Of a call that the server has seen before it cannot be said that nothing was sent.
    if (fault instanceof UpstreamFault && begun && !fault.sent) throw new UpstreamFault(fault.message, true, fault);
    throw fault;
  }
}

function refusesHeaders(body: Buffer | undefined, limits: FrameLimits): boolean {
  const frame = readMessage(body, limits);
  return frame !== undefined && objectMember(frame.value, 'error')?.['code'] === -32020;
}

/** What a server sent, if it is one message that can be read. */
export function readMessage(body: Buffer | string | undefined, limits: FrameLimits): Frame | undefined {
  if (body === undefined) return undefined;
  try {
    return decodeFrame(typeof body === 'string' ? Buffer.from(body) : body, limits, 'server');
  } catch (fault) {
    if (fault instanceof GatewayError) return undefined;
    throw fault;
  }
}

/** Is this the answer to that request? An error without an id answers it too. */
export const answers = (message: Frame, frame: Frame): boolean =>
  message.kind === 'response' && (message.id === undefined || idKey(message.id) === idKey(frame.id!));

/** Statuses about the gateway's own credential or address: the pipeline has words for them. */
export const isRefusal = (status: number): boolean =>
  status === 401 || status === 403 || (status >= 300 && status < 400);

/** An answer that holds no message of its own. A plain 404 would tell a client with a session that its session is gone. */
export function withoutMessage(answer: UpstreamAnswer): UpstreamAnswer {
  if (isRefusal(answer.status)) return answer;
  throw new GatewayError('upstream_invalid', `status ${answer.status} without a message that can be read`);
}
