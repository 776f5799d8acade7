import t from 'tap';
import { checkRules } from '../../policies/check.ts';
import { compileRulebook } from '../../policies/compile.ts';
import type { AccessControlDocument, RuleDocuments } from '../../policies/documents.ts';
import type { Call } from '../../policies/types.ts';
import { call, person, SHOP, tool } from './cases.ts';

const documents = (rules: readonly AccessControlDocument[]): RuleDocuments => ({
  connections: [SHOP],
  guardrails: [],
  datamasking_rules: [],
  access_request_rules: [],
  access_control: rules,
  limits: [],
});

const RULES: readonly AccessControlDocument[] = [
  {
    name: 'all',
    groups: ['engineering'],
    tools: { allow: ['*'] },
    resources: { allow: ['*'] },
    prompts: { allow: ['*'] },
  },
  {
    name: 'writes',
    groups: ['engineering'],
    tools: { allow: ['execute_sql', 'update_*'] },
    required_scopes: ['write', 'base'],
  },
  { name: 'audits', groups: ['engineering'], tools: { allow: ['update_audit'] }, required_scopes: ['audit', 'base'] },
  {
    name: 'reports',
    groups: ['engineering'],
    resources: { allow: ['shop://reports/*'] },
    required_scopes: ['reports'],
  },
  { name: 'prompts', groups: ['engineering'], prompts: { deny: ['admin_*'] }, required_scopes: ['ask'] },
  { name: 'everything', groups: ['dba'], required_scopes: ['dba'] },
  { name: 'when', groups: ['analytics'], tools: { allow: ['query'] }, required_scopes: ['read'], when: 'args.n == 1' },
  { name: 'other', connections: ['gateway'], groups: ['engineering'], required_scopes: ['gateway'] },
];

const read = (uri: string): Call => call('resources/read', { uri });
const prompt = (name: string): Call => call('prompts/get', { name });

/** Group, scopes, call, and the scopes that are named in the refusal, or the code of another one; nothing when it passes. */
const CASES: readonly (readonly [string, string, Call, string])[] = [
  ['engineering', '', tool('query'), ''],
  ['engineering', '', tool('execute_sql'), 'write base'],
  ['engineering', 'write', tool('execute_sql'), 'write base'],
  ['engineering', 'base', tool('execute_sql'), 'write base'],
  ['engineering', 'write base', tool('execute_sql'), ''],
  ['engineering', 'base write more', tool('execute_sql'), ''],
  ['engineering', 'WRITE BASE', tool('execute_sql'), 'write base'],
  ['engineering', 'write base', tool('update_row'), ''],
  ['engineering', '', tool('update_row'), 'write base'],
  ['engineering', 'write base', tool('update_audit'), 'write base audit'],
  ['engineering', 'audit', tool('update_audit'), 'write base audit'],
  ['engineering', 'write base audit', tool('update_audit'), ''],
  ['engineering', '', tool('updaterow'), ''],
  ['engineering', '', tool('Update_row'), 'write base'],
  ['engineering', '', read('shop://orders/1'), ''],
  ['engineering', '', read('shop://reports/1'), 'reports'],
  ['engineering', '', read('shop://reports/../reports/1'), 'reports'],
  ['engineering', '', read('shop://%72eports/1'), 'reports'],
  ['engineering', 'reports', read('shop://reports/1'), ''],
  ['engineering', '', prompt('greet'), 'ask'],
  ['engineering', 'ask', prompt('greet'), ''],
  ['engineering', 'ask', prompt('admin_all'), 'name_unknown'],
  ['engineering', '', call('tools/list', {}), ''],
  ['engineering', '', call('ping', {}), ''],
  ['dba', '', tool('query'), 'dba'],
  ['dba', '', read('shop://orders/1'), 'dba'],
  ['dba', '', prompt('greet'), 'dba'],
  ['dba', 'dba', tool('query'), ''],
  ['analytics', '', tool('execute_sql'), 'name_unknown'],
  ['analytics', '', tool('query', { n: 2 }), 'read'],
  ['analytics', 'read', tool('query', { n: 2 }), 'access_denied'],
  ['analytics', 'read', tool('query', { n: 1 }), ''],
];

t.test(
  'a call needs the scopes of every rule that covers it, and they are named together [A-05] [scopes-per-call]',
  async (t) => {
    t.ok(CASES.length >= 30);
    const rules = compileRulebook(documents(RULES)).connection('shop')!;
    for (const [group, scopes, asked, expected] of CASES) {
      const who = person([group], scopes === '' ? {} : { scopes: scopes.split(' ') });
      const decision = rules.decide(asked, who, {});
      const denial = decision.action === 'deny' ? decision.denial : undefined;
      const got = denial?.code === 'scope_insufficient' ? denial.scopes?.join(' ') : (denial?.code ?? '');
      t.equal(got, expected, `${group} with [${scopes}]: ${asked.method} ${asked.name}`);
      if (denial?.scopes !== undefined) t.equal(denial.reason, denial.scopes.join(' '));
    }
  },
);

t.test(
  'whoever has no token with scopes lacks them, and a scope that would break the challenge is refused at load',
  async (t) => {
    const rules = compileRulebook(documents(RULES)).connection('shop')!;
    for (const authenticatedBy of ['token', 'anonymous'] as const) {
      t.match(rules.decide(tool('query'), person(['dba'], { authenticatedBy }), {}), {
        denial: { code: 'scope_insufficient' },
      });
    }
    t.equal(rules.decide(tool('query'), person(['dba'], { authenticatedBy: 'system' }), {}).action, 'allow');
    for (const scope of ['a b', 'a"b', 'a\\b', 'ä', '\n']) {
      const mistakes = checkRules(documents([{ name: 'x', groups: ['g'], required_scopes: ['fine', scope] }]));
      t.match(mistakes, [{ path: 'access_control[0].required_scopes[1]' }], scope);
    }
  },
);
