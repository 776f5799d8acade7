import { Abort, type Signal } from '../abort.ts';
import type { Json, JsonObject, Principal } from '../../policies/types.ts';
import { GatewayError } from '../errors.ts';
import type { Arrival, Era, Frame, Reply } from '../types.ts';
import { notificationFrame, requestFrame } from '../wire/frame.ts';
import { LEGACY_VERSIONS, MODERN_VERSIONS } from '../wire/era.ts';
import { member } from '../wire/member.ts';
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
  /** How long `server/discover` may take: a command that does not know it may stay silent. */
  readonly discoverMs?: number;
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
    signal: Signal = this.#options.signal,
    review?: string,
  ): Promise<InsideAnswer> {
    const { ask, connection, principal, address } = this.#options;
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
    const headers = { 'mcp-protocol-version': version, 'mcp-method': method };
    const { discoverMs, signal } = this.#options;
    if (method !== 'server/discover' || discoverMs === undefined) return this.send(frame, 'POST', headers);
    return patiently(signal, discoverMs, (patience) => this.send(frame, 'POST', headers, patience));
  }

  /** Opens a legacy session; answers the initialize result. */
  async initialize(): Promise<JsonObject> {
    return resultOf(await this.tryInitialize());
  }

  /** Opens a legacy session if the upstream has such; whoever is refused reads the answer. */
  async tryInitialize(): Promise<InsideAnswer> {
    const params = { protocolVersion: LEGACY_VERSIONS[0]!, capabilities: {}, clientInfo: CLIENT };
    const answer = await this.send(requestFrame(this.#id(), 'initialize', params), 'POST', {});
    const result = member(answer.frames.at(-1)?.value, 'result');
    if (result === undefined) return answer;
    this.#session = answer.headers['mcp-session-id'];
    const version = member(result, 'protocolVersion');
    if (typeof version === 'string') this.#negotiated = version;
    await this.send(notificationFrame('notifications/initialized'), 'POST', this.#version());
    return answer;
  }

  /** A request inside the legacy session. */
  legacy(method: string, params: JsonObject = {}): Promise<InsideAnswer> {
    return this.send(requestFrame(this.#id(), method, params), 'POST', this.#version());
  }

  /** A message that was held, exactly as it came; it alone spends the approval. `mirrored` are its `Mcp-Param-*` headers. */
  repeat(frame: Frame, era: Era, mirrored: Readonly<Record<string, string>> = {}): Promise<InsideAnswer> {
    const { signal, review } = this.#options;
    if (era === 'legacy') return this.send(frame, 'POST', this.#version(), signal, review);
    const params = frame.value['params'] as JsonObject;
    const name = params['name'] ?? params['uri'] ?? params['taskId'];
    const headers = {
      'mcp-protocol-version': MODERN_VERSIONS[0]!,
      'mcp-method': frame.method ?? '',
      ...(typeof name === 'string' ? { 'mcp-name': encodeMirrored(name) } : {}),
      ...mirrored,
    };
    return this.send(frame, 'POST', headers, signal, review);
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

/** Gives up after so long, or when the outer signal does. */
async function patiently<T>(outer: Signal, ms: number, run: (signal: Signal) => Promise<T>): Promise<T> {
  const inner = new Abort();
  const abort = (): void => inner.abort();
  const timer = setTimeout(abort, ms);
  if (outer.aborted) abort();
  else outer.on(abort);
  try {
    return await run(inner);
  } finally {
    clearTimeout(timer);
    outer.off(abort);
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
