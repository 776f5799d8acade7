import { randomUUID } from 'node:crypto';
import type { Json, Principal } from '../../policies/types.ts';
import type { Seal } from '../seal.ts';
import type { Frame } from '../types.ts';

/** A call of a session that has not been answered yet. */
export interface Flight {
  /** Gives the call up: a hold ends, an upstream request is aborted, no answer is sent. */
  readonly cancel: () => void;
  readonly exchange: { readonly sent: boolean };
}

export interface WireSessionDraft {
  readonly connection: string;
  readonly principal: Principal;
  readonly version: string;
  readonly client: string | undefined;
  readonly upstreamSession: string;
  /** True when the upstream is of the other era and the session exists between client and gateway only. */
  readonly translated: boolean;
  readonly recording: string;
}

/** A legacy MCP session (Mcp-Session-Id). The id names it; only its owner may use it. */
export interface WireSession {
  readonly id: string;
  readonly connection: string;
  readonly owner: Principal;
  readonly version: string;
  readonly client: string | undefined;
  readonly upstreamSession: string;
  readonly translated: boolean;
  /** True when another process opened it, and may still serve it. */
  readonly resumed: boolean;
  /** The recorder's session; undefined until the first exchange of a session that another process opened. */
  recording: string | undefined;
  /** Requests in flight by normalised id, and GET streams. */
  readonly flights: Map<string, Flight>;
  /** Requests of the server that the client has not answered yet, by normalised id, and who is told of the answer. */
  readonly questions: Map<string, () => void>;
  usedAt: number;
  /** What tells the client that a list changed, for the kinds of which the server said that it would. */
  listChanges: readonly Frame[];
  /** Set when the session is about to end: only this very principal still finds it, to tell the upstream. */
  undertaker?: Principal;
}

const CONTEXT = 'mcp session';
const DAY_MS = 86_400_000;
/** No id is honoured for longer by a process that does not know the session. */
const MOST_AGE_MS = 7 * DAY_MS;
const MOST_ENDED = 100_000;

/**
 * The legacy sessions that this process knows. An id carries, sealed, what another process with the same keys needs to go on
 * with the session: a sibling behind the same address, or this gateway after a restart.
 */
export class WireSessions {
  readonly #sessions = new Map<string, WireSession>();
  /** Ids that ended here: their seal alone would still open. Oldest first. */
  readonly #ended = new Set<string>();
  readonly #idleMs: number;
  readonly #most: number;
  readonly #mostPerCaller: number;
  readonly #perCaller = new Map<string, number>();
  readonly #seal: Seal;

  constructor(options: {
    readonly idleMs: number;
    readonly most: number;
    readonly mostPerCaller: number;
    readonly seal: Seal;
  }) {
    this.#idleMs = options.idleMs;
    this.#most = options.most;
    this.#mostPerCaller = options.mostPerCaller;
    this.#seal = options.seal;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** No more sessions, of all callers together or of this one. */
  full(who: Principal): boolean {
    return this.#sessions.size >= this.#most || (this.#perCaller.get(callerOf(who)) ?? 0) >= this.#mostPerCaller;
  }

  open(draft: WireSessionDraft, now: number): WireSession {
    const { connection, principal, version, client, upstreamSession, translated } = draft;
    const id = this.#seal.seal(
      [
        connection,
        principal.issuer,
        principal.subject,
        version,
        client ?? null,
        upstreamSession,
        translated,
        now,
        randomUUID(),
      ],
      CONTEXT,
    );
    return this.#keep(id, { ...draft, owner: principal, resumed: false }, now);
  }

  #keep(
    id: string,
    draft: Omit<WireSession, 'id' | 'flights' | 'questions' | 'usedAt' | 'listChanges'>,
    now: number,
  ): WireSession {
    const { connection, owner, version, client, upstreamSession, translated, resumed, recording } = draft;
    const session: WireSession = {
      id,
      connection,
      owner,
      version,
      client,
      upstreamSession,
      translated,
      resumed,
      recording,
      flights: new Map(),
      questions: new Map(),
      usedAt: now,
      listChanges: [],
    };
    this.#sessions.set(id, session);
    this.#count(owner, 1);
    return session;
  }

  /** The session, if this principal owns it on this connection; a stranger's id is as unknown as a made-up one (duty S-05). */
  find(id: string, connection: string, who: Principal, now: number): WireSession | undefined {
    const session = this.#sessions.get(id) ?? this.#resume(id, connection, who, now);
    if (session === undefined || session.connection !== connection) return undefined;
    if (session.owner.issuer !== who.issuer || session.owner.subject !== who.subject) return undefined;
    if (session.undertaker !== undefined && session.undertaker !== who) return undefined;
    session.usedAt = now;
    return session;
  }

  /** From now on the session is unknown to everybody but the principal that this answers. */
  retire(session: WireSession): Principal {
    session.undertaker = { ...session.owner };
    return session.undertaker;
  }

  /** A session that another process opened: known from its id alone, and unknown unless its owner asks. */
  #resume(id: string, connection: string, who: Principal, now: number): WireSession | undefined {
    if (id.length > 8192 || this.#ended.has(tailOf(id)) || this.full(who)) return undefined;
    const sealed = this.#seal.open(id, CONTEXT);
    if (!isSealed(sealed)) return undefined;
    const [name, issuer, subject, version, client, upstreamSession, translated, openedAt] = sealed;
    if (name !== connection || issuer !== who.issuer || subject !== who.subject) return undefined;
    if (now - openedAt > MOST_AGE_MS) return undefined;
    const draft = { connection, owner: who, version, upstreamSession, translated, resumed: true, recording: undefined };
    return this.#keep(id, { ...draft, client: client ?? undefined }, now);
  }

  #count(owner: Principal, change: 1 | -1): void {
    const caller = callerOf(owner);
    const count = (this.#perCaller.get(caller) ?? 0) + change;
    if (count === 0) this.#perCaller.delete(caller);
    else this.#perCaller.set(caller, count);
  }

  close(session: WireSession): void {
    if (this.#sessions.delete(session.id)) this.#count(session.owner, -1);
    this.#ended.add(tailOf(session.id));
    if (this.#ended.size > MOST_ENDED) this.#ended.delete(this.#ended.values().next().value!);
    for (const flight of session.flights.values()) flight.cancel();
  }

  /** Sessions that nothing has used for the idle time and that have nothing in flight. */
  idle(now: number): readonly WireSession[] {
    return [...this.#sessions.values()].filter((s) => s.flights.size === 0 && now - s.usedAt > this.#idleMs);
  }

  all(): readonly WireSession[] {
    return [...this.#sessions.values()];
  }
}

type Sealed = [string, string, string, string, string | null, string, boolean, number, string];

const isSealed = (value: Json | undefined): value is Sealed => Array.isArray(value) && value.length === 9;

const callerOf = ({ issuer, subject }: Principal): string => JSON.stringify([issuer, subject]);

/** The authentication tag: as good as the whole id to tell ids apart. */
const tailOf = (id: string): string => id.slice(-22);
