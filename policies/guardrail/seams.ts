import { decodeString, find, parseTree } from '../json/tree.ts';
import type { Node } from '../json/tree.ts';

/** Of longer texts only so much at each end is read together with their neighbours. */
const REACH = 4096;
const CUT = '\n\n';
const TEXT_MEMBER = /"text"\s*:/g;
const BLOCKS = ['content', 'contents', 'messages'] as const;

/**
 * What the texts of one answer say when they are read one after the other, without anything between: those of its blocks, then those
 * of its structured content. Undefined when there are not several.
 */
export function joinedTexts(json: string): string | undefined {
  if (!mayHoldSeveral(json)) return undefined;
  const result = find(parseTree(json), 'result');
  if (result === undefined) return undefined;
  const texts: string[] = [];
  for (const name of BLOCKS) collect(json, find(result, name), texts, false);
  collect(json, find(result, 'structuredContent'), texts, true);
  return texts.length < 2 ? undefined : texts.map((text) => ends(text)).join('');
}

/** False is certain. */
function mayHoldSeveral(json: string): boolean {
  if (json.includes('"structuredContent"') || json.includes('\\u')) return true;
  let count = 0;
  for (const _ of json.matchAll(TEXT_MEMBER)) if ((count += 1) === 2) return true;
  return false;
}

/** The strings called `text`, or all of them. */
function collect(json: string, node: Node | undefined, texts: string[], all: boolean): void {
  switch (node?.type) {
    case 'string':
      if (all) texts.push(decodeString(json, node.start, node.end));
      return;
    case 'array':
      for (const item of node.items) collect(json, item, texts, all);
      return;
    case 'object':
      for (const { key, value } of node.members) {
        collect(json, value, texts, all || (key === 'text' && value.type === 'string'));
      }
      return;
    default:
  }
}

const ends = (text: string): string =>
  text.length <= 2 * REACH ? text : text.slice(0, REACH) + CUT + text.slice(-REACH);
