import { existsSync, readFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { headFile, toCheckpoint } from './checkpoints.ts';
import type { CheckpointRow } from './checkpoints.ts';
import type { Checkpoint } from './chain.ts';
import { Keys } from './keys.ts';
import { assertVersion } from './schema.ts';
import { readMeta } from './store.ts';
import type { Db } from './store.ts';
import type { Complain, Problem } from './problem.ts';
import { ChainAudit } from './verify-chain.ts';
import { SignatureAudit } from './verify-checkpoints.ts';
import { RowAudit } from './verify-rows.ts';

export interface VerifyReport {
  readonly ok: boolean;
  /** Entries read, of all writers. */
  readonly entries: number;
  /** Entries behind the last checkpoint: chained, but not signed yet. */
  readonly unsigned: number;
  /** Checkpoints whose signature was checked; none without the master key. */
  readonly signatures: number;
  /** In the order in which they were met: the first is the first bad record. */
  readonly problems: readonly Problem[];
}

export interface VerifyOptions {
  readonly path: string;
  readonly masterKey?: Uint8Array;
  readonly previousKeys?: readonly Uint8Array[];
}

/** A store that was rewritten differs everywhere: more would tell nothing new. */
const MOST_PROBLEMS = 100;

/**
 * Checks a store offline, without changing it: every entry against its chain, every body and row against its entry, the
 * chains against the signed checkpoints, and these against the head kept outside the database.
 */
export async function verify(options: VerifyOptions): Promise<VerifyReport> {
  const problems: Problem[] = [];
  const complain: Complain = (kind, record, detail) => {
    if (problems.length < MOST_PROBLEMS) problems.push({ kind, record, detail });
  };
  const keys = options.masterKey === undefined ? undefined : new Keys(options.masterKey, options.previousKeys ?? []);
  // Read before the database: a gateway that runs may write newer ones of both, never an older database.
  const head = readHead(options.path, complain);
  const db = new Database(options.path, { readonly: true, fileMustExist: true });
  try {
    assertVersion(db);
    db.exec('BEGIN');
    return { ...audit(db, { keys, head, complain, path: options.path }), ok: problems.length === 0, problems };
  } catch (error) {
    if (!(error instanceof Database.SqliteError) || !/^SQLITE_(CORRUPT|NOTADB|ERROR)/.test(error.code)) throw error;
    complain('altered', `database ${options.path}`, error.message);
    return { ok: false, entries: 0, unsigned: 0, signatures: 0, problems };
  } finally {
    db.close();
  }
}

interface Circumstances {
  readonly path: string;
  readonly keys: Keys | undefined;
  readonly head: Checkpoint | undefined;
  readonly complain: Complain;
}

function audit(
  db: Db,
  { path, keys, head, complain }: Circumstances,
): Pick<VerifyReport, 'entries' | 'unsigned' | 'signatures'> {
  const checkKey = readMeta(db, 'key check');
  if (keys !== undefined && !keys.checkValues().includes(checkKey ?? '')) {
    complain('altered', 'meta key check', 'the master key given is not the one this store was written with');
  }
  const signatures = new SignatureAudit(db, keys, complain);
  const rows = new RowAudit(db, complain);
  const chain = new ChainAudit(db, complain);
  const entries = chain.run((read) => {
    rows.entry(read);
    signatures.entry(chain.heads);
  });
  rows.end();
  chain.end();
  const { unsigned, checked } = signatures.end(chain.heads, head, headFile(path));
  const integrity = db.pragma('integrity_check(1)', { simple: true }) as string;
  if (integrity !== 'ok') complain('altered', `database ${path}`, integrity);
  return { entries, unsigned, signatures: checked };
}

function readHead(path: string, complain: Complain): Checkpoint | undefined {
  const file = headFile(path);
  if (!existsSync(file)) return undefined;
  try {
    const { number, at, heads, key, signature } = JSON.parse(readFileSync(file, 'utf8')) as Checkpoint;
    return toCheckpoint({ number, at, heads: JSON.stringify(heads), key, signature } satisfies CheckpointRow);
  } catch (error) {
    complain('altered', `checkpoint head ${file}`, (error as Error).message);
    return undefined;
  }
}
