import type { Signal } from '../abort.ts';
import type { Json, JsonObject, Principal } from '../../policies/types.ts';
import { GatewayError } from '../errors.ts';
import type { Arrival, Era, Frame, Reply } from '../types.ts';
import { notificationFrame, requestFrame } from '../wire/frame.ts';
import { LEGACY_VERSIONS, MODERN_VERSIONS } from '../wire/era.ts';
import { encodeMirrored } from '../wire/mirrored.ts';

/** The pipeline, as seen by those who ask it something from inside. */
export type Ask = (arrival: Arrival) => AsyncGenerator<Reply>;

export interface InsideOptions {
  readonly ask: Ask;
  readonly connection: string;
  readonly principal: Principal;
  readonly address: string;
  readonly signal: Signal;
  /** The approved review that the message executes. */
  readonly review?: string;
}

/** The whole of one answer, in order; the final frame last. */
export interface InsideAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly frames: readonly Frame[];
}

const CLIENT = { name: 'portcullis', version: '1' };

/**
 * An MCP client on the inner side of the door: what the gateway itself asks, and approved calls being executed, walk the
 * same pipeline as any client's frame. One client is one conversation: a legacy session, or stateless.
 */
export class InsideClient {
  readonly #options: InsideOptions;
  #session: string | undefined;
  #negotiated = LEGACY_VERSIONS[0]!;
  #next = 1;

  constructor(options: InsideOptions) {
    this.#options = options;
  }

  /** Sends one message as it is and collects its answer. */
  async send(
    frame: Frame | undefined,
    httpMethod: 'POST' | 'DELETE',
    headers: Record<string, string>,
  ): Promise<InsideAnswer> {
    const { ask, connection, principal, address, signal, review } = this.#options;
    const all: Record<string, string> = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...headers,
      ...(this.#session === undefined ? {} : { 'mcp-session-id': this.#session }),
    };
    const replies = ask({
      credentials: { type: 'proven', principal, address },
      httpMethod,
      route: `/mcp/${connection}`,
      connection,
      headers: all,
      rawHeaders: Object.entries(all).flat(),
      body: frame?.bytes ?? Buffer.alloc(0),
      gone: signal,
      ownSession: true,
      ...(review === undefined ? {} : { review }),
    });
    let status = 0;
    let answered: Readonly<Record<string, string>> = {};
    const frames: Frame[] = [];
    for await (const reply of replies) {
      status = reply.status;
      answered = reply.headers;
      for (const out of reply.outbound) if ('frame' in out) frames.push(out.frame);
    }
    return { status, headers: answered, frames };
  }

  /** A modern request (2026-07-28) with its envelope and headers. */
  modern(method: string, params: JsonObject = {}): Promise<InsideAnswer> {
    const version = MODERN_VERSIONS[0]!;
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': version,
      'io.modelcontextprotocol/clientCapabilities': {},
      'io.modelcontextprotocol/clientInfo': CLIENT,
    };
    const frame = requestFrame(this.#id(), method, { ...params, _meta });
    return this.send(frame, 'POST', { 'mcp-protocol-version': version, 'mcp-method': method });
  }

  /** Opens a legacy session; answers the initialize result. */
  async initialize(): Promise<JsonObject> {
    const params = { protocolVersion: LEGACY_VERSIONS[0]!, capabilities: {}, clientInfo: CLIENT };
    const answer = await this.send(requestFrame(this.#id(), 'initialize', params), 'POST', {});
    const result = resultOf(answer);
    this.#session = answer.headers['mcp-session-id'];
    const version = result['protocolVersion'];
    if (typeof version === 'string') this.#negotiated = version;
    await this.send(notificationFrame('notifications/initialized'), 'POST', this.#version());
    return result;
  }

  /** A request inside the legacy session. */
  legacy(method: string, params: JsonObject = {}): Promise<InsideAnswer> {
    return this.send(requestFrame(this.#id(), method, params), 'POST', this.#version());
  }

  /** A message that was held, exactly as it came. */
  repeat(frame: Frame, era: Era): Promise<InsideAnswer> {
    if (era === 'legacy') return this.send(frame, 'POST', this.#version());
    const params = frame.value['params'] as JsonObject;
    const name = params['name'] ?? params['uri'] ?? params['taskId'];
    return this.send(frame, 'POST', {
      'mcp-protocol-version': MODERN_VERSIONS[0]!,
      'mcp-method': frame.method ?? '',
      ...(typeof name === 'string' ? { 'mcp-name': encodeMirrored(name) } : {}),
    });
  }

  async close(): Promise<void> {
    if (this.#session !== undefined) await this.send(undefined, 'DELETE', this.#version());
  }

  #id(): string {
    return JSON.stringify(`portcullis-${this.#next++}`);
  }

  #version(): Record<string, string> {
    return { 'mcp-protocol-version': this.#negotiated };
  }
}

/** The result of the final frame; throws when the answer is an error. */
export function resultOf(answer: InsideAnswer): JsonObject {
  const value: Json | undefined = answer.frames.at(-1)?.value;
  const result = value === undefined ? undefined : (value as JsonObject)['result'];
  if (typeof result !== 'object' || result === null || Array.isArray(result)) {
    throw new GatewayError('upstream_invalid', `status ${answer.status} without a result`);
  }
  return result;
}
