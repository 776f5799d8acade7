import { pinEvidence } from './pins-table.ts';
import type { PinRow } from './pins-table.ts';
import { ReviewsTable } from './reviews-table.ts';
import type { ReviewRow } from './reviews-table.ts';
import type { Db, Statement } from './store.ts';
import { tokenEvidence } from './tokens-table.ts';
import type { TokenRow } from './tokens-table.ts';
import type { Entry } from './types.ts';
import type { ReadEntry } from './verify-chain.ts';
import type { Complain } from './problem.ts';

type Of<T extends Entry['type']> = Extract<Entry, { type: T }>;

interface Opened {
  readonly id: number;
  readonly entry: Of<'exchange.opened'>;
}

const COUNTED = ['sessions', 'exchanges', 'messages', 'reviews', 'tokens', 'pins'] as const;
type Counted = (typeof COUNTED)[number];

/** Rows that no entry made: searched for only when there are more rows than entries account for. */
const STRANGERS: Readonly<Record<Counted, string>> = {
  sessions: `SELECT t.id FROM sessions t LEFT JOIN entries e ON e.id = t.opened WHERE e.ref IS NOT t.id OR e.type <> 'session.opened'`,
  exchanges: `SELECT t.id FROM exchanges t LEFT JOIN entries e ON e.id = t.opened WHERE e.ref IS NOT t.id OR e.type <> 'exchange.opened'`,
  messages: `SELECT t.exchange FROM messages t LEFT JOIN entries e ON e.id = t.entry WHERE e.ref IS NOT t.exchange OR e.type <> 'exchange.message'`,
  reviews: `SELECT t.id FROM reviews t LEFT JOIN entries e ON e.id = t.changed WHERE e.ref IS NOT t.id OR e.type <> 'review.changed'`,
  tokens: `SELECT t.id FROM tokens t LEFT JOIN entries e ON e.id = t.changed WHERE e.ref IS NOT t.id OR e.type <> 'token.changed'`,
  pins: `SELECT t.id FROM pins t LEFT JOIN entries e ON e.id = t.changed WHERE e.ref IS NOT t.id OR e.type <> 'pin.changed'`,
};

/** Checks the rows that people are shown, or that lead to them, against the entries that made them. */
export class RowAudit {
  readonly #db: Db;
  readonly #complain: Complain;
  readonly #reviewsTable: ReviewsTable;
  readonly #exchange: Statement;
  readonly #session: Statement;
  readonly #message: Statement;
  readonly #token: Statement;
  readonly #pin: Statement;
  /** Exchanges whose outcome was not met yet. */
  readonly #open = new Map<string, Opened>();
  readonly #met: Record<Counted, number> = { sessions: 0, exchanges: 0, messages: 0, reviews: 0, tokens: 0, pins: 0 };
  #closedSessions = 0;

  constructor(db: Db, complain: Complain) {
    this.#db = db;
    this.#complain = complain;
    this.#reviewsTable = new ReviewsTable(db);
    this.#exchange = db.prepare('SELECT * FROM exchanges WHERE session = ? AND opened = ?');
    this.#session = db.prepare('SELECT * FROM sessions WHERE id = ?');
    this.#message = db.prepare('SELECT 1 FROM messages WHERE exchange = ? AND entry = ?').pluck();
    this.#token = db.prepare('SELECT * FROM tokens WHERE id = ?');
    this.#pin = db.prepare('SELECT * FROM pins WHERE id = ?');
  }

