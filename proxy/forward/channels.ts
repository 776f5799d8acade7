import { randomUUID } from 'node:crypto';

/** What stands behind a legacy session. */
export interface Channel {
  close(): Promise<void>;
}

/** How long a channel may stand on which nobody spoke after initialize: its session was never opened. */
const UNCLAIMED_MS = 5 * 60_000;

interface Entry<T> {
  readonly channel: T;
  unclaimed: NodeJS.Timeout | undefined;
}

/** The channels of legacy sessions, by ids that nobody can guess. */
export class Channels<T extends Channel> {
  readonly #entries = new Map<string, Entry<T>>();

  add(channel: T): string {
    const id = randomUUID();
    const unclaimed = setTimeout(() => {
      this.#entries.delete(id);
      void channel.close();
    }, UNCLAIMED_MS).unref();
    this.#entries.set(id, { channel, unclaimed });
    return id;
  }

  /** The channel of a message that came for it. */
  find(id: string | undefined): T | undefined {
    const entry = id === undefined ? undefined : this.#entries.get(id);
    if (entry?.unclaimed !== undefined) {
      clearTimeout(entry.unclaimed);
      entry.unclaimed = undefined;
    }
    return entry?.channel;
  }

  delete(id: string): void {
    clearTimeout(this.#entries.get(id)?.unclaimed);
    this.#entries.delete(id);
  }

  all(): readonly T[] {
    return [...this.#entries.values()].map(({ channel }) => channel);
  }

  /** Forgets and closes all. */
  async close(): Promise<void> {
    const channels = this.all();
    for (const id of this.#entries.keys()) this.delete(id);
    await Promise.all(channels.map((channel) => channel.close()));
  }
}
