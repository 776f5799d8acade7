import { RE2JS } from 're2js';
import type { CustomEntity } from '../documents.ts';
import { compileGate, compilePattern } from '../pattern.ts';
import { DEEPEST } from './depth.ts';
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

/** Says of raw JSON text whether some custom entity may be in it. */
export interface CustomGate {
  readonly active: boolean;
  /** No false negatives for texts without characters that fold, and without escapes other than of quotes, slashes and line ends. */
  mayMatch(raw: string, escaped: boolean): boolean;
}

export function compileCustomGate(
  matchers: readonly CustomMatcher[],
  lists: readonly string[],
  folding: Folding,
): CustomGate {
  const sources = matchers.flatMap(({ source }) => source ?? []);
  const words = foldedWords(lists, folding);
  const patterns = sources.length > 0 ? compileGate(sources) : undefined;
  const literals = words.length > 0 ? new RegExp(words.map(quote).join('|'), 'iu') : undefined;
  const escapable = sources.length > 0 || words.some((word) => ESCAPED_IN_JSON.test(word));
  const test = (text: string): boolean => literals?.test(text) === true || patterns?.mayMatch(text) === true;
  return {
    active: patterns !== undefined || literals !== undefined,
    mayMatch(raw, escaped) {
      if (test(raw)) return true;
      if (!escaped || !escapable) return false;
      // Strings lie in the unescaped text as they are; JSON texts inside of strings, in what that gives unescaped again.
      let text = raw;
      for (let depth = 0; depth <= DEEPEST && text.includes('\\'); depth += 1) {
        text = unescaped(text);
        if (test(text)) return true;
      }
      return false;
    },
  };
}

/** The text with its short escapes undone. */
function unescaped(text: string): string {
  const undo = (part: string): string =>
    part
      .replaceAll('\\"', '"')
      .replaceAll('\\n', '\n')
      .replaceAll('\\r', '\r')
      .replaceAll('\\t', '\t')
      .replaceAll('\\/', '/');
  return text.split('\\\\').map(undo).join('\\');
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
