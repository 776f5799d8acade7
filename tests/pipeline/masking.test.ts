import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { NUMBERS, SECRETS, startUpstream, type Upstream } from '../fixture/upstream.ts';
import { callTool, modern, send, startGateway, type TestGateway } from '../gateway.ts';

const TYPES = [
  'EMAIL_ADDRESS',
  'PHONE_NUMBER',
  'CREDIT_CARD',
  'US_SSN',
  'IBAN_CODE',
  'IP_ADDRESS',
  'JWT',
  'PRIVATE_KEY',
  'AWS_ACCESS_KEY',
];

async function start(
  t: Test,
  as: 'json' | 'sse',
  more: JsonObject = {},
): Promise<{ gateway: TestGateway; upstream: Upstream; url: string; token: string }> {
  const upstream = await startUpstream({ as });
  t.teardown(() => upstream.close());
  const gateway = await startGateway(t, {
    connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng'] } }],
    datamasking_rules: [
      {
        name: 'all',
        connections: ['default'],
        supported_entity_types: [{ name: 'ALL', entity_types: TYPES }],
        custom_entity_types: [{ name: 'EMPLOYEE_ID', regex: '\\bEMP-[0-9]{6}\\b', score: 0.9 }],
      },
    ],
    ...more,
  });
  return { gateway, upstream, url: `${gateway.url}/mcp`, token: await gateway.person('erin', ['eng']) };
}

/** Nothing of a secret may be readable, however it is written. */
function leaks(text: string): string[] {
  const plain = text.replaceAll('\\n', '\n');
  return Object.entries(SECRETS)
    .filter(
      ([, secret]) =>
        plain.includes(secret) ||
        plain.includes(secret.replaceAll('\n', '')) ||
        text.includes(JSON.stringify(secret).slice(1, -1)),
    )
    .map(([name]) => name);
}

for (const as of ['json', 'sse'] as const) {
  t.test(
    `an e-mail, a card, a token and a key arrive masked everywhere, numbers digit for digit, over ${as} [masked-everywhere] [numbers-digit-for-digit]`,
    async (t) => {
      const { gateway, upstream, url, token } = await start(t, as);
      const answer = await callTool(url, token, 'secrets');
      t.equal(answer.status, 200);
      t.same(leaks(answer.text), []);
      for (const type of ['EMAIL_ADDRESS', 'CREDIT_CARD', 'JWT', 'PRIVATE_KEY'])
        t.match(answer.text, `<${type}>`, type);
      t.ok(answer.text.includes(NUMBERS), 'the numbers are the very same characters');
      t.ok(upstream.received('secrets').length === 1);
      const result = answer.json['result'] as { content: { text: string }[]; structuredContent: JsonObject };
      t.same(leaks(JSON.stringify(result.structuredContent)), [], 'structured content too');

      const failed = await callTool(url, token, 'fail');
      t.match(failed.json['error'], {
        code: 1001,
        message: 'cannot reach <EMAIL_ADDRESS>',
        data: { contact: '<EMAIL_ADDRESS>' },
      });
      t.same(leaks(failed.text), []);

      const progress = await callTool(url, token, 'progress', {}, { progressToken: 'p-1' });
      t.ok(
        progress.events.some((event) => event['method'] === 'notifications/progress'),
        'progress came',
      );
      t.same(leaks(progress.text), [], 'the progress message is masked');

      const recorded = JSON.stringify(await gateway.exchanges());
      t.same(leaks(recorded), [], 'and so is the record');
      t.ok(recorded.includes('<CREDIT_CARD>'));
    },
  );
}

t.test('a message with nothing to hide passes as the very same bytes [bytes-pass-unchanged]', async (t) => {
  const text =
    '{"jsonrpc" : "2.0","id": 1 ,\n"result":{"resultType":"complete","content":[],"x":[9007199254740993, 1.0,1e400 ,-0],"\\u0061":"\\/\\u00e9é"}}';
  const upstream = await startUpstream({ tools: { odd: () => text } });
  t.teardown(() => upstream.close());
  const gateway = await startGateway(t, {
    connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng'] } }],
    datamasking_rules: [
      { name: 'all', connections: ['default'], supported_entity_types: [{ name: 'ALL', entity_types: TYPES }] },
    ],
  });
  const answer = await callTool(`${gateway.url}/mcp`, await gateway.person('erin', ['eng']), 'odd');
  t.equal(answer.text, text);
});

