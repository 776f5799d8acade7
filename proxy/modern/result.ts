import { decodeString, find, parseTree } from '../../policies/json/tree.ts';
import type { Node, ObjectNode } from '../../policies/json/tree.ts';
import type { Frame } from '../types.ts';

/** The only requests that may be answered with a wish for input, and repeated with its state (M-01). */
export const REPEATABLE: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read']);

/**
 * The result of an answer whose `resultType` is `type`, as a tree. Answers that cannot be of that type are told by a
 * search of the text, without reading them.
 */
export function resultOfType(frame: Frame, type: string): ObjectNode | undefined {
  if (frame.kind !== 'response' || !mayHold(frame.text, type)) return undefined;
  const result = find(parseTree(frame.text), 'result');
  if (result?.type !== 'object' || stringAt(frame.text, result, 'resultType') !== type) return undefined;
  return result;
}

/** The string at a path of member names; undefined when there is none. */
export function stringAt(text: string, node: Node | undefined, ...path: readonly string[]): string | undefined {
  const found = find(node, ...path);
  return found?.type === 'string' ? decodeString(text, found.start, found.end) : undefined;
}

/** An escape that may spell a printable ASCII character; escapes of other characters are common and harmless. */
const SPELT_OUT = /\\u00[2-7]/;

/** False when no string of the text, however it is escaped, can hold the plain ASCII word. */
export function mayHold(text: string, word: string): boolean {
  return text.includes(word) || SPELT_OUT.test(text);
}
