import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { Abort } from '../../proxy/abort.ts';
import { UpstreamFault } from '../../proxy/forward/upstream.ts';
import { toModern } from '../../proxy/forward/translate/legacy-request.ts';
import { toLegacyResult } from '../../proxy/forward/translate/legacy-result.ts';
import { FRAME_LIMITS, decodeFrame } from '../../proxy/wire/frame.ts';
import type { ParamHeader } from '../../proxy/wire/param-headers.ts';
import { startUpstream, type Handlers, type Upstream as Fixture, type UpstreamRequest } from '../fixture/upstream.ts';
import { connect, faceTo, LegacyClient, type FaceSettings, type Hello } from './legacy-client.ts';

const PREFIX = 'io.modelcontextprotocol/';
const EVERYTHING: JsonObject = { elicitation: { form: {}, url: {} }, sampling: {}, roots: { listChanged: true } };

async function place(
  test: Test,
  handlers: Handlers,
  settings: FaceSettings = {},
  hello: Hello = { capabilities: EVERYTHING },
): Promise<{ upstream: Fixture; face: ReturnType<typeof faceTo>; client: LegacyClient; opened: JsonObject }> {
  const upstream = await startUpstream({ eras: 'modern', ...handlers });
  test.teardown(() => upstream.close());
  const face = faceTo(test, upstream.url, settings);
  const { client, opened } = await connect(face, hello);
  return { upstream, face, client, opened: opened.last };
}

const call = (id: number | string, name: string, args: object = {}): object => ({
  id,
  method: 'tools/call',
  params: { name, arguments: args },
});

const resultOf = (message: JsonObject): JsonObject => message['result'] as JsonObject;
const errorOf = (message: JsonObject): JsonObject => message['error'] as JsonObject;
const said = (message: JsonObject): string =>
  ((resultOf(message)['content'] as { text: string }[] | undefined) ?? []).map(({ text }) => text).join(' ');

/** An answer in a status of its own. */
const refusal = (request: UpstreamRequest, status: number, error: object): object => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: request.envelope({ error }),
});

const form = (message: string): object => ({
  method: 'elicitation/create',
  params: { mode: 'form', message, requestedSchema: { type: 'object', properties: {} } },
});
const inputs = (inputRequests: object, requestState?: string): { readonly result: object } => ({
  result: { resultType: 'input_required', inputRequests, ...(requestState === undefined ? {} : { requestState }) },
});

t.test('a session opens with what the server says of itself to everybody', async (t) => {
  const { upstream, opened, client } = await place(t, {
    on: {
      'server/discover': (request) => ({
        result: {
          ...request.complete,
          supportedVersions: ['2026-07-28'],
          capabilities: {
            tools: { listChanged: true },
            resources: { subscribe: true, listChanged: true },
            extensions: { 'io.modelcontextprotocol/tasks': {} },
            logging: {},
          },
          instructions: 'Be kind.',
          ttlMs: 1000,
          cacheScope: 'public',
          _meta: { [`${PREFIX}serverInfo`]: { name: 'tomorrow', version: '9' } },
        },
      }),
    },
  });
  t.same(opened, {
    jsonrpc: '2.0',
    id: 0,
    result: {
      protocolVersion: '2025-11-25',
      capabilities: { tools: { listChanged: true }, resources: { subscribe: true, listChanged: true }, logging: {} },
      serverInfo: { name: 'tomorrow', version: '9' },
      instructions: 'Be kind.',
    },
  });
  t.equal(upstream.received('initialize').length, 0, 'the server is never asked to initialize');
  const [asked] = upstream.received('server/discover');
  t.equal(asked!.headers['mcp-method'], 'server/discover');
  t.match((asked!.json as { params: JsonObject }).params['_meta'], {
    [`${PREFIX}protocolVersion`]: '2026-07-28',
    [`${PREFIX}clientCapabilities`]: EVERYTHING,
    [`${PREFIX}clientInfo`]: { name: 'old', version: '1' },
  });
  t.match(client.session, /^m\.[\w-]+$/);

  await t.test('each revision gets what it knows, an unknown one the newest', async (t) => {
    const face = faceTo(t, upstream.url);
    for (const version of ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05', '2031-01-01']) {
      const { client: old, opened: answer } = await connect(face, { version, capabilities: EVERYTHING });
      const spoken = version === '2031-01-01' ? '2025-11-25' : version;
      t.equal(resultOf(answer.last)['protocolVersion'], spoken);
      await old.ask({ id: 1, method: 'tools/list' });
      const meta = (upstream.received('tools/list').at(-1)!.json as { params: { _meta: JsonObject } }).params._meta;
      const { elicitation } = meta[`${PREFIX}clientCapabilities`] as JsonObject;
      const can = { '2025-11-25': { form: {}, url: {} }, '2025-06-18': { form: {} } }[spoken];
      t.same(elicitation, can, `what ${version} can be asked`);
    }
  });

  await t.test('an id carries the session to another process; DELETE ends it here', async (t) => {
    const sibling = new LegacyClient(faceTo(t, upstream.url), client.session);
    t.match(await sibling.ask({ id: 1, method: 'tools/list' }), { status: 200, last: { id: 1 } });
    t.match(await sibling.operate('DELETE'), { status: 200, mode: 'empty' });
    t.equal((await sibling.send({ id: 2, method: 'ping' })).status, 404);
    t.equal((await sibling.operate('GET')).status, 404);
    t.equal((await sibling.operate('DELETE')).status, 404);
    const strange = new LegacyClient(faceTo(t, upstream.url), 'm.bm8');
    t.equal((await strange.send({ id: 2, method: 'ping' })).status, 404, 'what is no id of ours is unknown');
    const none = new LegacyClient(faceTo(t, upstream.url), undefined);
    t.match(await none.ask({ id: 3, method: 'tools/list' }), { status: 400, last: { id: 3, error: { code: -32600 } } });
  });

  await t.test('a client that says too much of itself is remembered all the same', async (t) => {
    const face = faceTo(t, upstream.url);
    const { client: big } = await connect(face, { capabilities: { experimental: { much: 'x'.repeat(5000) } } });
    t.ok(big.session!.length < 100);
    t.match(await big.ask({ id: 1, method: 'ping' }), { status: 200, last: { id: 1, result: {} } });
  });
});

