import { randomUUID } from 'node:crypto';
import type { Signal } from '../abort.ts';
import type { Frame } from '../types.ts';
import { requestFrame, resultFrame } from '../wire/frame.ts';
import { member } from '../wire/member.ts';
import type { Channel } from './channels.ts';
import { Inbox } from './inbox.ts';
import type { SharedPeer } from './shared-peer.ts';
import { isErrorBody } from './letter.ts';
import { UpstreamFault, type UpstreamAnswer } from './upstream.ts';

/** Notifications that are kept for a client that does not listen yet. */
const MOST_UNHEARD = 100;

export interface SharedSessionOptions {
  readonly peer: SharedPeer;
  /** All sessions with the same server. */
  readonly siblings: () => Iterable<SharedSession>;
  /** The session is over by its client's will. */
  readonly onClose: () => void;
}

/**
 * One of several legacy sessions with one server: its requests, its listening stream, and the resources it subscribed to, which
 * the server knows as long as any session wants them.
 */
export class SharedSession implements Channel {
  readonly #options: SharedSessionOptions;
  readonly #name = randomUUID();
  readonly #uris = new Set<string>();
  #listener: Inbox | undefined;
  #unheard: Frame[] = [];

  constructor(options: SharedSessionOptions) {
    this.#options = options;
  }

  async request(frame: Frame, signal: Signal): Promise<UpstreamAnswer> {
    const uri = member(member(frame.value, 'params'), 'uri');
    if (typeof uri === 'string' && frame.method === 'resources/subscribe') return this.#subscribe(uri, frame, signal);
    if (typeof uri === 'string' && frame.method === 'resources/unsubscribe') {
      this.#uris.delete(uri);
      // Others still want it.
      if (this.#wanted(uri)) return { status: 200, mode: 'json', body: resultFrame(frame.id!, '{}').bytes };
    }
    return this.#options.peer.request(frame, signal, this.#name);
  }

  async #subscribe(uri: string, frame: Frame, signal: Signal): Promise<UpstreamAnswer> {
    const before = this.#uris.has(uri);
    // Counted at once: an update may come before the answer is read, and somebody else may unsubscribe meanwhile.
    this.#uris.add(uri);
    let granted = before;
    try {
      const answer = await this.#options.peer.request(frame, signal, this.#name);
      granted ||= answer.body === undefined || !isErrorBody(answer.body);
      return answer;
    } finally {
      if (!granted) this.#uris.delete(uri);
    }
  }

  #wanted(uri: string): boolean {
    for (const session of this.#options.siblings()) if (session.#uris.has(uri)) return true;
    return false;
  }

  /** Whether it subscribed to this resource or to one that contains it. */
  subscribed(uri: string): boolean {
    for (const own of this.#uris) {
      if (uri === own || uri.startsWith(own.endsWith('/') ? own : `${own}/`)) return true;
    }
    return false;
  }

  /** The client's notifications/cancelled. */
  cancel(frame: Frame): void {
    this.#options.peer.cancel(frame, this.#name);
  }

  notify(frame: Frame, signal: Signal): Promise<void> {
    return this.#options.peer.notify(frame, signal);
  }

  /** The stream for what belongs to no request; there is one at a time (duty S-07). */
  listen(signal: Signal): UpstreamAnswer {
    if (this.#listener !== undefined) return { status: 409, mode: 'empty' };
    if (signal.aborted) throw new UpstreamFault('given up by the gateway', false);
    const inbox = new Inbox(signal, () => {
      this.#listener = undefined;
    });
    this.#listener = inbox;
    for (const frame of this.#unheard.splice(0)) inbox.push(frame);
    return { status: 200, mode: 'sse', events: inbox };
  }

  /** A notification for this session. */
  hear(frame: Frame): void {
    if (this.#listener !== undefined) this.#listener.push(frame);
    else if (this.#unheard.length < MOST_UNHEARD && !this.#unheard.some(({ text }) => text === frame.text)) {
      this.#unheard.push(frame);
    }
  }

  /** The server is gone. */
  end(): void {
    this.#listener?.end();
  }

  async close(): Promise<void> {
    this.#options.onClose();
    this.end();
    for (const uri of this.#uris) {
      if (this.#wanted(uri)) continue;
      // Under an id that no request has: its answer is nobody's.
      this.#options.peer.say(requestFrame(JSON.stringify(randomUUID()), 'resources/unsubscribe', { uri }));
    }
    this.#uris.clear();
  }
}
