import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { Principal } from '../policies/types.ts';
import { GatewayError } from './errors.ts';
import type { Gateway } from './gateway.ts';
import type { Arrival, Frame } from './types.ts';
import { decodeBatch, isBatch, type Batch } from './wire/batch.ts';
import { decodeFrame } from './wire/frame.ts';
import { checkFraming, checkHost, checkOrigin, checkRequest } from './wire/headers.ts';

/** Proves who is calling, from headers alone: a stranger's bytes are never parsed. */
export function authenticate(arrival: Arrival, gateway: Gateway): Principal | Promise<Principal> {
  if (arrival.credentials.type === 'http') {
    // A target in absolute form names a host of its own, which another reader may prefer to the Host header.
    if (!arrival.credentials.url.startsWith('/')) throw new GatewayError('host_refused');
    checkHost(arrival.headers, gateway.allowedHosts);
    checkOrigin(arrival.headers, gateway.settings().allowedOrigins, gateway.publicUrl);
  }
  return gateway.authenticate(arrival.credentials, arrival.route, gateway.now());
}

/** The message or messages, strictly read; undefined for the session operations, which have no body. */
export async function decode(arrival: Arrival, gateway: Gateway): Promise<Frame | Batch | undefined> {
  if (arrival.pass !== undefined) {
    checkFraming(arrival);
    return undefined;
  }
  checkRequest(arrival);
  if (arrival.httpMethod !== 'POST') return undefined;
  const { body } = arrival;
  if (typeof body === 'function') return decodeFrame(await body(), gateway.frameLimits);
  const bytes = Buffer.isBuffer(body)
    ? body
    : await readBody(body, arrival.headers, gateway.messageSize, gateway.bodyTimeoutMs);
  return isBatch(bytes) ? decodeBatch(bytes, gateway.frameLimits) : decodeFrame(bytes, gateway.frameLimits);
}

/** Reads at most `limit` bytes, in time; over it the rest is not read. */
export function readBody(
  body: Readable,
  headers: IncomingHttpHeaders,
  limit: number,
  timeoutMs: number,
): Promise<Buffer> {
  // Whoever left while his token was verified sends no further event.
  if (body.destroyed) return Promise.reject(new GatewayError('body_timeout'));
  if (Number(headers['content-length'] ?? 0) > limit) {
    return Promise.reject(new GatewayError('too_large', `${limit} bytes`));
  }
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const timer = setTimeout(() => finish(new GatewayError('body_timeout')), timeoutMs);
    const finish = (fault?: GatewayError): void => {
      clearTimeout(timer);
      body.off('data', onData).off('end', onEnd).off('error', onError).off('close', onError);
      if (fault === undefined) resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));
      else reject(fault);
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > limit) {
        body.pause();
        finish(new GatewayError('too_large', `${limit} bytes`));
      } else chunks.push(chunk);
    };
    const onEnd = (): void => finish();
    const onError = (): void => finish(new GatewayError('body_timeout'));
    body.on('data', onData).on('end', onEnd).on('error', onError).on('close', onError);
  });
}
