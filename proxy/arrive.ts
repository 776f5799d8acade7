import { Readable } from 'node:stream';
import type { Principal } from '../policies/types.ts';
import { GatewayError } from './errors.ts';
import type { Gateway } from './gateway.ts';
import type { Arrival, Frame } from './types.ts';
import { decodeFrame } from './wire/frame.ts';
import { checkHost, checkOrigin, checkRequest } from './wire/headers.ts';

/** Proves who is calling, from headers alone: a stranger's bytes are never parsed. */
export function authenticate(arrival: Arrival, gateway: Gateway): Principal | Promise<Principal> {
  if (arrival.credentials.type === 'http') {
    checkHost(arrival.headers, gateway.allowedHosts);
    checkOrigin(arrival.headers, gateway.settings().allowedOrigins, gateway.publicUrl);
  }
  return gateway.authenticate(arrival.credentials, arrival.route, gateway.now());
}

/** The message, strictly read; undefined for the session operations, which have no body. */
export async function decode(arrival: Arrival, gateway: Gateway): Promise<Frame | undefined> {
  checkRequest(arrival);
  if (arrival.httpMethod !== 'POST') return undefined;
  const { body } = arrival;
  if (typeof body === 'function') return decodeFrame(body(), gateway.frameLimits);
  const bytes = Buffer.isBuffer(body) ? body : await readBody(body, arrival, gateway);
  return decodeFrame(bytes, gateway.frameLimits);
}

/** Reads at most `message_size` bytes, in time; over it the rest is not read. */
function readBody(body: Readable, arrival: Arrival, gateway: Gateway): Promise<Buffer> {
  const limit = gateway.messageSize;
  if (Number(arrival.headers['content-length'] ?? 0) > limit) {
    return Promise.reject(new GatewayError('too_large', `${limit} bytes`));
  }
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const timer = setTimeout(() => finish(new GatewayError('body_timeout')), gateway.bodyTimeoutMs);
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
