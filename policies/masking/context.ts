import { isEscapeLetter, isLower, isUpper } from './characters.ts';
import { BEGINNINGS, FOREIGN, INSIDE, WORDS } from './context-words.ts';

export { CONTEXT_OF, VERSION_CONTEXT } from './context-words.ts';

const LONGEST = 13;
const STEM = 4;

const WHOLE: ReadonlyMap<string, number> = bitsOf(WORDS);
/** By their first four letters. */
const STEMS: ReadonlyMap<string, readonly (readonly [beginning: string, bits: number])[]> = stems();
const OTHERS: readonly (readonly [word: string, bits: number])[] = [...bitsOf(FOREIGN)];
const OTHER_BITS = OTHERS.reduce((all, [, bits]) => all | bits, 0);
const LONGEST_OTHER = Math.max(...OTHERS.map(([word]) => word.length));

function bitsOf(table: readonly (readonly [number, string])[]): Map<string, number> {
  const bits = new Map<string, number>();
  for (const [of, words] of table) for (const word of words.split(' ')) bits.set(word, (bits.get(word) ?? 0) | of);
  return bits;
}

function stems(): Map<string, (readonly [string, number])[]> {
  const byStem = new Map<string, (readonly [string, number])[]>();
  for (const [beginning, bits] of bitsOf(BEGINNINGS)) {
    const stem = beginning.slice(0, STEM);
    byStem.set(stem, [...(byStem.get(stem) ?? []), [beginning, bits]]);
  }
  return byStem;
}

/** 1 for small letters, 2 for capitals, of ASCII. */
const CASE = new Uint8Array(128).fill(1, 0x61, 0x7b).fill(2, 0x41, 0x5b);

const LETTERS = 27;

/** Bits of the words that begin with three letters; of shorter words whatever follows. */
const TRIPLES = triples();

function triples(): Int32Array {
  const bits = new Int32Array(LETTERS ** 3);
  for (const [word, of] of [...WHOLE, ...bitsOf(BEGINNINGS)]) {
    const known = Math.min(word.length, 3);
    let first = 0;
    for (let i = 0; i < 3; i += 1) first = first * LETTERS + (i < known ? ordinal(word.charCodeAt(i)) : 0);
    for (let i = first; i < first + LETTERS ** (3 - known); i += 1) bits[i] = (bits[i] as number) | of;
  }
  return bits;
}

function tripleAt(text: string, at: number): number {
  const first = (text.charCodeAt(at) | 0x20) - 0x60;
  return TRIPLES[
    (first * LETTERS + ordinal(text.charCodeAt(at + 1))) * LETTERS + ordinal(text.charCodeAt(at + 2))
  ] as number;
}

/** 1 to 26 for letters, otherwise 0. */
function ordinal(c: number): number {
  const place = (c | 0x20) - 0x60;
  return place >= 1 && place <= 26 ? place : 0;
}

/**
 * Those of the wanted bits whose words begin from `from` up to `to`. Words are runs of ASCII letters; a capital in `cellPhone` begins
 * another. `phone` and `card` count anywhere in a word, as do words of other scripts.
 */
export function mentions(text: string, from: number, to: number, wanted: number): number {
  let bits = 0;
  let before = from > 0 ? caseAt(text, from - 1) : 0;
  let foreign = false;
  for (let i = from; i < to; i += 1) {
    const c = text.charCodeAt(i);
    if (c >= 128) foreign = true;
    const now = c < 128 ? (CASE[c] as number) : 0;
    if (now !== 0) {
      const begins = before === 0 || (now === 2 && before === 1);
      const asked = begins ? wanted : wanted & INSIDE;
      if (asked !== 0 && (tripleAt(text, i) & asked) !== 0) {
        bits |= word(text, i, begins) & wanted;
        if (bits === wanted) return bits;
      }
    }
    // The letter of an escape such as `\n` belongs to no word.
    before = before === 0 && now !== 0 && isEscapeLetter(text, i) ? 0 : now;
  }
  return foreign && (wanted & OTHER_BITS) !== 0 ? bits | (others(text.slice(from, to + LONGEST_OTHER)) & wanted) : bits;
}

function others(text: string): number {
  let bits = 0;
  for (const [word, of] of OTHERS) if (text.includes(word)) bits |= of;
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
  let bits = lower.startsWith('phone') || lower.startsWith('card') ? INSIDE_OF[lower[0] as 'p' | 'c'] : 0;
  if (!begins) return bits;
  for (const [beginning, of] of STEMS.get(lower.slice(0, STEM)) ?? []) if (lower.startsWith(beginning)) bits |= of;
  return bits | (WHOLE.get(lower) ?? 0);
}

const INSIDE_OF = {
  p: bitsOf(BEGINNINGS).get('phon') as number,
  c: bitsOf(BEGINNINGS).get('card') as number,
} as const;

/** True when the unit at `at` continues the word before it. */
function continues(text: string, at: number): boolean {
  const c = text.charCodeAt(at);
  return isLower(c) || (isUpper(c) && isUpper(text.charCodeAt(at - 1)));
}
