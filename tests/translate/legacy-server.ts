import { randomUUID } from 'node:crypto';
import http, { type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import {
  CreateMessageResultSchema,
  ElicitResultSchema,
  ListRootsResultSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
  UrlElicitationRequiredError,
} from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';

export interface LegacyServer {
  readonly url: string;
  readonly sessions: Pick<ReadonlyMap<string, McpServer>, 'size'>;
  /** Ends every session, as a restart would. */
  forget(): void;
  /** Resource URIs that are subscribed to, of all sessions. */
  readonly subscribed: ReadonlySet<string>;
  /** Resolves when a call of `wait` begins, and when one is cancelled. */
  readonly waiting: Promise<void>;
  readonly cancelled: Promise<void>;
  /** Resolves with what asks the client something outside of any request, when a call of `later` has ended. */
  readonly later: Promise<() => Promise<unknown>>;
  close(): Promise<void>;
}

/** What happens in a server, for tests that wait for it. */
export interface Happenings {
  readonly subscribed: Set<string>;
  readonly waiting: () => void;
  readonly cancelled: () => void;
  readonly later: (ask: () => Promise<unknown>) => void;
}

/** A server of the first SDK (up to 2025-11-25), which knows nothing of 2026-07-28. */
export function buildLegacy({ subscribed, waiting, cancelled, later }: Happenings): McpServer {
  const server = new McpServer(
    { name: 'legacy', version: '1' },
    { capabilities: { logging: {}, resources: { subscribe: true } }, instructions: 'old but good' },
  );
  const text = (value: unknown): { content: { type: 'text'; text: string }[] } => ({
    content: [{ type: 'text', text: JSON.stringify(value) }],
  });
  server.registerTool('echo', { inputSchema: { text: z.string() } }, async (args) => text(args));
  server.registerTool('steps', { inputSchema: { name: z.string() } }, async ({ name }, extra) => {
    const { progressToken } = extra._meta ?? {};
    for (let progress = 1; progress <= 3 && progressToken !== undefined; progress += 1) {
      const params = { progressToken, progress, message: name };
      await extra.sendNotification({ method: 'notifications/progress', params });
    }
    return text(name);
  });
  server.registerTool('log', {}, async (extra) => {
    for (const level of ['debug', 'error'] as const)
      await extra.sendNotification({ method: 'notifications/message', params: { level, data: level } });
    return text('logged');
  });
  server.registerTool('elicit', {}, async (extra) => {
    const requestedSchema = { type: 'object' as const, properties: { name: { type: 'string' as const } } };
    const params = { mode: 'form' as const, message: 'who are you?', requestedSchema };
    return text(await extra.sendRequest({ method: 'elicitation/create', params }, ElicitResultSchema));
  });
  server.registerTool('open', {}, async (extra) => {
    const params = { mode: 'url' as const, message: 'open it', url: 'https://example.test/x', elicitationId: 'e' };
    return text(await extra.sendRequest({ method: 'elicitation/create', params }, ElicitResultSchema));
  });
  let signedIn = false;
  server.registerTool('gated', {}, async () => {
    if (signedIn) return text('welcome');
    signedIn = true;
    throw new UrlElicitationRequiredError([
      { mode: 'url', message: 'sign in', url: 'https://example.test/in', elicitationId: 'g' },
    ]);
  });
  server.registerTool('sample', {}, async (extra) => {
    const messages = [{ role: 'user' as const, content: { type: 'text' as const, text: 'say hi' } }];
    const params = { messages, maxTokens: 5 };
    return text(await extra.sendRequest({ method: 'sampling/createMessage', params }, CreateMessageResultSchema));
  });
  server.registerTool('roots', {}, async (extra) =>
    text(await extra.sendRequest({ method: 'roots/list' }, ListRootsResultSchema)),
  );
  // What follows asks outside of the request that it belongs to.
  const aside = (message: string): Promise<unknown> =>
    server.server.elicitInput({
      message,
      requestedSchema: { type: 'object', properties: { name: { type: 'string' } } },
    });
  server.registerTool('aside', { inputSchema: { message: z.string() } }, async ({ message }) =>
    text([message, await aside(message)]),
  );
  server.registerTool('roots-aside', {}, async () => text(await server.server.listRoots()));
  server.registerTool('later', {}, async () => {
    later(() => aside('too late'));
    return text('asked later');
  });
  // Asks, and does not wait with what it has to say until it is answered.
  server.registerTool('flood', {}, async (extra) => {
    const asked = extra.sendRequest({ method: 'roots/list' }, ListRootsResultSchema);
    const { progressToken } = extra._meta ?? {};
    const message = 'x'.repeat(50_000);
    // All at once: before it reads anything more.
    const told = Array.from({ length: 30 }, (_, progress) =>
      extra.sendNotification({
        method: 'notifications/progress',
        params: { progressToken: progressToken!, progress, message },
      }),
    );
    await Promise.all(told);
    return text(await asked);
  });
  server.registerTool('wait', {}, async (extra) => {
    waiting();
    const { progressToken } = extra._meta ?? {};
    if (progressToken !== undefined)
      await extra.sendNotification({ method: 'notifications/progress', params: { progressToken, progress: 1 } });
    await new Promise<void>((resolve) => extra.signal.addEventListener('abort', () => resolve()));
    cancelled();
    return text('never');
  });
  server.registerTool('grow', {}, async () => {
    server.registerTool(`grown-${randomUUID()}`, {}, async () => text('new'));
    return text('grown');
  });
  server.registerTool('touch', { inputSchema: { uri: z.string() } }, async ({ uri }) => {
    await server.server.sendResourceUpdated({ uri });
    return text('touched');
  });
  server.registerResource('note', 'note://one', {}, async ({ href }) => ({ contents: [{ uri: href, text: 'one' }] }));
  server.registerPrompt('letter', {}, async () => ({
    messages: [{ role: 'user', content: { type: 'text', text: 'dear' } }],
  }));
  server.server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
    subscribed.add(params.uri);
    return {};
  });
  server.server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => {
    subscribed.delete(params.uri);
    return {};
  });
  return server;
}

