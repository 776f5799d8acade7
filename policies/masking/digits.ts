import { isDigit, isHex } from './characters.ts';

const LONGEST_GAP = 3;
const KEPT = 4096;

/** Groups of digits with short separators between them, as people write numbers. One object is filled again and again. */
export class DigitGroups {
  starts: number[] = [];
  ends: number[] = [];
  count = 0;
  /** Digits of all groups. */
  digits = 0;

  /** Reads the groups that begin with the digit at `at`; returns the index behind the last digit. */
  read(text: string, at: number): number {
    if (this.starts.length > KEPT) {
      this.starts = [];
      this.ends = [];
    }
    this.count = 0;
    this.digits = 0;
    let start = at;
    for (;;) {
      let end = start + 1;
      while (isDigit(text.charCodeAt(end))) end += 1;
      this.starts[this.count] = start;
      this.ends[this.count] = end;
      this.count += 1;
      this.digits += end - start;
      let next = end;
      while (next - end < LONGEST_GAP && isSeparator(text.charCodeAt(next))) next += 1;
      if (next === end || !isDigit(text.charCodeAt(next))) return end;
      start = next;
    }
  }

  start(group: number): number {
    return this.starts[group] as number;
  }

  end(group: number): number {
    return this.ends[group] as number;
  }

  /** Digits in a group; 0 when there is no such group. */
  size(group: number): number {
    return group < 0 || group >= this.count ? 0 : (this.ends[group] as number) - (this.starts[group] as number);
  }

  /** The separator before a group when it is one character, 0 when it is longer or there is none. */
  gap(text: string, group: number): number {
    if (group <= 0 || group >= this.count) return 0;
    const at = this.ends[group - 1] as number;
    return (this.starts[group] as number) === at + 1 ? text.charCodeAt(at) : 0;
  }

  /** The number that a group spells. */
  value(text: string, group: number): number {
    let value = 0;
    for (let i = this.start(group); i < this.end(group); i += 1) value = value * 10 + text.charCodeAt(i) - 0x30;
    return value;
  }
}

/** True when the digits at `at` follow `h-hhhh-`, as the last part of a UUID does. */
export function endsUuid(text: string, at: number): boolean {
  if (text.charCodeAt(at - 1) !== DASH || text.charCodeAt(at - 6) !== DASH) return false;
  for (let i = at - 5; i < at - 1; i += 1) if (!isHex(text.charCodeAt(i))) return false;
  return isHex(text.charCodeAt(at - 7));
}

/** True when the eight units at `at` precede `-hhhh-`, as the first part of a UUID does. */
export function startsUuid(text: string, at: number): boolean {
  if (text.charCodeAt(at + 8) !== DASH || text.charCodeAt(at + 13) !== DASH) return false;
  for (let i = at + 9; i < at + 13; i += 1) if (!isHex(text.charCodeAt(i))) return false;
  return isHex(text.charCodeAt(at + 14));
}

export const SPACE = 0x20;
export const DASH = 0x2d;
export const DOT = 0x2e;

/** Space, parentheses, hyphen and full stop. */
const isSeparator = (c: number): boolean => c === SPACE || c === DASH || c === DOT || c === 0x28 || c === 0x29;
