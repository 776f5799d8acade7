import { closeSync, openSync, readSync, rmSync } from 'node:fs';
import { frameSize, readFrame } from './frames.ts';
import type { Frame } from './frames.ts';
import { segmentFile, segmentStarts } from './segments.ts';
import type { Shared } from './shared.ts';

const CHUNK = 1024 * 1024;

/** The writer thread's view of the journal: whole acknowledged entries, in order, from where the store left off. */
export class JournalReader {
  readonly #folder: string;
  readonly #shared: Shared;
  #position: number;
  #buffer = Buffer.allocUnsafeSlow(CHUNK);
  #fd: number | undefined;
  #start = 0;
  /** Where the segment ends, once a later one exists. */
  #end = Number.POSITIVE_INFINITY;

  constructor(folder: string, position: number, shared: Shared) {
    this.#folder = folder;
    this.#position = position;
    this.#shared = shared;
  }

  /** Up to here everything was read and kept. */
  get position(): number {
    return this.#position;
  }

  /** Reads up to `most` frames without moving on; they are views, valid until the next read. */
  read(most: number): { readonly frames: Frame[]; readonly next: number } {
    const written = this.#shared.written;
    const frames: Frame[] = [];
    if (written <= this.#position) return { frames, next: this.#position };
    this.#locate();
    const limit = Math.min(written, this.#end);
    let length = this.#fill(Math.min(limit - this.#position, this.#buffer.length));
    const first = frameSize(this.#buffer, 0, length);
    if (first !== undefined && first > length && first <= limit - this.#position) {
      this.#buffer = Buffer.allocUnsafeSlow(first);
      length = this.#fill(first);
    }
    let at = 0;
    while (frames.length < most) {
      const frame = readFrame(this.#buffer, at, length);
      if (frame === undefined) break;
      frames.push(frame);
      at += frame.size;
    }
    if (at === 0) throw new Error(`the journal ${this.#folder} is damaged at position ${this.#position}`);
    return { frames, next: this.#position + at };
  }

  /** Moves on: what lies before `position` is in the store. */
  advance(position: number): void {
    this.#position = position;
    if (this.#buffer.length > 8 * CHUNK) this.#buffer = Buffer.allocUnsafeSlow(CHUNK);
  }

  /** Deletes the segments that lie wholly before `position`; all that are, when nobody writes any more. */
  discard(position: number, writing: boolean): void {
    const starts = segmentStarts(this.#folder);
    for (const [index, start] of starts.entries()) {
      const end = starts[index + 1] ?? (writing ? Number.POSITIVE_INFINITY : this.#shared.written);
      if (end <= position) rmSync(segmentFile(this.#folder, start), { force: true });
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #fill(length: number): number {
    const count = readSync(this.#fd!, this.#buffer, 0, length, this.#position - this.#start);
    if (count < length)
      throw new Error(`the journal ${this.#folder} is shorter than it was at position ${this.#position}`);
    return count;
  }

  /** Opens the segment that holds the position. A later segment's beginning ends it, whatever else its file holds. */
  #locate(): void {
    const newest = this.#shared.segment;
    const stale = this.#end === Number.POSITIVE_INFINITY && newest > this.#start;
    if (this.#fd !== undefined && !stale && this.#position < this.#end) return;
    const starts = segmentStarts(this.#folder);
    const start = starts.findLast((candidate) => candidate <= this.#position);
    if (start === undefined) {
      throw new Error(`the journal ${this.#folder} has lost the segment of position ${this.#position}`);
    }
    this.close();
    this.#fd = openSync(segmentFile(this.#folder, start), 'r');
    this.#start = start;
    this.#end = starts.find((candidate) => candidate > start) ?? Number.POSITIVE_INFINITY;
  }
}
