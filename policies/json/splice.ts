/** Replaces the units from `start` up to `end`; `start === end` inserts. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * The text with every edit made and every other unit untouched. Edits come in any order; overlapping ones throw
 * RangeError.
 */
export function splice(text: string, edits: readonly Edit[]): string {
  if (edits.length === 0) return text;
  const sorted = edits.length === 1 ? edits : edits.toSorted((a, b) => a.start - b.start || a.end - b.end);
  const parts: string[] = [];
  let at = 0;
  for (const edit of sorted) {
    if (!(edit.start >= at && edit.end >= edit.start && edit.end <= text.length)) {
      throw new RangeError(`edit of ${edit.start} to ${edit.end} overlaps another or leaves the text`);
    }
    parts.push(text.slice(at, edit.start), edit.text);
    at = edit.end;
  }
  parts.push(text.slice(at));
  return parts.join('');
}
