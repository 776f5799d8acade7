import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import t from 'tap';
import { parseAllDocuments } from 'yaml';
import { checkRules } from '../../policies/check.ts';
import { compileRulebook } from '../../policies/compile.ts';
import type { RuleDocuments } from '../../policies/documents.ts';
import {
  ACCESS_CONTROL_SCHEMA,
  ACCESS_REQUEST_SCHEMA,
  GUARDRAIL_SCHEMA,
  MASKING_SCHEMA,
} from '../../policies/schemas.ts';
import type { ConnectionRules } from '../../policies/rulebook.ts';
import { SHOP, call, person, tool } from './cases.ts';

const documents = (more: Partial<RuleDocuments> = {}): RuleDocuments => ({
  connections: [SHOP, { name: 'archive', attributes: [], access: { groups: ['engineering'] } }],
  guardrails: [],
  datamasking_rules: [],
  access_request_rules: [],
  access_control: [],
  limits: [],
  ...more,
});
const governed = documents({
  guardrails: [
    {
      name: 'no-drops',
      connections: ['shop'],
      input: { rules: [{ type: 'pattern_match', pattern_regex: '(?i)\\bdrop\\b', message: 'no DDL' }] },
      output: { rules: [{ type: 'deny_words_list', words: ['nightjar'] }] },
    },
    {
      name: 'watch',
      mode: 'observe',
      connections: ['shop'],
      input: { rules: [{ type: 'deny_words_list', words: ['customers'] }] },
    },
  ],
  datamasking_rules: [
    {
      name: 'pii',
      attributes: ['pii'],
      supported_entity_types: [{ name: 'CONTACT_INFORMATION', entity_types: ['EMAIL_ADDRESS'] }],
    },
  ],
  access_request_rules: [
    {
      name: 'writes',
      connections: ['shop'],
      access_type: 'command',
      when: 'tool.name == "execute_sql"',
      reviewers_groups: ['dba'],
    },
  ],
  access_control: [
    { name: 'analysts', connections: ['shop'], groups: ['analytics'], tools: { deny: ['execute_sql'] } },
  ],
});
const rules = (name: string, from: RuleDocuments = governed): ConnectionRules => {
  const found = compileRulebook(from).connection(name);
  if (found === undefined) throw new Error(`no connection ${name}`);
  return found;
};
const engineer = person(['engineering']);

t.test('the strictest opinion wins, and every finding is kept [decide-strictest]', (t) => {
  const shop = rules('shop');
  t.strictSame(shop.decide(tool('query', { sql: 'select 1' }), engineer, {}), { action: 'allow', findings: [] });
  t.match(shop.decide(tool('query', { sql: 'select * from customers' }), engineer, {}), {
    action: 'allow',
    findings: [{ rule: 'watch', action: 'block', observed: true }],
  });
  t.match(shop.decide(tool('execute_sql', { sql: 'delete from customers' }), engineer, {}), {
    action: 'hold',
    requirements: [{ rule: 'writes' }],
    rulesHash: /^[0-9a-f]{64}$/,
    findings: [
      { rule: 'watch', action: 'block', observed: true },
      { rule: 'writes', action: 'hold' },
    ],
  });
  t.match(shop.decide(tool('execute_sql', { sql: 'drop table customers' }), engineer, {}), {
    action: 'deny',
    denial: { code: 'guardrail_blocked', rule: 'no-drops', reason: 'no DDL' },
    findings: [
      { rule: 'no-drops', action: 'block' },
      { rule: 'watch', action: 'block', observed: true },
      { rule: 'writes', action: 'hold' },
    ],
  });
  t.match(shop.decide(tool('execute_sql', { sql: 'drop table customers' }), person(['analytics']), {}), {
    action: 'deny',
    denial: { code: 'name_unknown', rule: 'analysts', reason: 'tool: execute_sql' },
    findings: [],
  });
  t.match(shop.decide(call('tools/list', {}), person(['sales']), {}), {
    action: 'deny',
    denial: { code: 'connection_unknown' },
  });
  t.match(
    shop.decide(
      call('sampling/createMessage', { text: 'the Nightjar file' }, { kind: 'server_request' }),
      engineer,
      {},
    ),
    { action: 'deny', denial: { code: 'output_blocked' } },
    'what the server asks is text for the client',
  );
  t.equal(shop.sees('tool', 'execute_sql', person(['analytics'])), false);
  t.equal(shop.filters(person(['analytics'])), true);
  t.equal(shop.visible(person(['sales'])), false);
  t.end();
});

