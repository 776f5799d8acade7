import { lazySchema } from '../../policies/schema/compile-schema.ts';
import { withArguments } from '../../policies/schema/judge.ts';
import type { ConnectionRules, Rulebook } from '../../policies/rulebook.ts';
import type { Call, Decision, Facts, Json, JsonObject, Principal, TokenSource } from '../../policies/types.ts';
import { parseYaml } from '../config/document.ts';
import { ConfigFault } from '../config/problems.ts';
import type { Row } from '../config/schema.ts';
import { compileShape } from '../config/shape.ts';
import { UNKNOWN_TOOL } from '../identify.ts';

const text = { type: 'string', minLength: 1 } as const satisfies Row;
const texts = { type: 'array', items: text } as const satisfies Row;
const any = {} as const satisfies Row;
const object = { type: 'object' } as const satisfies Row;
const strict = (required: readonly string[], properties: Readonly<Record<string, Row>>): Row => ({
  type: 'object',
  additionalProperties: false,
  required,
  properties,
});

const CASE = strict(['name', 'call'], {
  name: text,
  connection: text,
  as: strict([], { subject: text, issuer: text, email: text, groups: texts, roles: texts, scopes: texts }),
  call: strict([], {
    tool: text,
    prompt: text,
    resource: text,
    arguments: object,
    annotations: object,
    input_schema: object,
  }),
  expect: strict(['decision'], {
    decision: { type: 'string', enum: ['allow', 'deny', 'hold'] },
    rule: text,
    code: text,
  }),
  result: any,
  expect_result: strict([], {
    contains: texts,
    not_contains: texts,
    denied: { type: 'boolean' },
    rule: text,
    code: text,
  }),
});
const FILE = strict(['cases'], { cases: { type: 'array', minItems: 1, items: CASE } });

export interface PolicyCase {
  readonly name: string;
  readonly connection?: string;
  readonly as?: {
    readonly subject?: string;
    readonly issuer?: string;
    readonly email?: string;
    readonly groups?: readonly string[];
    readonly roles?: readonly string[];
    readonly scopes?: readonly string[];
  };
  readonly call: {
    readonly tool?: string;
    readonly prompt?: string;
    readonly resource?: string;
    readonly arguments?: JsonObject;
    readonly annotations?: JsonObject;
    readonly input_schema?: JsonObject;
  };
  readonly expect?: { readonly decision: string; readonly rule?: string; readonly code?: string };
  readonly result?: Json;
  readonly expect_result?: {
    readonly contains?: readonly string[];
    readonly not_contains?: readonly string[];
    readonly denied?: boolean;
    readonly rule?: string;
    readonly code?: string;
  };
}

export interface CaseOutcome {
  readonly name: string;
  readonly passed: boolean;
  /** What was decided, with its rule and code. */
  readonly got: string;
  /** Why it failed; empty when it passed. */
  readonly faults: readonly string[];
}

/** The cases of a file; a ConfigFault that names every mistake with its place. */
export function parseCases(source: string, file: string): readonly PolicyCase[] {
  const document = parseYaml(source);
  const mistakes = document.problems.length > 0 ? [] : [...compileShape(FILE)(document.value)];
  const cases = (document.value as { cases?: readonly PolicyCase[] } | null | undefined)?.cases;
  if (document.problems.length === 0 && mistakes.length === 0) {
    for (const [index, { call, expect, expect_result: answer, result }] of (cases ?? []).entries()) {
      const path = ['cases', index];
      const asked = [call.tool, call.prompt, call.resource].filter((each) => each !== undefined);
      if (asked.length !== 1)
        mistakes.push({ path: [...path, 'call'], message: 'expected one of tool, prompt, resource' });
      if (expect === undefined && answer === undefined)
        mistakes.push({ path, message: 'expected expect or expect_result' });
      if (answer !== undefined && result === undefined)
        mistakes.push({ path: [...path, 'expect_result'], message: 'expected a result beside it' });
    }
  }
  const problems = [...document.problems, ...mistakes.map((mistake) => document.place(mistake))];
  if (problems.length > 0) throw new ConfigFault(file, problems);
  return cases!;
}

/** Asks the rules as a call would, without an upstream, a record or a clock: limits and pins are not tried. */
export function runCase(rulebook: Rulebook, each: PolicyCase): CaseOutcome {
  const name = each.connection ?? 'default';
  const rules = rulebook.connection(name);
  if (rules === undefined) {
    return { name: each.name, passed: false, got: '', faults: [`there is no connection named ${name}`] };
  }
  const call = callOf(each, name);
  const who = principalOf(each.as);
  const facts = factsOf(each);
  const decision = withArguments(rules.decide(call, who, facts), rules.schema, facts.schema);
  const faults = [...decisionFaults(each.expect, decision), ...resultFaults(each, rules, call, who, facts)];
  return { name: each.name, passed: faults.length === 0, got: shown(decision), faults };
}