t.test('a server that does not speak 2026-07-28 is said to be just that', async (t) => {
  for (const answer of [
    (request: UpstreamRequest) => refusal(request, 400, { code: -32022, message: 'no', data: { supported: ['x'] } }),
    (request: UpstreamRequest) => refusal(request, 404, { code: -32601, message: 'Method not found' }),
    (request: UpstreamRequest) => ({ result: { ...request.complete, supportedVersions: ['2027-01-01'] } }),
  ]) {
    const { opened, client } = await place(t, { on: { 'server/discover': (request) => answer(request) as never } });
    t.match(errorOf(opened), { code: -32603, message: /2026-07-28/ });
    t.equal(client.session, undefined);
  }
  const upstream = await startUpstream({ on: { '*': () => ({ status: 404, body: 'nothing here' }) } });
  t.teardown(() => upstream.close());
  await t.rejects(connect(faceTo(t, upstream.url)), { code: 'upstream_invalid' });
});

t.test('a request gets envelope and headers; of what the client wrote every byte stays [J-09] [R-11]', async (t) => {
  const { upstream, client } = await place(t, {});
  await client.ask({ id: 1, method: 'logging/setLevel', params: { level: 'warning' } });
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const body =
    '{"jsonrpc":"2.0","id":9007199254740991,"method":"tools/call","params":{"_meta":{"progressToken":7,"traceparent":"x"},' +
    '"arguments":{"n":9007199254740993, "f":1.0,"é":"\\u00e9"},"name":"ec ho é","requestState":"mine","inputResponses":{"a":1}}}';
  await client.ask(body, undefined, {
    headers: {
      accept: 'application/json',
      traceparent,
      'mcp-session-id': 's',
      'last-event-id': 'e',
      'mcp-protocol-version': '2025-11-25',
      'mcp-param-region': 'eu',
    },
  });
  const got = upstream.received('tools/call')[0]!;
  const raw = got.raw.toString();
  t.ok(raw.includes('"arguments":{"n":9007199254740993, "f":1.0,"é":"\\u00e9"},"name":"ec ho é"'));
  t.ok(raw.startsWith('{"jsonrpc":"2.0","id":9007199254740991,"method":"tools/call","params":'));
  const { params } = got.json as { params: JsonObject };
  t.same(Object.keys(params), ['_meta', 'arguments', 'name'], 'members of another revision mean nothing here');
  t.same(params['_meta'], {
    progressToken: 7,
    traceparent: 'x',
    [`${PREFIX}protocolVersion`]: '2026-07-28',
    [`${PREFIX}clientCapabilities`]: EVERYTHING,
    [`${PREFIX}clientInfo`]: { name: 'old', version: '1' },
    [`${PREFIX}logLevel`]: 'warning',
  });
  t.match(got.headers, {
    accept: 'application/json, text/event-stream',
    'content-type': 'application/json',
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': `=?base64?${Buffer.from('ec ho é').toString('base64')}?=`,
    traceparent,
  });
  for (const name of ['mcp-session-id', 'last-event-id', 'mcp-param-region']) t.notOk(name in got.headers, name);
  await client.ask('{"jsonrpc":"2.0","id":"p","method":"tools/list"}');
  const list = upstream.received('tools/list')[0]!;
  t.match(list.json, { params: { _meta: { [`${PREFIX}protocolVersion`]: '2026-07-28' } } });
});

