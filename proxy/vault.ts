import { createHmac, randomBytes } from 'node:crypto';
import type { Principal, TokenSource } from '../policies/types.ts';
import { Seal } from './seal.ts';

/** Stateless callers go on with their placeholders until they are silent for so long, as with their recorded sessions. */
const IDLE_MS = 30 * 60_000;
const DIGEST_LENGTH = 16;

export interface VaultLimits {
  /** Sessions with placeholders at once; of more the one unused for longest is forgotten. */
  readonly mostScopes: number;
  /** Values of one session; further ones become their mere type. */
  readonly mostValues: number;
  /** Characters of a value. */
  readonly longestValue: number;
  /** Characters of all sealed values; above that the session unused for longest is forgotten. */
  readonly mostSealed: number;
}

const LIMITS: VaultLimits = {
  mostScopes: 10_000,
  mostValues: 10_000,
  longestValue: 16_384,
  mostSealed: 128 * 1024 * 1024,
};

/** Whose placeholders: those of a session, or of the caller's stateless calls. */
export const scopeKey = (
  { issuer, subject }: Pick<Principal, 'issuer' | 'subject'>,
  session: string | undefined,
): string => JSON.stringify([issuer, subject, session ?? null]);

interface Scope {
  usedAt: number;
  sealedLength: number;
  readonly counts: Map<string, number>;
  /** Keyed digest of type and value, to the placeholder. */
  readonly placeholders: Map<string, string>;
  /** Placeholder to the sealed value. */
  readonly values: Map<string, string>;
}

/**
 * What stands behind the placeholders of `tokenize`, by scope: a session or the window of a stateless caller, of one principal.
 * Values are sealed under a key of this process and never written anywhere; they end with their scope. A scope's placeholders mean
 * nothing in any other.
 */
export class Vault {
  readonly #scopes = new Map<string, Scope>();
  readonly #lent = new Map<string, string>();
  readonly #seal = new Seal([randomBytes(32)], 'placeholder');
  readonly #index = randomBytes(32);
  readonly #digestKey: Buffer;
  readonly #limits: VaultLimits;
  #sealedLength = 0;

  /** `digestKey` makes the digests of `hash`: gateways with the same key agree on them. */
  constructor(digestKey: Buffer, limits: Partial<VaultLimits> = {}) {
    this.#digestKey = digestKey;
    this.#limits = { ...LIMITS, ...limits };
  }

  /** What masking asks for placeholders and digests in a scope. */
  source(scope: string, now: number): TokenSource {
    return {
      placeholder: (type, value) => this.#placeholder(scope, type, value, now),
      digest: (type, value) =>
        createHmac('sha256', this.#digestKey).update(`${type}\0${value}`).digest('hex').slice(0, DIGEST_LENGTH),
    };
  }

  /** The value behind a placeholder of this scope; undefined when there is none, or no longer. */
  value(scope: string, placeholder: string, now: number): string | undefined {
    const known = this.#touch(scope, now);
    const sealed = known?.values.get(placeholder);
    if (sealed === undefined) return undefined;
    const value = this.#seal.open(sealed, JSON.stringify([scope, placeholder]));
    return typeof value === 'string' ? value : undefined;
  }

  /** An approved call runs in a session of its own, with the placeholders of the one it was made in. */
  lend(review: string, scope: string): void {
    // The message under review is that of the first who asked.
    if (this.#lent.has(review)) return;
    this.#lent.set(review, scope);
    if (this.#lent.size > this.#limits.mostScopes) this.#lent.delete(this.#lent.keys().next().value!);
  }

  /** The scope whose placeholders the execution of a review may use. */
  borrowed(review: string): string | undefined {
    return this.#lent.get(review);
  }

  /** The session is over. */
  end(scope: string): void {
    const known = this.#scopes.get(scope);
    if (known === undefined) return;
    this.#sealedLength -= known.sealedLength;
    this.#scopes.delete(scope);
  }

  /** Forgets the scopes that fell silent. */
  expire(now: number): void {
    for (const [scope, { usedAt }] of this.#scopes) {
      // In order of use: all others are younger.
      if (now - usedAt < IDLE_MS) return;
      this.end(scope);
    }
  }

  #placeholder(scope: string, type: string, value: string, now: number): string {
    const mere = `<${type}>`;
    if (value.length > this.#limits.longestValue) return mere;
    const known = this.#touch(scope, now) ?? this.#open(scope, now);
    const key = createHmac('sha256', this.#index).update(`${type}\0${value}`).digest('base64');
    const before = known.placeholders.get(key);
    if (before !== undefined) return before;
    if (known.placeholders.size >= this.#limits.mostValues) return mere;
    const count = (known.counts.get(type) ?? 0) + 1;
    const placeholder = `<${type}_${count}>`;
    const sealed = this.#seal.seal(value, JSON.stringify([scope, placeholder]));
    known.counts.set(type, count);
    known.placeholders.set(key, placeholder);
    known.values.set(placeholder, sealed);
    known.sealedLength += sealed.length;
    this.#sealedLength += sealed.length;
    while (this.#sealedLength > this.#limits.mostSealed && this.#scopes.size > 1) this.#endOldest();
    return placeholder;
  }

  /** The scope as the one used last; undefined when it does not exist, or was silent for too long. */
  #touch(scope: string, now: number): Scope | undefined {
    const known = this.#scopes.get(scope);
    if (known === undefined) return undefined;
    if (now - known.usedAt >= IDLE_MS) {
      this.end(scope);
      return undefined;
    }
    known.usedAt = now;
    this.#scopes.delete(scope);
    this.#scopes.set(scope, known);
    return known;
  }

  #open(scope: string, now: number): Scope {
    const fresh = { usedAt: now, sealedLength: 0, counts: new Map(), placeholders: new Map(), values: new Map() };
    this.#scopes.set(scope, fresh);
    if (this.#scopes.size > this.#limits.mostScopes) this.#endOldest();
    return fresh;
  }

  #endOldest(): void {
    const oldest = this.#scopes.keys().next().value;
    if (oldest !== undefined) this.end(oldest);
  }
}