  entry({ id, entry, body }: ReadEntry): void {
    switch (entry.type) {
      case 'exchange.opened':
        this.#open.set(entry.id, { id, entry });
        break;
      case 'exchange.closed':
        this.#closeExchange(entry, id);
        break;
      case 'exchange.message':
        if (this.#message.get(entry.id, id) === undefined)
          this.#complain('missing', `message of exchange ${entry.id}`, `entry row ${id} has no row`);
        else this.#met.messages++;
        break;
      case 'session.opened':
        this.#openSession(entry, id);
        break;
      case 'session.closed':
        this.#closeSession(entry, id);
        break;
      case 'review.changed':
        this.#review(entry.id, id, body);
        break;
      case 'token.changed':
        this.#tokenChange(entry.id, id, body);
        break;
      case 'pin.changed':
        this.#pinChange(entry.id, id, body);
        break;
      default:
        break;
    }
  }

  /** What no entry accounts for. */
  end(): void {
    for (const opened of this.#open.values()) this.#compareExchange(opened, null, null);
    for (const table of COUNTED) this.#count(table);
    const closed = this.#db.prepare('SELECT count(*) FROM sessions WHERE closed IS NOT NULL').pluck().get() as number;
    if (closed !== this.#closedSessions) {
      const search = `SELECT t.id FROM sessions t LEFT JOIN entries e ON e.id = t.closed
        WHERE t.closed IS NOT NULL AND (e.ref IS NOT t.id OR e.type <> 'session.closed')`;
      this.#complain('altered', `session ${String(this.#db.prepare(search).pluck().get())}`, 'no entry closed it');
    }
    for (const [table, column] of [
      ['review_votes', 'vote'],
      ['review_messages', 'sealed part'],
    ] as const) {
      const stray = this.#db
        .prepare(`SELECT review FROM ${table} WHERE review NOT IN (SELECT id FROM reviews) LIMIT 1`)
        .pluck()
        .get();
      if (stray !== undefined) this.#complain('forged', `review ${String(stray)}`, `has a ${column} but no row`);
    }
  }

  #count(table: Counted): void {
    const rows = this.#db.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number;
    if (rows <= this.#met[table]) return;
    const stranger = this.#db.prepare(`${STRANGERS[table]} LIMIT 1`).pluck().get() as string | undefined;
    const detail = `${rows} rows, but the entries account for ${this.#met[table]}`;
    this.#complain('forged', stranger === undefined ? `table ${table}` : `${table} row ${stranger}`, detail);
  }

  #closeExchange(entry: Of<'exchange.closed'>, id: number): void {
    const opened = this.#open.get(entry.id);
    // A second outcome stays in the chain only: the first one counts.
    if (opened === undefined) return;
    this.#open.delete(entry.id);
    this.#compareExchange(opened, id, entry.outcome);
  }

  #compareExchange({ id, entry }: Opened, closed: number | null, outcome: string | null): void {
    const { session, connection, kind, name, decision } = entry;
    const row = this.#exchange.get(session, id);
    if (row === undefined) {
      this.#complain('missing', `exchange ${entry.id}`, 'it has entries but no row');
      return;
    }
    this.#met.exchanges++;
    const expected = {
      session,
      opened: id,
      id: entry.id,
      closed,
      connection,
      kind,
      name,
      action: decision.action,
      outcome,
    };
    this.#compare(`exchange ${entry.id}`, row, expected);
  }

  #openSession(entry: Of<'session.opened'>, id: number): void {
    const row = this.#session.get(entry.id) as { opened: number; closed: number | null } | undefined;
    if (row === undefined) {
      this.#complain('missing', `session ${entry.id}`, 'it has entries but no row');
      return;
    }
    // Opened once more: the first time counts, and was met if it is true.
    if (row.opened < id) return;
    this.#met.sessions++;
    const { issuer, subject } = entry.principal;
    const expected = { id: entry.id, opened: id, closed: row.closed, connection: entry.connection, issuer, subject };
    this.#compare(`session ${entry.id}`, row, expected);
  }

  #closeSession(entry: Of<'session.closed'>, id: number): void {
    const row = this.#session.get(entry.id) as { closed: number | null } | undefined;
    if (row === undefined) return;
    if (row.closed === id) this.#closedSessions++;
    else if (row.closed === null || row.closed > id) {
      this.#complain('altered', `session ${entry.id}`, `entry row ${id} closed it, its row does not say so`);
    }
  }

  #review(ref: string, id: number, body: Buffer | undefined): void {
    const row = this.#reviewsTable.row(ref);
    if (this.#stale('reviews', `review ${ref}`, row, id)) return;
    this.#met.reviews++;
    this.#proof(`review ${ref}`, body, this.#reviewsTable.evidence(row as ReviewRow));
  }

  #tokenChange(ref: string, id: number, body: Buffer | undefined): void {
    const row = this.#token.get(ref) as TokenRow | undefined;
    if (this.#stale('tokens', `token ${ref}`, row, id)) return;
    this.#met.tokens++;
    this.#proof(`token ${ref}`, body, tokenEvidence(row as TokenRow));
  }

  #pinChange(ref: string, id: number, body: Buffer | undefined): void {
    const row = this.#pin.get(ref) as PinRow | undefined;
    if (this.#stale('pins', `pin ${ref}`, row, id)) return;
    this.#met.pins++;
    this.#proof(`pin ${ref}`, body, pinEvidence(row as PinRow));
  }

  /** True unless this entry is the one that the row says it was last changed by. */
  #stale(table: Counted, record: string, row: { readonly changed: number } | undefined, id: number): boolean {
    if (row === undefined) this.#complain('missing', record, `it has entries but no row in ${table}`);
    else if (row.changed < id) this.#complain('altered', record, 'its row is older than its newest entry');
    return row?.changed !== id;
  }

  #proof(record: string, body: Buffer | undefined, evidence: Buffer): void {
    // A body that is gone has been reported with its entry.
    if (body !== undefined && !body.equals(evidence))
      this.#complain('altered', record, 'its row disagrees with its newest entry');
  }

  #compare(record: string, row: unknown, expected: Readonly<Record<string, unknown>>): void {
    const found = row as Readonly<Record<string, unknown>>;
    for (const [column, value] of Object.entries(expected)) {
      if (found[column] !== value) this.#complain('altered', record, `its ${column} disagrees with its entries`);
    }
  }
}
