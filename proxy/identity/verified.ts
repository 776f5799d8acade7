import { hash } from 'node:crypto';
import type { Principal } from '../../policies/types.ts';

interface Entry {
  readonly principal: Principal;
  readonly since: number;
  readonly until: number;
}

/** Tokens that passed every check on a route a moment ago. Holds digests, never tokens. */
export class VerifiedTokens {
  readonly #entries = new Map<string, Entry>();
  readonly #capacity: number;
  readonly #longestMs: number;
  #generation = 0;

  constructor(capacity: number, longestMs: number) {
    this.#capacity = capacity;
    this.#longestMs = longestMs;
  }

  /** Changes with `clear`: what was verified under an older generation is not remembered. */
  get generation(): number {
    return this.#generation;
  }

  /** The digest has a fixed length, so no route can make two keys equal. */
  key(token: string, route: string): string {
    return hash('sha256', token, 'base64url') + route;
  }

  /** The principal, unless the time is over by the clock of this very call; a clock that was set back ends it too. */
  find(key: string, now: number): Principal | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (now >= entry.since && now < entry.until) return entry.principal;
    this.#entries.delete(key);
    return undefined;
  }

  /** Remembers until the token expires, and never longer than the longest time. */
  add(key: string, principal: Principal, expiresAt: number, now: number, generation: number): void {
    const until = Math.min(expiresAt, now + this.#longestMs);
    if (generation !== this.#generation || until <= now) return;
    if (this.#entries.size >= this.#capacity) {
      const oldest = this.#entries.keys().next();
      if (oldest.done !== true) this.#entries.delete(oldest.value);
    }
    this.#entries.set(key, { principal, since: now, until });
  }

  clear(): void {
    this.#generation += 1;
    this.#entries.clear();
  }
}
