import type { Edit } from '../json/splice.ts';

const BACKSLASH = 0x5c;

/** Adds edits of a decoded string as edits of the JSON text in which its opening quote is at `start`. */
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
  for (const edit of sorted) edits.push({ start: advance(edit.start), end: advance(edit.end), text: edit.text });
}
