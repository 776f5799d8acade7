import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { compileRulebook } from '../../policies/compile.ts';
import { parseCases, runCase } from '../../proxy/cli/policy-cases.ts';
import { callTool, modern, send, startGateway, textOf, type Answer } from '../gateway.ts';
import { configFor, root, startDatabase, Workplace } from './commands.ts';

const EMAIL = 'ada@example.com';
const get = (url: string, token: string): Promise<Answer> => send(url, token, undefined, {}, 'GET');
const stepsOf = (answer: Answer | JsonObject): readonly JsonObject[] =>
  ('json' in answer ? (answer['json'] as JsonObject) : answer)['steps'] as JsonObject[];

t.test(
  'an exchange is explained to its caller and to auditors: who, each rule, where, the end; never a value [explain-no-values] [explain-own-only]',
  async (t) => {
    const upstream = await startDatabase(t);
    const gateway = await startGateway(t, {
      connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng', 'dba'] } }],
      datamasking_rules: [{ name: 'pii', supported_entity_types: [{ name: 'C', entity_types: ['EMAIL_ADDRESS'] }] }],
      guardrails: [
        { name: 'no-drops', input: { rules: [{ type: 'deny_words_list', words: ['drop table'], message: 'no DDL' }] } },
        { name: 'trial', mode: 'observe', input: { rules: [{ type: 'deny_words_list', words: ['delete'] }] } },
      ],
      access_request_rules: [
        {
          name: 'writes',
          connections: ['default'],
          access_type: 'command',
          when: 'args.sql.search("(?i)delete")',
          reviewers_groups: ['dba'],
        },
      ],
      hold: { inline_timeout: '1s', heartbeat: '1s' },
    });
    const people = ['erin:eng', 'otto:eng', 'audit:auditor', 'dora:dba'].map((it) => it.split(':') as [string, string]);
    const [erin, otto, auditor, dora] = await Promise.all(people.map(([name, group]) => gateway.person(name, [group])));
    const url = `${gateway.url}/mcp`;
    await callTool(url, erin, 'execute_sql', { sql: `SELECT '${EMAIL}'` });
    const refused = await callTool(url, erin, 'execute_sql', { sql: `DROP TABLE users -- ${EMAIL}` });
    await callTool(url, erin, 'execute_sql', { sql: `DELETE FROM orders -- ${EMAIL}` });
    const own = (await gateway.exchanges()).filter(({ method }) => method === 'tools/call');
    t.equal(own.length, 3);
    const explain = (token: string, at: number): Promise<Answer> =>
      get(`${gateway.url}/api/exchanges/${own[at]!.id}`, token);

    const masked = await explain(erin!, 0);
    t.match(masked.json, {
      who: { user_id: 'erin' },
      connection: 'default',
      method: 'tools/call',
      name: 'execute_sql',
      decision: 'allow',
      outcome: 'answered',
    });
    t.same(
      stepsOf(masked).map(({ step, rule, path }) => [step, rule, path].filter((it) => it !== undefined)),
      [['decision'], ['answer', 'pii', '/result/content/0/text'], ['outcome']],
    );
    const denied = await explain(erin!, 1);
    t.match(refused.text, own[1]!.id, 'the denial names its exchange');
    t.match(stepsOf(denied), [
      { step: 'rule', rule: 'no-drops', policy: 'guardrail', path: '/arguments/sql', saw: 'deny_words_list' },
      { step: 'decision', action: 'deny', rule: 'no-drops', why: /denied by no-drops with guardrail_blocked: no DDL/ },
      { step: 'outcome', action: 'denied', why: /the caller was told guardrail_blocked/ },
    ]);
    await send(
      `${gateway.url}/api/reviews/${await pending(gateway.url, dora!)}`,
      dora,
      JSON.stringify({ status: 'APPROVED' }),
      {},
      'PUT',
    );
    const held = await explain(auditor!, 2);
    t.match(stepsOf(held), [
      { step: 'rule', rule: 'trial', action: 'observe', why: /it only observes/ },
      { step: 'rule', rule: 'writes', policy: 'approval', action: 'hold' },
      { step: 'decision', action: 'hold', rule: 'writes' },
      { step: 'review', action: 'APPROVED', why: /^dora voted APPROVED/ },
      { step: 'review', action: 'APPROVED' },
      { step: 'outcome', action: 'pending' },
    ]);
    for (const answer of [masked, denied, held]) t.notMatch(answer.text, /ada@|drop table|SELECT|DELETE/i);

    t.equal((await explain(auditor!, 0)).text, masked.text);
    const foreign = await explain(otto!, 0);
    const absent = await get(`${gateway.url}/api/exchanges/exc_none`, otto!);
    t.match(foreign.json, { error: { message: 'exchange not found' } }, 'to others it does not exist');
    t.equal(foreign.status, absent.status);
    const tool = await modern(`${gateway.url}/api/mcp`, erin, 'tools/call', {
      name: 'sessions_explain',
      arguments: { id: own[1]!.id },
    });
    t.match(textOf(tool), /no-drops/, 'the same by MCP');
  },
);

