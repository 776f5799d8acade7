import { randomBytes } from 'node:crypto';
import { NO_HASH, Salts, encodeLink, headText, saltedDigest, sha256Bytes } from './chain.ts';
import type { Head } from './chain.ts';
import type { Db, Statement } from './store.ts';
import type { Entry } from './types.ts';

/** This process's chain in the store. Entries are added inside `transact` only, so rows and chain never disagree. */
export class Ledger {
  readonly writer: Buffer = randomBytes(16);
  readonly #db: Db;
  readonly #version: string;
  readonly #salts = new Salts();
  readonly #entry: Statement;
  readonly #body: Statement;
  readonly #salt: Statement;
  readonly #newest: Statement;
  readonly #own: Statement;
  readonly #advance: Statement;
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #rollback: Statement;
  #number = 0;
  #seq = 0;
  #previous = NO_HASH;
  /** Id of the newest entry of all writers, while a transaction is open. */
  #newestId = 0;
  #appended = 0;

  constructor(db: Db, version: string) {
    this.#db = db;
    this.#version = version;
    this.#entry = db.prepare(
      'INSERT INTO entries (id, writer, seq, at, type, ref, canonical, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    );
    this.#body = db.prepare('INSERT INTO bodies (entry, body) VALUES (?, ?)');
    this.#salt = db.prepare('INSERT INTO salts (entry, salt) VALUES (?, ?)');
    this.#newest = db.prepare('SELECT max(id) FROM entries').pluck();
    this.#own = db.prepare('SELECT number, seq, hash FROM writers WHERE id = ?');
    this.#advance = db.prepare('UPDATE writers SET seq = ?, hash = ?, named = 0 WHERE number = ?');
    this.#begin = db.prepare('BEGIN IMMEDIATE');
    this.#commit = db.prepare('COMMIT');
    this.#rollback = db.prepare('ROLLBACK');
  }

  /** True once this process has written an entry. */
  get started(): boolean {
    return this.#seq > 0;
  }

  get number(): number {
    return this.#number;
  }

  /** Entries this process has committed; tells when a checkpoint is due. */
  get appended(): number {
    return this.#appended;
  }

  /** Runs `change` in one transaction: all of it, with its entries, or nothing. */
  transact<T>(change: () => T): T {
    this.#begin.run();
    const before = this.#seq;
    try {
      this.#newestId = (this.#newest.get() as number | null) ?? 0;
      const result = change();
      if (this.#seq > before) this.#advance.run(this.#seq, this.#previous, this.#number);
      this.#commit.run();
      this.#appended += this.#seq - before;
      return result;
    } catch (error) {
      if (this.#db.inTransaction) this.#rollback.run();
      this.#reload();
      throw error;
    }
  }

  /** Writes the first entry of this process's chain, unless it is there. */
  begin(at: number): void {
    if (this.#seq === 0) this.#start(at);
  }

  /** Adds an entry of this process's own making. */
  append(entry: Entry, body?: Uint8Array): number {
    return this.add(entry, Buffer.from(JSON.stringify(entry)), body);
  }

  /** Adds an entry whose JSON text is `json`, and answers its id in the store. */
  add(entry: Entry, json: Buffer, body: Uint8Array | undefined): number {
    this.begin(entry.at);
    return this.#link(entry, json, body);
  }

  #link(entry: Entry, json: Buffer, body: Uint8Array | undefined): number {
    const id = ++this.#newestId;
    const seq = this.#seq + 1;
    let digest: Buffer | undefined;
    if (body !== undefined) {
      const salt = this.#salts.next();
      digest = saltedDigest(salt, body);
      this.#body.run(id, body);
      this.#salt.run(id, salt);
    }
    const canonical = encodeLink({ writer: this.writer, seq, previous: this.#previous, digest, json });
    const hash = sha256Bytes(canonical);
    this.#entry.run(id, this.#number, seq, entry.at, entry.type, 'id' in entry ? entry.id : null, canonical, hash);
    this.#seq = seq;
    this.#previous = hash;
    return id;
  }

  /** The first entry names the heads that nobody has named yet: whatever those name is covered through them. */
  #start(at: number): void {
    const others = unnamedHeads(this.#db);
    this.#db.prepare('UPDATE writers SET named = 1 WHERE named = 0').run();
    const insert = this.#db.prepare('INSERT INTO writers (id, seq, hash, named) VALUES (?, 0, ?, 0)');
    this.#number = Number(insert.run(this.writer.toString('hex'), NO_HASH).lastInsertRowid);
    const heads = Object.fromEntries(Object.entries(others).map(([writer, head]) => [writer, headText(head)]));
    const entry: Entry = { type: 'writer.started', at, version: this.#version, heads };
    this.#link(entry, Buffer.from(JSON.stringify(entry)), undefined);
  }

  /** After a failure the store alone says where the chain stands. */
  #reload(): void {
    const row = this.#own.get(this.writer.toString('hex')) as { number: number; seq: number; hash: Buffer } | undefined;
    this.#number = row?.number ?? 0;
    this.#seq = row?.seq ?? 0;
    this.#previous = row?.hash ?? NO_HASH;
  }
}

/** Heads of the chains that no later chain has named in its first entry. */
export function unnamedHeads(db: Db): Record<string, Head> {
  const rows = db.prepare('SELECT id, seq, hash FROM writers WHERE named = 0 ORDER BY number').all() as {
    id: string;
    seq: number;
    hash: Buffer;
  }[];
  return Object.fromEntries(rows.map(({ id, seq, hash }) => [id, { seq, hash: hash.toString('hex') }]));
}
