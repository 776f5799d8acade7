import { decodeString, parseTree, type Node } from '../../policies/json/tree.ts';

/** JSON over several lines as a person reads it: strings decoded, so that no escape hides a word; numbers with the digits that were sent. */
export function pretty(text: string): string {
  let tree: Node;
  try {
    tree = parseTree(text);
  } catch {
    // Shown as it is: the page must not fail on what it is there to show.
    return text;
  }
  return lines(text, tree, '\n');
}

function lines(text: string, node: Node, indent: string): string {
  const inner = `${indent}  `;
  switch (node.type) {
    case 'string':
      return JSON.stringify(decodeString(text, node.start, node.end));
    case 'scalar':
      return text.slice(node.start, node.end);
    case 'array':
      if (node.items.length === 0) return '[]';
      return `[${node.items.map((item) => inner + lines(text, item, inner)).join(',')}${indent}]`;
    case 'object':
      if (node.members.length === 0) return '{}';
      return `{${node.members.map(({ key, value }) => `${inner}${JSON.stringify(key)}: ${lines(text, value, inner)}`).join(',')}${indent}}`;
    default:
      return node satisfies never;
  }
}
