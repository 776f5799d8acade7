import { Abort, type Signal } from './abort.ts';
import type { Principal } from '../policies/types.ts';
import { Cursor } from './cursor.ts';
import { GatewayError } from './errors.ts';
import type { Ask } from './forward/client.ts';
import type { WireSession, WireSessions } from './forward/sessions.ts';
import type { Arrival, Credentials, Frame, Reply } from './types.ts';
import { answering, errorFrame, idKey } from './wire/frame.ts';
import { member } from './wire/member.ts';
import { encodeEvent, type SseEvent } from './wire/sse.ts';

export interface CarrierParts {
  readonly ask: Ask;
  readonly sessions: WireSessions;
  /** Forgets a session and ends its recording. */
  readonly endSession: (session: WireSession) => Promise<void>;
  readonly now: () => number;
  readonly failed: (fault: unknown) => void;
}

/** Messages of one client in work at once. */
const MOST_IN_WORK = 256;
/** By which a session knows that a carrier holds it open; no JSON-RPC id can be spelt so. */
const FLIGHT = 'carrier';

interface Waiting {
  readonly raw: Buffer;
  readonly settle: (delivered: boolean) => void;
}

/** One message, or one batch, whose answers go to the carrier. */
export interface Delivery {
  /** Resolves when the client's side has taken the reply; false when it never will. */
  take(reply: Reply): Promise<boolean>;
  done(): Promise<void>;
}

/** The event stream of one HTTP+SSE client: what is put on it waits until the client has taken what came before. */
export class Carrier {
  readonly connection: string;
  readonly owner: Principal;
  readonly #opening: Arrival;
  readonly #parts: CarrierParts;
  /** Aborts when nobody reads the stream any more. */
  readonly #gone = new Abort();
  #session: WireSession | undefined;
  #queue: Waiting[] = [];
  #taken: readonly Waiting[] = [];
  /** The requests that wait for their answer, by message or batch. */
  readonly #asked = new Set<Set<string>>();
  #inWork = 0;
  #finishing = false;
  #over = false;
  #wake: (() => void) | undefined;
  #listening: Promise<void> | undefined;

  constructor(opening: Arrival, owner: Principal, parts: CarrierParts) {
    this.connection = opening.connection;
    this.owner = owner;
    this.#opening = opening;
    this.#parts = parts;
  }

  /** True when nothing can be delivered any more. */
  get over(): boolean {
    return this.#over;
  }

  /** True when no further request is let in; what those in work still need to hear from the client is. */
  get finishing(): boolean {
    return this.#finishing;
  }

  get full(): boolean {
    return this.#inWork >= MOST_IN_WORK;
  }

  /** The session that `initialize` opened on this carrier, if the upstream has sessions. */
  get session(): string | undefined {
    return this.#session?.id;
  }

