import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Outbound, Reply } from '../types.ts';
import { COMMENT, encodeEvent } from '../wire/sse.ts';

const SSE_HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};
const OPEN = Buffer.from('[');
const COMMA = Buffer.from(',');
const CLOSE = Buffer.from(']');
const JSON_HEADERS = { 'content-type': 'application/json', 'cache-control': 'no-store' };

export interface Delivering {
  /** Silent streams get a comment this often (duty H-10). */
  readonly keepAliveMs: number;
  /** Every reply waits until the client's side took it, not only until there is room for the next. */
  readonly flushed?: boolean;
  /** The answer turned out to be a stream for listening. */
  readonly onListening?: () => void;
}

/**
 * Writes an answer to its client, one reply at a time with back-pressure. A client that left does not stop the answer, so that
 * it is recorded; one that must be confirmed is given back as not delivered.
 */
export async function deliver(
  replies: AsyncGenerator<Reply>,
  res: ServerResponse,
  { keepAliveMs, flushed = false, onListening }: Delivering,
): Promise<void> {
  let keepAlive: NodeJS.Timeout | undefined;
  // A reader who is behind has enough to read: comments would only grow what waits for him.
  const beat = (): void => {
    if (!res.writableNeedDrain && !res.destroyed) res.write(COMMENT);
  };
  try {
    for await (const reply of replies) {
      if (reply.listening === true) onListening?.();
      if (res.destroyed) {
        if (reply.confirm === true) return;
        continue;
      }
      if (reply.mode === 'sse') {
        if (!res.headersSent) {
          res.writeHead(reply.status, { ...SSE_HEADERS, ...reply.headers });
          keepAlive = setInterval(beat, keepAliveMs);
        }
        const bytes = Buffer.concat(reply.outbound.map(toBytes));
        if (bytes.length === 0) res.flushHeaders();
        else if (reply.confirm === true || flushed) {
          if (!(await written(res, bytes)) && reply.confirm === true) return;
        } else if (!res.write(bytes)) await drained(res);
        keepAlive?.refresh();
      } else if (!(await finish(res, reply))) return;
    }
    if (!res.destroyed && !res.writableEnded) res.end();
  } finally {
    clearInterval(keepAlive);
  }
}

function toBytes(out: Outbound): Buffer {
  if (!('frame' in out)) return out.raw;
  return out.raw ?? encodeEvent(out.frame, out.event ?? {});
}

/** A whole answer at once. False: it had to be confirmed and could not be. */
export async function finish(res: ServerResponse, reply: Reply): Promise<boolean> {
  const body = bodyOf(reply);
  // 413 leaves an unread rest on the connection.
  const close = reply.status === 413 || reply.status === 408 ? { connection: 'close' } : {};
  if (body === undefined) res.writeHead(reply.status, { 'content-length': 0, ...close, ...reply.headers }).end();
  else
    res
      .writeHead(reply.status, { ...JSON_HEADERS, 'content-length': body.length, ...close, ...reply.headers })
      .end(body);
  if (reply.confirm !== true) return true;
  if (!res.writableFinished) await Promise.race([once(res, 'finish'), once(res, 'close')]);
  return res.writableFinished;
}

/** One message as it is; several, or those of a batch, as an array. */
function bodyOf({ outbound, batch }: Reply): Buffer | undefined {
  const messages = outbound.flatMap((out) => ('frame' in out ? [out.frame.bytes] : []));
  if (messages.length === 0) return undefined;
  if (messages.length === 1 && batch !== true) return messages[0];
  const parts = messages.flatMap((bytes) => [COMMA, bytes]).slice(1);
  return Buffer.concat([OPEN, ...parts, CLOSE]);
}

/** Resolves when the bytes are with the kernel; false when they will never be. */
function written(res: ServerResponse, bytes: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (taken: boolean): void => {
      res.off('close', onClose);
      resolve(taken);
    };
    const onClose = (): void => settle(false);
    res.on('close', onClose);
    res.write(bytes, (error) => settle(error === null || error === undefined));
  });
}

function drained(res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      res.off('drain', go).off('close', go);
      resolve();
    };
    res.on('drain', go).on('close', go);
  });
}
