import { memberSpan } from '../../policies/json/member.ts';
import { find, parseTree } from '../../policies/json/tree.ts';
import { splice, type Edit } from '../../policies/json/splice.ts';
import type { Frame } from '../types.ts';
import { withText } from '../wire/frame.ts';

/** Where a value stands in the text of a message, by the names that lead to it, however those are spelt. */
export function spanAt(text: string, path: readonly string[]): { start: number; end: number } | undefined {
  let span: { start: number; end: number } | undefined = { start: 0, end: text.length };
  for (const key of path) {
    span = memberSpan(text, span.start, key);
    if (span === undefined) break;
  }
  if (span !== undefined || !text.includes('\\')) return span;
  return find(parseTree(text), ...path);
}

/** The message with other values at these places; a place that it does not have stays absent. */
export function readdress(frame: Frame, values: readonly (readonly [readonly string[], string])[]): Frame {
  const edits: Edit[] = [];
  for (const [path, text] of values) {
    const span = spanAt(frame.text, path);
    if (span !== undefined) edits.push({ start: span.start, end: span.end, text });
  }
  return withText(frame, splice(frame.text, edits));
}

/** The text without a member of the object that the path leads to. */
export function withoutMembers(text: string, path: readonly string[], keys: ReadonlySet<string>): string {
  const node = find(parseTree(text), ...path);
  if (node?.type !== 'object') return text;
  const kept = node.members.filter(({ key }) => !keys.has(key));
  if (kept.length === node.members.length) return text;
  const inner = kept.map(({ keyStart, value }) => text.slice(keyStart, value.end)).join(',');
  return splice(text, [{ start: node.start, end: node.end, text: `{${inner}}` }]);
}
