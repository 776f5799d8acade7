import type { Frame } from '../../types.ts';
import type { UpstreamFault } from '../upstream.ts';

/** One listening stream: what it hears, in order, until it ends or fails. Saying the same thing again before it was read adds nothing. */
export class Listener implements AsyncIterable<readonly Frame[]> {
  readonly methods: ReadonlySet<string>;
  readonly uris: ReadonlySet<string>;
  readonly #queue = new Map<string, Frame>();
  #ended = false;
  #fault: UpstreamFault | undefined;
  #wake: (() => void) | undefined;

  constructor(methods: ReadonlySet<string>, uris: ReadonlySet<string>) {
    this.methods = methods;
    this.uris = uris;
  }

  get failed(): boolean {
    return this.#fault !== undefined;
  }

  push(frame: Frame): void {
    this.#queue.set(frame.text, frame);
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  fail(fault: UpstreamFault): void {
    if (!this.#ended) this.#fault ??= fault;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly Frame[]> {
    for (;;) {
      if (this.#queue.size > 0) {
        const frames = [...this.#queue.values()];
        this.#queue.clear();
        yield frames;
      } else if (this.#fault !== undefined) throw this.#fault;
      else if (this.#ended) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
