import type { Binding, ConnectionDocument } from './documents.ts';

/** The connection that the gateway itself is: reached only by rules that name it. */
export const GATEWAY = 'gateway';

/** Does a rule with this binding apply to the connection? One that names nothing applies to all but `gateway`. */
export function binds(rule: Binding, connection: ConnectionDocument): boolean {
  const names = rule.connections ?? [];
  if (names.includes(connection.name)) return true;
  if (connection.name === GATEWAY) return false;
  const attributes = rule.attributes ?? [];
  if (names.length === 0 && attributes.length === 0) return true;
  return attributes.some((attribute) => connection.attributes.includes(attribute));
}
