import type { JsonObject } from '../policies/types.ts';
import type { Arrival, Frame } from './types.ts';

const MEMBERS: ReadonlySet<string> = new Set(['jsonrpc', 'id', 'method', 'params']);
const HEADERS = ['accept', 'baggage', 'traceparent', 'tracestate', 'last-event-id'] as const;
const USUAL_ACCEPT = 'application/json, text/event-stream';

/**
 * The JSON text of what goes to the upstream beside the params, for input rules to read: an id that is a text, members that JSON-RPC
 * does not know, headers that are passed on (PROTOCOL duty J-04). Undefined when there is nothing of that. Of a client's answer the
 * whole text is read anyway.
 */
export function besideOf(arrival: Pick<Arrival, 'headers'>, frame: Frame | undefined): string | undefined {
  const beside: [string, string][] = [];
  if (frame !== undefined && frame.kind !== 'response') {
    if (frame.id?.startsWith('"') === true) beside.push(['id', frame.id]);
    const more = unknownMembers(frame.value);
    if (more !== undefined) beside.push(['members', JSON.stringify(more)]);
  }
  const headers = passedOn(arrival.headers);
  if (headers !== undefined) beside.push(['headers', JSON.stringify(headers)]);
  if (beside.length === 0) return undefined;
  return `{${beside.map(([key, text]) => `"${key}":${text}`).join(',')}}`;
}

function unknownMembers(message: JsonObject): JsonObject | undefined {
  let more: JsonObject | undefined;
  for (const key of Object.keys(message)) {
    if (!MEMBERS.has(key)) (more ??= Object.create(null) as JsonObject)[key] = message[key]!;
  }
  return more;
}

/** `Mcp-Param-*` is read with its name, of which the client chooses a part too. */
function passedOn(headers: Arrival['headers']): JsonObject | undefined {
  let passed: JsonObject | undefined;
  const add = (name: string): void => {
    const value = headers[name];
    if (typeof value === 'string') (passed ??= {})[name] = value;
  };
  for (const name of HEADERS) if (name !== 'accept' || headers.accept !== USUAL_ACCEPT) add(name);
  for (const name of Object.keys(headers)) if (name.startsWith('mcp-param-')) add(name);
  return passed;
}
