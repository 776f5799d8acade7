import type { Edit } from '../../../policies/json/splice.ts';
import type { ObjectNode } from '../../../policies/json/tree.ts';

/**
 * The edits that take members out of an object and add others (`"key":value` texts) at its end. What is kept keeps its
 * bytes, and edits inside of kept members may be made together with these.
 */
export function editMembers(node: ObjectNode, drops: (key: string) => boolean, add: readonly string[] = []): Edit[] {
  const { members } = node;
  const edits: Edit[] = [];
  let kept = 0;
  for (let at = 0; at < members.length; at += 1) {
    if (!drops(members[at]!.key)) {
      kept += 1;
      continue;
    }
    const first = at;
    while (at + 1 < members.length && drops(members[at + 1]!.key)) at += 1;
    // A run of dropped members takes the comma behind it along; the last run the one before it.
    const follower = members[at + 1];
    const before = members[first - 1];
    edits.push({
      start: follower === undefined && before !== undefined ? before.value.end : members[first]!.keyStart,
      end: follower === undefined ? members[at]!.value.end : follower.keyStart,
      text: '',
    });
  }
  if (add.length > 0) {
    const end = node.end - 1;
    edits.push({ start: end, end, text: `${kept === 0 ? '' : ','}${add.join(',')}` });
  }
  return edits;
}
