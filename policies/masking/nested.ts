import type { Edit } from '../json/splice.ts';
import type { Node } from '../json/tree.ts';
import type { Span } from './entities.ts';

/** Those of the spans, which are in order, that do not lie within one string or one scalar of the tree. */
export function outsideLeaves(tree: Node, spans: readonly Span[]): readonly Span[] {
  if (spans.length === 0) return spans;
  const leaves: Node[] = [];
  collect(tree, leaves);
  let at = 0;
  return spans.filter(({ start, end }) => {
    while (at < leaves.length && (leaves[at] as Node).end <= start) at += 1;
    const leaf = leaves[at];
    if (leaf === undefined) return true;
    // What takes in a quote was not seen when the string itself was read.
    const quote = leaf.type === 'string' ? 1 : 0;
    return start < leaf.start + quote || end > leaf.end - quote;
  });
}

function collect(node: Node, leaves: Node[]): void {
  if (node.type === 'array') {
    for (const item of node.items) collect(item, leaves);
  } else if (node.type === 'object') {
    for (const { keyStart, keyEnd, value } of node.members) {
      leaves.push({ type: 'string', start: keyStart, end: keyEnd });
      collect(value, leaves);
    }
  } else {
    leaves.push(node);
  }
}

/** Both lists as one without overlaps: a stretch that edits of both touch is replaced as a whole, by the text of the second list. */
export function mergeEdits(first: readonly Edit[], second: readonly Edit[]): readonly Edit[] {
  const strong = new Set(second);
  const out: Edit[] = [];
  for (const edit of [...first, ...second].toSorted((a, b) => a.start - b.start || a.end - b.end)) {
    const last = out.at(-1);
    if (last === undefined || edit.start >= last.end) {
      out.push(edit);
      continue;
    }
    const merged = {
      start: last.start,
      end: Math.max(last.end, edit.end),
      text: strong.has(last) || !strong.has(edit) ? last.text : edit.text,
    };
    if (strong.has(last) || strong.has(edit)) strong.add(merged);
    out[out.length - 1] = merged;
  }
  return out;
}
