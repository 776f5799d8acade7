import type { Limit, Quota } from '../../policies/limits.ts';
import { Counters } from './counters.ts';
import type { SavedSession, SavedTally } from './saved.ts';
import { SlidingWindow } from './window.ts';

/** How a call uses one limit. */
export interface Use {
  /** The counters in all of which there must be room. */
  readonly keys: readonly string[];
  readonly session: SessionKey;
  /** What is the same for identical calls; undefined where nobody can tell. */
  readonly identity: (() => string) | undefined;
  /** A call of its own: neither the run of one that was counted when it was asked, nor the fetching of its answer. */
  readonly asks: boolean;
  /** Whether it is at the upstream from now on. */
  readonly runs: boolean;
}

/** `lasting`: the client ends it, or the gateway does; any other is over after half an hour of silence. */
export interface SessionKey {
  readonly key: string;
  readonly lasting: boolean;
}

/** What there is no room for, and in how many seconds there will be, where that is known. */
export interface Fault {
  readonly of: 'repeats' | 'session_calls' | 'session_bytes' | 'calls' | 'result_bytes' | 'concurrent';
  readonly retryAfter?: number;
}

interface SessionUse {
  calls: number;
  bytes: number;
  at: number;
}

export const SESSION_SILENCE_MS = 30 * 60_000;
/** No id of a session is honoured for longer. */
const SESSION_AGE_MS = 7 * 86_400_000;
/** What passes sooner than this is not worth a file. */
const KEPT_FROM_MS = 10 * 60_000;
const MOST_COUNTERS = 20_000;
const MOST_REPEATS = 100_000;
const MOST_SAVED = 5_000;

/** Everything that is counted under one limit. Each step is synchronous, so nothing comes between a question and its count. */
export class Tally {
  readonly limit: Limit;
  /** When the counts from before were lost; half of each quota counts as used for as long as they would have mattered. */
  readonly #lostAt: number | undefined;
  readonly #calls: Counters<SlidingWindow>;
  readonly #bytes: Counters<SlidingWindow>;
  readonly #repeats: Counters<SlidingWindow>;
  readonly #lasting = this.#sessions(SESSION_AGE_MS);
  readonly #silent = this.#sessions(SESSION_SILENCE_MS);
  readonly #running = new Map<string, number>();

