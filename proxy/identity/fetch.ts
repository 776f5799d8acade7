import { lookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, request } from 'undici';
import { isLoopbackHost, publicAddresses } from './addresses.ts';

export interface IdentityHttpOptions {
  /** The host of this URL was named by the operator, so it may have any address. */
  readonly issuer: string;
  /** Further hosts that may have a private address, for providers that serve their keys elsewhere in the same network. */
  readonly internalHosts?: readonly string[];
  /** PEM of the certificate authority to trust instead of the system's. */
  readonly ca?: string;
  /** For the whole exchange, from connect to the last byte. */
  readonly timeoutMs?: number;
  /** Largest document, bytes. */
  readonly sizeLimit?: number;
}

/** The only way in which identity reaches the network. */
export interface IdentityHttp {
  /**
   * The JSON document at a URL. Rejects unless it is https (http between loopback hosts only), answered 200 without a
   * redirect, in time and within the size limit. A host the operator did not name must have public addresses only, and
   * the address that was checked is the one connected to.
   */
  getJson(url: string): Promise<unknown>;
  close(): Promise<void>;
}

export function createIdentityHttp(options: IdentityHttpOptions): IdentityHttp {
  const issuer = new URL(options.issuer);
  const named = new Set([issuer.hostname, ...(options.internalHosts ?? [])]);
  const isPublic = publicAddresses();
  const timeoutMs = options.timeoutMs ?? 5000;
  const sizeLimit = options.sizeLimit ?? 1_048_576;
  const closing = new AbortController();
  const agent = new Agent({
    connections: 2,
    pipelining: 1,
    maxHeaderSize: 65_536,
    connect: {
      rejectUnauthorized: true,
      timeout: timeoutMs,
      lookup: guardedLookup(named, isPublic),
      ...(options.ca === undefined ? {} : { ca: options.ca }),
    },
  });

  function check(text: string): URL {
    const url = new URL(text);
    if (url.username !== '' || url.password !== '') throw new Error('the URL holds credentials');
    const plain = url.protocol === 'http:' && isLoopbackHost(url.hostname) && isLoopbackHost(issuer.hostname);
    if (url.protocol !== 'https:' && !plain) throw new Error('the URL is not https');
    // A literal address never passes through lookup.
    const literal = url.hostname.replace(/^\[|\]$/g, '');
    if (isIP(literal) !== 0 && !named.has(url.hostname) && !isPublic(literal))
      throw new Error('the address is not public');
    return url;
  }

  return {
    async getJson(text) {
      const url = check(text);
      const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), closing.signal]);
      const answer = await request(url, { dispatcher: agent, signal, headers: { accept: 'application/json' } });
      if (answer.statusCode !== 200) {
        await answer.body.dump({ limit: 16_384, signal });
        throw new Error(`the answer has status ${answer.statusCode}`);
      }
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of answer.body as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > sizeLimit) throw new Error('the answer is too large');
        chunks.push(chunk);
      }
      return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)));
    },
    async close() {
      closing.abort(new Error('closed'));
      await agent.destroy();
    },
  };
}

/** Resolves once and refuses a host of which any address is not public, so that a second answer of the DNS changes nothing. */
function guardedLookup(named: ReadonlySet<string>, isPublic: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      const first = addresses?.[0];
      if (error !== null || first === undefined) callback(error ?? new Error('the host has no address'), '', 0);
      else if (!named.has(hostname) && !addresses.every(({ address }) => isPublic(address)))
        callback(new Error('the host has an address that is not public'), '', 0);
      else if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}
