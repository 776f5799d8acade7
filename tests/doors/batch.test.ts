import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { decodeBatch, isBatch, MOST_IN_BATCH } from '../../proxy/wire/batch.ts';
import { FRAME_LIMITS, FrameFault } from '../../proxy/wire/frame.ts';
import { startUpstream, type Handlers, type Upstream } from '../fixture/upstream.ts';
import { send, startGateway, type Answer, type TestGateway } from '../gateway.ts';
import { dial } from './raw.ts';

const EMAIL = 'grace.hopper@example.com';
/** What the gateway asks for itself is not among these. */
const SENT = new Set(['tools/call', 'notifications/roots/list_changed']);
const PROGRESS = { _meta: { progressToken: 'p' } };

interface House {
  readonly gateway: TestGateway;
  readonly upstream: Upstream;
  readonly url: string;
  readonly erin: string;
  /** Headers of a session of erin's on this revision. */
  session(version?: string): Promise<Record<string, string>>;
}

async function start(t: Test, handlers: Handlers = {}, more: JsonObject = {}): Promise<House> {
  const upstream = await startUpstream(handlers);
  t.teardown(() => upstream.close());
  const access = { groups: ['eng', 'dba'] };
  const gateway = await startGateway(t, {
    connections: [
      { name: 'default', upstream: { url: upstream.url }, access },
      { name: 'child', upstream: { command: [process.execPath, '--version'] }, access },
    ],
    ...more,
  });
  const erin = await gateway.person('erin', ['eng']);
  const url = `${gateway.url}/mcp/default`;
  return {
    gateway,
    upstream,
    url,
    erin,
    async session(version = '2025-03-26') {
      const params = { protocolVersion: version, capabilities: {}, clientInfo: { name: 'test', version: '1' } };
      const opened = await send(url, erin, JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }));
      t.equal(opened.status, 200);
      return { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' };
    },
  };
}

const call = (id: string | number, name: string, args: JsonObject = {}, more: JsonObject = {}): JsonObject => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: args, ...more },
});
const note = (method = 'notifications/roots/list_changed'): JsonObject => ({ jsonrpc: '2.0', method });
const listOf = (answer: Answer): readonly JsonObject[] => JSON.parse(answer.text) as JsonObject[];
const byId = (messages: readonly JsonObject[], id: unknown): JsonObject =>
  messages.find((message) => message['id'] === id) ?? {};
const codeOf = (answer: Answer): unknown => (answer.json['error'] as JsonObject | undefined)?.['code'];

t.test('a batch of 2025-03-26 is split, and answered as one array [BT-01] [BT-02] [J-09]', async (t) => {
  const { gateway, upstream, url, erin, session } = await start(t);
  const headers = await session();
  const body = ` [ ${JSON.stringify(call('a', 'echo', { at: 1 }))} ,\n{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"n":[9007199254740993,1.0,-0]}}},${JSON.stringify(note())}] `;
  const answer = await send(url, erin, body, headers);
  t.equal(answer.status, 200);
  t.match(answer.headers.get('content-type'), 'application/json');
  t.equal(listOf(answer).length, 2, 'one answer for each request, none for the notification');
  t.match(byId(listOf(answer), 'a'), { result: { structuredContent: { at: 1 } } });
  t.match(answer.text, '"structuredContent":{"n":[9007199254740993,1.0,-0]}', 'numbers as they were written');

  t.same(
    upstream.received(({ method }) => SENT.has(method)).map(({ raw }) => String(raw)),
    [
      JSON.stringify(call('a', 'echo', { at: 1 })),
      body.slice(body.indexOf('\n') + 1, body.indexOf(`,${JSON.stringify(note())}`)),
      JSON.stringify(note()),
    ],
    'each leaves as a message of its own, in its order and with its own bytes',
  );
  const recorded = (await gateway.exchanges()).filter(({ method }) => SENT.has(method));
  t.equal(recorded.length, 3, 'each is a call of its own on record');

  const one = await send(url, erin, JSON.stringify([call(7, 'echo')]), headers);
  t.match(listOf(one), [{ id: 7, result: {} }], 'a batch of one has an array of one');
  const none = await send(url, erin, JSON.stringify([note(), note()]), headers);
  t.same([none.status, none.text], [202, ''], 'no request, no answer');
});

