import { isDigit, isEscapeLetter, isLetter, isUpper } from '../characters.ts';
import { isDea, luhn } from '../checksums.ts';
import { endsUuid, startsUuid } from '../digits.ts';
import type { BuiltInType, Sink } from '../entities.ts';
import * as sums from '../letter-checksums.ts';
import { cryptoAddress } from './crypto-address.ts';

const SHORTEST = 7;
const LONGEST = 90;
const LONGEST_MASK = 24;

interface Form {
  readonly type: BuiltInType;
  readonly score: number;
  readonly pattern: RegExp;
  readonly holds?: (token: string) => boolean;
}

/** The seven digits of a voter's card end with Luhn's check digit. */
const epic = (token: string): boolean => luhn(Array.from(token.slice(3), Number), 7);
const dea = (token: string): boolean => isDea(Array.from(token.slice(2), Number));

/** Where letters (A) and digits (9) stand, to what such a token may be. Without a checksum a word nearby is needed. */
const SHAPES: readonly (readonly [shape: string, ...forms: readonly Form[]])[] = [
  [
    'AA999999A',
    {
      type: 'UK_NINO',
      score: 0.55,
      pattern: /^(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]$/,
    },
  ],
  [
    'A99999999',
    { type: 'US_PASSPORT', score: 0.3, pattern: /^[A-Z]\d{8}$/ },
    { type: 'US_DRIVER_LICENSE', score: 0.2, pattern: /^[A-Z]/ },
  ],
  [
    'A9999999',
    { type: 'IN_PASSPORT', score: 0.3, pattern: /^[A-PR-WY][1-9]\d{5}[1-9]$/ },
    { type: 'US_DRIVER_LICENSE', score: 0.2, pattern: /^[A-Z]/ },
  ],
  ['A999999999', { type: 'US_DRIVER_LICENSE', score: 0.2, pattern: /^[A-Z]/ }],
  ['A99999999999', { type: 'US_DRIVER_LICENSE', score: 0.2, pattern: /^[A-Z]/ }],
  ['A999999999999', { type: 'US_DRIVER_LICENSE', score: 0.2, pattern: /^[A-Z]/ }],
  ['A9999999999999', { type: 'US_DRIVER_LICENSE', score: 0.2, pattern: /^[A-Z]/ }],
  ['A99999999999999', { type: 'US_DRIVER_LICENSE', score: 0.2, pattern: /^[A-Z]/ }],
  ['AA999999', { type: 'US_DRIVER_LICENSE', score: 0.2, pattern: /^[A-Z]/ }],
  [
    'AA9999999',
    { type: 'MEDICAL_LICENSE', score: 0.4, pattern: /^[ABCDEFGHJKLMPRSTUX][A-Z]\d{7}$/, holds: dea },
    { type: 'IT_PASSPORT', score: 0.3, pattern: /^[A-Z]{2}/ },
    { type: 'IT_IDENTITY_CARD', score: 0.3, pattern: /^[A-Z]{2}/ },
  ],
  ['A99999999', { type: 'MEDICAL_LICENSE', score: 0.4, pattern: /^[ABCDEFGHJKLMPRSTUX]9\d{7}$/, holds: dea }],
  ['AA99999AA', { type: 'IT_IDENTITY_CARD', score: 0.35, pattern: /^C[A-Z]\d{5}[A-Z]{2}$/ }],
  ['9999999AA', { type: 'IT_IDENTITY_CARD', score: 0.25, pattern: /^\d{7}[A-Z]{2}$/ }],
  [
    'AA9999999A',
    { type: 'IT_DRIVER_LICENSE', score: 0.35, pattern: /^(?:[A-Z][AV]|U1)\d{7}[A-Z]$/ },
    { type: 'US_DRIVER_LICENSE', score: 0.15, pattern: /^W/ },
  ],
  ['AAAAA9999A', { type: 'IN_PAN', score: 0.6, pattern: /^[A-Z]{3}[ABCEFGHJKLPT][A-Z]\d{4}[A-Z]$/ }],
  ['AAA9999999', { type: 'IN_VOTER', score: 0.35, pattern: /^[A-Z]{3}\d{7}$/, holds: epic }],
  ['99AAAAA9999A9A9', { type: 'IN_GSTIN', score: 0.9, pattern: /^.{12}[1-9]Z.$/, holds: sums.isGstin }],
  ['99AAAAA9999A9AA', { type: 'IN_GSTIN', score: 0.9, pattern: /^.{12}[1-9]Z.$/, holds: sums.isGstin }],
  ['99AAAAA9999AAA9', { type: 'IN_GSTIN', score: 0.9, pattern: /^.{13}Z.$/, holds: sums.isGstin }],
  ['99AAAAA9999AAAA', { type: 'IN_GSTIN', score: 0.9, pattern: /^.{13}Z.$/, holds: sums.isGstin }],
  ['AA99A9999', { type: 'IN_VEHICLE_REGISTRATION', score: 0.4, pattern: /^/, holds: sums.isIndianPlate }],
  ['AA99AA9999', { type: 'IN_VEHICLE_REGISTRATION', score: 0.4, pattern: /^/, holds: sums.isIndianPlate }],
  ['AA99AAA9999', { type: 'IN_VEHICLE_REGISTRATION', score: 0.4, pattern: /^/, holds: sums.isIndianPlate }],
  ['AA9AA9999', { type: 'IN_VEHICLE_REGISTRATION', score: 0.4, pattern: /^/, holds: sums.isIndianPlate }],
  ['AA9AAA9999', { type: 'IN_VEHICLE_REGISTRATION', score: 0.4, pattern: /^DL/, holds: sums.isIndianPlate }],
  [
    '99999999A',
    { type: 'ES_NIF', score: 0.6, pattern: /^/, holds: sums.isNif },
    { type: 'SG_UEN', score: 0.4, pattern: /^/, holds: sums.isUenBusiness },
  ],
  ['9999999A', { type: 'ES_NIF', score: 0.3, pattern: /^/, holds: (token) => sums.isNif(`0${token}`) }],
  [
    'A9999999A',
    { type: 'ES_NIE', score: 0.7, pattern: /^[XYZ]/, holds: sums.isNie },
    { type: 'SG_NRIC_FIN', score: 0.7, pattern: /^[STFGM]/, holds: sums.isNric },
    { type: 'ES_NIF', score: 0.6, pattern: /^[KLM]/, holds: (token) => sums.isNif(`0${token.slice(1)}`) },
  ],
  ['999999999A', { type: 'SG_UEN', score: 0.6, pattern: /^/, holds: sums.isUenCompany }],
  ['A99AA9999A', { type: 'SG_UEN', score: 0.65, pattern: /^[RST]/, holds: sums.isUenOther }],
  ['A99A99999A', { type: 'SG_UEN', score: 0.65, pattern: /^[RST]/, holds: sums.isUenOther }],
  ['999999A999A', { type: 'FI_PERSONAL_IDENTITY_CODE', score: 0.75, pattern: /^\d{6}[A-FU-Y]/, holds: sums.isHetu }],
  ['999999A9999', { type: 'FI_PERSONAL_IDENTITY_CODE', score: 0.75, pattern: /^\d{6}[A-FU-Y]/, holds: sums.isHetu }],
  ['AA99999999999', { type: 'IT_VAT_CODE', score: 0.7, pattern: /^IT/, holds: sums.isItalianVatToken }],
];

