import { isEscapeLetter, isLower, isUpper } from './characters.ts';
import type { BuiltInType } from './entities.ts';

const PHONE = 1;
const CARD = 2;
const SSN = 4;
const AWS = 8;
const VERSION = 16;

/** Bits of the words that speak for a type; 0 for types that need none. */
export const CONTEXT_OF: Readonly<Record<BuiltInType, number>> = {
  EMAIL_ADDRESS: 0,
  PHONE_NUMBER: PHONE,
  CREDIT_CARD: CARD,
  US_SSN: SSN,
  IBAN_CODE: 0,
  IP_ADDRESS: 0,
  JWT: 0,
  PRIVATE_KEY: 0,
  AWS_ACCESS_KEY: AWS,
};

export const VERSION_CONTEXT = VERSION;

/** Whole words. */
const WORDS: ReadonlyMap<string, number> = new Map([
  ['tel', PHONE],
  ['fax', PHONE],
  ['sms', PHONE],
  ['cell', PHONE],
  ['call', PHONE],
  ['called', PHONE],
  ['contact', PHONE],
  ['contacts', PHONE],
  ['whatsapp', PHONE],
  ['telefon', PHONE],
  ['telefono', PHONE],
  ['msisdn', PHONE],
  ['dial', PHONE],
  ['cc', CARD],
  ['pan', CARD],
  ['amex', CARD],
  ['maestro', CARD],
  ['ssn', SSN],
  ['ssns', SSN],
  ['tin', SSN],
  ['aws', AWS],
  ['iam', AWS],
  ['access', AWS],
  ['accesskey', AWS],
  ['ver', VERSION],
  ['v', VERSION],
]);

/** Beginnings of words, four letters each. */
const STEMS: ReadonlyMap<string, number> = new Map([
  ['phon', PHONE],
  ['mobi', PHONE],
  ['card', CARD],
  ['cred', CARD | AWS],
  ['debi', CARD],
  ['visa', CARD],
  ['paym', CARD],
  ['soci', SSN],
  ['taxp', SSN],
  ['secr', AWS],
  ['amaz', AWS],
  ['vers', VERSION],
  ['rele', VERSION],
  ['buil', VERSION],
  ['firm', VERSION],
]);

const LONGEST = 9;

/** 1 for small letters, 2 for capitals, of ASCII. */
const CASE = new Uint8Array(128).fill(1, 0x61, 0x7b).fill(2, 0x41, 0x5b);

/** Bits of the words that begin with two letters, of which the second may be missing: 27 times the first, plus the second, from 1. */
const PAIRS = pairs();

function pairs(): Uint8Array {
  const bits = new Uint8Array(27 * 27);
  for (const [word, of] of [...WORDS, ...STEMS]) {
    const pair = 27 * ordinal(word.charCodeAt(0)) + ordinal(word.charCodeAt(1));
    bits[pair] = (bits[pair] as number) | of;
  }
  return bits;
}

/** 1 to 26 for letters, otherwise 0. */
function ordinal(c: number): number {
  const place = (c | 0x20) - 0x60;
  return place >= 1 && place <= 26 ? place : 0;
}

/**
 * Those of the wanted bits whose words begin from `from` up to `to`. Words are runs of ASCII letters; a capital in `cellPhone` begins
 * another. `phone` and `card` count anywhere in a word.
 */
export function mentions(text: string, from: number, to: number, wanted: number): number {
  let bits = 0;
  let before = from > 0 ? caseAt(text, from - 1) : 0;
  for (let i = from; i < to; i += 1) {
    const c = text.charCodeAt(i);
    const now = c < 128 ? (CASE[c] as number) : 0;
    if (now !== 0 && ((PAIRS[27 * ((c | 0x20) - 0x60) + ordinal(text.charCodeAt(i + 1))] as number) & wanted) !== 0) {
      const begins = before === 0 || (now === 2 && before === 1);
      bits |= word(text, i, begins) & wanted;
      if (bits === wanted) return bits;
    }
    // The letter of an escape such as `\n` belongs to no word.
    before = before === 0 && now !== 0 && isEscapeLetter(text, i) ? 0 : now;
  }
  return bits;
}

function caseAt(text: string, at: number): number {
  const c = text.charCodeAt(at);
  return c < 128 && !isEscapeLetter(text, at) ? (CASE[c] as number) : 0;
}

function word(text: string, start: number, begins: boolean): number {
  let end = start + 1;
  while (end - start <= LONGEST && continues(text, end)) end += 1;
  const lower = text.slice(start, end).toLowerCase();
  let bits = lower.startsWith('phone') ? PHONE : lower.startsWith('card') ? CARD : 0;
  if (!begins) return bits;
  bits |= STEMS.get(lower.slice(0, 4)) ?? 0;
  return bits | (WORDS.get(lower) ?? 0);
}

/** True when the unit at `at` continues the word before it. */
function continues(text: string, at: number): boolean {
  const c = text.charCodeAt(at);
  return isLower(c) || (isUpper(c) && isUpper(text.charCodeAt(at - 1)));
}
