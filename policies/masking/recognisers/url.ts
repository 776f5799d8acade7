import { isAlnum, isEscapeLetter, isLetter, joinedBefore } from '../characters.ts';
import type { Sink } from '../entities.ts';

const LONGEST_SCHEME = 24;
// Backslashes before a slash: JSON inside of JSON doubles them.
const LONGEST_ESCAPE = 80;
const SLASH = 0x2f;
const BACKSLASH = 0x5c;

/** Finds URLs with a scheme and an authority, and addresses that begin with `www`. */
export class UrlRecogniser {
  #judged = 0;

  begin(): void {
    this.#judged = 0;
  }

  /** Offers the URL whose scheme ends with the colon at `colon`. */
  look(text: string, colon: number, sink: Sink): void {
    const next = text.charCodeAt(colon + 1);
    if ((next !== SLASH && next !== BACKSLASH) || colon < this.#judged) return;
    const host = behindSlashes(text, colon + 1);
    if (host < 0 || !startsHost(text.charCodeAt(host))) return;
    let start = colon;
    while (colon - start < LONGEST_SCHEME && isScheme(text.charCodeAt(start - 1))) start -= 1;
    if (isEscapeLetter(text, start)) start += 1;
    while (start < colon && !isLetter(text.charCodeAt(start))) start += 1;
    if (colon - start < 2) return;
    this.#judged = urlEnd(text, host);
    sink.offer('URL', start, this.#judged, 0.6);
  }

  /** Offers the address whose first full stop, behind `www`, is at `dot`. */
  lookWeb(text: string, dot: number, sink: Sink): void {
    if ((text.charCodeAt(dot - 1) | 0x20) !== 0x77 || (text.charCodeAt(dot - 2) | 0x20) !== 0x77) return;
    const start = dot - 3;
    if (dot < this.#judged || (text.charCodeAt(start) | 0x20) !== 0x77 || joinedBefore(text, start)) return;
    const before = text.charCodeAt(start - 1);
    if (before === SLASH || before === 0x40) return;
    const end = urlEnd(text, dot + 1);
    this.#judged = end;
    if (DOMAIN.test(text.slice(dot + 1, Math.min(end, dot + 260)))) sink.offer('URL', start, end, 0.55);
  }
}

const DOMAIN = /^[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2}/;

/** Index behind `//`, which raw JSON may write `\/\/`, with more backslashes the deeper it lies; -1 without. */
function behindSlashes(text: string, from: number): number {
  let i = from;
  for (let n = 0; n < 2; n += 1) {
    while (text.charCodeAt(i) === BACKSLASH && i - from < LONGEST_ESCAPE) i += 1;
    if (text.charCodeAt(i) !== SLASH) return -1;
    i += 1;
  }
  return i;
}

const startsHost = (c: number): boolean => isAlnum(c) || c === 0x5b || c === 0x5f || c >= 0x80;
const isScheme = (c: number): boolean => isAlnum(c) || c === 0x2b || c === 0x2d || c === 0x2e;

/** White space, quotes, angle and curly brackets, backslashes end a URL; what closes a sentence is not its last character. */
function urlEnd(text: string, from: number): number {
  let i = from;
  while (i < text.length && !ends(text.charCodeAt(i))) i += 1;
  while (i > from && closes(text.charCodeAt(i - 1))) i -= 1;
  return i;
}

const ends = (c: number): boolean =>
  c <= 0x20 || c === 0x22 || c === 0x3c || c === 0x3e || c === 0x60 || (c >= 0x7b && c <= 0x7d) || c === BACKSLASH;
// . , ; : ! ? ) ' ]
const CLOSING = new Set([0x2e, 0x2c, 0x3b, 0x3a, 0x21, 0x3f, 0x29, 0x27, 0x5d]);
const closes = (c: number): boolean => CLOSING.has(c);