t.test('whatever a client writes into params, only the envelope is added', async (t) => {
  const envelope = { [`${PREFIX}protocolVersion`]: '"2026-07-28"', [`${PREFIX}clientCapabilities`]: '{}' };
  const own = fc.constantFrom(`${PREFIX}logLevel`, `${PREFIX}clientInfo`, `${PREFIX}clientCapabilities`, 'a', 'b c');
  const meta = fc.dictionary(own, fc.jsonValue(), { noNullPrototype: true });
  const params = fc.dictionary(
    fc.constantFrom('name', 'requestState', 'inputResponses', 'z', 'arguments'),
    fc.jsonValue(),
    { noNullPrototype: true },
  );
  const property = fc.property(params, fc.option(meta), fc.constantFrom(0, 1), (given, tags, indent) => {
    const message = {
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/list',
      params: tags === null ? given : { ...given, _meta: tags },
    };
    const frame = decodeFrame(Buffer.from(JSON.stringify(message, null, indent)), FRAME_LIMITS);
    const sent = JSON.parse(toModern(frame, envelope).text) as typeof message;
    const { requestState: _, inputResponses: __, ...kept } = given as JsonObject;
    const { _meta, ...rest } = sent.params as JsonObject;
    const others = Object.fromEntries(Object.entries(tags ?? {}).filter(([key]) => !key.startsWith(PREFIX)));
    const wanted = { ...others, [`${PREFIX}protocolVersion`]: '2026-07-28', [`${PREFIX}clientCapabilities`]: {} };
    return (
      JSON.stringify(sorted(rest)) === JSON.stringify(sorted(kept)) &&
      JSON.stringify(sorted(_meta as JsonObject)) === JSON.stringify(sorted(wanted))
    );
  });
  t.doesNotThrow(() => fc.assert(property));
});

const sorted = (value: JsonObject): [string, unknown][] =>
  Object.entries(JSON.parse(JSON.stringify(value)) as JsonObject).toSorted(([a], [b]) => (a < b ? -1 : 1));

t.test('arguments are repeated in headers; a stale list of tools costs one more try [R-11]', async (t) => {
  const region: ParamHeader = { header: 'mcp-param-region', path: ['region'], type: 'string' };
  const asked: boolean[] = [];
  const picky = (request: UpstreamRequest): object =>
    request.headers['mcp-param-region'] === undefined
      ? refusal(request, 400, { code: -32020, message: 'Header mismatch' })
      : {
          result: {
            ...request.complete,
            content: [{ type: 'text', text: String(request.headers['mcp-param-region']) }],
          },
        };
  const { upstream, client } = await place(
    t,
    { tools: { picky: (request) => picky(request) as never } },
    {
      params(_tool, fresh) {
        asked.push(fresh);
        return fresh ? [region] : [];
      },
    },
  );
  t.equal(said((await client.ask(call(1, 'picky', { region: 'eu' }))).last), 'eu');
  t.same(asked, [false, true]);
  t.equal(upstream.received('picky').length, 2);
  const answer = await client.ask(call(2, 'picky', {}));
  t.match(answer, { status: 200, last: { id: 2, error: { code: -32603 } } }, 'no argument, no header, one try');
  t.equal(upstream.received('picky').length, 3);
});

t.test('results lose what came with 2026-07-28 and nothing else [J-09]', async (t) => {
  const result =
    '{"resultType":"complete","content":[{"type":"text","text":"a"}],"structuredContent":{"n":9007199254740993,"f":1.0} ,"_meta":{"x":1e2},"ttlMs":5}';
  const { client } = await place(t, {
    list: [
      { name: 'plain', inputSchema: { type: 'object' }, outputSchema: { type: 'object' } },
      { name: 'list', inputSchema: { type: 'object' }, outputSchema: { type: 'array' }, annotations: {} },
    ],
    tools: {
      exact: (request) => `{"jsonrpc":"2.0","id":${request.idText},"result":${result}}`,
      list: (request) => ({ result: { ...request.complete, content: [], structuredContent: [1] } }),
    },
  });
  t.equal(
    (await client.ask('{"jsonrpc":"2.0","id":"\\u0061","method":"tools/call","params":{"name":"exact"}}')).text,
    '{"jsonrpc":"2.0","id":"\\u0061","result":{"content":[{"type":"text","text":"a"}],"structuredContent":{"n":9007199254740993,"f":1.0} ,"_meta":{"x":1e2}}}',
  );
  t.same(resultOf((await client.ask(call(2, 'list'))).last), { content: [] });
  t.same(resultOf((await client.ask({ id: 3, method: 'tools/list' })).last), {
    tools: [
      { name: 'plain', inputSchema: { type: 'object' }, outputSchema: { type: 'object' } },
      { name: 'list', inputSchema: { type: 'object' }, annotations: {} },
    ],
  });
  t.same(Object.keys(resultOf((await client.ask({ id: 4, method: 'resources/list' })).last)), ['resources']);
});

