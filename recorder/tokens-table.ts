import type { Ledger } from './ledger.ts';
import type { Db } from './store.ts';
import type { Actor, TokenRecord } from './types.ts';

export interface TokenRow {
  readonly id: string;
  readonly changed: number;
  readonly hash: string;
  readonly name: string;
  readonly subject: string;
  readonly email: string | null;
  readonly groups: string;
  readonly created_at: number;
  readonly expires_at: number | null;
  readonly revoked_at: number | null;
}

const toToken = (row: TokenRow): TokenRecord => ({
  id: row.id,
  hash: row.hash,
  name: row.name,
  subject: row.subject,
  ...(row.email === null ? {} : { email: row.email }),
  groups: JSON.parse(row.groups) as string[],
  createdAt: row.created_at,
  ...(row.expires_at === null ? {} : { expiresAt: row.expires_at }),
  ...(row.revoked_at === null ? {} : { revokedAt: row.revoked_at }),
});

/** What the entry of a change proves of the token after it: every stored column. */
export function tokenEvidence(row: TokenRow): Buffer {
  const { changed: _, ...columns } = row;
  return Buffer.from(JSON.stringify(columns));
}

/** Gateway tokens: their hashes and what they grant. Runs in the writer thread. */
export class TokensTable {
  readonly #db: Db;
  readonly #ledger: Ledger;
  readonly #told: (tokens: readonly TokenRecord[]) => void;

  constructor(db: Db, ledger: Ledger, changed: (tokens: readonly TokenRecord[]) => void) {
    this.#db = db;
    this.#ledger = ledger;
    this.#told = changed;
  }

  create(token: Omit<TokenRecord, 'revokedAt'>, by: Actor): void {
    this.#ledger.transact(() => {
      this.#db
        .prepare(
          `INSERT INTO tokens (id, changed, hash, name, subject, email, groups, created_at, expires_at)
           VALUES (?, 0, ?, ?, ?, ?, ?, ?, ?)`,
        )
        .run(
          token.id,
          token.hash,
          token.name,
          token.subject,
          token.email ?? null,
          JSON.stringify(token.groups),
          token.createdAt,
          token.expiresAt ?? null,
        );
      this.#record(token.id, 'created', by);
    });
    this.#told(this.list());
  }

  /** Undefined when there is no such token; one that was revoked before keeps its date. */
  revoke(id: string, by: Actor): TokenRecord | undefined {
    const revoked = this.#ledger.transact(() => {
      const { changes } = this.#db
        .prepare('UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL')
        .run(Date.now(), id);
      if (changes === 1) this.#record(id, 'revoked', by);
      return changes === 1;
    });
    if (revoked) this.#told(this.list());
    const row = this.#row(id);
    return row === undefined ? undefined : toToken(row);
  }

  list(): TokenRecord[] {
    return (this.#db.prepare('SELECT * FROM tokens ORDER BY created_at, id').all() as TokenRow[]).map(toToken);
  }

  #row(id: string): TokenRow | undefined {
    return this.#db.prepare<[string], TokenRow>('SELECT * FROM tokens WHERE id = ?').get(id);
  }

  #record(id: string, change: 'created' | 'revoked', by: Actor): void {
    const entry = { type: 'token.changed', at: Date.now(), id, change, by } as const;
    const changed = this.#ledger.append(entry, tokenEvidence(this.#row(id)!));
    this.#db.prepare('UPDATE tokens SET changed = ? WHERE id = ?').run(changed, id);
  }
}
