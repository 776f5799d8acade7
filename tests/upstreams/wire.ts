import type { Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { send, type Answer } from '../gateway.ts';

/** An event stream of the gateway, read message by message. */
export interface Stream {
  readonly status: number;
  /** The next message; undefined when the stream ended. */
  next(): Promise<JsonObject | undefined>;
  close(): void;
}

/** Opens an event stream: a POST with this body, or a GET. */
export async function openStream(
  t: Test,
  url: string,
  token: string,
  headers: Record<string, string>,
  body?: string,
): Promise<Stream> {
  const leave = new AbortController();
  t.teardown(() => leave.abort());
  const response = await fetch(url, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      authorization: `Bearer ${token}`,
      ...headers,
    },
    signal: leave.signal,
    ...(body === undefined ? {} : { body }),
  });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  return {
    status: response.status,
    async next() {
      for (;;) {
        const end = text.indexOf('\n\n');
        if (end >= 0) {
          const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1];
          text = text.slice(end + 2);
          if (data !== undefined && data !== '') return JSON.parse(data) as JsonObject;
          continue;
        }
        const { done, value } = await reader.read();
        if (done) return undefined;
        text += value;
      }
    },
    close: () => leave.abort(),
  };
}

/** A legacy session by hand. */
export interface Session {
  readonly first: Answer;
  readonly headers: Readonly<Record<string, string>>;
  post(message: object): Promise<Answer>;
  call(id: string | number, name: string, args?: JsonObject, meta?: JsonObject): Promise<Answer>;
  listen(): Promise<Stream>;
  end(): Promise<Answer>;
}

export const initialize = (id: string | number = 0): string =>
  JSON.stringify({
    jsonrpc: '2.0',
    id,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: { roots: {} }, clientInfo: { name: 'hand', version: '1' } },
  });

export async function openSession(t: Test, url: string, token: string): Promise<Session> {
  const first = await send(url, token, initialize());
  const headers = {
    'mcp-session-id': first.headers.get('mcp-session-id') ?? '',
    'mcp-protocol-version': '2025-06-18',
  };
  const post = (message: object): Promise<Answer> =>
    send(url, token, JSON.stringify({ jsonrpc: '2.0', ...message }), headers);
  if (first.headers.has('mcp-session-id')) await post({ method: 'notifications/initialized' });
  return {
    first,
    headers,
    post,
    call: (id, name, args = {}, meta) =>
      post({
        id,
        method: 'tools/call',
        params: { name, arguments: args, ...(meta === undefined ? {} : { _meta: meta }) },
      }),
    listen: () => openStream(t, url, token, headers),
    end: () => send(url, token, undefined, headers, 'DELETE'),
  };
}

/** What a scripted tool answered. */
export function said(answer: Answer): unknown {
  const result = answer.json['result'] as { content?: readonly { text?: string }[] } | undefined;
  const text = result?.content?.[0]?.text;
  return text === undefined ? undefined : (JSON.parse(text) as unknown);
}

/** The code of the gateway's own error. */
export function codeOf(answer: Answer): unknown {
  const error = answer.json['error'] as { data?: { code?: string } } | undefined;
  return error?.data?.code;
}
