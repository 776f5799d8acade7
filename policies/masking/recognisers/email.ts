import { isAlnum, isDigit, isEscapeLetter, isLetter } from '../characters.ts';
import type { Sink } from '../entities.ts';

const LONGEST_LOCAL = 128;
const LONGEST_DOMAIN = 255;
const QUOTE = 0x22;
// Below it, beyond ASCII, are control characters and punctuation.
const LETTERS = 0xc0;

/** Offers the e-mail address whose `@` is at `at`. */
export function email(text: string, at: number, sink: Sink): void {
  const start = localStart(text, at);
  if (start < 0) return;
  const end = domainEnd(text, at + 1);
  if (end < 0) return;
  sink.offer('EMAIL_ADDRESS', start, end, startsLikeVersion(text, at + 1) ? 0.4 : 0.95);
}

function localStart(text: string, at: number): number {
  let i = at;
  while (i > 0 && at - i < LONGEST_LOCAL && isLocal(text.charCodeAt(i - 1))) i -= 1;
  // `\n` written out before the address is a line end, not its first letter.
  if (i < at - 1 && isEscapeLetter(text, i)) i += 1;
  while (i < at && !startsLocal(text.charCodeAt(i))) i += 1;
  if (i < at) return i;
  if (text.charCodeAt(at - 1) !== QUOTE) return -1;
  // A quoted local part, `"jane doe"@example.com`.
  const low = Math.max(0, at - LONGEST_LOCAL);
  const open = text.slice(low, at - 1).lastIndexOf('"');
  return open >= 0 && low + open < at - 2 ? low + open : -1;
}

/** Index behind the longest domain at `from` that ends in a top-level domain; -1 when there is none. */
function domainEnd(text: string, from: number): number {
  let end = -1;
  let label = from;
  for (let labels = 0; label - from < LONGEST_DOMAIN; labels += 1) {
    let i = label;
    while (isLabel(text.charCodeAt(i)) && i - label < LONGEST_DOMAIN) i += 1;
    if (i === label) break;
    if (labels > 0) {
      const letters = topLevelEnd(text, label, i);
      if (letters - label >= 2) end = letters;
    }
    if (text.charCodeAt(i) !== 0x2e) break;
    label = i + 1;
  }
  return end >= 0 && isScaledImage(text, from, end) ? -1 : end;
}

function topLevelEnd(text: string, label: number, end: number): number {
  if (text.startsWith('xn--', label)) return end;
  let i = label;
  while (i < end && (isLetter(text.charCodeAt(i)) || text.charCodeAt(i) >= 0x80)) i += 1;
  return i;
}

/** `logo@2x.png` is a file name. */
function isScaledImage(text: string, from: number, end: number): boolean {
  if (!isDigit(text.charCodeAt(from)) || end - from > 10) return false;
  return /^\d(?:\.\d)?x\.(?:png|jpe?g|gif|webp|svg|avif)$/.test(text.slice(from, end));
}

/** `left-pad@1.3.0-rc.one` is a package. */
function startsLikeVersion(text: string, from: number): boolean {
  let i = from;
  while (isDigit(text.charCodeAt(i)) && i - from < 6) i += 1;
  return i > from && text.charCodeAt(i) === 0x2e && isDigit(text.charCodeAt(i + 1));
}

const isLocal = (c: number): boolean =>
  isAlnum(c) || c === 0x2e || c === 0x5f || c === 0x25 || c === 0x2b || c === 0x2d || c === 0x27 || c >= LETTERS;
const startsLocal = (c: number): boolean => isAlnum(c) || c === 0x5f || c === 0x2b || c >= LETTERS;
const isLabel = (c: number): boolean => isAlnum(c) || c === 0x2d || c === 0x5f || c >= LETTERS;
