/** The checksums of national numbers. All take digits as numbers; what is read beyond `length` is ignored. */

export type Digits = Readonly<ArrayLike<number>>;

const at = (digits: Digits, i: number): number => digits[i] as number;

function weighted(digits: Digits, weights: readonly number[], from = 0): number {
  let sum = 0;
  for (let i = 0; i < weights.length; i += 1) sum += at(digits, from + i) * (weights[i] as number);
  return sum;
}

export function luhn(digits: Digits, length: number): boolean {
  let sum = 0;
  for (let i = length - 1, double = false; i >= 0; i -= 1, double = !double) {
    const digit = at(digits, i);
    sum += double ? (digit > 4 ? digit * 2 - 9 : digit * 2) : digit;
  }
  return sum % 10 === 0;
}

/** All digits the same: such numbers pass most checksums and are nobody's. */
function uniform(digits: Digits, length: number): boolean {
  for (let i = 1; i < length; i += 1) if (at(digits, i) !== at(digits, 0)) return false;
  return true;
}

/** A day that may exist, in a month of any year. */
export const isDay = (month: number, day: number): boolean =>
  month >= 1 && month <= 12 && day >= 1 && day <= (DAYS[month - 1] as number);
const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

const two = (digits: Digits, i: number): number => at(digits, i) * 10 + at(digits, i + 1);

/** Routing numbers of US banks: 12 Federal Reserve districts, thrift and electronic ranges, weights 3-7-1. */
export function isAbaRouting(d: Digits): boolean {
  const prefix = two(d, 0);
  const known = prefix <= 12 || (prefix >= 21 && prefix <= 32) || (prefix >= 61 && prefix <= 72) || prefix === 80;
  return known && !uniform(d, 9) && weighted(d, [3, 7, 1, 3, 7, 1, 3, 7, 1]) % 10 === 0;
}

/** US individual taxpayer numbers: 9xx, and the groups that are issued. No checksum exists. */
export function isItin(d: Digits): boolean {
  const group = two(d, 3);
  return at(d, 0) === 9 && ((group >= 50 && group <= 65) || (group >= 70 && group !== 89 && group !== 93));
}

export function isNhs(d: Digits): boolean {
  const check = 11 - (weighted(d, [10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11);
  return !uniform(d, 10) && check % 11 === at(d, 9) && check !== 10;
}

export const isTfn = (d: Digits): boolean => !uniform(d, 9) && weighted(d, [1, 4, 3, 7, 5, 8, 6, 9, 10]) % 11 === 0;
export const isOldTfn = (d: Digits): boolean => !uniform(d, 8) && weighted(d, [10, 7, 8, 4, 6, 3, 5, 1]) % 11 === 0;

export const isAcn = (d: Digits): boolean =>
  !uniform(d, 9) && (10 - (weighted(d, [8, 7, 6, 5, 4, 3, 2, 1]) % 10)) % 10 === at(d, 8);

export const isAbn = (d: Digits): boolean =>
  at(d, 0) > 0 && (weighted(d, [10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]) - 10) % 89 === 0;

export const isMedicare = (d: Digits): boolean =>
  at(d, 0) >= 2 && at(d, 0) <= 6 && at(d, 9) > 0 && weighted(d, [1, 3, 7, 9, 1, 3, 7, 9]) % 10 === at(d, 8);

const DIHEDRAL = [
  '0123456789',
  '1234067895',
  '2340178956',
  '3401289567',
  '4012395678',
  '5987604321',
  '6598710432',
  '7659821043',
  '8765932104',
  '9876543210',
];
const PERMUTED = [
  '0123456789',
  '1576283094',
  '5803796142',
  '8916043527',
  '9453126870',
  '4286573901',
  '2793806415',
  '7046913258',
];

/** Verhoeff's checksum; never begins with 0 or 1, never a palindrome. */
export function isAadhaar(d: Digits): boolean {
  if (at(d, 0) < 2) return false;
  let check = 0;
  let palindrome = true;
  for (let i = 0; i < 12; i += 1) {
    const permuted = Number((PERMUTED[i % 8] as string)[at(d, 11 - i)]);
    check = Number((DIHEDRAL[check] as string)[permuted]);
    palindrome &&= at(d, i) === at(d, 11 - i);
  }
  return check === 0 && !palindrome;
}

export function isCpf(d: Digits): boolean {
  const first = ((weighted(d, [10, 9, 8, 7, 6, 5, 4, 3, 2]) * 10) % 11) % 10;
  const second = ((weighted(d, [11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) * 10) % 11) % 10;
  return !uniform(d, 11) && first === at(d, 9) && second === at(d, 10);
}

const complement = (sum: number): number => (sum % 11 < 2 ? 0 : 11 - (sum % 11));

export const isCnpj = (d: Digits): boolean =>
  !uniform(d, 14) &&
  complement(weighted(d, [5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])) === at(d, 12) &&
  complement(weighted(d, [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])) === at(d, 13);

/** The Brazilian driving licence: where the first digit would be ten, the second is two less. */
export function isCnh(d: Digits): boolean {
  const first = weighted(d, [9, 8, 7, 6, 5, 4, 3, 2, 1]) % 11;
  let second = (weighted(d, [1, 2, 3, 4, 5, 6, 7, 8, 9]) % 11) - (first === 10 ? 2 : 0);
  if (second < 0) second += 11;
  return !uniform(d, 11) && first % 10 === at(d, 9) && (second > 9 ? 0 : second) === at(d, 10);
}

export const isPis = (d: Digits): boolean =>
  !uniform(d, 11) && complement(weighted(d, [3, 2, 9, 8, 7, 6, 5, 4, 3, 2])) === at(d, 10);

/** The month carries the century. */
export const isPesel = (d: Digits): boolean =>
  isDay(two(d, 2) % 20, two(d, 4)) && (10 - (weighted(d, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10)) % 10 === at(d, 10);

/** Birth date and the digit of sex and century; numbers given since October 2020 have no checksum. */
export const isKorean = (d: Digits): boolean => isDay(two(d, 2), two(d, 4));
export const isCheckedKorean = (d: Digits): boolean =>
  isKorean(d) && (11 - (weighted(d, [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]) % 11)) % 10 === at(d, 12);

export const isThai = (d: Digits): boolean =>
  at(d, 0) > 0 &&
  at(d, 0) < 9 &&
  (11 - (weighted(d, [13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11)) % 10 === at(d, 12);

/** Italian VAT: the tax office (001 to 100, 120, 121, 888, 999) and Luhn. */
export function isItalianVat(d: Digits): boolean {
  const office = at(d, 7) * 100 + two(d, 8);
  const known = (office >= 1 && office <= 100) || office === 120 || office === 121 || office === 888 || office === 999;
  return known && luhn(d, 11) && !uniform(d, 7);
}

/** US drug registrations (DEA), whose seven digits are checked. */
export const isDea = (d: Digits): boolean =>
  (at(d, 0) + at(d, 2) + at(d, 4) + 2 * (at(d, 1) + at(d, 3) + at(d, 5))) % 10 === at(d, 6) && !uniform(d, 7);
