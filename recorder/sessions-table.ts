import { CANONICAL_HEADER } from './chain.ts';
import type { Db } from './store.ts';
import type { Entry, ExchangeRecord, SessionFilter, SessionSummary } from './types.ts';

type Of<T extends Entry['type']> = Extract<Entry, { type: T }>;

interface SessionRow {
  readonly id: string;
  readonly opening: Buffer;
  readonly closed_at: number | null;
  readonly exchanges: number;
}

interface ExchangeRow {
  readonly id: string;
  readonly opening: Buffer;
  readonly closing: Buffer | null;
  readonly request: Buffer | null;
  readonly response: Buffer | null;
}

interface MessageRow {
  readonly canonical: Buffer;
  readonly body: Buffer | null;
}

const LIST_LIMIT = 1000;

const SUMMARY = `SELECT s.id, o.canonical AS opening, c.at AS closed_at,
    (SELECT count(*) FROM exchanges x WHERE x.session = s.id) AS exchanges
  FROM sessions s JOIN entries o ON o.id = s.opened LEFT JOIN entries c ON c.id = s.closed`;

const FILTER = `WHERE (:connection IS NULL OR s.connection = :connection)
  AND (:issuer IS NULL OR (s.issuer = :issuer AND s.subject = :subject))`;

/** What is shown is read out of the entries themselves; the columns beside them only find it. */
const entryOf = <T extends Entry['type']>(canonical: Buffer): Of<T> =>
  JSON.parse(canonical.toString('utf8', CANONICAL_HEADER)) as Of<T>;

/** Reads sessions and their exchanges. */
export class SessionsTable {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  list({ owner, connection, limit, offset }: SessionFilter): { total: number; items: SessionSummary[] } {
    const filter = { connection: connection ?? null, issuer: owner?.issuer ?? null, subject: owner?.subject ?? null };
    const total = this.#db.prepare(`SELECT count(*) FROM sessions s ${FILTER}`).pluck().get(filter) as number;
    const rows = this.#db
      .prepare(`${SUMMARY} ${FILTER} ORDER BY s.opened DESC LIMIT :limit OFFSET :offset`)
      .all({ ...filter, limit: Math.min(limit ?? 100, LIST_LIMIT), offset: offset ?? 0 }) as SessionRow[];
    return { total, items: rows.map(summaryOf) };
  }

  get(id: string): SessionSummary | undefined {
    const row = this.#db.prepare(`${SUMMARY} WHERE s.id = ?`).get(id) as SessionRow | undefined;
    return row === undefined ? undefined : summaryOf(row);
  }

  exchanges(id: string): ExchangeRecord[] {
    return this.#read('WHERE x.session = ? ORDER BY x.opened', id);
  }

  /** One exchange by its id; with an owner only one of his sessions. There is no index of ids: calls would pay for it. */
  exchange(id: string, owner?: SessionFilter['owner']): ExchangeRecord | undefined {
    const own =
      'SELECT x.session FROM sessions s JOIN exchanges x ON x.session = s.id WHERE s.issuer = ? AND s.subject = ? AND x.id = ?';
    const session = (
      owner === undefined
        ? this.#db.prepare('SELECT session FROM exchanges WHERE id = ?').pluck().get(id)
        : this.#db.prepare(own).pluck().get(owner.issuer, owner.subject, id)
    ) as string | undefined;
    return session === undefined ? undefined : this.#read('WHERE x.session = ? AND x.id = ?', session, id)[0];
  }

  #read(where: string, ...of: readonly string[]): ExchangeRecord[] {
    const rows = this.#db
      .prepare(
        `SELECT x.id, o.canonical AS opening, c.canonical AS closing, q.body AS request, a.body AS response
         FROM exchanges x JOIN entries o ON o.id = x.opened LEFT JOIN entries c ON c.id = x.closed
           LEFT JOIN bodies q ON q.entry = x.opened LEFT JOIN bodies a ON a.entry = x.closed
         ${where}`,
      )
      .all(...of) as ExchangeRow[];
    const messages = this.#db.prepare<[string], MessageRow>(
      `SELECT e.canonical, b.body FROM messages m JOIN entries e ON e.id = m.entry LEFT JOIN bodies b ON b.entry = m.entry
       WHERE m.exchange = ? ORDER BY m.entry`,
    );
    return rows.map((row) => exchangeOf(row, messages.all(row.id)));
  }
}

function summaryOf(row: SessionRow): SessionSummary {
  const { id, connection, principal, client, protocol, at } = entryOf<'session.opened'>(row.opening);
  return {
    id,
    connection,
    principal,
    ...(client === undefined ? {} : { client }),
    ...(protocol === undefined ? {} : { protocol }),
    openedAt: at,
    ...(row.closed_at === null ? {} : { closedAt: row.closed_at }),
    exchanges: row.exchanges,
  };
}

function exchangeOf(row: ExchangeRow, messages: readonly MessageRow[]): ExchangeRecord {
  const { type: _, at: openedAt, ...opened } = entryOf<'exchange.opened'>(row.opening);
  return {
    ...opened,
    openedAt,
    ...(row.closing === null ? { findings: opened.decision.findings } : outcomeOf(row.closing)),
    ...(row.request === null ? {} : { request: row.request.toString() }),
    ...(row.response === null ? {} : { response: row.response.toString() }),
    messages: messages.flatMap(({ canonical, body }) => {
      const { at, direction, parts } = entryOf<'exchange.message'>(canonical);
      return partsOf(body, parts).map((part) => ({ at, direction, body: part }));
    }),
  };
}

/** Messages that came together lie in one body, one behind the other. */
function partsOf(body: Buffer | null, parts: readonly number[] | undefined): readonly string[] {
  if (body === null || parts === undefined) return [body?.toString() ?? ''];
  let at = 0;
  return parts.map((length) => body.toString('utf8', at, (at += length)));
}

function outcomeOf(closing: Buffer): Omit<Of<'exchange.closed'>, 'type' | 'at' | 'id'> & { closedAt: number } {
  const { type: _, at: closedAt, id: __, ...closed } = entryOf<'exchange.closed'>(closing);
  return { ...closed, closedAt };
}
