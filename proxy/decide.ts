import type { Decision, Denial, Principal } from '../policies/types.ts';
import { findOperation } from './admin/operations.ts';
import { uninspected } from './http-call.ts';
import type { Asked } from './identify.ts';

/** The decision over a call: the rules' own, the roles of the gateway's operations, and no for an unknown method. */
export function decide(asked: Asked): Decision {
  const { rules, call, principal, facts, methodKnown } = asked;
  const decision = rules.decide(call, principal, facts);
  if (decision.action === 'deny') return decision;
  const denial = methodKnown
    ? (roleDenial(asked) ?? uninspected(call, rules, asked.arrival))
    : unknownMethod(call.method);
  return denial === undefined ? decision : { action: 'deny', denial, findings: decision.findings };
}

const unknownMethod = (method: string): Denial => ({
  code: 'method_unknown',
  rule: 'protocol',
  reason: method,
  remedy: '',
});

/** The built-in rule of roles: each operation's row says who may run it. */
function roleDenial({ call, principal }: Asked): Denial | undefined {
  if (call.connection !== 'gateway' || call.kind !== 'tool') return undefined;
  const role = findOperation(call.name)?.role;
  if (role === undefined || mayRun(role, principal)) return undefined;
  return { code: `${role}_required`, rule: 'roles', reason: '', remedy: '' };
}

/** Admins may do what auditors may. */
export function mayRun(role: 'any' | 'auditor' | 'admin', who: Principal): boolean {
  return role === 'any' || who.roles.includes('admin') || (role === 'auditor' && who.roles.includes('auditor'));
}
