import { withArguments } from '../policies/schema/judge.ts';
import type { Decision, Denial, Principal } from '../policies/types.ts';
import { reportOf } from './arguments-schema.ts';
import { findOperation } from './admin/operations.ts';
import { uninspected } from './http-call.ts';
import type { Asked } from './identify.ts';
import type { Limits, Ticket } from './limits/limits.ts';

/** The decision over a call: the rules' own, the tool's pin and input schema, the roles of the gateway's operations, and no for an unknown method. */
function judge(asked: Asked): Decision {
  const { rules, call, restored, principal, facts, methodKnown } = asked;
  const ruled = stricter(rules.decide(call, principal, facts), restored && rules.decide(restored, principal, facts));
  if (ruled.action === 'deny') return ruled;
  const { pin } = asked;
  const pinned = pin === undefined ? ruled : { ...ruled, findings: [...ruled.findings, pin.finding] };
  if (pin?.denial !== undefined) return { action: 'deny', denial: pin.denial, findings: pinned.findings };
  const decision = withArguments(pinned, rules.schema, reportOf(asked));
  if (decision.action === 'deny') return decision;
  const denial = methodKnown
    ? (roleDenial(asked) ?? uninspected(call, rules, asked.arrival))
    : unknownMethod(call.method);
  return denial === undefined ? decision : { action: 'deny', denial, findings: decision.findings };
}

const STRICTNESS = { allow: 0, hold: 1, deny: 2 } as const;

/** Values behind placeholders excuse nothing: the call as its upstream gets it is judged like the one that was sent. */
function stricter(sent: Decision, restored: Decision | undefined): Decision {
  return restored !== undefined && STRICTNESS[restored.action] > STRICTNESS[sent.action] ? restored : sent;
}

export interface Decided {
  readonly decision: Decision;
  /** What was counted of a call that may pass. */
  readonly ticket?: Ticket;
}

/** Rules first; limits are asked last, and only about what nothing else refuses. */
export function decide(asked: Asked, limits: Limits): Decided {
  const decision = judge(asked);
  if (decision.action === 'deny' || asked.rules.limits.empty) return { decision };
  const executes = asked.arrival.review !== undefined;
  const { findings, denial, ticket } = limits.admit({
    call: asked.call,
    who: asked.principal,
    limits: asked.rules.limits,
    session: asked.session?.id,
    held: decision.action === 'hold' || executes,
    executes,
  });
  const all = findings.length === 0 ? decision.findings : [...decision.findings, ...findings];
  if (denial !== undefined) return { decision: { action: 'deny', denial, findings: all } };
  return { decision: { ...decision, findings: all }, ...(ticket === undefined ? {} : { ticket }) };
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
