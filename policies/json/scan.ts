import { Keys } from './keys.ts';
import { MAX_DEPTH, hasLoneSurrogate, scalarEnd, skipSpace, stringEnd } from './lexeme.ts';
import { Strings } from './strings.ts';

/**
 * Lengths count UTF-16 units as they are written: an escape of six characters counts six. Depth is capped at
 * MAX_DEPTH.
 */
export interface ScanLimits {
  readonly depth: number;
  readonly arrayLength: number;
  readonly keyLength: number;
  readonly stringLength: number;
  /** Characters of one number. */
  readonly numberDigits: number;
}

/**
 * `grammar`: not JSON. `refused`: JSON as far as it was read, but ambiguous or over a limit. The sentence never quotes
 * the text.
 */
export interface ScanFault {
  readonly type: 'grammar' | 'refused';
  readonly sentence: string;
}

const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;

/**
 * Judges a text in one pass: complete JSON grammar, no duplicate keys (after unescaping) at any depth, no lone
 * surrogates, nothing over the limits. Undefined means fine; otherwise the fault in a sentence.
 */
export function scan(text: string, limits: ScanLimits): string | undefined {
  return scanMembers(text, limits, [])?.sentence;
}

/**
 * As `scan`, and notes the members of the outermost object in `members`: start and end of the key, start and end of
 * the value, four numbers each.
 */
export function scanMembers(text: string, limits: ScanLimits, members: number[]): ScanFault | undefined {
  if (!text.isWellFormed()) return refused('a lone surrogate', 0);
  const maxDepth = Math.min(limits.depth, MAX_DEPTH);
  const { arrayLength, keyLength, stringLength, numberDigits } = limits;
  const keys = new Keys(text);
  const strings = new Strings(text);
  // One number for each open container: an object's mark (0 or more), or an array's count of elements as -1 - count.
  const outer: number[] = [];
  let inner = -1;
  let depth = 0;
  let atKey = false;
  let i = skipSpace(text, 0);

  for (;;) {
    if (atKey) {
      if (text.charCodeAt(i) !== QUOTE) return grammar(i);
      let hash = 0;
      let end = i + 1;
      let c = text.charCodeAt(end);
      while (c >= 0x20 && c !== QUOTE && c !== BACKSLASH) {
        hash = (Math.imul(hash, 31) + c) | 0;
        end += 1;
        c = text.charCodeAt(end);
      }
      const escaped = c === BACKSLASH;
      end = escaped ? stringEnd(text, i) : c === QUOTE ? end + 1 : -1;
      if (end < 0) return grammar(i);
      if (end - i - 2 > keyLength) return refused(`a key is longer than ${keyLength}`, i);
      if (escaped && hasLoneSurrogate(text, i, end)) return refused('a lone surrogate', i);
      if (!keys.add(inner, i, end, hash, escaped)) return refused('a duplicate key', i);
      const colon = skipSpace(text, end);
      if (text.charCodeAt(colon) !== COLON) return grammar(colon);
      const value = skipSpace(text, colon + 1);
      if (depth === 1) members.push(i, end, value);
      i = value;
      atKey = false;
    }

    const first = text.charCodeAt(i);
    if (first === QUOTE) {
      const end = strings.end(i);
      if (end < 0) return grammar(i);
      if (end - i - 2 > stringLength) return refused(`a string is longer than ${stringLength}`, i);
      if (strings.escaped(i, end) && strings.unicode && hasLoneSurrogate(text, i, end)) {
        return refused('a lone surrogate', i);
      }
      i = end;
    } else if (first === OPEN_OBJECT || first === OPEN_ARRAY) {
      if (depth >= maxDepth) return refused(`nested deeper than ${maxDepth} levels`, i);
      if (depth > 0) outer.push(inner);
      depth += 1;
      i = skipSpace(text, i + 1);
      if (first === OPEN_OBJECT) {
        inner = keys.open();
        atKey = text.charCodeAt(i) !== CLOSE_OBJECT;
        if (atKey) continue;
      } else {
        inner = -1;
        if (text.charCodeAt(i) !== CLOSE_ARRAY) continue;
      }
      // Empty: nothing was counted, close it at once.
      i += 1;
      depth -= 1;
      if (depth > 0) inner = outer.pop() as number;
    } else {
      const end = scalarEnd(text, i);
      if (end < 0) return grammar(i);
      if (first < 0x3a && end - i > numberDigits) return refused(`a number is longer than ${numberDigits}`, i);
      i = end;
    }

    // A value is complete: count it, and close every container that ends here.
    for (;;) {
      if (depth === 0) {
        i = skipSpace(text, i);
        return i === text.length ? undefined : grammar(i);
      }
      if (depth === 1 && inner >= 0) members.push(i);
      i = skipSpace(text, i);
      const next = text.charCodeAt(i);
      if (inner < 0) {
        inner -= 1;
        if (-1 - inner > arrayLength) return refused(`an array is longer than ${arrayLength}`, i);
      }
      if (next === COMMA) {
        atKey = inner >= 0;
        i = skipSpace(text, i + 1);
        break;
      }
      if (next !== (inner < 0 ? CLOSE_ARRAY : CLOSE_OBJECT)) return grammar(i);
      if (inner >= 0) keys.close(inner);
      i += 1;
      depth -= 1;
      if (depth > 0) inner = outer.pop() as number;
    }
  }
}

const grammar = (at: number): ScanFault => ({ type: 'grammar', sentence: `not JSON at position ${at}` });
const refused = (what: string, at: number): ScanFault => ({ type: 'refused', sentence: `${what} at position ${at}` });
