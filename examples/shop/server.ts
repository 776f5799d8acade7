import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { localhostHostValidation, localhostOriginValidation, toWebRequest } from '@modelcontextprotocol/node';
import {
  createMcpHandler,
  isLegacyRequest,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';
import { openDatabase } from './database.ts';
import { createShopServer } from './mcp.ts';

const MAX_CALLS = 1000;
const MAX_SESSIONS = 1000;

export interface ShopOptions {
  /** 0 or absent: any free port. */
  readonly port?: number;
  readonly host?: string;
  /** A file for the data; absent: in memory. */
  readonly database?: string;
  /** Answer 401 to every request that lacks this header with this value. */
  readonly require?: { readonly header: string; readonly value: string };
}

/** One JSON-RPC message that arrived, or a GET or DELETE, whatever was answered to it. */
export interface ShopCall {
  /** The JSON-RPC method; `GET` and `DELETE` for those requests, `response` for a posted answer, `unreadable` for other bodies. */
  readonly method: string;
  /** Name of the tool or prompt, URI of the resource. */
  readonly name: string | undefined;
  readonly arguments: unknown;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Shop {
  readonly url: string;
  readonly port: number;
  /** The newest 1,000 calls, oldest first. */
  readonly calls: readonly ShopCall[];
  /** How many requests carried an Authorization header. */
  readonly authorizations: number;
  /** Ends at once, open streams and running tools included. */
  close(): Promise<void>;
}

/** Serves the shop at `/mcp`, in the revisions with sessions and in 2026-07-28. */
export async function startShop(options: ShopOptions = {}): Promise<Shop> {
  const host = options.host ?? '127.0.0.1';
  const data = openDatabase(options.database);
  const stop = new AbortController();
  const calls: ShopCall[] = [];
  let authorizations = 0;

  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>();
  const modern = createMcpHandler(() => createShopServer(data, stop.signal), { legacy: 'reject' });

  const serveSession = async (request: Request): Promise<Response> => {
    const id = request.headers.get('mcp-session-id');
    const known = id === null ? undefined : sessions.get(id);
    if (known !== undefined) return known.handleRequest(request);
    if (id !== null) return refuse(404, -32001, 'Session not found');
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized(session) {
        sessions.set(session, transport);
        const [oldest] = sessions;
        if (sessions.size > MAX_SESSIONS && oldest !== undefined) void oldest[1].close();
      },
    });
    // The transport itself answers 400 when the first request is not an initialize.
    await createShopServer(data, stop.signal).connect(transport);
    const forget = transport.onclose;
    transport.onclose = () => {
      if (transport.sessionId !== undefined) sessions.delete(transport.sessionId);
      forget?.();
    };
    return transport.handleRequest(request);
  };

  const serve = async (request: Request): Promise<Response> => {
    if (new URL(request.url).pathname !== '/mcp') return refuse(404, -32600, 'The shop is at /mcp');
    for (const call of await readCalls(request)) {
      calls.push(call);
      if (calls.length > MAX_CALLS) calls.shift();
    }
    if (request.headers.has('authorization')) authorizations += 1;
    if (options.require !== undefined && request.headers.get(options.require.header) !== options.require.value) {
      return refuse(401, -32001, 'The shop wants its credential', { 'www-authenticate': 'Bearer realm="shop"' });
    }
    return (await isLegacyRequest(request)) ? serveSession(request) : modern.fetch(request);
  };

  const loopback = host === '127.0.0.1' || host === '::1' || host === 'localhost';
  const validHost = localhostHostValidation();
  const validOrigin = localhostOriginValidation();
  const server = createServer((req, res) => {
    if (loopback && !(validHost(req, res) && validOrigin(req, res))) return;
    void exchange(req, res, serve);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, host, resolve);
  });
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}/mcp`,
    port,
    calls,
    get authorizations() {
      return authorizations;
    },
    async close() {
      stop.abort();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await Promise.all([closed, modern.close(), ...[...sessions.values()].map((session) => session.close())]);
      data.close();
    },
  };
}

/** Carries one request to `serve` and its answer back; a client that leaves cancels the answer's stream. */
async function exchange(
  req: IncomingMessage,
  res: ServerResponse,
  serve: (request: Request) => Promise<Response>,
): Promise<void> {
  const gone = new AbortController();
  res.once('close', () => {
    if (!res.writableFinished) gone.abort();
  });
  try {
    const answer = await serve(await toWebRequest(req, undefined, { signal: gone.signal }));
    res.writeHead(answer.status, Object.fromEntries(answer.headers));
    if (answer.body === null) {
      res.end();
      return;
    }
    res.flushHeaders();
    await pipeline(Readable.fromWeb(answer.body), res);
  } catch (error) {
    const tooLarge = error instanceof Error && error.name === 'RequestBodyTooLargeError';
    if (res.headersSent || res.destroyed) res.destroy();
    else res.writeHead(tooLarge ? 413 : 500, { connection: 'close' }).end();
  }
}

async function readCalls(request: Request): Promise<readonly ShopCall[]> {
  const headers = Object.fromEntries(request.headers);
  if (request.method !== 'POST') return [{ method: request.method, name: undefined, arguments: undefined, headers }];
  const body = parse(await request.clone().text());
  return (Array.isArray(body) ? body : [body]).map((message) => describe(message, headers));
}

function describe(message: unknown, headers: Readonly<Record<string, string>>): ShopCall {
  if (typeof message !== 'object' || message === null) {
    return { method: 'unreadable', name: undefined, arguments: undefined, headers };
  }
  const { method, params } = message as {
    readonly method?: string;
    readonly params?: { readonly name?: string; readonly uri?: string; readonly arguments?: unknown };
  };
  return { method: method ?? 'response', name: params?.name ?? params?.uri, arguments: params?.arguments, headers };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refuse(status: number, code: number, message: string, headers: Record<string, string> = {}): Response {
  return Response.json({ jsonrpc: '2.0', error: { code, message }, id: null }, { status, headers });
}
