import type { CallKind, Finding, JsonObject, Principal, Requirement } from '../policies/types.ts';
import type { Actor } from './actor.ts';
import type { PinEntry, Pins } from './pin-types.ts';

export type { Actor };

/** How an exchange ended. `unknown`: the upstream may have run the call, but no answer was seen. */
export type Outcome =
  | 'answered'
  | 'denied'
  | 'failed'
  | 'unreachable'
  | 'pending'
  | 'cancelled'
  | 'disconnected'
  | 'unknown';

/** The stored form of a decision: what was decided, by which rules, with which findings. */
export interface DecisionRecord {
  readonly action: 'allow' | 'deny' | 'hold';
  readonly rules: readonly string[];
  readonly reason?: string;
  readonly code?: string;
  readonly findings: readonly Finding[];
}

/** One entry of the audit log. At most one body rides along; entries hash its salted digest, never the body. */
export type Entry =
  | { type: 'writer.started'; at: number; version: string; heads: Readonly<Record<string, string>> }
  | { type: 'writer.stopped'; at: number }
  | { type: 'rules.loaded'; at: number; revision: string }
  | {
      type: 'session.opened';
      at: number;
      id: string;
      connection: string;
      principal: Principal;
      client?: string;
      protocol?: string;
    }
  | { type: 'session.closed'; at: number; id: string; reason: string }
  | {
      type: 'exchange.opened';
      at: number;
      id: string;
      session: string;
      connection: string;
      kind: CallKind;
      method: string;
      name: string;
      decision: DecisionRecord;
      rulebook: string;
      review?: string;
    }
  | {
      type: 'exchange.message';
      at: number;
      id: string;
      direction: 'to_client' | 'to_upstream';
      /** The body holds several messages, one behind the other, of so many bytes each: those that came together. */
      parts?: readonly number[];
    }
  | {
      type: 'exchange.closed';
      at: number;
      id: string;
      outcome: Outcome;
      /** The tool said `isError`, or the answer was a JSON-RPC error. */
      isError: boolean;
      code?: string;
      findings: readonly Finding[];
      /** Milliseconds: waiting for people, at the upstream, in all. */
      heldMs: number;
      upstreamMs: number;
      totalMs: number;
      /** Bytes that came from the client and that left to it. */
      bytesIn: number;
      bytesOut: number;
    }
  | { type: 'refusal'; at: number; code: string; address: string; route: string; count: number }
  | {
      type: 'review.changed';
      at: number;
      id: string;
      from: ReviewState | null;
      to: ReviewState;
      by?: Actor;
      reason?: string;
    }
  | { type: 'token.changed'; at: number; id: string; change: 'created' | 'revoked'; by: Actor }
  | PinEntry;

/** Append-only evidence. `append` resolves when the entry is durable as configured, and rejects with `record_unavailable` if it cannot be. */
export interface Journal {
  append(entry: Entry, body?: Buffer): Promise<void>;
}

export type ReviewState = 'PENDING' | 'APPROVED' | 'REJECTED' | 'REVOKED' | 'PROCESSING' | 'EXECUTED' | 'EXPIRED';

export interface Vote {
  readonly by: Actor;
  readonly groups: readonly string[];
  readonly status: 'APPROVED' | 'REJECTED';
  readonly at: number;
  readonly forced: boolean;
  readonly reason?: string;
}

/** A held call awaiting people. Everything in it is the masked form; the exact bytes are sealed apart. */
export interface Review {
  readonly id: string;
  readonly state: ReviewState;
  readonly fingerprint: string;
  readonly owner: Principal;
  readonly connection: string;
  readonly kind: CallKind;
  readonly method: string;
  readonly name: string;
  /** Masked JSON text of the call's params. */
  readonly preview: string;
  readonly requirements: readonly Requirement[];
  readonly votes: readonly Vote[];
  readonly session: string;
  readonly exchange: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly decidedAt?: number;
  readonly executedAt?: number;
  /** After EXECUTED: how the one run ended. */
  readonly outcome?: Outcome;
  /** After EXECUTED: the session of that run. */
  readonly executionSession?: string;
  /** True while a masked result waits for a caller that never received it. */
  readonly resultWaiting: boolean;
}

export interface ReviewDraft {
  readonly id: string;
  readonly fingerprint: string;
  readonly owner: Principal;
  readonly connection: string;
  readonly kind: CallKind;
  readonly method: string;
  readonly name: string;
  readonly preview: string;
  readonly requirements: readonly Requirement[];
  readonly session: string;
  readonly exchange: string;
  readonly expiresAt: number;
  /** The exact bytes of the held message; sealed by the store under a key of this review's own, erased when the review is final. */
  readonly message: Buffer;
}

