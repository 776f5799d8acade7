import { GATEWAY } from './binding.ts';
import { compileCondition } from './condition.ts';
import type { Condition } from './condition.ts';
import type { Scope } from './condition-scope.ts';
import type { AccessRequestDocument } from './documents.ts';
import { digest } from './digest.ts';
import type { Call, Finding, Principal, Requirement } from './types.ts';

/** What the approval rules of a connection ask of a call. */
export interface Demand {
  /** One for each rule that holds the call. */
  readonly requirements: readonly Requirement[];
  /** Hash of those rules, whatever their order. */
  readonly rulesHash: string;
  readonly findings: readonly Finding[];
}

/** Approval rules of one connection, compiled. */
export interface Approvals {
  readonly holds: boolean;
  /** Undefined when nobody needs to approve the call. */
  demand(call: Call, who: Principal, scope: () => Scope): Demand | undefined;
}

interface Rule {
  readonly requirement: Requirement;
  readonly digest: string;
  readonly requiredGroups: readonly string[];
  readonly skipGroups: readonly string[];
  readonly when?: Condition;
}

// The calls by which people review must not wait for reviews.
const REVIEWING = /^reviews_/;

/** Can the call wait for people at all? */
export function mayWait(connection: string, call: Call, who: Principal): boolean {
  if (call.kind !== 'tool' && call.kind !== 'prompt' && call.kind !== 'resource') return false;
  return who.authenticatedBy !== 'system' && !(connection === GATEWAY && REVIEWING.test(call.name));
}

/** Throws a RuleFault when a condition does not compile. The rules must be those that apply to the connection. */
export function compileApprovals(connection: string, documents: readonly AccessRequestDocument[]): Approvals {
  const rules = documents.map((document) => compileRule(document));
  const holds = rules.length > 0;

  const demand = (call: Call, who: Principal, scope: () => Scope): Demand | undefined => {
    if (!holds || !mayWait(connection, call, who)) return undefined;
    const held: Rule[] = [];
    const findings: Finding[] = [];
    for (const rule of rules) {
      const error = holding(rule, call, who, scope);
      if (error === false) continue;
      held.push(rule);
      findings.push(finding(rule, 'hold', 'command'));
      if (error !== true) findings.push(finding(rule, 'error', error));
    }
    if (held.length === 0) return undefined;
    const rulesHash = digest(held.map((rule) => rule.digest).toSorted());
    return { requirements: held.map(({ requirement }) => requirement), rulesHash, findings };
  };
  return { holds, demand };
}

/** Does the rule hold the call? A condition without an answer holds it too, and its error is returned. */
function holding(rule: Rule, call: Call, who: Principal, scope: () => Scope): boolean | string {
  const isIn = (groups: readonly string[]): boolean => groups.some((group) => who.groups.includes(group));
  if (rule.requiredGroups.length > 0) {
    if (!isIn(rule.requiredGroups)) return false;
  } else if (isIn(rule.skipGroups)) {
    return false;
  }
  if (rule.when === undefined) return call.kind === 'tool';
  const answer = rule.when.test(scope());
  return typeof answer === 'boolean' ? answer : answer.error;
}

function finding(rule: Rule, action: 'hold' | 'error', entity: string): Finding {
  return { rule: rule.requirement.rule, policy: 'approval', direction: 'input', action, path: '', entity, count: 1 };
}

function compileRule(document: AccessRequestDocument): Rule {
  const requirement: Requirement = {
    rule: document.name,
    reviewersGroups: document.reviewers_groups,
    minApprovals: document.min_approvals ?? 1,
    allGroupsMustApprove: document.all_groups_must_approve ?? false,
    forceApprovalGroups: document.force_approval_groups ?? [],
  };
  const rule = {
    requirement,
    // Rewording a rule asks nobody again.
    digest: digest({ ...document, description: undefined }),
    requiredGroups: document.approval_required_groups ?? [],
    skipGroups: document.skip_review_groups ?? [],
  };
  return document.when === undefined ? rule : { ...rule, when: compileCondition(document.when) };
}
