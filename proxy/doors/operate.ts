import type { IncomingHttpHeaders } from 'node:http';
import type { Signal } from '../abort.ts';
import type { JsonObject } from '../../policies/types.ts';
import { ERRORS, type ErrorCode } from '../errors.ts';
import type { Gateway } from '../gateway.ts';
import { handle } from '../pipeline.ts';
import type { Credentials } from '../types.ts';
import { requestFrame } from '../wire/frame.ts';

export interface OperationAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The operation's result, or `{ error: { code, message, ... } }`. */
  readonly body: JsonObject;
}

/** Runs one operation through the pipeline, as REST, console and CLI do: a tool call to the connection `gateway`. */
export async function operate(
  gateway: Gateway,
  credentials: Credentials,
  route: string,
  operation: string,
  args: () => JsonObject | Promise<JsonObject>,
  inbound: IncomingHttpHeaders,
  gone: Signal,
): Promise<OperationAnswer> {
  const { host, origin } = inbound;
  const headers: IncomingHttpHeaders = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    ...(host === undefined ? {} : { host }),
    ...(origin === undefined ? {} : { origin }),
  };
  let value: JsonObject = {};
  let status = 500;
  let answered: Readonly<Record<string, string>> = {};
  const replies = handle(
    {
      credentials,
      httpMethod: 'POST',
      route,
      connection: 'gateway',
      headers,
      rawHeaders: Object.entries(headers).flat() as string[],
      body: async () => requestFrame('"operation"', 'tools/call', { name: operation, arguments: await args() }).bytes,
      gone,
    },
    gateway,
  );
  for await (const reply of replies) {
    status = reply.status;
    answered = reply.headers;
    for (const out of reply.outbound) if ('frame' in out) value = out.frame.value;
  }
  return { ...interpret(value, status), headers: answered };
}

function interpret(value: JsonObject, status: number): { status: number; body: JsonObject } {
  const result = value['result'] as
    | { isError?: boolean; structuredContent?: JsonObject; content?: { text?: string }[]; _meta?: JsonObject }
    | undefined;
  if (result !== undefined && result.isError !== true) return { status: 200, body: result.structuredContent ?? {} };
  const error = value['error'] as { message?: string; data?: JsonObject } | undefined;
  const data = error?.data ?? (result?._meta?.['portcullis/denial'] as JsonObject | undefined) ?? {};
  const message = error?.message ?? result?.content?.[0]?.text ?? 'internal error';
  return { status: statusOf(data['code'], status), body: { error: { message, ...data } } };
}

/** What MCP says with 200 and a code, REST says with a status. */
function statusOf(code: unknown, status: number): number {
  if (typeof code !== 'string' || !Object.hasOwn(ERRORS, code)) return status === 200 ? 404 : status;
  const known = code as ErrorCode;
  if (ERRORS[known].http !== 200) return ERRORS[known].http;
  switch (known) {
    case 'arguments_invalid':
      return 400;
    case 'not_found':
    case 'review_not_found':
    case 'name_unknown':
      return 404;
    case 'review_wrong_state':
    case 'review_spent':
      return 409;
    case 'review_pending':
      return 202;
    case 'record_unavailable':
    case 'record_lost':
      return 503;
    default:
      return 403;
  }
}
