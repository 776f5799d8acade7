import { GATEWAY } from './binding.ts';
import { checkRules } from './check.ts';
import { compileConnection } from './connection-rules.ts';
import { digest } from './digest.ts';
import type { RuleDocuments } from './documents.ts';
import { limitId } from './limits.ts';
import { RuleFault } from './fault.ts';
import type { Rulebook } from './rulebook.ts';

/**
 * All rules of a moment, compiled; the connection `gateway` is always among them. Throws a RuleFault for the first mistake that
 * `checkRules` finds: a rulebook is whole or it is not.
 */
export function compileRulebook(documents: RuleDocuments): Rulebook {
  const [mistake] = checkRules(documents);
  if (mistake !== undefined) throw new RuleFault(`${mistake.path}: ${mistake.message}`);
  const described = [...documents.connections, { name: GATEWAY, attributes: [] }];
  const connections = new Map(
    described.map((connection) => [connection.name, compileConnection(connection, documents)]),
  );
  return {
    revision: digest(documents),
    connection: (name) => connections.get(name),
    limits: new Set(documents.limits.map((rule) => limitId(rule))),
  };
}
