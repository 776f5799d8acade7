import type { Ledger } from './ledger.ts';
import type { Keys } from './keys.ts';
import { assertMove, final } from './review-states.ts';
import { ReviewsTable } from './reviews-table.ts';
import type { ReviewRow } from './reviews-table.ts';
import type { Db } from './store.ts';
import type { Entry, Review, ReviewChange, ReviewDraft, ReviewFilter, ReviewState, Vote } from './types.ts';

type Changed = Pick<Extract<Entry, { type: 'review.changed' }>, 'by' | 'reason'>;

export interface DeskOptions {
  readonly db: Db;
  readonly ledger: Ledger;
  readonly keys: Keys;
  /** Told of each review after its change is committed. */
  readonly changed: (review: Review) => void;
}

/** Most reviews one list answers. */
const LIST_LIMIT = 1000;

/** Changes reviews: each change a compare-and-set in one transaction with its entry in the chain. Runs in the writer thread. */
export class ReviewDesk {
  readonly #db: Db;
  readonly #ledger: Ledger;
  readonly #keys: Keys;
  readonly #table: ReviewsTable;
  readonly #told: (review: Review) => void;
  #untold: Review[] = [];

  constructor({ db, ledger, keys, changed }: DeskOptions) {
    this.#db = db;
    this.#ledger = ledger;
    this.#keys = keys;
    this.#table = new ReviewsTable(db);
    this.#told = changed;
  }

  attach(draft: ReviewDraft): { review: Review; created: boolean } {
    return this.#transact(() => {
      const now = Date.now();
      const candidates = this.#db
        .prepare<[string, string, string], ReviewRow>(
          `SELECT * FROM reviews WHERE fingerprint = ? AND issuer = ? AND subject = ?
             AND state IN ('PENDING', 'APPROVED', 'PROCESSING', 'EXECUTED') ORDER BY changed DESC`,
        )
        .all(draft.fingerprint, draft.owner.issuer, draft.owner.subject);
      for (const row of candidates) {
        if (this.#overdue(row, now)) continue;
        const review = this.#table.value(row);
        if (row.state !== 'EXECUTED' || (review.resultWaiting && row.expires_at > now))
          return { review, created: false };
      }
      this.#table.insert(draft, now);
      this.#table.putSealed(draft.id, 'message', draft.message, this.#keys);
      return { review: this.#record(draft.id, null, 'PENDING', now, {}), created: true };
    });
  }

  get(id: string): Review | undefined {
    const row = this.#table.row(id);
    return row === undefined ? undefined : this.#table.value(row);
  }

  ofSession(session: string): Review | undefined {
    const rows = this.#db
      .prepare<[string, string], ReviewRow>('SELECT * FROM reviews WHERE session = ? OR execution_session = ? LIMIT 2')
      .all(session, session);
    return rows.length === 1 ? this.#table.value(rows[0]!) : undefined;
  }

  list({ states, owner, limit }: ReviewFilter): Review[] {
    const rows = this.#db
      .prepare<[{ states: string | null; issuer: string | null; subject: string | null; limit: number }], ReviewRow>(
        `SELECT * FROM reviews WHERE (:states IS NULL OR state IN (SELECT value FROM json_each(:states)))
           AND (:issuer IS NULL OR (issuer = :issuer AND subject = :subject))
         ORDER BY created_at DESC, rowid DESC LIMIT :limit`,
      )
      .all({
        states: states === undefined ? null : JSON.stringify(states),
        issuer: owner?.issuer ?? null,
        subject: owner?.subject ?? null,
        limit: Math.min(limit ?? LIST_LIMIT, LIST_LIMIT),
      });
    return rows.map((row) => this.#table.value(row));
  }

  move(id: string, from: ReviewState, to: ReviewState, change: ReviewChange): Review | undefined {
    assertMove(from, to);
    return this.#transact(() => {
      const now = Date.now();
      const row = this.#table.row(id);
      if (row === undefined || row.state !== from) return undefined;
      // A decision that comes after the last moment is as if `expire` had been faster.
      if ((to === 'APPROVED' || to === 'PROCESSING') && this.#overdue(row, now)) return undefined;
      if (change.vote !== undefined && !this.#table.addVote(id, change.vote)) return undefined;
      return this.#set(id, from, to, now, change);
    });
  }

  vote(id: string, vote: Vote): Review | undefined {
    return this.#transact(() => {
      const row = this.#table.row(id);
      if (row?.state !== 'PENDING' || this.#overdue(row, vote.at) || !this.#table.addVote(id, vote)) return undefined;
      return this.#record(id, 'PENDING', 'PENDING', vote.at, vote);
    });
  }

