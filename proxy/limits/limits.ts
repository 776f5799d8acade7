import { createHash } from 'node:crypto';
import { callerKey, fetchesOnly, identityOf } from '../../policies/limits.ts';
import type { Limit, Limits as ConnectionLimits } from '../../policies/limits.ts';
import type { Call, Denial, Finding, Principal } from '../../policies/types.ts';
import { denialOf, findingOf } from './refusal.ts';
import type { SavedLimits, SavedTally } from './saved.ts';
import { Tally, type SessionKey, type Use } from './tally.ts';

/** A call that every other rule lets pass. */
export interface Asking {
  readonly call: Call;
  readonly who: Principal;
  readonly limits: ConnectionLimits;
  /** The id of its session; undefined for a client without one. */
  readonly session: string | undefined;
  /** People decide first: it does not run yet. */
  readonly held: boolean;
  /** It runs what was asked, and counted, before. */
  readonly executes: boolean;
}

/** What limits make of a call: the refusal, or the ticket that stands for what was counted. */
export interface Admitted {
  readonly findings: readonly Finding[];
  readonly denial?: Denial;
  readonly ticket?: Ticket;
}

/** Stands for a call that was let in, until it is over. */
export interface Ticket {
  /** A held call begins to run: it takes its place among those at the upstream, once. */
  enter(): Admitted;
  /** It does not run after all. */
  leave(): void;
  /** It is over, after an answer of so many bytes; the first time counts. */
  release(bytes: number): void;
}

const FREE: Admitted = { findings: [] };
const NO_SESSION: SessionKey = { key: '', lasting: false };

/** What is counted under the limits of this process. Question and count are one step, so no two calls take the same place. */
export class Limits {
  readonly #now: () => number;
  readonly #tallies = new Map<string, Tally>();
  /** Limits that were not used since the start. */
  #saved: ReadonlyMap<string, SavedTally> = new Map();
  #lostAt: number | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  admit(asking: Asking): Admitted {
    const { call, who, limits, held, executes } = asking;
    const applied = limits.applying(call, who);
    if (applied.length === 0) return FREE;
    const now = this.#now();
    const fetches = fetchesOnly(call);
    let identity: string | undefined;
    const shared = {
      session: applied.some(({ limit }) => limit.session !== undefined) ? sessionKey(asking) : NO_SESSION,
      // Bodies on other routes are not read, so nobody knows what repeats what.
      identity: call.kind === 'http' ? undefined : () => (identity ??= identityOf(call, who)),
      asks: !fetches && !executes,
      runs: !fetches && !held,
    };
    const findings: Finding[] = [];
    const counted: Counted[] = [];
    let denial: Denial | undefined;
    for (const { limit, keys } of applied) {
      const tally = this.#tallyOf(limit);
      const use: Use = { keys, ...shared };
      const fault = tally.judge(use, now);
      if (fault === undefined) counted.push({ limit, tally, use });
      else findings.push(findingOf(limit, fault));
      if (fault !== undefined && limit.enforced) denial ??= denialOf(limit, fault);
    }
    if (denial !== undefined) return { findings, denial };
    for (const { tally, use } of counted) {
      tally.count(use, now);
      if (use.runs) tally.enter(use);
    }
    return { findings, ticket: this.#ticket(counted, fetches) };
  }

  #ticket(counted: readonly Counted[], fetches: boolean): Ticket {
    let inside = counted.filter(({ use }) => use.runs);
    let entered = inside.length > 0 || fetches;
    let over = false;
    const leave = (): void => {
      for (const { tally, use } of inside) tally.leave(use);
      inside = [];
      entered = fetches;
    };
    return {
      enter: () => {
        if (entered || over) return FREE;
        const findings: Finding[] = [];
        const free: Counted[] = [];
        let denial: Denial | undefined;
        for (const each of counted) {
          const fault = each.tally.judgeRun(each.use);
          if (fault === undefined) free.push(each);
          else findings.push(findingOf(each.limit, fault));
          if (fault !== undefined && each.limit.enforced) denial ??= denialOf(each.limit, fault);
        }
        if (denial !== undefined) return { findings, denial };
        for (const { tally, use } of free) tally.enter(use);
        inside = free;
        entered = true;
        return { findings };
      },
      leave,
      release: (bytes) => {
        if (over) return;
        over = true;
        leave();
        const now = this.#now();
        for (const { tally, use } of counted) tally.spend(use, bytes, now);
      },
    };
  }

  #tallyOf(limit: Limit): Tally {
    let tally = this.#tallies.get(limit.id);
    if (tally === undefined)
      this.#tallies.set(limit.id, (tally = new Tally(limit, this.#saved.get(limit.id), this.#lostAt)));
    return tally;
  }

  /** Forgets what was counted under limits that are no more. */
  retain(ids: ReadonlySet<string>): void {
    for (const id of this.#tallies.keys()) if (!ids.has(id)) this.#tallies.delete(id);
    this.#saved = new Map([...this.#saved].filter(([id]) => ids.has(id)));
  }

  /** Everything that matters after a restart. */
  save(): SavedLimits {
    const now = this.#now();
    const used = [...this.#tallies].flatMap(([id, tally]) => {
      const saved = tally.save(now);
      return saved === undefined ? [] : [[id, saved] as const];
    });
    const lostAt = this.#lostAt === undefined ? {} : { lostAt: this.#lostAt };
    return { limits: Object.fromEntries([...this.#saved, ...used]), ...lostAt };
  }

  /** Goes on from what an earlier process counted; before the first call. */
  restore(saved: SavedLimits): void {
    this.#saved = new Map(Object.entries(saved.limits));
    this.#lostAt = saved.lostAt;
  }

  /** What an earlier process counted is unknown: each limit says what that means. */
  lose(): void {
    this.#lostAt = this.#now();
  }
}

interface Counted {
  readonly limit: Limit;
  readonly tally: Tally;
  readonly use: Use;
}

/** The id of a session is as good as a key to it, so it is not kept. */
function sessionKey({ session, who, call }: Asking): SessionKey {
  if (session === undefined) return { key: JSON.stringify([callerKey(who), call.connection]), lasting: false };
  return { key: createHash('sha256').update(session).digest('base64url'), lasting: true };
}
