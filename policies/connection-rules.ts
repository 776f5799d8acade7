import { compileAccess } from './access.ts';
import { compileApprovals } from './approval.ts';
import { binds } from './binding.ts';
import { ConnectionValue, scopeOf } from './condition-scope.ts';
import type { Scope } from './condition-scope.ts';
import type { ConnectionDocument, MaskingDocument, RuleDocuments } from './documents.ts';
import { compileGuardrails } from './guardrail.ts';
import { BUILT_IN_TYPES, createMasker } from './masking/masker.ts';
import type { ConnectionRules } from './rulebook.ts';
import { compileScreening, screenServerRequest } from './server-request.ts';
import type { Call, Decision, Facts, Principal, Verdict } from './types.ts';

const ALLOWED: Decision = { action: 'allow', findings: [] };

/** What no record may hold, whatever the rules say. */
const EVERYTHING: MaskingDocument = {
  name: 'record',
  supported_entity_types: [{ name: 'ALL', entity_types: BUILT_IN_TYPES }],
};

/** Compiles the rules that apply to one connection. Throws a RuleFault when one does not compile. */
export function compileConnection(connection: ConnectionDocument, documents: RuleDocuments): ConnectionRules {
  const guardrails = documents.guardrails.filter((rule) => binds(rule, connection));
  const masking = documents.datamasking_rules.filter((rule) => binds(rule, connection));
  const approvalRules = documents.access_request_rules.filter((rule) => binds(rule, connection));
  const accessRules = documents.access_control.filter((rule) => binds(rule, connection));

  const access = compileAccess(connection, accessRules);
  const input = compileGuardrails(guardrails, 'input');
  const output = compileGuardrails(guardrails, 'output');
  const approvals = compileApprovals(connection.name, approvalRules);
  const masker = masking.length > 0 ? createMasker(masking) : undefined;
  const redactor = createMasker([...masking, EVERYTHING]);
  const value = new ConnectionValue(connection);
  const screening = compileScreening(connection.elicitation);

  const decide = (call: Call, who: Principal, facts: Facts): Decision => {
    let scope: Scope | undefined;
    const scopeOnce = (): Scope => (scope ??= scopeOf(call, who, value));
    const refused = access.judge(call, who, facts, scopeOnce);
    // Nothing of a call that access refuses is read any further.
    if (refused !== undefined) return refused;
    if (call.kind === 'server_request' && who.authenticatedBy !== 'system') {
      const denial = screenServerRequest(call.method, call.arguments, screening);
      if (denial !== undefined) return { action: 'deny', denial, findings: [] };
    }
    // What an upstream asks of a client is text that goes to the client.
    const judged = (call.kind === 'server_request' ? output : input).judge(call.text, call.name);
    const demand = approvals.demand(call, who, scopeOnce);
    if (demand === undefined && judged.findings.length === 0) return ALLOWED;
    const findings = [...judged.findings, ...(demand?.findings ?? [])];
    if (judged.denial !== undefined) return { action: 'deny', denial: judged.denial, findings };
    if (demand === undefined) return { action: 'allow', findings };
    return { action: 'hold', requirements: demand.requirements, rulesHash: demand.rulesHash, findings };
  };

  const redact = (json: string): string => redactor.mask(json).json;

  const inspect = (json: string): Verdict => {
    const judged = output.judge(json, '');
    if (judged.denial !== undefined) return { json: 'null', findings: judged.findings, denial: judged.denial };
    if (masker === undefined) return { json, findings: judged.findings };
    // The record's rules contain the connection's own, so where they find nothing neither do these.
    if (redact(json) === json) return { json, findings: judged.findings, clean: true };
    const masked = masker.mask(json);
    return { json: masked.json, findings: [...judged.findings, ...masked.findings] };
  };

  return {
    name: connection.name,
    holds: approvals.holds,
    inspects: masker !== undefined || !output.empty,
    reads: !input.empty,
    filters: access.filters,
    visible: access.visible,
    sees: access.sees,
    decide,
    inspect,
    redact,
  };
}