t.test('whatever a server answers, only the members of its own revision are taken', async (t) => {
  const asked = decodeFrame(Buffer.from('{"jsonrpc":"2.0","id":"x","method":"tools/call"}'), FRAME_LIMITS);
  const key = fc.constantFrom('resultType', 'ttlMs', 'cacheScope', 'content', 'a', 'structuredContent', '_meta');
  const results = fc.dictionary(key, fc.jsonValue(), { noNullPrototype: true });
  const property = fc.property(results, fc.constantFrom(0, 1), (result, indent) => {
    const text = JSON.stringify({ id: 7, jsonrpc: '2.0', result }, null, indent);
    const told = JSON.parse(
      toLegacyResult(decodeFrame(Buffer.from(text), FRAME_LIMITS, 'server'), asked),
    ) as JsonObject;
    const { resultType: _, ttlMs: __, cacheScope: ___, structuredContent, ...kept } = result as JsonObject;
    const object =
      typeof structuredContent === 'object' && structuredContent !== null && !Array.isArray(structuredContent);
    const wanted = object ? { ...kept, structuredContent } : kept;
    const same = JSON.stringify(sorted(told['result'] as JsonObject)) === JSON.stringify(sorted(wanted));
    return told['id'] === 'x' && same;
  });
  t.doesNotThrow(() => fc.assert(property));
});

t.test('errors keep their meaning in the words of sessions [E-13] [E-14]', async (t) => {
  const errors: Record<string, [number, object]> = {
    unknown: [404, { code: -32601, message: 'Method not found' }],
    headers: [400, { code: -32020, message: 'Header mismatch' }],
    version: [400, { code: -32022, message: 'Unsupported', data: { supported: [] } }],
    capability: [400, { code: -32021, message: 'needs sampling', data: { requiredCapabilities: { sampling: {} } } }],
    params: [200, { code: -32602, message: 'bad', data: { uri: 'x', more: 1 } }],
    missing: [200, { code: -32602, message: 'Resource not found', data: { uri: 'x:missing' } }],
    own: [200, { code: 1234567890123, message: 'mine' }],
  };
  const { client } = await place(t, {
    on: {
      'tools/call': (request) => refusal(request, ...errors[request.name!]!) as never,
      'resources/read': (request) => refusal(request, ...errors[request.name!.slice(2)]!) as never,
    },
  });
  for (const [name, code] of Object.entries({
    unknown: -32601,
    headers: -32603,
    version: -32603,
    params: -32602,
    missing: -32602,
    own: 1234567890123,
  })) {
    const answer = await client.ask(call(1, name));
    t.match(answer, { status: 200, mode: 'json', last: { id: 1, error: { code } } }, name);
  }
  t.match((await client.ask(call(2, 'capability'))).last, {
    id: 2,
    result: { isError: true, content: [{ type: 'text' }] },
  });
  const read = async (name: string): Promise<JsonObject> =>
    (await client.ask({ id: 3, method: 'resources/read', params: { uri: `x:${name}` } })).last;
  t.match(await read('missing'), { id: 3, error: { code: -32002, data: { uri: 'x:missing' } } });
  t.match(await read('params'), { id: 3, error: { code: -32602 } });
  t.match(await read('capability'), { id: 3, error: { code: -32603, message: /capability/ } });
});

t.test(
  'statuses that are about the gateway reach the pipeline as they are; a bare 404 does not end a session',
  async (t) => {
    const { client } = await place(t, {
      on: { 'tools/call': (request) => ({ status: Number(request.name), body: 'no' }) },
    });
    for (const status of [401, 403, 302]) t.match(await client.send(call(1, String(status))), { status });
    for (const status of [404, 500, 200])
      await t.rejects(client.send(call(1, String(status))), { code: 'upstream_invalid' });
  },
);

