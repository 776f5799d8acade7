import { randomUUID } from 'node:crypto';
import type { Principal } from '../../policies/types.ts';

/** A call of a session that has not been answered yet. */
export interface Flight {
  /** Gives the call up: a hold ends, an upstream request is aborted, no answer is sent. */
  readonly cancel: () => void;
  readonly exchange: { readonly sent: boolean };
}

/** A legacy MCP session (Mcp-Session-Id). The id names it; only its owner may use it. */
export interface WireSession {
  readonly id: string;
  readonly connection: string;
  readonly owner: Principal;
  readonly version: string;
  readonly client: string | undefined;
  readonly upstreamSession: string;
  /** The recorder's session. */
  readonly recording: string;
  /** Requests in flight by normalised id, and GET streams. */
  readonly flights: Map<string, Flight>;
  /** Server requests the client has not answered yet, by normalised id. */
  readonly serverRequests: Set<string>;
  usedAt: number;
}

export interface WireSessionDraft {
  readonly connection: string;
  readonly principal: Principal;
  readonly version: string;
  readonly client: string | undefined;
  readonly upstreamSession: string;
  readonly recording: string;
}

/** The live legacy sessions of this process. */
export class WireSessions {
  readonly #sessions = new Map<string, WireSession>();
  readonly #idleMs: number;
  readonly #most: number;

  constructor(options: { idleMs: number; most: number }) {
    this.#idleMs = options.idleMs;
    this.#most = options.most;
  }

  get size(): number {
    return this.#sessions.size;
  }

  full(): boolean {
    return this.#sessions.size >= this.#most;
  }

  open(draft: WireSessionDraft, now: number): WireSession {
    const session: WireSession = {
      id: randomUUID(),
      connection: draft.connection,
      owner: draft.principal,
      version: draft.version,
      client: draft.client,
      upstreamSession: draft.upstreamSession,
      recording: draft.recording,
      flights: new Map(),
      serverRequests: new Set(),
      usedAt: now,
    };
    this.#sessions.set(session.id, session);
    return session;
  }

  /** The session, if this principal owns it on this connection; a stranger's id is as unknown as a made-up one. */
  find(id: string, connection: string, who: Principal, now: number): WireSession | undefined {
    const session = this.#sessions.get(id);
    if (session === undefined || session.connection !== connection) return undefined;
    if (session.owner.issuer !== who.issuer || session.owner.subject !== who.subject) return undefined;
    session.usedAt = now;
    return session;
  }

  close(session: WireSession): void {
    this.#sessions.delete(session.id);
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