const FISCAL: Form = { type: 'IT_FISCAL_CODE', score: 0.9, pattern: /^/, holds: sums.isFiscalCode };
const DRIVER_U1: Form = { type: 'IT_DRIVER_LICENSE', score: 0.35, pattern: /^U1[A-Z0-9]{7}[A-Z]$/ };

/** Finds the identifiers that mix letters and digits: one look at each word, then a table by the places of its letters. */
export class IdentityTokens {
  readonly #table = new Map<number, readonly Form[]>();
  readonly #fiscal: readonly Form[];
  readonly #drivers: readonly Form[];
  readonly #crypto: boolean;
  #judged = 0;

  constructor(wants: (type: BuiltInType) => boolean) {
    for (const [shape, ...forms] of SHAPES) {
      const wanted = forms.filter(({ type }) => wants(type));
      if (wanted.length === 0) continue;
      const code = codeOf(shape);
      this.#table.set(code, [...(this.#table.get(code) ?? []), ...wanted]);
    }
    this.#fiscal = wants('IT_FISCAL_CODE') ? [FISCAL] : [];
    this.#drivers = wants('IT_DRIVER_LICENSE') ? [DRIVER_U1] : [];
    this.#crypto = wants('CRYPTO');
  }

  /** False when no type asked for mixes letters and digits. */
  get active(): boolean {
    return this.#table.size > 0 || this.#fiscal.length > 0 || this.#crypto;
  }

  begin(): void {
    this.#judged = 0;
  }

  /** Looks at the word of ASCII letters and digits around the digits from `from` up to `to`; each word is judged once. */
  look(text: string, from: number, to: number, sink: Sink): void {
    if (from < this.#judged) return;
    if (!isLetter(text.charCodeAt(from - 1)) && !isLetter(text.charCodeAt(to))) return;
    let start = from;
    while (start > this.#judged && isWord(text.charCodeAt(start - 1)) && from - start < LONGEST) start -= 1;
    if (isEscapeLetter(text, start)) start += 1;
    let mask = 0;
    let end = start;
    for (let c = text.charCodeAt(end); isWord(c); c = text.charCodeAt((end += 1))) {
      if (end - start < LONGEST_MASK && !isDigit(c)) mask |= 1 << (end - start);
    }
    this.#judged = end;
    const length = end - start;
    if (length < SHORTEST || length > LONGEST) return;
    if (length <= LONGEST_MASK) this.#classify(text, start, end, mask, sink);
    if (length >= 26 && this.#crypto) cryptoAddress(text, start, end, sink);
  }

  #classify(text: string, start: number, end: number, mask: number, sink: Sink): void {
    const length = end - start;
    const known = this.#table.get(length * 0x100_0000 + mask);
    const others = length === 16 ? this.#fiscal : length === 10 && mask !== 0 ? this.#drivers : NONE;
    if (known === undefined && others.length === 0) return;
    if ((length === 8 && startsUuid(text, start)) || (length === 12 && endsUuid(text, start))) return;
    const token = text.slice(start, end);
    const capitals = token.toUpperCase();
    // Small letters throughout are a careless hand, a mixture is something else.
    const exact = token === capitals;
    if (!exact && hasCapital(token)) return;
    for (const form of [...(known ?? NONE), ...others]) {
      if (!form.pattern.test(capitals) || form.holds?.(capitals) === false) continue;
      const score = exact || form.score >= 0.75 ? form.score : Math.min(form.score, 0.3);
      sink.offer(form.type, start, end, score);
    }
  }
}

const NONE: readonly Form[] = [];

function codeOf(shape: string): number {
  let mask = 0;
  for (let i = 0; i < shape.length; i += 1) if (shape[i] === 'A') mask |= 1 << i;
  return shape.length * 0x100_0000 + mask;
}

const isWord = (c: number): boolean => isDigit(c) || isLetter(c);

function hasCapital(token: string): boolean {
  for (let i = 0; i < token.length; i += 1) if (isUpper(token.charCodeAt(i))) return true;
  return false;
}
