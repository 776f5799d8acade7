/** How a code point matters to recognisers, which read the folded form of a text. */
export const INERT = 1;
/** Folds to punctuation that is part of no entity, or of e-mail addresses and tokens only. */
export const PUNCTUATION = 2;
/** Folds to spaces, hyphens, full stops, colons or parentheses, which stand inside of numbers. */
export const SEPARATOR = 3;
/** Stands for nothing: zero-width, bidirectional, tag and control characters, soft hyphens. */
export const INVISIBLE = 4;
/** A combining mark: invisible on an ASCII character, a part of the letter elsewhere. */
export const MARK = 5;
/** Folds to letters or digits. */
export const ACTIVE = 6;

export type Kind = 1 | 2 | 3 | 4 | 5 | 6;

const IGNORED = /^[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}]$/u;
const COMBINING = /^[\p{Mn}\p{Me}]$/u;
const HYPHEN = /^[\p{Pd}\u2212]$/u;
const DIGIT = /^\p{Nd}$/u;
const SEPARATORS = /^[ \-.:()\n]+$/;
const ACTIVE_ASCII = /[A-Za-z0-9@+/=_%\\]/;
const ASCII = /\p{ASCII}/u;
const CHUNK = 8192;
const ESCAPE = /\\(?:u[0-9a-fA-F]{4}|\/)/y;
// What recognisers may have to read in another form: anything but printable ASCII and line ends, and escapes written out as text.
const SUSPECT = /[^\t\n\r\x20-\x7e]/;
const ESCAPED = /\\(?:u[0-9a-fA-F]{4}|\/)/;

/** A text as recognisers read it, and for each of its units the stretch of the original that it stands for. */
export interface Folded {
  readonly text: string;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

/** Folds code points, remembering what it learnt of each. */
export class Folding {
  readonly #kinds = new Uint8Array(0x1_0000);
  readonly #astral = new Map<number, Kind>();

  kind(point: number): Kind {
    if (point > 0xffff) {
      let kind = this.#astral.get(point);
      if (kind === undefined) {
        kind = classify(point);
        if (this.#astral.size < 50_000) this.#astral.set(point, kind);
      }
      return kind;
    }
    const known = this.#kinds[point] as Kind | 0;
    return known === 0 ? (this.#kinds[point] = classify(point)) : known;
  }

  /** The folded form: NFKC of each code point, digits of all scripts as ASCII, without invisible characters; undefined when it is the text. */
  fold(text: string): Folded | undefined {
    if (!this.#changes(text)) return undefined;
    const out = new Output(text.length);
    for (let i = 0; i < text.length;) {
      let point = text.codePointAt(i) as number;
      let end = i + (point > 0xffff ? 2 : 1);
      if (point === 0x5c) {
        ESCAPE.lastIndex = i;
        const escape = ESCAPE.exec(text)?.[0];
        if (escape !== undefined) {
          end = i + escape.length;
          point = escape === '\\/' ? 0x2f : Number.parseInt(escape.slice(2), 16);
        }
      }
      this.#append(out, point, i, end);
      i = end;
    }
    return out.folded();
  }

  #changes(text: string): boolean {
    if (ESCAPED.test(text)) return true;
    for (let i = text.search(SUSPECT); i >= 0 && i < text.length; i += 1) {
      const c = text.charCodeAt(i);
      if (c >= 0x20 && c < 0x7f) continue;
      const point = text.codePointAt(i) as number;
      if (this.kind(point) !== INERT) return true;
      if (point > 0xffff) i += 1;
    }
    return false;
  }

  #append(out: Output, point: number, start: number, end: number): void {
    if (point >= 0x20 && point < 0x7f) return out.unit(point, start, end);
    switch (this.kind(point)) {
      case INVISIBLE:
        return;
      case MARK:
        if (out.last() >= 0x80) out.string(String.fromCodePoint(point), start, end);
        return;
      case INERT:
        return out.string(String.fromCodePoint(point), start, end);
      default:
        return out.string(foldPoint(point), start, end);
    }
  }
}

class Output {
  #units: Uint16Array;
  #starts: Uint32Array;
  #ends: Uint32Array;
  #length = 0;

  constructor(size: number) {
    this.#units = new Uint16Array(size);
    this.#starts = new Uint32Array(size);
    this.#ends = new Uint32Array(size);
  }

  /** The unit put out last; 0 at the beginning. */
  last(): number {
    return this.#length === 0 ? 0 : (this.#units[this.#length - 1] as number);
  }

  unit(unit: number, start: number, end: number): void {
    if (this.#length === this.#units.length) this.#grow();
    this.#units[this.#length] = unit;
    this.#starts[this.#length] = start;
    this.#ends[this.#length] = end;
    this.#length += 1;
  }

  string(text: string, start: number, end: number): void {
    for (let i = 0; i < text.length; i += 1) this.unit(text.charCodeAt(i), start, end);
  }

  folded(): Folded {
    let text = '';
    for (let from = 0; from < this.#length; from += CHUNK) {
      text += String.fromCharCode(...this.#units.subarray(from, Math.min(this.#length, from + CHUNK)));
    }
    return { text, starts: this.#starts, ends: this.#ends };
  }

  #grow(): void {
    const size = this.#units.length * 2 + 32;
    const [units, starts, ends] = [this.#units, this.#starts, this.#ends];
    this.#units = new Uint16Array(size);
    this.#starts = new Uint32Array(size);
    this.#ends = new Uint32Array(size);
    this.#units.set(units);
    this.#starts.set(starts);
    this.#ends.set(ends);
  }
}

function classify(point: number): Kind {
  if (point === 0x09 || point === 0x0a || point === 0x0d) return INERT;
  const char = String.fromCodePoint(point);
  if (IGNORED.test(char)) return INVISIBLE;
  if (COMBINING.test(char)) return MARK;
  const folded = foldPoint(point);
  if (folded === char || !ASCII.test(folded)) return INERT;
  if (ACTIVE_ASCII.test(folded)) return ACTIVE;
  return SEPARATORS.test(folded) ? SEPARATOR : PUNCTUATION;
}

function foldPoint(point: number): string {
  const char = String.fromCodePoint(point);
  if (HYPHEN.test(char)) return '-';
  if (point === 0x2028 || point === 0x2029) return '\n';
  if (DIGIT.test(char)) return digitOf(point);
  return char.normalize('NFKC');
}

/** Decimal digits come in runs of ten, in order. */
function digitOf(point: number): string {
  if (point >= 0x1d7ce && point <= 0x1d7ff) return String((point - 0x1d7ce) % 10);
  let zero = point;
  while (point - zero < 9 && DIGIT.test(String.fromCodePoint(zero - 1))) zero -= 1;
  return String(point - zero);
}
