import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { TOKEN_ISSUER } from '../../proxy/identity/tokens.ts';
import { Vault, scopeKey } from '../../proxy/vault.ts';
import { startUpstream, type Received, type Upstream } from '../fixture/upstream.ts';
import { callTool, modern, send, startGateway, textOf, type Answer, type TestGateway } from '../gateway.ts';
import { openSession } from '../session.ts';

const GRACE = 'grace.hopper@example.com';
const ADA = 'ada.lovelace@example.com';
const QUOTED = '"grace hopper"@example.com';
const SCHEMA = { type: 'object' };

interface Stage {
  readonly gateway: TestGateway;
  readonly upstream: Upstream;
  readonly url: string;
  readonly token: string;
}

/** An upstream whose `query` tells addresses; `execute_sql` may have them, `export` may not. */
async function start(
  t: Test,
  as: 'json' | 'sse' = 'json',
  more: JsonObject = {},
  clock?: () => number,
): Promise<Stage> {
  const said = (text: string) => (request: { readonly complete: object }) => ({
    result: { ...request.complete, content: [{ type: 'text', text }] },
  });
  const upstream = await startUpstream({
    as,
    list: [
      { name: 'query', description: 'Reads.', inputSchema: SCHEMA },
      {
        name: 'execute_sql',
        description: 'Writes.',
        inputSchema: { ...SCHEMA, properties: { to: { type: 'string', 'x-mcp-header': 'To' } } },
      },
      { name: 'export', description: 'Sends elsewhere.', inputSchema: SCHEMA },
    ],
    tools: {
      query: (request) =>
        said(
          request.exactArguments !== undefined && JSON.stringify(request.exactArguments).includes('all')
            ? `${GRACE}, ${ADA} and ${GRACE}`
            : GRACE,
        )(request),
      quoted: said(QUOTED),
      forge: said('use <EMAIL_ADDRESS_1> and \u003cEMAIL_ADDRESS_2>'),
      execute_sql: said('done'),
      export: said('done'),
    },
  });
  t.teardown(() => upstream.close());
  const gateway = await startGateway(
    t,
    {
      connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng', 'dba'] } }],
      datamasking_rules: [
        {
          name: 'contacts',
          connections: ['default'],
          supported_entity_types: [{ name: 'CONTACT', entity_types: ['EMAIL_ADDRESS', 'CREDIT_CARD'] }],
          strategies: { EMAIL_ADDRESS: 'tokenize' },
          restore: { tools: ['execute_*'] },
        },
      ],
      ...more,
    },
    undefined,
    clock,
  );
  return { gateway, upstream, url: `${gateway.url}/mcp`, token: await gateway.person('erin', ['eng']) };
}

const argsOf = (received: Received | undefined): JsonObject =>
  (JSON.parse(received!.raw.toString()) as { params: { arguments: JsonObject } }).params.arguments;
const sqlOf = (received: Received | undefined): unknown => argsOf(received)['sql'];
const codeOf = (answer: Answer): unknown => {
  const meta = (answer.json['result'] as { _meta?: Record<string, { code?: string }> } | undefined)?._meta;
  return meta?.['portcullis/denial']?.code;
};