  message(id: string): Buffer {
    const state = this.#table.row(id)?.state;
    if (state !== 'APPROVED' && state !== 'PROCESSING') throw new Error(`the review ${id} is not being executed`);
    const message = this.#table.openSealed(id, 'message', this.#keys);
    if (message === undefined) throw new Error(`the message of the review ${id} is gone`);
    return message;
  }

  takeResult(id: string): Buffer | undefined {
    return this.#transact(() => {
      const now = Date.now();
      const row = this.#table.row(id);
      if (row?.state !== 'EXECUTED' || row.expires_at <= now) return undefined;
      const result = this.#table.openSealed(id, 'result', this.#keys);
      if (result === undefined) return undefined;
      this.#table.eraseSealed(id, 'result');
      this.#record(id, 'EXECUTED', 'EXECUTED', now, { reason: 'the waiting result was taken' });
      return result;
    });
  }

  expire(now: number): string[] {
    const overdue = this.#db
      .prepare<[number], ReviewRow>(`SELECT * FROM reviews WHERE state IN ('PENDING', 'APPROVED') AND expires_at <= ?`)
      .all(now);
    const stale = this.#db
      .prepare<[number], string>(
        `SELECT id FROM reviews JOIN review_messages ON review = id AND part = 'result' WHERE state = 'EXECUTED' AND expires_at <= ?`,
      )
      .pluck()
      .all(now);
    if (overdue.length + stale.length === 0) return [];
    return this.#transact(() => {
      for (const id of stale) {
        this.#table.eraseSealed(id, 'result');
        this.#record(id, 'EXECUTED', 'EXECUTED', now, { reason: 'the waiting result expired' });
      }
      return overdue.filter(({ id }) => this.#overdue(this.#table.row(id)!, now)).map(({ id }) => id);
    });
  }

  /** Settles the runs that the death of a gateway interrupted: they may have happened, so they never happen again. */
  settle(now: number): void {
    const interrupted = this.#db.prepare<[], string>(`SELECT id FROM reviews WHERE state = 'PROCESSING'`).pluck().all();
    for (const id of interrupted) {
      this.#transact(() =>
        this.#set(id, 'PROCESSING', 'EXECUTED', now, {
          outcome: 'unknown',
          reason: 'the gateway ended during the run',
        }),
      );
    }
  }

  /** Expires the review when its time has come; inside a transaction. */
  #overdue(row: ReviewRow, now: number): boolean {
    if ((row.state !== 'PENDING' && row.state !== 'APPROVED') || row.expires_at > now) return false;
    this.#set(row.id, row.state, 'EXPIRED', now, {});
    return true;
  }

  #set(id: string, from: ReviewState, to: ReviewState, now: number, change: ReviewChange): Review {
    this.#db
      .prepare(
        `UPDATE reviews SET state = :to, decided_at = coalesce(decided_at, :decided), executed_at = :executed,
           outcome = :outcome, execution_session = CASE WHEN :keep THEN coalesce(:session, execution_session) END
         WHERE id = :id AND state = :from`,
      )
      .run({
        id,
        from,
        to,
        decided: to === 'APPROVED' || to === 'REJECTED' ? now : null,
        executed: to === 'EXECUTED' ? now : null,
        outcome: to === 'EXECUTED' ? (change.outcome ?? 'unknown') : null,
        // A run that never began leaves no session behind.
        keep: to === 'PROCESSING' || to === 'EXECUTED' ? 1 : 0,
        session: change.executionSession ?? null,
      });
    if (final(to)) this.#table.eraseSealed(id, 'message');
    if (to === 'EXECUTED' && change.result !== undefined)
      this.#table.putSealed(id, 'result', change.result, this.#keys);
    return this.#record(id, from, to, now, change);
  }

  /** The entry of a change; the review as it is now rides along as its body. */
  #record(id: string, from: ReviewState | null, to: ReviewState, at: number, { by, reason }: Changed): Review {
    const entry: Entry = {
      type: 'review.changed',
      at,
      id,
      from,
      to,
      ...(by === undefined ? {} : { by }),
      ...(reason === undefined ? {} : { reason }),
    };
    const row = this.#table.row(id)!;
    const changed = this.#ledger.append(entry, this.#table.evidence(row));
    this.#db.prepare('UPDATE reviews SET changed = ? WHERE id = ?').run(changed, id);
    const review = this.#table.value(row);
    this.#untold.push(review);
    return review;
  }

  #transact<T>(change: () => T): T {
    this.#untold = [];
    const result = this.#ledger.transact(change);
    for (const review of this.#untold) this.#told(review);
    return result;
  }
}