  /** What was put on the stream, in its order. A further pull says that the client's side took what came before. */
  async *events(): AsyncGenerator<readonly SseEvent[]> {
    for (;;) {
      while (this.#queue.length === 0 && !this.#over) await new Promise<void>((resolve) => (this.#wake = resolve));
      if (this.#queue.length === 0) return;
      this.#taken = this.#queue;
      this.#queue = [];
      yield this.#taken.map(({ raw }) => ({ raw }));
      for (const { settle } of this.#taken) settle(true);
      this.#taken = [];
    }
  }

  /** The client left: nothing can be delivered any more, and what waits for it is given up. */
  leave(): void {
    this.#over = true;
    this.#gone.abort();
    for (const { settle } of [...this.#taken, ...this.#queue]) settle(false);
    this.#queue = [];
    this.#wake?.();
  }

  /** Lets no further request in, and ends the stream when what is in work has been answered. */
  finish(): void {
    this.#finishing = true;
    if (this.#inWork > 0) return;
    this.#over = true;
    this.#wake?.();
  }

  /** Ends the session with the stream, at the upstream too. */
  async end(): Promise<void> {
    this.leave();
    await this.#listening;
    const session = this.#session;
    if (session === undefined) return;
    this.#session = undefined;
    await this.#close(session);
  }

  async #close(session: WireSession): Promise<void> {
    session.flights.delete(FLIGHT);
    const credentials = { type: 'proven', principal: this.owner, address: 'gateway' } as const;
    const replies = this.#ask('DELETE', credentials, new Abort(), { session: session.id });
    try {
      for await (const reply of replies) void reply;
    } finally {
      await this.#parts.endSession(session);
    }
  }

  /** Follows one admitted POST: its answers go here, and `gone` aborts when the client cannot be answered any more. */
  deliver(admitted: readonly Frame[], gone: Abort): Delivery {
    const onGone = (): void => gone.abort();
    if (this.#gone.aborted) onGone();
    else this.#gone.on(onGone);
    this.#inWork += 1;
    const asked = new Set(admitted.flatMap(({ kind, id }) => (kind === 'request' ? [idKey(id!)] : [])));
    // The id of an answer is the server's: said of it, it would end a request of the client's own that has the same.
    const single = admitted.length === 1 && admitted[0]!.kind === 'request' ? admitted[0]!.id : undefined;
    const cursor = new Cursor();
    this.#asked.add(asked);
    for (const frame of admitted) this.#cancelled(frame);
    let refused = false;
    return {
      take: (reply) => {
        refused ||= reply.mode === 'json' && reply.status >= 400;
        this.#learn(reply.headers['mcp-session-id']);
        cursor.note(reply);
        return this.#put(reply, single);
      },
      done: async () => {
        await this.#resume(cursor, asked);
        this.#asked.delete(asked);
        this.#gone.off(onGone);
        this.#inWork -= 1;
        if (this.#finishing) this.finish();
        else if (!refused && admitted.some(({ method }) => method === 'notifications/initialized'))
          this.#listening ??= this.#listen().catch(this.#parts.failed);
      },
    };
  }

  /** Nobody waits for the answer of a call that its client cancelled. */
  #cancelled(frame: Frame): void {
    if (frame.method !== 'notifications/cancelled') return;
    const id = member(member(frame.value, 'params'), 'requestId');
    for (const asked of this.#asked) asked.delete(idKey(JSON.stringify(id ?? null)));
  }

  /** Messages as events of their own; without the fields by which their first stream could be resumed. */
  #put(reply: Reply, id?: string): Promise<boolean> {
    const events: Buffer[] = [];
    for (const out of reply.outbound) {
      if (!('frame' in out)) continue;
      const frame = id === undefined ? out.frame : answering(out.frame, id);
      if (frame.kind === 'response') {
        // An error without an id answers nothing that this client could tell.
        if (frame.id === undefined) continue;
        for (const asked of this.#asked) asked.delete(idKey(frame.id));
      }
      events.push(encodeEvent(frame, { event: 'message' }));
    }
    if (this.#over) return Promise.resolve(false);
    if (events.length === 0) return Promise.resolve(true);
    return new Promise((settle) => {
      this.#queue.push({ raw: Buffer.concat(events), settle });
      this.#wake?.();
    });
  }

  /** From the answer to initialize. The session lasts as long as the carrier, and the carrier as long as the session. */
  #learn(id: string | undefined): void {
    const { sessions, now } = this.#parts;
    const session = id === undefined ? undefined : sessions.find(id, this.connection, this.owner, now());
    if (session === undefined) return;
    if (this.#session !== undefined) {
      // Two were opened at once: the first is the carrier's, and the upstream must not keep the other for nobody.
      void this.#close(session).catch(this.#parts.failed);
      return;
    }
    this.#session = session;
    const cancel = (): void => {
      if (this.#session !== session) return;
      this.#session = undefined;
      this.finish();
    };
    session.flights.set(FLIGHT, { cancel, exchange: { sent: true } });
    if (this.#over) void this.end().catch(this.#parts.failed);
  }

  /** The standing stream, for what the upstream says unasked; asked for again as long as there is one. */
  async #listen(): Promise<void> {
    const cursor = new Cursor();
    while (!this.#over && !this.#finishing && (await this.#read(cursor))) await this.#pause(cursor.againMs());
  }

  /**
   * The upstream may end a stream whose events have ids and finish on a later GET (S-11), for which this client cannot ask. What
   * has no answer even then gets an error: nobody waits for ever.
   */
  async #resume(cursor: Cursor, asked: ReadonlySet<string>): Promise<void> {
    for (let seen: string | undefined; asked.size > 0 && cursor.lastId !== seen && !this.#over;) {
      seen = cursor.lastId;
      await this.#pause(cursor.againMs());
      await this.#read(cursor);
    }
    const { code, row, message } = new GatewayError('upstream_lost');
    for (const id of asked) {
      const frame = errorFrame(id, { code: row.rpc, message, data: { code, remedy: row.remedy } });
      await this.#put({ status: 200, mode: 'sse', headers: {}, outbound: [{ frame }] });
    }
  }

  /** One GET stream to its end; false when the upstream has none. */
  async #read(cursor: Cursor): Promise<boolean> {
    let open = false;
    for await (const reply of this.#ask('GET', this.#opening.credentials, this.#gone, {
      session: this.#session?.id,
      lastId: cursor.lastId,
    })) {
      open = reply.mode === 'sse';
      cursor.note(reply);
      if (open) await this.#put(reply);
    }
    return open;
  }

  /** A session operation of the client, which cannot ask for it itself. */
  #ask(
    httpMethod: 'GET' | 'DELETE',
    credentials: Credentials,
    gone: Signal,
    { session, lastId }: { readonly session: string | undefined; readonly lastId?: string | undefined },
  ): AsyncGenerator<Reply> {
    const { route, connection, headers } = this.#opening;
    const { host, origin } = headers;
    const all: Record<string, string> = {
      accept: 'text/event-stream',
      ...(host === undefined ? {} : { host }),
      ...(origin === undefined ? {} : { origin }),
      ...(session === undefined ? {} : { 'mcp-session-id': session }),
      ...(lastId === undefined ? {} : { 'last-event-id': lastId }),
    };
    return this.#parts.ask({
      credentials,
      httpMethod,
      route,
      connection,
      headers: all,
      rawHeaders: Object.entries(all).flat(),
      body: Buffer.alloc(0),
      gone,
    });
  }

  /** Some time, or less when the client leaves. */
  async #pause(ms: number): Promise<void> {
    if (this.#gone.aborted) return;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        clearTimeout(timer);
        this.#gone.off(go);
        resolve();
      };
      const timer = setTimeout(go, ms);
      this.#gone.on(go);
    });
  }
}
