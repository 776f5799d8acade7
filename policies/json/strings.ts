import { escapeEnd, stringEnd } from './lexeme.ts';

// oxlint-disable-next-line no-control-regex -- these characters are what JSON strings must not hold
const CONTROL = /[\x00-\x1f]/;
const NEAR = 16;

/**
 * Finds the ends of a text's strings, which must be asked for from left to right. A text without control characters
 * (compact JSON) needs no look at each unit: native searches find quotes and backslashes, and each stretch is searched
 * once.
 */
export class Strings {
  readonly #text: string;
  readonly #compact: boolean;
  #backslash: number;
  #unicode: boolean;

  constructor(text: string) {
    this.#text = text;
    this.#compact = !CONTROL.test(text);
    this.#backslash = text.indexOf('\\');
    this.#unicode = !this.#compact && text.includes('\\u');
  }

  /** Whether some string up to the last one asked for may hold an escaped unit; false means that none does. */
  get unicode(): boolean {
    return this.#unicode;
  }

  /** Index behind the string whose opening quote is at `start`; -1 when it is not a JSON string. */
  end(start: number): number {
    if (!this.#compact) return stringEnd(this.#text, start);
    const quote = this.#text.indexOf('"', start + 1);
    if (quote < 0) return -1;
    return this.escaped(start, quote) ? this.#endBehindEscapes(quote) : quote + 1;
  }

  #endBehindEscapes(firstQuote: number): number {
    const text = this.#text;
    let quote = firstQuote;
    let i = this.#backslash;
    for (;;) {
      const next = escapeEnd(text, i);
      if (next < 0) return -1;
      if (next > i + 2) this.#unicode = true;
      i = next;
      if (quote < i) quote = text.indexOf('"', i);
      if (quote < 0) return -1;
      // Escapes often come close together, where looking at each unit is cheaper than a native search.
      const near = Math.min(quote, i + NEAR);
      while (i < near && text.charCodeAt(i) !== 0x5c) i += 1;
      if (i === quote) return quote + 1;
      if (i === near) {
        if (!this.escaped(i, quote)) return quote + 1;
        i = this.#backslash;
      }
    }
  }

  /** Whether there is a backslash from `start` up to `end`. */
  escaped(start: number, end: number): boolean {
    if (this.#backslash < start && this.#backslash >= 0) this.#backslash = this.#text.indexOf('\\', start);
    return this.#backslash >= 0 && this.#backslash < end;
  }
}
