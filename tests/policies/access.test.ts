import t from 'tap';
import { compileAccess } from '../../policies/access.ts';
import { matchGlob } from '../../policies/glob.ts';
import type { AccessControlDocument, ConnectionDocument } from '../../policies/documents.ts';
import type { ListedKind } from '../../policies/rulebook.ts';
import type { Call, Facts, Principal } from '../../policies/types.ts';
import { SHOP, call, person, scope, tool } from './cases.ts';

const analysts: AccessControlDocument = {
  name: 'analysts',
  groups: ['analytics'],
  tools: { allow: ['query', 'list_*', 'ab?d'], deny: ['execute_sql', 'list_secret*'] },
  resources: { allow: ['shop://orders/*', 'file:///data/*', 'https://docs.example.com'], deny: ['shop://orders/9*'] },
  prompts: { deny: ['admin_*'] },
};
const second: AccessControlDocument = {
  name: 'second',
  groups: ['analytics-plus'],
  tools: { allow: ['export_report'] },
};
const denying: AccessControlDocument = { name: 'denying', groups: ['analytics-plus'], tools: { deny: ['query'] } };
const nothing: AccessControlDocument = { name: 'nothing', groups: ['interns'], tools: { allow: [] } };
const rules = [analysts, second, denying, nothing];
const access = compileAccess(SHOP, rules);

const analyst = person(['analytics']);
const both = person(['analytics', 'analytics-plus']);
const engineer = person(['engineering']);

t.test('names are seen by rule, and the same answer judges calls [access-list-equals-call]', (t) => {
  const cases: readonly (readonly [string, Principal, ListedKind, string, boolean])[] = [
    ['exact allow', analyst, 'tool', 'query', true],
    ['allowed by a star', analyst, 'tool', 'list_tables', true],
    ['a star may stand for nothing', analyst, 'tool', 'list_', true],
    ['a question mark is one character', analyst, 'tool', 'abcd', true],
    ['a question mark is not none', analyst, 'tool', 'abd', false],
    ['a question mark is not two', analyst, 'tool', 'abccd', false],
    ['deny by name', analyst, 'tool', 'execute_sql', false],
    ['deny wins over allow', analyst, 'tool', 'list_secrets', false],
    ['not on the allow list', analyst, 'tool', 'export_report', false],
    ['a prefix is not the name', analyst, 'tool', 'query_all', false],
    ['a suffix is not the name', analyst, 'tool', 'my_query', false],
    ['a name in another case', analyst, 'tool', 'Query', false],
    ['a name with a space', analyst, 'tool', 'query ', false],
    ['a name with a zero-width space', analyst, 'tool', 'query\u200b', false],
    ['a name in full-width letters', analyst, 'tool', 'ｑｕｅｒｙ', false],
    ['a name with a Cyrillic letter', analyst, 'tool', 'lіst_tables', false],
    ['a denied name in another case', analyst, 'tool', 'EXECUTE_SQL', false],
    ['the empty name', analyst, 'tool', '', false],
    ['a name of the prototype', analyst, 'tool', 'constructor', false],
    ['no allow list for prompts: allowed', analyst, 'prompt', 'greet', true],
    ['denied prompt', analyst, 'prompt', 'admin_reset', false],
    ['a denied prompt pattern in another case', analyst, 'prompt', 'Admin_reset', false],
    ['a denied prompt pattern with a soft hyphen', analyst, 'prompt', 'ad\u00admin_reset', false],
    ['resource by pattern', analyst, 'resource', 'shop://orders/1', true],
    ['denied resource', analyst, 'resource', 'shop://orders/99', false],
    ['a resource with an escaped denied digit', analyst, 'resource', 'shop://orders/%399', false],
    ['a resource with a twice escaped digit', analyst, 'resource', 'shop://orders/%25399', false],
    ['a resource that climbs out', analyst, 'resource', 'file:///data/../etc/passwd', false],
    ['a resource that climbs out, escaped', analyst, 'resource', 'file:///data/%2e%2e/etc/passwd', false],
    ['a resource that climbs into a denied one', analyst, 'resource', 'shop://orders/1/../99', false],
    ['a resource with escaped spaces', analyst, 'resource', 'file:///data/a%20b.txt', true],
    ['a resource scheme in another case', analyst, 'resource', 'FILE:///data/a', false],
    ['a resource written out', analyst, 'resource', 'https://docs.example.com', true],
    ['not on the resource list', analyst, 'resource', 'shop://customers/1', false],
    ['a second rule adds its allow list', both, 'tool', 'export_report', true],
    ['the first rule still counts', both, 'tool', 'list_tables', true],
    ['a second rule takes away', both, 'tool', 'query', false],
    ['a rule never touches others', engineer, 'tool', 'execute_sql', true],
    ['nor confusable names for others', engineer, 'tool', 'EXECUTE_SQL', true],
    ['an empty allow list allows nothing', person(['engineering', 'interns']), 'tool', 'query', false],
    ['but only of its kind', person(['engineering', 'interns']), 'prompt', 'greet', true],
    ['who does not see the connection sees no tool', person(['sales']), 'tool', 'query', false],
    ['governed but not admitted', person(['interns']), 'prompt', 'greet', false],
    [
      'an admin is not exempt from a rule on his group',
      person(['analytics'], { roles: ['admin'] }),
      'tool',
      'execute_sql',
      false,
    ],
    [
      'the gateway itself is not governed',
      person(['analytics'], { authenticatedBy: 'system' }),
      'tool',
      'execute_sql',
      true,
    ],
    ['groups are compared exactly', person(['engineering', 'Analytics']), 'tool', 'execute_sql', true],
  ];
  const methods = { tool: 'tools/call', prompt: 'prompts/get', resource: 'resources/read' } as const;
  for (const [title, who, kind, name, expected] of cases) {
    t.equal(access.sees(kind, name, who), expected, title);
    const asked = call(methods[kind], kind === 'resource' ? { uri: name } : { name });
    const decision = access.judge(asked, who, {}, () => scope(asked, who));
    t.equal(decision === undefined, expected, `${title}: as a call`);
    if (decision?.action === 'deny' && access.visible(who)) {
      t.match(
        decision.denial,
        { code: 'name_unknown', reason: `${kind}: ${name}` },
        `${title}: as if it did not exist`,
      );
    }
  }
  t.end();
});

