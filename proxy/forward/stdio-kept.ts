import { GatewayError } from '../errors.ts';
import { UpstreamFault } from './upstream.ts';

export interface Stoppable {
  stop(): Promise<void>;
}

const FIRST_MS = 100;
const LONGEST_MS = 30_000;
/** Who lived so long did not fail at starting. */
const SOUND_MS = 60_000;

/**
 * Keeps one child for everybody: started on first need, and again after it ended, but no sooner than a delay that doubles from
 * 100 ms to 30 s while it keeps ending within a minute.
 */
export class Kept<T extends Stoppable> {
  readonly #start: (gone: (fault: UpstreamFault) => void) => T;
  readonly #now: () => number;
  #current: T | undefined;
  #startedAt = 0;
  #delay = 0;
  #notBefore = 0;
  #reason = '';

  /** `now`: milliseconds of a clock that nobody sets. */
  constructor(start: (gone: (fault: UpstreamFault) => void) => T, now: () => number = () => performance.now()) {
    this.#now = now;
    this.#start = start;
  }

  /** The living one, started when there is none; throws an UpstreamFault that says when it is tried again. */
  get(): T {
    if (this.#current !== undefined) return this.#current;
    const wait = this.#notBefore - this.#now();
    if (wait > 0) {
      const when = `: it ended, and can be started again in ${(Math.ceil(wait / 100) / 10).toFixed(1)} s`;
      throw new UpstreamFault(`${this.#reason}${when}`, false, new GatewayError('upstream_unreachable', when));
    }
    this.#startedAt = this.#now();
    const started: T = this.#start((fault) => this.#lost(started, fault));
    this.#current = started;
    return started;
  }

  #lost(one: T, fault: UpstreamFault): void {
    if (this.#current !== one) return;
    this.#current = undefined;
    const now = this.#now();
    const sound = now - this.#startedAt >= SOUND_MS;
    this.#delay = sound || this.#delay === 0 ? FIRST_MS : Math.min(LONGEST_MS, 2 * this.#delay);
    this.#notBefore = now + this.#delay;
    this.#reason = fault.message;
  }

  /** It is of no use: ended, and the next one waits as after a failure. */
  async discard(one: T, fault: UpstreamFault): Promise<void> {
    this.#lost(one, fault);
    await one.stop();
  }

  /** It is not needed now: ended, and the next one may start at any time. */
  async retire(one: T): Promise<void> {
    if (this.#current === one) this.#current = undefined;
    await one.stop();
  }
}
