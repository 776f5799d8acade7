import { GATEWAY } from './binding.ts';
import { compileCondition } from './condition.ts';
import type { AccessControlDocument, AccessRequestDocument, Binding, RuleDocuments } from './documents.ts';
import { RuleFault } from './fault.ts';
import { checkLimit } from './limit-check.ts';
import { checkGuardrail } from './guardrail/check.ts';
import { checkMasking } from './masking/masker.ts';

/** One mistake in the rules: where, as in `guardrails[0].input.rules[1].pattern_regex`, and what was expected. */
export interface Mistake {
  readonly path: string;
  readonly message: string;
}

type Report = (path: string, message: string) => void;

/** Every mistake in the documents that their schemas cannot express; an empty list means that they compile. */
export function checkRules(documents: RuleDocuments): readonly Mistake[] {
  const mistakes: Mistake[] = [];
  const report: Report = (path, message) => {
    mistakes.push({ path, message });
  };
  checkConnections(documents, report);
  const lists = {
    guardrails: documents.guardrails,
    datamasking_rules: documents.datamasking_rules,
    access_request_rules: documents.access_request_rules,
    access_control: documents.access_control,
    limits: documents.limits,
  };
  for (const [list, rules] of Object.entries(lists)) {
    checkNames(list, rules, report);
    for (const [index, rule] of rules.entries()) checkBinding(`${list}[${index}]`, rule, documents, report);
  }
  for (const [index, rule] of documents.guardrails.entries()) {
    const at = `guardrails[${index}]`;
    checkGuardrail(rule, (member, message) => report(member === '' ? at : `${at}.${member}`, message));
  }
  for (const [index, rule] of documents.datamasking_rules.entries()) {
    for (const { path, message } of checkMasking(rule)) {
      report(path === '' ? `datamasking_rules[${index}]` : `datamasking_rules[${index}].${path}`, message);
    }
  }
  for (const [index, rule] of documents.access_request_rules.entries()) {
    checkRequest(`access_request_rules[${index}]`, rule, report);
  }
  for (const [index, rule] of documents.access_control.entries()) checkAccess(`access_control[${index}]`, rule, report);
  for (const [index, rule] of documents.limits.entries()) checkLimit(`limits[${index}]`, rule, report);
  return mistakes;
}

function checkConnections({ connections }: RuleDocuments, report: Report): void {
  checkNames('connections', connections, report);
  for (const [index, { name, access }] of connections.entries()) {
    if (name === GATEWAY)
      report(`connections[${index}].name`, `${GATEWAY} is the name of the gateway's own connection`);
    if (access !== undefined && access.groups.length === 0) {
      report(`connections[${index}].access.groups`, 'must name at least one group; leave access out for admins only');
    }
  }
}

function checkNames(list: string, rules: readonly { readonly name: string }[], report: Report): void {
  const seen = new Set<string>();
  for (const [index, { name }] of rules.entries()) {
    if (name === '') report(`${list}[${index}].name`, 'must not be empty');
    if (seen.has(name)) report(`${list}[${index}].name`, `the name ${name} is taken by another entry of ${list}`);
    seen.add(name);
  }
}

function checkBinding(path: string, rule: Binding, { connections }: RuleDocuments, report: Report): void {
  for (const [index, name] of (rule.connections ?? []).entries()) {
    if (name !== GATEWAY && !connections.some((connection) => connection.name === name)) {
      report(`${path}.connections[${index}]`, `there is no connection named ${name}`);
    }
  }
  for (const [index, attribute] of (rule.attributes ?? []).entries()) {
    if (!connections.some(({ attributes }) => attributes.includes(attribute))) {
      report(`${path}.attributes[${index}]`, `no connection has the attribute ${attribute}, so it binds nothing`);
    }
  }
}

function checkRequest(path: string, rule: AccessRequestDocument, report: Report): void {
  if ((rule.connections ?? []).length + (rule.attributes ?? []).length === 0) {
    report(path, 'either connections or attributes must have at least 1 entry');
  }
  if (rule.access_type !== 'command') report(`${path}.access_type`, "access_type must be 'command'");
  if (rule.reviewers_groups.length === 0) {
    report(`${path}.reviewers_groups`, 'reviewers_groups must have at least 1 entry');
  }
  const minimum = rule.min_approvals ?? 1;
  if (!Number.isInteger(minimum) || (minimum < 1 && rule.all_groups_must_approve !== true)) {
    report(`${path}.min_approvals`, 'min_approvals must be at least 1 when all_groups_must_approve is false');
  }
  if ((rule.skip_review_groups ?? []).length > 0 && (rule.approval_required_groups ?? []).length > 0) {
    const message = 'skip_review_groups can only be set when approval_required_groups is empty';
    report(`${path}.skip_review_groups`, message);
  }
  if (rule.when !== undefined) checkCompiles(`${path}.when`, rule.when, compileCondition, report);
}

function checkAccess(path: string, rule: AccessControlDocument, report: Report): void {
  if (rule.groups.length === 0) report(`${path}.groups`, 'must name at least one group');
  for (const [index, scope] of (rule.required_scopes ?? []).entries()) {
    // RFC 6749 section 3.3: anything else would break the challenge that names it.
    if (!/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)) {
      report(
        `${path}.required_scopes[${index}]`,
        'must be one scope: printable ASCII without spaces, quotes and backslashes',
      );
    }
  }
  for (const kind of ['tools', 'resources', 'prompts', 'server_requests'] as const) {
    for (const list of ['allow', 'deny'] as const) {
      for (const [index, pattern] of (rule[kind]?.[list] ?? []).entries()) {
        if (pattern === '') report(`${path}.${kind}.${list}[${index}]`, 'must not be empty');
      }
    }
  }
  if (rule.when !== undefined) checkCompiles(`${path}.when`, rule.when, compileCondition, report);
}

function checkCompiles(path: string, source: string, compile: (source: string) => unknown, report: Report): void {
  try {
    compile(source);
  } catch (error) {
    if (!(error instanceof RuleFault)) throw error;
    report(path, error.message);
  }
}
