import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import type { Test } from 'tap';
import { z } from 'zod';

/** A 2024-11-05 server of the SDK for JavaScript 1.x: every stream is a session. */
export async function startSdkServer(t: Test): Promise<{ readonly url: string; readonly open: () => number }> {
  const transports = new Map<string, SSEServerTransport>();
  const url = await serve(t, async (req, res) => {
    const { pathname, searchParams } = new URL(req.url!, 'http://localhost');
    if (req.method === 'GET' && pathname === '/sse') {
      const transport = new SSEServerTransport('/messages', res);
      transports.set(transport.sessionId, transport);
      res.on('close', () => transports.delete(transport.sessionId));
      await sdkServer().connect(transport);
      return;
    }
    const transport = transports.get(searchParams.get('sessionId') ?? '');
    if (transport === undefined) res.writeHead(404).end('no such session');
    else await transport.handlePostMessage(req, res);
  });
  return { url: `${url}/sse`, open: () => transports.size };
}

function sdkServer(): McpServer {
  const server = new McpServer({ name: 'sdk-sse', version: '1' }, { capabilities: { logging: {} } });
  server.registerTool('greet', { inputSchema: { who: z.string() } }, async ({ who }, { sendNotification, _meta }) => {
    if (_meta?.progressToken !== undefined) {
      const params = { progressToken: _meta.progressToken, progress: 1, message: `greeting ${who}` };
      await sendNotification({ method: 'notifications/progress', params });
    }
    return { content: [{ type: 'text', text: `hello ${who}` }] };
  });
  server.registerTool('roots', {}, async () => {
    const { roots } = await server.server.listRoots();
    return { content: [{ type: 'text', text: roots.map(({ uri }) => uri).join(' ') }] };
  });
  server.registerTool('change', {}, async () => {
    await server.server.sendToolListChanged();
    return { content: [{ type: 'text', text: 'changed' }] };
  });
  return server;
}

/** One stream of a scripted 2024-11-05 server. */
export interface Line {
  readonly res: ServerResponse;
  /** Sends an event. */
  send(data: unknown, event?: string): void;
}

export interface Script {
  /** What the stream begins with; the endpoint event when absent. */
  readonly open?: (line: Line, req: IncomingMessage) => void;
  /** A message that was posted; answered with 202 when it returns nothing. */
  readonly post?: (message: Record<string, unknown>, line: Line, res: ServerResponse) => number | void;
}

/** A server whose stream says what a test wants; one stream at a time. */
export async function startScript(
  t: Test,
  script: Script,
): Promise<{
  readonly url: string;
  readonly posts: readonly string[];
  readonly headers: readonly IncomingMessage['headers'][];
}> {
  const posts: string[] = [];
  const headers: IncomingMessage['headers'][] = [];
  let line: Line | undefined;
  const url = await serve(t, async (req, res) => {
    headers.push(req.headers);
    if (req.method === 'GET') {
      const own: Line = {
        res,
        send(data, event = 'message') {
          res.write(`event: ${event}\ndata: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
        },
      };
      line = own;
      if (script.open !== undefined) return script.open(own, req);
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      own.send('/messages?of=this', 'endpoint');
      return;
    }
    let body = '';
    for await (const chunk of req) body += String(chunk);
    posts.push(`${req.url} ${body}`);
    const message = JSON.parse(body) as Record<string, unknown>;
    if (message['method'] === 'initialize') {
      const result = {
        protocolVersion: '2024-11-05',
        capabilities: { tools: {} },
        serverInfo: { name: 's', version: '1' },
      };
      line!.send({ jsonrpc: '2.0', id: message['id'], result });
      res.writeHead(202).end('Accepted');
      return;
    }
    const status = script.post?.(message, line!, res);
    if (!res.headersSent) res.writeHead(status ?? 202).end();
  });
  return { url: `${url}/sse`, posts, headers };
}

async function serve(t: Test, handle: (req: IncomingMessage, res: ServerResponse) => unknown): Promise<string> {
  const server = createServer((req, res) => void handle(req, res)).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
