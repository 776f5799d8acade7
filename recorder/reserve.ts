import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, rmSync, statSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Room kept on the disk for the outcomes of calls that are already under way when it fills up. */
export const RESERVE_SIZE = 4 * 1024 * 1024;

const RETRY_MS = 1000;

/** A file of real blocks in the journal's folder, given up when an outcome finds no room. */
export class Reserve {
  readonly #folder: string;
  #held = false;
  #triedAt = Number.NEGATIVE_INFINITY;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** True while the room is there: without it no new call may begin. */
  get held(): boolean {
    return this.#held;
  }

  /** Takes the room when it is not held and the disk seems to have it; true when it is held afterwards. */
  take(now: number): boolean {
    if (this.#held) return true;
    const file = this.#file();
    const existing = statSync(file, { throwIfNoEntry: false });
    if (existing !== undefined && existing.size === RESERVE_SIZE && existing.blocks * 512 >= RESERVE_SIZE) {
      return (this.#held = true);
    }
    const disk = statfsSync(this.#folder);
    if (disk.bavail * disk.bsize < RESERVE_SIZE * 1.25 || now - this.#triedAt < RETRY_MS) return false;
    this.#triedAt = now;
    return (this.#held = this.#write(file));
  }

  /** Gives the room up; true when there was some. */
  release(): boolean {
    const had = this.#held;
    this.#held = false;
    rmSync(this.#file(), { force: true });
    return had;
  }

  #file(): string {
    return join(this.#folder, 'reserve');
  }

  /** False, and nothing left behind, when the disk has no room after all. */
  #write(file: string): boolean {
    // Random bytes: a file system that compresses or punches holes would keep no room for zeros.
    const block = randomBytes(64 * 1024);
    const fd = openSync(file, 'w', 0o600);
    try {
      for (let at = 0; at < RESERVE_SIZE; at += block.length) {
        if (writeSync(fd, block, 0, block.length, at) !== block.length) throw new Error('short write');
      }
      fsyncSync(fd);
      return true;
    } catch {
      rmSync(file, { force: true });
      return false;
    } finally {
      closeSync(fd);
    }
  }
}
