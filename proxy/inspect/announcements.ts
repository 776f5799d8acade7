import type { SseEvent } from '../wire/sse.ts';
import type { Frame } from '../types.ts';

type Spoken =
  | { readonly from: 'upstream'; readonly events: readonly SseEvent[] }
  | { readonly from: 'gateway'; readonly frames: readonly Frame[] };

/** What the gateway itself has to say on a listening stream, between the events of its upstream. */
export class Announcements {
  #frames: Frame[] = [];
  #wake: (() => void) | undefined;

  say(frames: readonly Frame[]): void {
    this.#frames.push(...frames);
    this.#wake?.();
  }

  /** Both in the order in which they come; ends and fails with the upstream's events, which it closes when its reader leaves. */
  async *between(events: AsyncIterable<readonly SseEvent[]>): AsyncGenerator<Spoken> {
    const source = events[Symbol.asyncIterator]();
    let next: ReturnType<typeof source.next> | undefined;
    try {
      for (;;) {
        next ??= source.next();
        // A promise of its own for each turn: a race keeps its losers alive for as long as they are.
        const turn = new Promise<undefined>((resolve) => {
          this.#wake = () => resolve(undefined);
          if (this.#frames.length > 0) resolve(undefined);
        });
        const step = await Promise.race([next, turn]);
        this.#wake = undefined;
        if (step === undefined) {
          const frames = this.#frames;
          this.#frames = [];
          yield { from: 'gateway', frames };
        } else {
          next = undefined;
          if (step.done === true) return;
          yield { from: 'upstream', events: step.value };
        }
      }
    } finally {
      next?.catch(() => undefined);
      await source.return?.();
    }
  }
}
