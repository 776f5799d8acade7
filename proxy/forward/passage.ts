import { AsyncLocalStorage } from 'node:async_hooks';
import { Pool, type Dispatcher } from 'undici';
import type { Signal } from '../abort.ts';
import type { HttpMethod } from '../types.ts';

/** Paths of an upstream that pass through besides MCP. */
export interface Route {
  readonly methods: readonly HttpMethod[];
  /** Covers itself and everything below it. */
  readonly path: string;
}

export interface PassageOptions {
  /** Of the upstream; only its origin counts. */
  readonly url: string;
  /** PEM of the certificate authority to trust instead of the system's. */
  readonly ca?: string;
  readonly credential: Readonly<Record<string, string>>;
  readonly routes: readonly Route[];
}

/** One request on its way. */
export interface Passing {
  /** Aborting closes the connection to the upstream. */
  readonly signal: Signal;
  /** From now on bytes of the request may have reached the upstream. */
  sent(): void;
}

/** The way to the other routes of an upstream: TLS verified, redirects not followed, nothing sent twice. */
export class Passage {
  readonly origin: string;
  readonly routes: readonly Route[];
  readonly credential: Readonly<Record<string, string>>;
  readonly #pool: Pool;
  readonly #current = new AsyncLocalStorage<Passing>();

  constructor({ url, ca, credential, routes }: PassageOptions) {
    this.origin = new URL(url).origin;
    this.routes = routes;
    this.credential = credential;
    this.#pool = new Pool(this.origin, {
      connect: { rejectUnauthorized: true, timeout: 10_000, ...(ca === undefined ? {} : { ca }) },
      allowH2: false,
      pipelining: 1,
      maxHeaderSize: 65_536,
    });
  }

  /** Whatever `start` requests through this passage belongs to this call. */
  run(passing: Passing, start: () => void): void {
    this.#current.run(passing, start);
  }

  /** The HTTP client for the proxy. Refuses what was not begun by `run`, so that only a decided call gets out. */
  request(
    options: Dispatcher.RequestOptions,
    done: (fault: Error | null, answer?: Dispatcher.ResponseData) => void,
  ): void {
    const passing = this.#current.getStore();
    if (passing === undefined || passing.signal.aborted) return done(new Error('no call is being passed'));
    const controller = new AbortController();
    const abort = (): void => controller.abort();
    passing.signal.on(abort);
    const watched = this.#pool.compose((dispatch) => (request, handler) => dispatch(request, watch(handler, passing)));
    watched.request({ ...options, signal: controller.signal }, (fault, answer) => done(fault, answer));
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

/** Tells when the request is on the wire; before, nothing of it left. */
function watch(handler: Dispatcher.DispatchHandler, passing: Passing): Dispatcher.DispatchHandler {
  return {
    onRequestStart(controller, context) {
      passing.sent();
      handler.onRequestStart?.(controller, context);
    },
    onRequestUpgrade: (...args) => handler.onRequestUpgrade?.(...args),
    onResponseStart: (...args) => handler.onResponseStart?.(...args),
    onResponseData: (...args) => handler.onResponseData?.(...args),
    onResponseEnd: (...args) => handler.onResponseEnd?.(...args),
    onResponseError: (...args) => handler.onResponseError?.(...args),
  };
}
