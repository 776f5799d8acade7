import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  hkdfSync,
  randomBytes,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';

export type Purpose = 'review message' | 'checkpoint' | 'check' | 'id';

const VERSION = 1;
const ID = 8;
const IV = 12;
const TAG = 16;
/** DER of a PKCS #8 Ed25519 private key up to its 32 bytes of seed (RFC 8410 section 7). */
const ED25519_SEED = Buffer.from('302e020100300506032b657004220420', 'hex');

const derive = (master: Uint8Array, purpose: Purpose): Buffer =>
  Buffer.from(hkdfSync('sha256', master, 'portcullis', `portcullis recorder ${purpose}`, 32));

const signingKey = (master: Uint8Array): KeyObject =>
  createPrivateKey({ key: Buffer.concat([ED25519_SEED, derive(master, 'checkpoint')]), format: 'der', type: 'pkcs8' });

interface Master {
  readonly id: string;
  readonly key: Uint8Array;
}

/** AES-256-GCM; the associated data names what the text is, so that a ciphertext cannot be moved to another row. */
export function seal(key: Buffer, text: Uint8Array, about: string): Buffer {
  const iv = randomBytes(IV);
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  cipher.setAAD(Buffer.from(about));
  const sealed = Buffer.concat([cipher.update(text), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), sealed]);
}

/** Opens what `seal` made with the same key and associated data; throws when a byte differs. */
export function unseal(key: Buffer, sealed: Uint8Array, about: string): Buffer {
  const bytes = Buffer.from(sealed);
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, IV), { authTagLength: TAG });
  decipher.setAAD(Buffer.from(about));
  decipher.setAuthTag(bytes.subarray(IV, IV + TAG));
  return Buffer.concat([decipher.update(bytes.subarray(IV + TAG)), decipher.final()]);
}

/** The keys of one store, each an HKDF of a master key by purpose. Earlier master keys only read. */
export class Keys {
  readonly #masters: readonly Master[];
  readonly #derived = new Map<string, Buffer>();
  readonly #signer: KeyObject;

  constructor(master: Uint8Array, previous: readonly Uint8Array[]) {
    this.#masters = [master, ...previous].map((key) => {
      if (key.length !== 32) throw new Error(`a master key has 32 bytes, not ${key.length}`);
      return { id: derive(key, 'id').subarray(0, ID).toString('hex'), key };
    });
    this.#signer = signingKey(master);
  }

  /** Names the current master key; derived from it, tells nothing of it. */
  get id(): string {
    return this.#masters[0]!.id;
  }

  /** Stored in the database: tells at start whether the master key is the one it was written with. */
  checkValues(): readonly string[] {
    return this.#masters.map(({ key }) => derive(key, 'check').toString('hex'));
  }

  /** Seals under the current key; the key's id rides along. */
  seal(purpose: Purpose, text: Uint8Array, about: string): Buffer {
    const header = Buffer.concat([Buffer.from([VERSION]), Buffer.from(this.id, 'hex')]);
    return Buffer.concat([header, seal(this.#key(this.#masters[0]!, purpose), text, about)]);
  }

  /** Opens what `seal` made under this or an earlier master key. */
  unseal(purpose: Purpose, sealed: Uint8Array, about: string): Buffer {
    const bytes = Buffer.from(sealed);
    const id = bytes.subarray(1, 1 + ID).toString('hex');
    const master = this.#masters.find((known) => known.id === id);
    if (bytes[0] !== VERSION || master === undefined) throw new Error(`sealed under the key ${id}, which is not known`);
    return unseal(this.#key(master, purpose), bytes.subarray(1 + ID), about);
  }

  /** The private key that signs checkpoints. */
  get signer(): KeyObject {
    return this.#signer;
  }

  /** The public key of checkpoints signed under the master key of this id. */
  verifier(id: string): KeyObject | undefined {
    const master = this.#masters.find((known) => known.id === id);
    return master === undefined ? undefined : createPublicKey(signingKey(master.key));
  }

  #key(master: Master, purpose: Purpose): Buffer {
    const name = `${master.id} ${purpose}`;
    let key = this.#derived.get(name);
    if (key === undefined) this.#derived.set(name, (key = derive(master.key, purpose)));
    return key;
  }
}

/** SHA-256 in hexadecimal. */
export const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');
