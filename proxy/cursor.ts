import type { Outbound, Reply, SseFields } from './types.ts';
import { SseReader } from './wire/sse.ts';

/** Before a stream that the upstream ended is asked for again, unless it said otherwise. */
const AGAIN_MS = 1_000;
const MOST_AGAIN_MS = 60_000;
/** Whatever the upstream says: each time is a call on record. */
const LEAST_AGAIN_MS = 100;

/** Where in an upstream's stream its reader stands, and how long he waits before he asks for more. */
export class Cursor {
  lastId: string | undefined;
  #waitMs = AGAIN_MS;
  #retryMs: number | undefined;

  note(reply: Reply): void {
    for (const out of reply.outbound) {
      if ('frame' in out) this.#waitMs = AGAIN_MS;
      for (const { id, retry } of fieldsOf(out)) {
        if (id !== undefined) this.lastId = id;
        if (retry !== undefined) this.#retryMs = Math.max(LEAST_AGAIN_MS, Math.min(Number(retry), MOST_AGAIN_MS));
      }
    }
  }

  /** As long as the upstream said; else ever longer while it has nothing to say. */
  againMs(): number {
    const ms = this.#retryMs ?? this.#waitMs;
    this.#waitMs = Math.min(this.#waitMs * 2, MOST_AGAIN_MS);
    return ms;
  }
}

function fieldsOf(out: Outbound): readonly SseFields[] {
  const { raw } = out;
  if (raw === undefined) return 'event' in out && out.event !== undefined ? [out.event] : [];
  // Most events have neither, and need not be read a second time.
  return raw.includes('id:') || raw.includes('retry:') ? new SseReader({ eventSize: Infinity }).push(raw) : [];
}