function callOf({ call }: PolicyCase, connection: string): Call {
  const { tool, prompt, resource } = call;
  const kind = tool !== undefined ? 'tool' : prompt !== undefined ? 'prompt' : 'resource';
  const name = (tool ?? prompt ?? resource)!;
  const args = call.arguments ?? {};
  const params: JsonObject = kind === 'resource' ? { uri: name } : { name, arguments: args };
  return {
    connection,
    kind,
    method: { tool: 'tools/call', prompt: 'prompts/get', resource: 'resources/read' }[kind],
    name,
    arguments: kind === 'resource' ? params : args,
    text: JSON.stringify(params),
    annotations: { ...UNKNOWN_TOOL, ...call.annotations },
  };
}

function principalOf(as: PolicyCase['as']): Principal {
  return {
    issuer: as?.issuer ?? 'portcullis:test',
    subject: as?.subject ?? 'somebody',
    ...(as?.email === undefined ? {} : { email: as.email }),
    groups: as?.groups ?? [],
    roles: (as?.roles ?? []).filter((role) => role === 'admin' || role === 'auditor'),
    authenticatedBy: 'oidc',
    actors: [],
    ...(as?.scopes === undefined ? {} : { scopes: as.scopes }),
  };
}

function factsOf({ call }: PolicyCase): Facts {
  const tokens = offlineTokens();
  if (call.input_schema === undefined) return { tokens };
  return { tokens, schema: lazySchema(call.input_schema)(call.arguments ?? {}) };
}

/** Placeholders as a fresh session would make them; the digests are no secret here. */
function offlineTokens(): TokenSource {
  const known = new Map<string, string>();
  const counts = new Map<string, number>();
  return {
    placeholder(type, value) {
      const key = `${type} ${value}`;
      if (!known.has(key)) {
        counts.set(type, (counts.get(type) ?? 0) + 1);
        known.set(key, `<${type}_${counts.get(type)}>`);
      }
      return known.get(key)!;
    },
    digest: () => '0000000000000000',
  };
}

function decisionFaults(expect: PolicyCase['expect'], decision: Decision): string[] {
  if (expect === undefined) return [];
  const faults: string[] = [];
  if (decision.action !== expect.decision) faults.push(`expected ${expect.decision}, got ${decision.action}`);
  if (expect.rule !== undefined && !rulesOf(decision).includes(expect.rule))
    faults.push(`the rule ${expect.rule} did not speak`);
  const code = decision.action === 'deny' ? decision.denial.code : '';
  if (expect.code !== undefined && code !== expect.code)
    faults.push(`expected the code ${expect.code}, got ${code || 'none'}`);
  return faults;
}

function rulesOf(decision: Decision): readonly string[] {
  if (decision.action === 'deny') return [decision.denial.rule];
  if (decision.action === 'hold') return decision.requirements.map(({ rule }) => rule);
  return decision.findings.map(({ rule }) => rule);
}

function resultFaults(
  { result, expect_result: expect }: PolicyCase,
  rules: ConnectionRules,
  call: Call,
  who: Principal,
  facts: Facts,
): string[] {
  if (expect === undefined || result === undefined) return [];
  const json = JSON.stringify({ jsonrpc: '2.0', id: 1, result });
  const verdict = rules.inspect(json, call, who, facts);
  const { denial } = verdict;
  const faults: string[] = [];
  const wanted = expect.denied ?? (expect.code !== undefined ? true : undefined);
  if (wanted !== undefined && wanted !== (denial !== undefined))
    faults.push(wanted ? 'expected the result to be withheld, it passes' : `the result is withheld by ${denial!.rule}`);
  if (expect.code !== undefined && denial !== undefined && denial.code !== expect.code)
    faults.push(`expected the result's code ${expect.code}, got ${denial.code}`);
  const spoke = [...verdict.findings.map(({ rule }) => rule), ...(denial === undefined ? [] : [denial.rule])];
  if (expect.rule !== undefined && !spoke.includes(expect.rule))
    faults.push(`the rule ${expect.rule} did not speak of the result`);
  // Compared as the client reads it: escapes of JSON do not hide a text.
  const leaves = denial === undefined ? plainText(verdict.json) : '';
  for (const part of expect.contains ?? []) if (!leaves.includes(part)) faults.push(`the result does not hold ${part}`);
  for (const part of expect.not_contains ?? []) if (leaves.includes(part)) faults.push(`the result holds ${part}`);
  return faults;
}

/** The JSON text, and every string in it as it is read. */
function plainText(json: string): string {
  const parts = [json];
  JSON.parse(json, (key: string, value: unknown) => {
    parts.push(key);
    if (typeof value === 'string') parts.push(value);
    return value;
  });
  return parts.join('\n');
}

function shown(decision: Decision): string {
  const rules = rulesOf(decision).filter((rule) => rule !== '');
  const code = decision.action === 'deny' ? ` (${decision.denial.code})` : '';
  return `${decision.action}${code}${rules.length === 0 ? '' : ` by ${[...new Set(rules)].join(', ')}`}`;
}