t.test('an upstream without sessions has batches too, where no later revision is named [BT-01]', async (t) => {
  const { upstream, url, erin } = await start(t, { sessions: false });
  const body = JSON.stringify([call(1, 'echo'), call(2, 'echo')]);
  t.equal(listOf(await send(url, erin, body)).length, 2);
  t.equal(listOf(await send(url, erin, body, { 'mcp-protocol-version': '2025-03-26' })).length, 2);
  const before = upstream.requests.length;
  for (const version of ['2025-06-18', '2025-11-25', '2026-07-28', '2024-11-05', 'x']) {
    const answer = await send(url, erin, body, { 'mcp-protocol-version': version, 'mcp-method': 'tools/call' });
    t.same([answer.status, codeOf(answer)], [400, -32600], version);
  }
  t.equal(upstream.requests.length, before);
});

t.test('a batch that is wrong as a whole is refused as a whole, and nothing of it runs [BT-03] [J-06]', async (t) => {
  const { upstream, url, erin, session } = await start(t);
  const headers = await session();
  const late = await session('2025-11-25');
  const good = call(1, 'echo');
  const modern = {
    ...note(),
    params: { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } },
  };
  const many = Array.from({ length: MOST_IN_BATCH + 1 }, (_, id) => call(id, 'echo'));
  const rows: readonly (readonly [title: string, body: string, headers: Record<string, string>, expected: object])[] = [
    ['a session of a later revision', JSON.stringify([good]), late, [400, -32600]],
    [
      'a header of a later revision',
      JSON.stringify([good]),
      { ...headers, 'mcp-protocol-version': '2025-06-18' },
      [400, -32600],
    ],
    ['empty', ' [ ] ', headers, [400, -32600]],
    ['nested', JSON.stringify([good, [call(2, 'echo')]]), headers, [400, -32600]],
    ['initialize inside', JSON.stringify([{ ...good, method: 'initialize' }]), headers, [400, -32600]],
    ['an id twice', JSON.stringify([good, call(1, 'fail')]), headers, [400, -32600]],
    [
      'an id twice, spelt in two ways',
      `[${JSON.stringify(call('a', 'echo'))},${JSON.stringify(call('a', 'echo')).replace('"a"', '"\\u0061"')}]`,
      headers,
      [400, -32600],
    ],
    ['requests and answers', JSON.stringify([good, { jsonrpc: '2.0', id: 2, result: {} }]), headers, [400, -32600]],
    ['a modern element', JSON.stringify([good, modern]), headers, [400, -32600]],
    ['too many', JSON.stringify(many), headers, [400, -32600]],
    ['an element that is no message', JSON.stringify([good, 1]), headers, [400, -32600]],
    [
      'a key twice in an element',
      `[${JSON.stringify(good)},{"jsonrpc":"2.0","id":2,"id":3,"method":"ping"}]`,
      headers,
      [400, -32600],
    ],
    ['not JSON', `[${JSON.stringify(good)},]`, headers, [400, -32700]],
    ['two of them', `[${JSON.stringify(good)}][]`, headers, [400, -32700]],
    ['an unknown session', JSON.stringify([good]), { 'mcp-session-id': 'made-up' }, [404, -32001]],
  ];
  const sent = (): number => upstream.received(({ method }) => SENT.has(method)).length;
  for (const [title, body, given, expected] of rows) {
    const answer = await send(url, erin, body, given);
    t.same([answer.status, codeOf(answer)], expected, title);
    t.notOk('id' in answer.json, `${title}: it is nobody's answer`);
  }
  const child = await send(url.replace('default', 'child'), erin, JSON.stringify([good]));
  t.same([child.status, codeOf(child)], [400, -32600], 'a command has sessions');
  const stranger = await send(url, 'no-token', JSON.stringify([good]), headers);
  t.equal(stranger.status, 401, 'a stranger is told nothing else');
  t.equal(sent(), 0, 'nothing reached the upstream');
});

