import { isAlnum, isHex, joinedBefore } from '../characters.ts';
import type { Sink } from '../entities.ts';

const COLON = 0x3a;
const DASH = 0x2d;
const PAIRS = 6;

/** Offers the hardware address whose first separator, a colon, a hyphen or a full stop, is at `at`. */
export function macAddress(text: string, at: number, sink: Sink): void {
  const separator = text.charCodeAt(at);
  const size = separator === COLON || separator === DASH ? 2 : 4;
  if (text.charCodeAt(at + size + 1) !== separator || !isHex(text.charCodeAt(at - 1))) return;
  const start = at - size;
  const end = start + (size === 2 ? PAIRS * 3 - 1 : 14);
  if (start < 0 || joinedBefore(text, start) || text.charCodeAt(start - 1) === separator) return;
  const after = text.charCodeAt(end);
  if (isAlnum(after) || (after === separator && isHex(text.charCodeAt(end + 1)))) return;
  let letters = false;
  let sum = 0;
  for (let i = start; i < end; i += 1) {
    const c = text.charCodeAt(i);
    if ((i - start) % (size + 1) === size) {
      if (c !== separator) return;
    } else if (!isHex(c)) {
      return;
    } else {
      letters ||= c > 0x39;
      sum += c - 0x30;
    }
  }
  // All zeros is nobody's. Digits alone, with hyphens or full stops, are a date with its time or an amount.
  if (sum === 0 || (separator !== COLON && !letters)) return;
  sink.offer('MAC_ADDRESS', start, end, separator === COLON || separator === DASH ? 0.7 : 0.55);
}
