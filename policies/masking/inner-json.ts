import { parseTree } from '../json/tree.ts';
import type { Node } from '../json/tree.ts';

/** The tree of a string that is itself a JSON object, array or, encoded twice, string. */
export function innerJson(value: string): Node | undefined {
  let at = 0;
  while (isSpace(value.charCodeAt(at))) at += 1;
  const first = value.charCodeAt(at);
  if (first !== 0x7b && first !== 0x5b && first !== 0x22) return undefined;
  try {
    return parseTree(value);
  } catch (error) {
    // Not JSON after all: the string is read as plain text, so nothing goes unseen.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const isSpace = (c: number): boolean => c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09;