t.test('what goes up is what was sent: the upstream gets the very same bytes [bytes-pass-unchanged]', async (t) => {
  const { upstream, gateway, token } = await start(t, 'json');
  const body =
    '{ "jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"n":[9007199254740993,1.0,1e400,-0],"s":"\\u0061\\/"},"unknown":{"rides":"along"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}';
  await send(`${gateway.url}/mcp`, token, body, {
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': 'echo',
  });
  t.equal(upstream.received('echo')[0]!.raw.toString(), body);
});

t.test('lists, resources, prompts and instructions are masked like results [masked-everywhere]', async (t) => {
  const leaky = `ask ${SECRETS.email}`;
  const upstream = await startUpstream({
    list: [{ name: 'echo', description: leaky, inputSchema: { type: 'object' } }],
    on: {
      'prompts/get': (request) => ({
        result: { ...request.complete, messages: [{ role: 'user', content: { type: 'text', text: leaky } }] },
      }),
      'resources/read': (request) => ({
        result: { ...request.complete, contents: [{ uri: 'x://y', text: leaky }], ttlMs: 0, cacheScope: 'private' },
      }),
    },
  });
  t.teardown(() => upstream.close());
  const gateway = await startGateway(t, {
    connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng'] } }],
    datamasking_rules: [
      { name: 'all', connections: ['default'], supported_entity_types: [{ name: 'ALL', entity_types: TYPES }] },
    ],
  });
  const token = await gateway.person('erin', ['eng']);
  const url = `${gateway.url}/mcp`;
  for (const [method, params] of [
    ['tools/list', {}],
    ['prompts/get', { name: 'p' }],
    ['resources/read', { uri: 'x://y' }],
  ] as [string, JsonObject][]) {
    const answer = await modern(url, token, method, params);
    t.match(answer.text, /ask <EMAIL_ADDRESS>/, method);
    t.same(leaks(answer.text), [], method);
  }
});

t.test('an output guardrail withholds the whole answer and says which rule did [output-guardrail]', async (t) => {
  const { gateway, url, token } = await start(t, 'json', {
    guardrails: [
      {
        name: 'no-plans',
        connections: ['default'],
        output: {
          rules: [{ type: 'deny_words_list', words: ['project falcon'], message: 'That project is confidential.' }],
        },
      },
    ],
  });
  const answer = await callTool(url, token, 'echo', { text: 'about PROJECT Falcon' });
  const result = answer.json['result'] as JsonObject;
  t.equal(result['isError'], true);
  t.match(answer.text, /That project is confidential\./);
  t.notMatch(answer.text, /falcon/i, 'what was matched is not repeated');
  t.match(result['_meta'], { 'portcullis/denial': { code: 'output_blocked', rule: 'no-plans' } });
  const [exchange] = (await gateway.exchanges()).filter((it) => it.name === 'echo');
  t.match(exchange, { outcome: 'denied', code: 'output_blocked' });
});

t.test(
  'an upstream that gives the credential back does not show it to the agent or the record [credential-shown-to-nobody]',
  async (t) => {
    const upstream = await startUpstream({
      tools: {
        leak: (request) => ({
          result: { ...request.complete, content: [{ type: 'text', text: JSON.stringify(request.headers) }] },
        }),
      },
    });
    t.teardown(() => upstream.close());
    const secret = 'fake/Upstream+Secret-0123456789';
    const gateway = await startGateway(t, {
      connections: [
        {
          name: 'default',
          upstream: { url: upstream.url },
          credential: { type: 'static', header: 'Authorization', value: `Bearer ${secret}` },
          access: { groups: ['eng'] },
        },
      ],
    });
    const answer = await callTool(`${gateway.url}/mcp`, await gateway.person('erin', ['eng']), 'leak');
    t.equal(upstream.received('leak')[0]!.headers.authorization, `Bearer ${secret}`, 'the upstream has it');
    t.match(answer.text, /<UPSTREAM_CREDENTIAL>/);
    t.notMatch(answer.text, secret);
    t.notMatch(JSON.stringify(await gateway.exchanges()), secret);
  },
);