t.test(
  'questions of the server go to the client on the stream of its call; its answers go back word for word [M-05] [M-06]',
  async (t) => {
    const seen: UpstreamRequest[] = [];
    const { client } = await place(t, {
      tools: {
        ask: (request) => {
          seen.push(request);
          if (seen.length === 1) {
            return `{"jsonrpc":"2.0","id":${request.idText},"result":{"resultType":"input_required","inputRequests":{"na\\u006de":${JSON.stringify(
              form('name?'),
            )},"roots":{"method":"roots/list"},"say":{"method":"sampling/createMessage","params":{"messages":[],"maxTokens":9007199254740993}}},"requestState":"\\u0061 b"}}`;
          }
          if (seen.length === 2) return inputs({ again: form('again?') });
          return { result: { ...request.complete, content: [{ type: 'text', text: 'thanks' }] } };
        },
      },
    });
    const ids = new Set<unknown>();
    const talk = await client.ask(
      '{"jsonrpc":"2.0","id":"\\u0061bc","method":"tools/call","params":{"name":"ask","arguments":{"n":9007199254740993}}}',
      async (message, text) => {
        if (message['method'] === undefined) return;
        t.type(message['id'], 'string');
        t.notOk(ids.has(message['id']));
        ids.add(message['id']);
        if (message['method'] === 'sampling/createMessage') t.match(text, /"maxTokens":9007199254740993/);
        const result =
          message['method'] === 'roots/list'
            ? '{"roots":[]}'
            : '{"action":"accept", "content":{"n":9007199254740993,"f":1.0}}';
        t.match(await client.send(`{"jsonrpc":"2.0","id":${JSON.stringify(message['id'])},"result":${result}}`), {
          status: 202,
          mode: 'empty',
        });
      },
    );
    t.equal(talk.mode, 'sse');
    t.equal(talk.texts.length, 5);
    t.equal(talk.text, '{"jsonrpc":"2.0","id":"\\u0061bc","result":{"content":[{"type":"text","text":"thanks"}]}}');
    t.equal(new Set(seen.map(({ idText }) => idText)).size, 3, 'each try is a request of its own');
    const second = seen[1]!.raw.toString();
    t.ok(second.includes('"arguments":{"n":9007199254740993}'));
    t.ok(second.includes('"requestState":"\\u0061 b"'));
    t.ok(second.includes('"na\\u006de":{"action":"accept", "content":{"n":9007199254740993,"f":1.0}}'));
    t.same(Object.keys(seen[1]!.params['inputResponses'] as object), ['name', 'roots', 'say']);
    t.match(seen[1]!.headers, { 'mcp-method': 'tools/call', 'mcp-name': 'ask' });
    const third = seen[2]!.params;
    t.same(Object.keys(third['inputResponses'] as object), ['again'], 'only what this round asked');
    t.notOk('requestState' in third, 'no state, where none was given');
  },
);

t.test('a call that needs what its client cannot give ends with a sentence [M-01] [M-03]', async (t) => {
  const url = { method: 'elicitation/create', params: { mode: 'url', message: 'log in', url: 'https://example.com/' } };
  const tools = { method: 'sampling/createMessage', params: { messages: [], maxTokens: 1, tools: [] } };
  const handlers: Handlers = {
    tools: {
      form: (request) => (request.params['inputResponses'] === undefined ? inputs({ a: form('x') }) : done(request)),
      url: (request) => (request.params['inputResponses'] === undefined ? inputs({ a: url }) : done(request)),
      sampling: () => inputs({ a: tools }),
      roots: () => inputs({ a: { method: 'roots/list' } }),
    },
    on: { 'prompts/get': () => inputs({ a: form('x') }), 'resources/list': () => inputs({ a: form('x') }) },
  };
  const done = (request: UpstreamRequest): { readonly result: object } => ({
    result: { ...request.complete, content: [] },
  });
  const upstream = await startUpstream({ eras: 'modern', ...handlers });
  t.teardown(() => upstream.close());
  const face = faceTo(t, upstream.url);
  const open = async (version: string, capabilities: JsonObject): Promise<LegacyClient> =>
    (await connect(face, { version, capabilities })).client;
  const asks = async (client: LegacyClient, name: string): Promise<readonly JsonObject[]> => {
    const talk = await client.ask(call(1, name), async ({ id, method }) => {
      if (method !== undefined) await client.send({ id, result: { action: 'accept' } });
    });
    return talk.messages;
  };
  const blocked = { id: 1, result: { isError: true, content: [{ text: /has not declared/ }] } };
  const nothing = await open('2025-11-25', {});
  for (const name of ['form', 'url', 'sampling', 'roots']) t.match(await asks(nothing, name), [blocked], name);
  t.match(
    await asks(await open('2025-03-26', { elicitation: {} }), 'form'),
    [blocked],
    'a revision without elicitation',
  );
  t.match(
    await asks(await open('2025-06-18', { elicitation: { url: {} } }), 'url'),
    [blocked],
    'a revision without URLs',
  );
  t.match(await asks(await open('2025-11-25', { elicitation: {} }), 'url'), [blocked], 'a client for forms alone');
  t.match(
    await asks(await open('2025-11-25', { elicitation: { url: {} } }), 'form'),
    [blocked],
    'a client for URLs alone',
  );
  t.match(await asks(await open('2025-11-25', { sampling: {} }), 'sampling'), [blocked], 'sampling without tools');

  const [question, answer] = await asks(await open('2025-11-25', { elicitation: { url: {} } }), 'url');
  t.match(question, { method: 'elicitation/create', params: { mode: 'url', elicitationId: /^[0-9a-f-]{36}$/ } });
  t.same(answer, { jsonrpc: '2.0', id: 1, result: { content: [] } });
  const [older] = await asks(await open('2025-06-18', { elicitation: {} }), 'form');
  t.notOk('mode' in (older!['params'] as object), 'a word that came later is left out');

  const prompt = await nothing.ask({ id: 5, method: 'prompts/get', params: { name: 'letter' } });
  t.match(prompt.last, { id: 5, error: { code: -32603, message: /has not declared/ } });
  await t.rejects(
    nothing.ask({ id: 6, method: 'resources/list' }),
    { code: 'upstream_invalid' },
    'a list asks nothing [M-01]',
  );
});

