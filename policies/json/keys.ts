import { decodeString } from './tree.ts';

const SMALL = 16;

/**
 * Finds duplicate keys of the objects that are open at one time. Objects of a few plain keys are compared by hash and
 * length without allocating; big ones, and those with an escaped key, by a Set of decoded keys.
 */
export class Keys {
  readonly #text: string;
  /** Hash, start and end of each key. */
  readonly #seen: number[] = [];
  #length = 0;
  #sets: Map<number, Set<string>> | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  /** A mark for a newly opened object, to hand to `add` and `close`. */
  open(): number {
    return this.#length;
  }

  /** Forgets the keys of the object, which must be the innermost open one. */
  close(mark: number): void {
    this.#length = mark;
    this.#sets?.delete(mark);
  }

  /**
   * False when the object of `mark` has this key already. `hash` is any hash of the raw key; the span includes the
   * quotes.
   */
  add(mark: number, start: number, end: number, hash: number, escaped: boolean): boolean {
    const seen = this.#seen;
    let set = this.#sets?.get(mark);
    if (set === undefined && (escaped || this.#length - mark === 3 * SMALL)) set = this.#spread(mark);
    if (set !== undefined) {
      // One entry stays, so that the mark of an inner object differs from this one.
      if (this.#length === mark) this.#push(hash, start, end);
      const before = set.size;
      return set.add(decodeString(this.#text, start, end)).size > before;
    }
    for (let i = mark; i < this.#length; i += 3) {
      if (seen[i] === hash && this.#same(seen[i + 1] as number, seen[i + 2] as number, start, end)) return false;
    }
    this.#push(hash, start, end);
    return true;
  }

  #push(hash: number, start: number, end: number): void {
    this.#seen[this.#length] = hash;
    this.#seen[this.#length + 1] = start;
    this.#seen[this.#length + 2] = end;
    this.#length += 3;
  }

  #same(otherStart: number, otherEnd: number, start: number, end: number): boolean {
    if (otherEnd - otherStart !== end - start) return false;
    for (let k = 1; k < end - start; k += 1) {
      if (this.#text.charCodeAt(otherStart + k) !== this.#text.charCodeAt(start + k)) return false;
    }
    return true;
  }

  #spread(mark: number): Set<string> {
    const set = new Set<string>();
    for (let i = mark; i < this.#length; i += 3) {
      set.add(decodeString(this.#text, this.#seen[i + 1] as number, this.#seen[i + 2] as number));
    }
    this.#sets ??= new Map();
    this.#sets.set(mark, set);
    return set;
  }
}