/** Held calls and their states. Every change is a compare-and-set in one transaction with its audit entry. */
export interface Reviews {
  /** Attaches to the owner's live review (PENDING or APPROVED, or EXECUTED with a result waiting) of the same fingerprint, or creates one. */
  attach(draft: ReviewDraft): Promise<{ review: Review; created: boolean }>;
  get(id: string): Promise<Review | undefined>;
  /** The review whose run or held call belongs to this session, when there is exactly one. */
  ofSession(session: string): Promise<Review | undefined>;
  list(filter: ReviewFilter): Promise<readonly Review[]>;
  /** Moves `from` to `to` when the state still is `from`; undefined when somebody else was faster. A vote is added in the same transaction. */
  move(id: string, from: ReviewState, to: ReviewState, change: ReviewChange): Promise<Review | undefined>;
  /** Adds a vote that does not decide yet, when the state is PENDING and this person has not voted; undefined otherwise. */
  vote(id: string, vote: Vote): Promise<Review | undefined>;
  /** The exact bytes of a review in APPROVED or PROCESSING: for the execution step alone. */
  message(id: string): Promise<Buffer>;
  /** Takes the waiting masked result, once. */
  takeResult(id: string): Promise<Buffer | undefined>;
  /** Moves overdue PENDING and APPROVED reviews to EXPIRED and answers their ids. */
  expire(now: number): Promise<readonly string[]>;
  /** Called after every change, also one made by another process (seen within a second). */
  onChange(listener: (review: Review) => void): () => void;
}

export interface ReviewFilter {
  readonly states?: readonly ReviewState[];
  readonly owner?: { readonly issuer: string; readonly subject: string };
  readonly limit?: number;
}

export interface ReviewChange {
  readonly by?: Actor;
  readonly reason?: string;
  readonly vote?: Vote;
  readonly outcome?: Outcome;
  readonly executionSession?: string;
  /** Masked answer to keep for a caller that may not have received it. */
  readonly result?: Buffer;
}

export interface SessionSummary {
  readonly id: string;
  readonly connection: string;
  readonly principal: Principal;
  readonly client?: string;
  readonly protocol?: string;
  readonly openedAt: number;
  readonly closedAt?: number;
  readonly exchanges: number;
}

export interface ExchangeRecord {
  readonly id: string;
  readonly session: string;
  readonly connection: string;
  readonly kind: CallKind;
  readonly method: string;
  readonly name: string;
  readonly openedAt: number;
  readonly decision: DecisionRecord;
  readonly rulebook: string;
  readonly review?: string;
  readonly closedAt?: number;
  readonly outcome?: Outcome;
  readonly isError?: boolean;
  readonly code?: string;
  readonly findings: readonly Finding[];
  readonly heldMs?: number;
  readonly upstreamMs?: number;
  readonly totalMs?: number;
  readonly bytesIn?: number;
  readonly bytesOut?: number;
  readonly request?: string;
  readonly response?: string;
  readonly messages: readonly { readonly at: number; readonly direction: string; readonly body: string }[];
}

export interface SessionFilter {
  readonly owner?: { readonly issuer: string; readonly subject: string };
  readonly connection?: string;
  readonly limit?: number;
  readonly offset?: number;
}

export interface Sessions {
  list(filter: SessionFilter): Promise<{ total: number; items: readonly SessionSummary[] }>;
  get(id: string): Promise<SessionSummary | undefined>;
  /** The session's exchanges in order of opening, bodies included. */
  exchanges(id: string): Promise<readonly ExchangeRecord[]>;
  /** One exchange by its id, bodies included; with an owner only if it is one of his. */
  exchange(id: string, owner?: SessionFilter['owner']): Promise<ExchangeRecord | undefined>;
}

/** A gateway token as stored: its SHA-256 only. */
export interface TokenRecord {
  readonly id: string;
  readonly hash: string;
  readonly name: string;
  readonly subject: string;
  readonly email?: string;
  readonly groups: readonly string[];
  readonly createdAt: number;
  readonly expiresAt?: number;
  readonly revokedAt?: number;
}

export interface Tokens {
  create(token: Omit<TokenRecord, 'revokedAt'>, by: Actor): Promise<void>;
  revoke(id: string, by: Actor): Promise<TokenRecord | undefined>;
  list(): Promise<readonly TokenRecord[]>;
  /** Called after every change, also one made by another process (seen within a second). */
  onChange(listener: (tokens: readonly TokenRecord[]) => void): () => void;
}

/** Everything that outlives the process. */
export interface Recorder extends Journal {
  readonly reviews: Reviews;
  readonly sessions: Sessions;
  readonly tokens: Tokens;
  readonly pins: Pins;
  /** Resolves when all that was appended so far is in the store. For readers and tests, not for calls. */
  settled(): Promise<void>;
  /** Is the store taking entries? Undefined when it is, otherwise the reason. */
  trouble(): string | undefined;
  /** Moves what waits into the store, writes a last checkpoint, releases the files. */
  close(): Promise<void>;
}

export interface RecorderOptions {
  /** The SQLite file; the journal, its lock and the checkpoint head lie beside it. */
  readonly path: string;
  readonly durability: 'group' | 'call';
  readonly version: string;
  /** 32 bytes; every key used is an HKDF of it by purpose. */
  readonly masterKey: Buffer;
  readonly previousKeys: readonly Buffer[];
  /** True for the one gateway process of this store; false for a short-lived CLI process beside it. */
  readonly primary: boolean;
  /** Most bytes the journal may hold before calls are refused. */
  readonly journalLimit: number;
}

export type { JsonObject };
