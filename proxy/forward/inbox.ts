import type { Signal } from '../abort.ts';
import type { Frame } from '../types.ts';
import { encodeEvent, type SseEvent } from '../wire/sse.ts';
import { UpstreamFault, type UpstreamAnswer } from './upstream.ts';

/** Unread bytes that no inbox may hold: its reader is given up. */
const MOST_UNREAD = 16 * 1_048_576;

/** Messages of a peer for one request or one listening stream, in order, as the events of an answer. */
export class Inbox implements AsyncIterable<readonly SseEvent[]>, AsyncIterator<readonly SseEvent[], undefined> {
  readonly #onClose: (answered: boolean) => void;
  readonly #signal: Signal;
  #frames: Frame[] = [];
  #size = 0;
  #answered = false;
  #closed = false;
  #ended = false;
  #fault: Error | undefined;
  #wake: (() => void) | undefined;
  readonly #onAbort = (): void => this.fail(new UpstreamFault('given up by the gateway', true));
  /** Called when everything was read that was there. */
  onRead: (() => void) | undefined;

  /** The signal has not aborted yet. `onClose` is called once: nothing more is wanted, `answered` says whether the answer came. */
  constructor(signal: Signal, onClose: (answered: boolean) => void) {
    this.#onClose = onClose;
    this.#signal = signal;
    signal.on(this.#onAbort);
  }

  /** Unread bytes. */
  get size(): number {
    return this.#size;
  }

  /** True when next() will not wait. */
  get ready(): boolean {
    return this.#frames.length > 0 || this.#ended || this.#fault !== undefined;
  }

  push(frame: Frame): void {
    if (this.#closed) return;
    this.#size += frame.bytes.length;
    // The answer itself is bounded like any message, and the last.
    if (this.#size > MOST_UNREAD && frame.kind !== 'response') {
      this.#frames = [];
      this.fail(new UpstreamFault('too much was left unread', true));
      return;
    }
    this.#frames.push(frame);
    if (frame.kind === 'response') {
      this.#answered = true;
      this.#ended = true;
      this.close();
    }
    this.#notify();
  }

  /** No more will come. */
  end(): void {
    this.#ended = true;
    this.close();
    this.#notify();
  }

  fail(fault: Error): void {
    this.#fault ??= fault;
    this.close();
    this.#notify();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#signal.off(this.#onAbort);
    this.#onClose(this.#answered);
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  async #arrival(): Promise<void> {
    while (!this.ready) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** A lone answer is JSON; one that something precedes is a stream. Undefined when it ended with neither. */
  async answer(): Promise<UpstreamAnswer | undefined> {
    await this.#arrival();
    const first = this.#frames[0];
    if (first === undefined) {
      if (this.#fault !== undefined) throw this.#fault;
      return undefined;
    }
    if (first.kind !== 'response') return { status: 200, mode: 'sse', events: this };
    this.#read();
    return { status: 200, mode: 'json', body: first.bytes };
  }

  #read(): readonly Frame[] {
    const batch = this.#frames;
    this.#frames = [];
    this.#size = 0;
    this.onRead?.();
    return batch;
  }

  async next(): Promise<IteratorResult<readonly SseEvent[], undefined>> {
    await this.#arrival();
    if (this.#frames.length > 0) {
      return { done: false, value: this.#read().map((frame) => ({ raw: encodeEvent(frame, {}), data: frame.text })) };
    }
    if (this.#fault !== undefined) throw this.#fault;
    return { done: true, value: undefined };
  }

  /** The reader left. */
  async return(): Promise<IteratorResult<readonly SseEvent[], undefined>> {
    this.#ended = true;
    this.#read();
    this.close();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
