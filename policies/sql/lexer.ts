import { normalise } from '../normalise.ts';
import type { Lexis } from './dialect.ts';

/** One word, name, text, number or sign of a statement; comments and white space are gone. */
export interface Token {
  /** `word` stands unquoted and may be a keyword; `name` and `text` were quoted. */
  readonly kind: 'word' | 'name' | 'text' | 'number' | 'sign';
  /** Of a word its small letters, of a name or text what its quotes enclose. */
  readonly value: string;
  /** As it stands in the text. */
  readonly source: string;
  /** White space or a comment stood before it. */
  readonly spaced: boolean;
}

/** Why a text cannot be cut into tokens that every server of the dialect would see the same way. */
export interface Unreadable {
  readonly unreadable: string;
}

const WHITE = /[ \t\n\r\f\v]+/y;
const NUMBER = /(?:0[xX][0-9A-Fa-f]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)/y;
const DOLLAR = /\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/uy;
const PLACEHOLDER = /\$\d+/y;
const PRINTABLE = /^[\x21-\x7e]$/;

class Refusal {
  readonly why: string;

  constructor(why: string) {
    this.why = why;
  }
}

/**
 * Cuts a text into tokens, in time linear in its length. Whatever servers of one dialect may read in different ways, depending on
 * settings or versions, is unreadable: executable comments, Unicode escapes, control characters, open quotes.
 */
export function tokenise(text: string, lexis: Lexis): readonly Token[] | Unreadable {
  const scanner = new Scanner(text, lexis);
  try {
    return scanner.run();
  } catch (fault) {
    if (!(fault instanceof Refusal)) throw fault;
    return { unreadable: fault.why };
  }
}

class Scanner {
  readonly #text: string;
  readonly #lexis: Lexis;
  readonly #tokens: Token[] = [];
  #at = 0;
  #spaced = false;

  constructor(text: string, lexis: Lexis) {
    this.#text = text;
    this.#lexis = lexis;
  }

