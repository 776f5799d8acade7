/** A window is counted in so many parts: what was added leaves it at most one part late, and never early. */
const PARTS = 60;

/** Part and amount, in turns, oldest first. */
export type SavedWindow = readonly number[];

/**
 * The sum of what was added in the last `withinMs` milliseconds, exact to a sixtieth of them: every addition stays for the whole span.
 * Holds at most 61 amounts, however much is added.
 */
export class SlidingWindow {
  readonly #partMs: number;
  readonly #parts: number[] = [];
  readonly #amounts: number[] = [];
  #sum = 0;

  constructor(withinMs: number, saved: SavedWindow = []) {
    this.#partMs = withinMs / PARTS;
    for (let at = 0; at + 1 < saved.length; at += 2) this.#push(saved[at]!, saved[at + 1]!);
  }

  used(now: number): number {
    this.#expire(now);
    return this.#sum;
  }

  add(now: number, amount: number): void {
    const part = this.#expire(now);
    if (amount > 0) this.#push(part, amount);
  }

  /** Milliseconds until the sum is at most `left` when nothing is added meanwhile. */
  waitFor(left: number, now: number): number {
    this.#expire(now);
    let sum = this.#sum;
    for (const [index, amount] of this.#amounts.entries()) {
      if (sum <= left) return index === 0 ? 0 : this.#leaves(index - 1) - now;
      sum -= amount;
    }
    return this.#amounts.length === 0 ? 0 : this.#leaves(this.#amounts.length - 1) - now;
  }

  save(now: number): SavedWindow {
    this.#expire(now);
    return this.#parts.flatMap((part, index) => [part, this.#amounts[index]!]);
  }

  #leaves(index: number): number {
    return (this.#parts[index]! + PARTS + 1) * this.#partMs;
  }

  #push(part: number, amount: number): void {
    this.#sum += amount;
    if (this.#parts.at(-1) === part) this.#amounts[this.#amounts.length - 1]! += amount;
    else {
      this.#parts.push(part);
      this.#amounts.push(amount);
    }
  }

  /** Answers the part of this moment. */
  #expire(now: number): number {
    const part = Math.floor(now / this.#partMs);
    const ahead = (this.#parts.at(-1) ?? part) - part;
    // The clock was set back: the amounts keep their age from here on, or they would stay for as long as it went back.
    if (ahead > 0) for (const index of this.#parts.keys()) this.#parts[index]! -= ahead;
    let over = 0;
    while (over < this.#parts.length && this.#parts[over]! < part - PARTS) {
      this.#sum -= this.#amounts[over]!;
      over += 1;
    }
    if (over > 0) {
      this.#parts.splice(0, over);
      this.#amounts.splice(0, over);
    }
    return part;
  }
}
