import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import fastify from 'fastify';
import { Pool, type Dispatcher } from 'undici';

/**
 * The hop of the gateway without any of its duties: fastify with a raw body and a hijacked reply, undici's dispatch to
 * the upstream. Nothing is authenticated, read, decided or recorded here; it is the floor that the duties stand on.
 */

const PASSED = new Set(['content-type', 'accept', 'mcp-protocol-version', 'mcp-method', 'mcp-name']);

class Answer implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  onRequestStart(): void {}

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Record<string, string | string[]>): void {
    const passed: Record<string, string | string[]> = {};
    for (const name of ['content-type', 'content-length'])
      if (headers[name] !== undefined) passed[name] = headers[name];
    this.#response.writeHead(status, passed);
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#response.write(chunk);
  }

  onResponseEnd(): void {
    this.#response.end();
  }

  onResponseError(_: Dispatcher.DispatchController, fault: Error): void {
    this.#response.destroy(fault);
  }
}

const pool = new Pool(process.argv[2]!, { connections: 64, headersTimeout: 0, bodyTimeout: 0 });
const app = fastify({ logger: false });
app.removeAllContentTypeParsers();
app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
app.post('/mcp', (request, reply) => {
  reply.hijack();
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) if (PASSED.has(name)) headers[name] = String(value);
  pool.dispatch({ method: 'POST', path: '/mcp', headers, body: request.body as Buffer }, new Answer(reply.raw));
});
await app.listen({ port: 0, host: '127.0.0.1' });
process.send!({ port: (app.server.address() as AddressInfo).port });
process.on('disconnect', () => process.exit());
// A terminal sends Ctrl-C to all; the parent ends this process in its turn.
process.on('SIGINT', () => undefined);
