import { isAlnum, isDigit, isHex, joinedBefore } from '../characters.ts';
import { DASH, DOT, SPACE, endsUuid, startsUuid } from '../digits.ts';
import type { DigitGroups } from '../digits.ts';
import type { Sink } from '../entities.ts';

const FEWEST = 7;
const LONGEST = 15;
const PLUS = 0x2b;
const OPEN = 0x28;
const CLOSE = 0x29;

/**
 * Offers phone numbers. A plus sign, a North American or a national grouping is enough by itself; other digits score so low that only
 * a word nearby ("phone", "call") makes them one.
 */
export function phoneNumbers(text: string, groups: DigitGroups, sink: Sink): void {
  if (groups.digits < FEWEST) return;
  let g = 0;
  // Groups that continue no other number: the first, and those behind a phone number.
  let free = 0;
  let tried = 0;
  while (g < groups.count) {
    const next = strong(text, groups, g, g === free, sink);
    if (next > g) {
      g = free = next;
      continue;
    }
    // Groups that were no number together are not tried again one by one.
    if (g >= tried) {
      tried = g + groupsWithin(text, groups, g);
      if (weak(text, groups, g, tried - 1, sink)) {
        g = free = tried;
        continue;
      }
    }
    g += 1;
  }
}

/** Offers the number that begins with the group when its form says so; returns the group behind it, or `g`. */
function strong(text: string, groups: DigitGroups, g: number, free: boolean, sink: Sink): number {
  const start = lead(text, groups, g);
  if (joinedBefore(text, start)) return g;
  if (text.charCodeAt(start) === PLUS) return offerUpTo(text, groups, g, start, FEWEST, 0.75, sink);
  const bracketed = text.charCodeAt(start) === OPEN;
  if (groups.size(g) === 1 && digit(text, groups, g) === 1 && isNorthAmerican(text, groups, g + 1, false)) {
    return offer(text, groups, g, g + 3, start, 0.65, sink);
  }
  if (isNorthAmerican(text, groups, g, bracketed)) {
    return offer(text, groups, g, g + 2, start, bracketed ? 0.7 : groups.gap(text, g + 1) === SPACE ? 0.5 : 0.6, sink);
  }
  if (bracketed && groups.size(g) === 3 && groups.size(g + 1) === 7)
    return offer(text, groups, g, g + 1, start, 0.6, sink);
  if (groups.count - g < 2 || digit(text, groups, g) !== 0 || !free || (g === 0 && inChain(text, start))) return g;
  if (text.charCodeAt(groups.start(g) + 1) === 0x30) {
    return isInternational(text, groups, g) ? offerUpTo(text, groups, g, start, 10, 0.5, sink) : g;
  }
  return national(text, groups, g, start, sink);
}

/** 00 and a country code, which begins with no zero. */
function isInternational(text: string, groups: DigitGroups, g: number): boolean {
  if (groups.size(g) === 2) return digit(text, groups, g + 1) !== 0;
  return groups.size(g) >= 4 && text.charCodeAt(groups.start(g) + 2) !== 0x30;
}

/** 0 and an area code, groups of at least two: 020 7946 0958, 06 12 34 56 78, 030 12345678. */
function national(text: string, groups: DigitGroups, g: number, start: number, sink: Sink): number {
  const size = groups.size(g);
  if (size < 2 || size > 5 || isDate(text, groups, g)) return g;
  let digits = size;
  let last = g;
  while (last + 1 < groups.count && groups.size(last + 1) >= 2 && digits + groups.size(last + 1) <= 12) {
    last += 1;
    digits += groups.size(last);
  }
  return last > g && digits >= 9 ? offer(text, groups, g, last, start, 0.5, sink) : g;
}

/** Area, exchange and line as 3-3-4; hyphens vouch for the grouping, other separators need digits that are assigned. */
function isNorthAmerican(text: string, groups: DigitGroups, g: number, bracketed: boolean): boolean {
  if (groups.size(g) !== 3 || groups.size(g + 1) !== 3 || groups.size(g + 2) !== 4) return false;
  if (digit(text, groups, g) < 2) return false;
  if (bracketed || text.charCodeAt(groups.end(g)) === CLOSE) return true;
  const gap = groups.gap(text, g + 2);
  if (gap === DASH) return true;
  return (gap === SPACE || gap === DOT) && groups.gap(text, g + 1) === gap && digit(text, groups, g + 1) >= 2;
}

