import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { signCheckpoint } from './chain.ts';
import type { Checkpoint } from './chain.ts';
import type { Keys } from './keys.ts';
import { unnamedHeads } from './ledger.ts';
import type { Ledger } from './ledger.ts';
import { syncFolder } from './segments.ts';
import type { Db, Statement } from './store.ts';

/** The file beside the database that keeps the last checkpoint: a tail cut from the database is missed there. */
export const headFile = (path: string): string => `${path}.head`;

const EVERY_MS = 1000;
const EVERY_ENTRIES = 1000;

export interface CheckpointRow {
  readonly number: number;
  readonly at: number;
  readonly heads: string;
  readonly key: string;
  readonly signature: string;
}

export const toCheckpoint = (row: CheckpointRow): Checkpoint => ({
  ...row,
  heads: JSON.parse(row.heads) as Checkpoint['heads'],
});

/** Signs the heads of all chains: each thousand entries, and each second of activity and at a clean stop outside the database too. */
export class Checkpoints {
  readonly #db: Db;
  readonly #path: string;
  readonly #keys: Keys;
  readonly #ledger: Ledger;
  readonly #newest: Statement;
  readonly #insert: Statement;
  /** Entries of this process that the last checkpoint covers, and that the head outside covers. */
  #signed = 0;
  #outside = 0;
  #outsideAt = Number.NEGATIVE_INFINITY;

  constructor(db: Db, path: string, keys: Keys, ledger: Ledger) {
    this.#db = db;
    this.#path = path;
    this.#keys = keys;
    this.#ledger = ledger;
    this.#newest = db.prepare('SELECT * FROM checkpoints ORDER BY number DESC LIMIT 1');
    this.#insert = db.prepare('INSERT INTO checkpoints (number, at, heads, key, signature) VALUES (?, ?, ?, ?, ?)');
  }

  /** Milliseconds from this moment of the monotonic clock until the head outside is due; undefined when it covers everything. */
  dueIn(now: number): number | undefined {
    return this.#ledger.appended === this.#outside ? undefined : Math.max(0, this.#outsideAt + EVERY_MS - now);
  }

  /** Signs when a thousand entries wait for it. */
  signWhenDue(): void {
    if (this.#ledger.appended - this.#signed >= EVERY_ENTRIES) this.#sign();
  }

  /** Signs, syncs the store, and then writes the head beside it: the head is never ahead of the disk. */
  write(): void {
    const { appended } = this.#ledger;
    const mode = this.#db.pragma('synchronous', { simple: true }) as number;
    this.#db.pragma('synchronous = FULL');
    try {
      this.#sign();
    } finally {
      this.#db.pragma(`synchronous = ${mode}`);
    }
    // Under the store's write lock, so that a slower process cannot put an older checkpoint over a newer one.
    this.#ledger.transact(() => this.#writeHead(toCheckpoint(this.#newest.get() as CheckpointRow)));
    this.#outside = appended;
    this.#outsideAt = performance.now();
  }

  #sign(): void {
    const at = Date.now();
    this.#ledger.transact(() => {
      const last = this.#newest.get() as CheckpointRow | undefined;
      const number = (last?.number ?? 0) + 1;
      const heads = unnamedHeads(this.#db);
      const made = signCheckpoint({ number, at, heads, key: this.#keys.id }, this.#keys.signer);
      this.#insert.run(number, at, JSON.stringify(heads), made.key, made.signature);
    });
    this.#signed = this.#ledger.appended;
  }

  #writeHead(checkpoint: Checkpoint): void {
    const file = headFile(this.#path);
    const fresh = `${file}.new`;
    const fd = openSync(fresh, 'w', 0o600);
    try {
      writeSync(fd, `${JSON.stringify(checkpoint)}\n`);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(fresh, file);
    syncFolder(dirname(file));
  }
}
