import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Outbound, Reply } from '../types.ts';
import { COMMENT, encodeEvent } from '../wire/sse.ts';

const SSE_HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};
const JSON_HEADERS = { 'content-type': 'application/json', 'cache-control': 'no-store' };

/** Idle streams get a comment this often (duty H-10). */
const KEEP_ALIVE_MS = 15_000;

/**
 * Writes an answer to its client, one reply at a time with back-pressure. A client that left does not stop the answer, so that
 * it is recorded; one that must be confirmed is given back as not delivered.
 */
export async function deliver(replies: AsyncGenerator<Reply>, res: ServerResponse): Promise<void> {
  let keepAlive: NodeJS.Timeout | undefined;
  try {
    for await (const reply of replies) {
      if (res.destroyed) {
        if (reply.confirm === true) return;
        continue;
      }
      if (reply.mode === 'sse') {
        if (!res.headersSent) {
          res.writeHead(reply.status, { ...SSE_HEADERS, ...reply.headers });
          keepAlive = setInterval(() => res.write(COMMENT), KEEP_ALIVE_MS);
        }
        const bytes = Buffer.concat(reply.outbound.map(toBytes));
        if (bytes.length === 0) res.flushHeaders();
        else if (reply.confirm === true) {
          if (!(await written(res, bytes))) return;
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
async function finish(res: ServerResponse, reply: Reply): Promise<boolean> {
  const out = reply.outbound[0];
  const body = out !== undefined && 'frame' in out ? out.frame.bytes : undefined;
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

function written(res: ServerResponse, bytes: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    res.once('close', () => resolve(false));
    res.write(bytes, (error) => resolve(error === null || error === undefined));
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
