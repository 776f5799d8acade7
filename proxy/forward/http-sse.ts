import { Abort } from '../abort.ts';
import { decodeFrame, type FrameLimits } from '../wire/frame.ts';
import type { SseEvent } from '../wire/sse.ts';
import { Channels, type Channel } from './channels.ts';
import { createHttpClient, type HttpClient, type HttpUpstreamOptions } from './http.ts';
import { Peer } from './peer.ts';
import { unlessAborted } from './given-up.ts';
import { isErrorBody, type Letter } from './letter.ts';
import {
  unreadable,
  UpstreamFault,
  type Outgoing,
  type Upstream,
  type UpstreamAnswer,
  type UpstreamEvents,
} from './upstream.ts';

export interface HttpSseUpstreamOptions extends HttpUpstreamOptions {
  readonly limits: FrameLimits;
}

const LONGEST_ENDPOINT = 4096;
const JSON_TYPE = { 'content-type': 'application/json' };

/**
 * The two-endpoint transport of 2024-11-05: a session is an event stream, opened by initialize, whose first event names where
 * messages are posted; answers come on the stream. Legacy only. A stream that breaks fails what is in flight and ends the session
 * (404 afterwards).
 */
export function createHttpSseUpstream(options: HttpSseUpstreamOptions): Upstream {
  const client = createHttpClient(options);
  const sessions = new Channels<SseSession>();
  const url = new URL(options.url);

  async function begin({ frame, headers, signal }: Outgoing): Promise<UpstreamAnswer> {
    let id: string | undefined;
    const session = new SseSession({ client, url, limits: options.limits }, () => {
      if (id !== undefined) sessions.delete(id);
    });
    try {
      const refusal = await unlessAborted(session.open(), signal);
      if (refusal !== undefined) return refusal;
      const answer = await session.peer.request({ frame: frame!, headers, signal }, signal);
      if (answer.status !== 200 || (answer.body !== undefined && isErrorBody(answer.body))) {
        await session.close();
        return answer;
      }
      if (session.peer.over) throw new UpstreamFault('the event stream of the server ended', true);
      id = sessions.add(session);
      return { ...answer, upstreamSession: id };
    } catch (fault) {
      await session.close();
      throw fault;
    }
  }

  return {
    async send(outgoing) {
      const { frame, headers, upstreamSession, signal, httpMethod } = outgoing;
      if (frame?.method === 'initialize' && upstreamSession === undefined) return begin(outgoing);
      if (upstreamSession === undefined) return { status: 400, mode: 'empty' };
      const session = sessions.find(upstreamSession);
      if (session === undefined) return { status: 404, mode: 'empty' };
      if (httpMethod === 'DELETE') {
        await session.close();
        return { status: 200, mode: 'empty' };
      }
      if (frame === undefined) return session.peer.listen(signal);
      const letter: Letter = { frame, headers, signal };
      return frame.kind === 'request' ? session.peer.request(letter, signal) : session.peer.notify(letter);
    },
    async close() {
      await sessions.close();
      await client.close();
    },
  };
}

interface Place {
  readonly client: HttpClient;
  readonly url: URL;
  readonly limits: FrameLimits;
}

/** One event stream of the server, and where it wants messages posted. */
class SseSession implements Channel {
  readonly peer = new Peer((letter) => this.#post(letter));
  readonly #place: Place;
  readonly #onEnd: () => void;
  readonly #over = new Abort();
  readonly #endpoint = Promise.withResolvers<URL>();

  constructor(place: Place, onEnd: () => void) {
    this.#place = place;
    this.#onEnd = onEnd;
    // Whoever waits for it hears of it; when nobody does any more, nobody need.
    this.#endpoint.promise.catch(() => undefined);
  }

  /** Resolves when the server named its endpoint; with an answer when it refused the gateway. */
  async open(): Promise<UpstreamAnswer | undefined> {
    const { client, url } = this.#place;
    const answer = await client.request({
      method: 'GET',
      path: url.pathname + url.search,
      headers: { accept: 'text/event-stream', 'cache-control': 'no-store' },
      body: null,
      signal: this.#over,
    });
    const { status, events } = answer;
    if (events === undefined) {
      if (status === 401 || status === 403 || (status >= 300 && status < 400)) return { status, mode: 'empty' };
      throw unreadable(`status ${status} and no event stream`);
    }
    void this.#listen(events);
    await this.#endpoint.promise;
    return undefined;
  }

  async #listen(events: UpstreamEvents): Promise<void> {
    let fault = new UpstreamFault('the event stream of the server ended', true);
    try {
      for await (const batch of events) {
        for (const event of batch) this.#take(event);
        await this.peer.room();
      }
    } catch (cause) {
      fault = cause instanceof UpstreamFault ? cause : unreadable('an event that is not a JSON-RPC message', cause);
    }
    this.#end(fault);
  }

  #take({ event, data }: SseEvent): void {
    if (data === undefined || data === '') return;
    if (event === 'endpoint') this.#endpoint.resolve(this.#checked(data));
    else if (event === undefined || event === 'message') {
      this.peer.receive(decodeFrame(Buffer.from(data), this.#place.limits, 'server'));
    }
  }

  /** Nothing, least of all the credential, goes to another origin than the configured one (duties H-13, G-01). */
  #checked(named: string): URL {
    const { url } = this.#place;
    const endpoint =
      named.length <= LONGEST_ENDPOINT && URL.canParse(named, url.href) ? new URL(named, url) : undefined;
    if (endpoint?.origin === url.origin) return endpoint;
    const shown = (endpoint?.origin ?? named).slice(0, 200).replace(/[^\x20-\x7e]/g, '?');
    throw unreadable(`an endpoint that is not of its own origin: ${shown}`);
  }

  async #post({ frame, headers = JSON_TYPE, signal = this.#over }: Letter): Promise<UpstreamAnswer | undefined> {
    const endpoint = await unlessAborted(this.#endpoint.promise, signal);
    const answer = await this.#place.client.request({
      method: 'POST',
      path: endpoint.pathname + endpoint.search,
      headers,
      body: frame.bytes,
      signal,
    });
    // What a server says besides "taken" is no message: those come on the stream.
    await answer.events?.[Symbol.asyncIterator]().return?.();
    if (answer.status >= 200 && answer.status < 300) return undefined;
    const { status, mode, body } = answer;
    return body === undefined ? { status, mode: 'empty' } : { status, mode, body };
  }

  #end(fault: UpstreamFault): void {
    this.#endpoint.reject(new UpstreamFault(fault.message, false, fault.cause));
    this.peer.fail(fault);
    this.#over.abort();
    this.#onEnd();
  }

  async close(): Promise<void> {
    this.#end(new UpstreamFault('the session is over', true));
  }
}