async function pending(url: string, token: string): Promise<string> {
  const { json } = await get(`${url}/api/reviews?status=PENDING`, token);
  return String((json['items'] as JsonObject[])[0]!['id']);
}

const CASES = `
cases:
  - name: reads pass
    as: { groups: [eng] }
    call: { tool: execute_sql, arguments: { sql: SELECT 1 } }
    expect: { decision: allow }
  - name: drops are refused
    as: { groups: [eng] }
    call: { tool: execute_sql, arguments: { sql: "DrOp  /* */ table users" } }
    expect: { decision: deny, rule: no-drops, code: guardrail_blocked }
  - name: deletes wait for a DBA
    as: { groups: [eng], subject: erin }
    call: { tool: execute_sql, arguments: { sql: DELETE FROM orders } }
    expect: { decision: hold, rule: writes }
  - name: strangers see nothing
    call: { tool: execute_sql, arguments: { sql: SELECT 1 } }
    expect: { decision: deny, code: connection_unknown }
  - name: addresses are masked
    as: { groups: [eng] }
    call: { tool: execute_sql, arguments: { sql: SELECT 1 } }
    result: { content: [{ type: text, text: "rows: ada@example.com" }] }
    expect_result: { contains: ["rows: <EMAIL_ADDRESS>"], not_contains: [ada@], denied: false, rule: pii }
`;

t.test(
  'policy test runs cases offline, says what was decided, and fails with exit code 1 [policy-test-offline]',
  async (t) => {
    const upstream = await startDatabase(t);
    const place = new Workplace(t);
    const config = configFor(upstream, place) as { guardrails: JsonObject[] };
    config.guardrails = [
      {
        name: 'no-drops',
        connections: ['default'],
        input: { rules: [{ type: 'pattern_match', pattern_regex: '(?i)drop\\s+table' }] },
      },
    ];
    place.write(config as unknown as JsonObject);
    const file = (name: string, text: string): string => {
      writeFileSync(join(place.folder, name), text);
      return join(place.folder, name);
    };
    const good = file('good.yaml', CASES);
    const printed = await place.ok('policy', 'test', good);
    t.match(printed, /5 passed, 0 failed/);
    t.match(printed, /ok +deletes wait for a DBA +hold by writes/);
    const wrong = file(
      'wrong.yaml',
      CASES.replace('rule: no-drops', 'rule: other')
        .replace('decision: allow', 'decision: hold')
        .replace('not_contains: [ada@]', 'not_contains: [rows]'),
    );
    const failed = await place.cli('policy', 'test', good, wrong);
    t.equal(failed.code, 1);
    t.match(
      failed.stdout,
      /FAIL +drops are refused +deny \(guardrail_blocked\) by no-drops +the rule other did not speak/,
    );
    t.match(failed.stdout, /FAIL +reads pass +allow +expected hold, got allow/);
    t.match(failed.stdout, /FAIL +addresses are masked .*the result holds rows/);
    t.match(failed.stdout, /7 passed, 3 failed/);
    const json = JSON.parse((await place.cli('--json', 'policy', 'test', wrong)).stdout) as JsonObject;
    t.match(json, { passed: 2, failed: 3 });
    for (const [text, fault] of [
      ['cases: []', /wrong|at least 1|cases/],
      ['cases: [{ name: x, call: { tool: a }, expects: {} }]', /expects/],
      [
        'cases: [{ name: x, call: { tool: a, prompt: b }, expect: { decision: allow } }]',
        /expected one of tool, prompt, resource/,
      ],
      ['cases: [{ name: x, call: { tool: a } }]', /expected expect or expect_result/],
      ['cases: [{ name: x, call: { tool: a }, expect: { decision: maybe } }]', /decision/],
      ['cases: {', /not valid YAML/],
    ] as const) {
      t.throws(() => parseCases(text, 'bad.yaml'), { name: 'ConfigFault', message: fault }, text);
    }
    t.equal((await place.cli('policy', 'test', file('bad.yaml', 'cases: []'))).code, 2);
    t.equal(upstream.requests.length, 0, 'nothing was asked of the upstream');
  },
);

