import type { Json, JsonObject } from '../policies/types.ts';
import { RecordUnavailable } from '../recorder/journal.ts';
import { GatewayError, type ErrorCode } from './errors.ts';
import type { Exchange } from './exchange.ts';
import type { Asked } from './identify.ts';
import type { Frame, Reply } from './types.ts';
import { errorFrame, resultFrame } from './wire/frame.ts';

/** Codes by which policy or people say no: the model should read them, so a tool's caller gets them as a tool result. */
const isPolicy = (error: GatewayError): boolean => error.row.rpc >= 1001 && error.row.rpc < 1200;

/** Codes whose text must not tell a hidden thing from one that does not exist. */
const BLIND: ReadonlySet<ErrorCode> = new Set(['name_unknown', 'connection_unknown']);

/** The answer that says no: a tool result the model reads, or a JSON-RPC error; with the rule, the exchange and what can be done next. */
export function denialFrame(
  error: GatewayError,
  asked: Asked | undefined,
  id: string | undefined,
  exchange: string | undefined,
): Frame {
  const remedy =
    typeof error.data['remedy'] === 'string' && error.data['remedy'] !== '' ? error.data['remedy'] : error.row.remedy;
  const data: JsonObject = {
    code: error.code,
    ...(error.data as JsonObject),
    ...(exchange === undefined ? {} : { exchange_id: exchange }),
    remedy,
  };
  if (error.code === 'review_pending' && asked?.frame?.method === 'tools/call' && id !== undefined) {
    const envelope = error.data as JsonObject;
    return toolResult(id, JSON.stringify(envelope), asked, {
      isError: true,
      _meta: { 'portcullis/pending': envelope },
    });
  }
  if (isPolicy(error) && asked?.frame?.method === 'tools/call' && id !== undefined) {
    const text = `${error.message}\n\nWhat you can do: ${remedy}`;
    return toolResult(id, text, asked, { isError: true, _meta: { 'portcullis/denial': data } });
  }
  const body = { code: error.row.rpc, message: error.message };
  return errorFrame(id, BLIND.has(error.code) ? body : { ...body, data: data as Json });
}

/** A tool result made by the gateway, valid in the caller's revision. */
export function toolResult(id: string, text: string, asked: Asked, members: JsonObject): Frame {
  const result = {
    content: [{ type: 'text', text }],
    ...members,
    ...(asked.era === 'modern' ? { resultType: 'complete' } : {}),
  };
  return resultFrame(id, JSON.stringify(result));
}

/** HTTP status of a refusal; on the modern wire an unknown method is 404 (its other errors are the table's). */
function statusOf(error: GatewayError, asked: Asked | undefined): number {
  if (error.code === 'method_unknown' && asked?.era === 'modern') return 404;
  // A notification gets no JSON-RPC answer, so its refusal is an HTTP error (duty H-08).
  const isRequest = asked?.frame === undefined || asked.frame.kind === 'request';
  return isRequest || error.row.http !== 200 ? error.row.http : 403;
}

/** What happened, as an error of the table: an unexpected fault says nothing of itself to the client. */
export function toGatewayError(fault: unknown): GatewayError {
  if (fault instanceof GatewayError) return fault;
  // The store could not take what the call needs to be held or decided.
  if (fault instanceof RecordUnavailable) return new GatewayError('record_unavailable', '', { cause: fault });
  return new GatewayError('internal', '', { cause: fault });
}

/** The final reply of a call that fails or is refused; inside an open stream it is the stream's last event. */
export function refusalReply(
  error: GatewayError,
  asked: Asked | undefined,
  id: string | undefined,
  exchange: Exchange | undefined,
  headers: Readonly<Record<string, string>>,
): Reply {
  const frame = denialFrame(error, asked, id, exchange?.id);
  if (exchange?.streaming === true) return { status: 200, mode: 'sse', headers: {}, outbound: [{ frame }] };
  return { status: statusOf(error, asked), mode: 'json', headers, outbound: [{ frame }] };
}
