import { decodeString, find, parseTree, type Node } from '../../policies/json/tree.ts';

/**
 * JSON as a person reads it: strings decoded, so that no escape hides a word, their lines one below the other; numbers with the
 * digits that were sent. What is no JSON is given as it is: the page must not fail on what it is there to show.
 */
export function pretty(text: string): string {
  const tree = parse(text);
  return tree === undefined ? text : lines(text, tree, '\n');
}

const BESIDE = new Set(['name', 'arguments', '_meta']);

/** The arguments alone; undefined when there are none, or something unusual stands beside them that must be seen as well. */
export function prettyArguments(text: string): string | undefined {
  const tree = parse(text);
  if (tree?.type !== 'object' || !tree.members.every(({ key }) => BESIDE.has(key))) return undefined;
  const node = find(tree, 'arguments');
  return node && lines(text, node, '\n');
}

function parse(text: string): Node | undefined {
  try {
    return parseTree(text);
  } catch {
    return undefined;
  }
}

function lines(text: string, node: Node, indent: string): string {
  const inner = `${indent}  `;
  switch (node.type) {
    case 'string':
      return quoted(decodeString(text, node.start, node.end), inner);
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

/** Every quote inside stays escaped, so no line of a string can pass for the end of it. */
function quoted(value: string, indent: string): string {
  return JSON.stringify(value).replaceAll(/\\[^]/g, (escape) => (escape === '\\n' ? `\\n${indent}` : escape));
}
