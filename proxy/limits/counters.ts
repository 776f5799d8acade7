export interface CountersOptions<T> {
  /** So many are kept; beyond it the one that was used least lately is forgotten. */
  readonly most: number;
  /** What a counter that nobody used yet says. */
  readonly create: (now: number) => T;
  /** True when the counter says the same as one that nobody used yet. */
  readonly spent: (counter: T, now: number) => boolean;
}

/** Counters by key, bounded in number. */
export class Counters<T> {
  readonly #options: CountersOptions<T>;
  /** The least lately used first. */
  readonly #entries = new Map<string, T>();

  constructor(options: CountersOptions<T>) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** What the counter says, without making it one that is used. */
  peek(key: string, now: number): T {
    const found = this.#entries.get(key);
    return found === undefined || this.#options.spent(found, now) ? this.#options.create(now) : found;
  }

  /** The counter, to be changed. */
  use(key: string, now: number): T {
    const counter = this.peek(key, now);
    this.#entries.delete(key);
    this.#forget(now);
    this.put(key, counter);
    return counter;
  }

  put(key: string, counter: T): void {
    this.#entries.set(key, counter);
  }

  /** The most lately used, at most so many. */
  latest(most: number): readonly (readonly [string, T])[] {
    return [...this.#entries].slice(-most);
  }

  /** Two steps for each use keep up with what has run out. */
  #forget(now: number): void {
    let steps = 0;
    for (const [key, counter] of this.#entries) {
      const over = this.#entries.size >= this.#options.most;
      if (!over && (steps === 2 || !this.#options.spent(counter, now))) return;
      this.#entries.delete(key);
      steps += 1;
    }
  }
}