for (const as of ['json', 'sse'] as const) {
  t.test(
    `a placeholder from an answer becomes the value again at a tool that may have it, modern over ${as} [tokenize-round-trip]`,
    async (t) => {
      const { gateway, upstream, url, token } = await start(t, as);
      const answer = await callTool(url, token, 'query', { all: true });
      t.equal(
        textOf(answer),
        '<EMAIL_ADDRESS_1>, <EMAIL_ADDRESS_2> and <EMAIL_ADDRESS_1>',
        'the same value, the same placeholder',
      );
      const again = await callTool(url, token, 'query');
      t.equal(textOf(again), '<EMAIL_ADDRESS_1>', 'also in a later answer');

      const sql = "UPDATE t SET mail = '<EMAIL_ADDRESS_2>' WHERE mail = '<EMAIL_ADDRESS_1>'";
      t.equal(textOf(await callTool(url, token, 'execute_sql', { sql, n: 1 })), 'done');
      t.equal(sqlOf(upstream.received('execute_sql')[0]), `UPDATE t SET mail = '${ADA}' WHERE mail = '${GRACE}'`);

      t.equal(textOf(await callTool(url, token, 'export', { sql: '<EMAIL_ADDRESS_1>' })), 'done');
      t.equal(
        sqlOf(upstream.received('export')[0]),
        '<EMAIL_ADDRESS_1>',
        'a tool without permission gets the placeholder',
      );

      const stranger = await gateway.person('mallory', ['eng']);
      const refused = await callTool(url, stranger, 'execute_sql', { sql: '<EMAIL_ADDRESS_1>' });
      t.equal(codeOf(refused), 'placeholder_unknown', 'another principal cannot use it');
      t.equal(upstream.received('execute_sql').length, 1, 'and nothing left');

      const record = JSON.stringify(await gateway.exchanges());
      t.notMatch(record, /grace\.hopper|ada\.lovelace/, 'the record holds no value');
      t.match(record, "WHERE mail = '<EMAIL_ADDRESS_1>'", 'but the placeholder');
      t.notMatch(gateway.logged.join('\n'), /grace\.hopper|ada\.lovelace/, 'nor does the log');
    },
  );

  t.test(
    `a placeholder is good in its own session only, legacy over ${as} [tokenize-round-trip] [placeholder-of-session]`,
    async (t) => {
      const { gateway, upstream, url, token } = await start(t, as);
      const call = (name: string, args: JsonObject): JsonObject => ({ name, arguments: args });
      const first = await openSession(url, token);
      const second = await openSession(url, token);
      t.equal(textOf(await first.request('tools/call', call('query', {}))), '<EMAIL_ADDRESS_1>');
      t.equal(textOf(await first.request('tools/call', call('execute_sql', { sql: 'to <EMAIL_ADDRESS_1>' }))), 'done');
      t.equal(sqlOf(upstream.received('execute_sql')[0]), `to ${GRACE}`);
      t.equal(textOf(await first.request('tools/call', call('export', { sql: 'to <EMAIL_ADDRESS_1>' }))), 'done');
      t.equal(sqlOf(upstream.received('export')[0]), 'to <EMAIL_ADDRESS_1>');

      const other = await second.request('tools/call', call('execute_sql', { sql: 'to <EMAIL_ADDRESS_1>' }));
      t.equal(codeOf(other), 'placeholder_unknown', 'another session of the same person cannot use it');
      const stateless = await callTool(url, token, 'execute_sql', { sql: '<EMAIL_ADDRESS_1>' });
      t.equal(codeOf(stateless), 'placeholder_unknown', 'nor can a stateless call');
      const stranger = await openSession(url, await gateway.person('mallory', ['eng']));
      const theirs = await stranger.request('tools/call', call('execute_sql', { sql: '<EMAIL_ADDRESS_1>' }));
      t.equal(codeOf(theirs), 'placeholder_unknown', 'nor can anybody else');
      t.equal(upstream.received('execute_sql').length, 1);

      const all = call('query', { all: true });
      t.equal(
        textOf(await second.request('tools/call', all)),
        '<EMAIL_ADDRESS_1>, <EMAIL_ADDRESS_2> and <EMAIL_ADDRESS_1>',
      );
      const { vault, now } = gateway.portcullis.gateway;
      const scope = scopeKey({ issuer: TOKEN_ISSUER, subject: 'erin' }, first.id);
      t.equal(vault.value(scope, '<EMAIL_ADDRESS_1>', now()), GRACE);
      await first.end();
      t.equal(vault.value(scope, '<EMAIL_ADDRESS_1>', now()), undefined, 'the values end with their session');
    },
  );
}

t.test(
  'values come back with the escapes of their place, and everything else keeps its bytes [tokenize-escapes]',
  async (t) => {
    const { upstream, url, token } = await start(t);
    t.equal(textOf(await callTool(url, token, 'quoted')), '<EMAIL_ADDRESS_1>');
    const inner = JSON.stringify({ to: '<EMAIL_ADDRESS_1>', deep: JSON.stringify(['<EMAIL_ADDRESS_1>']) });
    const rest = '"n":[9007199254740993,1.0,1e400,-0],"s":"\\u0061\\/","<EMAIL_ADDRESS_1>":1';
    const params = (sql: string, json: string): string =>
      `{"name":"execute_sql","arguments":{"sql":${sql}, "json" :${json}, ${rest}},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}`;
    const body = (sql: string, json: string): string =>
      `{ "jsonrpc":"2.0","id":1,"method":"tools/call","params":${params(sql, json)}}`;
    await send(url, token, body('"\\u003cEMAIL_ADDRESS_1> \\u00e9"', JSON.stringify(inner)), {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'execute_sql',
    });
    const escaped = JSON.stringify(QUOTED).slice(1, -1);
    const restored = JSON.stringify({ to: QUOTED, deep: JSON.stringify([QUOTED]) });
    t.equal(
      upstream.received('execute_sql')[0]!.raw.toString(),
      body(`"${escaped} \\u00e9"`, JSON.stringify(restored)),
    );
  },
);

