/** How often it is asked whether a listening stream may go on. */
const EVERY_MS = 10_000;

/** A stream that may be silent for ever. */
export interface Listener {
  /** Ends the stream if its caller may not listen any more (duty A-13). */
  review(): Promise<void>;
  /** Other rules are in force: what the caller may see may have changed (duty K-03). */
  rulesChanged(): void;
}

/** The streams for listening that are open now, and how many of them each caller has. */
export class Listeners {
  readonly #reviewedAt = new Map<Listener, number>();
  readonly #perCaller = new Map<string, number>();
  readonly #most: number;

  /** `most`: streams of one caller. */
  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#reviewedAt.size;
  }

  /** Answers what removes it; undefined when its caller has too many already. */
  add(listener: Listener, caller: string, now: number): (() => void) | undefined {
    const count = this.#perCaller.get(caller) ?? 0;
    if (count >= this.#most) return undefined;
    this.#perCaller.set(caller, count + 1);
    this.#reviewedAt.set(listener, now);
    return () => {
      if (!this.#reviewedAt.delete(listener)) return;
      const left = this.#perCaller.get(caller)! - 1;
      if (left === 0) this.#perCaller.delete(caller);
      else this.#perCaller.set(caller, left);
    };
  }

  async reviewAll(now: number): Promise<void> {
    for (const [listener, at] of this.#reviewedAt) {
      if (now - at < EVERY_MS) continue;
      this.#reviewedAt.set(listener, now);
      await listener.review();
    }
  }

  rulesChanged(): void {
    for (const listener of this.#reviewedAt.keys()) listener.rulesChanged();
  }
}
