import { createLocalJWKSet, type JWK, type LocalJWKSet } from 'jose';
import type { IdentityHttp } from './fetch.ts';

export interface KeysOptions {
  readonly issuer: string;
  /** Time between two background refreshes. */
  readonly refreshMs: number;
  /** First wait after a failed refresh; it doubles up to a minute. */
  readonly retryMs: number;
  /** Shortest time between two refreshes caused by tokens that name an unknown key. */
  readonly cooldownMs: number;
  /** Keys that could not be refreshed for so long are no longer believed. */
  readonly maxAgeMs: number;
  readonly clock: () => number;
  /** The keys are others than before; whatever was proven with the old ones must be forgotten. */
  readonly onChange: () => void;
  /** After each attempt: what is wrong, in a sentence without anything the provider said, and the cause for the log. */
  readonly onRefresh: (trouble: string | undefined, cause?: unknown) => void;
}

const MOST_KEYS = 100;
const LONGEST_RETRY_MS = 60_000;

/** The signing keys of one issuer: found by discovery, refreshed in the background, kept while the provider is away. */
export class IssuerKeys {
  readonly #options: KeysOptions;
  readonly #http: IdentityHttp;
  #set: LocalJWKSet | undefined;
  /** The text of the keys in use, to see whether they changed. */
  #text = '';
  #jwksUri: string | undefined;
  #loadedAt = 0;
  #forcedAt = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #trouble: string | undefined = 'the keys have not been fetched yet';
  #loading: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: KeysOptions, http: IdentityHttp) {
    this.#options = options;
    this.#http = http;
  }

  /** The keys to verify with; undefined while there are none that may be believed. */
  current(): LocalJWKSet | undefined {
    return this.#stale() ? undefined : this.#set;
  }

  /** Why there are no keys. A provider that is away while its last keys may still be believed is no trouble. */
  trouble(): string | undefined {
    if (this.#set === undefined) return this.#trouble ?? 'the provider publishes no usable key';
    return this.#stale() ? 'the keys could not be refreshed for too long' : undefined;
  }

  /** Fetches discovery document and keys; never rejects, the outcome is in `trouble`. One fetch at a time. */
  refresh(): Promise<void> {
    return this.#load(undefined);
  }

  /**
   * For a token that names a key we do not have. Resolves to true once the keys were fetched, which happens at most once
   * per cool-down however many such tokens come.
   */
  async refreshForUnknownKey(now: number): Promise<boolean> {
    if (this.#loading === undefined) {
      // Either direction: a clock that was set back must not lift or prolong the cool-down for long.
      if (Math.abs(now - this.#forcedAt) < this.#options.cooldownMs) return false;
      this.#forcedAt = now;
    }
    await this.#load(this.#jwksUri);
    return true;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #stale(): boolean {
    return this.#options.clock() - this.#loadedAt > this.#options.maxAgeMs;
  }

  #load(jwksUri: string | undefined): Promise<void> {
    this.#loading ??= this.#attempt(jwksUri).finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #attempt(jwksUri: string | undefined): Promise<void> {
    clearTimeout(this.#timer);
    let step = 'the discovery document cannot be used';
    let cause: unknown;
    try {
      const uri = jwksUri ?? (await this.#discover());
      step = 'the keys cannot be fetched';
      const keys = usableKeys(await this.#http.getJson(uri));
      this.#jwksUri = uri;
      this.#accept(keys);
    } catch (error) {
      // Keys that were fetched earlier stay in use until maxAgeMs; without any, every token is refused.
      this.#trouble = step;
      this.#failures += 1;
      cause = error;
    }
    if (this.#closed) return;
    const { retryMs, refreshMs, onRefresh } = this.#options;
    const retry = Math.min(retryMs * 2 ** Math.min(this.#failures - 1, 16), LONGEST_RETRY_MS, refreshMs);
    this.#timer = setTimeout(() => void this.refresh(), this.#failures === 0 ? refreshMs : retry);
    this.#timer.unref();
    onRefresh(this.#trouble, cause);
  }

  /** OpenID Connect Discovery 1.0 section 4: the document must name exactly the issuer it was asked of. */
  async #discover(): Promise<string> {
    const { issuer } = this.#options;
    const document = await this.#http.getJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
    const { issuer: named, jwks_uri: uri } = asObject(document);
    if (named !== issuer) throw new Error('the discovery document names another issuer');
    if (typeof uri !== 'string') throw new Error('the discovery document has no jwks_uri');
    return uri;
  }

  #accept(keys: JWK[]): void {
    const text = JSON.stringify(keys);
    const set = keys.length === 0 ? undefined : createLocalJWKSet({ keys });
    this.#loadedAt = this.#options.clock();
    this.#failures = 0;
    this.#trouble = set === undefined ? 'the provider publishes no usable key' : undefined;
    if (text === this.#text) return;
    this.#text = text;
    this.#set = set;
    this.#options.onChange();
  }
}

/** Public keys for signatures. What else a provider publishes (encryption keys, unknown types) is skipped, not an error. */
function usableKeys(document: unknown): JWK[] {
  const { keys } = asObject(document);
  if (!Array.isArray(keys) || keys.length > MOST_KEYS) throw new Error('the document is not a JSON Web Key Set');
  return keys.filter(
    (key): key is JWK =>
      typeof key === 'object' &&
      key !== null &&
      (key.kty === 'RSA' || key.kty === 'EC' || key.kty === 'OKP') &&
      (key.use === undefined || key.use === 'sig') &&
      !Object.hasOwn(key, 'd'),
  );
}

function asObject(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('the document is not an object');
  return value as Record<string, unknown>;
}
