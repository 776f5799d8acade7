import t from 'tap';
import { compileApprovals } from '../../policies/approval.ts';
import { checkRules } from '../../policies/check.ts';
import type { AccessRequestDocument } from '../../policies/documents.ts';
import type { Call, Principal } from '../../policies/types.ts';
import { SHOP, call, person, scope, tool } from './cases.ts';

const rule = (more: Partial<AccessRequestDocument> = {}): AccessRequestDocument => ({
  name: 'writes',
  connections: ['shop'],
  access_type: 'command',
  reviewers_groups: ['dba'],
  ...more,
});
const WRITES = 'tool.name == "execute_sql" && args.?sql.orValue("").search("(?i)\\\\b(delete|update|insert)\\\\b")';
const engineer = person(['engineering']);
const dba = person(['engineering', 'dba']);
const readOnly = { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false };

t.test('which calls are held by a rule [approval-holds]', (t) => {
  const cases: readonly (readonly [string, Partial<AccessRequestDocument>, Call, Principal, boolean])[] = [
    ['no condition: every tool call', {}, tool('query'), engineer, true],
    ['no condition: no prompt', {}, call('prompts/get', { name: 'greet' }), engineer, false],
    ['no condition: no resource', {}, call('resources/read', { uri: 'shop://orders/1' }), engineer, false],
    ['no condition: not the list of tools', {}, call('tools/list', {}), engineer, false],
    ['no condition: not initialize', {}, call('initialize', {}), engineer, false],
    ['a condition that is true', { when: WRITES }, tool('execute_sql', { sql: 'DELETE FROM x' }), engineer, true],
    ['a condition that is false', { when: WRITES }, tool('execute_sql', { sql: 'select 1' }), engineer, false],
    ['a condition on another tool', { when: WRITES }, tool('query', { sql: 'delete from x' }), engineer, false],
    ['a condition on a missing argument', { when: WRITES }, tool('execute_sql', {}), engineer, false],
    [
      'an argument of another type counts as true',
      { when: WRITES },
      tool('execute_sql', { sql: ['delete'] }),
      engineer,
      true,
    ],
    ['an argument that is null counts as true', { when: WRITES }, tool('execute_sql', { sql: null }), engineer, true],
    [
      'arguments that are no object count as true',
      { when: 'args.sql == "x"' },
      tool('execute_sql', 'x'),
      engineer,
      true,
    ],
    [
      'a condition that is no truth value counts as true',
      { when: 'args.flag' },
      tool('a', { flag: 'no' }),
      engineer,
      true,
    ],
    [
      'a member called constructor counts as true',
      { when: WRITES },
      tool('execute_sql', { sql: 'x', constructor: 'y' }),
      engineer,
      true,
    ],
    ['a condition on a prompt', { when: 'kind == "prompt"' }, call('prompts/get', { name: 'greet' }), engineer, true],
    [
      'a condition on a resource',
      { when: 'name.startsWith("shop://")' },
      call('resources/read', { uri: 'shop://a' }),
      engineer,
      true,
    ],
    ['a condition never holds protocol calls', { when: 'true' }, call('tools/list', {}), engineer, false],
    [
      'a condition never holds what the server asks',
      { when: 'true' },
      tool('x', {}, { kind: 'server_request' }),
      engineer,
      false,
    ],
    ['a condition on annotations', { when: '!tool.readOnlyHint' }, tool('a'), engineer, true],
    [
      'a condition on annotations, relaxed',
      { when: '!tool.readOnlyHint' },
      tool('a', {}, { annotations: readOnly }),
      engineer,
      false,
    ],
    ['a condition on the caller', { when: '"dba" in principal.groups' }, tool('a'), dba, true],
    ['a condition on the caller, another', { when: '"dba" in principal.groups' }, tool('a'), engineer, false],
    [
      'a condition on the connection',
      { when: '"pii" in connection.attributes && connection.name == "shop"' },
      tool('a'),
      engineer,
      true,
    ],
    ['required groups: a member', { approval_required_groups: ['engineering'] }, tool('a'), engineer, true],
    ['required groups: somebody else', { approval_required_groups: ['sales'] }, tool('a'), engineer, false],
    ['required groups, empty: everyone', { approval_required_groups: [] }, tool('a'), person([]), true],
    ['skip groups: a member', { skip_review_groups: ['dba'] }, tool('a'), dba, false],
    ['skip groups: somebody else', { skip_review_groups: ['dba'] }, tool('a'), engineer, true],
    ['an admin is not exempt', {}, tool('a'), person(['admin'], { roles: ['admin'] }), true],
    ['the gateway itself is', {}, tool('a'), person([], { authenticatedBy: 'system' }), false],
    [
      'a large list is held rather than looped over for long',
      { when: 'args.a.all(x, args.a.all(y, x != y + 1.0))' },
      tool('a', { a: Array.from({ length: 5000 }, () => 0) }),
      engineer,
      true,
    ],
    [
      'a number too large for a double is compared as one',
      { when: 'args.n > 1000' },
      tool('a', { n: Number.POSITIVE_INFINITY }),
      engineer,
      true,
    ],
  ];
  for (const [title, more, asked, who, expected] of cases) {
    const approvals = compileApprovals('shop', [rule(more)]);
    t.equal(approvals.demand(asked, who, () => scope(asked, who)) !== undefined, expected, title);
  }
  t.end();
});

