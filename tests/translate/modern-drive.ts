import { Abort } from '../../proxy/abort.ts';
import type { Caller, Upstream } from '../../proxy/forward/upstream.ts';
import { decodeFrame, FRAME_LIMITS } from '../../proxy/wire/frame.ts';
import type { Json, JsonObject, Principal } from '../../policies/types.ts';

/** One modern request to a face, and what comes back. */
export interface Asking {
  readonly who?: string;
  readonly id?: string;
  readonly capabilities?: JsonObject;
  readonly meta?: JsonObject;
  readonly abort?: Abort;
  /** The exact text of `params.arguments`. */
  readonly raw?: string;
}

export interface Told {
  readonly status: number;
  readonly mode: string;
  /** Every message, as text. */
  readonly texts: readonly string[];
  readonly messages: readonly JsonObject[];
  /** The last message. */
  readonly final: JsonObject;
}

export const PREFIX = 'io.modelcontextprotocol/';

const personOf = (subject: string): Principal => ({
  issuer: 'https://idp.test',
  subject,
  groups: [],
  roles: [],
  authenticatedBy: 'token',
  actors: [],
});

/** The caller as the pipeline would name him. */
export function callerOf(subject: string, method: string): Caller {
  const principal = personOf(subject);
  return {
    principal,
    era: 'modern',
    arrival: {
      credentials: { type: 'proven', principal, address: 'test' },
      httpMethod: 'POST',
      route: '/mcp',
      connection: 'default',
      headers: {},
      rawHeaders: [],
      body: Buffer.alloc(0),
      gone: new Abort(),
    },
    call: {
      connection: 'default',
      kind: 'protocol',
      method,
      name: '',
      arguments: {},
      text: '{}',
      annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true },
    },
  };
}

/** The text of a request as a modern client writes it. */
export function modernText(method: string, params: JsonObject, asking: Asking = {}): string {
  const { id = '1', capabilities = {}, meta = {}, raw } = asking;
  const _meta = {
    [`${PREFIX}protocolVersion`]: '2026-07-28',
    [`${PREFIX}clientCapabilities`]: capabilities,
    [`${PREFIX}clientInfo`]: { name: 'driver', version: '1' },
    ...meta,
  };
  const own = JSON.stringify({ ...params, _meta }).slice(1);
  return `{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(method)},"params":{${raw === undefined ? '' : `"arguments":${raw},`}${own}}`;
}

interface Piece {
  readonly status: number;
  readonly mode: string;
  readonly text: string;
}

/** Sends one request through the face; its messages as they come. */
export function stream(
  face: Upstream,
  method: string,
  params: JsonObject = {},
  asking: Asking = {},
): AsyncGenerator<Piece> {
  return streamText(face, method, modernText(method, params, asking), asking);
}

/** The same for a request as it is written. */
export async function* streamText(
  face: Upstream,
  method: string,
  request: string,
  asking: Asking = {},
): AsyncGenerator<Piece> {
  const answer = await face.send({
    httpMethod: 'POST',
    frame: decodeFrame(Buffer.from(request), FRAME_LIMITS),
    headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': method, 'mcp-param-x': '1', traceparent: 'trace' },
    signal: asking.abort ?? new Abort(),
    caller: callerOf(asking.who ?? 'ada', method),
  });
  const { status, mode } = answer;
  if (answer.events === undefined) {
    yield { status, mode, text: answer.body?.toString() ?? '' };
    return;
  }
  for await (const events of answer.events) {
    for (const { data } of events) if (data !== undefined) yield { status, mode, text: data };
  }
}

/** The whole answer. */
export async function ask(face: Upstream, method: string, params: JsonObject = {}, asking: Asking = {}): Promise<Told> {
  const texts: string[] = [];
  let status = 0;
  let mode = '';
  for await (const each of stream(face, method, params, asking)) {
    ({ status, mode } = each);
    if (each.text !== '') texts.push(each.text);
  }
  const messages = texts.map((text) => JSON.parse(text) as JsonObject);
  return { status, mode, texts, messages, final: messages.at(-1) ?? {} };
}

export const call = (face: Upstream, name: string, args: JsonObject = {}, asking: Asking = {}): Promise<Told> =>
  ask(face, 'tools/call', { name, arguments: args }, asking);

/** A member of a message, by path. */
export function at(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  let it = value;
  for (const step of path) it = (it as JsonObject | undefined)?.[step];
  return it;
}