t.test('what an upstream writes as a placeholder is none [tokenize-forgery]', async (t) => {
  const { upstream, url, token } = await start(t);
  const answer = await callTool(url, token, 'forge');
  t.equal(textOf(answer), 'use &lt;EMAIL_ADDRESS_1> and &lt;EMAIL_ADDRESS_2>');
  await callTool(url, token, 'query');
  await callTool(url, token, 'execute_sql', { sql: textOf(answer) });
  t.equal(sqlOf(upstream.received('execute_sql')[0]), textOf(answer), 'and nothing is put in its place');
});

t.test(
  'only types that the rule tokenizes come back; unknown ones of those are refused [placeholder-unknown]',
  async (t) => {
    const { upstream, url, token } = await start(t);
    t.equal(textOf(await callTool(url, token, 'execute_sql', { sql: '<CREDIT_CARD_1> <OTHER_9>' })), 'done');
    t.equal(sqlOf(upstream.received('execute_sql')[0]), '<CREDIT_CARD_1> <OTHER_9>');
    const refused = await callTool(url, token, 'execute_sql', { list: [{ deep: 'x <EMAIL_ADDRESS_77>' }] });
    t.equal(codeOf(refused), 'placeholder_unknown');
    t.notMatch(refused.text, 'EMAIL_ADDRESS_77', 'the refusal repeats nothing');
    t.equal(upstream.received('execute_sql').length, 1);
  },
);

t.test('headers that repeat an argument repeat the restored one [R-11]', async (t) => {
  const { upstream, url, token } = await start(t);
  await callTool(url, token, 'query');
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const params = { name: 'execute_sql', arguments: { to: '<EMAIL_ADDRESS_1>' }, _meta };
  const answer = await send(url, token, JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }), {
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': 'execute_sql',
    'mcp-param-to': '<EMAIL_ADDRESS_1>',
  });
  t.equal(textOf(answer), 'done');
  const received = upstream.received('execute_sql')[0]!;
  t.equal(argsOf(received)['to'], GRACE);
  t.equal(received.headers['mcp-param-to'], GRACE);
});

t.test('a guardrail judges the value behind a placeholder too [tokenize-judged]', async (t) => {
  const guardrails = [
    { name: 'no-ada', input: { rules: [{ type: 'deny_words_list', words: ['ada.lovelace'], message: 'not her' }] } },
  ];
  const { upstream, url, token } = await start(t, 'json', { guardrails });
  await callTool(url, token, 'query', { all: true });
  t.equal(textOf(await callTool(url, token, 'execute_sql', { sql: '<EMAIL_ADDRESS_1>' })), 'done');
  const refused = await callTool(url, token, 'execute_sql', { sql: '<EMAIL_ADDRESS_2>' });
  t.equal(codeOf(refused), 'guardrail_blocked');
  t.notMatch(refused.text, /lovelace/);
  t.equal(upstream.received('execute_sql').length, 1);
});