t.test('a client that declines ends its call; what answers nothing is ignored [J-04]', async (t) => {
  const { face, client, upstream } = await place(t, { tools: { ask: () => inputs({ a: form('x'), b: form('y') }) } });
  const { client: other } = await connect(face, { capabilities: EVERYTHING });
  const talkedTo = new Set<unknown>();
  const talk = await client.ask(call(1, 'ask'), async ({ id, method }) => {
    if (id === undefined || method === undefined) return;
    t.equal((await other.send({ id, result: { action: 'accept' } })).status, 202, 'of another session');
    t.equal((await client.send({ id: 'portcullis:guess', result: {} })).status, 202);
    if (talkedTo.add(id).size === 2) await client.send({ id, error: { code: 1002, message: 'not allowed here' } });
  });
  t.same(
    talk.messages.map(({ method }) => method),
    ['elicitation/create', 'elicitation/create', 'notifications/cancelled', undefined],
  );
  t.match(talk.messages[2], { params: { requestId: talk.messages[0]!['id'] } }, 'what is still open is withdrawn');
  t.match(talk.last, {
    id: 1,
    result: { isError: true, content: [{ text: /did not answer elicitation\/create: not allowed here/ }] },
  });
  t.equal(upstream.received('ask').length, 1, 'the server is not asked again');
});

t.test('rounds and patience have an end', async (t) => {
  let clock = 0;
  const { client, upstream } = await place(
    t,
    { tools: { forever: () => inputs({ a: form('x') }), stuck: () => inputs({ a: form('x') }) } },
    { now: () => clock },
  );
  const talk = await client.ask(call(1, 'forever'), async ({ id, method }) => {
    if (method !== undefined) await client.send({ id, result: { action: 'decline' } });
  });
  t.match(said(talk.last), /more than 8 rounds/);
  t.equal(upstream.received('forever').length, 9);
  const late = await client.ask(call(2, 'stuck'), () => {
    clock += 600_001;
  });
  t.match(said(late.last), /in time/);
});

t.test('a server that only wants to be asked again is, with what it said', async (t) => {
  const { client, upstream } = await place(t, {
    tools: {
      poll: (request) =>
        request.params['requestState'] === 's2'
          ? { result: { ...request.complete, content: [{ type: 'text', text: 'ready' }] } }
          : {
              result: {
                resultType: 'input_required',
                requestState: request.params['requestState'] === 's1' ? 's2' : 's1',
              },
            },
      neither: () => ({ result: { resultType: 'input_required' } }),
      task: () => ({ result: { resultType: 'task', taskId: 't' } }),
      odd: () => ({ result: { resultType: 'odd' } }),
    },
  });
  t.equal(said((await client.ask(call(1, 'poll'))).last), 'ready');
  t.equal(upstream.received('poll').length, 3);
  t.match((await client.ask(call(2, 'task'))).last, { id: 2, result: { isError: true, content: [{ text: /task/ }] } });
  for (const name of ['neither', 'odd']) await t.rejects(client.ask(call(3, name)), { code: 'upstream_invalid' }, name);
});

t.test('what a server tells before its answer passes; what it may not tell does not [E-05] [H-07]', async (t) => {
  const { client } = await place(t, {
    tools: {
      tell: async (request) => {
        const stream = request.stream();
        await stream.comment('warm');
        await stream.raw('id: 1\ndata: \n\n');
        await stream.notify('notifications/progress', { progressToken: 'p', progress: 1 });
        await stream.notify('notifications/message', { level: 'info', data: 'unasked' });
        await stream.send({ jsonrpc: '2.0', id: 5, method: 'roots/list' });
        await stream.notify('notifications/cancelled', { requestId: 'portcullis:x' });
        await stream.send(
          { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 'p', progress: 2 } },
          { id: '2' },
        );
        await stream.send(request.envelope(inputs({ a: form('x') })));
        stream.end();
      },
      several: async (request) => {
        const stream = request.stream();
        await stream.send(`[${request.envelope({ result: request.complete })}]`);
        stream.end();
      },
      lost: async (request) => {
        const stream = request.stream();
        await stream.raw('id: 1\ndata: \n\n');
        stream.end();
      },
    },
  });
  const answer = await client.send(call(1, 'tell'));
  const ids: (string | undefined)[] = [];
  const heard: unknown[] = [];
  for await (const events of answer.events!) {
    for (const event of events) {
      ids.push(event.id);
      if (event.data === undefined) continue;
      const message = JSON.parse(event.data) as JsonObject;
      heard.push(message['method'] ?? 'answer');
      if (message['method'] === 'elicitation/create')
        await client.send({ id: message['id'], error: { code: -1, message: 'no' } });
    }
  }
  t.same(heard, ['notifications/progress', 'notifications/progress', 'elicitation/create', 'answer']);
  t.same(new Set(ids), new Set([undefined]), 'no cursor of a stream that cannot be resumed');
  await t.rejects(client.ask(call(3, 'several')), { code: 'upstream_invalid' }, 'a batch is no answer');
  t.same((await client.ask(call(2, 'lost'))).messages, [], 'a stream without an answer ends without one');
});

