import type { Edit } from '../../../policies/json/splice.ts';
import { decodeString, type Node, type ObjectNode } from '../../../policies/json/tree.ts';
import { editMembers } from './edit-members.ts';

/**
 * The edits that give an object these members, as JSON texts, and take others away: what is there is replaced in its place, what is
 * not is added at the end, and every other byte stays.
 */
export function setMembers(
  node: ObjectNode,
  set: Readonly<Record<string, string>>,
  drop: (key: string) => boolean = () => false,
): Edit[] {
  const missing = new Map(Object.entries(set));
  const edits: Edit[] = [];
  for (const { key, value } of node.members) {
    const text = missing.get(key);
    if (text === undefined) continue;
    missing.delete(key);
    edits.push({ start: value.start, end: value.end, text });
  }
  const added = [...missing].map(([key, text]) => `${JSON.stringify(key)}:${text}`);
  edits.push(...editMembers(node, (key) => !Object.hasOwn(set, key) && drop(key), added));
  return edits;
}

/** The node, if it is an object. */
export const objectNode = (node: Node | undefined): ObjectNode | undefined =>
  node?.type === 'object' ? node : undefined;

/** The string that a node is. */
export const stringAt = (text: string, node: Node | undefined): string | undefined =>
  node?.type === 'string' ? decodeString(text, node.start, node.end) : undefined;

/** The exact text of a node. */
export const textAt = (text: string, node: Node): string => text.slice(node.start, node.end);
