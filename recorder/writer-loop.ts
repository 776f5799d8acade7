import { Checkpoints } from './checkpoints.ts';
import { Intake } from './intake.ts';
import { FULL_BATCH } from './journal.ts';
import { JournalReader } from './journal-reader.ts';
import { Keys } from './keys.ts';
import { Ledger } from './ledger.ts';
import { OPERATIONS } from './operations.ts';
import type { Report, Request, Tables } from './operations.ts';
import { PinsTable } from './pins-table.ts';
import { ReviewDesk } from './review-desk.ts';
import { SessionsTable } from './sessions-table.ts';
import { Shared } from './shared.ts';
import { openStore, passing, readMeta, writeMeta } from './store.ts';
import type { Db, Statement } from './store.ts';
import { TokensTable } from './tokens-table.ts';
import { Watcher } from './watcher.ts';

export interface WriterData {
  readonly path: string;
  readonly durability: 'group' | 'call';
  readonly version: string;
  readonly masterKey: Uint8Array;
  readonly previousKeys: readonly Uint8Array[];
  readonly primary: boolean;
  /** The journal's folder; undefined for a process that writes into the store directly. */
  readonly journal: string | undefined;
  readonly shared: SharedArrayBuffer;
}

interface Port {
  receive(): Request | undefined;
  send(report: Report): void;
}

/** Most entries in one transaction. */
const BATCH = 1000;
/** Nobody waits for the store, so a small batch may grow for a moment: a transaction for each entry costs four times the CPU. */
const GATHER_MS = 25;
const POLL_MS = 1000;
/** How long a clean stop moves entries; the rest waits in the journal for the next start. */
const CLOSE_MS = 800;
const BACK_OFF_MS = [50, 100, 250, 500, 1000] as const;
const POSITION = 'journal position';

/** Owns the database: moves the journal into it, answers requests, signs checkpoints. */
export class WriterLoop {
  readonly #data: WriterData;
  readonly #port: Port;
  readonly #shared: Shared;
  #db!: Db;
  #tables!: Tables;
  #watcher!: Watcher;
  #reader: JournalReader | undefined;
  #setPosition!: Statement;
  readonly #settling: { readonly call: number; readonly position: number }[] = [];
  #failures = 0;
  // Moments of the monotonic clock: a clock that is set back must not stop the thread.
  #retryAt = 0;
  #lookAt = 0;
  #movedAt = Number.NEGATIVE_INFINITY;
  #held: Request | undefined;

  constructor(data: WriterData, port: Port) {
    this.#data = data;
    this.#port = port;
    this.#shared = new Shared(data.shared);
  }

