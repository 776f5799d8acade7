/** How often it is asked whether a listening stream may go on. */
const EVERY_MS = 10_000;

/** A stream that may be silent for ever. */
export interface Listener {
  /** Ends the stream if its caller may not listen any more (duty A-13). */
  review(): Promise<void>;
  /** Other rules are in force: what the caller may see may have changed (duty K-03). */
  rulesChanged(): void;
}

/** The streams for listening that are open now. */
export class Listeners {
  readonly #reviewedAt = new Map<Listener, number>();

  get size(): number {
    return this.#reviewedAt.size;
  }

  /** Answers what removes it. */
  add(listener: Listener, now: number): () => void {
    this.#reviewedAt.set(listener, now);
    return () => void this.#reviewedAt.delete(listener);
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