t.test('reviews can never be held at the gateway [approval-reviews-free]', (t) => {
  const approvals = compileApprovals('gateway', [rule({ connections: ['gateway'], when: 'true' })]);
  for (const name of ['reviews_wait', 'reviews_execute', 'reviews_get', 'reviews_update']) {
    const asked = tool(name, {}, { connection: 'gateway' });
    t.equal(
      approvals.demand(asked, engineer, () => scope(asked, engineer)),
      undefined,
      name,
    );
  }
  const asked = tool('guardrails_update', {}, { connection: 'gateway' });
  t.ok(
    approvals.demand(asked, engineer, () => scope(asked, engineer)),
    'other operations can',
  );
  t.end();
});

t.test('every matching rule asks for itself, and their hash names them [approval-every-rule]', (t) => {
  const one = rule({ name: 'one', min_approvals: 2 });
  const two = rule({
    name: 'two',
    reviewers_groups: ['security', 'dba'],
    all_groups_must_approve: true,
    force_approval_groups: ['oncall'],
  });
  const never = rule({ name: 'never', when: 'false' });
  const broken = rule({ name: 'broken', when: 'args.nope == 1' });
  const asked = tool('a');
  const ask = (rules: readonly AccessRequestDocument[]) =>
    compileApprovals('shop', rules).demand(asked, engineer, () => scope(asked, engineer));
  const demand = ask([one, never, two, broken]);
  t.strictSame(demand?.requirements, [
    { rule: 'one', reviewersGroups: ['dba'], minApprovals: 2, allGroupsMustApprove: false, forceApprovalGroups: [] },
    {
      rule: 'two',
      reviewersGroups: ['security', 'dba'],
      minApprovals: 1,
      allGroupsMustApprove: true,
      forceApprovalGroups: ['oncall'],
    },
    { rule: 'broken', reviewersGroups: ['dba'], minApprovals: 1, allGroupsMustApprove: false, forceApprovalGroups: [] },
  ]);
  t.strictSame(
    demand?.findings.map(({ rule: name, action, entity }) => [name, action, entity]),
    [
      ['one', 'hold', 'command'],
      ['two', 'hold', 'command'],
      ['broken', 'hold', 'command'],
      ['broken', 'error', 'no_such_key'],
    ],
  );
  t.match(demand?.rulesHash, /^[0-9a-f]{64}$/);
  t.equal(ask([broken, two, one])?.rulesHash, demand?.rulesHash, 'whatever their order, and whatever did not match');
  t.not(ask([one, two])?.rulesHash, demand?.rulesHash, 'fewer rules');
  t.not(ask([{ ...one, min_approvals: 3 }, two, broken])?.rulesHash, demand?.rulesHash, 'a changed rule');
  t.equal(compileApprovals('shop', []).holds, false);
  t.equal(compileApprovals('shop', [never]).holds, true);
  t.end();
});

t.test('a faulty rule is refused with a sentence', (t) => {
  const cases: readonly (readonly [Partial<AccessRequestDocument>, string, RegExp])[] = [
    [{ connections: [] }, '', /^either connections or attributes must have at least 1 entry$/],
    [{ access_type: 'jit' as never }, '.access_type', /^access_type must be 'command'$/],
    [{ reviewers_groups: [] }, '.reviewers_groups', /^reviewers_groups must have at least 1 entry$/],
    [
      { min_approvals: 0 },
      '.min_approvals',
      /^min_approvals must be at least 1 when all_groups_must_approve is false$/,
    ],
    [{ min_approvals: 1.5 }, '.min_approvals', /^min_approvals must be at least 1/],
    [
      { skip_review_groups: ['a'], approval_required_groups: ['b'] },
      '.skip_review_groups',
      /^skip_review_groups can only be set when approval_required_groups is empty$/,
    ],
    [{ connections: ['nope'] }, '.connections[0]', /^there is no connection named nope$/],
    [{ attributes: ['nope'] }, '.attributes[0]', /no connection has the attribute nope/],
    [{ when: 'args.a.matches("b")' }, '.when', /matches\(\) is not available.*search\(\).*\(line 1, column 1\)/],
    [{ when: '1 + ' }, '.when', /line 1, column 5/],
  ];
  for (const [more, path, message] of cases) {
    const mistakes = checkRules({
      connections: [SHOP],
      guardrails: [],
      datamasking_rules: [],
      access_request_rules: [rule(more)],
      access_control: [],
      limits: [],
    });
    t.match(mistakes, [{ path: `access_request_rules[0]${path}`, message }], JSON.stringify(more));
    t.equal(mistakes.length, 1);
  }
  t.end();
});
