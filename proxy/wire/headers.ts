import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError } from '../errors.ts';
import type { Arrival, Era } from '../types.ts';
import { sessionVersion } from './era.ts';
import { repeatedHeader } from './mcp-headers.ts';

// A door passes on whatever came.
const METHODS: ReadonlySet<string> = new Set<Arrival['httpMethod']>(['POST', 'GET', 'DELETE']);
const BOTH_TYPES = 'application/json, text/event-stream';
const SINGLE: ReadonlySet<string> = new Set([
  'host',
  'origin',
  'content-type',
  'content-encoding',
  'content-length',
  'transfer-encoding',
  'authorization',
  'last-event-id',
  'mcp-session-id',
]);

/** Most headers one message may carry, so that none of the checks below is worth an attack. */
const MOST_HEADERS = 200;

/**
 * Refuses what a body must not be read from: repeated or contradicting headers, another media type, charset or coding
 * than plain JSON in UTF-8, an Accept that could not take the answer, a session operation of a revision without
 * sessions (H-04 to H-06, S-12).
 */
export function checkRequest(request: Pick<Arrival, 'httpMethod' | 'headers' | 'rawHeaders'>): void {
  const { httpMethod, headers, rawHeaders } = request;
  if (!METHODS.has(httpMethod)) throw new GatewayError('method_not_allowed', httpMethod);
  checkFraming(request);
  if (httpMethod !== 'POST') {
    sessionVersion(headers, rawHeaders);
    if (httpMethod === 'GET' && !accepts(headers.accept, 'text/event-stream')) throw new GatewayError('not_acceptable');
    return;
  }
  checkJson(headers);
  if (headers.accept === BOTH_TYPES) return;
  if (!accepts(headers.accept, 'application/json') || !accepts(headers.accept, 'text/event-stream')) {
    throw new GatewayError('not_acceptable');
  }
}

/** Refuses repeated and contradicting headers, on every route (H-04, S-12). */
export function checkFraming({ headers, rawHeaders }: Pick<Arrival, 'headers' | 'rawHeaders'>): void {
  if (rawHeaders.length > 2 * MOST_HEADERS) throw new GatewayError('invalid_request', 'it has too many headers');
  const repeated = repeatedHeader(rawHeaders, (name) => SINGLE.has(name));
  if (repeated !== undefined) throw new GatewayError('invalid_request', `${repeated} came more than once`);
  if (headers['transfer-encoding'] !== undefined) {
    if (headers['content-length'] !== undefined) throw new GatewayError('invalid_request', 'it has two lengths');
    if (headers['transfer-encoding'].trim().toLowerCase() !== 'chunked') {
      throw new GatewayError('invalid_request', 'its transfer coding is not chunked');
    }
  }
}

/** Does the request have a body, by its headers? */
export function hasBody(headers: IncomingHttpHeaders): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;
}

/** Refuses a body that says it is not plain JSON in UTF-8. */
export function checkJson(headers: IncomingHttpHeaders): void {
  const coding = headers['content-encoding'];
  if (coding !== undefined && coding.trim().toLowerCase() !== 'identity')
    throw new GatewayError('media_type', 'it is encoded');
  const type = headers['content-type'];
  if (type === undefined) throw new GatewayError('media_type', 'Content-Type is missing');
  if (!isJson(type)) throw new GatewayError('media_type', 'Content-Type names another type or charset');
}

