import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { parseConfig } from '../../proxy/config.ts';
import { startUpstream, type Handlers, type Upstream } from '../fixture/upstream.ts';
import { callTool, modern, send, startGateway, textOf, type TestGateway } from '../gateway.ts';
import { startIdp } from '../oidc.ts';
import { openSession } from '../session.ts';

const QUERY = {
  name: 'query',
  description: 'Runs a query.',
  inputSchema: {
    type: 'object',
    required: ['sql'],
    additionalProperties: false,
    properties: { sql: { type: 'string', maxLength: 40 }, id: { type: 'integer' } },
  },
  outputSchema: { type: 'object', required: ['rows'], properties: { rows: { type: 'integer' } } },
};
const SECRET = 'fake-secret-of-nobody';
const list = (...tools: readonly object[]): readonly object[] => tools;

interface Started {
  readonly upstream: Upstream;
  readonly gateway: TestGateway;
  readonly url: string;
  readonly eng: string;
}

async function start(
  t: Test,
  mode: string | undefined,
  handlers: Handlers = {},
  sections: JsonObject = {},
): Promise<Started> {
  const answer = (request: { complete: object }): { result: object } => ({
    result: { ...request.complete, content: [{ type: 'text', text: 'ran' }], structuredContent: { rows: 1 } },
  });
  const upstream = await startUpstream({ list: list(QUERY), tools: { query: answer, other: answer }, ...handlers });
  t.teardown(() => upstream.close());
  const connection = { name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng', 'interns'] } };
  const gateway = await startGateway(t, {
    connections: [mode === undefined ? connection : { ...connection, schema_validation: mode }],
    ...sections,
  });
  return { upstream, gateway, url: `${gateway.url}/mcp`, eng: await gateway.person('erin', ['eng']) };
}

const denialOf = (answer: { json: JsonObject }): JsonObject =>
  ((answer.json['result'] as JsonObject)['_meta'] as JsonObject)['portcullis/denial'] as JsonObject;
const calls = async (gateway: TestGateway): Promise<readonly (readonly [string, readonly string[]])[]> =>
  (await gateway.exchanges())
    .filter(({ method }) => method === 'tools/call')
    .map(({ decision, findings }) => [
      decision.action,
      [...decision.findings, ...findings].map(
        (it) => `${it.path} ${it.entity}${it.observed === true ? ' observed' : ''}`,
      ),
    ]);

t.test(
  'enforce refuses arguments that do not fit before anything leaves, and never repeats them [schema-modes]',
  async (t) => {
    const { upstream, gateway, url, eng } = await start(t, 'enforce');
    const bad = await callTool(url, eng, 'query', {
      sql: `${SECRET} ${'x'.repeat(40)}`,
      id: 'seven',
      [SECRET]: SECRET,
    });
    t.equal(bad.status, 200);
    t.match(bad.json, { result: { isError: true } });
    t.match(denialOf(bad), { code: 'arguments_schema', rule: 'schema_validation', exchange_id: /^exc_/ });
    t.match(textOf(bad), /\/sql \(maxLength\)/);
    t.match(textOf(bad), /\/id \(type\)/);
    t.notMatch(bad.text, /fake-secret-of|seven/);
    t.equal(upstream.received('query').length, 0);
    t.match(textOf(await callTool(url, eng, 'query', { sql: 'SELECT 1' })), /ran/);

    const session = await openSession(url, eng);
    const legacy = await session.request('tools/call', { name: 'query', arguments: {} });
    t.match(legacy.json, { result: { isError: true } }, 'in a session too');
    t.match(textOf(legacy), /\/sql \(required\)/);
    const digits =
      '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"query","arguments":{"sql":"x","id":9007199254740993}}}';
    t.match(textOf(await session.post(digits)), /ran/);
    t.match(upstream.received('query').at(-1)?.raw.toString(), '9007199254740993', 'with its digits');
    t.equal(upstream.received('query').length, 2);
    t.same(await calls(gateway), [
      ['deny', ['/* additionalProperties', '/sql maxLength', '/id type']],
      ['allow', []],
      ['deny', ['/sql required']],
      ['allow', []],
    ]);
    t.notMatch(gateway.logged.join(''), SECRET);
  },
);

t.test('observe passes everything on and records what enforce would have refused; off asks for nothing', async (t) => {
  const observing = await start(t, 'observe');
  t.match(textOf(await callTool(observing.url, observing.eng, 'query', { sql: 7 })), /ran/);
  t.match(textOf(await callTool(observing.url, observing.eng, 'query', { sql: 'x' })), /ran/);
  t.match(textOf(await callTool(observing.url, observing.eng, 'other', { sql: 'x' })), /ran/);
  t.same(await calls(observing.gateway), [
    ['allow', ['/sql type observed']],
    ['allow', []],
    ['allow', [' schema_unusable observed']],
  ]);
  for (const mode of ['off', undefined]) {
    const { upstream, gateway, url, eng } = await start(t, mode);
    const session = await openSession(url, eng);
    t.match(textOf(await session.request('tools/call', { name: 'query', arguments: { sql: 7 } })), /ran/);
    t.equal(upstream.received('tools/list').length, 0, 'the tool list is not read for it');
    t.same(await calls(gateway), [['allow', []]]);
  }
});

t.test('switching to enforce needs no restart', async (t) => {
  const { gateway, upstream, url, eng } = await start(t, 'observe');
  const connection = { name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng'] } };
  t.match(textOf(await callTool(url, eng, 'query', {})), /ran/);
  const next = parseConfig(
    JSON.stringify({
      server: { listen: '127.0.0.1:0', public_url: 'http://127.0.0.1:8800' },
      connections: [{ ...connection, schema_validation: 'enforce' }],
    }),
    `${gateway.folder}/config.yaml`,
    {},
  );
  gateway.portcullis.apply(next);
  t.match(textOf(await callTool(url, eng, 'query', {})), /\/sql \(required\)/);
});

t.test('a tool that the caller may not see stays unknown, whatever its arguments', async (t) => {
  const { upstream, gateway, url } = await start(
    t,
    'enforce',
    {},
    {
      access_control: [{ name: 'none', groups: ['interns'], tools: { deny: ['query'] } }],
    },
  );
  const intern = await gateway.person('ivan', ['interns']);
  const hidden = await callTool(url, intern, 'query', {});
  const missing = await callTool(url, intern, 'nothing', {});
  t.match(hidden.json, { error: { code: -32602, message: /Unknown tool: query/ } });
  t.equal(hidden.text.replace('query', 'nothing'), missing.text);
  t.equal(upstream.received('query').length, 0);
});

t.test('before a call is refused because of an old list, the list is read again', async (t) => {
  const tools = [structuredClone(QUERY)];
  let now = Date.now();
  const upstream = await startUpstream({ list: tools });
  t.teardown(() => upstream.close());
  const gateway = await startGateway(
    t,
    {
      connections: [
        { name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng'] }, schema_validation: 'enforce' },
      ],
    },
    undefined,
    () => now,
  );
  const [url, eng] = [`${gateway.url}/mcp`, await gateway.person('erin', ['eng'])];
  t.match(denialOf(await callTool(url, eng, 'query', { statement: 'x' })), { code: 'arguments_schema' });
  tools[0]!.inputSchema = { type: 'object', required: ['statement'], properties: {} } as never;
  t.match(
    denialOf(await callTool(url, eng, 'query', { statement: 'x' })),
    { code: 'arguments_schema' },
    'a fresh one is believed',
  );
  now += 6_000;
  await callTool(url, eng, 'query', { statement: 'x' });
  t.equal(upstream.received('query').length, 1);
});

t.test('a schema that cannot be used is a refusal in enforce, a finding in observe, and one warning', async (t) => {
  const odd = { ...QUERY, inputSchema: { type: 'object', properties: { a: { pattern: '(?=x)' } } } };
  for (const mode of ['enforce', 'observe']) {
    const { upstream, gateway, url, eng } = await start(t, mode, { list: list(odd) });
    const answers = [await callTool(url, eng, 'query', {}), await callTool(url, eng, 'query', {})];
    if (mode === 'enforce') t.match(denialOf(answers[0]!), { code: 'schema_unusable', rule: 'schema_validation' });
    t.equal(upstream.received('query').length, mode === 'enforce' ? 0 : 2);
    const warnings = gateway.logged.filter((line) => line.includes('cannot be compared with the input schema'));
    t.equal(warnings.length, 1);
    t.match(warnings[0], /"tool":"query".*linear time/);
    t.match((await calls(gateway))[0]?.[1], [/^ schema_unusable/]);
  }
});

t.test('structured content that does not fit the output schema is recorded, and passes [schema-modes]', async (t) => {
  const rows = (structuredContent: unknown) => (request: { complete: object }) => ({
    result: { ...request.complete, content: [], structuredContent },
  });
  for (const mode of ['enforce', 'observe']) {
    const { gateway, url, eng } = await start(t, mode, { tools: { query: rows({ rows: 'many' }) } });
    const answer = await callTool(url, eng, 'query', { sql: 'x' });
    t.match(answer.json, { result: { structuredContent: { rows: 'many' } } });
    t.same(await calls(gateway), [['allow', ['/result/structuredContent/rows type']]]);
  }
  const off = await start(t, 'off', { tools: { query: rows({ rows: 'many' }) } });
  await callTool(off.url, off.eng, 'query', { sql: 'x' });
  t.same(await calls(off.gateway), [['allow', []]]);
});

t.test(
  'a call that needs scopes is refused with all of them at once, and passes with them [A-05] [scopes-per-call]',
  async (t) => {
    const idp = await startIdp(t);
    const { upstream, gateway, url, eng } = await start(
      t,
      undefined,
      { list: list(QUERY, { ...QUERY, name: 'other' }) },
      {
        auth: { oidc: { issuer: idp.issuer, required_scopes: ['mcp'] } },
        access_control: [
          { name: 'everything', groups: ['eng'], tools: { allow: ['*'] } },
          { name: 'queries', groups: ['eng'], tools: { allow: ['query'] }, required_scopes: ['mcp:write', 'mcp'] },
          { name: 'audited', groups: ['eng'], tools: { allow: ['que*'] }, required_scopes: ['audit'] },
          { name: 'not-interns', groups: ['interns'], tools: { deny: ['query'] }, required_scopes: ['audit'] },
        ],
      },
    );
    const token = (scope: string, groups: readonly string[] = ['eng']): Promise<string> =>
      idp.token({ audience: 'http://127.0.0.1:8800/mcp', groups, claims: { scp: scope.split(' ') } });
    const poor = await callTool(url, await token('mcp'), 'query', { sql: 'x' });
    t.equal(poor.status, 403);
    t.match(poor.headers.get('www-authenticate'), /^Bearer error="insufficient_scope"/);
    t.match(
      poor.headers.get('www-authenticate'),
      /scope="mcp mcp:write audit"/,
      'those of the route and of both rules',
    );
    t.match(poor.json, {
      error: { data: { code: 'scope_insufficient', rule: 'queries', scopes: ['mcp:write', 'mcp', 'audit'] } },
    });
    t.equal((await callTool(url, await token('mcp mcp:write'), 'query', { sql: 'x' })).status, 403);
    t.equal((await callTool(url, eng, 'query', { sql: 'x' })).status, 403, 'gateway tokens have no scopes');
    t.equal(upstream.received('query').length, 0);
    t.match(textOf(await callTool(url, await token('mcp mcp:write audit'), 'query', { sql: 'x' })), /ran/);
    t.match(textOf(await callTool(url, await token('mcp'), 'other', {})), /ran/, 'other tools need none of it');
    t.match(textOf(await callTool(url, eng, 'other', {})), /ran/);
    const listed = await modern(url, eng, 'tools/list');
    t.match(listed.text, /"query"/, 'what a new token would open is listed');
    const hidden = await callTool(url, await token('mcp', ['interns']), 'query', {});
    t.match(hidden.json, { error: { code: -32602 } }, 'what is hidden stays unknown');
    const denied = (await gateway.exchanges()).filter(({ decision }) => decision.code === 'scope_insufficient');
    t.equal(denied.length, 3);
    t.equal(denied[0]?.decision.reason, 'mcp:write mcp audit');
    const session = await openSession(url, await token('mcp'));
    t.equal((await session.request('tools/call', { name: 'query', arguments: {} })).status, 403, 'in a session too');
    t.equal((await send(url, eng, JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }))).status !== 403, true);
  },
);

t.test('of a placeholder the value behind it is compared, which the upstream gets', async (t) => {
  const mail = {
    name: 'mail',
    description: 'Sends a mail.',
    inputSchema: { type: 'object', properties: { to: { type: 'string', pattern: '^[a-z.]+@example\\.com$' } } },
  };
  const finds = (request: { complete: object }): { result: object } => ({
    result: { ...request.complete, content: [{ type: 'text', text: 'grace@example.com and grace@elsewhere.com' }] },
  });
  const { upstream, gateway, url, eng } = await start(
    t,
    'enforce',
    {
      list: list(mail, { ...mail, name: 'find', inputSchema: { type: 'object' } }),
      tools: { find: finds, mail: finds },
    },
    {
      datamasking_rules: [
        {
          name: 'pii',
          supported_entity_types: [{ name: 'C', entity_types: ['EMAIL_ADDRESS'] }],
          strategies: { EMAIL_ADDRESS: 'tokenize' },
          restore: { tools: ['mail'] },
        },
      ],
    },
  );
  t.match(textOf(await callTool(url, eng, 'find', {})), /<EMAIL_ADDRESS_1> and <EMAIL_ADDRESS_2>/);
  t.match(textOf(await callTool(url, eng, 'mail', { to: '<EMAIL_ADDRESS_1>' })), / and /);
  t.match(upstream.received('mail').at(-1)?.raw.toString(), /grace@example\.com/);
  const refused = await callTool(url, eng, 'mail', { to: '<EMAIL_ADDRESS_2>' });
  t.match(denialOf(refused), { code: 'arguments_schema' });
  t.notMatch(refused.text, /elsewhere/);
  t.equal(upstream.received('mail').length, 1);
  t.match((await calls(gateway)).at(-1), ['deny', ['/to pattern']]);
});
