import type { GuardrailEntry } from '../documents.ts';
import { lower, normalise } from '../normalise.ts';
import { compileGate, compilePattern, quote } from '../pattern.ts';
import { complainUnlessCompiles } from './complain.ts';
import type { Kind, Span, TextMatcher } from './matcher.ts';

const BOTH = ['input', 'output'] as const;

/** Words as parts of any text. */
export const DENY_WORDS_LIST: Kind = {
  type: 'deny_words_list',
  directions: BOTH,
  members: ['words', 'case_sensitive'],
  redacts: true,
  check({ words }, _, complain) {
    if (words === undefined || words.length === 0) complain('words', 'must have at least 1 entry');
    for (const [index, word] of (words ?? []).entries()) {
      if (word === '') complain(`words[${index}]`, 'must not be empty');
    }
  },
  compile: compileWords,
};

/** A pattern anywhere in a text. */
export const PATTERN_MATCH: Kind = {
  type: 'pattern_match',
  directions: BOTH,
  members: ['pattern_regex'],
  redacts: true,
  check({ pattern_regex: source }, _, complain) {
    if (source === undefined || source === '') complain('pattern_regex', 'must hold a pattern');
    else complainUnlessCompiles('pattern_regex', source, compilePattern, complain);
  },
  compile({ pattern_regex: source }) {
    const pattern = compilePattern(source ?? '');
    const { mayMatch } = compileGate([pattern.source]);
    return {
      reads: 'text',
      sources: [pattern.source],
      mayMatch,
      matches: (text) => pattern.search(text),
      spans: (text) => pattern.spans(text),
    };
  },
};

function compileWords({ words: all, case_sensitive: exact = false }: GuardrailEntry): TextMatcher {
  const words = (all ?? []).filter((word) => word !== '');
  const spell = exact ? (text: string): string => text : lower;
  const forms = [...new Set(words.flatMap((word) => [spell(word), spell(normalise(word))]))].filter(
    (form) => form !== '',
  );
  const matches = (text: string): boolean => {
    const spelt = spell(text);
    return forms.some((form) => spelt.includes(form));
  };
  return {
    reads: 'text',
    sources: forms.map((form) => (exact ? quote(form) : `(?i:${quote(form)})`)),
    mayMatch: matches,
    matches,
    spans(text) {
      const spelt = spell(text);
      // Some letters have a longer lower case, which moves everything behind them.
      return spelt.length === text.length ? forms.flatMap((form) => occurrences(spelt, form)) : [];
    },
  };
}

function occurrences(text: string, part: string): Span[] {
  const found: Span[] = [];
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) {
    found.push({ start: at, end: at + part.length });
  }
  return found;
}