t.test(
  'answers are judged, then masked; what is stored is masked with everything [inspect-order] [redact-everything]',
  (t) => {
    const shop = rules('shop');
    const asked = tool('query');
    const answer = (text: string): string =>
      `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"${text}"}],"n":1.0}}`;
    const clean = answer('three rows');
    t.equal(shop.inspect(clean, asked, engineer, {}).json, clean, 'the very same text');
    const masked = shop.inspect(answer('ada@example.com owes 4111 1111 1111 1111'), asked, engineer, {});
    t.notMatch(masked.json, /ada@example/);
    t.match(masked.json, /4111 1111 1111 1111/, 'only what the rule names');
    t.match(masked.json, /"n":1\.0/);
    t.match(masked.findings, [{ rule: 'pii', policy: 'masking', action: 'mask' }]);
    const refused = shop.inspect(answer('ada@example.com is Nightjar'), asked, engineer, {});
    t.match(refused, { denial: { code: 'output_blocked', rule: 'no-drops' } });
    t.notMatch(refused.json, /ada|Nightjar/, 'nothing of a refused answer is handed out');
    t.notMatch(shop.redact(answer('ada@example.com owes 4111 1111 1111 1111')), /ada@example|4111/);
    const archive = rules('archive');
    t.equal(archive.inspects, false);
    t.equal(archive.inspect(answer('ada@example.com'), asked, engineer, {}).json, answer('ada@example.com'));
    t.notMatch(archive.redact(answer('ada@example.com')), /ada@example/, 'also where nothing is masked for clients');
    const begun = answer('welcome to Nightjar').replace('"content"', '"instructions"');
    t.match(shop.inspect(begun, call('initialize', {}), engineer, {}), { denial: { code: 'output_blocked' } });
    t.end();
  },
);

t.test('rules reach the connections they name [gateway-only-by-name]', (t) => {
  const block = (name: string, binding: object) => ({
    name,
    ...binding,
    input: { rules: [{ type: 'deny_words_list' as const, words: [name] }] },
  });
  const book = documents({
    guardrails: [
      block('all-rule', {}),
      block('empty-rule', { connections: [], attributes: [] }),
      block('shop-rule', { connections: ['shop'] }),
      block('sql-rule', { attributes: ['sql'] }),
      block('both-rule', { connections: ['archive'], attributes: ['pii'] }),
      block('gateway-rule', { connections: ['gateway'] }),
    ],
  });
  const expected = {
    shop: ['all-rule', 'empty-rule', 'shop-rule', 'sql-rule', 'both-rule'],
    archive: ['all-rule', 'empty-rule', 'both-rule'],
    gateway: ['gateway-rule'],
  };
  for (const [name, names] of Object.entries(expected)) {
    const compiled = rules(name, book);
    const all = book.guardrails.map((rule) => rule.name);
    const hit = all.filter((word) => compiled.decide(tool('x', { word }), engineer, {}).action === 'deny');
    t.strictSame(hit, names, name);
  }
  t.equal(compileRulebook(book).connection('nope'), undefined);
  t.equal(rules('gateway', book).visible(person([])), true);
  t.end();
});

t.test('a revision names the rules, whatever the order of their members', (t) => {
  const revision = compileRulebook(governed).revision;
  t.match(revision, /^[0-9a-f]{64}$/);
  const { connections, guardrails, ...rest } = governed;
  t.equal(compileRulebook({ ...rest, guardrails, connections }).revision, revision);
  t.not(compileRulebook({ ...governed, access_control: [] }).revision, revision);
  t.not(compileRulebook({ ...governed, guardrails: guardrails.toReversed() }).revision, revision);
  t.end();
});

