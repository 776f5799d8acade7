import { Abort } from '../../abort.ts';
import type { SseEvent } from '../../wire/sse.ts';
import type { Outgoing, Upstream } from '../upstream.ts';
import { NotServed, openLine, type Filter, type Line } from './legacy-line.ts';
import type { LegacySession, Listening } from './legacy-session.ts';
import type { FaceOptions } from './options.ts';

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 30_000;
/** How long two lines stand side by side; what both tell is a sign that does no harm twice. */
const OVERLAP_MS = 500;
/** Changes that nobody fetched yet; all of them are signs, so that the same one need not be told twice. */
const MOST_WAITING = 1_000;

/**
 * The GET stream of a session, fed by one listening stream of the server behind. When what is wanted changes, the new line stands
 * before the old one is let go, so that no change falls between; a line that breaks is opened again, ever more slowly.
 */
export class ListenStream implements Listening {
  readonly #session: LegacySession;
  readonly #outgoing: Outgoing;
  readonly #inner: Upstream;
  readonly #options: FaceOptions;
  readonly #closing = new Abort();
  readonly #onGone = (): void => this.close();
  readonly #waiting = new Map<string, SseEvent>();
  #line: Line | undefined;
  /** One change of lines after the other. */
  #turn: Promise<void> = Promise.resolve();
  #wake: (() => void) | undefined;
  #wait = FIRST_WAIT_MS;

  constructor(session: LegacySession, outgoing: Outgoing, inner: Upstream, options: FaceOptions) {
    this.#session = session;
    this.#outgoing = outgoing;
    this.#inner = inner;
    this.#options = options;
  }

  /** Begins; resolves once the server listens, or has failed to for the first time. */
  async start(): Promise<void> {
    const { signal } = this.#outgoing;
    if (signal.aborted) this.close();
    else signal.on(this.#onGone);
    try {
      await this.refit();
    } catch (fault) {
      this.#again(fault);
    }
  }

  hears(uri: string): boolean {
    return this.#line?.resources.has(uri) === true;
  }

  refit(): Promise<void> {
    const turn = this.#turn.then(() => this.#fit());
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  close(): void {
    if (this.#closing.aborted) return;
    this.#outgoing.signal.off(this.#onGone);
    if (this.#session.listening === this) this.#session.listening = undefined;
    this.#closing.abort();
    this.#line?.close();
    this.#line = undefined;
    this.#wake?.();
  }

  /** What the client hears, until the stream is closed. */
  async *events(): AsyncGenerator<readonly SseEvent[]> {
    try {
      while (!this.#closing.aborted) {
        if (this.#waiting.size > 0) {
          const batch = [...this.#waiting.values()];
          this.#waiting.clear();
          yield batch;
          continue;
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    } finally {
      this.close();
    }
  }

  async #fit(): Promise<void> {
    if (this.#closing.aborted) return;
    const filter = filterOf(this.#session);
    if (Object.keys(filter).length === 0) {
      this.#line?.close();
      this.#line = undefined;
      return;
    }
    const line = await openLine(filter, this.#session, this.#outgoing, this.#inner, this.#options, this.#closing);
    if (this.#closing.aborted) {
      line.close();
      return;
    }
    const old = this.#line;
    this.#line = line;
    void this.#follow(line);
    // What the server told on the old line before it knew the new one may still be on its way.
    if (old !== undefined) setTimeout(() => old.close(), OVERLAP_MS).unref();
  }

  async #follow(line: Line): Promise<void> {
    const since = this.#options.now();
    let fault: unknown;
    try {
      for await (const events of line.events) {
        for (const event of events) this.#tell(event);
      }
    } catch (reason) {
      fault = reason;
    }
    line.close();
    if (this.#line !== line) return;
    this.#line = undefined;
    // A server that only says that it listens is not asked again and again.
    if (this.#options.now() - since > LONGEST_WAIT_MS) this.#wait = FIRST_WAIT_MS;
    this.#again(fault);
  }

  #tell(event: SseEvent): void {
    if (this.#waiting.size >= MOST_WAITING) return;
    this.#waiting.set(event.data!, event);
    this.#wake?.();
  }

  /** Opens a line again after a while, unless another one stands by then or the server cannot do it at all. */
  #again(fault: unknown): void {
    if (this.#closing.aborted || fault instanceof NotServed) return;
    // Many sessions lose their lines at the same moment, and should not come back at one.
    const wait = this.#wait * (0.5 + Math.random() / 2);
    this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT_MS);
    const timer = setTimeout(() => {
      if (this.#closing.aborted || this.#line !== undefined) return;
      this.refit().catch((reason: unknown) => this.#again(reason));
    }, wait);
    timer.unref();
  }
}

/** All that the session may hear of and wants to. */
function filterOf({ facts, subscriptions }: LegacySession): Filter {
  const { offers } = facts;
  return {
    ...(offers.includes('tools') ? { toolsListChanged: true } : {}),
    ...(offers.includes('prompts') ? { promptsListChanged: true } : {}),
    ...(offers.includes('resources') ? { resourcesListChanged: true } : {}),
    ...(subscriptions.size > 0 ? { resourceSubscriptions: [...subscriptions] } : {}),
  };
}
