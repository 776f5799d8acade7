import type { Edit } from '../json/splice.ts';

/** A stretch of text that reads like a placeholder of the token vault. */
export interface Placeholder {
  readonly start: number;
  readonly end: number;
  readonly type: string;
}

const SHAPE = '<([A-Z][A-Z0-9_]{0,63})_[1-9][0-9]{0,8}>';
const ONE = new RegExp(SHAPE);

/** True when the raw JSON text may hold a placeholder in one of its strings: spelt out, or with escapes. */
export const mayHoldPlaceholder = (json: string): boolean => json.includes('\\u') || ONE.test(json);

/** What reads like a placeholder in a decoded text. */
export function placeholders(text: string): readonly Placeholder[] {
  if (!text.includes('<')) return [];
  return [...text.matchAll(new RegExp(SHAPE, 'g'))].map((match) => ({
    start: match.index,
    end: match.index + match[0].length,
    type: match[1] as string,
  }));
}

/** Edits after which a text that did not come from the vault holds no placeholder, outside of what is hidden anyway. */
export function escapePlaceholders(text: string, hidden: readonly Edit[]): readonly Edit[] {
  return placeholders(text)
    .filter(({ start }) => !hidden.some((edit) => edit.start <= start && start < edit.end))
    .map(({ start }) => ({ start, end: start + 1, text: '&lt;' }));
}
