import { randomBytes } from 'node:crypto';
import { seal, sha256, unseal } from './keys.ts';
import type { Keys } from './keys.ts';
import type { Db } from './store.ts';
import type { Review, ReviewDraft, Vote } from './types.ts';

export interface ReviewRow {
  readonly id: string;
  readonly changed: number;
  readonly state: Review['state'];
  readonly fingerprint: string;
  readonly issuer: string;
  readonly subject: string;
  readonly owner: string;
  readonly connection: string;
  readonly kind: Review['kind'];
  readonly method: string;
  readonly name: string;
  readonly preview: string;
  readonly requirements: string;
  readonly session: string;
  readonly exchange: string;
  readonly created_at: number;
  readonly expires_at: number;
  readonly decided_at: number | null;
  readonly executed_at: number | null;
  readonly outcome: Review['outcome'] | null;
  readonly execution_session: string | null;
}

export type Part = 'message' | 'result';

interface SealedRow {
  readonly part: Part;
  readonly wrapped: Buffer;
  readonly sealed: Buffer;
}

const about = (review: string, part: Part): string => `portcullis review ${review} ${part}`;

/** Rows of reviews, their votes and sealed messages, to and from values. Reading only needs the database. */
export class ReviewsTable {
  readonly #db: Db;
  readonly #votes;
  readonly #sealed;

  constructor(db: Db) {
    this.#db = db;
    this.#votes = db
      .prepare<[string], string>('SELECT vote FROM review_votes WHERE review = ? ORDER BY number')
      .pluck();
    this.#sealed = db.prepare<[string], SealedRow>(
      'SELECT part, wrapped, sealed FROM review_messages WHERE review = ? ORDER BY part',
    );
  }

  row(id: string): ReviewRow | undefined {
    return this.#db.prepare<[string], ReviewRow>('SELECT * FROM reviews WHERE id = ?').get(id);
  }

  value(row: ReviewRow): Review {
    return {
      id: row.id,
      state: row.state,
      fingerprint: row.fingerprint,
      owner: JSON.parse(row.owner) as Review['owner'],
      connection: row.connection,
      kind: row.kind,
      method: row.method,
      name: row.name,
      preview: row.preview,
      requirements: JSON.parse(row.requirements) as Review['requirements'],
      votes: this.#votes.all(row.id).map((vote) => JSON.parse(vote) as Vote),
      session: row.session,
      exchange: row.exchange,
      createdAt: row.created_at,
      expiresAt: row.expires_at,
      ...(row.decided_at === null ? {} : { decidedAt: row.decided_at }),
      ...(row.executed_at === null ? {} : { executedAt: row.executed_at }),
      ...(row.outcome === null ? {} : { outcome: row.outcome }),
      ...(row.execution_session === null ? {} : { executionSession: row.execution_session }),
      resultWaiting: this.#sealed.all(row.id).some(({ part }) => part === 'result'),
    };
  }

  /** What the entry of a change proves of the review after it: every stored column, preview and sealed bytes by digest. */
  evidence(row: ReviewRow): Buffer {
    const { changed: _, preview, ...columns } = row;
    const votes = this.#db
      .prepare('SELECT number, issuer, subject, vote FROM review_votes WHERE review = ? ORDER BY number')
      .raw()
      .all(row.id);
    const sealed = this.#sealed.all(row.id).map(({ part, wrapped, sealed }) => [part, sha256(wrapped), sha256(sealed)]);
    return Buffer.from(JSON.stringify({ ...columns, preview: sha256(preview), votes, sealed }));
  }

  insert(draft: ReviewDraft, createdAt: number): void {
    this.#db
      .prepare(
        `INSERT INTO reviews (id, changed, state, fingerprint, issuer, subject, owner, connection, kind, method, name,
           preview, requirements, session, exchange, created_at, expires_at)
         VALUES (?, 0, 'PENDING', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        draft.id,
        draft.fingerprint,
        draft.owner.issuer,
        draft.owner.subject,
        JSON.stringify(draft.owner),
        draft.connection,
        draft.kind,
        draft.method,
        draft.name,
        draft.preview,
        JSON.stringify(draft.requirements),
        draft.session,
        draft.exchange,
        createdAt,
        draft.expiresAt,
      );
  }

  /** False when this person has voted before. */
  addVote(id: string, vote: Vote): boolean {
    const { changes } = this.#db
      .prepare(
        `INSERT INTO review_votes (review, number, issuer, subject, vote)
         SELECT :id, coalesce(max(number), 0) + 1, :issuer, :subject, :vote FROM review_votes WHERE review = :id
         ON CONFLICT (review, issuer, subject) DO NOTHING`,
      )
      .run({ id, issuer: vote.by.issuer, subject: vote.by.subject, vote: JSON.stringify(vote) });
    return changes === 1;
  }

  /** Keeps bytes under a random key of their own, which the store's key wraps: erasing the row erases both. */
  putSealed(id: string, part: Part, bytes: Uint8Array, keys: Keys): void {
    const key = randomBytes(32);
    const wrapped = keys.seal('review message', key, about(id, part));
    this.#db
      .prepare('INSERT INTO review_messages (review, part, wrapped, sealed) VALUES (?, ?, ?, ?)')
      .run(id, part, wrapped, seal(key, bytes, about(id, part)));
  }

  openSealed(id: string, part: Part, keys: Keys): Buffer | undefined {
    const row = this.#sealed.all(id).find((candidate) => candidate.part === part);
    if (row === undefined) return undefined;
    return unseal(keys.unseal('review message', row.wrapped, about(id, part)), row.sealed, about(id, part));
  }

  eraseSealed(id: string, part: Part): boolean {
    return this.#db.prepare('DELETE FROM review_messages WHERE review = ? AND part = ?').run(id, part).changes > 0;
  }
}
