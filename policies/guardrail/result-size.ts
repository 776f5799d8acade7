import { find } from '../json/tree.ts';
import type { Node } from '../json/tree.ts';
import { complainUnlessCompiles } from './complain.ts';
import { opened, parsePath, places } from './json-path.ts';
import type { Kind, MessageMatcher, Subject } from './matcher.ts';
import { compileTools } from './tools.ts';

// What the blocks of an answer are called: of a tool, a resource, a prompt.
const BLOCKS = ['content', 'contents', 'messages'] as const;

/** How large an answer may be: in bytes, in blocks, in items of its arrays. */
export const RESULT_SIZE: Kind = {
  type: 'result_size',
  directions: ['output'],
  members: ['tools', 'path', 'max_bytes', 'max_items'],
  redacts: false,
  check({ path, max_bytes: bytes, max_items: items }, _, complain) {
    if (bytes === undefined && items === undefined) complain('', 'must have max_bytes or max_items');
    if (path === undefined) return;
    if (items === undefined) complain('path', 'leads to what max_items counts, which is missing');
    complainUnlessCompiles('path', path, parsePath, complain);
  },
  compile({ tools, path: source, max_bytes: bytes, max_items: items }): MessageMatcher {
    const concerns = compileTools(tools, 'all');
    const path = source === undefined ? undefined : parsePath(source);
    const oversized = (subject: Subject): readonly string[] => {
      if (items === undefined) return [];
      const result = find(subject.tree(), 'result');
      if (result === undefined) return [];
      if (path === undefined) {
        return BLOCKS.filter((name) => lengthOf(find(result, name)) > items).map((name) => `/result/${name}`);
      }
      return places(path, subject.json, result, '/result')
        .filter((place) => lengthOf(opened(place).node) > items)
        .map(({ pointer }) => pointer);
    };
    return {
      reads: 'message',
      hits(subject) {
        if (!concerns(subject.call)) return [];
        const tooLong = bytes !== undefined && isLonger(subject.json, bytes);
        return tooLong ? ['', ...oversized(subject)] : oversized(subject);
      },
    };
  },
};

function lengthOf(node: Node | undefined): number {
  if (node?.type === 'array') return node.items.length;
  return node?.type === 'object' ? node.members.length : 0;
}

/** A unit of UTF-16 takes from one to three bytes: most texts need not be counted. */
function isLonger(text: string, bytes: number): boolean {
  if (text.length > bytes) return true;
  return text.length * 3 > bytes && Buffer.byteLength(text) > bytes;
}
