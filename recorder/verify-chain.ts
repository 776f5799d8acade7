import { NO_HASH, decodeLink, headText, saltedDigest, sha256Bytes } from './chain.ts';
import type { Head, Link } from './chain.ts';
import type { Db } from './store.ts';
import type { Entry } from './types.ts';
import type { Complain } from './problem.ts';

interface EntryRow {
  readonly id: number;
  readonly writer: number;
  readonly seq: number;
  readonly at: number;
  readonly type: string;
  readonly ref: string | null;
  readonly canonical: Buffer;
  readonly hash: Buffer;
  readonly writer_id: string | null;
  readonly body: Buffer | null;
  readonly salt: Buffer | null;
}

/** An entry whose own bytes were read; what else was wrong with it has been said. */
export interface ReadEntry {
  readonly id: number;
  readonly entry: Entry;
  readonly body: Buffer | undefined;
}

/** Follows every writer's chain through the entries, in the order in which they were committed. */
export class ChainAudit {
  /** Last entry met of each writer. */
  readonly heads = new Map<string, Head>();
  readonly #db: Db;
  readonly #complain: Complain;
  /** Last entry of each writer that another writer's first entry names. */
  readonly #namedHeads = new Map<string, number>();
  #lastId = 0;
  #bodies = 0;
  #salts = 0;

  constructor(db: Db, complain: Complain) {
    this.#db = db;
    this.#complain = complain;
  }

  /** Reads all entries and answers how many there are. */
  run(each: (read: ReadEntry) => void): number {
    const rows = this.#db.prepare<[], EntryRow>(
      `SELECT e.*, w.id AS writer_id, b.body, s.salt FROM entries e LEFT JOIN writers w ON w.number = e.writer
         LEFT JOIN bodies b ON b.entry = e.id LEFT JOIN salts s ON s.entry = e.id ORDER BY e.id`,
    );
    let count = 0;
    for (const row of rows.iterate()) {
      count++;
      if (row.body !== null) this.#bodies++;
      if (row.salt !== null) this.#salts++;
      const read = this.#read(row);
      if (read !== undefined) each(read);
    }
    return count;
  }

  /** What no entry accounts for. */
  end(): void {
    for (const [table, seen] of [
      ['bodies', this.#bodies],
      ['salts', this.#salts],
    ] as const) {
      if ((this.#db.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number) === seen) continue;
      const orphan = this.#db
        .prepare(`SELECT entry FROM ${table} WHERE entry NOT IN (SELECT id FROM entries) LIMIT 1`)
        .pluck()
        .get();
      this.#complain('forged', `${table} row ${String(orphan)}`, 'belongs to no entry');
    }
    const writers = this.#db.prepare('SELECT id, seq, hash, named FROM writers ORDER BY number').all() as {
      id: string;
      seq: number;
      hash: Buffer;
      named: number;
    }[];
    for (const { id, seq, hash, named } of writers) {
      const head = this.heads.get(id);
      if (named !== (this.#namedHeads.get(id) === head?.seq ? 1 : 0)) {
        this.#complain('altered', `writer ${id}`, 'it is not said rightly whether a later writer names its last entry');
      }
      if (head?.seq === seq && head.hash === hash.toString('hex')) continue;
      const behind = (head?.seq ?? 0) < seq;
      this.#complain(
        behind ? 'cut' : 'altered',
        `entry ${behind ? (head?.seq ?? 0) + 1 : seq} of writer ${id}`,
        `the store names entry ${seq} as the writer's last, its chain ends with ${head?.seq ?? 0}`,
      );
    }
  }

  #read(row: EntryRow): ReadEntry | undefined {
    const link = decodeLink(row.canonical);
    if (link === undefined) {
      this.#complain('altered', `entry ${row.seq} of writer ${row.writer_id}`, 'its canonical bytes cannot be read');
      return undefined;
    }
    const writer = link.writer.toString('hex');
    const record = `entry ${link.seq} of writer ${writer}`;
    const hash = sha256Bytes(row.canonical);
    if (!hash.equals(row.hash)) this.#complain('altered', record, 'its bytes do not have the stored hash');
    if (this.#follow(row, link, writer, record) && row.id !== this.#lastId + 1) {
      this.#complain('missing', `entry row ${this.#lastId + 1}`, `the next one found is ${row.id}, ${record}`);
    }
    this.#lastId = row.id;
    this.heads.set(writer, { seq: link.seq, hash: row.hash.toString('hex') });
    const entry = this.#parse(link, record);
    if (entry === undefined) return undefined;
    this.#columns(row, link, entry, record);
    if (entry.type === 'writer.started') this.#named(entry.heads, record);
    this.#body(row, link, record);
    return { id: row.id, entry, body: row.body ?? undefined };
  }

  /** False when the entry is not the one that was to come; then that has been said. */
  #follow(row: EntryRow, link: Link, writer: string, record: string): boolean {
    const last = this.heads.get(writer);
    const expected = (last?.seq ?? 0) + 1;
    if (link.seq === expected) {
      const previous = last === undefined ? NO_HASH.toString('hex') : last.hash;
      if (link.previous.toString('hex') !== previous) {
        this.#complain('altered', record, 'it does not follow from the entry before it');
      }
      return true;
    }
    const elsewhere = this.#db
      .prepare('SELECT count(*) FROM entries WHERE writer = ? AND seq = ? AND id <> ?')
      .pluck()
      .get(row.writer, expected, row.id) as number;
    if (link.seq < expected || elsewhere > 0)
      this.#complain('reordered', record, `entry ${expected} was expected here`);
    else this.#complain('missing', `entry ${expected} of writer ${writer}`, `the next one found is ${link.seq}`);
    return false;
  }

  #parse(link: Link, record: string): Entry | undefined {
    try {
      return JSON.parse(link.json.toString()) as Entry;
    } catch (error) {
      this.#complain('altered', record, (error as Error).message);
      return undefined;
    }
  }

  #columns(row: EntryRow, link: Link, entry: Entry, record: string): void {
    const ref = 'id' in entry ? entry.id : null;
    const agrees =
      row.writer_id === link.writer.toString('hex') &&
      row.seq === link.seq &&
      row.at === entry.at &&
      row.type === entry.type &&
      row.ref === ref;
    if (!agrees) this.#complain('altered', record, 'its columns disagree with its bytes');
  }

  #named(heads: Readonly<Record<string, string>>, record: string): void {
    for (const [writer, text] of Object.entries(heads)) {
      const head = this.heads.get(writer);
      if (head !== undefined) this.#namedHeads.set(writer, head.seq);
      if (head === undefined) this.#complain('missing', `writer ${writer}`, `${record} names its entry ${text}`);
      else if (headText(head) !== text) {
        this.#complain(
          'altered',
          `entry ${head.seq} of writer ${writer}`,
          `${record} names ${text} as the last before it`,
        );
      }
    }
  }

  #body(row: EntryRow, link: Link, record: string): void {
    if (link.digest === undefined) {
      if (row.body !== null || row.salt !== null)
        this.#complain('forged', `body of ${record}`, 'the entry came without one');
    } else if (row.body === null || row.salt === null) {
      this.#complain(
        'missing',
        `body of ${record}`,
        `its ${row.body === null ? 'bytes' : 'salt'} are not in the store`,
      );
    } else if (!saltedDigest(row.salt, row.body).equals(link.digest)) {
      this.#complain('altered', `body of ${record}`, 'it does not have the digest that the entry names');
    }
  }
}
