import { splice, type Edit } from '../../../policies/json/splice.ts';
import type { Node } from '../../../policies/json/tree.ts';

/** The text of one node with the edits that lie within it made. */
export function spliceNode(text: string, node: Node, edits: readonly Edit[]): string {
  const { start, end } = node;
  const shifted = edits.map((edit) => ({ start: edit.start - start, end: edit.end - start, text: edit.text }));
  return splice(text.slice(start, end), shifted);
}
