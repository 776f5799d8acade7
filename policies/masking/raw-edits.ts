import type { Edit } from '../json/splice.ts';

const BACKSLASH = 0x5c;

/**
 * Adds edits of a decoded string as edits of the JSON text in which its opening quote is at `start`, their new texts with the
 * escapes that JSON needs.
 */
export function rawEdits(text: string, start: number, found: readonly Edit[], edits: Edit[]): void {
  const sorted = found.length === 1 ? found : found.toSorted((a, b) => a.start - b.start || a.end - b.end);
  let unit = 0;
  let raw = start + 1;
  let next = text.indexOf('\\', raw);
  const advance = (to: number): number => {
    while (unit < to) {
      if (next < 0 || next - raw >= to - unit) {
        raw += to - unit;
        unit = to;
      } else {
        unit += next - raw + 1;
        raw = next + (text.charCodeAt(next + 1) === 0x75 ? 6 : 2);
        next = text.charCodeAt(raw) === BACKSLASH ? raw : text.indexOf('\\', raw);
      }
    }
    return raw;
  };
  for (const edit of sorted)
    edits.push({ start: advance(edit.start), end: advance(edit.end), text: escaped(edit.text) });
}

// oxlint-disable-next-line no-control-regex -- exactly what JSON does not take as it is
const ESCAPED = /["\\\x00-\x1f]/;

const escaped = (text: string): string => (ESCAPED.test(text) ? JSON.stringify(text).slice(1, -1) : text);
