import { parseTree } from './json/tree.ts';
import type { Node } from './json/tree.ts';

const PLAIN_KEY = /^[A-Za-z_$][\w$.-]{0,63}$/;

/** One step of a pointer for a key: `*` unless it looks like the name of a field. */
export const stepOf = (key: string): string => (PLAIN_KEY.test(key) ? key : '*');

/**
 * The JSON Pointer of the string or key with that number, counted in the order of the text; empty for the whole text. A key, and any
 * name on the way that does not look like a field's name, is given as `*`: pointers go to the record and must not repeat values.
 */
export function pointerOf(json: string, token: number): string {
  if (token < 0) return '';
  let left = token;

  const walk = (node: Node, path: string): string | undefined => {
    switch (node.type) {
      case 'scalar':
        return undefined;
      case 'string':
        left -= 1;
        return left < 0 ? path : undefined;
      case 'array':
        for (const [position, item] of node.items.entries()) {
          const found = walk(item, `${path}/${position}`);
          if (found !== undefined) return found;
        }
        return undefined;
      case 'object':
        for (const { key, value } of node.members) {
          left -= 1;
          if (left < 0) return `${path}/*`;
          const found = walk(value, `${path}/${stepOf(key)}`);
          if (found !== undefined) return found;
        }
        return undefined;
      default:
        return node satisfies never;
    }
  };

  return walk(parseTree(json), '') ?? '';
}
