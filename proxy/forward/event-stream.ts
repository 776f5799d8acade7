import { SseReader, type SseEvent } from '../wire/sse.ts';
import { UpstreamFault } from './upstream.ts';

/** Where bytes come from, as far as their reader may slow it down or leave it. */
export interface Flow {
  readonly paused: boolean;
  pause(): void;
  resume(): void;
  abort(reason: Error): void;
}

const BACKLOG = 1_048_576;

/** Events of one stream, read chunk by chunk; the flow is paused while the reader is behind. */
export class EventStream implements AsyncIterable<readonly SseEvent[]>, AsyncIterator<readonly SseEvent[], undefined> {
  readonly #flow: Flow;
  readonly #reader: SseReader;
  #events: SseEvent[] = [];
  #bytes = 0;
  #ended = false;
  #fault: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(flow: Flow, eventSize: number) {
    this.#flow = flow;
    this.#reader = new SseReader({ eventSize });
  }

  /** True when next() will not wait. */
  get ready(): boolean {
    return this.#events.length > 0 || this.#ended || this.#fault !== undefined;
  }

  push(chunk: Buffer): void {
    try {
      for (const event of this.#reader.push(chunk)) {
        this.#events.push(event);
        this.#bytes += event.raw.length;
      }
    } catch (fault) {
      const reason = fault instanceof Error ? fault.message : 'an event could not be read';
      this.#flow.abort(new UpstreamFault(reason, true, fault));
      return;
    }
    if (this.#bytes > BACKLOG) this.#flow.pause();
    if (this.#events.length > 0) this.#notify();
  }

  end(): void {
    this.#ended = true;
    this.#notify();
  }

  fail(fault: Error): void {
    this.#fault ??= fault;
    this.#notify();
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  async next(): Promise<IteratorResult<readonly SseEvent[], undefined>> {
    for (;;) {
      if (this.#events.length > 0) {
        const value = this.#events;
        this.#events = [];
        this.#bytes = 0;
        if (this.#flow.paused) this.#flow.resume();
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
    if (!this.#ended && this.#fault === undefined) this.#flow.abort(new Error('given up by the gateway'));
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
