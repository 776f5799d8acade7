import type { IncomingHttpHeaders } from 'node:http';
import { Pool, type Dispatcher } from 'undici';
import type { Signal } from '../abort.ts';
import { SseReader, type SseEvent } from '../wire/sse.ts';
import { UpstreamFault, type Upstream, type UpstreamAnswer } from './upstream.ts';

export interface HttpUpstreamOptions {
  readonly url: string;
  /** PEM of the certificate authority to trust instead of the system's. */
  readonly ca?: string;
  /** The gateway's own credential, sent on every request. */
  readonly credential: Readonly<Record<string, string>>;
  /** Largest JSON answer and largest SSE event, bytes. */
  readonly messageSize: number;
}

const BACKLOG = 1_048_576;

/**
 * Streamable HTTP towards one upstream. TLS is verified, redirects are not followed (a 3xx is an answer like any other),
 * no timer of the HTTP client cuts a silent stream: the pipeline owns time limits.
 */
export function createHttpUpstream(options: HttpUpstreamOptions): Upstream {
  const url = new URL(options.url);
  const pool = new Pool(url.origin, {
    connect: { rejectUnauthorized: true, timeout: 10_000, ...(options.ca === undefined ? {} : { ca: options.ca }) },
    allowH2: false,
    pipelining: 1,
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: 65_536,
  });
  const path = url.pathname + url.search;
  return {
    send(outgoing) {
      return new Promise<UpstreamAnswer>((resolve, reject) => {
        const headers: Record<string, string> = { ...outgoing.headers, ...options.credential };
        if (outgoing.upstreamSession !== undefined) headers['mcp-session-id'] = outgoing.upstreamSession;
        const request: Dispatcher.DispatchOptions = {
          path,
          method: outgoing.httpMethod,
          headers,
          body: outgoing.frame?.bytes ?? null,
        };
        pool.dispatch(request, new Exchange(outgoing.signal, options.messageSize, resolve, reject));
      });
    },
    async close() {
      await pool.destroy();
    },
  };
}

/** One request on the wire: collects a JSON answer, or streams events with back-pressure. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #signal: Signal;
  readonly #limit: number;
  readonly #resolve: (answer: UpstreamAnswer) => void;
  readonly #reject: (fault: UpstreamFault) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #sent = false;
  #status = 0;
  #session: string | undefined;
  #chunks: Buffer[] = [];
  #size = 0;
  #stream: EventStream | undefined;
  readonly #onAbort = (): void => {
    this.#controller?.abort(new Error('given up by the gateway'));
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
    this.#controller = controller;
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
    const type = headers['content-type'];
    if (status === 200 && typeof type === 'string' && mediaType(type) === 'text/event-stream') {
      this.#stream = new EventStream(controller, this.#limit);
      this.#resolve({ status, mode: 'sse', upstreamSession: this.#session, events: this.#stream });
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#stream !== undefined) {
      this.#stream.push(chunk);
      return;
    }
    this.#size += chunk.length;
    if (this.#size > this.#limit) {
      controller.abort(new UpstreamFault('the answer is larger than server.message_size', true));
      return;
    }
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
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
    this.#signal.off(this.#onAbort);
    const fault = error instanceof UpstreamFault ? error : new UpstreamFault(error.message, this.#sent, error);
    if (this.#stream !== undefined) this.#stream.fail(fault);
    else this.#reject(fault);
  }
}

/** Events of one stream, read chunk by chunk; the socket is paused while the reader is behind. */
class EventStream implements AsyncIterable<readonly SseEvent[]>, AsyncIterator<readonly SseEvent[], undefined> {
  readonly #controller: Dispatcher.DispatchController;
  readonly #reader: SseReader;
  #ready: SseEvent[] = [];
  #bytes = 0;
  #ended = false;
  #fault: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(controller: Dispatcher.DispatchController, eventSize: number) {
    this.#controller = controller;
    this.#reader = new SseReader({ eventSize });
  }

  push(chunk: Buffer): void {
    try {
      for (const event of this.#reader.push(chunk)) {
        this.#ready.push(event);
        this.#bytes += event.raw.length;
      }
    } catch (fault) {
      const reason = fault instanceof Error ? fault.message : 'an event could not be read';
      this.#controller.abort(new UpstreamFault(reason, true, fault));
      return;
    }
    if (this.#bytes > BACKLOG) this.#controller.pause();
    if (this.#ready.length > 0) this.#notify();
  }

  end(): void {
    this.#ended = true;
    this.#notify();
  }

  fail(fault: Error): void {
    this.#fault = fault;
    this.#notify();
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  async next(): Promise<IteratorResult<readonly SseEvent[], undefined>> {
    for (;;) {
      if (this.#ready.length > 0) {
        const value = this.#ready;
        this.#ready = [];
        this.#bytes = 0;
        if (this.#controller.paused) this.#controller.resume();
        return { done: false, value };
      }
      if (this.#fault !== undefined) throw this.#fault;
      if (this.#ended) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The reader left: nobody will ever pull the rest. */
  async return(): Promise<IteratorResult<readonly SseEvent[], undefined>> {
    if (!this.#ended && this.#fault === undefined) this.#controller.abort(new Error('given up by the gateway'));
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

function mediaType(value: string): string {
  const end = value.indexOf(';');
  return (end < 0 ? value : value.slice(0, end)).trim().toLowerCase();
}
