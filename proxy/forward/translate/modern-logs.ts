const LEVELS: readonly string[] = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];

/** Whether a message of this level is for a request that asked for `wanted` and above. */
export function isWanted(level: unknown, wanted: string | undefined): boolean {
  if (wanted === undefined || typeof level !== 'string') return false;
  const at = LEVELS.indexOf(level);
  return at >= 0 && at >= LEVELS.indexOf(wanted);
}

/** The one log level of a session that several requests want different levels of: the lowest of those in flight. */
export class LogLevels {
  readonly #set: (level: string) => Promise<boolean>;
  readonly #wanted = new Map<number, string>();
  #current: string | undefined;
  #setting: Promise<unknown> = Promise.resolve();

  /** `set` tells the server, and answers false when there is no session to tell it in. */
  constructor(set: (level: string) => Promise<boolean>) {
    this.#set = set;
  }

  /** The request with this number wants logs; resolves when the server knows, with false when the session is lost. */
  want(request: number, level: string | undefined): Promise<boolean> {
    if (level === undefined || !LEVELS.includes(level)) return Promise.resolve(true);
    this.#wanted.set(request, level);
    const setting = this.#setting.then(() => this.#settle());
    // The next one tries anew.
    this.#setting = setting.catch(() => undefined);
    return setting;
  }

  release(request: number): void {
    this.#wanted.delete(request);
  }

  async #settle(): Promise<boolean> {
    const lowest = LEVELS.find((level) => [...this.#wanted.values()].includes(level));
    if (lowest === undefined || lowest === this.#current) return true;
    const known = await this.#set(lowest);
    if (known) this.#current = lowest;
    return known;
  }
}
