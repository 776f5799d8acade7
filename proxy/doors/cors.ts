import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { GatewayError } from '../errors.ts';
import type { Gateway } from '../gateway.ts';
import { allowsOrigin, checkHost, checkOrigin } from '../wire/headers.ts';

const EXPOSED = 'Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After';
const ALLOWED = [
  'Authorization',
  'Content-Type',
  'Accept',
  'Last-Event-ID',
  'Mcp-Session-Id',
  'Mcp-Protocol-Version',
  'Mcp-Method',
  'Mcp-Name',
];
/** A tool's own headers have names that only its client knows; so many of them may be asked for at once. */
const MOST_ECHOED = 50;
const PARAM_HEADER = /^mcp-param-[\w!#$%&'*+.^`|~-]{1,128}$/i;
/** Short, since allowed origins may change while the gateway runs. */
const MAX_AGE_S = 600;

/**
 * Lets scripts of an allowed site read the answer, whatever it will be; says nothing to any other (H-01). Never with
 * credentials of the browser: a token is sent by the script or not at all.
 */
export function allowScripts(headers: IncomingHttpHeaders, res: ServerResponse, gateway: Gateway): void {
  const { origin } = headers;
  if (origin === undefined || !allowsOrigin(origin, gateway.settings().allowedOrigins, gateway.publicUrl)) return;
  res.setHeader('access-control-allow-origin', origin);
  res.setHeader('access-control-expose-headers', EXPOSED);
  res.setHeader('vary', 'Origin');
}

/** Whether a browser asks what its script may do, before it sends the script's request. */
export function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined;
}

/**
 * Answers a preflight, which carries no token by definition: 204 for an allowed site on a host of ours, otherwise the
 * refusal's status (H-01, H-02). What is answered, is answered alike for every path, known or not.
 */
export function preflight(
  req: IncomingMessage,
  res: ServerResponse,
  gateway: Gateway,
  where: { readonly methods: string; readonly route: string; readonly address: string },
): void {
  const { headers } = req;
  try {
    checkHost(headers, gateway.allowedHosts);
    checkOrigin(headers, gateway.settings().allowedOrigins, gateway.publicUrl);
  } catch (fault) {
    if (!(fault instanceof GatewayError)) throw fault;
    gateway.refusals.note({ code: fault.code, address: where.address, route: where.route, at: gateway.now() });
    gateway.metrics.refused(fault.code);
    res.writeHead(fault.row.http, { 'content-length': 0 }).end();
    return;
  }
  allowScripts(headers, res, gateway);
  res
    .writeHead(204, {
      'access-control-allow-methods': where.methods,
      'access-control-allow-headers': [...ALLOWED, ...paramHeaders(headers)].join(', '),
      'access-control-max-age': String(MAX_AGE_S),
      vary: 'Origin, Access-Control-Request-Headers',
    })
    .end();
}

function paramHeaders(headers: IncomingHttpHeaders): readonly string[] {
  const asked = (headers['access-control-request-headers'] ?? '').split(',').map((name) => name.trim());
  return asked.filter((name) => PARAM_HEADER.test(name)).slice(0, MOST_ECHOED);
}
