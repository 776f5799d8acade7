import { hash, randomFillSync, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

/** Length of an entry's canonical bytes before its JSON text. */
export const CANONICAL_HEADER = 93;
export const SALT_SIZE = 16;
export const NO_HASH: Buffer = Buffer.alloc(32);

const MAGIC = Buffer.from('PCE1', 'latin1');
const NO_DIGEST = Buffer.alloc(32);
const SALTS = 256;

/** The last entry of a writer's chain. */
export interface Head {
  readonly seq: number;
  /** Hexadecimal. */
  readonly hash: string;
}

export type Heads = Readonly<Record<string, Head>>;

export const sha256Bytes = (bytes: Uint8Array): Buffer => hash('sha256', bytes, 'buffer');

/** What an entry's hash is computed of. */
export interface Link {
  /** Sixteen random bytes that name the writing process. */
  readonly writer: Buffer;
  readonly seq: number;
  readonly previous: Buffer;
  /** Salted digest of the body, when one rides along. */
  readonly digest: Buffer | undefined;
  readonly json: Buffer;
}

/** The canonical bytes of an entry, as docs/recording.md describes them byte by byte. */
export function encodeLink(link: Link): Buffer {
  const bytes = Buffer.allocUnsafe(CANONICAL_HEADER + link.json.length);
  bytes.set(MAGIC, 0);
  bytes.set(link.writer, 4);
  bytes.writeUInt32BE(Math.floor(link.seq / 0x1_0000_0000), 20);
  bytes.writeUInt32BE(link.seq % 0x1_0000_0000, 24);
  bytes.set(link.previous, 28);
  bytes[60] = link.digest === undefined ? 0 : 1;
  bytes.set(link.digest ?? NO_DIGEST, 61);
  bytes.set(link.json, CANONICAL_HEADER);
  return bytes;
}

/** Reads canonical bytes; undefined when they are none. */
export function decodeLink(bytes: Buffer): Link | undefined {
  if (bytes.length < CANONICAL_HEADER || !bytes.subarray(0, 4).equals(MAGIC) || bytes[60]! > 1) return undefined;
  const digest = bytes.subarray(61, CANONICAL_HEADER);
  if (bytes[60] === 0 && !digest.equals(NO_DIGEST)) return undefined;
  return {
    writer: bytes.subarray(4, 20),
    seq: bytes.readUInt32BE(20) * 0x1_0000_0000 + bytes.readUInt32BE(24),
    previous: bytes.subarray(28, 60),
    digest: bytes[60] === 1 ? digest : undefined,
    json: bytes.subarray(CANONICAL_HEADER),
  };
}

/** Digest of a body; the salt keeps a short body from being guessed once it was erased. */
export function saltedDigest(salt: Uint8Array, body: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(salt.length + body.length);
  bytes.set(salt, 0);
  bytes.set(body, salt.length);
  return sha256Bytes(bytes);
}

/** Random salts, drawn many at a time. */
export class Salts {
  readonly #pool = Buffer.allocUnsafeSlow(SALT_SIZE * SALTS);
  #next = SALTS;

  next(): Buffer {
    if (this.#next === SALTS) {
      randomFillSync(this.#pool);
      this.#next = 0;
    }
    const start = SALT_SIZE * this.#next++;
    return this.#pool.subarray(start, start + SALT_SIZE);
  }
}

/** The heads of all chains at a moment, signed. */
export interface Checkpoint {
  readonly number: number;
  readonly at: number;
  readonly heads: Heads;
  /** Id of the master key that the signing key was derived from. */
  readonly key: string;
  readonly signature: string;
}

/** The bytes that a checkpoint's signature covers. */
export function checkpointText(checkpoint: Omit<Checkpoint, 'signature'>): Buffer {
  const lines = Object.keys(checkpoint.heads)
    .toSorted()
    .map((writer) => `${writer} ${checkpoint.heads[writer]!.seq} ${checkpoint.heads[writer]!.hash}\n`);
  const head = `portcullis-checkpoint-1\n${checkpoint.number}\n${checkpoint.at}\n${checkpoint.key}\n`;
  return Buffer.from(head + lines.join(''));
}

export function signCheckpoint(checkpoint: Omit<Checkpoint, 'signature'>, key: KeyObject): Checkpoint {
  return { ...checkpoint, signature: sign(null, checkpointText(checkpoint), key).toString('hex') };
}

export function isSigned(checkpoint: Checkpoint, key: KeyObject): boolean {
  return verify(null, checkpointText(checkpoint), key, Buffer.from(checkpoint.signature, 'hex'));
}

/** How `writer.started` names a head: sequence and hash. */
export const headText = (head: Head): string => `${head.seq}:${head.hash}`;
