import type { Edit } from '../../policies/json/splice.ts';
import type { ArrayNode, Member, Node, ObjectNode } from '../../policies/json/tree.ts';

interface Span {
  readonly start: number;
  readonly end: number;
}

/** Edits that cut the items which `keep` refuses, each with one comma; every other unit of the text stays. */
export function cutItems(array: ArrayNode, keep: (item: Node) => boolean): Edit[] {
  return cut(array.items, array.items.map(keep));
}

/** Edits that cut the members which `keep` refuses, each with one comma; every other unit of the text stays. */
export function cutMembers(object: ObjectNode, keep: (member: Member) => boolean): Edit[] {
  const spans = object.members.map(({ keyStart, value }) => ({ start: keyStart, end: value.end }));
  return cut(spans, object.members.map(keep));
}

function cut(spans: readonly Span[], kept: readonly boolean[]): Edit[] {
  const edits: Edit[] = [];
  for (let i = 0; i < spans.length; i += 1) {
    if (kept[i]) continue;
    let last = i;
    while (last + 1 < spans.length && !kept[last + 1]) last += 1;
    const before = spans[i - 1];
    const after = spans[last + 1];
    // The comma before the run goes with it; at the front it is the one behind.
    if (before !== undefined) edits.push({ start: before.end, end: spans[last]!.end, text: '' });
    else edits.push({ start: spans[i]!.start, end: after?.start ?? spans[last]!.end, text: '' });
    i = last;
  }
  return edits;
}
