import { decodeString, parseTree } from './tree.ts';
import type { Node } from './tree.ts';

/**
 * One spelling for all JSON texts that differ only in whitespace, order of keys or escapes. Numbers keep their lexeme,
 * so 1 and 1.0 stay different. Throws SyntaxError when the text is not JSON.
 */
export function canonical(text: string): string {
  const parts: string[] = [];
  write(text, parseTree(text), parts);
  return parts.join('');
}

function write(text: string, node: Node, parts: string[]): void {
  switch (node.type) {
    case 'string':
      parts.push(JSON.stringify(decodeString(text, node.start, node.end)));
      return;
    case 'scalar':
      parts.push(text.slice(node.start, node.end));
      return;
    case 'array':
      parts.push('[');
      for (const [position, item] of node.items.entries()) {
        if (position > 0) parts.push(',');
        write(text, item, parts);
      }
      parts.push(']');
      return;
    case 'object': {
      parts.push('{');
      const members = node.members.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
      for (const [position, member] of members.entries()) {
        if (position > 0) parts.push(',');
        parts.push(JSON.stringify(member.key), ':');
        write(text, member.value, parts);
      }
      parts.push('}');
      return;
    }
    default:
      node satisfies never;
  }
}
