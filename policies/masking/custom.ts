import { RE2JS } from 're2js';
import type { CustomEntity } from '../documents.ts';
import { compileGate, compilePattern } from '../pattern.ts';
import type { Folding } from './fold.ts';

const WORD = '[\\p{L}\\p{N}]';
// `\n` written out before a word is a line end, not a letter of the word.
const WORD_BEGINS = `(?<=^|[^\\p{L}\\p{N}]|\\\\[nrtbf])`;
const WORD_ENDS = `(?!${WORD})`;
const STARTS_AS_WORD = new RegExp(`^${WORD}`, 'u');
const ENDS_AS_WORD = new RegExp(`${WORD}$`, 'u');
const ESCAPED_IN_JSON = /["\\/]|\p{Cc}/u;

/** An entity that a rule defines itself, compiled. */
export interface CustomMatcher {
  readonly entity: string;
  readonly rule: string;
  readonly score: number;
  /** A linear-time expression, which reads the text as it stands and folded. */
  readonly regex?: RE2JS;
  readonly source?: string;
  /** Literal words on word boundaries, which read the folded text: an alternation of literals cannot backtrack. */
  readonly words?: RegExp;
}

/** Compiles an entity for one rule; one whose score is under the rule's threshold matches nothing and is left out. */
export function compileCustom(
  entity: CustomEntity,
  rule: string,
  threshold: number,
  folding: Folding,
): readonly CustomMatcher[] {
  const score = entity.score ?? 1;
  if (score < threshold) return [];
  const common = { entity: entity.name, rule, score };
  const matchers: CustomMatcher[] = [];
  if (entity.regex !== undefined) {
    compilePattern(entity.regex);
    matchers.push({ ...common, regex: RE2JS.compile(entity.regex), source: entity.regex });
  }
  const words = foldedWords(entity.deny_list ?? [], folding);
  if (words.length > 0) matchers.push({ ...common, words: new RegExp(words.map(bounded).join('|'), 'giu') });
  return matchers;
}

/** What raw JSON text must hold so that some custom entity can be in it. */
export interface CustomGate {
  readonly active: boolean;
  /** True when escapes in the raw text may hide a match. */
  readonly escapable: boolean;
  mayMatch(raw: string): boolean;
}

/** A gate without false negatives for texts without characters that fold; `escapable` says when escapes are to be minded too. */
export function compileCustomGate(
  matchers: readonly CustomMatcher[],
  lists: readonly string[],
  folding: Folding,
): CustomGate {
  const sources = matchers.flatMap(({ source }) => source ?? []);
  const words = foldedWords(lists, folding);
  const patterns = sources.length > 0 ? compileGate(sources) : undefined;
  const literals = words.length > 0 ? new RegExp(words.map(quote).join('|'), 'iu') : undefined;
  return {
    active: patterns !== undefined || literals !== undefined,
    escapable: sources.length > 0 || words.some((word) => ESCAPED_IN_JSON.test(word)),
    mayMatch: (raw) => literals?.test(raw) === true || patterns?.mayMatch(raw) === true,
  };
}

/** Longest first, so that an alternation prefers the longer of two words. */
function foldedWords(words: readonly string[], folding: Folding): readonly string[] {
  const folded = words.flatMap((word) =>
    [word.normalize('NFC'), word.normalize('NFD')].map((form) => folding.fold(form)?.text ?? form),
  );
  return [...new Set(folded)].filter((word) => word.trim() !== '').toSorted((a, b) => b.length - a.length);
}

function bounded(word: string): string {
  return `${STARTS_AS_WORD.test(word) ? WORD_BEGINS : ''}${quote(word)}${ENDS_AS_WORD.test(word) ? WORD_ENDS : ''}`;
}

const quote = (word: string): string => word.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
