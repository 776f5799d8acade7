import { Abort, type Signal } from '../../abort.ts';
import { canonical } from '../../../policies/json/canonical.ts';
import type { Principal } from '../../../policies/types.ts';
import { GatewayError } from '../../errors.ts';
import { UpstreamFault, type Outgoing, type Upstream, type UpstreamAnswer } from '../upstream.ts';
import { legacyCapabilities } from './modern-inputs.ts';
import type { ModernRequest } from './modern-request.ts';
import { FaceSession } from './modern-session.ts';
import type { FaceOptions } from './options.ts';

const IDLE_MS = 10 * 60_000;
const MOST = 1_000;
const MOST_OF_ONE = 32;

/** Who a session, or a suspended call, belongs to. */
export const ownerOf = ({ issuer, subject }: Principal): string => JSON.stringify([issuer, subject]);

interface Entry {
  readonly owner: string;
  /** The session; undefined until it is open. */
  session: FaceSession | undefined;
  /** What opening it led to: undefined when it is open, otherwise the server's refusal. */
  readonly opening: Promise<UpstreamAnswer | undefined>;
  readonly abort: Abort;
  waiting: number;
}

/**
 * The sessions with one legacy server, by principal and client capabilities. Those who need the same one at the same time open it
 * once. Sessions that nothing needs end after ten minutes; beyond a thousand, or 32 of one principal, the one longest unused.
 */
export class SessionPool {
  readonly #inner: Upstream;
  readonly #options: FaceOptions;
  /** Longest unused first. */
  readonly #entries = new Map<string, Entry>();

  constructor(inner: Upstream, options: FaceOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  /** The session of this request, counted as needed once more; or the answer by which the server refused to open one. */
  async acquire(request: ModernRequest, outgoing: Outgoing): Promise<FaceSession | UpstreamAnswer> {
    const owner = ownerOf(outgoing.caller.principal);
    const capabilities = legacyCapabilities(request.capabilities);
    const key = JSON.stringify([owner, canonical(JSON.stringify(capabilities))]);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      this.#makeRoom(owner);
      entry = this.#open(key, owner, request, outgoing, capabilities);
    } else this.#entries.delete(key);
    this.#entries.set(key, entry);
    const opened = entry;
    if (opened.session === undefined) {
      opened.waiting += 1;
      try {
        const refused = await patient(opened.opening, outgoing.signal);
        if (refused !== undefined) return refused;
      } finally {
        opened.waiting -= 1;
        // Nobody waits for it any more.
        if (opened.waiting === 0 && opened.session === undefined) this.#drop(key, opened);
      }
    }
    const session = opened.session!;
    session.busy += 1;
    session.usedAt = this.#options.now();
    return session;
  }

  /** Whoever acquired the session does not need it any more. */
  release(session: FaceSession): void {
    session.busy -= 1;
    session.usedAt = this.#options.now();
  }

  /** The server has lost the session: the next who needs one opens another. */
  forget(session: FaceSession): void {
    for (const [key, entry] of this.#entries) if (entry.session === session) this.#entries.delete(key);
    void session.end(false);
  }

  /** Ends the sessions that nothing has needed for ten minutes. */
  sweep(): void {
    const before = this.#options.now() - IDLE_MS;
    for (const [key, { session }] of this.#entries) {
      if (session === undefined || session.busy > 0 || session.usedAt > before) continue;
      this.#entries.delete(key);
      void session.end(true);
    }
  }

  async close(): Promise<void> {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const { abort } of entries) abort.abort();
    await Promise.all(entries.map(({ session }) => session?.end(true)));
  }

  #open(
    key: string,
    owner: string,
    request: ModernRequest,
    outgoing: Outgoing,
    capabilities: ReturnType<typeof legacyCapabilities>,
  ): Entry {
    const { clientInfo } = request;
    const { limits } = this.#options;
    const session = new FaceSession({ inner: this.#inner, limits, caller: outgoing.caller, capabilities, clientInfo });
    const abort = new Abort();
    const entry: Entry = {
      owner,
      session: undefined,
      abort,
      waiting: 0,
      opening: session.open(abort).then(
        (refused) => {
          if (refused === undefined && !abort.aborted) {
            session.usedAt = this.#options.now();
            entry.session = session;
          } else {
            this.#drop(key, entry);
            void session.end(refused === undefined);
          }
          return refused;
        },
        (fault: unknown) => {
          this.#drop(key, entry);
          void session.end(true);
          throw fault;
        },
      ),
    };
    return entry;
  }

  #drop(key: string, entry: Entry): void {
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
    entry.abort.abort();
  }

  #makeRoom(owner: string): void {
    const own = [...this.#entries.values()].filter((entry) => entry.owner === owner).length;
    if (own < MOST_OF_ONE && this.#entries.size < MOST) return;
    for (const [key, entry] of this.#entries) {
      if (own >= MOST_OF_ONE && entry.owner !== owner) continue;
      if (entry.session === undefined || entry.session.busy > 0) continue;
      this.#entries.delete(key);
      void entry.session.end(true);
      return;
    }
    throw new GatewayError('too_busy');
  }
}

/** What the promise brings, unless whoever waits is given up before. */
export function patient<T>(promise: Promise<T>, signal: Signal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new UpstreamFault('given up by the gateway', false));
    if (signal.aborted) onAbort();
    else signal.on(onAbort);
    promise.then(resolve, reject).finally(() => signal.off(onAbort));
  });
}
