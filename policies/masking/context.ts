import { isEscapeLetter, isLetter, isLower, isUpper } from './characters.ts';
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

const LONGEST = 40;

/** Bits of the words that begin from `from` up to `to`. Words are runs of ASCII letters; a capital in `cellPhone` begins another. */
export function mentions(text: string, from: number, to: number): number {
  let bits = 0;
  let i = from;
  while (i < to) {
    if (!isLetter(text.charCodeAt(i)) || continues(text, i)) {
      i += 1;
      continue;
    }
    let end = i + 1;
    while (isLetter(text.charCodeAt(end)) && !continuesInCapitals(text, end)) end += 1;
    bits |= word(text, i, end);
    i = end;
  }
  return bits;
}

/** True when the letter at `at` is not the first of a word. */
function continues(text: string, at: number): boolean {
  if (isEscapeLetter(text, at)) return true;
  if (!isLetter(text.charCodeAt(at - 1)) || isEscapeLetter(text, at - 1)) return false;
  return !continuesInCapitals(text, at);
}

/** True at the capital of `cellPhone`, where a new word begins. */
const continuesInCapitals = (text: string, at: number): boolean =>
  isUpper(text.charCodeAt(at)) && isLower(text.charCodeAt(at - 1)) && !isEscapeLetter(text, at - 1);

function word(text: string, start: number, end: number): number {
  const length = end - start;
  if (length > LONGEST) return 0;
  if (length < 4) return WORDS.get(text.slice(start, end).toLowerCase()) ?? 0;
  let bits = STEMS.get(text.slice(start, start + 4).toLowerCase()) ?? 0;
  if (length <= 9) bits |= WORDS.get(text.slice(start, end).toLowerCase()) ?? 0;
  const last = text.charCodeAt(end - 1) | 0x20;
  // smartphone, creditcard
  if (last === 0x65 && text.slice(end - 5, end).toLowerCase() === 'phone') bits |= PHONE;
  if (last === 0x64 && text.slice(end - 4, end).toLowerCase() === 'card') bits |= CARD;
  return bits;
}
