import { closeSync, openSync } from 'node:fs';
import Database from 'better-sqlite3';
import type { Keys } from './keys.ts';
import { migrate } from './schema.ts';

export type Db = Database.Database;
export type Statement = Database.Statement;

export interface StoreOptions {
  readonly path: string;
  readonly primary: boolean;
  readonly keys: Keys;
}

/** How long a writer waits for another process that writes. */
const BUSY_MS = 3000;

const PASSING = /^SQLITE_(FULL|IOERR|BUSY|LOCKED|READONLY|CANTOPEN|NOMEM)/;

/** Opens the database for writing, brings it to the newest version, and stops when the master key is not its own. */
export function openStore(options: StoreOptions): Db {
  // Created here, so that it and the files SQLite adds beside it are this user's alone.
  closeSync(openSync(options.path, 'a', 0o600));
  const db = new Database(options.path, { timeout: BUSY_MS });
  try {
    // Measured: larger pages halve the system time of a batch; 2,000 of them is a write-ahead log of 16 MB.
    db.pragma('page_size = 8192');
    db.pragma('journal_mode = WAL');
    db.pragma('secure_delete = ON');
    db.pragma('wal_autocheckpoint = 2000');
    db.pragma('cache_size = -32000');
    migrate(db, options.primary);
    checkKey(db, options);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function checkKey(db: Db, { path, primary, keys }: StoreOptions): void {
  const known = keys.checkValues();
  const stored = readMeta(db, 'key check');
  if (stored !== undefined && !known.includes(stored)) {
    throw new Error(
      `the master key is not the one that the store ${path} was written with; put the old one in keys.previous`,
    );
  }
  if (stored === undefined || (primary && stored !== known[0])) writeMeta(db, 'key check', known[0]!);
}

export function readMeta(db: Db, key: string): string | undefined {
  return db.prepare('SELECT value FROM meta WHERE key = ?').pluck().get(key) as string | undefined;
}

export function writeMeta(db: Db, key: string, value: string): void {
  db.prepare('INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value').run(
    key,
    value,
  );
}

/** True for failures of the disk or of the store itself, which pass; everything else is a mistake of ours. */
export function passing(error: unknown): error is Error {
  if (error instanceof Database.SqliteError) return PASSING.test(error.code);
  return error instanceof Error && 'syscall' in error;
}