t.test('a cancelled call is closed at its server, and only in its own session [C-03]', async (t) => {
  const { face, client, upstream } = await place(t, {});
  const { client: other } = await connect(face);
  const slow = client.send(call(7, 'slow'));
  const ends = t.rejects(slow, { name: 'UpstreamFault', sent: true });
  const arrived = await upstream.arrival('slow');
  const cancel = { method: 'notifications/cancelled', params: { requestId: 7 } };
  t.equal((await other.send(cancel)).status, 202);
  t.equal((await other.ask({ id: 1, method: 'ping' })).status, 200);
  let gone = false;
  void arrived.gone.then(() => (gone = true));
  await other.ask({ id: 2, method: 'tools/list' });
  t.notOk(gone, 'the call of the neighbour runs on');
  t.equal((await client.send(cancel)).status, 202);
  await arrived.gone;
  await ends;

  const signal = new Abort();
  const waiting = client.ask(call(8, 'slow'), () => undefined, { signal });
  const fails = t.rejects(waiting, { name: 'UpstreamFault' });
  const second = await upstream.arrival('slow', 2);
  signal.abort();
  await second.gone;
  await fails;
});

t.test('a question that waits ends with its call', async (t) => {
  const { client } = await place(t, { tools: { ask: () => inputs({ a: form('x') }) } });
  const signal = new Abort();
  await t.rejects(
    client.ask(call(1, 'ask'), () => signal.abort(), { signal }),
    { name: 'UpstreamFault', sent: true },
  );
  await t.rejects(
    client.ask(call(2, 'ask'), () => void client.operate('DELETE')),
    { name: 'UpstreamFault', sent: true },
    'DELETE ends what waits',
  );
});

t.test('what was never sent is said so, and only that', async (t) => {
  const { client, upstream } = await place(t, {
    tools: {
      ask: () => inputs({ a: form('x') }),
      cut: (request) => request.cut(),
    },
  });
  await t.rejects(client.send(call(1, 'cut')), { name: 'UpstreamFault', sent: true });
  t.equal(upstream.received('cut').length, 1, 'what may have run is not repeated');
  const between = client.ask(call(2, 'ask'), async ({ id, method }) => {
    if (method === undefined) return;
    await upstream.close();
    await client.send({ id, result: { action: 'accept' } });
  });
  const fault: unknown = await between.catch((reason: unknown) => reason);
  t.ok(fault instanceof UpstreamFault && fault.sent, 'the server has seen the call before');
  const late: unknown = await client.send(call(3, 'x')).catch((reason: unknown) => reason);
  t.ok(late instanceof UpstreamFault && !late.sent);
});

t.test('what a server without sessions has no words for is answered here [P-03]', async (t) => {
  const { client, upstream } = await place(t, {});
  const before = upstream.requests.length;
  for (const [method, params] of [
    ['ping', undefined],
    ['logging/setLevel', { level: 'info' }],
  ] as const) {
    t.same((await client.ask({ id: 1, method, ...(params === undefined ? {} : { params }) })).last, {
      jsonrpc: '2.0',
      id: 1,
      result: {},
    });
  }
  t.match((await client.ask({ id: 2, method: 'logging/setLevel', params: { level: 'loud' } })).last, {
    error: { code: -32602 },
  });
  for (const method of ['notifications/initialized', 'notifications/roots/list_changed', 'notifications/cancelled']) {
    t.match(await client.send({ method }), { status: 202, mode: 'empty' }, method);
  }
  for (const method of ['tasks/list', 'tasks/get', 'server/discover', 'subscriptions/listen']) {
    t.match(
      await client.ask({ id: 3, method, params: {} }),
      { status: 200, last: { id: 3, error: { code: -32601 } } },
      method,
    );
  }
  t.match((await client.ask({ id: 4, method: 'resources/subscribe', params: { uri: 'x:' } })).last, {
    error: { code: -32601 },
  });
  t.equal(upstream.requests.length, before, 'and the server hears nothing of it');
});

const WATCHED: Handlers = {
  on: {
    'server/discover': (request) => ({
      result: {
        ...request.complete,
        supportedVersions: ['2026-07-28'],
        capabilities: { tools: { listChanged: true }, resources: { subscribe: true } },
      },
    }),
  },
};

