import { closeSync, openSync } from 'node:fs';
import Database from 'better-sqlite3';

/** Holds the store for this process until released or dead: the lock is the operating system's, on a file beside the store. */
export function holdLock(path: string): () => void {
  const file = `${path}.lock`;
  closeSync(openSync(file, 'a', 0o600));
  const lock = new Database(file, { timeout: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')) {
      throw new Error(`another gateway holds the store ${path} (lock file ${file})`, { cause: error });
    }
    throw error;
  }
  return () => {
    lock.close();
  };
}
