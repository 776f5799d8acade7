import { decodeString } from './tree.ts';

/**
 * Span of one member's value in the object that begins at `start`, without building a tree.
 * The text must be valid JSON and the key free of characters that JSON escapes; a key spelt with escapes is not found.
 */
export function memberSpan(text: string, start: number, key: string): { start: number; end: number } | undefined {
  let at = skipSpace(text, start);
  if (text.charCodeAt(at) !== 0x7b) return undefined;
  at = skipSpace(text, at + 1);
  while (text.charCodeAt(at) === 0x22) {
    const keyEnd = stringEnd(text, at);
    const hit = keyEnd - at - 2 === key.length && text.startsWith(key, at + 1);
    const valueStart = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = valueEnd(text, valueStart);
    if (hit) return { start: valueStart, end };
    at = skipSpace(text, end);
    if (text.charCodeAt(at) !== 0x2c) return undefined;
    at = skipSpace(text, at + 1);
  }
  return undefined;
}

function skipSpace(text: string, at: number): number {
  for (;;) {
    const c = text.charCodeAt(at);
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return at;
    at += 1;
  }
}

/** Index after the closing quote of the string that opens at `at`. */
function stringEnd(text: string, at: number): number {
  for (let i = at + 1; ;) {
    const quote = text.indexOf('"', i);
    if (quote < 0) return text.length;
    let slashes = 0;
    while (text.charCodeAt(quote - 1 - slashes) === 0x5c) slashes += 1;
    if (slashes % 2 === 0) return quote + 1;
    i = quote + 1;
  }
}

function valueEnd(text: string, at: number): number {
  const first = text.charCodeAt(at);
  if (first === 0x22) return stringEnd(text, at);
  if (first !== 0x7b && first !== 0x5b) {
    let i = at;
    for (let c = first; i < text.length && c !== 0x2c && c !== 0x7d && c !== 0x5d && c > 0x20; c = text.charCodeAt(i))
      i += 1;
    return i;
  }
  let depth = 0;
  for (let i = at; i < text.length;) {
    const c = text.charCodeAt(i);
    if (c === 0x22) {
      i = stringEnd(text, i);
      continue;
    }
    if (c === 0x7b || c === 0x5b) depth += 1;
    else if (c === 0x7d || c === 0x5d) {
      depth -= 1;
      if (depth === 0) return i + 1;
    }
    i += 1;
  }
  return text.length;
}

export interface MemberSpan {
  /** Decoded. */
  readonly key: string;
  readonly start: number;
  readonly end: number;
}

/** The members of the object that begins at `start`, however their keys are spelt, without reading their values. */
export function memberSpans(text: string, start: number): readonly MemberSpan[] {
  const members: MemberSpan[] = [];
  let at = skipSpace(text, start);
  if (text.charCodeAt(at) !== 0x7b) return members;
  at = skipSpace(text, at + 1);
  while (text.charCodeAt(at) === 0x22) {
    const keyEnd = stringEnd(text, at);
    const valueStart = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = valueEnd(text, valueStart);
    members.push({ key: decodeString(text, at, keyEnd), start: valueStart, end });
    at = skipSpace(text, end);
    if (text.charCodeAt(at) !== 0x2c) break;
    at = skipSpace(text, at + 1);
  }
  return members;
}
