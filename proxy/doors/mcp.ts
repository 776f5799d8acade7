import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Abort } from '../abort.ts';
import { refusalReply } from '../answer.ts';
import { GatewayError } from '../errors.ts';
import type { Gateway } from '../gateway.ts';
import { handle } from '../pipeline.ts';
import type { Arrival, Reply } from '../types.ts';
import { carry } from './carry.ts';
import { allowScripts, isPreflight, preflight } from './cors.ts';
import { deliver } from './deliver.ts';
import { unlessMediaType, type Handler } from './media-type.ts';

export interface McpDoorOptions {
  readonly gateway: Gateway;
  /** Messages in work at once; more are told to come back. Listening streams do not count. */
  readonly maxInFlight: number;
  /** Silent streams get a comment this often. */
  readonly keepAliveMs: number;
  readonly addressOf: (request: FastifyRequest) => string;
}

export interface McpDoor {
  /** Ends listening streams and waits for the calls in work, at most so long; then `cut` must end those at their upstreams. */
  drain(graceMs: number, others: Iterable<Promise<unknown>>, cut: () => Promise<unknown>): Promise<void>;
}

interface Visit {
  readonly gone: Abort;
  readonly res: ServerResponse;
  /** A GET or DELETE: nobody's unfinished call. */
  readonly idle: boolean;
  /** What it counts against `maxInFlight`: its messages. */
  weight: number;
  /** A stream for listening that has begun: the pipeline ends it when the gateway stops. */
  listening: boolean;
  done: Promise<void>;
}

const BOTH_TYPES = 'application/json, text/event-stream';
const METHODS = 'GET, POST, DELETE';

/** `/mcp` (the connection `default`, or the only one), `/mcp/<connection>` and `/api/mcp` (the gateway itself). */
export function mcpDoor(app: FastifyInstance, options: McpDoorOptions): McpDoor {
  const { gateway, keepAliveMs } = options;
  const visits = new Set<Visit>();
  let inFlight = 0;
  const release = (visit: Visit): void => {
    inFlight -= visit.weight;
    visit.weight = 0;
  };

  const enter = (request: FastifyRequest, reply: FastifyReply, connection: string, route: string): void => {
    reply.hijack();
    const req = request.raw;
    const res = reply.raw;
    const address = options.addressOf(request);
    if (isPreflight(req)) return preflight(req, res, gateway, { methods: METHODS, route, address });
    allowScripts(req.headers, res, gateway);
    const gone = new Abort();
    res.on('close', () => {
      if (!res.writableFinished) gone.abort();
    });
    const idle = req.method !== 'POST';
    const busy = !idle && inFlight >= options.maxInFlight;
    if (busy) {
      gateway.refusals.note({ code: 'too_busy', address, route, at: gateway.now() });
      gateway.metrics.refused('too_busy');
    }
    const carrier = carrierOf(req);
    const arrival: Arrival = {
      credentials: { type: 'http', headers: req.headers, rawHeaders: req.rawHeaders, url: req.url ?? '', address },
      httpMethod: req.method as Arrival['httpMethod'],
      route,
      connection,
      // An HTTP+SSE client says nothing of what it accepts as answer to a POST: it gets both on its stream.
      headers: carrier ? { ...req.headers, accept: BOTH_TYPES } : req.headers,
      rawHeaders: req.rawHeaders,
      body: req,
      gone,
      ...(carrier === undefined ? {} : { carrier }),
      ...(carrier === '' ? { ownSession: true } : {}),
      weigh(messages) {
        if (inFlight + messages - visit.weight > options.maxInFlight) return false;
        inFlight += messages - visit.weight;
        visit.weight = messages;
        return true;
      },
    };
    const visit: Visit = { gone, res, idle, weight: idle ? 0 : 1, listening: false, done: Promise.resolve() };
    inFlight += visit.weight;
    const onListening = (): void => {
      visit.listening = true;
      release(visit);
    };
    const replies = busy ? comeBack() : handle(arrival, gateway);
    const delivered = carrier
      ? carry(replies, res, { carriers: gateway.carriers, id: carrier, gone })
      : deliver(replies, res, { keepAliveMs, flushed: carrier === '', onListening });
    visit.done = delivered
      .catch((fault: unknown) => {
        gateway.log.error({ err: fault }, 'an answer could not be delivered');
        res.destroy();
      })
      .finally(() => {
        release(visit);
        visits.delete(visit);
      });
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
      // What has not begun by now will not; what has is ended by the pipeline, in its own words.
      for (const visit of visits) if (visit.idle && !visit.listening) visit.gone.abort();
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

/**
 * The event stream of a 2024-11-05 client (HTTP+SSE): the one its POST names, or, empty, the one that this GET opens. A GET
 * of any later revision names a session, a revision or the event after which it goes on.
 */
function carrierOf({ method, url = '', headers }: IncomingMessage): string | undefined {
  if (method === 'POST')
    return (url.includes('sessionId=') && new URLSearchParams(url.split('?')[1]).get('sessionId')) || undefined;
  const later = headers['mcp-session-id'] ?? headers['mcp-protocol-version'] ?? headers['last-event-id'];
  return method === 'GET' && later === undefined ? '' : undefined;
}

async function* comeBack(): AsyncGenerator<Reply> {
  yield refusalReply(new GatewayError('too_busy'), undefined, undefined, undefined, { 'retry-after': '1' });
}
