import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { Abort } from '../../proxy/abort.ts';
import { Carriers } from '../../proxy/carriers.ts';
import { WireSessions } from '../../proxy/forward/sessions.ts';
import { Seal } from '../../proxy/seal.ts';
import type { Arrival, Frame, Reply } from '../../proxy/types.ts';
import { errorFrame, notificationFrame, requestFrame } from '../../proxy/wire/frame.ts';
import { SECRETS, startUpstream, type Handlers, type Upstream } from '../fixture/upstream.ts';
import { send, startGateway, type Answer, type TestGateway } from '../gateway.ts';
import { PROGRAMS } from '../interop/servers.ts';
import { dial, type Line } from './raw.ts';

const MASKING = [
  {
    name: 'pii',
    connections: ['default'],
    supported_entity_types: [{ name: 'CONTACT', entity_types: ['EMAIL_ADDRESS'] }],
  },
];

interface House {
  readonly gateway: TestGateway;
  readonly upstream: Upstream;
  readonly erin: string;
}

async function start(t: Test, handlers: Handlers = {}, more: JsonObject = {}): Promise<House> {
  const upstream = await startUpstream(handlers);
  t.teardown(() => upstream.close());
  const access = { groups: ['eng', 'dba'] };
  const gateway = await startGateway(t, {
    connections: [
      { name: 'default', upstream: { url: upstream.url }, access },
      { name: 'other', upstream: { url: upstream.url }, access },
      { name: 'child', upstream: { command: [process.execPath, PROGRAMS.everything, 'stdio'] }, access },
    ],
    ...more,
  });
  return { gateway, upstream, erin: await gateway.person('erin', ['eng']) };
}

/** The official client on the transport of 2024-11-05. */
async function connect(t: Test, url: string, token: string): Promise<Client> {
  const capabilities = { sampling: {}, elicitation: {}, roots: {} };
  const client = new Client({ name: 'http-sse', version: '1' }, { capabilities });
  client.setRequestHandler(CreateMessageRequestSchema, () => ({
    model: 'none',
    role: 'assistant',
    content: { type: 'text', text: 'sampled' },
  }));
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { colour: 'green' } }));
  const requestInit = { headers: { Authorization: `Bearer ${token}` } };
  const transport = new SSEClientTransport(new URL(url), { requestInit });
  t.teardown(() => client.close());
  await client.connect(transport as Parameters<typeof client.connect>[0]);
  return client;
}

/** A client that says nothing but what it must. */
interface Plain {
  readonly line: Line;
  readonly endpoint: string;
  post(message: unknown, headers?: Record<string, string>): Promise<Answer>;
  initialize(version?: string): Promise<string>;
}