t.test('a review shows the placeholder, and its approval is for the value [tokenize-approval]', async (t) => {
  const { gateway, upstream, url, token } = await start(t, 'json', {
    access_request_rules: [
      {
        name: 'writes',
        connections: ['default'],
        access_type: 'command',
        when: 'tool.name == "execute_sql"',
        reviewers_groups: ['dba'],
      },
    ],
    hold: { inline_timeout: '1s', heartbeat: '1s' },
  });
  const dba = await gateway.person('dana', ['dba']);
  const session = await openSession(url, token);
  const call = (name: string, args: JsonObject): Promise<Answer> =>
    session.request('tools/call', { name, arguments: args });
  const { reviews } = gateway.portcullis.gateway.recorder;
  await call('query', { all: true });
  const idOf = (answer: Answer): string =>
    (answer.json['result'] as { _meta: Record<string, { review_id: string }> })._meta['portcullis/pending']!.review_id;
  const first = idOf(await call('execute_sql', { sql: '<EMAIL_ADDRESS_1>' }));
  const second = idOf(await call('execute_sql', { sql: '<EMAIL_ADDRESS_2>' }));
  t.not(first, second, 'another value is another call');
  const review = await reviews.get(first);
  t.match(JSON.stringify(review), '<EMAIL_ADDRESS_1>');
  t.notMatch(JSON.stringify(review), /grace\.hopper/);

  const approve = (id: string): Promise<Answer> =>
    send(`${gateway.url}/api/reviews/${id}`, dba, JSON.stringify({ status: 'APPROVED' }), {}, 'PUT');
  t.equal((await approve(first)).status, 200);
  t.equal(textOf(await call('execute_sql', { sql: '<EMAIL_ADDRESS_1>' })), 'done', 'the identical call runs');
  t.equal(sqlOf(upstream.received('execute_sql')[0]), GRACE);

  await callTool(url, token, 'query');
  const third = idOf(await callTool(url, token, 'execute_sql', { sql: 'by me: <EMAIL_ADDRESS_1>' }));
  t.equal((await approve(third)).status, 200);
  await callTool(url, token, 'reviews_execute', { id: third });
  t.equal(sqlOf(upstream.received('execute_sql')[1]), `by me: ${GRACE}`, 'and so does an execution by its review');
});

t.test('digests are the same everywhere, and tell nothing without the key [mask-hash]', async (t) => {
  const { url, token, gateway } = await start(t, 'json', {
    datamasking_rules: [
      {
        name: 'contacts',
        supported_entity_types: [{ name: 'CONTACT', entity_types: ['EMAIL_ADDRESS'] }],
        strategies: { DEFAULT: 'hash' },
      },
    ],
  });
  const answer = textOf(await callTool(url, token, 'query'));
  t.match(answer, /^<EMAIL_ADDRESS:[0-9a-f]{16}>$/);
  t.equal(textOf(await callTool(url, await gateway.person('frank', ['eng']), 'query')), answer);
  const listed = await modern(url, token, 'tools/list');
  t.equal(listed.status, 200);
});

t.test('the vault keeps values of each scope apart, and is bounded [vault-bounded]', async (t) => {
  const vault = new Vault(Buffer.alloc(32, 7), { mostScopes: 2, mostValues: 2, longestValue: 10 });
  const a = vault.source('a', 0);
  t.equal(a.placeholder('T', 'one'), '<T_1>');
  t.equal(a.placeholder('U', 'one'), '<U_1>');
  t.equal(a.placeholder('T', 'two'), '<T>', 'no more than so many values');
  t.equal(a.placeholder('T', 'one'), '<T_1>', 'known ones go on');
  t.equal(a.placeholder('T', 'x'.repeat(11)), '<T>', 'too long to keep');
  t.equal(vault.value('b', '<T_1>', 1), undefined);
  t.equal(vault.source('b', 1).placeholder('T', 'other'), '<T_1>');
  t.equal(vault.value('a', '<T_1>', 2), 'one');
  t.equal(vault.value('b', '<T_1>', 2), 'other');
  vault.source('c', 3).placeholder('T', 'third');
  t.equal(vault.value('a', '<T_1>', 3), undefined, 'the scope unused for longest made room');
  vault.end('b');
  t.equal(vault.value('b', '<T_1>', 3), undefined, 'ended');
  t.equal(vault.value('c', '<T_1>', 4), 'third');
  t.equal(vault.value('c', '<T_1>', 4 + 30 * 60_000), undefined, 'half an hour of silence');
  vault.source('d', 0).placeholder('T', 'x');
  vault.expire(30 * 60_000);
  t.equal(vault.value('d', '<T_1>', 1), undefined);
  const sealed = JSON.stringify([...Object.getOwnPropertyNames(vault)]);
  t.notMatch(sealed, 'third');
  vault.lend('rev', 'a');
  vault.lend('rev', 'b');
  t.equal(vault.borrowed('rev'), 'a', 'the first who asked');
});
