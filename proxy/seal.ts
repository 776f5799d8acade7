import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import type { Json } from '../policies/types.ts';

const KEY_ID = 4;
const IV = 12;
const TAG = 16;

interface Key {
  readonly id: Buffer;
  readonly bytes: Buffer;
}

/**
 * Values that leave the gateway and come back: sealed (AES-256-GCM) under a key of their purpose, so that nobody reads,
 * alters or makes one, and any process with the same master key opens them. The newest key seals, older ones still open.
 */
export class Seal {
  readonly #keys: readonly Key[];

  /** `masters`: the master key, then its predecessors. */
  constructor(masters: readonly Buffer[], purpose: string) {
    this.#keys = masters.map((master) => {
      const bytes = Buffer.from(hkdfSync('sha256', master, '', purpose, 32));
      return { bytes, id: createHash('sha256').update(bytes).digest().subarray(0, KEY_ID) };
    });
  }

  /** The value as base64url text, which is safe in headers, URLs and JSON. `context` must be given again to open it. */
  seal(value: Json, context = ''): string {
    const key = this.#keys[0]!;
    const iv = randomBytes(IV);
    const cipher = createCipheriv('aes-256-gcm', key.bytes, iv).setAAD(Buffer.from(context));
    const body = Buffer.concat([cipher.update(JSON.stringify(value)), cipher.final()]);
    return Buffer.concat([key.id, iv, body, cipher.getAuthTag()]).toString('base64url');
  }

  /** The value, or undefined when it was not sealed here, not for this context, or altered. */
  open(text: string, context = ''): Json | undefined {
    const sealed = Buffer.from(text, 'base64url');
    if (sealed.length < KEY_ID + IV + TAG || sealed.toString('base64url') !== text) return undefined;
    const key = this.#keys.find(({ id }) => id.equals(sealed.subarray(0, KEY_ID)));
    if (key === undefined) return undefined;
    const decipher = createDecipheriv('aes-256-gcm', key.bytes, sealed.subarray(KEY_ID, KEY_ID + IV));
    decipher.setAAD(Buffer.from(context)).setAuthTag(sealed.subarray(-TAG));
    try {
      const body = Buffer.concat([decipher.update(sealed.subarray(KEY_ID + IV, -TAG)), decipher.final()]);
      return JSON.parse(body.toString()) as Json;
    } catch {
      // Not ours, or altered: as if there were none.
      return undefined;
    }
  }
}