t.test('the cases in the documentation can be read, and do what they say', async (t) => {
  const page = readFileSync(join(root, 'docs/operations.md'), 'utf8');
  const yaml = /```yaml\n(cases:[\s\S]*?)```/.exec(page)?.[1];
  const rulebook = compileRulebook({
    connections: [{ name: 'default', attributes: [], access: { groups: ['engineering'] } }],
    guardrails: [{ name: 'no-drops', input: { rules: [{ type: 'deny_words_list', words: ['drop table'] }] } }],
    datamasking_rules: [{ name: 'pii', supported_entity_types: [{ name: 'C', entity_types: ['EMAIL_ADDRESS'] }] }],
    access_request_rules: [],
    access_control: [],
    limits: [],
  });
  const outcomes = parseCases(yaml!, 'operations.md').map((each) => runCase(rulebook, each));
  t.same(
    outcomes.map(({ faults }) => faults),
    [[], []],
  );
});

t.test(
  'policy coverage lists the tools that no rule touches, of a file or of the record [policy-coverage]',
  async (t) => {
    const upstream = await startDatabase(t);
    const place = new Workplace(t);
    place.write(
      configFor(upstream, place, {
        datamasking_rules: [],
        guardrails: [],
        access_control: [
          { name: 'analysts', connections: ['default'], groups: ['eng'], tools: { allow: ['query', 'list_*'] } },
        ],
        access_request_rules: [
          {
            name: 'exports',
            connections: ['default'],
            access_type: 'command',
            when: 'tool.name == "export"',
            reviewers_groups: ['dba'],
          },
        ],
      }),
    );
    t.match(await place.ok('policy', 'coverage'), /no tool list of default is recorded/);
    const list = join(place.folder, 'tools.json');
    writeFileSync(
      list,
      JSON.stringify({ result: { tools: ['query', 'list_all', 'export', 'drop_all'].map((name) => ({ name })) } }),
    );
    const printed = await place.ok('policy', 'coverage', '--tools', list, '--all');
    t.match(printed, /default +drop_all +no rule/);
    t.match(printed, /query +access_control: analysts/);
    t.match(printed, /list_all +access_control: analysts/);
    t.match(printed, /export +access_request_rules: exports/);
    t.match(printed, /1 of 4 tools are touched by no rule/);

    const token = await place.admin();
    const { program, url } = await place.serve();
    await modern(`${url}/mcp`, token, 'tools/list');
    program.signal('SIGTERM');
    await program.end();
    const recorded = JSON.parse(await place.ok('--json', 'policy', 'coverage')) as JsonObject;
    t.match(recorded, { untouched: [{ connection: 'default', tool: 'execute_sql' }], unknown: [] });
    const sessions = JSON.parse(await place.ok('--json', 'sessions', 'list', '--connection', 'default')) as {
      items: { id: string }[];
    };
    const content = JSON.parse(await place.ok('--json', 'sessions', 'replay', sessions.items[0]!.id)) as {
      exchanges: { id: string }[];
    };
    const explained = await place.ok('explain', content.exchanges[0]!.id);
    t.match(explained, /asked default for .*\n.*\n\n +decision no rule stood against the call\n +outcome +answered/);
    t.equal((await place.cli('explain', 'exc_none')).code, 1);
  },
);
