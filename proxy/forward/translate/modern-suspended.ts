import { randomBytes } from 'node:crypto';

/** Something that waits for its client to come back. */
export interface Waiting {
  readonly owner: string;
  /** The call it is about: only the same one continues it. */
  readonly digest: string;
  /** Ends it when its time is over. */
  readonly expire: () => void;
}

const TTL_MS = 10 * 60_000;
const MOST = 1_000;

/** Suspended calls by the random state that their client brings back. Each is continued once, by its owner, within ten minutes. */
export class SuspendedCalls<T extends Waiting> {
  readonly #now: () => number;
  /** Oldest first. */
  readonly #calls = new Map<string, { readonly it: T; readonly at: number }>();

  constructor(now: () => number) {
    this.#now = now;
  }

  get size(): number {
    return this.#calls.size;
  }

  /** The state to hand out. When there are too many, the oldest goes, of the same owner if he has one: nobody crowds out others. */
  add(it: T): string {
    this.sweep();
    if (this.#calls.size >= MOST) {
      const all = [...this.#calls];
      const [state] = all.find(([, call]) => call.it.owner === it.owner) ?? all[0]!;
      this.#expire(state);
    }
    const state = randomBytes(16).toString('base64url');
    this.#calls.set(state, { it, at: this.#now() });
    return state;
  }

  /** Takes it out, if this is its owner and the same call. */
  take(state: string, owner: string, digest: string): T | undefined {
    this.sweep();
    const it = this.#calls.get(state)?.it;
    if (it === undefined || it.owner !== owner || it.digest !== digest) return undefined;
    this.#calls.delete(state);
    return it;
  }

  sweep(): void {
    const before = this.#now() - TTL_MS;
    for (const [state, { at }] of this.#calls) {
      if (at > before) return;
      this.#expire(state);
    }
  }

  close(): void {
    for (const state of this.#calls.keys()) this.#expire(state);
  }

  #expire(state: string): void {
    const { it } = this.#calls.get(state)!;
    this.#calls.delete(state);
    it.expire();
  }
}
