import type { Signal } from '../abort.ts';
import type { Frame } from '../types.ts';
import { errorFrame, idKey, resultFrame } from '../wire/frame.ts';
import { Inbox } from './inbox.ts';
import { cancellation, paramOf, progressToken, type Letter, type Post } from './letter.ts';
import { UpstreamFault, type UpstreamAnswer } from './upstream.ts';

/** Unread bytes of one call above which the channel is read no further. */
const BACKLOG = 1_048_576;
/** What is kept for a listener that does not listen yet: messages, bytes. */
const MOST_UNHEARD = 100;

/**
 * One channel to one peer that speaks JSON-RPC both ways, on behalf of one session. Answers go to their request, progress to the
 * request of its token, logs and questions to the newest open request, all else to the listening stream, each to the other if
 * there is none (duties P-01, S-08, G-10).
 */
export class Peer {
  readonly #post: Post;
  readonly #waiting = new Map<string, Inbox>();
  readonly #progress = new Map<string, Inbox>();
  readonly #cancelled = new Set<string>();
  #listener: Inbox | undefined;
  #unheard: Frame[] = [];
  #fault: UpstreamFault | undefined;
  /** Calls whose reader is behind. */
  readonly #behind = new Set<Inbox>();
  #onRoom: (() => void) | undefined;

  constructor(post: Post) {
    this.#post = post;
  }

  /** Nothing more goes either way. */
  get over(): boolean {
    return this.#fault !== undefined;
  }

  async request(letter: Letter, signal: Signal): Promise<UpstreamAnswer> {
    if (this.#fault !== undefined) throw this.#fault;
    if (signal.aborted) throw new UpstreamFault('given up by the gateway', false);
    const { frame } = letter;
    const key = idKey(frame.id!);
    const token = progressToken(frame);
    let taken = false;
    let refusal: UpstreamAnswer | undefined;
    const inbox = new Inbox(signal, (answered) => {
      this.#waiting.delete(key);
      if (token !== undefined) this.#progress.delete(token);
      const told = this.#cancelled.delete(key);
      // Nobody will read what it still holds.
      if (!answered) this.#caughtUp(inbox);
      // Nobody waits for it any more: the peer may stop. Of initialize that cannot be said.
      if (answered || told || !taken || this.#fault !== undefined || frame.method === 'initialize') return;
      this.#say(cancellation(frame.id!));
    });
    this.#waiting.set(key, inbox);
    if (token !== undefined) this.#progress.set(token, inbox);
    this.#post(letter).then(
      (answer) => {
        taken = answer === undefined;
        refusal = answer;
        if (!taken) inbox.end();
      },
      (fault: Error) => inbox.fail(fault),
    );
    const answer = (await inbox.answer()) ?? refusal;
    if (answer === undefined) throw new UpstreamFault('the answer was not waited for', true);
    return answer;
  }

  /** A notification, or an answer of the client. */
  async notify(letter: Letter): Promise<UpstreamAnswer> {
    if (this.#fault !== undefined) throw this.#fault;
    if (letter.frame.method === 'notifications/cancelled') {
      const key = idKey(paramOf(letter.frame, 'requestId') ?? '');
      if (this.#waiting.has(key)) this.#cancelled.add(key);
    }
    return (await this.#post(letter)) ?? { status: 202, mode: 'empty' };
  }

  /** The stream for what belongs to no request; there is one at a time (duty S-07). */
  listen(signal: Signal): UpstreamAnswer {
    if (this.#listener !== undefined) return { status: 409, mode: 'empty' };
    if (this.#fault !== undefined) throw this.#fault;
    if (signal.aborted) throw new UpstreamFault('given up by the gateway', false);
    const inbox = new Inbox(signal, () => {
      this.#listener = undefined;
    });
    this.#listener = inbox;
    for (const frame of this.#unheard.splice(0)) inbox.push(frame);
    return { status: 200, mode: 'sse', events: inbox };
  }

  /** A message of the peer. */
  receive(frame: Frame): void {
    const inbox = this.#recipient(frame);
    if (inbox === undefined) {
      if (frame.kind !== 'response') this.#keep(frame);
      return;
    }
    inbox.push(frame);
    if (inbox.size <= BACKLOG || inbox === this.#listener) return;
    this.#behind.add(inbox);
    inbox.onRead = () => this.#caughtUp(inbox);
  }

  /** Undefined, or a promise of the moment when every call is read: until then the channel should not be. */
  room(): Promise<void> | undefined {
    if (this.#behind.size === 0 || this.#fault !== undefined) return undefined;
    return new Promise((resolve) => {
      this.#onRoom = resolve;
    });
  }

  #caughtUp(inbox: Inbox): void {
    this.#behind.delete(inbox);
    if (this.#behind.size === 0) this.#onRoom?.();
  }

  /** The channel is over: everything in flight fails, the listening stream ends. */
  fail(fault: UpstreamFault): void {
    if (this.#fault !== undefined) return;
    this.#fault = fault;
    for (const inbox of this.#waiting.values()) inbox.fail(fault);
    this.#listener?.end();
    this.#onRoom?.();
  }

  #recipient(frame: Frame): Inbox | undefined {
    // An error without an id answers nobody in particular.
    if (frame.kind === 'response') return frame.id === undefined ? undefined : this.#waiting.get(idKey(frame.id));
    if (frame.method === 'notifications/progress') {
      const inbox = this.#progress.get(paramOf(frame, 'progressToken') ?? '');
      if (inbox !== undefined) return inbox;
    }
    const log = frame.method === 'notifications/message';
    if (this.#listener !== undefined && frame.kind === 'notification' && !log) return this.#listener;
    return [...this.#waiting.values()].at(-1) ?? this.#listener;
  }

  /** Nobody listens yet: it waits for who will, but a ping does not (duty P-03). */
  #keep(frame: Frame): void {
    if (frame.kind === 'request' && frame.method === 'ping') return this.#say(resultFrame(frame.id!, '{}'));
    const bytes = this.#unheard.reduce((sum, each) => sum + each.bytes.length, frame.bytes.length);
    if (this.#unheard.length < MOST_UNHEARD && bytes <= BACKLOG) this.#unheard.push(frame);
    else if (frame.kind === 'request') this.#say(errorFrame(frame.id, { code: -32603, message: 'nobody listens' }));
  }

  #say(frame: Frame): void {
    this.#post({ frame }).catch((fault: unknown) =>
      this.fail(fault instanceof UpstreamFault ? fault : new UpstreamFault(String(fault), true, fault)),
    );
  }
}
