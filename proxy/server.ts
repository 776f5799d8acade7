import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { createAddressOf } from './address.ts';
import { consoleDoor } from './console/door.ts';
import type { CookieSeal } from './console/cookie.ts';
import { mcpDoor, type McpDoor } from './doors/mcp.ts';
import { restDoor } from './doors/rest.ts';
import { routesDoor } from './doors/routes.ts';
import { GatewayError } from './errors.ts';
import type { Gateway } from './gateway.ts';
import { opsDoor } from './ops.ts';

export interface ServerOptions {
  readonly gateway: Gateway;
  readonly seal: CookieSeal;
  readonly maxInFlight: number;
  readonly keepAliveMs: number;
  readonly trustedProxies: readonly string[];
  /** What keeps the gateway from being ready, in sentences; empty when it is. */
  readonly troubles: () => Promise<readonly string[]>;
}

export interface Server {
  readonly app: FastifyInstance;
  readonly mcp: McpDoor;
}

/** The HTTP server with all its doors. It decides nothing: each door turns a request into an Arrival for the pipeline. */
export function createServer(options: ServerOptions): Server {
  const { gateway, seal, maxInFlight, keepAliveMs } = options;
  const addressOf = createAddressOf(options.trustedProxies);
  const failed = (fault: FastifyError, _request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const status = fault.statusCode ?? 500;
    if (status >= 500) gateway.log.error({ err: fault }, 'a request failed unexpectedly');
    const error =
      status === 413 ? 'too_large' : status === 415 ? 'media_type' : status < 500 ? 'invalid_request' : 'internal';
    return reply.code(status).send(said(new GatewayError(error, status < 500 ? 'the request was not accepted' : '')));
  };
  const app = Fastify({
    logger: false,
    frameworkErrors: (fault, request, reply) => void failed(fault, request, reply),
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    // Node's own limit, which Fastify turns off: nobody holds a connection by never ending a request that no door reads.
    requestTimeout: gateway.bodyTimeoutMs + 60_000,
    routerOptions: { maxParamLength: 200 },
    http: { maxHeaderSize: 65_536 },
  });
  // No body is read before a door knows who sent it; Fastify would parse JSON even on the way to a 404.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.setNotFoundHandler((request, reply) =>
    reply.code(404).send(said(new GatewayError('route_unknown', request.url.split('?')[0]))),
  );
  app.setErrorHandler(failed);
  const mcp = mcpDoor(app, { gateway, maxInFlight, keepAliveMs, addressOf });
  restDoor(app, gateway, addressOf);
  consoleDoor(app, { gateway, seal, addressOf });
  opsDoor(app, { metrics: gateway.metrics, troubles: options.troubles });
  const routes = routesDoor(app, { gateway, maxInFlight, addressOf });
  return {
    app,
    mcp: {
      drain: (graceMs, others, cut) =>
        mcp.drain(graceMs, [...others, ...routes.pending()], () => Promise.all([routes.cut(), cut()])),
    },
  };
}

function said(error: GatewayError): { error: { code: string; message: string; remedy: string } } {
  return { error: { code: error.code, message: error.message, remedy: error.row.remedy } };
}