/** How many groups from `g` on make up a number of at most 15 digits; 1 when the first alone is longer. */
function groupsWithin(text: string, groups: DigitGroups, g: number): number {
  let digits = groups.size(g);
  let last = g;
  while (last + 1 < groups.count && digits + groups.size(last + 1) <= LONGEST && joins(text, groups, last + 1)) {
    last += 1;
    digits += groups.size(last);
  }
  return last - g + 1;
}

/** Offers groups that only a word nearby makes a number; true when they were taken. */
function weak(text: string, groups: DigitGroups, g: number, last: number, sink: Sink): boolean {
  const digits = digitsOf(groups, g, last);
  if (digits < FEWEST || digits > LONGEST || isDate(text, groups, g)) return false;
  if (last === g && digits === 12 && endsUuid(text, groups.start(g))) return false;
  return offer(text, groups, g, last, lead(text, groups, g), groups.size(g) >= 7 ? 0.2 : 0.3, sink) > g;
}

function offerUpTo(
  text: string,
  groups: DigitGroups,
  g: number,
  start: number,
  fewest: number,
  score: number,
  sink: Sink,
): number {
  const last = g + groupsWithin(text, groups, g) - 1;
  const digits = digitsOf(groups, g, last);
  return digits < fewest || digits > LONGEST ? g : offer(text, groups, g, last, start, score, sink);
}

function digitsOf(groups: DigitGroups, first: number, last: number): number {
  let digits = 0;
  for (let g = first; g <= last; g += 1) digits += groups.size(g);
  return digits;
}

function offer(
  text: string,
  groups: DigitGroups,
  first: number,
  last: number,
  start: number,
  score: number,
  sink: Sink,
): number {
  if (joinedBefore(text, start)) return first;
  if (groups.size(first) === 8 && text.charCodeAt(start) !== PLUS && startsUuid(text, groups.start(first)))
    return first;
  const end = groups.end(last);
  const after = text.charCodeAt(end);
  if (isDigit(after) || (score < 0.5 ? isAlnum(after) : isHex(after) && after !== 0x65)) return first;
  return sink.offer('PHONE_NUMBER', start, end, score) ? last + 1 : first;
}

/** ` -` between digits is a sign, not a separator. */
function joins(text: string, groups: DigitGroups, g: number): boolean {
  const from = groups.end(g - 1);
  return !(groups.start(g) - from === 2 && text.charCodeAt(from) === SPACE && text.charCodeAt(from + 1) === DASH);
}

/** Where a number that begins with the group begins, plus sign and parenthesis included. */
function lead(text: string, groups: DigitGroups, g: number): number {
  let start = groups.start(g);
  if (text.charCodeAt(start - 1) === OPEN) start -= 1;
  return text.charCodeAt(start - 1) === PLUS ? start - 1 : start;
}

/** Part of a longer word such as `ORD-0123-456789` or `#0123 4567`. */
function inChain(text: string, start: number): boolean {
  const before = text.charCodeAt(start - 1);
  return before === 0x23 || ((before === DASH || before === DOT || before === 0x2f) && joinedBefore(text, start - 1));
}

/** Three groups that are a day, a month and a year, in any usual order. */
function isDate(text: string, groups: DigitGroups, g: number): boolean {
  const yearFirst = groups.size(g) === 4;
  if (groups.size(g + 1) > 2 || groups.size(yearFirst ? g + 2 : g) > 2 || groups.size(yearFirst ? g : g + 2) !== 4)
    return false;
  if (groups.count - g < 3) return false;
  const year = groups.value(text, yearFirst ? g : g + 2);
  const other = groups.value(text, yearFirst ? g + 2 : g);
  return year >= 1800 && year < 2200 && other <= 31 && groups.value(text, g + 1) <= 31;
}

const digit = (text: string, groups: DigitGroups, g: number): number => text.charCodeAt(groups.start(g)) - 0x30;
