import { connect } from 'node:net';

/** One connection to the gateway on which a test says whatever bytes it likes. */
export interface Line {
  write(data: string | Buffer): void;
  /** Resolves with all that came so far, once it matches or the other side closed. */
  until(pattern: RegExp): Promise<string>;
  /** Everything that came, when the connection is over. */
  readonly closed: Promise<string>;
  /** Leaves without a word. */
  drop(): void;
}

export function dial(url: string): Line {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let text = '';
  let over = false;
  const waiting = new Set<() => void>();
  const wake = (): void => {
    for (const look of waiting) look();
  };
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    wake();
  });
  // A reset is an end like any other: what came before it is what counts.
  socket.on('error', () => undefined);
  const closed = new Promise<string>((resolve) => {
    socket.on('close', () => {
      over = true;
      wake();
      resolve(text);
    });
  });
  return {
    write: (data) => void socket.write(data),
    until: (pattern) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!over && !pattern.test(text)) return;
          waiting.delete(look);
          resolve(text);
        };
        waiting.add(look);
        look();
      }),
    closed,
    drop: () => void socket.destroy(),
  };
}

/** Sends these bytes on a connection of their own and answers everything the gateway says until it closes. */
export function talk(url: string, data: string | Buffer): Promise<string> {
  const line = dial(url);
  line.write(data);
  return line.closed;
}

export interface RawRequest {
  readonly method?: string;
  readonly target?: string;
  readonly headers?: readonly string[];
  readonly body?: string;
  /** Left out: the length of the body. */
  readonly length?: string;
}

/** The bytes of a request that ends its connection; `headers` are lines of their own, beside Host, media type and Accept. */
export function request({ method = 'POST', target = '/mcp', headers = [], body = '', length }: RawRequest): string {
  const own = headers.map((line) => line.split(':', 1)[0]!.toLowerCase());
  const usual = [
    'Host: 127.0.0.1:8800',
    'Connection: close',
    'Content-Type: application/json',
    'Accept: application/json, text/event-stream',
    ...(method === 'POST' ? [`Content-Length: ${length ?? Buffer.byteLength(body)}`] : []),
  ].filter((line) => !own.includes(line.split(':', 1)[0]!.toLowerCase()));
  return `${method} ${target} HTTP/1.1\r\n${[...usual, ...headers].join('\r\n')}\r\n\r\n${body}`;
}

/** The status of each answer, in order. */
export const statuses = (answer: string): readonly number[] =>
  [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
