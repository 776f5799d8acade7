import type { Frame } from '../../types.ts';
import { UpstreamFault } from '../upstream.ts';

/** Bytes that may wait for a client to come back. */
const MOST_AHEAD = 1_048_576;
const MOST_QUESTIONS = 32;

export interface IncomingOptions {
  /** Too much waits for a client that is away. */
  readonly onOverflow: () => void;
  /** Whether another call takes a question that came on the stream of this one while its client is away. */
  readonly elsewhere: (question: Frame) => boolean;
}

type Source = AsyncIterator<readonly Frame[]>;

/**
 * What one call hears: its own stream, and what is put in from elsewhere. The stream is read as it is asked for; while the client
 * is away it is read ahead, so that a transport that many calls share does not stand still for one of them.
 */
export class Incoming {
  readonly #options: IncomingOptions;
  #source: Source | undefined;
  #reading = false;
  #ahead = false;
  #heard: Frame[] = [];
  #bytes = 0;
  /** The stream said something that is no message. */
  #sign = false;
  #answered = false;
  #over: { readonly fault: unknown } | undefined;
  #wake: (() => void) | undefined;
  #onWanted: (() => void) | undefined;
  #onPut: (() => void) | undefined;

  constructor(options: IncomingOptions) {
    this.#options = options;
  }

  /** The call's own stream. */
  from(source: Source): void {
    this.#source = source;
    if (this.#over !== undefined) this.#leave();
    else if (this.#ahead) this.#read();
  }

  /** All there is, at least a sign of life; throws when no more will come. */
  async next(): Promise<readonly Frame[]> {
    for (;;) {
      if (this.#heard.length > 0 || this.#sign) {
        this.#sign = false;
        this.#bytes = 0;
        return this.#heard.splice(0);
      }
      if (this.#over !== undefined) throw this.#over.fault;
      this.#read();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** A message from elsewhere; false when it cannot be taken. */
  put(frame: Frame): boolean {
    if (this.#over !== undefined || this.#answered) return false;
    if (this.#heard.filter(({ kind }) => kind === 'request').length >= MOST_QUESTIONS) return false;
    this.#take([frame]);
    this.#onPut?.();
    return true;
  }

  /** The request with this id, if it is here, is not wanted any more. */
  withdraw(id: string): void {
    this.#heard = this.#heard.filter((frame) => frame.kind !== 'request' || frame.id !== id);
  }

  /** What the promise brings, or nothing when something is put in before that. */
  unlessPut<T>(promise: Promise<T>): Promise<T | undefined> {
    // Whoever reads on awaits it later, if at all.
    promise.catch(() => undefined);
    if (this.#heard.length > 0) return Promise.resolve(undefined);
    const put = new Promise<undefined>((resolve) => {
      this.#onPut = () => resolve(undefined);
    });
    return Promise.race([promise, put]);
  }

  /** Reads on although nobody asks for it, or, with false, as before. */
  readAhead(on: boolean): void {
    this.#ahead = on;
    if (on) this.#read();
    else this.#onWanted?.();
  }

  /** Resolves when somebody asks for more than was read ahead. */
  wanted(): Promise<void> {
    if (!this.#ahead || this.#over !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onWanted = resolve;
    });
  }

  /** Nothing more is wanted; the stream is left. */
  close(): void {
    this.#finish(new UpstreamFault('given up by the gateway', true));
    this.#leave();
    this.#onWanted?.();
  }

  #leave(): void {
    this.#source?.return?.().catch(() => undefined);
  }

  #read(): void {
    // Behind its answer a stream has nothing to say to the call.
    if (this.#reading || this.#answered || this.#over !== undefined || this.#source === undefined) return;
    this.#reading = true;
    this.#source.next().then(
      ({ done, value }) => {
        this.#reading = false;
        if (done === true) this.#finish(new UpstreamFault('the stream ended without an answer', true));
        else this.#take(this.#ahead ? value.filter((frame) => !this.#passed(frame)) : value);
      },
      (fault: unknown) => this.#finish(fault),
    );
  }

  #passed(frame: Frame): boolean {
    return frame.kind === 'request' && this.#options.elsewhere(frame);
  }

  #take(frames: readonly Frame[]): void {
    if (this.#over !== undefined) return;
    this.#heard.push(...frames);
    this.#sign ||= frames.length === 0 && !this.#ahead;
    for (const { kind, bytes } of frames) {
      if (kind === 'response') this.#answered = true;
      // The answer is bounded like any message, and the last.
      else this.#bytes += bytes.length;
    }
    if (this.#ahead && this.#bytes > MOST_AHEAD) return this.#options.onOverflow();
    if (this.#ahead) this.#read();
    this.#wake?.();
  }

  #finish(fault: unknown): void {
    this.#over ??= { fault };
    this.#wake?.();
  }
}
