import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Abort } from '../abort.ts';
import { refusalReply } from '../answer.ts';
import { GatewayError } from '../errors.ts';
import type { Gateway } from '../gateway.ts';
import { handle } from '../pipeline.ts';
import type { Arrival, Reply } from '../types.ts';
import { deliver } from './deliver.ts';
import { unlessMediaType, type Handler } from './media-type.ts';

export interface McpDoorOptions {
  readonly gateway: Gateway;
  /** Messages in work at once; more are told to come back. Listening streams do not count. */
  readonly maxInFlight: number;
  readonly addressOf: (request: FastifyRequest) => string;
}

export interface McpDoor {
  /** Ends listening streams and waits for the calls in work, at most so long; then `cut` must end those at their upstreams. */
  drain(graceMs: number, others: Iterable<Promise<unknown>>, cut: () => Promise<unknown>): Promise<void>;
}

interface Visit {
  readonly gone: Abort;
  readonly res: ServerResponse;
  readonly listening: boolean;
  readonly done: Promise<void>;
}

/** `/mcp` (the connection `default`, or the only one), `/mcp/<connection>` and `/api/mcp` (the gateway itself). */
export function mcpDoor(app: FastifyInstance, options: McpDoorOptions): McpDoor {
  const { gateway } = options;
  const visits = new Set<Visit>();
  let inFlight = 0;

  const enter = (request: FastifyRequest, reply: FastifyReply, connection: string, route: string): void => {
    reply.hijack();
    const req = request.raw;
    const res = reply.raw;
    const gone = new Abort();
    res.on('close', () => {
      if (!res.writableFinished) gone.abort();
    });
    const listening = req.method !== 'POST';
    const address = options.addressOf(request);
    const busy = !listening && inFlight >= options.maxInFlight;
    if (busy) {
      gateway.refusals.note({ code: 'too_busy', address, route, at: gateway.now() });
      gateway.metrics.refused('too_busy');
    }
    const arrival: Arrival = {
      credentials: { type: 'http', headers: req.headers, rawHeaders: req.rawHeaders, url: req.url ?? '', address },
      httpMethod: req.method as Arrival['httpMethod'],
      route,
      connection,
      headers: req.headers,
      rawHeaders: req.rawHeaders,
      body: req,
      gone,
    };
    if (!listening) inFlight += 1;
    const done = deliver(busy ? comeBack() : handle(arrival, gateway), res)
      .catch((fault: unknown) => {
        gateway.log.error({ err: fault }, 'an answer could not be delivered');
        res.destroy();
      })
      .finally(() => {
        if (!listening) inFlight -= 1;
        visits.delete(visit);
      });
    const visit: Visit = { gone, res, listening, done };
    visits.add(visit);
  };

  const names = [...gateway.connections.keys()].filter((name) => name !== 'gateway');
  const standing = names.length === 1 ? names[0]! : 'default';

  app.register(async (scope) => {
    const serve = (path: string, handler: Handler): void => {
      scope.all(path, { errorHandler: unlessMediaType(handler) }, handler);
    };
    serve('/mcp', (request, reply) => enter(request, reply, standing, '/mcp'));
    serve('/mcp/:connection', (request, reply) => {
      const { connection } = request.params as { connection: string };
      // The gateway itself has one address: whoever lets agents reach only /mcp keeps administration to himself.
      enter(request, reply, connection === 'gateway' ? '' : connection, `/mcp/${connection}`);
    });
    serve('/api/mcp', (request, reply) => enter(request, reply, 'gateway', '/api/mcp'));
  });

  return {
    async drain(graceMs, others, cut) {
      for (const visit of visits) if (visit.listening) visit.gone.abort();
      const all = Promise.all([...[...visits].map((visit) => visit.done), ...others]);
      let timer: NodeJS.Timeout | undefined;
      const over = new Promise((resolve) => {
        timer = setTimeout(resolve, graceMs);
      });
      await Promise.race([all, over]);
      clearTimeout(timer);
      for (const visit of visits) visit.res.destroy();
      await cut();
      await all;
    },
  };
}

async function* comeBack(): AsyncGenerator<Reply> {
  yield refusalReply(new GatewayError('too_busy'), undefined, undefined, undefined, { 'retry-after': '1' });
}
