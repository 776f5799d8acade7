/** Tells that something is given up. What an AbortSignal is, without the cost of an event target: each call makes several. */
export interface Signal {
  readonly aborted: boolean;
  /** Calls the listener once, when it happens; not when it has happened already. */
  on(listener: () => void): void;
  off(listener: () => void): void;
}

/** Gives something up, once. */
export class Abort implements Signal {
  #aborted = false;
  #listeners: (() => void)[] = [];

  get aborted(): boolean {
    return this.#aborted;
  }

  on(listener: () => void): void {
    if (!this.#aborted) this.#listeners.push(listener);
  }

  off(listener: () => void): void {
    const index = this.#listeners.indexOf(listener);
    if (index >= 0) this.#listeners.splice(index, 1);
  }

  abort(): void {
    if (this.#aborted) return;
    this.#aborted = true;
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) listener();
  }
}