const MEDIA_TYPE =
  /^application\/json[ \t]*((?:;[ \t]*(?:[\w!#$%&'*+.^`|~-]+=(?:[\w!#$%&'*+.^`|~-]+|"[^"\\]*"))?[ \t]*)*)$/i;
const PARAMETER = /([\w!#$%&'*+.^`|~-]+)=(?:([\w!#$%&'*+.^`|~-]+)|"([^"\\]*)")/g;

function isJson(value: string): boolean {
  if (value === 'application/json') return true;
  if (value.length > 256) return false;
  const parameters = MEDIA_TYPE.exec(value.trim())?.[1];
  if (parameters === undefined) return false;
  const charsets = [...parameters.matchAll(PARAMETER)].filter(([, name]) => name?.toLowerCase() === 'charset');
  return charsets.length <= 1 && charsets.every(([, , token, quoted]) => /^utf-?8$/i.test(token ?? quoted ?? ''));
}

/** Whether the header lists exactly this type; a wildcard does not count, and neither does a weight of zero. */
function accepts(header: string | undefined, type: string): boolean {
  if (header === undefined || header.length > 4096) return false;
  return header.split(',').some((range) => {
    const [name, ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    return name === type && !parameters.some((parameter) => /^q[ \t]*=[ \t]*0(?:\.0*)?$/.test(parameter));
  });
}

/** Refuses a request that a page of another site sent (H-01). No Origin is fine: programs send none. */
export function checkOrigin(headers: IncomingHttpHeaders, allowedOrigins: readonly string[], publicUrl: string): void {
  const { origin } = headers;
  if (origin !== undefined && !allowsOrigin(origin, allowedOrigins, publicUrl))
    throw new GatewayError('origin_refused');
}

/** Whether pages of this origin may call: those allowed, and the gateway's own, under any loopback name when its URL is one. */
export function allowsOrigin(origin: string, allowedOrigins: readonly string[], publicUrl: string): boolean {
  const own = new URL(publicUrl);
  if (origin === own.origin || allowedOrigins.includes(origin)) return true;
  const other = URL.canParse(origin) ? new URL(origin) : undefined;
  return (
    other !== undefined &&
    other.origin === origin &&
    other.protocol === own.protocol &&
    other.port === own.port &&
    LOOPBACK.has(other.hostname) &&
    LOOPBACK.has(own.hostname)
  );
}

const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

/** Refuses a Host that is not ours (H-02, DNS rebinding). An allowed host without a port stands for every port. */
export function checkHost(headers: IncomingHttpHeaders, allowedHosts: readonly string[]): void {
  const host = headers.host?.toLowerCase();
  if (host === undefined || !/^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/.test(host))
    throw new GatewayError('host_refused');
  const name = host.replace(/:[0-9]+$/, '');
  if (!allowedHosts.some((allowed) => allowed === host || allowed === name)) throw new GatewayError('host_refused');
}

const TRACE_PARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
const PRINTABLE = /^[\t\x20-\x7e]*$/;

/**
 * The headers of a client that go to the upstream: an allow-list, by era. Identity (Authorization, Cookie, forwarding
 * headers) and the session id never pass; who forwards sets the gateway's own.
 */
export function upstreamHeaders(
  headers: IncomingHttpHeaders,
  { era, version, body = true }: { readonly era: Era; readonly version?: string | undefined; readonly body?: boolean },
): Record<string, string> {
  const out: Record<string, string> = {
    accept: headers.accept !== undefined && isPlain(headers.accept, 1024) ? headers.accept : BOTH_TYPES,
  };
  if (body) out['content-type'] = 'application/json';
  if (version !== undefined) out['mcp-protocol-version'] = version;
  if (era === 'modern') {
    for (const name of Object.keys(headers)) {
      if (name === 'mcp-method' || name === 'mcp-name' || name.startsWith('mcp-param-')) copy(headers, name, 8192, out);
    }
  } else {
    copy(headers, 'last-event-id', 8192, out);
  }
  if (typeof headers['traceparent'] === 'string' && TRACE_PARENT.test(headers['traceparent'])) {
    out['traceparent'] = headers['traceparent'];
    copy(headers, 'tracestate', 512, out);
  }
  copy(headers, 'baggage', 4096, out);
  return out;
}

function copy(headers: IncomingHttpHeaders, name: string, most: number, out: Record<string, string>): void {
  const value = headers[name];
  if (typeof value === 'string' && isPlain(value, most)) out[name] = value;
}

const isPlain = (value: string, most: number): boolean => value.length <= most && PRINTABLE.test(value);
