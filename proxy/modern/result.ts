import { memberSpans, type MemberSpan } from '../../policies/json/member.ts';
import { decodeString, find, parseTree } from '../../policies/json/tree.ts';
import type { Node, ObjectNode } from '../../policies/json/tree.ts';
import type { Frame } from '../types.ts';

/** The only requests that may be answered with a wish for input, and repeated with its state (M-01). */
export const REPEATABLE: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read']);

const HEADS = new WeakMap<Frame, ReadonlyMap<string, MemberSpan>>();

/** Where the members of an answer's result stand, read once a frame and without reading their values; none of an error. */
export function resultHead(frame: Frame): ReadonlyMap<string, MemberSpan> {
  let head = HEADS.get(frame);
  if (head === undefined) {
    const result =
      frame.kind === 'response' ? memberSpans(frame.text, 0).find(({ key }) => key === 'result') : undefined;
    const members = result === undefined ? [] : memberSpans(frame.text, result.start);
    HEADS.set(frame, (head = new Map(members.map((member) => [member.key, member]))));
  }
  return head;
}

/** The result of an answer whose `resultType` is `type`, as a tree. */
export function resultOfType(frame: Frame, type: string): ObjectNode | undefined {
  const head = resultHead(frame).get('resultType');
  if (head === undefined || JSON.parse(frame.text.slice(head.start, head.end)) !== type) return undefined;
  const result = find(parseTree(frame.text), 'result');
  return result?.type === 'object' ? result : undefined;
}

/** The string at a path of member names; undefined when there is none. */
export function stringAt(text: string, node: Node | undefined, ...path: readonly string[]): string | undefined {
  const found = find(node, ...path);
  return found?.type === 'string' ? decodeString(text, found.start, found.end) : undefined;
}

/** Escapes that may spell a letter which a reader without regard to case takes for one of ours. */
const SPELT_LIKE = /\\u(?:00[2-7]|017f|212a)/i;

/** False when no string of the text can be the word to a reader that ignores case, as those of some languages do. */
export function mayMean(text: string, word: RegExp): boolean {
  return word.test(text) || SPELT_LIKE.test(text);
}

/** An escape that may spell a printable ASCII character; escapes of other characters are common and harmless. */
const SPELT_OUT = /\\u00[2-7]/;

/** False when no string of the text, however it is escaped, can hold the plain ASCII word. */
export function mayHold(text: string, word: string): boolean {
  return text.includes(word) || SPELT_OUT.test(text);
}
