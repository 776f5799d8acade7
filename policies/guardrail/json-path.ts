import { RuleFault } from '../fault.ts';
import { decodeString, parseTree } from '../json/tree.ts';
import type { Node } from '../json/tree.ts';
import { fold } from '../normalise.ts';
import { stepOf } from '../pointer.ts';

type Step =
  | { readonly type: 'member'; readonly key: string; readonly folded: string }
  | { readonly type: 'index'; readonly index: number }
  | { readonly type: 'every' }
  | { readonly type: 'deep' };

export type JsonPath = readonly Step[];

/** A value that a path leads to. */
export interface Place {
  /** The JSON text in which the node's span counts: a string's own text where it lies in JSON inside a string. */
  readonly text: string;
  readonly node: Node;
  /** JSON Pointer of the value, or of the string around it. */
  readonly pointer: string;
  /** False when a key on the way only resembles the path's. */
  readonly exact: boolean;
  /** How many strings of JSON are around it. */
  readonly depth: number;
}

// JSON inside of strings is read as far as other encodings are undone.
const DEEPEST = 3;
const LONGEST = 1000;
const NAME = /[^.[\]'"*\s]+/y;
const INDEX = /-?\d{1,9}(?=\])/y;

/**
 * Reads a path: `$`, then `.name`, `['name']`, `[0]`, `[-1]`, `[*]` or `.*`, and `..` before any of them for any depth. Throws a
 * RuleFault with the position of what it does not understand.
 */
export function parsePath(source: string): JsonPath {
  if (source.length > LONGEST) throw new RuleFault(`the path is longer than ${LONGEST} characters`);
  if (!source.startsWith('$')) throw new RuleFault('a path begins with $, as in $.filters[*].table', 0);
  const steps: Step[] = [];
  let at = 1;
  while (at < source.length) {
    const begin = at;
    if (source.startsWith('..', at)) {
      steps.push({ type: 'deep' });
      at += 2;
    } else if (source[at] === '.') {
      at += 1;
    } else if (source[at] !== '[') {
      throw new RuleFault(`expected . or [ at position ${at}`, at);
    }
    const bracket = source[at] === '[';
    if (bracket && source[begin] === '.' && at === begin + 1)
      throw new RuleFault(`expected a name at position ${at}`, at);
    const [step, end] = bracket ? bracketed(source, at) : dotted(source, at);
    steps.push(step);
    at = end;
  }
  return steps;
}

function dotted(source: string, at: number): readonly [Step, number] {
  if (source[at] === '*') return [{ type: 'every' }, at + 1];
  NAME.lastIndex = at;
  const name = NAME.exec(source)?.[0];
  if (name === undefined) throw new RuleFault(`expected a name or * at position ${at}`, at);
  return [member(name), at + name.length];
}

function bracketed(source: string, at: number): readonly [Step, number] {
  const inner = at + 1;
  if (source.startsWith('*]', inner)) return [{ type: 'every' }, inner + 2];
  const quote = source[inner];
  if (quote === "'" || quote === '"') {
    const close = source.indexOf(`${quote}]`, inner + 1);
    if (close < 0) throw new RuleFault(`expected ${quote}] after position ${inner}`, inner);
    return [member(source.slice(inner + 1, close)), close + 2];
  }
  INDEX.lastIndex = inner;
  const index = INDEX.exec(source)?.[0];
  if (index === undefined) throw new RuleFault(`expected *, a number or a quoted name at position ${inner}`, inner);
  return [{ type: 'index', index: Number(index) }, inner + index.length + 1];
}

const member = (key: string): Step => ({ type: 'member', key, folded: fold(key) });

/**
 * Every value that the path leads to, each once. Keys are compared decoded, and one that only looks like the path's (other case,
 * full-width or invisible characters, lookalikes) counts as it; JSON inside of strings is followed like JSON.
 */
export function places(path: JsonPath, text: string, node: Node, pointer: string): readonly Place[] {
  let now: readonly Place[] = [{ text, node, pointer, exact: true, depth: 0 }];
  for (const step of path) now = once(now.flatMap((place) => follow(step, opened(place))));
  return now;
}

/** A string that holds a JSON object or array as what it holds; everything else as it is. */
export function opened(place: Place): Place {
  const { text, node, depth } = place;
  if (node.type !== 'string' || depth >= DEEPEST) return place;
  const inner = decodeString(text, node.start, node.end);
  if (!/^\s*[[{"]/.test(inner)) return place;
  try {
    return opened({ ...place, text: inner, node: parseTree(inner), depth: depth + 1 });
  } catch (error) {
    // Not JSON after all: it stays the string that it is.
    if (error instanceof SyntaxError) return place;
    throw error;
  }
}

function follow(step: Step, place: Place): readonly Place[] {
  const { node, pointer, depth } = place;
  const into = (value: Node, name: string): Place => ({
    ...place,
    node: value,
    pointer: depth === 0 ? `${pointer}/${name}` : pointer,
  });
  switch (step.type) {
    case 'member':
      if (node.type !== 'object') return [];
      return node.members.flatMap(({ key, value }) => {
        if (key === step.key) return into(value, stepOf(key));
        return fold(key) === step.folded ? { ...into(value, stepOf(key)), exact: false } : [];
      });
    case 'index': {
      if (node.type !== 'array') return [];
      const index = step.index < 0 ? node.items.length + step.index : step.index;
      const item = node.items[index];
      return item === undefined ? [] : [into(item, String(index))];
    }
    case 'every':
      if (node.type === 'array') return node.items.map((item, index) => into(item, String(index)));
      return node.type === 'object' ? node.members.map(({ key, value }) => into(value, stepOf(key))) : [];
    case 'deep':
      return descendants(place);
    default:
      return step satisfies never;
  }
}

/** The value itself and everything in it. */
function descendants(start: Place): readonly Place[] {
  const all: Place[] = [start];
  for (const place of all) {
    for (const inner of follow({ type: 'every' }, place)) all.push(opened(inner));
  }
  return all;
}

/** Several ways may lead to one value below `..`. */
function once(found: readonly Place[]): readonly Place[] {
  if (found.length < 2) return found;
  const seen = new Map<Node, Place>();
  for (const place of found) if (seen.get(place.node)?.exact !== true) seen.set(place.node, place);
  return [...seen.values()];
}
