import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';

const LIFE_MS = 12 * 3_600_000;

/**
 * The console's session lives in its cookie: the person's token, sealed (AES-256-GCM), with an end. Nothing is kept on the
 * server, and a revoked token ends the session at the next request.
 */
export class CookieSeal {
  readonly #key: Buffer;
  readonly #csrfKey: Buffer;
  readonly name: string;
  readonly #secure: boolean;

  constructor(key: Buffer, secure: boolean) {
    this.#key = Buffer.from(hkdfSync('sha256', key, '', 'seal', 32));
    this.#csrfKey = Buffer.from(hkdfSync('sha256', key, '', 'csrf', 32));
    this.#secure = secure;
    this.name = secure ? '__Host-portcullis' : 'portcullis';
  }

  /** The Set-Cookie value that signs a person in. */
  issue(token: string, now: number): string {
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.#key, iv);
    const sealed = Buffer.concat([
      iv,
      cipher.update(JSON.stringify([now + LIFE_MS, token])),
      cipher.final(),
      cipher.getAuthTag(),
    ]);
    return this.#header(sealed.toString('base64url'), LIFE_MS / 1000);
  }

  clear(): string {
    return this.#header('', 0);
  }

  #header(value: string, maxAge: number): string {
    return `${this.name}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${maxAge}${this.#secure ? '; Secure' : ''}`;
  }

  /** The token of a Cookie header; undefined when there is none, it was not made here, or it is over. */
  read(header: string | undefined, now: number): { token: string; csrf: string } | undefined {
    const value = header
      ?.split(';')
      .map((pair) => pair.trim())
      .find((pair) => pair.startsWith(`${this.name}=`))
      ?.slice(this.name.length + 1);
    if (value === undefined || value.length < 40) return undefined;
    const opened = this.#open(Buffer.from(value, 'base64url'));
    if (opened === undefined || opened[0] <= now) return undefined;
    return { token: opened[1], csrf: this.#csrf(value) };
  }

  #open(sealed: Buffer): [number, string] | undefined {
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#key, sealed.subarray(0, 12));
      decipher.setAuthTag(sealed.subarray(-16));
      const text = Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]).toString();
      return JSON.parse(text) as [number, string];
    } catch {
      // Not ours, or altered: the visitor is not signed in.
      return undefined;
    }
  }

  #csrf(cookie: string): string {
    return createHmac('sha256', this.#csrfKey).update(cookie).digest('base64url');
  }

  /** Did this form come from a page that was made for this very cookie? */
  matches(expected: string, given: string | null): boolean {
    const a = Buffer.from(expected);
    const b = Buffer.from(given ?? '');
    return a.length === b.length && timingSafeEqual(a, b);
  }
}