/**
 * It over stateful Streamable HTTP on `/mcp`, and over HTTP+SSE (2024-11-05) on `/sse`. With `enableJsonResponse` calls have no
 * streams of their own.
 */
export async function startLegacyServer(enableJsonResponse = false): Promise<LegacyServer> {
  const sessions = new Map<string, McpServer>();
  const transports = new Map<string, StreamableHTTPServerTransport>();
  const streams = new Map<string, SSEServerTransport>();
  const subscribed = new Set<string>();
  const waiting = Promise.withResolvers<void>();
  const cancelled = Promise.withResolvers<void>();
  const later = Promise.withResolvers<() => Promise<unknown>>();
  const build = (): McpServer =>
    buildLegacy({
      subscribed,
      waiting: () => waiting.resolve(),
      cancelled: () => cancelled.resolve(),
      later: (ask) => later.resolve(ask),
    });

  const opened = async (): Promise<StreamableHTTPServerTransport> => {
    const server = build();
    const transport: StreamableHTTPServerTransport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      enableJsonResponse,
      onsessioninitialized: (id) => {
        sessions.set(id, server);
        transports.set(id, transport);
      },
      onsessionclosed: (id) => {
        sessions.delete(id);
        transports.delete(id);
      },
    });
    await server.connect(transport as Parameters<typeof server.connect>[0]);
    return transport;
  };

  const listener = http.createServer((req, res) => {
    void (async () => {
      const { pathname, searchParams } = new URL(req.url ?? '/', 'http://localhost');
      if (pathname === '/sse') {
        const transport = new SSEServerTransport('/message', res);
        streams.set(transport.sessionId, transport);
        await build().connect(transport);
        return;
      }
      if (pathname === '/message') {
        await streams.get(searchParams.get('sessionId') ?? '')!.handlePostMessage(req, res);
        return;
      }
      const id = req.headers['mcp-session-id'];
      const body = req.method === 'POST' ? await read(req) : undefined;
      const known = typeof id === 'string' ? transports.get(id) : undefined;
      const transport = known ?? (id === undefined && isInitialize(body) ? await opened() : undefined);
      if (transport === undefined) {
        const error = { jsonrpc: '2.0', id: null, error: { code: -32001, message: 'Session not found' } };
        res.writeHead(id === undefined ? 400 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(error));
        return;
      }
      await transport.handleRequest(req, res, body);
    })();
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}/mcp`,
    sessions,
    subscribed,
    waiting: waiting.promise,
    cancelled: cancelled.promise,
    later: later.promise,
    forget() {
      transports.clear();
      sessions.clear();
    },
    async close() {
      const closed = new Promise((resolve) => listener.close(resolve));
      listener.closeAllConnections();
      await closed;
    },
  };
}

const isInitialize = (body: unknown): boolean => (body as { method?: unknown } | undefined)?.method === 'initialize';

async function read(req: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString());
}