t.test('every mistake is found, with its place', (t) => {
  const faulty = documents({
    connections: [
      SHOP,
      SHOP,
      { name: 'gateway', attributes: [] },
      { name: '', attributes: [], access: { groups: [] } },
    ],
    guardrails: [
      {
        name: 'a',
        connections: ['nope'],
        input: {
          rules: [
            { type: 'pattern_match', pattern_regex: 'ok' },
            { type: 'pattern_match', pattern_regex: 'a(?=b)' },
          ],
        },
      },
      {
        name: 'a',
        attributes: ['nope'],
        output: {
          rules: [
            { type: 'deny_words_list', words: [] },
            { type: 'deny_words_list', words: ['x', ''] },
          ],
        },
      },
      { name: 'c' },
      {
        name: 'd',
        input: {
          rules: [
            { type: 'pattern_match' },
            { type: 'deny_words_list' },
            { type: 'deny_words_list', words: ['x'], action: 'hold' },
          ],
        },
      },
      {
        name: 'e',
        input: {
          rules: [
            { type: 'pattern_match', pattern_regex: 'x', case_sensitive: true, words: ['y'] },
            { type: 'deny_words_list', words: ['x'], pattern_regex: 'z' },
          ],
        },
      },
    ],
    datamasking_rules: [
      { name: 'm', supported_entity_types: [{ name: 'X', entity_types: ['EMAIL_ADDRESS', 'NO_SUCH_TYPE'] }] },
    ],
    access_control: [{ name: 'x', groups: [], tools: { allow: [''] }, when: 'nope == 1' }],
  });
  t.strictSame(
    checkRules(faulty).map(({ path }) => path),
    [
      'connections[1].name',
      'connections[3].name',
      'connections[2].name',
      'connections[3].access.groups',
      'guardrails[1].name',
      'guardrails[0].connections[0]',
      'guardrails[1].attributes[0]',
      'guardrails[0].input.rules[1].pattern_regex',
      'guardrails[1].output.rules[0].words',
      'guardrails[1].output.rules[1].words[1]',
      'guardrails[2]',
      'guardrails[3].input.rules[0].pattern_regex',
      'guardrails[3].input.rules[1].words',
      'guardrails[3].input.rules[2].action',
      'guardrails[4].input.rules[0].words',
      'guardrails[4].input.rules[0].case_sensitive',
      'guardrails[4].input.rules[1].pattern_regex',
      'datamasking_rules[0].supported_entity_types[0].entity_types[1]',
      'access_control[0].groups',
      'access_control[0].tools.allow[0]',
      'access_control[0].when',
    ],
  );
  for (const { message } of checkRules(faulty)) t.match(message, /^[^.]+/, message);
  t.throws(() => compileRulebook(faulty), { message: /^connections\[1\]\.name: / });
  t.strictSame(checkRules(governed), []);
  t.end();
});

t.test('the schemas describe every property, and accept what compiles', (t) => {
  const schemas = {
    guardrails: GUARDRAIL_SCHEMA,
    datamasking_rules: MASKING_SCHEMA,
    access_request_rules: ACCESS_REQUEST_SCHEMA,
    access_control: ACCESS_CONTROL_SCHEMA,
  };
  const ajv = new Ajv2020({ strict: true, allErrors: true });
  const undescribed: string[] = [];
  const visit = (schema: unknown, path: string): void => {
    if (typeof schema !== 'object' || schema === null) return;
    const { properties, items, description, type, default: preset } = schema as Record<string, unknown>;
    if (typeof description !== 'string') undescribed.push(path);
    if (preset !== undefined) t.equal(ajv.validate(schema as object, preset), true, `${path}: the default fits`);
    if (type === 'object') {
      const others = (schema as Record<string, unknown>)['additionalProperties'];
      t.ok(others === false || typeof others === 'object', `${path} is closed, or its other members have a schema`);
    }
    for (const [key, value] of Object.entries(properties ?? {})) visit(value, `${path}.${key}`);
    if (typeof items === 'object' && 'properties' in (items as object)) visit(items, `${path}[]`);
  };
  for (const [kind, schema] of Object.entries(schemas)) {
    visit(schema, kind);
    const validate = ajv.compile(schema);
    for (const rule of governed[kind as keyof typeof schemas]) {
      t.equal(validate(rule), true, `${kind} ${rule.name}: ${JSON.stringify(validate.errors)}`);
    }
    t.equal(validate({ name: 'x', nonsense: 1 }), false, `${kind}: unknown keys are refused`);
  }
  t.strictSame(undescribed, []);
  t.end();
});

t.test('the examples of the documentation compile', (t) => {
  const page = readFileSync(new URL('../../docs/policies.md', import.meta.url), 'utf8');
  const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, yaml]) =>
    parseAllDocuments(yaml ?? '')[0]?.toJS(),
  );
  const connections = blocks.find((block) => block.connections)?.connections;
  t.ok(connections?.length);
  const kinds = new Set<string>();
  const schemas = {
    guardrails: GUARDRAIL_SCHEMA,
    datamasking_rules: MASKING_SCHEMA,
    access_request_rules: ACCESS_REQUEST_SCHEMA,
    access_control: ACCESS_CONTROL_SCHEMA,
  };
  const ajv = new Ajv2020({ strict: true });
  for (const block of blocks) {
    for (const kind of Object.keys(block)) kinds.add(kind);
    for (const [kind, schema] of Object.entries(schemas)) {
      for (const rule of block[kind] ?? [])
        t.equal(ajv.validate(schema, rule), true, `${rule.name}: ${ajv.errorsText()}`);
    }
    t.strictSame(checkRules(documents({ connections, ...block })), [], Object.keys(block).join());
    t.ok(compileRulebook(documents({ connections, ...block })));
  }
  t.strictSame([...kinds].toSorted(), [
    'access_control',
    'access_request_rules',
    'connections',
    'datamasking_rules',
    'guardrails',
    'limits',
  ]);
  t.end();
});
