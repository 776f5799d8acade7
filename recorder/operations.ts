import type { Pin, Sight } from '../policies/pins/pin.ts';
import type { Checkpoints } from './checkpoints.ts';
import type { Intake } from './intake.ts';
import type { Ledger } from './ledger.ts';
import type { PinsTable } from './pins-table.ts';
import type { ReviewDesk } from './review-desk.ts';
import type { SessionsTable } from './sessions-table.ts';
import type { TokensTable } from './tokens-table.ts';
import type {
  Actor,
  Entry,
  Review,
  ReviewChange,
  ReviewDraft,
  ReviewFilter,
  ReviewState,
  SessionFilter,
  TokenRecord,
  Vote,
} from './types.ts';

export interface Tables {
  readonly ledger: Ledger;
  readonly intake: Intake;
  readonly checkpoints: Checkpoints;
  readonly reviews: ReviewDesk;
  readonly sessions: SessionsTable;
  readonly tokens: TokensTable;
  readonly pins: PinsTable;
}

/** What the main thread can ask of the writer thread; bytes arrive as plain Uint8Arrays. */
export const OPERATIONS = {
  append: ({ ledger, intake }: Tables, entry: Entry, body: Uint8Array | undefined): void => {
    ledger.transact(() => intake.add(entry, body));
  },
  'reviews.attach': ({ reviews }: Tables, draft: ReviewDraft) =>
    reviews.attach({ ...draft, message: Buffer.from(draft.message) }),
  'reviews.get': ({ reviews }: Tables, id: string) => reviews.get(id),
  'reviews.ofSession': ({ reviews }: Tables, session: string) => reviews.ofSession(session),
  'reviews.list': ({ reviews }: Tables, filter: ReviewFilter) => reviews.list(filter),
  'reviews.move': ({ reviews }: Tables, id: string, from: ReviewState, to: ReviewState, change: ReviewChange) =>
    reviews.move(id, from, to, change),
  'reviews.vote': ({ reviews }: Tables, id: string, vote: Vote) => reviews.vote(id, vote),
  'reviews.message': ({ reviews }: Tables, id: string) => reviews.message(id),
  'reviews.takeResult': ({ reviews }: Tables, id: string) => reviews.takeResult(id),
  'reviews.expire': ({ reviews }: Tables, now: number) => reviews.expire(now),
  'sessions.list': ({ sessions }: Tables, filter: SessionFilter) => sessions.list(filter),
  'sessions.get': ({ sessions }: Tables, id: string) => sessions.get(id),
  'sessions.exchanges': ({ sessions }: Tables, id: string) => sessions.exchanges(id),
  'sessions.exchange': ({ sessions }: Tables, id: string, owner: SessionFilter['owner']) =>
    sessions.exchange(id, owner),
  'tokens.create': ({ tokens }: Tables, token: Omit<TokenRecord, 'revokedAt'>, by: Actor) => tokens.create(token, by),
  'tokens.revoke': ({ tokens }: Tables, id: string, by: Actor) => tokens.revoke(id, by),
  'tokens.list': ({ tokens }: Tables) => tokens.list(),
  'pins.list': ({ pins }: Tables, connection: string | undefined) => pins.list(connection),
  'pins.get': ({ pins }: Tables, id: string) => pins.get(id),
  'pins.sighted': ({ pins }: Tables, sights: readonly Sight[]) => pins.sighted(sights),
  'pins.accept': ({ pins }: Tables, id: string, fingerprint: string, by: Actor) => pins.accept(id, fingerprint, by),
  'pins.reject': ({ pins }: Tables, id: string, fingerprint: string, by: Actor) => pins.reject(id, fingerprint, by),
} as const;

export type Operation = keyof typeof OPERATIONS;

type Tail<F> = F extends (tables: Tables, ...rest: infer R) => unknown ? R : never;

export type Arguments<K extends Operation> = Tail<(typeof OPERATIONS)[K]>;
export type Answer<K extends Operation> = ReturnType<(typeof OPERATIONS)[K]>;

/** To the writer thread. `settle` answers once everything before `position` is in the store, `close` once nothing is left to do. */
export type Request =
  | { readonly call: number; readonly operation: Operation; readonly args: readonly unknown[] }
  | { readonly call: number; readonly operation: 'settle'; readonly position: number }
  | { readonly call: number; readonly operation: 'close' };

/** From the writer thread. */
export type Report =
  | { readonly kind: 'ready'; readonly position: number }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'answer'; readonly call: number; readonly value: unknown }
  | { readonly kind: 'error'; readonly call: number; readonly reason: string; readonly unavailable: boolean }
  | { readonly kind: 'review'; readonly review: Review }
  | { readonly kind: 'tokens'; readonly tokens: readonly TokenRecord[] }
  | { readonly kind: 'pins'; readonly pins: readonly Pin[] }
  | { readonly kind: 'trouble'; readonly reason: string | undefined };
