import { isAlnum, isEscapeLetter } from '../characters.ts';
import type { Sink } from '../entities.ts';

export const KEY_LABEL = 'PRIVATE KEY';
const LONGEST_HEADER = 64;
const SHORTEST_TAIL = 40;
const DASH = 0x2d;

/**
 * Offers PEM private keys, their line ends real or written out as `\n`. One whose end is missing reaches to the end of the text, one
 * whose beginning is missing back over its base64.
 */
export function privateKeys(text: string, sink: Sink): void {
  let from = 0;
  for (;;) {
    const label = text.indexOf(KEY_LABEL, from);
    if (label < 0) return;
    from = label + KEY_LABEL.length;
    const begin = header(text, 'BEGIN ', label);
    if (begin >= 0) {
      const end = bodyEnd(text, from);
      sink.offer('PRIVATE_KEY', begin, end, 0.95);
      from = end;
      continue;
    }
    const end = header(text, 'END ', label);
    if (end < 0) continue;
    const start = tailStart(text, end);
    const after = dashesEnd(text, from);
    if (end - start >= SHORTEST_TAIL) sink.offer('PRIVATE_KEY', start, after, 0.9);
    from = after;
  }
}

/** Index of the dashes before the keyword that stands on the label's line, at most a header's length before it; -1 without. */
function header(text: string, keyword: string, label: number): number {
  const low = Math.max(0, label - LONGEST_HEADER);
  const line = text.slice(low, label);
  const at = line.lastIndexOf(keyword);
  if (at < 0 || /[^A-Z0-9 ]/.test(line.slice(at))) return -1;
  let i = low + at;
  if (text.charCodeAt(i - 1) === 0x20) i -= 1;
  const dashes = i;
  while (i > 0 && text.charCodeAt(i - 1) === DASH && dashes - i < 16) i -= 1;
  return dashes - i >= 2 ? i : -1;
}

function bodyEnd(text: string, from: number): number {
  for (let at = text.indexOf('--END ', from); at >= 0; at = text.indexOf('--END ', at + 6)) {
    const label = text.slice(at + 6, at + LONGEST_HEADER).indexOf('KEY');
    if (label >= 0) return dashesEnd(text, at + 6 + label + 3);
  }
  return text.length;
}

/** Index behind ` BLOCK` and the dashes that close a header line. */
function dashesEnd(text: string, from: number): number {
  let i = text.startsWith(' BLOCK', from) ? from + 6 : from;
  if (text.charCodeAt(i) === 0x20 && text.charCodeAt(i + 1) === DASH) i += 1;
  for (let n = 0; n < 16 && text.charCodeAt(i) === DASH; n += 1) i += 1;
  return i;
}

function tailStart(text: string, end: number): number {
  let start = end;
  for (let i = end - 1; i >= 0; i -= 1) {
    const c = text.charCodeAt(i);
    const body = isAlnum(c) || c === 0x2b || c === 0x2f || c === 0x3d;
    if (!body && c !== 0x0a && c !== 0x0d && c !== 0x5c) break;
    if (body && !isEscapeLetter(text, i)) start = i;
  }
  return start;
}
