import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { Signal } from './abort.ts';
import type { JsonObject, Principal } from '../policies/types.ts';

/** One JSON-RPC message: its exact bytes and its parsed value. Edits make a new Frame by splicing spans of `text`. */
export interface Frame {
  readonly kind: 'request' | 'notification' | 'response';
  readonly bytes: Buffer;
  readonly text: string;
  readonly value: JsonObject;
  /** The id as it stands in the text (`1`, `"a"`): echoed raw, compared by `idKey`. Absent on notifications. */
  readonly id?: string;
  /** Absent on responses. */
  readonly method?: string;
}

/** `legacy`: revisions up to 2025-11-25, opened by initialize. `modern`: 2026-07-28, stateless. */
export type Era = 'legacy' | 'modern';

/** How a caller proves himself: HTTP headers, or, for calls the gateway makes itself, a principal already proven. */
export type Credentials =
  | {
      readonly type: 'http';
      readonly headers: IncomingHttpHeaders;
      /** Names and values as they came: `headers` keeps only the first of several Authorization headers. */
      readonly rawHeaders?: readonly string[];
      readonly url: string;
      readonly address: string;
    }
  | { readonly type: 'proven'; readonly principal: Principal; readonly address: string };

/** POST, GET and DELETE on MCP endpoints, all of them on other routes. */
export type HttpMethod = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** A message at some door of the gateway, not yet trusted in any way. */
export interface Arrival {
  readonly credentials: Credentials;
  readonly httpMethod: HttpMethod;
  /** `/mcp` or `/api/mcp` ...: what a token's audience is compared with. */
  readonly route: string;
  readonly connection: string;
  readonly headers: IncomingHttpHeaders;
  /** Names and values as they came, to find duplicates. */
  readonly rawHeaders: readonly string[];
  /** The unread body (HTTP), the message itself, or what makes it: nothing is read or parsed before the caller is known. */
  readonly body: Readable | Buffer | (() => Buffer | Promise<Buffer>);
  /** Aborts when the client went away. */
  readonly gone: Signal;
  /** This message gets a recorded session of its own (an execution, the gateway's own questions). */
  readonly ownSession?: boolean;
  /** Told how many messages came together; false when that is more than may be in work. */
  readonly weigh?: (messages: number) => boolean;
  /** The approved review that this message executes. */
  readonly review?: string;
  /** The event stream of a 2024-11-05 client (HTTP+SSE) by which its answers go back; empty when this GET opens one. */
  readonly carrier?: string;
  /** On a route that is not MCP: passes the request on to the upstream and resolves when its answer has come. */
  readonly pass?: (signal: Signal) => Promise<Passed>;
}

/** What became of a request on a route that is not MCP. */
export interface Passed {
  readonly status: number;
  /** Of the answer's body. */
  readonly bytes: number;
}

/** One thing to deliver: a message, or stream bytes without one (comment, priming event). */
export type Outbound =
  | {
      readonly frame: Frame;
      /** On SSE: the event's bytes exactly as they came, when nothing was changed. */
      readonly raw?: Buffer;
      /** On SSE with a changed frame: the fields to keep. */
      readonly event?: SseFields;
    }
  | { readonly raw: Buffer };

export interface SseFields {
  readonly event?: string;
  readonly id?: string;
  readonly retry?: string;
}

/** All that became complete together. The first reply of an answer fixes status, mode and headers. */
export interface Reply {
  readonly status: number;
  readonly mode: 'json' | 'sse' | 'empty';
  readonly headers: Readonly<Record<string, string>>;
  readonly outbound: readonly Outbound[];
  /** A stream for listening: it may last for ever and is nobody's unfinished call. */
  readonly listening?: boolean;
  /** The answers of a batch: an array, however few they are. */
  readonly batch?: boolean;
  /** What a POST of an HTTP+SSE client carried and what was let in: it is answered now, all else goes on its carrier. */
  readonly admitted?: readonly Frame[];
  /** Pull the next reply only when the client's side of the connection has taken this one; return() when it cannot. */
  readonly confirm?: boolean;
}
