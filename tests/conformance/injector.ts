import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Injector {
  readonly origin: string;
  readonly port: number;
  /** Forwards from now on to this server, as the owner of this token; returns the URL to give to the suite. */
  to(target: string, token: string): string;
  close(): Promise<void>;
}

/**
 * The suite cannot send credentials: this adds them to each request and passes everything else as it came, forged Host and Origin included, in
 * both directions byte by byte. A connection that one side closes is closed to the other.
 */
export async function startInjector(): Promise<Injector> {
  let target: URL | undefined;
  let authorization = '';

  const forward = (req: IncomingMessage, res: ServerResponse): void => {
    const { hostname, port } = target!;
    const headers = [...req.rawHeaders, 'Authorization', authorization];
    const onward = http.request({
      hostname,
      port,
      path: req.url,
      method: req.method,
      headers,
      setHost: false,
      agent: false,
    });
    onward.on('response', (answer) => {
      res.writeHead(answer.statusCode!, answer.statusMessage, answer.rawHeaders);
      res.flushHeaders();
      answer.pipe(res);
      answer.once('error', () => res.destroy());
    });
    onward.once('error', () => res.destroy());
    res.once('close', () => onward.destroy());
    req.pipe(onward);
  };

  const server = http.createServer({ maxHeaderSize: 128 * 1024 }, forward);
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  const { port } = server.address() as AddressInfo;
  const origin = `http://localhost:${port}`;
  return {
    origin,
    port,
    to(url, token) {
      target = new URL(url);
      authorization = `Bearer ${token}`;
      return origin + target.pathname;
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