t.test('each element is judged: a denied one has its own error, its siblings their answers [BT-02]', async (t) => {
  const rules = {
    access_control: [{ name: 'no-fail', connections: ['default'], groups: ['eng'], tools: { deny: ['fail'] } }],
    datamasking_rules: [
      {
        name: 'pii',
        connections: ['default'],
        supported_entity_types: [{ name: 'CONTACT', entity_types: ['EMAIL_ADDRESS'] }],
      },
    ],
  };
  const { gateway, upstream, url, erin, session } = await start(t, {}, rules);
  const headers = await session();
  const unknown = { jsonrpc: '2.0', id: 4, method: 'no/such' };
  const nameless = { jsonrpc: '2.0', id: 5, method: 'tools/call', params: {} };
  const answer = await send(
    url,
    erin,
    JSON.stringify([call(1, 'secrets'), call(2, 'fail'), call(3, 'echo'), unknown, nameless]),
    headers,
  );
  const list = listOf(answer);
  t.equal(list.length, 5);
  t.match(JSON.stringify(byId(list, 1)), '"result"');
  t.notMatch(answer.text, EMAIL, 'masked like any answer');
  t.match(byId(list, 2), { error: { code: -32602 } });
  t.match(byId(list, 3), { result: {} });
  t.match(byId(list, 4), { error: { code: -32601 } });
  t.match(byId(list, 5), { error: { code: -32602 } });
  t.equal(upstream.received('fail').length, 0, 'what is denied does not leave');
  const outcomes = (await gateway.exchanges()).map(({ name, outcome }) => [name, outcome]);
  t.ok(outcomes.some(([name, outcome]) => name === 'fail' && outcome === 'denied'));

  const refused = await send(url, erin, JSON.stringify([note(), note('notifications/no_such')]), headers);
  t.same([refused.status, 'id' in refused.json], [403, false], 'of notifications one refusal tells all');

  upstream.forgetSessions();
  const lost = await send(url, erin, JSON.stringify([call(1, 'echo'), call(2, 'echo')]), headers);
  t.equal(lost.status, 404, 'a session that the upstream forgot is told by the status that makes clients begin anew');
  t.same(
    listOf(lost).map(({ id }) => id),
    [1, 2],
  );
});