t.test('a connection is seen by its groups and by admins [access-default-closed]', (t) => {
  const closed: ConnectionDocument = { name: 'closed', attributes: [] };
  const cases: readonly (readonly [string, ConnectionDocument, Principal, boolean])[] = [
    ['a member', SHOP, engineer, true],
    ['a stranger', SHOP, person(['sales']), false],
    ['nobody without groups', SHOP, person([]), false],
    ['an admin', SHOP, person([], { roles: ['admin'] }), true],
    ['an auditor is no admin', SHOP, person([], { roles: ['auditor'] }), false],
    ['a group called admin is no role', closed, person(['admin']), false],
    ['without access, a member of any group', closed, engineer, false],
    ['without access, an admin', closed, person([], { roles: ['admin'] }), true],
    ['the gateway asking for itself', closed, person([], { authenticatedBy: 'system' }), true],
    ['gateway is seen by everybody', { name: 'gateway', attributes: [] }, person([]), true],
    ['an anonymous caller by his groups', SHOP, person(['engineering'], { authenticatedBy: 'anonymous' }), true],
    ['an anonymous caller without groups', SHOP, person([], { authenticatedBy: 'anonymous' }), false],
  ];
  for (const [title, connection, who, expected] of cases) {
    const judged = compileAccess(connection, []);
    t.equal(judged.visible(who), expected, title);
    const asked = call('initialize', {});
    const decision = judged.judge(asked, who, {}, () => scope(asked, who));
    if (expected) t.equal(decision, undefined, `${title}: may begin`);
    else t.match(decision, { action: 'deny', denial: { code: 'connection_unknown' } }, `${title}: is told nothing`);
  }
  t.end();
});

t.test('a name that does not exist is answered as a hidden one [access-hidden-equals-absent]', (t) => {
  const facts: Facts = {
    catalog: new Set(['query', 'execute_sql', 'list_tables', 'greet', 'shop://orders/{id}', 'file:///data/a']),
  };
  const ask = (asked: Call, who: Principal) => access.judge(asked, who, facts, () => scope(asked, who));
  const hidden = ask(tool('execute_sql'), analyst);
  const absent = ask(tool('list_nothing'), analyst);
  t.equal(hidden?.action, 'deny');
  t.equal(absent?.action, 'deny');
  if (hidden?.action === 'deny' && absent?.action === 'deny') {
    const shown = ({ code, reason, remedy }: { code: string; reason: string; remedy: string }) => ({
      code,
      reason,
      remedy,
    });
    t.strictSame(shown(absent.denial), { ...shown(hidden.denial), reason: 'tool: list_nothing' });
    t.equal(hidden.denial.reason, 'tool: execute_sql');
  }
  t.equal(ask(tool('query'), analyst), undefined, 'what exists and is allowed passes');
  t.equal(ask(tool('no_such'), engineer), undefined, 'who is not filtered asks the upstream');
  t.equal(
    ask(call('resources/read', { uri: 'shop://orders/5' }), analyst),
    undefined,
    'a URI of a resource template exists',
  );
  t.match(ask(call('resources/read', { uri: 'file:///data/b' }), analyst), { denial: { code: 'name_unknown' } });
  t.match(ask(call('prompts/get', { name: 'nope' }), analyst), {
    denial: { code: 'name_unknown', reason: 'prompt: nope' },
  });
  t.equal(access.filters(analyst), true);
  t.equal(access.filters(engineer), false);
  t.equal(access.filters(person(['analytics'], { authenticatedBy: 'system' })), false);
  t.end();
});

