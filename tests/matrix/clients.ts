import { Client as Client2, StreamableHTTPClientTransport as Transport2 } from '@modelcontextprotocol/client';
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as Transport1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';

/** What the person and the model behind every client of the matrix answer. */
export const USER = { username: 'Grace', email: 'grace@example.com' };
export const REPLY = 'a reply of the model';

export interface CallOptions {
  readonly onprogress?: (progress: { readonly progress: number }) => void;
  readonly signal?: AbortSignal;
}

/** One published client, in one era, connected. */
export interface Member {
  tools(): Promise<readonly string[]>;
  call(name: string, args?: Record<string, unknown>, options?: CallOptions): Promise<string>;
  /** Resolves when the client was told that the tools changed. */
  readonly toolsChanged: Promise<void>;
  /** True once the client listens for changes. */
  readonly listening: Promise<unknown>;
  close(): Promise<void>;
}

const CAPABILITIES = { elicitation: {}, sampling: {}, roots: {} };
const accept = async (): Promise<{ action: 'accept'; content: Record<string, string> }> => ({
  action: 'accept',
  content: USER,
});
const reply = async (): Promise<{ model: string; role: 'assistant'; content: { type: 'text'; text: string } }> => ({
  model: 'none',
  role: 'assistant',
  content: { type: 'text', text: REPLY },
});

type Connect = (url: string, token: string) => Promise<Member>;

/** Everything that the transport fetches carries the token; the first stream for listening is told. */
function channel(token: string): {
  readonly options: { readonly requestInit: RequestInit; readonly fetch: typeof fetch };
  readonly listening: Promise<unknown>;
} {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  return {
    listening: promise,
    options: {
      requestInit: { headers: { Authorization: `Bearer ${token}` } },
      async fetch(input, init) {
        const response = await fetch(input, init);
        const isListen = typeof init?.body === 'string' && init.body.includes('"subscriptions/listen"');
        if (init?.method === 'GET' || isListen) resolve(response.status);
        return response;
      },
    },
  };
}

const textOf = (result: unknown): string =>
  ((result as { content?: { text?: string }[] }).content ?? []).map(({ text }) => text ?? '').join(' ');

const connect1: Connect = async (url, token) => {
  const changed = Promise.withResolvers<void>();
  const { options, listening } = channel(token);
  const client = new Client1(
    { name: 'sdk-1', version: '1' },
    { capabilities: CAPABILITIES, listChanged: { tools: { onChanged: () => changed.resolve() } } },
  );
  client.setRequestHandler(ElicitRequestSchema, accept);
  client.setRequestHandler(CreateMessageRequestSchema, reply);
  const transport = new Transport1(new URL(url), options);
  await client.connect(transport as Parameters<typeof client.connect>[0]);
  return {
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (name, args = {}, given = {}) =>
      textOf(await client.callTool({ name, arguments: args }, undefined, given)),
    toolsChanged: changed.promise,
    listening,
    close: () => client.close(),
  };
};

const connect2 =
  (versionNegotiation: { mode: 'legacy' | 'auto' } | { mode: { pin: string } }): Connect =>
  async (url, token) => {
    const changed = Promise.withResolvers<void>();
    const { options, listening } = channel(token);
    const client = new Client2(
      { name: 'sdk-2', version: '1' },
      {
        capabilities: CAPABILITIES,
        versionNegotiation,
        listChanged: { tools: { onChanged: () => changed.resolve() } },
      },
    );
    client.setRequestHandler('elicitation/create', accept);
    client.setRequestHandler('sampling/createMessage', reply);
    await client.connect(new Transport2(new URL(url), options));
    return {
      tools: async () => (await client.listTools()).tools.map(({ name }) => name),
      call: async (name, args = {}, given = {}) => textOf(await client.callTool({ name, arguments: args }, given)),
      toolsChanged: changed.promise,
      listening,
      close: () => client.close(),
    };
  };

/** The official clients: first version, second version in sessions, pinned to 2026-07-28, and choosing by itself. */
export const CLIENTS: Readonly<Record<string, Connect>> = {
  'SDK v1 (sessions)': connect1,
  'SDK v2 (sessions)': connect2({ mode: 'legacy' }),
  'SDK v2 (2026-07-28 only)': connect2({ mode: { pin: '2026-07-28' } }),
  'SDK v2 (chooses)': connect2({ mode: 'auto' }),
};
