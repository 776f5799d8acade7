import httpProxy from '@fastify/http-proxy';
import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Abort } from '../abort.ts';
import { refusalReply } from '../answer.ts';
import { ERRORS, GatewayError, type ErrorCode } from '../errors.ts';
import type { Connection } from '../forward/connection.ts';
import type { Passage, Route } from '../forward/passage.ts';
import type { Gateway } from '../gateway.ts';
import { handle } from '../pipeline.ts';
import type { Arrival, HttpMethod, Reply } from '../types.ts';
import { headersDown, headersUp } from '../wire/route-headers.ts';
import { Crossing } from './crossing.ts';

export interface RoutesDoorOptions {
  readonly gateway: Gateway;
  /** Requests in work at once; more are told to come back. */
  readonly maxInFlight: number;
  readonly addressOf: (request: FastifyRequest) => string;
}

export interface RoutesDoor {
  /** The requests in work. */
  pending(): Iterable<Promise<unknown>>;
  /** Ends the requests in work and closes the connections to upstreams. */
  cut(): Promise<unknown>;
}

interface Visit {
  readonly res: ServerResponse;
  readonly done: Promise<void>;
}

/** The routes of upstreams that are not MCP. Each request is a call: it is passed on from inside the pipeline, or refused by it. */
export function routesDoor(app: FastifyInstance, options: RoutesDoorOptions): RoutesDoor {
  const { gateway, maxInFlight } = options;
  const visits = new Set<Visit>();
  const connections = [...gateway.connections.values()].filter((each) => each.passage !== undefined);
  const own = [...gateway.connections.keys()].filter((name) => name !== 'gateway');

  const enter = (request: FastifyRequest, reply: FastifyReply, connection: Connection, crossing: Crossing): void => {
    const { raw: req } = request;
    const { raw: res } = reply;
    const gone = new Abort();
    res.on('close', () => {
      if (!res.writableFinished) gone.abort();
    });
    const address = options.addressOf(request);
    const { name } = connection;
    const arrival: Arrival = {
      credentials: { type: 'http', headers: req.headers, rawHeaders: req.rawHeaders, url: req.url ?? '', address },
      httpMethod: req.method as HttpMethod,
      // A token for the connection's MCP endpoint is one for its other routes.
      route: name === 'default' || own.length === 1 ? '/mcp' : `/mcp/${name}`,
      connection: name,
      headers: req.headers,
      rawHeaders: req.rawHeaders,
      body: req,
      gone,
      pass: (signal) => crossing.begin(signal),
    };
    const busy = visits.size >= maxInFlight;
    if (busy) {
      gateway.refusals.note({ code: 'too_busy', address, route: arrival.route, at: gateway.now() });
      gateway.metrics.refused('too_busy');
    }
    const done = follow(busy ? comeBack() : handle(arrival, gateway), reply, crossing)
      .catch((fault: unknown) => {
        gateway.log.error({ err: fault }, 'an answer could not be delivered');
        res.destroy();
      })
      .finally(() => visits.delete(visit));
    const visit: Visit = { res, done };
    visits.add(visit);
  };

  app.register(async (scope) => {
    // Bodies pass as they come: none is parsed, whatever it says it is.
    scope.removeAllContentTypeParsers();
    for (const connection of connections) {
      for (const route of connection.passage!.routes) serve(scope, connection, connection.passage!, route, enter);
    }
  });

  return {
    pending: () => [...visits].map((visit) => visit.done),
    async cut() {
      for (const visit of visits) visit.res.destroy();
      await Promise.all(connections.map((connection) => connection.passage!.close()));
    },
  };
}

type Enter = (request: FastifyRequest, reply: FastifyReply, connection: Connection, crossing: Crossing) => void;

function serve(scope: FastifyInstance, connection: Connection, passage: Passage, route: Route, enter: Enter): void {
  scope.register(httpProxy, {
    upstream: passage.origin,
    prefix: route.path,
    rewritePrefix: route.path,
    httpMethods: [...route.methods],
    // Verified TLS and no second attempt: neither is the default.
    undici: { request: passage.request.bind(passage) as never },
    retryMethods: [],
    disableCache: true,
    disableRequestLogging: true,
    replyOptions: {
      timeout: connection.timeoutMs,
      rewriteHeaders: headersDown,
      rewriteRequestHeaders: (_request, headers) => headersUp(headers, passage.credential),
    },
    handler(request, reply, dest, replyOptions) {
      const crossing = new Crossing({
        reply,
        timeoutMs: connection.timeoutMs,
        start(passing, hooks) {
          passage.run(passing, () => reply.from(dest, { ...replyOptions, ...hooks }));
        },
      });
      enter(request, reply, connection, crossing);
      return reply;
    },
  });
}

/** Delivers what the pipeline says, unless the upstream's answer is on its way; that one may end when the pipeline has. */
async function follow(replies: AsyncGenerator<Reply>, reply: FastifyReply, crossing: Crossing): Promise<void> {
  let refusal: Reply | undefined;
  for await (const said of replies) if (said.mode === 'json') refusal = said;
  if (refusal === undefined) crossing.release();
  else if (crossing.withhold()) refuse(reply, refusal);
  // Broken off, so that nobody takes it for whole.
  else reply.raw.destroy();
}

function refuse(reply: FastifyReply, { status, headers, outbound }: Reply): void {
  reply.hijack();
  const res = reply.raw;
  if (res.destroyed) return;
  for (const name of res.getHeaderNames()) res.removeHeader(name);
  const out = outbound[0];
  const error = (out !== undefined && 'frame' in out ? out.frame.value['error'] : undefined) as
    | { message: string; data?: { code?: string } }
    | undefined;
  const body = JSON.stringify({ error: { message: error?.message ?? 'internal error', ...error?.data } });
  // What is left of the request's body is not read.
  const rest = reply.request.raw.complete ? {} : { connection: 'close' };
  res
    .writeHead(statusOf(error?.data?.code, status), {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'content-length': Buffer.byteLength(body),
      ...rest,
      ...headers,
    })
    .end(body);
}

/** What MCP says with 200 and a code, HTTP says with a status. */
function statusOf(code: string | undefined, status: number): number {
  if (status !== 200 || code === undefined || !Object.hasOwn(ERRORS, code)) return status === 200 ? 403 : status;
  const { rpc } = ERRORS[code as ErrorCode];
  if (code === 'upstream_timeout') return 504;
  if (rpc >= 1201 && rpc < 1300) return 502;
  return rpc >= 1301 && rpc < 1400 ? 503 : 403;
}

async function* comeBack(): AsyncGenerator<Reply> {
  yield refusalReply(new GatewayError('too_busy'), undefined, undefined, undefined, { 'retry-after': '1' });
}
