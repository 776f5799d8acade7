import type { JsonObject } from '../policies/types.ts';
import { send, type Answer } from './gateway.ts';

export interface SessionOptions {
  readonly version?: string;
  readonly capabilities?: JsonObject;
}

/** A legacy session as a bare client sees it: each message is one HTTP request. */
export interface TestSession {
  readonly id: string;
  readonly opened: Answer;
  request(method: string, params?: JsonObject, id?: number | string): Promise<Answer>;
  /** Any text as the body of a POST. */
  post(text: string, headers?: Record<string, string>): Promise<Answer>;
  /** An open SSE answer to this POST, or the GET stream when there is no text. */
  stream(text?: string): Promise<TestStream>;
  end(): Promise<Answer>;
}

export interface TestStream {
  readonly status: number;
  /** The JSON of the next event that has any; undefined at the end. */
  next(): Promise<JsonObject | undefined>;
  /** Everything that came so far and was not parsed, byte for byte. */
  readonly seen: () => string;
  leave(): Promise<void>;
}

/** Initializes a session and says so; the answers are those of the gateway. */
export async function openSession(url: string, token: string, options: SessionOptions = {}): Promise<TestSession> {
  const { version = '2025-11-25', capabilities = {} } = options;
  const params = { protocolVersion: version, capabilities, clientInfo: { name: 'test', version: '1' } };
  const opened = await send(url, token, JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }));
  const id = opened.headers.get('mcp-session-id') ?? '';
  const headers = { 'mcp-session-id': id, ...(version === '2025-03-26' ? {} : { 'mcp-protocol-version': version }) };
  const post = (text: string, more: Record<string, string> = {}): Promise<Answer> =>
    send(url, token, text, { ...headers, ...more });
  if (id !== '') await post(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }));
  return {
    id,
    opened,
    post,
    request: (method, given = {}, requestId = 1) =>
      post(JSON.stringify({ jsonrpc: '2.0', id: requestId, method, params: given })),
    stream: (text) => openStream(url, token, text, headers),
    end: () => send(url, token, undefined, headers, 'DELETE'),
  };
}

/** Reads an SSE answer event by event. */
export async function openStream(
  url: string,
  token: string,
  text: string | undefined,
  headers: Record<string, string> = {},
): Promise<TestStream> {
  const stop = new AbortController();
  const response = await fetch(url, {
    method: text === undefined ? 'GET' : 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      accept: text === undefined ? 'text/event-stream' : 'application/json, text/event-stream',
      ...(text === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    signal: stop.signal,
    ...(text === undefined ? {} : { body: text }),
  });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let seen = '';
  let rest = '';
  return {
    status: response.status,
    seen: () => seen,
    async next() {
      for (;;) {
        const end = rest.indexOf('\n\n');
        if (end < 0) {
          const { done, value } = await reader.read();
          if (done) return undefined;
          seen += value;
          rest += value;
          continue;
        }
        const data = rest
          .slice(0, end)
          .split('\n')
          .filter((line) => line.startsWith('data: {'));
        rest = rest.slice(end + 2);
        if (data.length > 0) return JSON.parse(data.map((line) => line.slice(6)).join('')) as JsonObject;
      }
    },
    async leave() {
      stop.abort();
      await reader.cancel().catch(() => undefined);
    },
  };
}
