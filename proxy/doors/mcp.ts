import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { refusalReply } from '../answer.ts';
import { GatewayError } from '../errors.ts';
import type { Gateway } from '../gateway.ts';
import { handle } from '../pipeline.ts';
import type { Arrival, Reply } from '../types.ts';
import { deliver } from './deliver.ts';

export interface McpDoorOptions {
  readonly gateway: Gateway;
  /** Messages in work at once; more are told to come back. Listening streams do not count. */
  readonly maxInFlight: number;
  readonly addressOf: (request: FastifyRequest) => string;
}

const METHODS = new Set(['POST', 'GET', 'DELETE']);

/** `/mcp` (the connection `default`), `/mcp/<connection>` and `/api/mcp` (the gateway itself). */
export function mcpDoor(app: FastifyInstance, options: McpDoorOptions): void {
  const { gateway } = options;
  let inFlight = 0;

  const enter = (request: FastifyRequest, reply: FastifyReply, connection: string, route: string): void => {
    reply.hijack();
    const req = request.raw;
    const res = reply.raw;
    const gone = new AbortController();
    res.on('close', () => gone.abort());
    const counted = req.method === 'POST';
    const refused = refusal(req.method ?? '', counted && inFlight >= options.maxInFlight);
    const arrival: Arrival = {
      credentials: { type: 'http', headers: req.headers, rawHeaders: req.rawHeaders, url: req.url ?? '', address: options.addressOf(request) },
      httpMethod: req.method as Arrival['httpMethod'],
      route,
      connection,
      headers: req.headers,
      rawHeaders: req.rawHeaders,
      body: req,
      gone: gone.signal,
    };
    if (counted) inFlight += 1;
    deliver(refused === undefined ? handle(arrival, gateway) : only(refused), res)
      .catch((fault: unknown) => {
        gateway.log.error({ err: fault }, 'an answer could not be delivered');
        res.destroy();
      })
      .finally(() => {
        if (counted) inFlight -= 1;
      });
  };

  app.register(async (scope) => {
    // The pipeline reads the body itself, after it knows who sent it.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
    scope.all('/mcp', (request, reply) => enter(request, reply, 'default', '/mcp'));
    scope.all<{ Params: { connection: string } }>('/mcp/:connection', (request, reply) =>
      enter(request, reply, request.params.connection, `/mcp/${request.params.connection}`),
    );
    scope.all('/api/mcp', (request, reply) => enter(request, reply, 'gateway', '/api/mcp'));
  });
}

function refusal(method: string, busy: boolean): Reply | undefined {
  if (!METHODS.has(method)) {
    const error = new GatewayError('method_not_allowed', method);
    return refusalReply(error, undefined, undefined, undefined, { allow: 'POST, GET, DELETE' });
  }
  return busy
    ? refusalReply(new GatewayError('too_busy'), undefined, undefined, undefined, { 'retry-after': '1' })
    : undefined;
}

async function* only(reply: Reply): AsyncGenerator<Reply> {
  yield reply;
}
