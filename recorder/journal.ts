import { closeSync, fdatasync, ftruncateSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { FRAME_HEADER, writeFrame } from './frames.ts';
import { RESERVE_SIZE, Reserve } from './reserve.ts';
import { SEGMENT_SIZE, segmentFile, syncFolder } from './segments.ts';
import type { Shared } from './shared.ts';
import type { Entry, Journal } from './types.ts';

/** The entry cannot be kept, so what it would have proved must not happen. */
export class RecordUnavailable extends Error {
  readonly code = 'record_unavailable';

  constructor(reason: string, options?: ErrorOptions) {
    super(`the record cannot be written: ${reason}`, options);
    this.name = 'RecordUnavailable';
  }
}

export interface JournalOptions {
  readonly folder: string;
  /** Position of the first byte to be written. */
  readonly start: number;
  readonly durability: 'group' | 'call';
  /** Most bytes that may wait for the store. */
  readonly limit: number;
  readonly shared: Shared;
}

interface Frames {
  readonly end: number;
  readonly outcome: boolean;
}

/** All entries of one kind that wait for one write share its promise. */
type Waiting = PromiseWithResolvers<void>;

interface Batch {
  readonly outcomes: Waiting | undefined;
  readonly others: Waiting | undefined;
}

/** So much in the journal is worth a transaction at once. */
export const FULL_BATCH = 256 * 1024;

/** A disk that takes so much takes calls again. */
const PROBE_SIZE = 256 * 1024;

const BUFFER_SIZE = 1024 * 1024;
const NO_ROOM = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** The journal file: what waits goes out in one write, and is acknowledged when the operating system (or the disk) has it. */
export class JournalFile implements Journal {
  readonly #options: JournalOptions;
  readonly #reserve: Reserve;
  #fd: number | undefined;
  #segment = 0;
  #position: number;
  #buffer = Buffer.allocUnsafeSlow(BUFFER_SIZE);
  #used = 0;
  #frames: Frames[] = [];
  #outcomes: Waiting | undefined;
  #others: Waiting | undefined;
  #scheduled = false;
  #syncing: Promise<void> | undefined;
  #fault: string | undefined;
  #closed = false;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#position = options.start;
    this.#reserve = new Reserve(options.folder);
    this.#reserve.take(performance.now());
    this.#openSegment();
  }

  append(entry: Entry, body?: Uint8Array): Promise<void> {
    const outcome = entry.type === 'exchange.closed' || entry.type === 'exchange.message';
    const refusal = this.#refusal(outcome);
    if (refusal !== undefined) return Promise.reject(new RecordUnavailable(refusal));
    const json = JSON.stringify(entry);
    this.#ensure(FRAME_HEADER + json.length * 3 + (body?.length ?? 0));
    this.#used = writeFrame(this.#buffer, this.#used, json, body);
    this.#frames.push({ end: this.#used, outcome });
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.#flush);
    }
    if (outcome) return (this.#outcomes ??= Promise.withResolvers<void>()).promise;
    return (this.#others ??= Promise.withResolvers<void>()).promise;
  }

  /** Why entries are refused at this moment, if they are. */
  trouble(): string | undefined {
    if (this.#fault !== undefined) this.#probe();
    return this.#refusal(false) ?? this.#fault;
  }

  /** A gateway in trouble may get no calls that would show that the disk is well again. */
  #probe(): void {
    const file = join(this.#options.folder, 'probe');
    try {
      writeFileSync(file, Buffer.alloc(PROBE_SIZE, 1), { mode: 0o600 });
      this.#fault = undefined;
    } catch (error) {
      this.#fault = (error as Error).message;
    }
    rmSync(file, { force: true });
  }

  /** Resolves when nothing waits for the file any more. */
  async settled(): Promise<void> {
    while (this.#used > 0 || this.#syncing !== undefined) {
      if (this.#syncing === undefined) this.#flush();
      else await this.#syncing;
    }
  }

  /** Writes what waits; later entries are refused. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.settled();
    this.#closeSegment();
  }

  #refusal(outcome: boolean): string | undefined {
    if (this.#closed) return 'the recorder is closed';
    const waiting = this.#position + this.#used - this.#options.shared.moved;
    const limit = outcome ? this.#options.limit + RESERVE_SIZE : this.#options.limit;
    if (waiting >= limit) return `${waiting} bytes of the journal wait for the store`;
    if (!outcome && !this.#reserve.held && !this.#reserve.take(performance.now())) {
      return `no room on the disk of ${this.#options.folder}`;
    }
    return undefined;
  }

  #ensure(bytes: number): void {
    if (this.#used + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#used + bytes));
    this.#buffer.copy(larger, 0, 0, this.#used);
    this.#buffer = larger;
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    if (this.#used === 0 || this.#syncing !== undefined) return;
    const frames = this.#frames;
    const used = this.#used;
    const batch = { outcomes: this.#outcomes, others: this.#others };
    this.#frames = [];
    this.#used = 0;
    this.#outcomes = this.#others = undefined;
    try {
      this.#write(used);
      this.#fault = undefined;
    } catch (error) {
      this.#salvage(frames, batch, error as NodeJS.ErrnoException);
      this.#shrink();
      return;
    }
    this.#shrink();
    this.#acknowledge(batch);
  };

  /** A rare large body must not be paid for ever after. */
  #shrink(): void {
    if (this.#buffer.length > 4 * BUFFER_SIZE) this.#buffer = Buffer.allocUnsafeSlow(BUFFER_SIZE);
  }

  /** Appends the first bytes of the buffer whole, or throws and leaves the journal as it was. */
  #write(used: number): void {
    if (this.#fd === undefined || this.#position - this.#segment >= SEGMENT_SIZE) this.#openSegment();
    const fd = this.#fd!;
    const offset = this.#position - this.#segment;
    try {
      let done = 0;
      while (done < used) {
        const count = writeSync(fd, this.#buffer, done, used - done, offset + done);
        if (count === 0) throw new Error('nothing was written');
        done += count;
      }
    } catch (error) {
      this.#cutBack(fd, offset);
      throw error;
    }
    this.#position += used;
  }

  /** What lies behind the last acknowledged entry must not be read as one. */
  #cutBack(fd: number, offset: number): void {
    try {
      ftruncateSync(fd, offset);
    } catch {
      // The next segment begins at the same position: the reader never looks behind it.
      this.#closeSegment();
    }
  }

  /** Some of the batch may still be kept: outcomes have room of their own. Everything else is refused. */
  #salvage(frames: readonly Frames[], batch: Batch, error: NodeJS.ErrnoException): void {
    const refused = new RecordUnavailable(error.message, { cause: error });
    this.#fault = refused.message;
    batch.others?.reject(refused);
    if (batch.outcomes === undefined) return;
    if (NO_ROOM.has(error.code ?? '')) this.#reserve.release();
    // A limit of the file, not of the disk, and many a bad block, end with the file.
    if (error.code !== 'ENOSPC' && error.code !== 'EDQUOT') this.#closeSegment();
    try {
      this.#write(this.#keepOutcomes(frames));
    } catch (again) {
      batch.outcomes.reject(new RecordUnavailable((again as Error).message, { cause: again }));
      return;
    }
    this.#acknowledge({ outcomes: batch.outcomes, others: undefined });
  }

  /** Moves the outcome frames to the front of the buffer and answers where they end. */
  #keepOutcomes(frames: readonly Frames[]): number {
    let start = 0;
    let kept = 0;
    for (const { end, outcome } of frames) {
      if (outcome) {
        this.#buffer.copyWithin(kept, start, end);
        kept += end - start;
      }
      start = end;
    }
    return kept;
  }

  #acknowledge(batch: Batch): void {
    if (this.#options.durability === 'group') {
      this.#publish(batch);
      return;
    }
    const fd = this.#fd!;
    const position = this.#position;
    this.#syncing = new Promise((done) => {
      fdatasync(fd, (error) => {
        this.#syncing = undefined;
        if (error === null) this.#publish(batch);
        else this.#unsynced(batch, error, position);
        done();
        if (this.#used > 0) this.#flush();
      });
    });
  }

  #publish(batch: Batch): void {
    const { shared } = this.#options;
    shared.written = this.#position;
    shared.wake(this.#position - shared.moved >= FULL_BATCH);
    batch.outcomes?.resolve();
    batch.others?.resolve();
  }

  /** After a failed sync nobody knows which bytes the disk has: none of them are acknowledged, the next segment begins before them. */
  #unsynced(batch: Batch, error: Error, position: number): void {
    const refused = new RecordUnavailable(error.message, { cause: error });
    this.#fault = `the journal cannot be synced up to ${position}: ${error.message}`;
    this.#position = this.#options.shared.written;
    this.#closeSegment();
    batch.outcomes?.reject(refused);
    batch.others?.reject(refused);
  }

  #openSegment(): void {
    this.#closeSegment();
    const file = segmentFile(this.#options.folder, this.#position);
    this.#fd = openSync(file, 'w', 0o600);
    this.#segment = this.#position;
    if (this.#options.durability === 'call') syncFolder(this.#options.folder);
    this.#options.shared.segment = this.#position;
  }

  #closeSegment(): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
  }
}