async function open(gateway: TestGateway, token: string, path = '/mcp/default'): Promise<Plain> {
  const line = dial(gateway.url);
  line.write(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:8800\r\nAuthorization: Bearer ${token}\r\nAccept: text/event-stream\r\n\r\n`,
  );
  const text = await line.until(/data: \S+\n\n/);
  const endpoint = /event: endpoint\ndata: (\S+)\n\n/.exec(text)?.[1] ?? '';
  const post: Plain['post'] = (message, headers = {}) =>
    send(`${gateway.url}${endpoint}`, token, typeof message === 'string' ? message : JSON.stringify(message), {
      accept: '*/*',
      ...headers,
    });
  return {
    line,
    endpoint,
    post,
    async initialize(version = '2024-11-05') {
      const params = { protocolVersion: version, capabilities: {}, clientInfo: { name: 'test', version: '1' } };
      await post({ jsonrpc: '2.0', id: 'init', method: 'initialize', params });
      const answer = await line.until(/"id":"init"[^\n]*\n\n/);
      await post({ jsonrpc: '2.0', method: 'notifications/initialized' });
      return answer;
    },
  };
}

const call = (id: string | number, name: string, args: JsonObject = {}): JsonObject => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: args },
});
/** Resolves when the session in which this tool was called was ended at the upstream. */
const ended = (upstream: Upstream, tool: string): Promise<unknown> => {
  const session = upstream.received(tool)[0]?.session;
  return upstream.arrival(({ http, session: of }) => http === 'DELETE' && of === session);
};
const codeOf = (answer: Answer): unknown => (answer.json['error'] as JsonObject | undefined)?.['code'];

t.test(
  'the official client of HTTP+SSE does everything it does elsewhere, on a server that speaks Streamable HTTP only [http-sse-downstream]',
  async (t) => {
    const { gateway, upstream, erin } = await start(
      t,
      {
        tools: {
          async asks(request) {
            const stream = request.stream();
            const { progressToken } = request.meta;
            await stream.notify('notifications/progress', {
              progressToken,
              progress: 1,
              message: `asks ${SECRETS.email}`,
            });
            const sampled = await stream.ask('sampling/createMessage', { messages: [], maxTokens: 1 });
            const elicited = await stream.ask('elicitation/create', {
              message: 'which?',
              requestedSchema: { type: 'object', properties: { colour: { type: 'string' } } },
            });
            const text = [sampled, elicited].map(({ raw }) => String(raw)).join(' ');
            await stream.send(request.envelope({ result: { content: [{ type: 'text', text }] } }));
            stream.end();
          },
        },
      },
      { datamasking_rules: MASKING },
    );
    const client = await connect(t, `${gateway.url}/mcp/default`, erin);
    t.ok((await client.listTools()).tools.some(({ name }) => name === 'asks'));

    const steps: (string | undefined)[] = [];
    const onprogress = ({ message }: { message?: string | undefined }): void => void steps.push(message);
    t.match(JSON.stringify(await client.callTool({ name: 'asks' }, undefined, { onprogress })), /sampled.*green/);
    t.same(steps.length, 1);
    t.match(steps[0], /^asks /);
    t.notMatch(steps[0], SECRETS.email, 'masked like on any other transport');
    t.notMatch(JSON.stringify(await client.callTool({ name: 'secrets' })), SECRETS.email);
    await t.rejects(client.callTool({ name: 'fail' }), { code: 1001 });

    const abort = new AbortController();
    const slow = client.callTool({ name: 'slow' }, undefined, { signal: abort.signal });
    const waiting = await upstream.arrival('slow');
    abort.abort(new Error('enough'));
    await t.rejects(slow, /enough/);
    await upstream.arrival('notifications/cancelled');
    await waiting.gone;

    const { promise: changed, resolve } = Promise.withResolvers<void>();
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => resolve());
    await (await upstream.opened()).notify('notifications/tools/list_changed');
    await changed;

    const session = upstream.received('slow')[0]?.session;
    t.equal((await upstream.arrival('GET')).session, session, 'one session for all');
    await client.close();
    t.equal((await upstream.arrival(({ http, session: of }) => http === 'DELETE' && of === session)).http, 'DELETE');
  },
);

t.test('a command behind the gateway is used by HTTP+SSE too [http-sse-downstream]', async (t) => {
  const { gateway, erin } = await start(t);
  const client = await connect(t, `${gateway.url}/mcp/child`, erin);
  const { tools } = await client.listTools();
  t.ok(tools.some(({ name }) => name === 'echo'));
  t.match(JSON.stringify(await client.callTool({ name: 'echo', arguments: { message: 'hello' } })), /hello/);
  const sampling = tools.find(({ name }) => /sampling/i.test(name))?.name ?? '';
  const answer = await client.callTool({ name: sampling, arguments: { prompt: 'x', maxTokens: 5 } });
  t.match(JSON.stringify(answer), /sampled/, 'also when it asks the client something');
  const own = await connect(t, `${gateway.url}/api/mcp`, erin);
  t.ok((await own.listTools()).tools.length > 0, 'and so is the gateway itself');
});

t.test(
  'the endpoint is on the gateway, and its id is of use to nobody but who opened the stream [S-05] [http-sse-bound]',
  async (t) => {
    const { gateway, upstream, erin } = await start(t, {
      on: { initialize: usual2024, GET: () => ({ status: 405 }) },
    });
    const mallory = await gateway.person('mallory', ['eng']);
    const plain = await open(gateway, erin);
    t.match(plain.endpoint, /^\/mcp\/default\?sessionId=[0-9a-f]{32}$/);
    t.match(await plain.initialize(), /event: message\ndata: .*"protocolVersion":"2024-11-05"/);
    t.notMatch(await plain.line.until(/init/), /mcp-session-id/i);

    const ping = JSON.stringify(call(1, 'echo'));
    const url = `${gateway.url}${plain.endpoint}`;
    const rows: readonly (readonly [string, string, string])[] = [
      ['a stranger', url, mallory],
      ['another connection', url.replace('default', 'other'), erin],
      ['a made-up id', url.replace(/.{32}$/, '0'.repeat(32)), erin],
    ];
    for (const [title, at, token] of rows) {
      const answer = await send(at, token, ping, { accept: '*/*' });
      t.same([answer.status, codeOf(answer)], [404, -32001], title);
    }
    t.equal((await send(url, undefined, ping)).status, 401);
    t.equal(upstream.received('echo').length, 0);

    const answer = await plain.post(call('mine', 'echo', { a: 1 }));
    t.same([answer.status, answer.text], [202, '']);
    t.match(await plain.line.until(/"id":"mine"[^\n]*\n\n/), /event: message\ndata: \{"jsonrpc":"2.0","id":"mine"/);
    const { sessions } = gateway.portcullis.gateway;
    const isHers = ({ owner }: { readonly owner: { readonly subject: string } }): boolean => owner.subject === 'erin';
    t.equal(sessions.all().filter(isHers).length, 1);
    t.same(sessions.idle(Date.now() + 86_400_000).filter(isHers), [], 'the session lasts as long as its stream');

    plain.line.drop();
    await ended(upstream, 'echo');
    t.equal((await plain.post(call(2, 'echo'))).status, 404, 'with the stream the session is over');
  },
);

t.test(
  'what is refused before it is let in is told by status, what is refused later on the stream [http-sse-refusals]',
  async (t) => {
    const { gateway, upstream, erin } = await start(
      t,
      {},
      { access_control: [{ name: 'no-fail', connections: ['default'], groups: ['eng'], tools: { deny: ['fail'] } }] },
    );
    const plain = await open(gateway, erin);
    await plain.initialize('2025-11-25');
    const before = upstream.received('tools/call').length;
    const modern = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'ping' };
    const rows: readonly (readonly [string, unknown, Record<string, string>, number])[] = [
      ['not JSON', '{', {}, 400],
      ['another type', call(1, 'echo'), { 'content-type': 'text/plain' }, 415],
      ['a batch', [call(1, 'echo')], {}, 400],
      ['a modern message', { jsonrpc: '2.0', id: 1, method: 'ping' }, modern, 400],
      ['a call without a name', { jsonrpc: '2.0', id: 1, method: 'tools/call', params: {} }, {}, 400],
      ['a second initialize', { jsonrpc: '2.0', id: 1, method: 'initialize', params: {} }, {}, 400],
      ['an Origin that is not allowed', call(1, 'echo'), { origin: 'https://evil.example' }, 403],
    ];
    for (const [title, message, headers, status] of rows) {
      const answer = await plain.post(message, headers);
      t.equal(answer.status, status, title);
      t.match(answer.json, { error: { message: String } }, title);
    }
    t.equal((await plain.post(call('no', 'fail'))).status, 202);
    t.match(await plain.line.until(/"id":"no"[^\n]*\n\n/), /"error":\{"code":-32602/);
    t.equal((await plain.post({ jsonrpc: '2.0', method: 'notifications/no_such' })).status, 202);
    t.equal((await plain.post({ jsonrpc: '2.0', id: 'unasked', result: {} })).status, 202);
    t.equal(upstream.received('tools/call').length, before);

    upstream.forgetSessions();
    await plain.post(call('late', 'echo'));
    t.match(await plain.line.until(/"id":"late"[^\n]*\n\n/), /-32001/);
    t.match(await plain.line.until(/\r\n0\r\n\r\n/), /late/, 'a session that the upstream forgot ends the stream');
    t.equal((await plain.post(call(9, 'echo'))).status, 404);
  },
);

t.test('batches of 2025-03-26 pass, on the stream [BT-01]', async (t) => {
  const { gateway, erin } = await start(t);
  const plain = await open(gateway, erin);
  await plain.initialize('2025-03-26');
  const answer = await plain.post([call('a', 'echo'), call('b', 'nothing'), call('c', 'progress')]);
  t.same([answer.status, answer.text], [202, '']);
  for (const id of ['a', 'b', 'c']) t.match(await plain.line.until(new RegExp(`"id":"${id}"[^\n]*\n\n`)), id);

  const sessionless = await start(t, { sessions: false });
  const other = await open(sessionless.gateway, sessionless.erin);
  await other.initialize();
  t.equal((await other.post([call('a', 'echo')])).status, 400, 'not where 2025-03-26 cannot be told');
  t.equal((await other.post(call('b', 'echo'))).status, 202);
  t.match(await other.line.until(/"id":"b"[^\n]*\n\n/), /"result"/, 'a server without sessions is served');
});

const HELD = {
  access_request_rules: [
    {
      name: 'slowly',
      connections: ['default'],
      access_type: 'command',
      when: 'tool.name == "slow"',
      reviewers_groups: ['dba'],
    },
  ],
};

function nextReview({ portcullis }: TestGateway): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  portcullis.gateway.recorder.reviews.onChange(({ state, id }) => state === 'PENDING' && resolve(id));
  return promise;
}

t.test(
  'a held call is let in at once and answered on the stream; who leaves gives it up [http-sse-downstream]',
  async (t) => {
    const { gateway, upstream, erin } = await start(t, {}, HELD);
    const dana = await gateway.person('dana', ['dba']);
    const plain = await open(gateway, erin);
    await plain.initialize();
    const first = nextReview(gateway);
    t.equal((await plain.post(call('held', 'slow', { n: 1 }))).status, 202);
    const id = await first;
    await send(`${gateway.url}/api/reviews/${id}`, dana, JSON.stringify({ status: 'APPROVED' }), {}, 'PUT');
    await upstream.arrival('slow');
    upstream.release();
    t.match(await plain.line.until(/"id":"held"[^\n]*\n\n/), /at last/);

    const second = nextReview(gateway);
    t.equal((await plain.post(call('again', 'slow', { n: 2 }))).status, 202);
    await second;
    plain.line.drop();
    await ended(upstream, 'slow');
    const { recorder } = gateway.portcullis.gateway;
    const outcome = async (): Promise<string | undefined> =>
      (await gateway.exchanges()).filter(({ name }) => name === 'slow').at(-1)?.outcome;
    while ((await outcome()) === undefined) await recorder.settled();
    t.equal(await outcome(), 'cancelled');
    t.equal(upstream.received('slow').length, 1, 'what nobody approved was not sent');
  },
);

t.test('a gateway that stops answers what is in work and then ends the stream [http-sse-downstream]', async (t) => {
  const { gateway, upstream, erin } = await start(t, {}, HELD);
  const plain = await open(gateway, erin);
  await plain.initialize();
  await plain.post(call('first', 'echo'));
  const review = nextReview(gateway);
  await plain.post(call('held', 'slow'));
  await review;
  await gateway.close();
  t.match(await plain.line.closed, /"id":"held".*pending[^]*\r\n0\r\n\r\n$/);
  t.ok(await ended(upstream, 'echo'), 'the session is over at the upstream too');
});

t.test(
  'an upstream that ends a stream and finishes it on a later one is asked on behalf of the client [S-11]',
  async (t) => {
    const { gateway, upstream, erin } = await start(t, {
      on: {
        async GET(request) {
          const id = request.headers['last-event-id'];
          if (id === undefined) return request.usual();
          const stream = request.stream();
          await stream.send({
            jsonrpc: '2.0',
            id: 'polled',
            result: { content: [{ type: 'text', text: `after ${id}` }] },
          });
          stream.end();
          return undefined;
        },
      },
      tools: {
        async polls(request) {
          const stream = request.stream();
          await stream.raw('id: e-1\nretry: 1\ndata: \n\n');
          stream.end();
        },
        async lost(request) {
          const stream = request.stream();
          await stream.raw('id: e-2\nretry: 1\ndata: \n\n');
          stream.end();
        },
      },
    });
    const plain = await open(gateway, erin);
    await plain.initialize('2025-11-25');
    await plain.post(call('polled', 'polls'));
    t.match(await plain.line.until(/"id":"polled"[^\n]*\n\n/), /after e-1/);
    await plain.post(call('lost', 'lost'));
    t.match(
      await plain.line.until(/"id":"lost"[^\n]*\n\n/),
      /"id":"lost","error":\{"code":1202/,
      'nobody waits for ever',
    );
    const standing = await upstream.opened();
    await standing.raw('retry: 1\n\n');
    standing.end();
    await (await upstream.opened()).notify('notifications/tools/list_changed');
    t.match(await plain.line.until(/list_changed/), /event: message\ndata: .*list_changed/, 'the standing stream too');
    t.equal(upstream.received('GET').filter(({ headers }) => headers['last-event-id'] !== undefined).length, 2);
  },
);

t.test('a client that does not read is waited for, message by message [back-pressure]', async (t) => {
  const principal = {
    issuer: 'test',
    subject: 'erin',
    groups: [],
    roles: [],
    actors: [],
    authenticatedBy: 'token',
  } as const;
  const arrival: Arrival = {
    credentials: { type: 'proven', principal, address: 'test' },
    httpMethod: 'GET',
    route: '/mcp/x',
    connection: 'x',
    headers: {},
    rawHeaders: [],
    body: Buffer.alloc(0),
    gone: new Abort(),
    carrier: '',
  };
  const asked: Arrival[] = [];
  const carriers = new Carriers({
    async *ask(each) {
      asked.push(each);
      yield { status: 405, mode: 'empty', headers: {}, outbound: [] };
    },
    sessions: new WireSessions({
      idleMs: 1000,
      mostPerCaller: 100,
      most: 1,
      seal: new Seal([Buffer.alloc(32)], 'test'),
    }),
    endSession: async () => undefined,
    now: Date.now,
    failed: (fault) => t.fail(String(fault)),
    most: 1,
    stopping: new Abort(),
  });
  const events = carriers.open(arrival, principal)[Symbol.asyncIterator]();
  const first = (await events.next()).value as readonly { raw: Buffer }[];
  t.throws(() => carriers.open(arrival, principal), { code: 'too_busy' });
  const id = /sessionId=(\w+)/.exec(String(first[0]?.raw))?.[1] ?? '';
  const gone = new Abort();
  const request = requestFrame('1', 'ping');
  const delivery = carriers.deliver(id, [request], gone);
  const answer = (frame: Frame): Reply => ({ status: 200, mode: 'json', headers: {}, outbound: [{ frame }] });
  const order: string[] = [];
  const taken = delivery
    .take(answer(notificationFrame('notifications/message')))
    .then((it) => order.push(`taken ${it}`));
  await events.next();
  order.push('pulled');
  const next = events.next();
  await taken;
  t.same(order, ['pulled', 'taken true'], 'taken when the next is asked for, not before');
  const finished = delivery.done();
  const error = (await next).value as readonly { raw: Buffer }[];
  t.match(String(error[0]?.raw), '"id":1,"error":{"code":1202', 'a request that nothing answered is not left open');

  const last = events.next();
  await finished;
  const late = carriers.deliver(id, [request], gone);
  const lost = late.take(answer(errorFrame('1', { code: 1, message: 'late' })));
  (arrival.gone as Abort).abort();
  t.equal(await lost, false);
  t.ok(gone.aborted, 'whoever waits for the client is told that it left');
  await late.done();
  t.equal((await last).done, true);
  t.equal(carriers.find(id, 'x', principal), undefined);
  t.equal(await carriers.deliver(id, [request], new Abort()).take(answer(request)), false);
  t.same(asked, [], 'without a session there is none to end');
});

/** A server that agrees to 2024-11-05. */
async function usual2024(
  request: Parameters<NonNullable<Handlers['on']>[string]>[0],
): Promise<undefined | { result: unknown }> {
  const answer = await request.usual();
  if (answer === undefined || typeof answer === 'string' || !('result' in answer)) return undefined;
  return { result: { ...(answer.result as object), protocolVersion: request.params['protocolVersion'] } };
}