  constructor(limit: Limit, saved: SavedTally | undefined, lostAt: number | undefined) {
    this.limit = limit;
    this.#lostAt = limit.onLostState === 'half' ? lostAt : undefined;
    this.#calls = this.#windows(limit.calls, saved?.calls);
    this.#bytes = this.#windows(limit.resultBytes, saved?.bytes);
    this.#repeats = new Counters({
      most: MOST_REPEATS,
      create: () => new SlidingWindow(limit.repeats?.withinMs ?? 1),
      spent: (window, now) => window.used(now) === 0,
    });
    for (const [key, calls, bytes, at] of saved?.lasting ?? []) this.#lasting.put(key, { calls, bytes, at });
    for (const [key, calls, bytes, at] of saved?.silent ?? []) this.#silent.put(key, { calls, bytes, at });
  }

  /** Why there is no room; counts nothing but that the call was made again. */
  judge(use: Use, now: number): Fault | undefined {
    const { repeats, calls, resultBytes } = this.limit;
    const same = use.asks && repeats !== undefined ? use.identity?.() : undefined;
    const repeated = same === undefined ? undefined : this.#repeat(same, repeats!, now);
    const spent = this.#judgeSession(use, now);
    if (repeated !== undefined) return repeated;
    if (spent !== undefined) return spent;
    for (const key of use.keys) {
      if (calls !== undefined && use.asks) {
        const window = this.#calls.peek(key, now);
        if (window.used(now) >= calls.most) return waitFault('calls', window, calls.most - 1, now);
      }
      if (resultBytes !== undefined) {
        const window = this.#bytes.peek(key, now);
        if (window.used(now) >= resultBytes.most) return waitFault('result_bytes', window, resultBytes.most - 1, now);
      }
    }
    return use.runs ? this.judgeRun(use) : undefined;
  }

  judgeRun({ keys }: Use): Fault | undefined {
    const { concurrent } = this.limit;
    if (concurrent === undefined) return undefined;
    return keys.some((key) => (this.#running.get(key) ?? 0) >= concurrent) ? { of: 'concurrent' } : undefined;
  }

  /** A call that may pass. */
  count(use: Use, now: number): void {
    if (!use.asks) return;
    if (this.limit.calls !== undefined) for (const key of use.keys) this.#calls.use(key, now).add(now, 1);
    if (this.limit.session !== undefined) this.#session(use, now).calls += 1;
  }

  enter({ keys }: Use): void {
    if (this.limit.concurrent === undefined) return;
    for (const key of keys) this.#running.set(key, (this.#running.get(key) ?? 0) + 1);
  }

  leave({ keys }: Use): void {
    if (this.limit.concurrent === undefined) return;
    for (const key of keys) {
      const left = (this.#running.get(key) ?? 1) - 1;
      if (left === 0) this.#running.delete(key);
      else this.#running.set(key, left);
    }
  }

  /** What an answer held. */
  spend(use: Use, bytes: number, now: number): void {
    if (bytes === 0) return;
    if (this.limit.resultBytes !== undefined) for (const key of use.keys) this.#bytes.use(key, now).add(now, bytes);
    if (this.limit.session !== undefined) this.#session(use, now).bytes += bytes;
  }

  /** Undefined when nothing of it matters after a restart. */
  save(now: number): SavedTally | undefined {
    const { calls, resultBytes, session } = this.limit;
    const keeps = isKept(calls) || isKept(resultBytes) || session !== undefined;
    if (!keeps) return undefined;
    const windows = (counters: Counters<SlidingWindow>, quota: Quota | undefined): SavedTally['calls'] =>
      isKept(quota) ? counters.latest(MOST_SAVED).map(([key, window]) => [key, window.save(now)]) : [];
    const sessions = (counters: Counters<SessionUse>): readonly SavedSession[] =>
      counters.latest(MOST_SAVED).map(([key, { calls, bytes, at }]) => [key, calls, bytes, at]);
    return {
      calls: windows(this.#calls, calls),
      bytes: windows(this.#bytes, resultBytes),
      lasting: sessions(this.#lasting),
      silent: sessions(this.#silent),
    };
  }

  #repeat(identity: string, quota: Quota, now: number): Fault | undefined {
    const window = this.#repeats.use(identity, now);
    window.add(now, 1);
    return window.used(now) > quota.most ? waitFault('repeats', window, quota.most - 1, now) : undefined;
  }

  #judgeSession(use: Use, now: number): Fault | undefined {
    const { session } = this.limit;
    if (session === undefined) return undefined;
    const used = this.#sessionOf(use).peek(use.session.key, now);
    // Who is refused is not silent.
    used.at = now;
    const wait = use.session.lasting ? {} : { retryAfter: SESSION_SILENCE_MS / 1000 };
    if (use.asks && session.calls !== undefined && used.calls >= session.calls) return { of: 'session_calls', ...wait };
    return session.bytes !== undefined && used.bytes >= session.bytes ? { of: 'session_bytes', ...wait } : undefined;
  }

  #session(use: Use, now: number): SessionUse {
    const used = this.#sessionOf(use).use(use.session.key, now);
    used.at = now;
    return used;
  }

  #sessionOf({ session }: Use): Counters<SessionUse> {
    return session.lasting ? this.#lasting : this.#silent;
  }

  #sessions(silenceMs: number): Counters<SessionUse> {
    return new Counters({
      most: MOST_COUNTERS,
      create: (at) => {
        const { calls = 0, bytes = 0 } = this.#isLost(SESSION_SILENCE_MS, at) ? (this.limit.session ?? {}) : {};
        return { calls: Math.floor(calls / 2), bytes: Math.floor(bytes / 2), at };
      },
      spent: ({ at }, now) => now - at >= silenceMs,
    });
  }

  #windows(quota: Quota | undefined, saved: SavedTally['calls'] = []): Counters<SlidingWindow> {
    const { most, withinMs } = quota ?? { most: 0, withinMs: 1 };
    const counters = new Counters({
      most: MOST_COUNTERS,
      create: (now) => {
        const window = new SlidingWindow(withinMs);
        if (isKept(quota) && this.#isLost(withinMs, now)) window.add(this.#lostAt!, Math.floor(most / 2));
        return window;
      },
      spent: (window, now) => window.used(now) === 0,
    });
    for (const [key, window] of saved) counters.put(key, new SlidingWindow(withinMs, window));
    return counters;
  }

  #isLost(forMs: number, now: number): boolean {
    return this.#lostAt !== undefined && now - this.#lostAt < forMs;
  }
}

const isKept = (quota: Quota | undefined): boolean => quota !== undefined && quota.withinMs >= KEPT_FROM_MS;

const waitFault = (of: Fault['of'], window: SlidingWindow, left: number, now: number): Fault => ({
  of,
  retryAfter: Math.max(1, Math.ceil(window.waitFor(left, now) / 1000)),
});
