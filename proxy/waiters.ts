import type { Signal } from './abort.ts';
import type { Review, Reviews } from '../recorder/types.ts';

/** Those who wait for reviews to change, woken by the store. */
export class Waiters {
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #perPrincipal = new Map<string, number>();
  readonly #stop: () => void;

  constructor(reviews: Pick<Reviews, 'onChange'>) {
    this.#stop = reviews.onChange((review: Review) => {
      for (const wake of this.#waiting.get(review.id) ?? []) wake();
    });
  }

  /** Calls waiting now. */
  get size(): number {
    let count = 0;
    for (const waiting of this.#waiting.values()) count += waiting.size;
    return count;
  }

  /**
   * Listens from now on, so that a change between reading a review and waiting for it is not missed. `changed` resolves
   * `true` on a change since the last look, `false` when the time is over or a signal aborted.
   */
  listen(id: string, ...signals: readonly Signal[]): { changed(patienceMs: number): Promise<boolean>; done(): void } {
    let dirty = false;
    let wake: (() => void) | undefined;
    const rouse = (): void => wake?.();
    const onChange = (): void => {
      dirty = true;
      rouse();
    };
    const listeners = this.#waiting.get(id) ?? new Set();
    listeners.add(onChange);
    this.#waiting.set(id, listeners);
    for (const signal of signals) signal.on(rouse);
    return {
      async changed(patienceMs) {
        if (!dirty && patienceMs > 0 && !signals.some((signal) => signal.aborted)) {
          await new Promise<void>((resolve) => {
            const timer = setTimeout(resolve, patienceMs);
            wake = (): void => {
              clearTimeout(timer);
              resolve();
            };
          });
          wake = undefined;
        }
        const answer = dirty;
        dirty = false;
        return answer;
      },
      done: () => {
        for (const signal of signals) signal.off(rouse);
        listeners.delete(onChange);
        if (listeners.size === 0 && this.#waiting.get(id) === listeners) this.#waiting.delete(id);
      },
    };
  }

  /** Counts a call that a principal wants held; false when he has too many already. */
  enter(principal: string, most: number): boolean {
    const count = this.#perPrincipal.get(principal) ?? 0;
    if (count >= most) return false;
    this.#perPrincipal.set(principal, count + 1);
    return true;
  }

  leave(principal: string): void {
    const count = (this.#perPrincipal.get(principal) ?? 1) - 1;
    if (count <= 0) this.#perPrincipal.delete(principal);
    else this.#perPrincipal.set(principal, count);
  }

  close(): void {
    this.#stop();
  }
}