t.test('second paths to a hidden name are closed [access-second-paths]', (t) => {
  const complete = (ref: Record<string, string>) =>
    call('completion/complete', { ref, argument: { name: 'a', value: '' } });
  const cases: readonly (readonly [string, Call, boolean])[] = [
    ['list the tools', call('tools/list', {}), true],
    ['ping', call('ping', {}), true],
    ['a method from the future', call('tools/forget', { name: 'execute_sql' }), true],
    ['complete a visible prompt', complete({ type: 'ref/prompt', name: 'greet' }), true],
    ['complete a hidden prompt', complete({ type: 'ref/prompt', name: 'admin_reset' }), false],
    ['complete a visible resource', complete({ type: 'ref/resource', uri: 'shop://orders/{id}' }), true],
    ['complete a hidden resource', complete({ type: 'ref/resource', uri: 'shop://customers/{id}' }), false],
    ['complete something unknown', complete({ type: 'ref/other', name: 'greet' }), false],
    ['complete nothing', call('completion/complete', {}), false],
    [
      'subscribe to a visible resource',
      call('resources/subscribe', { uri: 'shop://orders/1' }, { kind: 'resource', name: 'shop://orders/1' }),
      true,
    ],
    [
      'subscribe to a hidden resource',
      call('resources/subscribe', { uri: 'x' }, { kind: 'resource', name: 'shop://orders/99' }),
      false,
    ],
    ['subscribe, as a protocol call', call('resources/subscribe', { uri: 'x' }, { name: 'shop://orders/99' }), false],
    [
      'unsubscribe from a hidden resource',
      call('resources/unsubscribe', { uri: 'x' }, { name: 'shop://orders/99' }),
      false,
    ],
    [
      'listen to nothing in particular',
      call('subscriptions/listen', { notifications: { toolsListChanged: true } }),
      true,
    ],
    [
      'listen to a visible resource',
      call('subscriptions/listen', { notifications: { resourceSubscriptions: ['shop://orders/1'] } }),
      true,
    ],
    [
      'listen to a hidden one among visible ones',
      call('subscriptions/listen', {
        notifications: { resourceSubscriptions: ['shop://orders/1', 'shop://orders/99'] },
      }),
      false,
    ],
    ['listen to nonsense', call('subscriptions/listen', { notifications: { resourceSubscriptions: [1] } }), false],
    ['a tool call under another kind', tool('execute_sql', {}, { kind: 'protocol' }), false],
  ];
  for (const [title, asked, expected] of cases) {
    t.equal(access.judge(asked, analyst, {}, () => scope(asked, analyst)) === undefined, expected, title);
    t.equal(
      access.judge(asked, engineer, {}, () => scope(asked, engineer)),
      undefined,
      `${title}: others may`,
    );
  }
  t.end();
});

t.test('a condition narrows calls, and an error in it denies [condition-fails-closed]', (t) => {
  const guarded = compileAccess(SHOP, [
    { name: 'read-only', groups: ['engineering'], when: 'tool.readOnlyHint || args.?confirm.orValue(false)' },
    { name: 'small', groups: ['dba'], when: 'args.limit < 100' },
  ]);
  const dba = person(['dba']);
  const readOnly = { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false };
  const cases: readonly (readonly [string, Call, Principal, boolean, string?])[] = [
    ['true', tool('a', {}, { annotations: readOnly }), engineer, true],
    ['false', tool('a'), engineer, false],
    ['true by an argument', tool('a', { confirm: true }), engineer, true],
    ['not a truth value', tool('a', { confirm: 'yes' }), engineer, false, 'invalid_logical_operand'],
    ['a number that fits', tool('a', { limit: 10 }), dba, true],
    ['a number that does not', tool('a', { limit: 100 }), dba, false],
    ['an argument that is missing', tool('a'), dba, false, 'no_such_key'],
    ['an argument of another type', tool('a', { limit: '10' }), dba, false, 'no_such_overload'],
    ['the list of tools', call('tools/list', {}), engineer, true],
    ['somebody else', tool('a'), analyst, true],
    [
      'arguments with a member called constructor',
      tool('a', { constructor: 1, limit: 10 }),
      dba,
      false,
      'unsupported_type',
    ],
    [
      'arguments with a member called __proto__',
      tool('a', JSON.parse('{"__proto__":{"limit":1}}') as never),
      dba,
      false,
      'no_such_key',
    ],
  ];
  for (const [title, asked, who, expected, error] of cases) {
    const decision = guarded.judge(asked, who, {}, () => scope(asked, who));
    t.equal(decision === undefined, expected, title);
    if (decision !== undefined) t.match(decision, { action: 'deny', denial: { code: 'access_denied' } }, title);
    if (error !== undefined) t.match(decision?.findings, [{ action: 'error', policy: 'access', entity: error }], title);
  }
  t.end();
});

t.test('globs take time by their length only', (t) => {
  t.equal(matchGlob(`${'a*'.repeat(50)}b`, 'a'.repeat(10_000)), false);
  t.equal(matchGlob(`${'a*'.repeat(50)}b`, `${'a'.repeat(10_000)}b`), true);
  t.equal(matchGlob('*', ''), true);
  t.equal(matchGlob('**a**', 'bab'), true);
  t.equal(matchGlob('', ''), true);
  t.equal(matchGlob('?', ''), false);
  t.equal(matchGlob('a.c', 'abc'), false);
  t.end();
});