t.test(
  'the first element that streams makes a stream of the whole; a held one keeps nobody waiting [BT-02]',
  async (t) => {
    const rules = {
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
    const { gateway, upstream, erin, session } = await start(t, {}, rules);
    const dana = await gateway.person('dana', ['dba']);
    const headers = await session();
    const { recorder } = gateway.portcullis.gateway;
    const { promise: review, resolve } = Promise.withResolvers<string>();
    recorder.reviews.onChange(({ state, id }) => state === 'PENDING' && resolve(id));

    const body = JSON.stringify([call(1, 'slow'), call(2, 'echo'), call(3, 'progress', {}, PROGRESS)]);
    const line = dial(gateway.url);
    const head = `POST /mcp/default HTTP/1.1\r\nHost: 127.0.0.1:8800\r\nAuthorization: Bearer ${erin}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nMcp-Session-Id: ${headers['mcp-session-id']}\r\nConnection: close\r\n`;
    line.write(`${head}Content-Length: ${body.length}\r\n\r\n${body}`);
    const early = await line.until(/"id":3,"result"/);
    t.match(early, /text\/event-stream/);
    t.match(early, /step 1[^]*step 2/, 'every message of every element is an event');
    t.match(await line.until(/"id":2,"result"/), /"id":2/);
    const id = await review;
    t.notMatch(early, /"id":1,/, 'the held one is not answered');
    t.equal(upstream.received('slow').length, 0);
    await send(`${gateway.url}/api/reviews/${id}`, dana, JSON.stringify({ status: 'APPROVED' }), {}, 'PUT');
    await upstream.arrival('slow');
    upstream.release();
    t.match(await line.closed, /"id":1,"result":.*at last/);
    await recorder.settled();
    t.equal((await recorder.reviews.get(id))?.state, 'EXECUTED');
  },
);

t.test(
  'when the client leaves, every element ends as it would have alone: held ones are given up, sent ones are recorded [BT-02] [C-02]',
  async (t) => {
    const rules = {
      access_request_rules: [
        {
          name: 'held',
          connections: ['default'],
          access_type: 'command',
          when: 'tool.name == "fail"',
          reviewers_groups: ['dba'],
        },
      ],
    };
    const { gateway, upstream, erin, session } = await start(t, {}, rules);
    const headers = await session();
    const { recorder } = gateway.portcullis.gateway;
    const { promise: held, resolve } = Promise.withResolvers<void>();
    recorder.reviews.onChange(({ state }) => state === 'PENDING' && resolve());
    const body = JSON.stringify([call(1, 'slow'), call(2, 'fail'), call(3, 'echo')]);
    const line = dial(gateway.url);
    line.write(
      `POST /mcp/default HTTP/1.1\r\nHost: 127.0.0.1:8800\r\nAuthorization: Bearer ${erin}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nMcp-Session-Id: ${headers['mcp-session-id']}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    const [slow] = await Promise.all([upstream.arrival('slow'), upstream.arrival('echo'), held]);
    let aborted = false;
    void slow.gone.then(() => (aborted = true));
    line.drop();
    const settled = async (): Promise<readonly (readonly [string, string | undefined])[]> =>
      (await gateway.exchanges()).flatMap(({ name, outcome }) => (name === '' ? [] : [[name, outcome] as const]));
    while (!(await settled()).some(([name, outcome]) => name === 'fail' && outcome !== undefined))
      await recorder.settled();
    t.notOk(aborted, 'the call that was sent goes on');
    upstream.release();
    while ((await settled()).some(([, outcome]) => outcome === undefined)) await recorder.settled();
    t.same(
      new Map(await settled()),
      new Map([
        ['slow', 'answered'],
        ['fail', 'cancelled'],
        ['echo', 'answered'],
      ]),
    );
  },
);

t.test('however a batch is written, its elements are the values of its array [J-09]', async () => {
  const params = fc.dictionary(fc.string(), fc.jsonValue());
  const blank = fc.stringMatching(/^[ \t\r\n]{0,3}$/);
  fc.assert(
    fc.property(fc.array(params, { minLength: 1, maxLength: 8 }), blank, fc.boolean(), (all, space, pretty) => {
      const messages = all.map((each, id) => ({
        jsonrpc: '2.0',
        id,
        method: 'tools/call',
        params: { arguments: each },
      }));
      const texts = messages.map((message) => JSON.stringify(message, undefined, pretty ? 1 : undefined));
      const bytes = Buffer.from(`${space}[${space}${texts.join(`${space},${space}`)}${space}]${space}`);
      if (!isBatch(bytes)) return false;
      let frames;
      try {
        ({ frames } = decodeBatch(bytes, FRAME_LIMITS));
      } catch (fault) {
        // A key that looks like a reserved one, a lone surrogate: refused, as in a message that comes alone.
        return fault instanceof FrameFault;
      }
      return frames.every(({ text }, at) => text === texts[at]) && frames.length === texts.length;
    }),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('[', ']', '{', '}', ',', '"', '\\', '1', ':', ' ') }), (text) => {
      const bytes = Buffer.from(`[${text}`);
      try {
        decodeBatch(bytes, FRAME_LIMITS);
      } catch (fault) {
        return fault instanceof FrameFault;
      }
      return Array.isArray(JSON.parse(bytes.toString()));
    }),
    { numRuns: 2000 },
  );
});
