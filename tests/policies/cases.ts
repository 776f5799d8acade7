import { scopeOf, ConnectionValue } from '../../policies/condition-scope.ts';
import type { Scope } from '../../policies/condition-scope.ts';
import type { ConnectionDocument } from '../../policies/documents.ts';
import type { Call, Json, Principal } from '../../policies/types.ts';

/** A caller in some groups. */
export function person(groups: readonly string[], more: Partial<Principal> = {}): Principal {
  return {
    issuer: 'https://idp.example.com',
    subject: 'ada',
    email: 'ada@example.com',
    groups,
    roles: [],
    authenticatedBy: 'oidc',
    actors: [],
    ...more,
  };
}

/** A call as the gateway would make it of a message with these params. */
export function call(method: string, params: Record<string, Json>, more: Partial<Call> = {}): Call {
  const kinds: Record<string, Call['kind']> = {
    'tools/call': 'tool',
    'prompts/get': 'prompt',
    'resources/read': 'resource',
  };
  const kind = kinds[method] ?? 'protocol';
  const name = kind === 'resource' ? params['uri'] : params['name'];
  return {
    connection: 'shop',
    kind,
    method,
    name: typeof name === 'string' ? name : '',
    arguments: kind === 'tool' || kind === 'prompt' ? (params['arguments'] ?? {}) : params,
    text: JSON.stringify(params),
    annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true },
    ...more,
  };
}

export const tool = (name: string, args: Json = {}, more: Partial<Call> = {}): Call =>
  call('tools/call', { name, arguments: args }, more);

export const SHOP: ConnectionDocument = {
  name: 'shop',
  attributes: ['pii', 'sql'],
  access: { groups: ['engineering', 'analytics', 'dba'] },
};

export const scope = (asked: Call, who: Principal): Scope => scopeOf(asked, who, new ConnectionValue(SHOP));