t.test('one listening stream feeds the GET of a session [L-02] [L-05] [S-07]', async (t) => {
  const { client, upstream } = await place(t, WATCHED);
  const signal = new Abort();
  const opened = await client.operate('GET', signal);
  t.match(opened, { status: 200, mode: 'sse' });
  t.match(await client.operate('GET'), { status: 409, mode: 'empty' });
  const first = await upstream.opened();
  const asked = upstream.received('subscriptions/listen')[0]!;
  t.same((asked.json as { params: JsonObject }).params['notifications'], { toolsListChanged: true });
  const tag = (asked.json as JsonObject)['id'];

  const heard = messagesOf(opened.events!);
  await first.notify('notifications/message', { level: 'info', data: 'no' });
  await first.notify('notifications/prompts/list_changed');
  await first.notify('notifications/resources/updated', { uri: 'x:other' });
  await first.notify('notifications/tools/list_changed', { _meta: { [`${PREFIX}subscriptionId`]: 'of another' } });
  await first.notify('notifications/tools/list_changed', { _meta: { [`${PREFIX}subscriptionId`]: tag, kept: 1 } });
  t.same(await heard.next(), {
    jsonrpc: '2.0',
    method: 'notifications/tools/list_changed',
    params: { _meta: { kept: 1 } },
  });

  const subscribed = client.ask({ id: 1, method: 'resources/subscribe', params: { uri: 'x:a' } });
  t.same((await subscribed).last, { jsonrpc: '2.0', id: 1, result: {} });
  const second = await upstream.opened();
  await first.closed;
  t.same((upstream.received('subscriptions/listen')[1]!.json as { params: JsonObject }).params['notifications'], {
    toolsListChanged: true,
    resourceSubscriptions: ['x:a'],
  });
  await second.notify('notifications/resources/updated', { uri: 'x:b' });
  await second.notify('notifications/resources/updated', { uri: 'x:a' });
  t.same(await heard.next(), { jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'x:a' } });

  second.cut();
  const third = await upstream.opened();
  await third.notify('notifications/resources/updated', { uri: 'x:a/part', _meta: {} });
  t.match(await heard.next(), { params: { uri: 'x:a/part' } }, 'a line that broke is opened again');

  await client.ask({ id: 2, method: 'resources/unsubscribe', params: { uri: 'x:a' } });
  const fourth = await upstream.opened();
  await third.closed;
  signal.abort();
  await fourth.closed;
  t.equal(await heard.next(), undefined, 'the stream ends with its client');
  t.match(await client.operate('GET'), { status: 200, mode: 'sse' }, 'who comes again is served again');
  const fifth = await upstream.opened();
  await client.operate('DELETE');
  await fifth.closed;
});

t.test('the old line is let go only when the new one stands', async (t) => {
  let acknowledge: (() => void) | undefined;
  const { client, upstream } = await place(t, {
    on: {
      ...WATCHED.on,
      'subscriptions/listen': async (request) => {
        const wanted = request.params['notifications'] as { resourceSubscriptions?: string[] };
        if (wanted.resourceSubscriptions?.includes('x:refused') === true) {
          const stream = request.stream();
          const _meta = { [`${PREFIX}subscriptionId`]: (request.json as JsonObject)['id'] };
          await stream.notify('notifications/subscriptions/acknowledged', { notifications: {}, _meta });
          return undefined;
        }
        if (wanted.resourceSubscriptions?.includes('x:slow') === true) {
          await new Promise<void>((resolve) => {
            acknowledge = resolve;
            asked.resolve();
          });
        }
        return request.usual();
      },
    },
  });
  const asked = Promise.withResolvers<void>();
  const heard = messagesOf((await client.operate('GET')).events!);
  const first = await upstream.opened();
  const subscribed = client.ask({ id: 1, method: 'resources/subscribe', params: { uri: 'x:slow' } });
  await asked.promise;
  await first.notify('notifications/tools/list_changed');
  t.match(await heard.next(), { method: 'notifications/tools/list_changed' }, 'nothing is missed meanwhile');
  acknowledge!();
  t.match((await subscribed).last, { result: {} });
  await upstream.opened();
  await first.closed;
  const refused = await client.ask({ id: 2, method: 'resources/subscribe', params: { uri: 'x:refused' } });
  t.match(refused.last, { id: 2, error: { code: -32603 } }, 'what the server does not honour is not promised');
});

/** The messages of a stream one by one; undefined at its end. */
function messagesOf(events: AsyncIterable<readonly { readonly data?: string }[]>): {
  next(): Promise<JsonObject | undefined>;
} {
  const iterator = (async function* (): AsyncGenerator<JsonObject> {
    for await (const batch of events)
      for (const { data } of batch) if (data !== undefined) yield JSON.parse(data) as JsonObject;
  })();
  return { next: async () => (await iterator.next()).value as JsonObject | undefined };
}
