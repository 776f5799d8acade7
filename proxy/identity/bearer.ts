import { GatewayError } from '../errors.ts';
import type { Credentials } from '../types.ts';

type HttpCredentials = Extract<Credentials, { type: 'http' }>;

const LONGEST_TOKEN = 16_384;
const QUERY_NAMES = ['access_token', 'token'];

/**
 * The one bearer token of a request (RFC 6750 section 2.1), of legal characters and size; undefined when there is no
 * Authorization header. Refuses tokens in the query, a second header, other schemes and anything malformed.
 */
export function bearerOf({ headers, rawHeaders, url }: HttpCredentials): string | undefined {
  refuseTokenInQuery(url);
  if (rawHeaders !== undefined && countAuthorization(rawHeaders) > 1) malformed('it was sent more than once');
  const header = headers.authorization;
  if (header === undefined) return undefined;
  const [, scheme = '', rest = ''] = /^([^ ]*) *(.*)$/s.exec(header) ?? [];
  if (!/^[A-Za-z][A-Za-z0-9+.-]{0,31}$/.test(scheme) || rest === '') malformed('it is not a scheme and a token');
  // RFC 6750 section 3.1: a scheme that is not served is answered like no credentials at all.
  if (scheme.toLowerCase() !== 'bearer') throw new GatewayError('token_missing');
  if (rest.length > LONGEST_TOKEN) malformed(`the token is longer than ${LONGEST_TOKEN} characters`);
  if (!/^[A-Za-z0-9._~+/-]+=*$/.test(rest)) malformed('the token has a character that no token has');
  return rest;
}

/** PROTOCOL of MCP authorization: tokens in a URL end in logs and histories, so they are refused even beside a good header. */
function refuseTokenInQuery(url: string): void {
  const start = url.indexOf('?');
  if (start === -1) return;
  for (const name of new URLSearchParams(url.slice(start)).keys()) {
    if (QUERY_NAMES.includes(name.toLowerCase())) throw new GatewayError('token_in_query');
  }
}

/** Node keeps the first of several Authorization headers; another reader may keep the last. */
function countAuthorization(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    if (name.length === 13 && name.toLowerCase() === 'authorization') count += 1;
  }
  return count;
}

function malformed(detail: string): never {
  throw new GatewayError('token_malformed', detail);
}
