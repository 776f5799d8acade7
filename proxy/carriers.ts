import { randomBytes } from 'node:crypto';
import type { Abort, Signal } from './abort.ts';
import type { Principal } from '../policies/types.ts';
import { Carrier, type CarrierParts, type Delivery } from './carrier.ts';
import { GatewayError } from './errors.ts';
import type { Arrival, Frame } from './types.ts';
import type { SseEvent } from './wire/sse.ts';

export interface CarriersOptions extends CarrierParts {
  /** Streams open at once. */
  readonly most: number;
  readonly stopping: Signal;
}

/**
 * The event streams of 2024-11-05 clients (HTTP+SSE). A stream is a session: it ends with the stream, and the stream with it.
 * Its id is a name, no proof: only who opened it may use it, on the connection for which it was opened.
 */
export class Carriers {
  readonly #open = new Map<string, Carrier>();
  readonly #options: CarriersOptions;

  constructor(options: CarriersOptions) {
    this.#options = options;
  }

  /** What goes to the client that opened this stream: where to post, then all its messages, until either side leaves. */
  open(arrival: Arrival, owner: Principal): AsyncIterable<readonly SseEvent[]> {
    if (this.#open.size >= this.#options.most) throw new GatewayError('too_busy');
    return this.#run(arrival, owner);
  }

  async *#run(arrival: Arrival, owner: Principal): AsyncGenerator<readonly SseEvent[]> {
    const { gone } = arrival;
    const { stopping } = this.#options;
    const id = randomBytes(16).toString('hex');
    const carrier = new Carrier(arrival, owner, this.#options);
    const leave = (): void => carrier.leave();
    const finish = (): void => carrier.finish();
    this.#open.set(id, carrier);
    gone.on(leave);
    stopping.on(finish);
    if (gone.aborted) leave();
    if (stopping.aborted) finish();
    try {
      // Root-relative: the client stays on the origin by which it came (an SDK client refuses any other).
      yield [{ raw: Buffer.from(`event: endpoint\ndata: ${encodeURI(arrival.route)}?sessionId=${id}\n\n`) }];
      yield* carrier.events();
    } finally {
      gone.off(leave);
      stopping.off(finish);
      this.#open.delete(id);
      await carrier.end();
    }
  }

  /** The carrier, if this principal opened it for this connection; a stranger's id is as unknown as a made-up one. */
  find(id: string, connection: string, who: Principal): Carrier | undefined {
    const carrier = this.#open.get(id);
    if (carrier === undefined || carrier.over || carrier.connection !== connection) return undefined;
    return carrier.owner.issuer === who.issuer && carrier.owner.subject === who.subject ? carrier : undefined;
  }

  /**
   * Where the answers of an admitted message go. Only what `find` allowed is admitted; if the client left meanwhile,
   * nothing can be delivered.
   */
  deliver(id: string, admitted: readonly Frame[], gone: Abort): Delivery {
    const carrier = this.#open.get(id);
    if (carrier !== undefined) return carrier.deliver(admitted, gone);
    gone.abort();
    return { take: async () => false, done: async () => undefined };
  }
}
