import { isAlnum, isDigit, isEscapeLetter, isLetter } from '../characters.ts';
import type { Sink } from '../entities.ts';
import { turns } from './api-key.ts';

const LONGEST_LEAD = 128;
const LONGEST_NAME = 48;
const SHORTEST_PASSWORD = 6;
const SHORTEST_SECRET = 16;
const LONGEST_ESCAPE = 40;
const BACKSLASH = 0x5c;
const SLASH = 0x2f;
const EQUALS = 0x3d;
const COLON = 0x3a;

const PASSWORD_NAME = /(?:passwor[dt]|passwd|passphrase|passcode|pwd|kennwort|contrasena|senha)$/i;
const SECRET_NAME =
  /(?:secrets?|tokens?|credentials?|bearer|(?:api|access|secret|private|signing|encryption|account|auth|master|service|license)[_.-]?keys?)$/i;
const NO_SECRET = /(?:max|min|num|total|prompt|completion|output|input|used)[_.-]?tokens?$/i;
const ENDINGS = new Set(
  'rd rt wd se de na ha et ts en ns al ls er ey ys'
    .split(' ')
    .map((pair) => (pair.charCodeAt(0) << 8) | pair.charCodeAt(1)),
);
const BEARER = /(?:^|[^A-Za-z])bearer$/i;

/** Finds what is assigned to a name such as `password` or `api_key`: in text, and as the value of a member of that name. */
export class SecretRecogniser {
  #judged = 0;

  begin(): void {
    this.#judged = 0;
  }

  /** Looks at the value around the digit at `from`; each value is judged once. */
  look(text: string, from: number, sink: Sink): void {
    if (from < this.#judged) return;
    let start = from;
    while (start > this.#judged && from - start < LONGEST_LEAD && isValue(text, start - 1)) start -= 1;
    if (isEscapeLetter(text, start)) start += 1;
    let end = from + 1;
    while (isValue(text, end)) end += 1;
    this.#judged = end;
    for (let n = 0; n < 2 && text.charCodeAt(end) === EQUALS; n += 1) end += 1;
    if (end - start < SHORTEST_PASSWORD || from - start >= LONGEST_LEAD || !hasLetter(text, start, end)) return;
    const random = end - start >= SHORTEST_SECRET && turns(text, start, end) >= 4;
    this.#assigned(text, start, end, random, sink);
    // A whole string: what it is, the name of its member says.
    let first = start;
    while (MARKS.has(text.charCodeAt(first - 1))) first -= 1;
    const last = lastOf(text, end);
    if (!isEdge(text.charCodeAt(first - 1)) || !isEdge(text.charCodeAt(last))) return;
    sink.offer('PASSWORD', first, last, 0.2);
    if (random && last === end) sink.offer('GENERIC_SECRET', start, end, 0.2);
  }

  #assigned(text: string, start: number, end: number, random: boolean, sink: Sink): void {
    let i = start - 1;
    let assigned = -1;
    for (; i >= 0; i -= 1) {
      const c = text.charCodeAt(i);
      if (c === EQUALS || c === COLON) {
        if (assigned < 0) assigned = i;
      } else if (!isLead(c)) break;
    }
    // Nearly all names end otherwise, and need no closer look.
    if ((assigned < 0 && !random) || !endsLikeName(text, i)) return;
    let name = i;
    while (i - name < LONGEST_NAME && isName(text.charCodeAt(name))) name -= 1;
    const word = text.slice(name + 1, i + 1);
    if (assigned < 0) {
      if (BEARER.test(word)) sink.offer('GENERIC_SECRET', start, end, 0.6);
      return;
    }
    // Marks that a password begins or ends with are part of it.
    const first = firstOf(text, assigned + 1, start);
    if (PASSWORD_NAME.test(word)) sink.offer('PASSWORD', first, lastOf(text, end), 0.6);
    else if (random && SECRET_NAME.test(word) && !NO_SECRET.test(word)) sink.offer('GENERIC_SECRET', first, end, 0.6);
  }
}

const endsLikeName = (text: string, last: number): boolean =>
  last > 0 && ENDINGS.has(((text.charCodeAt(last - 1) | 0x20) << 8) | text.charCodeAt(last) | 0x20);

/** Letters, digits and the marks of base 64, paths and names; `\/` is how raw JSON may write a slash. */
function isValue(text: string, at: number): boolean {
  const c = text.charCodeAt(at);
  if (isAlnum(c)) return true;
  if (c === BACKSLASH) return beforeSlash(text, at);
  return c === 0x5f || c === 0x2d || c === 0x2b || c === SLASH || c === 0x2e;
}

/** JSON inside of JSON doubles the backslashes. */
function beforeSlash(text: string, at: number): boolean {
  let i = at + 1;
  while (text.charCodeAt(i) === BACKSLASH && i - at < LONGEST_ESCAPE) i += 1;
  return text.charCodeAt(i) === SLASH;
}

function hasLetter(text: string, start: number, end: number): boolean {
  for (let i = start; i < end; i += 1) if (isLetter(text.charCodeAt(i)) && !isDigit(text.charCodeAt(i))) return true;
  return false;
}

/** Marks that a password may begin with. */
const MARKS = new Set([0x21, 0x23, 0x24, 0x25, 0x5e, 0x2a, 0x40, 0x26, 0x3f]);
// Space and quotes as well; characters beyond ASCII may fold to them.
const LEAD = new Set([...MARKS, 0x20, 0x22, 0x27, 0x60, BACKSLASH, 0x3e]);
const isLead = (c: number): boolean => c >= 0x80 || LEAD.has(c);
const isName = (c: number): boolean => isAlnum(c) || c === 0x5f || c === 0x2d || c === 0x2e;
const isQuote = (c: number): boolean =>
  c === 0x20 || c === 0x22 || c === 0x27 || c === 0x60 || c === BACKSLASH || c === 0x3e;
/** No unit at all, a quote, the backslash before one, or what may fold to one. */
const isEdge = (c: number): boolean =>
  Number.isNaN(c) || c >= 0x80 || c === 0x22 || c === 0x27 || c === 0x60 || c === BACKSLASH;

function firstOf(text: string, from: number, start: number): number {
  let i = from;
  while (i < start && (isQuote(text.charCodeAt(i)) || text.charCodeAt(i) === EQUALS || text.charCodeAt(i) === COLON))
    i += 1;
  return i;
}

/** A password goes on up to white space, a quote, a bracket, a comma or a semicolon. */
function lastOf(text: string, from: number): number {
  let i = from;
  while (i < text.length && i - from < LONGEST_LEAD && !ENDS.has(text.charCodeAt(i)) && text.charCodeAt(i) > 0x20)
    i += 1;
  return i;
}
const ENDS = new Set([0x22, 0x27, 0x60, BACKSLASH, 0x2c, 0x3b, 0x29, 0x5d, 0x7d, 0x3c, 0x3e]);
