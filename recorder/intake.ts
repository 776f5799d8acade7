import type { Frame } from './frames.ts';
import type { Ledger } from './ledger.ts';
import type { Db, Statement } from './store.ts';
import type { Entry } from './types.ts';

type Opened = Extract<Entry, { type: 'exchange.opened' }>;
type Closed = Extract<Entry, { type: 'exchange.closed' }>;

/** Where the row of an open exchange lies. */
interface OpenExchange {
  readonly session: string;
  readonly opened: number;
}

/** Turns entries into rows, beside their chain. Runs inside the ledger's transaction. */
export class Intake {
  readonly #ledger: Ledger;
  readonly #openRows: Statement;
  readonly #exchange: Statement;
  readonly #close: Statement;
  readonly #message: Statement;
  readonly #session: Statement;
  readonly #sessionEnd: Statement;
  /** Exchanges with a row that waits for its outcome. */
  #open = new Map<string, OpenExchange>();
  /** Exchanges opened in this batch: most of them are closed in it too, and then inserted once. */
  readonly #fresh = new Map<string, { readonly entry: Opened; readonly opened: number }>();

  constructor(db: Db, ledger: Ledger) {
    this.#ledger = ledger;
    this.#openRows = db.prepare('SELECT id, session, opened FROM exchanges WHERE closed IS NULL');
    this.#exchange = db.prepare(
      'INSERT INTO exchanges (session, opened, id, closed, connection, kind, name, action, outcome) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
    );
    this.#close = db.prepare(
      'UPDATE exchanges SET closed = ?, outcome = ? WHERE session = ? AND opened = ? AND closed IS NULL',
    );
    this.#message = db.prepare('INSERT INTO messages (exchange, entry) VALUES (?, ?)');
    this.#session = db.prepare(
      'INSERT INTO sessions (id, opened, connection, issuer, subject) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    );
    this.#sessionEnd = db.prepare('UPDATE sessions SET closed = ? WHERE id = ? AND closed IS NULL');
    this.reload();
  }

  /** Ids of the exchanges whose outcome is not in the store. */
  get open(): readonly string[] {
    return [...this.#open.keys()];
  }

  /** The store alone says what is open: at start, and after a transaction that failed. */
  reload(): void {
    this.#fresh.clear();
    this.#open = new Map(
      (this.#openRows.all() as (OpenExchange & { id: string })[]).map(({ id, session, opened }) => [
        id,
        { session, opened },
      ]),
    );
  }

  /** Adds the entries of these frames, in their order. */
  take(frames: readonly Frame[]): void {
    for (const { entry, body } of frames) this.#row(JSON.parse(entry.toString()) as Entry, entry, body);
    this.#flush();
  }

  /** Adds one entry of this process. */
  add(entry: Entry, body: Uint8Array | undefined): void {
    this.#row(entry, Buffer.from(JSON.stringify(entry)), body);
    this.#flush();
  }

  #row(entry: Entry, json: Buffer, body: Uint8Array | undefined): void {
    const id = this.#ledger.add(entry, json, body);
    switch (entry.type) {
      case 'exchange.opened':
        this.#fresh.set(entry.id, { entry, opened: id });
        break;
      case 'exchange.closed':
        this.#closeExchange(entry, id);
        break;
      case 'exchange.message':
        this.#message.run(entry.id, id);
        break;
      case 'session.opened':
        this.#session.run(entry.id, id, entry.connection, entry.principal.issuer, entry.principal.subject);
        break;
      case 'session.closed':
        this.#sessionEnd.run(id, entry.id);
        break;
      default:
        break;
    }
  }

  #closeExchange(entry: Closed, id: number): void {
    const fresh = this.#fresh.get(entry.id);
    if (fresh !== undefined) {
      this.#fresh.delete(entry.id);
      this.#insert(fresh.entry, fresh.opened, id, entry.outcome);
      return;
    }
    const open = this.#open.get(entry.id);
    if (open === undefined) return;
    this.#close.run(id, entry.outcome, open.session, open.opened);
    this.#open.delete(entry.id);
  }

  #flush(): void {
    if (this.#fresh.size === 0) return;
    for (const { entry, opened } of this.#fresh.values()) {
      this.#insert(entry, opened, null, null);
      this.#open.set(entry.id, { session: entry.session, opened });
    }
    this.#fresh.clear();
  }

  #insert(entry: Opened, opened: number, closed: number | null, outcome: string | null): void {
    const { session, id, connection, kind, name, decision } = entry;
    this.#exchange.run(session, opened, id, closed, connection, kind, name, decision.action, outcome);
  }
}
