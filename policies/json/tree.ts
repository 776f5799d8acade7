import { MAX_DEPTH, scalarEnd, skipSpace } from './lexeme.ts';
import { Strings } from './strings.ts';

/** Spans are UTF-16 offsets into the text; a string's span includes its quotes. */
export interface StringNode {
  readonly type: 'string';
  readonly start: number;
  readonly end: number;
}

/** A number, `true`, `false` or `null`. */
export interface ScalarNode {
  readonly type: 'scalar';
  readonly start: number;
  readonly end: number;
}

export interface ArrayNode {
  readonly type: 'array';
  readonly start: number;
  readonly end: number;
  readonly items: readonly Node[];
}

/** `key` is decoded; the key's span includes its quotes. */
export interface Member {
  readonly key: string;
  readonly keyStart: number;
  readonly keyEnd: number;
  readonly value: Node;
}

export interface ObjectNode {
  readonly type: 'object';
  readonly start: number;
  readonly end: number;
  readonly members: readonly Member[];
}

export type Node = StringNode | ScalarNode | ArrayNode | ObjectNode;

interface OpenArray {
  type: 'array';
  start: number;
  end: number;
  items: Node[];
}

interface OpenObject {
  type: 'object';
  start: number;
  end: number;
  members: Member[];
}

interface Key {
  readonly key: string;
  readonly keyStart: number;
  readonly keyEnd: number;
}

const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;

/**
 * The spans of every value of a JSON text. Throws SyntaxError when the text is not JSON or nests deeper than
 * MAX_DEPTH, so that walking the tree may recurse. Duplicate keys are kept as they stand.
 */
export function parseTree(text: string): Node {
  const parents: (OpenArray | OpenObject)[] = [];
  const keys: (Key | undefined)[] = [];
  const strings = new Strings(text);
  let container: OpenArray | OpenObject | undefined;
  let key: Key | undefined;
  let i = skipSpace(text, 0);

  for (;;) {
    const c = text.charCodeAt(i);
    let node: Node;
    if (c === OPEN_OBJECT || c === OPEN_ARRAY) {
      const depth = parents.length + (container === undefined ? 0 : 1);
      if (depth >= MAX_DEPTH) throw new SyntaxError(`nested deeper than ${MAX_DEPTH} levels`);
      const opened: OpenArray | OpenObject =
        c === OPEN_OBJECT
          ? { type: 'object', start: i, end: i, members: [] }
          : { type: 'array', start: i, end: i, items: [] };
      i = skipSpace(text, i + 1);
      if (text.charCodeAt(i) !== (c === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_ARRAY)) {
        if (container !== undefined) {
          parents.push(container);
          keys.push(key);
        }
        container = opened;
        if (opened.type === 'object') {
          key = readKey(text, strings, i);
          i = afterColon(text, key.keyEnd);
        }
        continue;
      }
      i += 1;
      opened.end = i;
      node = opened;
    } else if (c === QUOTE) {
      const end = strings.end(i);
      if (end < 0) throw unexpected(i);
      node = { type: 'string', start: i, end };
      i = end;
    } else {
      const end = scalarEnd(text, i);
      if (end < 0) throw unexpected(i);
      node = { type: 'scalar', start: i, end };
      i = end;
    }

    // A value is complete: hand it to its container, and close every container that ends here.
    for (;;) {
      i = skipSpace(text, i);
      if (container === undefined) {
        if (i !== text.length) throw unexpected(i);
        return node;
      }
      if (container.type === 'array') {
        container.items.push(node);
      } else {
        const { key: name, keyStart, keyEnd } = key as Key;
        container.members.push({ key: name, keyStart, keyEnd, value: node });
      }
      const next = text.charCodeAt(i);
      if (next === COMMA) {
        i = skipSpace(text, i + 1);
        if (container.type === 'object') {
          key = readKey(text, strings, i);
          i = afterColon(text, key.keyEnd);
        }
        break;
      }
      if (next !== (container.type === 'object' ? CLOSE_OBJECT : CLOSE_ARRAY)) throw unexpected(i);
      i += 1;
      container.end = i;
      node = container;
      container = parents.pop();
      key = keys.pop();
    }
  }
}

function readKey(text: string, strings: Strings, at: number): Key {
  const end = text.charCodeAt(at) === QUOTE ? strings.end(at) : -1;
  if (end < 0) throw unexpected(at);
  return { key: decodeString(text, at, end), keyStart: at, keyEnd: end };
}

function afterColon(text: string, at: number): number {
  const colon = skipSpace(text, at);
  if (text.charCodeAt(colon) !== COLON) throw unexpected(colon);
  return skipSpace(text, colon + 1);
}

const unexpected = (at: number): SyntaxError => new SyntaxError(`not JSON at position ${at}`);

/** The value of the string whose span, quotes included, is given. */
export function decodeString(text: string, start: number, end: number): string {
  const inner = text.slice(start + 1, end - 1);
  return inner.includes('\\') ? (JSON.parse(text.slice(start, end)) as string) : inner;
}

/**
 * The node that a path of member names and array positions leads to; of duplicate keys the last, as JSON.parse has it.
 */
export function find(node: Node | undefined, ...path: readonly (string | number)[]): Node | undefined {
  let at = node;
  for (const step of path) {
    if (typeof step === 'number') at = at?.type === 'array' ? at.items[step] : undefined;
    else at = at?.type === 'object' ? at.members.findLast((member) => member.key === step)?.value : undefined;
  }
  return at;
}
