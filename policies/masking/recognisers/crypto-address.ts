import { createHash } from 'node:crypto';
import { isHex } from '../characters.ts';
import type { Sink } from '../entities.ts';

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const BECH32 = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const GENERATORS = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];

/** Offers the word from `start` up to `end` when it is a Bitcoin address (both checksums) or an Ethereum one. */
export function cryptoAddress(text: string, start: number, end: number, sink: Sink): void {
  const first = text.charCodeAt(start);
  const length = end - start;
  if ((first === 0x31 || first === 0x33) && length <= 35) {
    if (isBase58Check(text.slice(start, end))) sink.offer('CRYPTO', start, end, 0.95);
  } else if ((first | 0x20) === 0x62) {
    if (length <= 90 && isBech32(text.slice(start, end))) sink.offer('CRYPTO', start, end, 0.95);
  } else if (first === 0x30 && length === 42 && (text.charCodeAt(start + 1) | 0x20) === 0x78) {
    for (let i = start + 2; i < end; i += 1) if (!isHex(text.charCodeAt(i))) return;
    sink.offer('CRYPTO', start, end, 0.6);
  }
}

/** Version, hash and four bytes of a double SHA-256: 25 bytes in base 58. */
function isBase58Check(address: string): boolean {
  let value = 0n;
  for (const char of address) {
    const digit = BASE58.indexOf(char);
    if (digit < 0) return false;
    value = value * 58n + BigInt(digit);
  }
  const hex = value.toString(16);
  if (hex.length > 50) return false;
  const bytes = Buffer.from(hex.padStart(50, '0'), 'hex');
  const hash = sha256(sha256(bytes.subarray(0, 21)));
  return hash.subarray(0, 4).equals(bytes.subarray(21));
}

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** BIP 173 and BIP 350, main network: `bc1`, one case throughout. */
function isBech32(address: string): boolean {
  const lower = address.toLowerCase();
  if (!lower.startsWith('bc1') || (address !== lower && address !== address.toUpperCase())) return false;
  let check = 1;
  const feed = (value: number): void => {
    const top = check >>> 25;
    check = ((check & 0x1ffffff) << 5) ^ value;
    for (const [i, generator] of GENERATORS.entries()) if (((top >>> i) & 1) === 1) check ^= generator;
  };
  // The human-readable part: high bits, zero, low bits of `bc`.
  for (const value of [3, 3, 0, 2, 3]) feed(value);
  for (let i = 3; i < lower.length; i += 1) {
    const value = BECH32.indexOf(lower[i] as string);
    if (value < 0) return false;
    feed(value);
  }
  return check === 1 || check === 0x2bc830a3;
}
