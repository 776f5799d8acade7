import type { IncomingHttpHeaders } from 'node:http';
import { Pool, type Dispatcher } from 'undici';
import type { Signal } from '../abort.ts';
import { Decoder } from './decoded.ts';
import { EventStream, type Flow } from './event-stream.ts';
import { unreadable, UpstreamFault, type Upstream, type UpstreamAnswer } from './upstream.ts';

export interface HttpUpstreamOptions {
  readonly url: string;
  /** PEM of the certificate authority to trust instead of the system's. */
  readonly ca?: string;
  /** The gateway's own credential, sent on every request. */
  readonly credential: Readonly<Record<string, string>>;
  /** Largest JSON answer and largest SSE event, bytes, after decoding. */
  readonly messageSize: number;
}

export interface HttpRequest {
  readonly method: 'POST' | 'GET' | 'DELETE';
  /** Path and query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | null;
  /** Aborting closes the connection. */
  readonly signal: Signal;
}

/** Requests to one origin. */
export interface HttpClient {
  request(request: HttpRequest): Promise<UpstreamAnswer>;
  close(): Promise<void>;
}

/**
 * An HTTP client for one origin. TLS is verified, redirects are not followed (a 3xx is an answer like any other), no timer of
 * the HTTP client cuts a silent stream: the pipeline owns time limits (duties H-11, H-13).
 */
export function createHttpClient(options: HttpUpstreamOptions): HttpClient {
  const pool = new Pool(new URL(options.url).origin, {
    connect: { rejectUnauthorized: true, timeout: 10_000, ...(options.ca === undefined ? {} : { ca: options.ca }) },
    allowH2: false,
    pipelining: 1,
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: 65_536,
  });
  return {
    request({ method, path, headers, body, signal }) {
      return new Promise<UpstreamAnswer>((resolve, reject) => {
        const request = { path, method, headers: { ...headers, ...options.credential }, body };
        pool.dispatch(request, new Exchange(signal, options.messageSize, resolve, reject));
      });
    },
    async close() {
      await pool.destroy();
    },
  };
}

/** Streamable HTTP towards one upstream. */
export function createHttpUpstream(options: HttpUpstreamOptions): Upstream {
  const client = createHttpClient(options);
  const { pathname, search } = new URL(options.url);
  const path = pathname + search;
  return {
    send({ httpMethod, headers, upstreamSession, frame, signal }) {
      const all = upstreamSession === undefined ? headers : { ...headers, 'mcp-session-id': upstreamSession };
      return client.request({ method: httpMethod, path, headers: all, body: frame?.bytes ?? null, signal });
    },
    close: () => client.close(),
  };
}

/** One request on the wire: collects a JSON answer, or streams events with back-pressure. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #signal: Signal;
  readonly #limit: number;
  readonly #resolve: (answer: UpstreamAnswer) => void;
  readonly #reject: (fault: UpstreamFault) => void;
  /** The connection, or the decoder between it and us. */
  #flow: Flow | undefined;
  #decoder: Decoder | undefined;
  #sent = false;
  #status = 0;
  #session: string | undefined;
  #chunks: Buffer[] = [];
  #size = 0;
  #stream: EventStream | undefined;
  readonly #onAbort = (): void => {
    this.#flow?.abort(new Error('given up by the gateway'));
  };

  constructor(
    signal: Signal,
    limit: number,
    resolve: (answer: UpstreamAnswer) => void,
    reject: (fault: UpstreamFault) => void,
  ) {
    this.#signal = signal;
    this.#limit = limit;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#flow = controller;
    if (this.#signal.aborted) {
      controller.abort(new Error('given up by the gateway'));
      return;
    }
    this.#sent = true;
    this.#signal.on(this.#onAbort);
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    this.#status = status;
    const session = headers['mcp-session-id'];
    if (typeof session === 'string' && /^[\x21-\x7e]{1,1024}$/.test(session)) this.#session = session;
    const coding = headers['content-encoding'];
    if (coding !== undefined && Decoder.needed(String(coding))) {
      this.#flow = this.#decoder = new Decoder(String(coding), controller, {
        data: (chunk) => this.#take(chunk),
        end: () => this.#finish(),
        fail: (fault) => this.#fail(fault),
      });
    }
    const type = headers['content-type'];
    if (status === 200 && typeof type === 'string' && mediaType(type) === 'text/event-stream') {
      this.#stream = new EventStream(this.#flow!, this.#limit);
      this.#resolve({ status, mode: 'sse', upstreamSession: this.#session, events: this.#stream });
    }
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#decoder === undefined) this.#take(chunk);
    else this.#decoder.write(chunk);
  }

  #take(chunk: Buffer): void {
    if (this.#stream !== undefined) {
      this.#stream.push(chunk);
      return;
    }
    this.#size += chunk.length;
    if (this.#size > this.#limit) {
      this.#flow!.abort(unreadable('the answer is larger than server.message_size'));
      return;
    }
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    if (this.#decoder === undefined) this.#finish();
    else this.#decoder.end();
  }

  #finish(): void {
    this.#signal.off(this.#onAbort);
    if (this.#stream !== undefined) {
      this.#stream.end();
      return;
    }
    const body = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    const mode = body.length === 0 ? 'empty' : 'json';
    this.#resolve({ status: this.#status, mode, upstreamSession: this.#session, body });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const fault = error instanceof UpstreamFault ? error : new UpstreamFault(error.message, this.#sent, error);
    if (this.#decoder === undefined) this.#fail(fault);
    else this.#decoder.break(fault);
  }

  #fail(fault: UpstreamFault): void {
    this.#signal.off(this.#onAbort);
    if (this.#stream !== undefined) this.#stream.fail(fault);
    else this.#reject(fault);
  }
}

function mediaType(value: string): string {
  const end = value.indexOf(';');
  return (end < 0 ? value : value.slice(0, end)).trim().toLowerCase();
}
