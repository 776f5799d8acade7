import { lower } from '../normalise.ts';
import { compileSorter, unsorted } from '../pattern.ts';
import type { Sorter } from '../pattern.ts';
import { WHOLE, read } from '../reading.ts';
import type { Form, Reading } from '../reading.ts';
import { traitsOf } from '../encoding.ts';
import type { TextMatcher } from './matcher.ts';
import { redactStrings } from './redact.ts';

// Forms are joined up to this length for one scan.
const BATCH = 65_536;

/** Several matchers, and what says in one scan which of them are worth asking. */
export interface Finder {
  readonly matchers: readonly TextMatcher[];
  readonly sorter: Sorter;
}

/** To be called when rules are loaded. */
export const finderOf = (matchers: readonly TextMatcher[]): Finder => ({
  matchers,
  sorter: compileSorter(matchers.map(({ sources }) => sources)),
});

/** For each matcher the strings in which it matches; the whole text or the name only if no string does. */
export function matchingTokens({ matchers, sorter }: Finder, { forms, exotic }: Reading): readonly number[][] {
  const hits = matchers.map(() => new Set<number>());
  for (const batch of batches(forms)) {
    const { text } = batch;
    const asked = [sorter.candidates(text)];
    // Words are compared in lower case, which is more than a pattern that ignores case does.
    if (exotic) asked.push(sorter.candidates(lower(text)));
    for (const index of new Set(asked.flatMap((each) => [...each]))) {
      const matcher = matchers[index] as TextMatcher;
      if (matcher.mayMatch(text)) collect(matcher, batch.forms, hits[index] as Set<number>);
    }
  }
  return hits.map((tokens) => {
    const inside = [...tokens].filter((token) => token >= 0);
    return inside.length > 0 ? inside : [...tokens];
  });
}

/** Does some matcher match in one of the strings? */
export function findsIn(matchers: readonly TextMatcher[], reading: Reading): boolean {
  const found = matchingTokens({ matchers, sorter: unsorted(matchers.length) }, reading);
  return found.some((tokens) => tokens.some((token) => token >= 0));
}

function collect(matcher: TextMatcher, forms: readonly Form[], hits: Set<number>): void {
  for (const { token, text } of forms) {
    if (hits.has(token) || (token === WHOLE && matcher.stringsOnly === true)) continue;
    if (matcher.matches(text)) hits.add(token);
  }
}

/** The forms, joined into texts of a size that is worth a scan. */
export function* batches(
  forms: readonly Form[],
): Generator<{ readonly text: string; readonly forms: readonly Form[] }> {
  let from = 0;
  let text = '';
  for (const [position, form] of forms.entries()) {
    text = position === from ? form.text : `${text}\n${form.text}`;
    if (text.length < BATCH && position < forms.length - 1) continue;
    yield { text, forms: forms.slice(from, position + 1) };
    from = position + 1;
  }
}

/**
 * The JSON text without anything that the matchers match. What a string shows as it stands is replaced there; a string that still
 * matches, in whatever form, is replaced whole. Undefined when something matches even then, or lies where nothing can be replaced.
 */
export function withoutMatches(json: string, reading: Reading, matchers: readonly TextMatcher[]): string | undefined {
  let text = json;
  let now = reading;
  // Sorting is prepared when rules are loaded, not while a call waits.
  const finder: Finder = { matchers, sorter: unsorted(matchers.length) };
  for (const round of ['spans', 'whole'] as const) {
    const marked = new Map<number, TextMatcher[]>();
    for (const [index, tokens] of matchingTokens(finder, now).entries()) {
      for (const token of tokens) {
        if (token < 0) return undefined;
        marked.set(token, [...(marked.get(token) ?? []), matchers[index] as TextMatcher]);
      }
    }
    if (marked.size === 0) return text;
    const redacted = redactStrings(text, (token, value) => {
      const found = marked.get(token)?.map((matcher) => (round === 'spans' ? matcher.spans(value) : []));
      if (found === undefined) return undefined;
      return found.some((spans) => spans.length === 0) ? 'whole' : found.flat();
    });
    if (redacted === undefined) return undefined;
    text = redacted;
    now = read(text, traitsOf(text), '', 'all');
    if (!now.complete) return undefined;
  }
  return matchingTokens(finder, now).some((tokens) => tokens.length > 0) ? undefined : text;
}
