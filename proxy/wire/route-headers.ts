import type { IncomingHttpHeaders } from 'node:http';

// Allow-lists: a header that is not understood here may mean an identity, another method or another path to a server.
const UP: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'accept-language',
  'content-digest',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-length',
  'content-type',
  'idempotency-key',
  'if-match',
  'if-range',
  'if-unmodified-since',
  'prefer',
  'range',
  'repr-digest',
  'traceparent',
  'tracestate',
  'user-agent',
]);
const DOWN: ReadonlySet<string> = new Set([
  'accept-ranges',
  'allow',
  'content-digest',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-length',
  'content-range',
  'content-type',
  'etag',
  'last-modified',
  'repr-digest',
  'retry-after',
  'vary',
]);

/** What a page of an upstream may do under the gateway's name: nothing. The console has the same origin. */
const SAFE = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; sandbox",
  'x-content-type-options': 'nosniff',
};

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** The headers of a request on a route that go to the upstream, with the gateway's credential; the caller's own never do. */
export function headersUp(headers: Headers, credential: Readonly<Record<string, string>>): IncomingHttpHeaders {
  return { ...only(headers, UP), ...credential };
}

/** The headers of an upstream's answer on a route that go to the client: what describes the body, nothing that sets state or leads elsewhere. */
export function headersDown(headers: Headers): IncomingHttpHeaders {
  return { ...only(headers, DOWN), ...SAFE };
}

function only(headers: Headers, names: ReadonlySet<string>): IncomingHttpHeaders {
  return Object.fromEntries(
    Object.entries(headers).filter(([name, value]) => names.has(name.toLowerCase()) && typeof value === 'string'),
  );
}
