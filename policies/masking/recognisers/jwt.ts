import { isAlnum, isBase64Url, isEscapeLetter, isLetter } from '../characters.ts';
import type { Sink } from '../entities.ts';

const DOT = 0x2e;

/** Finds JSON Web Tokens: a header that begins an object, and a payload that does, or the five parts of an encrypted one. */
export class JwtRecogniser {
  #failedUpTo = 0;

  begin(): void {
    this.#failedUpTo = 0;
  }

  /** Offers the token whose `eyJ` is at `at`; returns the index up to which the text needs no second look. */
  look(text: string, at: number, sink: Sink): number {
    // Every start in one stretch of the alphabet leads to the same dots: judged once, so that the work stays linear.
    if (at < this.#failedUpTo) return at;
    if (isAlnum(text.charCodeAt(at - 1)) && !isEscapeLetter(text, at - 1)) return at;
    if (!beginsObject(text, at)) return at;
    const header = stretchEnd(text, at);
    if (header - at < 10) return at;
    const end = tokenEnd(text, header);
    if (end > 0 && sink.offer('JWT', at, end, 0.95)) return end;
    this.#failedUpTo = header;
    return at;
  }
}

function tokenEnd(text: string, header: number): number {
  if (text.charCodeAt(header) !== DOT) return -1;
  const payload = header + 1;
  let end = stretchEnd(text, payload);
  if (text.startsWith('ey', payload) && end - payload >= 4) {
    return text.charCodeAt(end) === DOT ? stretchEnd(text, end + 1) : end;
  }
  // An encrypted token: key (may be empty), initialisation vector, ciphertext and tag.
  for (let part = 0; part < 3; part += 1) {
    if (text.charCodeAt(end) !== DOT) return -1;
    const next = stretchEnd(text, end + 1);
    if (next === end + 1) return -1;
    end = next;
  }
  return end;
}

function stretchEnd(text: string, from: number): number {
  let i = from;
  while (isBase64Url(text.charCodeAt(i))) i += 1;
  return i;
}

/** `eyJ` is `{"` and two bits: the next units must continue with a member name or, for an empty header, not at all. */
function beginsObject(text: string, at: number): boolean {
  const name = ((sextet(text.charCodeAt(at + 2)) & 0x03) << 6) | sextet(text.charCodeAt(at + 3));
  return isLetter(name) || name === 0x5f;
}

function sextet(c: number): number {
  if (c >= 0x61) return c - 0x47;
  if (c === 0x5f) return 63;
  if (c >= 0x41) return c - 0x41;
  return c === 0x2d ? 62 : c + 4;
}
