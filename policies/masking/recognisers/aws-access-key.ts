import { isAlnum, isDigit, isEscapeLetter, isLower, isUpper, joinedBefore } from '../characters.ts';
import type { Sink } from '../entities.ts';

const ID_LENGTH = 20;
const SECRET_LENGTH = 40;
const BACKSLASH = 0x5c;

/** True when an access key id's prefix is at `at`: long-lived, temporary, bearer and context keys. */
export function isAccessKeyPrefix(text: string, at: number): boolean {
  const b = text.charCodeAt(at + 1);
  if (b === 0x4b || b === 0x53) return text.startsWith('IA', at + 2);
  if (b === 0x42) return text.startsWith('IA', at + 2);
  return b === 0x43 && text.startsWith('CA', at + 2);
}

/** Offers the access key id at `at`, where its prefix stands. */
export function accessKeyId(text: string, at: number, sink: Sink): void {
  if (joinedBefore(text, at)) return;
  for (let i = at + 4; i < at + ID_LENGTH; i += 1) {
    const c = text.charCodeAt(i);
    if (!isUpper(c) && !isDigit(c)) return;
  }
  if (!isAlnum(text.charCodeAt(at + ID_LENGTH))) sink.offer('AWS_ACCESS_KEY', at, at + ID_LENGTH, 0.95);
}

/**
 * Offers stretches of exactly 40 base64 units that are mixed like a secret access key; they need a word nearby. Looks at one unit in
 * forty of a text without such stretches.
 */
export function secretKeys(text: string, sink: Sink): void {
  let done = 0;
  for (let probe = SECRET_LENGTH - 1; probe < text.length;) {
    if (!isSecretUnit(text.charCodeAt(probe))) {
      probe += SECRET_LENGTH;
      continue;
    }
    let start = probe;
    while (start > done && isSecretUnit(text.charCodeAt(start - 1))) start -= 1;
    let end = probe + 1;
    while (isSecretUnit(text.charCodeAt(end))) end += 1;
    // Raw JSON writes `/` as `\/` at will, so there a backslash continues the stretch.
    secret(text, isEscapeLetter(text, start) ? start + 1 : start, end, sink);
    done = end;
    probe = end + SECRET_LENGTH;
  }
}

function secret(text: string, start: number, end: number, sink: Sink): void {
  if (end - start === SECRET_LENGTH && isMixed(text, start, end)) sink.offer('AWS_ACCESS_KEY', start, end, 0.3);
}

/** At least two capitals, two small letters and a digit: no hexadecimal digest, no path. */
function isMixed(text: string, start: number, end: number): boolean {
  let upper = 0;
  let lower = 0;
  let digits = 0;
  for (let i = start; i < end; i += 1) {
    const c = text.charCodeAt(i);
    if (isUpper(c)) upper += 1;
    else if (isLower(c)) lower += 1;
    else if (isDigit(c)) digits += 1;
  }
  return upper >= 2 && lower >= 2 && digits >= 1;
}

/** True when raw JSON text may hold a secret key in any spelling of its slashes. */
export function maySpellSecret(raw: string): boolean {
  for (let probe = SECRET_LENGTH - 1; probe < raw.length;) {
    if (!isSpelling(raw.charCodeAt(probe))) {
      probe += SECRET_LENGTH;
      continue;
    }
    let start = probe;
    while (start > 0 && probe - start < SECRET_LENGTH && isSpelling(raw.charCodeAt(start - 1))) start -= 1;
    let end = probe + 1;
    while (isSpelling(raw.charCodeAt(end))) end += 1;
    if (end - start >= SECRET_LENGTH && isMixed(raw, start, end)) return true;
    probe = end + SECRET_LENGTH;
  }
  return false;
}

const isSecretUnit = (c: number): boolean => isAlnum(c) || c === 0x2b || c === 0x2f;
const isSpelling = (c: number): boolean => isSecretUnit(c) || c === BACKSLASH;
