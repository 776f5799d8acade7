import { compileAccess } from './access.ts';
import { compileApprovals, mayWait } from './approval.ts';
import { binds } from './binding.ts';
import { ConnectionValue, scopeOf } from './condition-scope.ts';
import type { Scope } from './condition-scope.ts';
import { digest } from './digest.ts';
import type { ConnectionDocument, MaskingDocument, RuleDocuments } from './documents.ts';
import { compileGuardrails } from './guardrail.ts';
import { RECORD_TYPES } from './masking/entities.ts';
import { createMasker } from './masking/masker.ts';
import { compileTokens, numberDenial, recordForm } from './masking/tokens.ts';
import { compileLimits } from './limits.ts';
import type { ConnectionRules } from './rulebook.ts';
import { compileScreening, screenServerRequest } from './server-request.ts';
import type { Call, Decision, Facts, Principal, Verdict } from './types.ts';

const ALLOWED: Decision = { action: 'allow', findings: [] };

/** What no record may hold, whatever the rules say. */
const EVERYTHING: MaskingDocument = {
  name: 'record',
  supported_entity_types: [{ name: 'ALL', entity_types: RECORD_TYPES }],
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
  const tokens = compileTokens(connection.name, masking, documents.datamasking_rules);
  const masker = masking.length > 0 || tokens.escapes ? createMasker(masking, tokens) : undefined;
  const redactor = createMasker([...masking, EVERYTHING].map(recordForm));
  const value = new ConnectionValue(connection);
  const limits = compileLimits(documents.limits.filter((rule) => binds(rule, connection)));
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
    // What rides along beside the params can wait for nobody.
    const beside = call.beside === undefined ? undefined : input.judge(call.beside, '');
    const refusal = beside?.denial ?? beside?.held?.otherwise;
    if (refusal !== undefined) return { action: 'deny', denial: refusal, findings: beside?.findings ?? [] };
    // What an upstream asks of a client is text that goes to the client.
    const judged = (call.kind === 'server_request' ? output : input).judge(call.text, call.name, call);
    const demand = approvals.demand(call, who, scopeOnce);
    if (demand === undefined && judged.findings.length === 0 && beside === undefined) return ALLOWED;
    const findings = [...(beside?.findings ?? []), ...judged.findings, ...(demand?.findings ?? [])];
    if (judged.denial !== undefined) return { action: 'deny', denial: judged.denial, findings };
    const { held } = judged;
    if (held !== undefined && !mayWait(connection.name, call, who)) {
      return { action: 'deny', denial: held.otherwise, findings };
    }
    const asked = [held, demand].filter((each) => each !== undefined);
    const [only] = asked;
    if (only === undefined) return { action: 'allow', findings };
    const rulesHash = asked.length === 1 ? only.rulesHash : digest(asked.map((each) => each.rulesHash));
    return { action: 'hold', requirements: asked.flatMap(({ requirements }) => requirements), rulesHash, findings };
  };

  const redact = (json: string): string => redactor.mask(json).json;

  const inspect = (text: string, call: Call, _who: Principal, facts: Facts): Verdict => {
    const judged = output.judge(text, '', call);
    if (judged.denial !== undefined) return { json: 'null', findings: judged.findings, denial: judged.denial };
    const json = judged.json ?? text;
    if (masker === undefined) return { json, findings: judged.findings };
    // The record's rules contain the connection's own, so where they find nothing neither do these.
    if (!masker.mayForge(json) && redact(json) === json)
      return { json, findings: judged.findings, clean: json === text };
    const masked = masker.mask(json, facts.tokens);
    const { refused } = masked;
    const findings = [...judged.findings, ...masked.findings];
    return { json: masked.json, findings, ...(refused === undefined ? {} : { denial: numberDenial(refused) }) };
  };

  return {
    name: connection.name,
    holds: approvals.holds || input.holds,
    inspects: masker !== undefined || !output.empty,
    reads: !input.empty,
    needsTokens: tokens.needed,
    restores: tokens.restores,
    limits,
    schema: connection.schema_validation ?? 'off',
    filters: access.filters,
    visible: access.visible,
    sees: access.sees,
    decide,
    inspect,
    redact,
  };
}
