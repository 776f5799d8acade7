import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Abort } from '../abort.ts';
import type { Json, JsonObject } from '../../policies/types.ts';
import { OPERATIONS } from '../admin/operations.ts';
import type { Operation } from '../admin/operation.ts';
import { readBody } from '../arrive.ts';
import { GatewayError } from '../errors.ts';
import type { Gateway } from '../gateway.ts';
import { checkJson } from '../wire/headers.ts';
import { allowScripts, isPreflight, preflight } from './cors.ts';
import { unlessMediaType } from './media-type.ts';
import { operate } from './operate.ts';

const BODY_LIMIT = 262_144;

/** One REST route for each row of the table of operations. */
export function restDoor(app: FastifyInstance, gateway: Gateway, addressOf: AddressOf): void {
  app.register(async (scope) => {
    for (const operation of OPERATIONS) route(scope, operation, gateway, addressOf);
    for (const path of new Set(OPERATIONS.map(({ rest }) => rest.path)))
      preflightRoute(scope, path, gateway, addressOf);
  });
}

type AddressOf = (request: FastifyRequest) => string;

function route(scope: FastifyInstance, operation: Operation, gateway: Gateway, addressOf: AddressOf): void {
  const handler = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    allowScripts(request.headers, reply.raw, gateway);
    const gone = new Abort();
    reply.raw.on('close', () => gone.abort());
    const credentials = {
      type: 'http',
      headers: request.headers,
      rawHeaders: request.raw.rawHeaders,
      url: request.url,
      address: addressOf(request),
    } as const;
    const args = async (): Promise<JsonObject> => argumentsOf(operation, request, await bodyOf(request, gateway));
    const answer = await operate(gateway, credentials, '/api', operation.name, args, request.headers, gone);
    return reply
      .code(answer.status)
      .headers({ ...answer.headers, 'cache-control': 'no-store' })
      .send(answer.body);
  };
  scope.route({
    method: operation.rest.method,
    url: operation.rest.path,
    handler,
    errorHandler: unlessMediaType(handler),
  });
}

/** What a browser asks before a script of another site calls one of the operations on this path. */
function preflightRoute(scope: FastifyInstance, path: string, gateway: Gateway, addressOf: AddressOf): void {
  const methods = OPERATIONS.filter(({ rest }) => rest.path === path).map(({ rest }) => rest.method);
  scope.options(path, (request, reply) => {
    if (!isPreflight(request.raw)) return reply.callNotFound();
    reply.hijack();
    const where = { methods: methods.join(', '), route: '/api', address: addressOf(request) };
    return preflight(request.raw, reply.raw, gateway, where);
  });
}

/** Called by the pipeline's decode step, which knows who sent it. */
async function bodyOf({ raw, headers }: FastifyRequest, gateway: Gateway): Promise<Buffer> {
  const body = await readBody(raw, headers, BODY_LIMIT, gateway.bodyTimeoutMs);
  if (body.length > 0) checkJson(headers);
  return body;
}

/** Path, query and body members become the operation's arguments; its own schema judges them. */
function argumentsOf(operation: Operation, request: FastifyRequest, body: Buffer): JsonObject {
  const args: JsonObject = {};
  if (body.length > 0) Object.assign(args, parseBody(body));
  for (const [name, value] of Object.entries(request.query as Record<string, Json>)) {
    if (name !== 'access_token' && name !== 'token')
      args[name] = typed(operation.input.properties[name]?.['type'], value);
  }
  return Object.assign(args, request.params as JsonObject);
}

function parseBody(body: Buffer): JsonObject {
  try {
    const value = JSON.parse(body.toString()) as Json;
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch (cause) {
    throw new GatewayError('parse_error', 'not JSON', { cause });
  }
  throw new GatewayError('parse_error', 'not a JSON object');
}

/** Query values are text; numbers and booleans of the schema are read as such, anything else is left for the schema to refuse. */
function typed(type: Json | undefined, value: Json): Json {
  if (typeof value !== 'string') return value;
  if (type === 'integer' && /^-?\d{1,15}$/.test(value)) return Number(value);
  if (type === 'boolean' && (value === 'true' || value === 'false')) return value === 'true';
  return value;
}