  /** Returns after `close`, or at once when the store cannot be opened. */
  run(): void {
    try {
      this.#open();
    } catch (error) {
      this.#port.send({ kind: 'failed', reason: (error as Error).message });
      return;
    }
    this.#port.send({ kind: 'ready', position: this.#reader?.position ?? 0 });
    while (this.#serve()) {
      if (!this.#work()) this.#rest();
    }
  }

  #open(): void {
    const { path, primary, durability, journal, version } = this.#data;
    const keys = new Keys(this.#data.masterKey, this.#data.previousKeys);
    const db = (this.#db = openStore({ path, primary, keys }));
    db.pragma(`synchronous = ${durability === 'call' ? 'FULL' : 'NORMAL'}`);
    const ledger = new Ledger(db, version);
    const checkpoints = new Checkpoints(db, path, keys, ledger);
    const tokens = new TokensTable(db, ledger, (changed) => this.#port.send({ kind: 'tokens', tokens: changed }));
    const pins = new PinsTable(db, ledger, (changed) => this.#port.send({ kind: 'pins', pins: changed }));
    const reviews = new ReviewDesk({
      db,
      ledger,
      keys,
      changed: (review) => this.#port.send({ kind: 'review', review }),
    });
    this.#tables = {
      ledger,
      intake: new Intake(db, ledger),
      checkpoints,
      reviews,
      sessions: new SessionsTable(db),
      tokens,
      pins,
    };
    this.#watcher = new Watcher(db, ledger, { reviews, pins });
    this.#setPosition = db.prepare('UPDATE meta SET value = ? WHERE key = ?');
    if (journal === undefined) return;
    if (readMeta(db, POSITION) === undefined) writeMeta(db, POSITION, '0');
    this.#reader = new JournalReader(journal, Number(readMeta(db, POSITION)), this.#shared);
    while (this.#moveBatch() > 0);
    this.#reconcile();
    this.#shared.moved = this.#reader.position;
  }

  /** What a dead gateway left open is settled before this one takes a call. */
  #reconcile(): void {
    const { ledger, intake, reviews, checkpoints } = this.#tables;
    const at = Date.now();
    ledger.transact(() => {
      ledger.begin(at);
      for (const id of intake.open) {
        const measures = { heldMs: 0, upstreamMs: 0, totalMs: 0, bytesIn: 0, bytesOut: 0 };
        intake.add(
          { type: 'exchange.closed', at, id, outcome: 'unknown', isError: true, findings: [], ...measures },
          undefined,
        );
      }
    });
    reviews.settle(at);
    checkpoints.write();
    this.#reader?.discard(this.#reader.position, true);
  }

  /** Answers what was asked; false once the thread shall end. */
  #serve(): boolean {
    for (let request = this.#receive(); request !== undefined; request = this.#receive()) {
      if (request.operation === 'settle') this.#settling.push(request);
      else if (request.operation === 'close') {
        this.#close(request.call);
        return false;
      } else this.#answer(request);
    }
    return true;
  }

  #answer(request: Extract<Request, { args: readonly unknown[] }>): void {
    const { call, operation, args } = request;
    try {
      // Readers see what was acknowledged before they asked.
      if (operation.startsWith('sessions.') && this.#retryAt === 0) this.#moveUpTo(this.#shared.written);
      const run = OPERATIONS[operation] as (tables: Tables, ...args: readonly unknown[]) => unknown;
      const value = run(this.#tables, ...args);
      this.#port.send({ kind: 'answer', call, value: value instanceof Uint8Array ? Uint8Array.from(value) : value });
    } catch (error) {
      this.#tables.intake.reload();
      this.#port.send({ kind: 'error', call, reason: (error as Error).message, unavailable: passing(error) });
    }
  }

  /** The thread's own work; a failure is reported, waited out and tried again: the journal keeps everything. True when there may be more. */
  #work(): boolean {
    if (this.#retryAt > performance.now()) return false;
    try {
      const more = this.#gatherFor(performance.now()) === 0 && this.#move();
      this.#upkeep();
      if (this.#failures > 0) this.#port.send({ kind: 'trouble', reason: undefined });
      this.#failures = this.#retryAt = 0;
      return more;
    } catch (error) {
      this.#tables.intake.reload();
      this.#retryAt = performance.now() + BACK_OFF_MS[Math.min(this.#failures++, BACK_OFF_MS.length - 1)]!;
      this.#port.send({ kind: 'trouble', reason: `the store cannot be written: ${(error as Error).message}` });
      return false;
    }
  }

  /** Milliseconds until what waits in the journal is moved; undefined when nothing waits. */
  #gatherFor(now: number): number | undefined {
    if (this.#settling.length > 0) return 0;
    const waiting = this.#reader === undefined ? 0 : this.#shared.written - this.#reader.position;
    if (waiting <= 0) return undefined;
    return waiting >= FULL_BATCH ? 0 : Math.max(0, this.#movedAt + GATHER_MS - now);
  }

  /** Moves one batch from the journal; true when there may be more. */
  #move(): boolean {
    const moved = this.#moveBatch();
    const position = this.#reader?.position ?? 0;
    for (let index = this.#settling.length - 1; index >= 0; index--) {
      const { call, position: wanted } = this.#settling[index]!;
      if (wanted > position) continue;
      this.#settling.splice(index, 1);
      this.#port.send({ kind: 'answer', call, value: undefined });
    }
    return moved > 0;
  }

  #moveUpTo(position: number): void {
    while (this.#reader !== undefined && this.#reader.position < position && this.#moveBatch() > 0);
  }

  #moveBatch(): number {
    const reader = this.#reader;
    if (reader === undefined) return 0;
    const { frames, next } = reader.read(BATCH);
    if (frames.length === 0) return 0;
    this.#tables.ledger.transact(() => {
      this.#tables.intake.take(frames);
      this.#setPosition.run(String(next), POSITION);
    });
    this.#movedAt = performance.now();
    reader.advance(next);
    this.#shared.moved = next;
    this.#tables.checkpoints.signWhenDue();
    return frames.length;
  }

  #upkeep(): void {
    const now = performance.now();
    const { checkpoints, tokens } = this.#tables;
    if (checkpoints.dueIn(now) === 0) this.#checkpoint();
    if (now >= this.#lookAt) {
      this.#lookAt = now + POLL_MS;
      const seen = this.#watcher.look();
      for (const review of seen.reviews) this.#port.send({ kind: 'review', review });
      if (seen.pins.length > 0) this.#port.send({ kind: 'pins', pins: seen.pins });
      if (seen.tokens) this.#port.send({ kind: 'tokens', tokens: tokens.list() });
    }
  }

  /** The store is on the disk behind a checkpoint, so the segments moved before it are not needed any more. */
  #checkpoint(): void {
    const position = this.#reader?.position ?? 0;
    this.#tables.checkpoints.write();
    this.#reader?.discard(position, true);
  }

  #rest(): void {
    const now = performance.now();
    const due = this.#tables.checkpoints.dueIn(now) ?? POLL_MS;
    const gather = this.#gatherFor(now);
    if (gather === 0 && this.#retryAt <= now) return;
    const next = Math.min(due, this.#lookAt - now, gather ?? POLL_MS);
    this.#shared.doze(gather !== undefined);
    // Whoever came after the last look and before the doze found nobody to wake.
    this.#held ??= this.#port.receive();
    const unseen = gather === undefined && this.#gatherFor(now) !== undefined;
    if (this.#held !== undefined || unseen) this.#shared.rouse();
    else this.#shared.pause(Math.max(this.#retryAt > now ? this.#retryAt - now : next, 1));
  }

  #receive(): Request | undefined {
    const request = this.#held ?? this.#port.receive();
    this.#held = undefined;
    return request;
  }

  /** What cannot be moved any more stays in the journal for the next start. */
  #close(call: number): void {
    const { ledger, checkpoints } = this.#tables;
    try {
      const deadline = performance.now() + CLOSE_MS;
      while (this.#move() && performance.now() < deadline);
      this.#db.pragma('busy_timeout = 100');
      if (ledger.started) {
        ledger.transact(() => ledger.append({ type: 'writer.stopped', at: Date.now() }));
        checkpoints.write();
        this.#reader?.discard(this.#reader.position, false);
        this.#db.pragma('wal_checkpoint(TRUNCATE)');
      }
      this.#port.send({ kind: 'answer', call, value: undefined });
    } catch (error) {
      this.#port.send({ kind: 'error', call, reason: (error as Error).message, unavailable: passing(error) });
    } finally {
      this.#reader?.close();
      this.#db.close();
    }
  }
}