  run(): readonly Token[] {
    while (this.#at < this.#text.length) {
      if (this.#skipped(WHITE) || this.#comment()) this.#spaced = true;
      else this.#token();
    }
    return this.#tokens;
  }

  #token(): void {
    const char = this.#text.charAt(this.#at);
    const quote = this.#lexis.quotes.get(char);
    if (quote !== undefined) this.#quoted(quote.close, quote.kind);
    else if (this.#lexis.dollarQuotes && char === '$' && this.#dollar()) return;
    else if (this.#lexis.nameStart.test(this.#point())) this.#word();
    else if (/[0-9.]/.test(char) && this.#number()) return;
    else if (!PRINTABLE.test(char)) throw new Refusal('holds a character that has no meaning in SQL');
    else if (char === '\\' || (char === '#' && !this.#lexis.hash && !this.#lexis.dollarQuotes)) {
      throw new Refusal('holds a character that has no meaning in SQL');
    } else this.#push('sign', char, this.#at + 1);
  }

  #push(kind: Token['kind'], value: string, end: number): void {
    this.#tokens.push({ kind, value, source: this.#text.slice(this.#at, end), spaced: this.#spaced });
    this.#spaced = false;
    this.#at = end;
  }

  #skipped(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) return false;
    this.#at = pattern.lastIndex;
    return true;
  }

  #point(): string {
    return String.fromCodePoint(this.#text.codePointAt(this.#at) as number);
  }

  #comment(): boolean {
    const two = this.#text.slice(this.#at, this.#at + 2);
    if (two === '/*') {
      if (/^\/\*M?!/i.test(this.#text.slice(this.#at, this.#at + 4)))
        throw new Refusal('holds a comment that some servers run');
      this.#at = this.#blockEnd();
      return true;
    }
    const dashes = two === '--' && (!this.#lexis.spacedDashes || !/[^\s]/.test(this.#text.charAt(this.#at + 2)));
    if (!dashes && !(two.startsWith('#') && this.#lexis.hash)) return false;
    const end = this.#text.indexOf('\n', this.#at);
    const comment = this.#text.slice(this.#at, end < 0 ? undefined : end);
    if (/\r(?!$)/.test(comment) || (end < 0 && comment.includes('\r'))) {
      throw new Refusal('holds a comment whose end some servers see elsewhere');
    }
    this.#at = end < 0 ? this.#text.length : end;
    return true;
  }

  #blockEnd(): number {
    let depth = 0;
    const mark = /\/\*|\*\//g;
    mark.lastIndex = this.#at;
    for (let found = mark.exec(this.#text); found !== null; found = mark.exec(this.#text)) {
      if (found[0] === '*/') depth -= 1;
      else if (depth === 0 || this.#lexis.nestedComments) depth += 1;
      else mark.lastIndex = found.index + 1;
      if (depth === 0) return mark.lastIndex;
    }
    throw new Refusal('holds a comment that does not end');
  }

  #quoted(close: string, kind: 'text' | 'name'): void {
    const { backslash, dollarQuotes } = this.#lexis;
    const before = this.#tokens.at(-1);
    const prefix = this.#spaced || before?.kind !== 'word' ? '' : before.value;
    const escapes = kind === 'text' && (backslash || (dollarQuotes && prefix === 'e'));
    const amp = dollarQuotes && !this.#spaced && before?.source === '&' && !before.spaced;
    if (amp && this.#tokens.at(-2)?.value === 'u') throw new Refusal('holds Unicode escapes');
    let value = '';
    let kept = this.#at + 1;
    for (let i = this.#at + 1; i < this.#text.length; i += 1) {
      const char = this.#text.charAt(i);
      if (char === '\\' && escapes) i += 1;
      else if (char === '\\' && dollarQuotes && kind === 'text' && this.#text[i + 1] === close) {
        throw new Refusal('holds a text whose end depends on settings of the server');
      } else if (char === close) {
        value += this.#text.slice(kept, i);
        if (this.#text[i + 1] !== close) {
          // The letters before a text say how it is written, and are no word of their own.
          if (kind === 'text' && /^(?:[benx]|_[a-z0-9]+)$/.test(prefix))
            this.#spaced = this.#tokens.pop()?.spaced ?? false;
          this.#push(kind, value, i + 1);
          return;
        }
        kept = i + 1;
        i += 1;
      }
    }
    throw new Refusal('holds a quote that is never closed');
  }

  #dollar(): boolean {
    DOLLAR.lastIndex = this.#at;
    const tag = DOLLAR.exec(this.#text)?.[0];
    if (tag === undefined) {
      PLACEHOLDER.lastIndex = this.#at;
      const found = PLACEHOLDER.exec(this.#text)?.[0];
      if (found !== undefined) this.#push('number', found, this.#at + found.length);
      return found !== undefined;
    }
    const end = this.#text.indexOf(tag, this.#at + tag.length);
    if (end < 0) throw new Refusal('holds a quote that is never closed');
    this.#push('text', this.#text.slice(this.#at + tag.length, end), end + tag.length);
    return true;
  }

  #word(): void {
    let end = this.#at;
    while (end < this.#text.length) {
      const point = String.fromCodePoint(this.#text.codePointAt(end) as number);
      if (!this.#lexis.namePart.test(point)) break;
      end += point.length;
    }
    const word = this.#text.slice(this.#at, Math.max(end, this.#at + 1));
    if (normalise(word) !== word) throw new Refusal('holds letters that only look like others');
    this.#push('word', word.toLowerCase(), this.#at + word.length);
  }

  #number(): boolean {
    NUMBER.lastIndex = this.#at;
    const found = NUMBER.exec(this.#text)?.[0];
    if (found === undefined) return false;
    const end = this.#at + found.length;
    // Some servers read a number and a word here, others a name.
    const next = this.#text.charAt(end);
    if (this.#lexis.namePart.test(next) || (next === '.' && !found.includes('.'))) {
      throw new Refusal('holds a number that runs into a word');
    }
    this.#push('number', found, end);
    return true;
  }
}
