import { memberSpan } from '../policies/json/member.ts';
import { splice, type Edit } from '../policies/json/splice.ts';
import type { Frame } from './types.ts';
import { withText } from './wire/frame.ts';

/** Progress must increase: what the upstream counts goes on where the hold's own heartbeats stopped (duty P-02). */
export function offsetProgress(frame: Frame, offset: number): Frame {
  if (offset === 0 || frame.method !== 'notifications/progress') return frame;
  const params = memberSpan(frame.text, 0, 'params');
  if (params === undefined) return frame;
  const edits: Edit[] = [];
  for (const key of ['progress', 'total']) {
    const span = memberSpan(frame.text, params.start, key);
    const value = span === undefined ? Number.NaN : Number(frame.text.slice(span.start, span.end));
    if (span !== undefined && Number.isFinite(value)) edits.push({ ...span, text: String(value + offset) });
  }
  return edits.length === 0 ? frame : withText(frame, splice(frame.text, edits));
}
