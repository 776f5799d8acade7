import type { ConnectionRules } from '../policies/rulebook.ts';
import type { Call, Denial, Json, JsonObject, ToolAnnotations } from '../policies/types.ts';
import { GatewayError } from './errors.ts';
import type { Connection } from './forward/connection.ts';
import type { Arrival } from './types.ts';
import { hasBody } from './wire/headers.ts';
import { isBelow, readTarget } from './wire/target.ts';

/** The Call of a request on a route that is not MCP: its method, its path, its query for rules to read. */
export function toHttpCall(connection: Connection, arrival: Arrival, annotations: ToolAnnotations): Call {
  const { httpMethod: method, credentials } = arrival;
  // What reads no body and what does would disagree about where the next request begins.
  if ((method === 'GET' || method === 'HEAD') && hasBody(arrival.headers))
    throw new GatewayError('body_refused', method);
  const { path, query } = readTarget(credentials.type === 'http' ? credentials.url : '');
  const routes = connection.passage?.routes ?? [];
  if (!routes.some((route) => route.methods.includes(method) && isBelow(path, route.path)))
    throw new GatewayError('route_unknown', path);
  const args: JsonObject = query === undefined ? {} : { query, parameters: parametersOf(query) };
  return {
    connection: connection.name,
    kind: 'http',
    method,
    name: path,
    arguments: args,
    text: JSON.stringify(args),
    annotations,
  };
}

/** Bodies on routes are not read: where a rule would have to read one, the call is refused. */
export function uninspected(call: Call, rules: ConnectionRules, { headers }: Arrival): Denial | undefined {
  if (call.kind !== 'http') return undefined;
  if (rules.inspects) return denial('its answer cannot be inspected');
  const bodied = call.method === 'POST' || call.method === 'PUT' || call.method === 'PATCH';
  return rules.reads && (bodied || hasBody(headers)) ? denial('its body cannot be inspected') : undefined;
}

const denial = (reason: string): Denial => ({ code: 'route_uninspected', rule: 'routes', reason, remedy: '' });

function parametersOf(query: string): JsonObject {
  const parameters = new Map<string, Json>();
  for (const [name, value] of new URLSearchParams(query)) {
    const before = parameters.get(name);
    parameters.set(name, before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value]);
  }
  return Object.fromEntries(parameters);
}
