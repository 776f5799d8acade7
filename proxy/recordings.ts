import type { Principal } from '../policies/types.ts';
import type { Entry } from '../recorder/types.ts';
import { newId } from './ids.ts';

interface Window {
  readonly id: string;
  usedAt: number;
}

/** What must be appended to the journal before the exchange that needed it. */
export interface Recording {
  readonly id: string;
  readonly opened?: Entry;
  /** It is over with the exchange that opened it. */
  readonly single?: boolean;
}

const IDLE_MS = 30 * 60_000;

/** The recorder's sessions of stateless callers: one per principal and connection, ended by half an hour of silence. */
export class Recordings {
  readonly #windows = new Map<string, Window>();

  current(connection: string, who: Principal, protocol: string | undefined, now: number): Recording {
    const key = JSON.stringify([who.issuer, who.subject, connection]);
    const window = this.#windows.get(key);
    if (window !== undefined && now - window.usedAt < IDLE_MS) {
      window.usedAt = now;
      return { id: window.id };
    }
    const fresh = this.fresh(connection, who, undefined, protocol, now);
    this.#windows.set(key, { id: fresh.id, usedAt: now });
    return fresh;
  }

  /** A session of its own: a legacy session, an execution. */
  fresh(
    connection: string,
    who: Principal,
    client: string | undefined,
    protocol: string | undefined,
    now: number,
  ): Recording {
    const id = newId('ses');
    return {
      id,
      opened: {
        type: 'session.opened',
        at: now,
        id,
        connection,
        principal: who,
        ...(client === undefined ? {} : { client }),
        ...(protocol === undefined ? {} : { protocol }),
      },
    };
  }

  /** The session could not be written down: the next call opens another. */
  forget(id: string): void {
    for (const [key, window] of this.#windows) if (window.id === id) this.#windows.delete(key);
  }

  /** Forgets the windows that fell silent, and answers their ids. */
  expire(now: number): readonly string[] {
    const ended: string[] = [];
    for (const [key, window] of this.#windows) {
      if (now - window.usedAt < IDLE_MS) continue;
      this.#windows.delete(key);
      ended.push(window.id);
    }
    return ended;
  }

  /** Windows still open, for the end of the process. */
  all(): readonly string[] {
    return [...this.#windows.values()].map((window) => window.id);
  }
}
