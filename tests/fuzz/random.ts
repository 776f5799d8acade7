/** Random choices that a seed and a case number repeat exactly (the generator sfc32). */
export class Random {
  #a: number;
  #b: number;
  #c = 0x9e3779b9;
  #counter = 1;

  constructor(seed: number, turn: number) {
    this.#a = seed >>> 0;
    this.#b = Math.imul(turn + 1, 0x85ebca6b) >>> 0;
    for (let round = 0; round < 12; round += 1) this.#next();
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** 0 to `below` - 1. */
  int(below: number): number {
    return this.#next() % below;
  }

  /** True `times` of a hundred times. */
  chance(times: number): boolean {
    return this.int(100) < times;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.int(list.length)]!;
  }

  shuffle<T>(list: readonly T[]): T[] {
    const out = [...list];
    for (let at = out.length - 1; at > 0; at -= 1) {
      const other = this.int(at + 1);
      [out[at], out[other]] = [out[other]!, out[at]!];
    }
    return out;
  }

  /** The bytes in pieces; now and then a piece is empty. */
  cut(bytes: Buffer): Buffer[] {
    const most = this.pick([0, 1, 2, 5, 20, bytes.length]);
    const places = Array.from({ length: this.int(most + 1) }, () => this.int(bytes.length + 1)).toSorted(
      (a, b) => a - b,
    );
    const edges = [0, ...places, bytes.length];
    return edges.slice(1).map((end, at) => bytes.subarray(edges[at], end));
  }
}
