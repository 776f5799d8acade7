import type { Database } from 'better-sqlite3';

/** Forward-only: a row is never edited once released, the next change is a new row. */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE writers (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, seq INTEGER NOT NULL, hash BLOB NOT NULL,
    named INTEGER NOT NULL) STRICT;
  CREATE INDEX writers_unnamed ON writers (number) WHERE named = 0;
  CREATE TABLE entries (id INTEGER PRIMARY KEY, writer INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
    type TEXT NOT NULL, ref TEXT, canonical BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
  CREATE TABLE bodies (entry INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
  CREATE TABLE salts (entry INTEGER PRIMARY KEY, salt BLOB NOT NULL) STRICT;
  CREATE TABLE checkpoints (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, heads TEXT NOT NULL, key TEXT NOT NULL,
    signature TEXT NOT NULL) STRICT;

  CREATE TABLE sessions (id TEXT PRIMARY KEY, opened INTEGER NOT NULL, closed INTEGER, connection TEXT NOT NULL,
    issuer TEXT NOT NULL, subject TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX sessions_opened ON sessions (opened);
  CREATE INDEX sessions_owner ON sessions (issuer, subject, opened);
  CREATE TABLE exchanges (session TEXT NOT NULL, opened INTEGER NOT NULL, id TEXT NOT NULL, closed INTEGER,
    connection TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, action TEXT NOT NULL, outcome TEXT,
    PRIMARY KEY (session, opened)) STRICT, WITHOUT ROWID;
  CREATE INDEX exchanges_open ON exchanges (opened) WHERE closed IS NULL;
  CREATE TABLE messages (exchange TEXT NOT NULL, entry INTEGER NOT NULL, PRIMARY KEY (exchange, entry))
    STRICT, WITHOUT ROWID;

  CREATE TABLE reviews (id TEXT PRIMARY KEY, changed INTEGER NOT NULL, state TEXT NOT NULL, fingerprint TEXT NOT NULL,
    issuer TEXT NOT NULL, subject TEXT NOT NULL, owner TEXT NOT NULL, connection TEXT NOT NULL, kind TEXT NOT NULL,
    method TEXT NOT NULL, name TEXT NOT NULL, preview TEXT NOT NULL, requirements TEXT NOT NULL, session TEXT NOT NULL,
    exchange TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, decided_at INTEGER,
    executed_at INTEGER, outcome TEXT, execution_session TEXT) STRICT;
  CREATE INDEX reviews_fingerprint ON reviews (fingerprint);
  CREATE INDEX reviews_state ON reviews (state, expires_at);
  CREATE INDEX reviews_owner ON reviews (issuer, subject);
  CREATE INDEX reviews_session ON reviews (session);
  CREATE INDEX reviews_execution ON reviews (execution_session) WHERE execution_session IS NOT NULL;
  CREATE INDEX reviews_changed ON reviews (changed);
  CREATE TABLE review_votes (review TEXT NOT NULL, number INTEGER NOT NULL, issuer TEXT NOT NULL, subject TEXT NOT NULL,
    vote TEXT NOT NULL, PRIMARY KEY (review, number), UNIQUE (review, issuer, subject)) STRICT, WITHOUT ROWID;
  CREATE TABLE review_messages (review TEXT NOT NULL, part TEXT NOT NULL, wrapped BLOB NOT NULL, sealed BLOB NOT NULL,
    PRIMARY KEY (review, part)) STRICT;

  CREATE TABLE tokens (id TEXT PRIMARY KEY, changed INTEGER NOT NULL, hash TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    subject TEXT NOT NULL, email TEXT, groups TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER,
    revoked_at INTEGER) STRICT;
  CREATE INDEX tokens_changed ON tokens (changed);
  `,
  `
  CREATE TABLE pins (id TEXT PRIMARY KEY, changed INTEGER NOT NULL, connection TEXT NOT NULL, kind TEXT NOT NULL,
    name TEXT NOT NULL, state TEXT NOT NULL, class TEXT, note TEXT, trusted TEXT, trusted_text TEXT, candidate TEXT,
    candidate_text TEXT, first_seen INTEGER NOT NULL, seen_at INTEGER NOT NULL, decided_at INTEGER, decided_by TEXT) STRICT;
  CREATE INDEX pins_changed ON pins (changed);
  CREATE INDEX pins_connection ON pins (connection);
  `,
];

export const SCHEMA_VERSION = MIGRATIONS.length;

const versionOf = (db: Database): number => db.pragma('user_version', { simple: true }) as number;

/** Throws unless the database has the version that this program reads. */
export function assertVersion(db: Database): void {
  const version = versionOf(db);
  if (version > SCHEMA_VERSION) {
    throw new Error(`the store ${db.name} has version ${version}, this program knows up to ${SCHEMA_VERSION}`);
  }
  if (version < SCHEMA_VERSION) {
    throw new Error(
      `the store ${db.name} has version ${version}: start the gateway once to bring it to ${SCHEMA_VERSION}`,
    );
  }
}

/** Brings the database to the newest version in one transaction. Only the primary changes a store that holds something. */
export function migrate(db: Database, primary: boolean): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    const version = versionOf(db);
    if (version < SCHEMA_VERSION && (primary || version === 0)) {
      if (version === 0) db.exec('CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID');
      for (const migration of MIGRATIONS.slice(version)) db.exec(migration);
      db.pragma(`user_version = ${SCHEMA_VERSION}`);
    }
    assertVersion(db);
    db.exec('COMMIT');
  } catch (error) {
    if (db.inTransaction) db.exec('ROLLBACK');
    throw error;
  }
}
