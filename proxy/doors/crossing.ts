import type { OutgoingHttpHeaders } from 'node:http';
import { pipeline, Transform, type Readable, type TransformCallback } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { Signal } from '../abort.ts';
import { GatewayError } from '../errors.ts';
import type { Passing } from '../forward/passage.ts';
import { UpstreamFault } from '../forward/upstream.ts';
import type { Passed } from '../types.ts';

interface Upstream {
  readonly statusCode: number;
  readonly stream: Readable;
}

/** What the proxy tells of one request. */
export interface Hooks {
  onResponse(request: unknown, reply: unknown, upstream: unknown): void;
  onError(reply: unknown, failed: { readonly error: Error }): void;
}

export interface CrossingOptions {
  readonly reply: FastifyReply;
  readonly timeoutMs: number;
  readonly start: (passing: Passing, hooks: Hooks) => void;
}

/** One request that crosses the gateway on a route: begun by the pipeline's forward step, ended when the pipeline has recorded its end. */
export class Crossing {
  readonly #options: CrossingOptions;
  #tail: Tail | undefined;
  #sent = false;

  constructor(options: CrossingOptions) {
    this.#options = options;
  }

  /** Passes the request on. Resolves when all of the answer has come but for its last piece, which waits for `release`. */
  begin(signal: Signal): Promise<Passed> {
    return new Promise((resolve, reject) => {
      const fail = (error: unknown): void => reject(this.#explain(error));
      signal.on(() => fail(new Error('given up by the gateway')));
      const passing: Passing = {
        signal,
        sent: () => {
          this.#sent = true;
        },
      };
      const hooks: Hooks = {
        onError: (_reply, { error }) => fail(error.cause ?? error),
        onResponse: (_request, _reply, upstream) => {
          const { statusCode, stream } = upstream as Upstream;
          // Given up meanwhile: something else was said, or nobody is there.
          const refusal = signal.aborted ? new Error('given up by the gateway') : refused(statusCode);
          if (refusal === undefined) return this.#answer({ statusCode, stream }, resolve, fail);
          fail(refusal);
          stream.on('error', () => undefined).destroy();
        },
      };
      try {
        this.#options.start(passing, hooks);
      } catch (fault) {
        fail(new GatewayError('internal', '', { cause: fault }));
      }
    });
  }

  /** The end is recorded: the answer may end too. */
  release(): void {
    this.#tail?.release();
  }

  /** Nothing more of the answer leaves. False: some of it has, so that nothing else can be said. */
  withhold(): boolean {
    const res = this.#options.reply.raw;
    this.#tail?.unpipe(res);
    this.#tail?.destroy();
    return !res.headersSent;
  }

  #answer({ statusCode, stream }: Upstream, resolve: (passed: Passed) => void, fail: (error: unknown) => void): void {
    const { reply } = this.#options;
    const headers = reply.getHeaders() as OutgoingHttpHeaders;
    reply.hijack();
    const res = reply.raw;
    const sized = headers['content-length'] !== undefined;
    const tail = (this.#tail = new Tail(sized, (bytes) => resolve({ status: statusCode, bytes })));
    res.statusCode = statusCode;
    for (const [name, value] of Object.entries(headers)) if (value !== undefined) res.setHeader(name, value);
    // An answer of unknown length may come in drops: the client learns at once that it stands.
    if (!sized) res.flushHeaders();
    // Not one pipeline with the response: as long as nothing of it has left, a failure can still be said in words.
    pipeline(stream, tail, (error) => {
      if (error !== undefined && error !== null) fail(error);
    });
    tail.pipe(res);
  }

  #explain(error: unknown): Error {
    if (error instanceof GatewayError) return error;
    const code = (error as { code?: unknown }).code;
    if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT')
      return new GatewayError('upstream_timeout', `${this.#options.timeoutMs / 1000} s`, { cause: error });
    return new UpstreamFault((error as Error).message, this.#sent, error);
  }
}

/** Statuses that say something of the gateway's own credential or lead elsewhere: not for the client. */
function refused(status: number): GatewayError | undefined {
  if (status === 401 || status === 403 || status === 407)
    return new GatewayError('upstream_refused', `status ${status}`);
  return status >= 300 && status < 400 ? new GatewayError('upstream_refused', `a redirect (${status})`) : undefined;
}

/** Lets bytes through and counts them, but for the end: of an answer of known length the last piece, of any other the ending itself. */
class Tail extends Transform {
  readonly #keeps: boolean;
  readonly #complete: (bytes: number) => void;
  #released: TransformCallback | true | undefined;
  #kept: Buffer | undefined;
  #bytes = 0;

  constructor(keeps: boolean, complete: (bytes: number) => void) {
    super();
    this.#keeps = keeps;
    this.#complete = complete;
  }

  release(): void {
    if (typeof this.#released === 'function') this.#released(null, this.#kept);
    this.#released = true;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#bytes += chunk.length;
    const before = this.#kept;
    this.#kept = this.#keeps ? chunk : undefined;
    done(null, this.#keeps ? before : chunk);
  }

  override _flush(done: TransformCallback): void {
    if (this.#released === true) return done(null, this.#kept);
    this.#released = done;
    this.#complete(this.#bytes);
  }
}
