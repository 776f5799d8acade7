import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * The suite must see the client alone, but a gateway also asks its server for itself (its eras, its lists). So the scenario is staged twice at a time:
 * one server of the suite hears what the client says, the other one, the understudy, what the gateway says for itself.
 */

export interface Stage {
  readonly url: string;
  close(): Promise<void>;
}

/** The ids of requests that a gateway makes for itself. */
const OWN_ID = /^portcullis-/;

/** Starts a forwarder that passes a gateway's own requests to the understudy and all others to the server of the same path. */
export async function startStage(main: string, understudy: string): Promise<Stage> {
  const own = new Set<unknown>();
  const server = http.createServer((req, res) => {
    serve(req, res, main, understudy, own).catch(() => res.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://localhost:${port}${new URL(main).pathname}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** `own` collects the sessions that the understudy gave out. */
async function serve(
  req: IncomingMessage,
  res: ServerResponse,
  main: string,
  understudy: string,
  own: Set<unknown>,
): Promise<void> {
  const body = await readBody(req);
  const isOwn = own.has(req.headers['mcp-session-id']) || OWN_ID.test(idOf(body));
  const { host: _, connection: __, ...headers } = req.headers;
  const onward = http.request(isOwn ? understudy : main, { method: req.method, headers, agent: false });
  onward.on('response', (answer) => {
    const session = answer.headers['mcp-session-id'];
    if (isOwn && session !== undefined) own.add(session);
    res.writeHead(answer.statusCode!, answer.rawHeaders).flushHeaders();
    answer.pipe(res);
    answer.once('error', () => res.destroy());
  });
  onward.once('error', () => res.destroy());
  res.once('close', () => onward.destroy());
  onward.end(body);
}

async function readBody(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function idOf(body: Buffer): string {
  if (body.length === 0) return '';
  const { id } = JSON.parse(body.toString()) as { id?: unknown };
  return typeof id === 'string' ? id : '';
}
