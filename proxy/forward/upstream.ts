import type { Signal } from '../abort.ts';
import type { Call, Principal } from '../../policies/types.ts';
import { GatewayError } from '../errors.ts';
import type { Arrival, Era, Frame } from '../types.ts';
import type { SseEvent } from '../wire/sse.ts';

/** Who asks, and what, in the words of policy. */
export interface Caller {
  readonly principal: Principal;
  readonly arrival: Arrival;
  readonly era: Era;
  readonly call: Call;
}

/** One message on its way to an upstream, after every decision. */
export interface Outgoing {
  readonly httpMethod: 'POST' | 'GET' | 'DELETE';
  /** Absent for GET and DELETE. */
  readonly frame?: Frame;
  /** Already cleaned of everything that is the caller's own business. */
  readonly headers: Readonly<Record<string, string>>;
  /** The upstream's own session id, on legacy sessions. */
  readonly upstreamSession?: string;
  /** Aborting gives the call up: the upstream connection is closed. */
  readonly signal: Signal;
  /** For the gateway's own operations, never for the wire. */
  readonly caller: Caller;
}

/** What came back. Exactly one of `body` and `events` unless the mode is `empty`. */
export interface UpstreamAnswer {
  readonly status: number;
  readonly mode: 'json' | 'sse' | 'empty';
  readonly upstreamSession?: string;
  readonly body?: Buffer;
  /** Complete events, those of one chunk together; throws an UpstreamFault when the stream breaks. */
  readonly events?: UpstreamEvents;
  /** The stream said nothing yet: it begins for the client without a message. */
  readonly silent?: boolean;
}

export type UpstreamEvents = AsyncIterable<readonly SseEvent[]> & {
  /** True when next() will not wait; absent when that is not known. */
  readonly ready?: boolean;
};

/** An upstream that failed; `sent` is false only when no byte of the request can have reached it. */
export class UpstreamFault extends Error {
  readonly sent: boolean;

  constructor(message: string, sent: boolean, cause?: unknown) {
    super(message, { cause });
    this.name = 'UpstreamFault';
    this.sent = sent;
  }
}

/** An upstream that answered by what cannot be read: not a loss, and no better the next time. */
export function unreadable(reason: string, cause?: unknown): UpstreamFault {
  return new UpstreamFault(reason, true, new GatewayError('upstream_invalid', reason, { cause }));
}

/** One upstream MCP server behind one transport. */
export interface Upstream {
  send(outgoing: Outgoing): Promise<UpstreamAnswer>;
  close(): Promise<void>;
}
