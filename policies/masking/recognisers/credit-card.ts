import { inHexBefore, isDigit, isHex } from '../characters.ts';
import { DOT } from '../digits.ts';
import type { DigitGroups } from '../digits.ts';
import type { Sink } from '../entities.ts';

const SHORTEST = 12;
const LONGEST = 19;

/** Offers every run of groups that is a card number: a known issuer, its lengths, the Luhn checksum. */
export function creditCards(text: string, groups: DigitGroups, sink: Sink): void {
  if (groups.digits < SHORTEST) return;
  for (let first = 0; first < groups.count; first += 1) {
    const size = groups.size(first);
    // Of a list of small numbers only the beginning is tried: the checksum lets one in ten pass.
    if (size > LONGEST || (size < 4 && groups.size(first - 1) === size) || !begins(text, groups, first)) continue;
    let digits = 0;
    for (let last = first; last < groups.count; last += 1) {
      digits += groups.size(last);
      if (digits > LONGEST || !fits(groups, first, last)) break;
      if (digits < SHORTEST || !ends(text, groups, last)) continue;
      const score = judge(text, groups.start(first), groups.end(last), digits);
      if (score === 0) continue;
      if (sink.offer('CREDIT_CARD', groups.start(first), groups.end(last), shaped(score, size))) {
        first = last;
        break;
      }
    }
  }
}

/** Groups of four and more vouch for a card; lists of small numbers pass the checksum too often. */
function shaped(score: number, size: number): number {
  if (size >= SHORTEST) return score;
  return size >= 4 ? score + 0.15 : Math.min(score, 0.15 + 0.05 * size);
}

/** Digits behind a decimal point or inside a hexadecimal word begin no card number. */
function begins(text: string, groups: DigitGroups, first: number): boolean {
  if (first === 0) return !inHexBefore(text, groups.start(0));
  return groups.gap(text, first) !== DOT || groups.gap(text, first + 1) === DOT;
}

function ends(text: string, groups: DigitGroups, last: number): boolean {
  return last < groups.count - 1 || !isHex(text.charCodeAt(groups.end(last)));
}

/** Groups are equal but for a shorter last one, or 4-6-5, 4-6-4, 6-13. */
function fits(groups: DigitGroups, first: number, last: number): boolean {
  if (last === first) return true;
  const size = groups.size(first);
  const position = last - first;
  if (groups.start(last) - groups.end(last - 1) === 2) return false;
  if (size === 4 && groups.size(first + 1) === 6) return position < 3 && (position === 1 || groups.size(last) <= 5);
  if (size === 6 && position === 1 && groups.size(last) >= 6) return true;
  return groups.size(last - 1) === size && groups.size(last) <= size;
}

/** The score of the digits from `start` up to `end`; 0 when they are no card number. */
function judge(text: string, start: number, end: number, digits: number): number {
  let prefix = 0;
  for (let i = start, n = 0; n < 6; i += 1) {
    const c = text.charCodeAt(i);
    if (!isDigit(c)) continue;
    prefix = prefix * 10 + c - 0x30;
    n += 1;
  }
  const score = issuer(prefix, digits);
  return score > 0 && luhn(text, start, end) ? score : 0;
}

function luhn(text: string, start: number, end: number): boolean {
  let sum = 0;
  let double = false;
  for (let i = end - 1; i >= start; i -= 1) {
    const c = text.charCodeAt(i);
    if (!isDigit(c)) continue;
    let digit = c - 0x30;
    if (double) digit = digit > 4 ? digit * 2 - 9 : digit * 2;
    sum += digit;
    double = !double;
  }
  return sum % 10 === 0;
}

const between = (value: number, low: number, high: number): boolean => value >= low && value <= high;

/** How surely a number of this length and first six digits is a card's (issuer ranges of ISO/IEC 7812); 0 when it is none. */
function issuer(six: number, digits: number): number {
  const two = Math.floor(six / 10_000);
  const three = Math.floor(six / 1000);
  const four = Math.floor(six / 100);
  const long = digits >= 16;
  // Visa, Mastercard, American Express.
  if (between(two, 40, 49) && (digits === 13 || digits === 16 || digits === 19)) return 0.75;
  if ((between(two, 51, 55) || between(four, 2221, 2720)) && digits === 16) return 0.75;
  if ((two === 34 || two === 37) && digits === 15) return 0.75;
  // Discover, UnionPay, JCB, Diners Club.
  if ((four === 6011 || between(three, 644, 649) || two === 65 || two === 62 || two === 81) && long) return 0.7;
  if (between(four, 3528, 3589) && long) return 0.7;
  if ((between(three, 300, 305) || three === 309 || two === 36 || two === 38 || two === 39) && digits >= 14) return 0.7;
  // Mir, Troy, RuPay.
  if ((between(four, 2200, 2204) || four === 9792 || two === 60 || two === 82 || three === 508) && long) return 0.65;
  // Maestro and other debit ranges take so many numbers that a bare one needs a word nearby.
  if (two === 50 || between(two, 56, 69)) return long ? 0.36 : 0.3;
  return 0;
}
