import fc from 'fast-check';
import t, { type Test } from 'tap';
import { Abort } from '../../proxy/abort.ts';
import { createHttpUpstream } from '../../proxy/forward/http.ts';
import { createModernFace } from '../../proxy/forward/translate/modern-face.ts';
import { legacyFrame, readRequest } from '../../proxy/forward/translate/modern-request.ts';
import { SuspendedCalls, type Waiting } from '../../proxy/forward/translate/modern-suspended.ts';
import { UpstreamFault, type Upstream } from '../../proxy/forward/upstream.ts';
import { decodeFrame, FRAME_LIMITS } from '../../proxy/wire/frame.ts';
import type { JsonObject } from '../../policies/types.ts';
import { startUpstream, type Handlers, type Upstream as Fixture } from '../fixture/upstream.ts';
import { ask, at, call, callerOf, modernText, PREFIX, stream, streamText } from './modern-drive.ts';

interface Setup {
  readonly face: Upstream;
  readonly upstream: Fixture;
  readonly clock: { now: number };
}

async function setUp(t: Test, handlers: Handlers = {}): Promise<Setup> {
  const upstream = await startUpstream({ eras: 'legacy', ...handlers });
  const clock = { now: 1_000_000 };
  const inner = createHttpUpstream({ url: upstream.url, credential: { 'x-own': 'fake' }, messageSize: 1_000_000 });
  const face = createModernFace(inner, {
    messageSize: 1_000_000,
    limits: FRAME_LIMITS,
    params: async () => [],
    now: () => clock.now,
  });
  t.teardown(async () => {
    await face.close();
    await inner.close();
    await upstream.close();
  });
  return { face, upstream, clock };
}

const RICH: JsonObject = { elicitation: { form: {}, url: {} }, sampling: { tools: {} }, roots: { listChanged: true } };

t.test('discover is made of what initialize says, in the client’s own capabilities [V-01] [K-01] [S-13]', async (t) => {
  const { face, upstream } = await setUp(t, {
    on: {
      initialize: async (request) => {
        await request.usual();
        const capabilities = { tools: { listChanged: true }, tasks: { list: {} }, resources: { subscribe: true } };
        const serverInfo = { name: 'old', version: '1' };
        const result = { protocolVersion: '2025-06-18', capabilities, serverInfo, instructions: 'be kind' };
        return { result };
      },
    },
  });
  const capabilities = { ...RICH, extensions: { 'io.modelcontextprotocol/tasks': {}, 'x.test/ui': { a: 1 } } };
  const told = await ask(face, 'server/discover', {}, { id: '"a"', capabilities });
  t.equal(told.status, 200);
  t.same(told.final, {
    jsonrpc: '2.0',
    id: 'a',
    result: {
      resultType: 'complete',
      supportedVersions: ['2026-07-28'],
      capabilities: { tools: { listChanged: true }, resources: { subscribe: true } },
      instructions: 'be kind',
      ttlMs: 0,
      cacheScope: 'private',
      _meta: { [`${PREFIX}serverInfo`]: { name: 'old', version: '1' } },
    },
  });
  const [initialize] = upstream.received('initialize');
  t.match(initialize!.json, {
    params: {
      protocolVersion: '2025-11-25',
      clientInfo: { name: 'driver' },
      capabilities: {
        elicitation: { form: {}, url: {} },
        sampling: { tools: {} },
        roots: {},
        extensions: { 'x.test/ui': { a: 1 } },
      },
    },
  });
  t.notMatch(initialize!.raw.toString(), /tasks|listChanged/);
  const initialized = await upstream.arrival('notifications/initialized');
  t.equal(initialized.headers['mcp-protocol-version'], '2025-06-18', 'the negotiated version is used from then on');
  t.ok(initialized.session);
});

t.test(
  'a request goes up without its envelope and comes back with its own id, all else byte for byte [J-09]',
  async (t) => {
    const { face, upstream } = await setUp(t);
    const raw = '{"n":9007199254740993,"f":1.0, "s":"\\u0061"}';
    const meta = { 'x.test/mine': 1, [`${PREFIX}logLevel`]: 'error', progressToken: 'mine' };
    const told = await ask(face, 'tools/call', { name: 'echo', task: { ttl: 1 } }, { id: '"q"', raw, meta });
    t.equal(at(told.final, 'id'), 'q');
    t.equal(at(told.final, 'result', 'resultType'), 'complete');
    t.match(told.texts[0], '"n":9007199254740993,"f":1.0,', 'numbers keep their digits both ways');
    const sent = await upstream.arrival('echo');
    t.match(sent.raw.toString(), raw);
    t.notMatch(sent.raw.toString(), /protocolVersion|clientCapabilities|clientInfo|logLevel|"task"/);
    t.match(sent.json, { params: { _meta: { 'x.test/mine': 1 } } });
    t.equal(at(sent.json as JsonObject, 'id'), at(sent.json as JsonObject, 'params', '_meta', 'progressToken'));
    t.match(sent.headers, { 'mcp-protocol-version': '2025-11-25', traceparent: 'trace', 'x-own': 'fake' });
    for (const name of Object.keys(sent.headers)) t.notMatch(name, /^mcp-(?:method|name|param)/);
  },
);

t.test('lists and reads say that they may not be kept, and annotations without meaning go [K-01]', async (t) => {
  const schema = {
    type: 'object',
    properties: { 'x-mcp-header': { type: 'string', 'x-mcp-header': 'A' }, b: { type: 'string', 'x-mcp-header': 'B' } },
  };
  const { face } = await setUp(t, { list: [{ name: 'one', inputSchema: schema }] });
  for (const method of ['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list']) {
    const { final } = await ask(face, method);
    t.match(at(final, 'result'), { resultType: 'complete', ttlMs: 0, cacheScope: 'private' }, method);
  }
  const read = await ask(face, 'resources/read', { uri: 'fixture://note' });
  t.match(at(read.final, 'result'), { resultType: 'complete', ttlMs: 0, cacheScope: 'private' });
  const prompt = await ask(face, 'prompts/get', { name: 'letter' });
  t.equal(at(prompt.final, 'result', 'ttlMs'), undefined, 'a prompt has no such hints');
  const { final } = await ask(face, 'tools/list');
  t.same(at((at(final, 'result', 'tools') as JsonObject[])[0], 'inputSchema'), {
    type: 'object',
    properties: { 'x-mcp-header': { type: 'string' }, b: { type: 'string' } },
  });
});

t.test('errors are told in the codes and statuses of the modern wire [E-10] [E-11] [E-12]', async (t) => {
  const codes: Record<string, number> = { missing: -32002, taken: -32021, plain: 1001, unknown: -32601 };
  const tools = Object.fromEntries(
    Object.entries(codes).map(([name, code]) => [name, () => ({ error: { code, message: name, data: { a: 1 } } })]),
  );
  for (const as of ['json', 'sse'] as const) {
    const { face } = await setUp(t, { as, tools: { ...tools, bare: () => ({ result: {} }) } });
    const told = async (name: string): Promise<unknown[]> => {
      const { status, final } = await call(face, name);
      return [status, at(final, 'error', 'code'), at(final, 'error', 'data', 'a')];
    };
    t.same(await told('missing'), [200, -32602, 1]);
    t.same(await told('taken'), [200, -32603, undefined]);
    t.same(await told('plain'), [200, 1001, 1]);
    t.same(await told('unknown'), [404, -32601, 1], `${as}: an unknown method is 404`);
    t.same(at((await call(face, 'bare')).final, 'result'), { resultType: 'complete', content: [] });
    t.equal((await ask(face, 'nothing/known')).status, 404);
  }
});

t.test('what only sessions or other protocols have is an unknown method, and nothing goes up [J-08]', async (t) => {
  const { face, upstream } = await setUp(t);
  for (const method of ['initialize', 'ping', 'logging/setLevel', 'tasks/get', 'tasks/cancel', 'resources/subscribe']) {
    const told = await ask(face, method, { taskId: '1', uri: 'a:b', level: 'info' });
    t.same([told.status, at(told.final, 'error', 'code')], [404, -32601], method);
  }
  t.equal(upstream.requests.length, 0);
});

t.test(
  'first calls at the same time open one session; other people and capabilities get others [G-10] [V-04]',
  async (t) => {
    const { face, upstream } = await setUp(t);
    await Promise.all(Array.from({ length: 10 }, () => call(face, 'echo')));
    t.equal(upstream.received('initialize').length, 1);
    await call(face, 'echo', {}, { who: 'grace' });
    t.equal(upstream.received('initialize').length, 2, 'another person');
    await call(face, 'echo', {}, { capabilities: RICH });
    t.equal(upstream.received('initialize').length, 3, 'other capabilities');
    await call(
      face,
      'echo',
      {},
      { capabilities: { roots: {}, sampling: { tools: {} }, elicitation: { url: {}, form: {} } } },
    );
    t.equal(upstream.received('initialize').length, 3, 'the same ones in another order');
    t.equal(new Set(upstream.received('echo').map(({ session }) => session)).size, 3);
  },
);

t.test('a session that nobody has needed for ten minutes is ended at the server', async (t) => {
  const { face, upstream, clock } = await setUp(t);
  await call(face, 'echo');
  clock.now += 9 * 60_000;
  await call(face, 'echo');
  const slow = call(face, 'slow', {}, { who: 'busy' });
  await upstream.arrival('slow');
  clock.now += 10 * 60_000;
  await call(face, 'echo', {}, { who: 'grace' });
  const ended = await upstream.arrival('DELETE');
  t.equal(ended.session, upstream.received('echo')[0]!.session);
  t.equal(upstream.received('initialize').length, 3, 'it was one until then');
  await face.close();
  t.equal(upstream.received('DELETE').length, 3, 'the others end with the face');
  upstream.release();
  await slow.catch(() => undefined);
});

t.test(
  'a session that the server forgot is opened again once, since its 404 says that nothing ran [S-04]',
  async (t) => {
    const { face, upstream } = await setUp(t);
    await call(face, 'echo');
    upstream.forgetSessions();
    const told = await call(face, 'echo', { a: 1 });
    t.same(at(told.final, 'result', 'structuredContent'), { a: 1 });
    t.equal(upstream.received('initialize').length, 2);
    t.equal(upstream.received('echo').length, 3, 'the refused one and its repetition');
  },
);

t.test('a call that may have run is never repeated, and says so [H-12]', async (t) => {
  const { face, upstream } = await setUp(t, {
    tools: {
      half: async (request) => {
        const open = request.stream();
        await open.notify('notifications/progress', { progressToken: request.meta['progressToken'], progress: 1 });
        request.cut();
      },
      cut: (request) => request.cut(),
    },
  });
  for (const name of ['cut', 'half']) {
    const fault = await call(face, name, {}, { meta: { progressToken: 1 } }).then(
      () => undefined,
      (it: unknown) => it,
    );
    t.ok(fault instanceof UpstreamFault && fault.sent, `${name}: it may have run`);
    t.equal(upstream.received(name).length, 1);
  }
});

t.test('nothing was sent when the session could not be opened, and refusals keep their status', async (t) => {
  const closed = await setUp(t, { on: { initialize: (request) => request.cut() } });
  const fault = await call(closed.face, 'echo').catch((it: unknown) => it);
  t.ok(fault instanceof UpstreamFault && !fault.sent);
  t.equal(closed.upstream.received('echo').length, 0);
  const refusing = await setUp(t, { on: { initialize: () => ({ status: 401 }) } });
  t.match(await call(refusing.face, 'echo'), { status: 401, mode: 'empty' });
});

t.test('progress comes with the client’s own token, logs only when they were asked for [P-01] [E-05]', async (t) => {
  const { face, upstream } = await setUp(t, {
    tools: {
      talk: async (request) => {
        const open = request.stream();
        const { progressToken } = request.meta;
        if (progressToken !== undefined) await open.notify('notifications/progress', { progressToken, progress: 1 });
        await open.notify('notifications/progress', { progressToken: 'somebody', progress: 1 });
        await open.notify('notifications/message', { level: 'info', data: 'low' });
        await open.notify('notifications/message', { level: 'error', data: 'high' });
        await open.notify('notifications/elicitation/complete', { elicitationId: 'x' });
        await open.send(request.envelope({ result: { content: [] } }));
        open.end();
      },
    },
  });
  const silent = await call(face, 'talk');
  t.equal(silent.messages.length, 1, 'nothing but the answer');
  const meta = { progressToken: '1', [`${PREFIX}logLevel`]: 'warning' };
  const told = await call(face, 'talk', {}, { meta });
  t.same(
    told.messages.slice(0, -1).map(({ method, params }) => [method, params]),
    [
      ['notifications/progress', { progressToken: '1', progress: 1 }],
      ['notifications/message', { level: 'error', data: 'high' }],
    ],
  );
  t.equal(upstream.received('logging/setLevel').length, 1);
  t.match(upstream.received('logging/setLevel')[0]!.json, { params: { level: 'warning' } });
});

t.test('the level of a session is the lowest that its requests in flight want', async (t) => {
  const { face, upstream } = await setUp(t);
  const level = (name: string): JsonObject => ({ [`${PREFIX}logLevel`]: name });
  const slow = call(face, 'slow', {}, { meta: level('debug') });
  await upstream.arrival('slow');
  await call(face, 'echo', {}, { meta: level('error') });
  upstream.release();
  await slow;
  await call(face, 'echo', {}, { meta: level('error') });
  t.same(
    upstream.received('logging/setLevel').map(({ json }) => at(json as JsonObject, 'params', 'level')),
    ['debug', 'error'],
  );
});

t.test('closing the call cancels it at the server under its id there [C-01] [H-12]', async (t) => {
  const { face, upstream } = await setUp(t);
  const abort = new Abort();
  const running = call(face, 'slow', {}, { abort, id: '77' });
  const sent = await upstream.arrival('slow');
  abort.abort();
  const fault = await running.catch((it: unknown) => it);
  t.ok(fault instanceof UpstreamFault && fault.sent);
  const cancelled = await upstream.arrival('notifications/cancelled');
  t.equal(at(cancelled.json as JsonObject, 'params', 'requestId'), at(sent.json as JsonObject, 'id'));
  t.equal(cancelled.session, sent.session);
});

t.test('a stream that its server closes after an event with an id is taken up again by the face [S-11]', async (t) => {
  let asked: { id: string; token: unknown } | undefined;
  const { face, upstream } = await setUp(t, {
    tools: {
      poll: async (request) => {
        asked = { id: request.idText, token: request.meta['progressToken'] };
        const open = request.stream();
        await open.send('', { id: 'e1', retry: 1 });
        open.end();
      },
    },
    on: {
      GET: async (request) => {
        const open = request.stream();
        if (request.headers['last-event-id'] === 'e1') {
          await open.send(
            {
              jsonrpc: '2.0',
              method: 'notifications/progress',
              params: { progressToken: asked!.token, progress: 1 },
            },
            { id: 'e2' },
          );
          open.end();
          return;
        }
        await open.send(`{"jsonrpc":"2.0","id":${asked!.id},"result":{"content":[]}}`);
        open.end();
      },
    },
  });
  const told = await call(face, 'poll', {}, { meta: { progressToken: 5 } });
  t.same(told.messages[0]!['params'], { progressToken: 5, progress: 1 });
  t.same(at(told.final, 'result', 'content'), []);
  t.same(
    upstream.received('GET').map(({ headers }) => headers['last-event-id']),
    ['e1', 'e2'],
  );
});

t.test('a stream that is closed again and again without a message is given up [S-11]', async (t) => {
  const { face, upstream } = await setUp(t, {
    on: {
      GET: async (request) => {
        const open = request.stream();
        await open.send('', { id: 'e', retry: 1 });
        open.end();
      },
    },
    tools: {
      poll: async (request) => {
        const open = request.stream();
        await open.send('', { id: 'e', retry: 1 });
        open.end();
      },
    },
  });
  const fault = await call(face, 'poll').catch((it: unknown) => it);
  t.ok(fault instanceof UpstreamFault && fault.sent);
  t.equal(upstream.received('GET').length, 10);
});

/** Asks an elicitation, then says what was answered. */
const asking: Handlers['tools'] = {
  ask: async (request) => {
    const open = request.stream();
    const params = { message: 'who?', requestedSchema: { type: 'object', properties: {} } };
    const answer = await open.ask('elicitation/create', params, 7);
    await open.notify('notifications/progress', { progressToken: request.meta['progressToken'], progress: 2 });
    const said = at(answer.json as JsonObject, 'result') ?? at(answer.json as JsonObject, 'error');
    await open.send(request.envelope({ result: { content: [{ type: 'text', text: JSON.stringify(said) }] } }));
    open.end();
  },
};

const stateOf = (message: JsonObject): string => at(message, 'result', 'requestState') as string;

t.test(
  'a question of the server suspends the call; the retry’s answer is the rest of its stream [M-01] [M-02] [M-06]',
  async (t) => {
    const { face, upstream } = await setUp(t, { tools: asking });
    const first = await call(face, 'ask', { a: 1 }, { capabilities: RICH });
    t.match(first.final, {
      id: 1,
      result: {
        resultType: 'input_required',
        inputRequests: { 'input-1': { method: 'elicitation/create', params: { message: 'who?' } } },
      },
    });
    t.equal(at(first.final, 'result', 'ttlMs'), undefined, 'it has no cache hints');
    const retry: JsonObject = {
      name: 'ask',
      arguments: { a: 1 },
      requestState: stateOf(first.final),
      inputResponses: { 'input-1': { action: 'accept', content: { name: 'Ada' } } },
    };
    const again = { id: '"second"', capabilities: RICH, meta: { progressToken: 'tok' } };
    for (const [what, params, who] of [
      ['a stranger', retry, 'mallory'],
      ['another call', { ...retry, name: 'echo' }, 'ada'],
      ['other arguments', { ...retry, arguments: { a: 2 } }, 'ada'],
      ['an invented state', { ...retry, requestState: 'AAAAAAAAAAAAAAAAAAAAAA' }, 'ada'],
      ['no state at all', { ...retry, requestState: 1 }, 'ada'],
      ['an answer that is no object', { ...retry, inputResponses: { 'input-1': 'yes' } }, 'ada'],
    ] as const) {
      const told = await ask(face, 'tools/call', params, { ...again, who });
      t.same([told.status, at(told.final, 'error', 'code')], [200, -32602], what);
    }
    t.equal(upstream.received('response').length, 0, 'nothing was answered for them');
    const missing = await ask(face, 'tools/call', { ...retry, inputResponses: { other: {} } }, again);
    t.match(missing.final, {
      id: 'second',
      result: { inputRequests: { 'input-1': { method: 'elicitation/create' } } },
    });
    const told = await ask(face, 'tools/call', { ...retry, requestState: stateOf(missing.final) }, again);
    t.equal(upstream.received('ask').length, 1, 'the call ran once');
    t.match(upstream.received('response')[0]!.raw.toString(), '"id":7,"result":{"action":"accept"');
    t.same(told.messages.length, 1, 'progress of the first request’s token belongs to nobody');
    t.equal(at(told.final, 'id'), 'second');
    t.match(told.texts.at(-1), 'Ada');
    const late = await ask(face, 'tools/call', { ...retry, requestState: stateOf(missing.final) }, again);
    t.equal(at(late.final, 'error', 'code'), -32602, 'a state is good once');
  },
);

t.test('progress after a retry has the retry’s token', async (t) => {
  const { face } = await setUp(t, { tools: asking });
  const first = await call(face, 'ask', {}, { capabilities: RICH, meta: { progressToken: 1 } });
  const retry = {
    name: 'ask',
    arguments: {},
    requestState: stateOf(first.final),
    inputResponses: { 'input-1': { action: 'decline' } },
  };
  const told = await ask(face, 'tools/call', retry, { capabilities: RICH, meta: { progressToken: 'two' } });
  t.same(told.messages[0]!['params'], { progressToken: 'two', progress: 2 });
  t.match(told.texts.at(-1), 'decline', 'a refusal is passed on as it is');
});

t.test('questions that came together are put together; ping is answered by the face [P-03]', async (t) => {
  const { face, upstream } = await setUp(t, {
    tools: {
      many: async (request) => {
        const open = request.stream();
        const question = (id: string, method: string, params: object): string =>
          `data: ${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n\n`;
        await open.raw(
          question('p', 'ping', {}) +
            question('e', 'elicitation/create', {
              mode: 'url',
              elicitationId: 'gone',
              message: 'open',
              url: 'https://x.test/',
            }) +
            question('s', 'sampling/createMessage', { messages: [], maxTokens: 1 }).replace(
              '1}}',
              '9007199254740993}}',
            ) +
            question('r', 'roots/list', {}),
        );
        await upstream.arrival('response', 4);
        await open.send(request.envelope({ result: { content: [] } }));
        open.end();
      },
    },
  });
  const first = await call(face, 'many', {}, { capabilities: RICH });
  const requests = at(first.final, 'result', 'inputRequests') as JsonObject;
  t.same(
    Object.values(requests).map((it) => at(it, 'method')),
    ['elicitation/create', 'sampling/createMessage', 'roots/list'],
  );
  t.notMatch(first.texts[0], /elicitationId/);
  t.match(first.texts[0], '"maxTokens":9007199254740993', 'numbers keep their digits');
  t.match(upstream.received('response')[0]!.json, { id: 'p', result: {} });
  const inputResponses = { 'input-1': { action: 'accept' }, 'input-2': { model: 'm' }, 'input-3': { roots: [] } };
  const retry = { name: 'many', arguments: {}, requestState: stateOf(first.final), inputResponses };
  const told = await ask(face, 'tools/call', retry, { capabilities: RICH });
  t.same(at(told.final, 'result', 'content'), []);
  t.same(
    upstream.received('response').map(({ json }) => at(json as JsonObject, 'id')),
    ['p', 'e', 's', 'r'],
  );
});

t.test(
  'what the client did not declare on this request is refused to the server, and the call goes on [M-03]',
  async (t) => {
    const { face, upstream } = await setUp(t, { tools: asking });
    for (const [capabilities, code] of [
      [{}, -32601],
      [{ sampling: {} }, -32601],
      [{ elicitation: { url: {} } }, -32602],
    ] as const) {
      const told = await call(face, 'ask', {}, { capabilities });
      t.equal(told.messages.length, 1);
      t.match(told.texts[0], String(code));
    }
    t.equal(upstream.received('response').length, 3);
  },
);

t.test('a method whose result cannot ask for input gets no questions [M-01]', async (t) => {
  const { face } = await setUp(t, {
    on: {
      'tools/list': async (request) => {
        const open = request.stream();
        const answer = await open.ask('roots/list');
        t.match(answer.json, { error: { code: -32601 } });
        await open.send(request.envelope({ result: { tools: [] } }));
        open.end();
      },
    },
  });
  const told = await ask(face, 'tools/list', {}, { capabilities: RICH });
  t.same(at(told.final, 'result', 'tools'), []);
});

t.test(
  'a client that never comes back: after ten minutes the call is cancelled and its state is worth nothing',
  async (t) => {
    const { face, upstream, clock } = await setUp(t, { tools: asking });
    const first = await call(face, 'ask', {}, { capabilities: RICH });
    clock.now += 10 * 60_000;
    const retry = { name: 'ask', arguments: {}, requestState: stateOf(first.final), inputResponses: { 'input-1': {} } };
    const told = await ask(face, 'tools/call', retry, { capabilities: RICH });
    t.equal(at(told.final, 'error', 'code'), -32602);
    const cancelled = await upstream.arrival('notifications/cancelled');
    t.equal(
      at(cancelled.json as JsonObject, 'params', 'requestId'),
      at(upstream.received('ask')[0]!.json as JsonObject, 'id'),
    );
  },
);

t.test('an error that wants a URL opened becomes a question, and the retry a new call [E-11]', async (t) => {
  let open = false;
  const { face, upstream } = await setUp(t, {
    tools: {
      gated: () =>
        open
          ? { result: { content: [] } }
          : {
              error: {
                code: -32042,
                message: 'sign in first',
                data: {
                  elicitations: [{ mode: 'url', elicitationId: 'e', message: 'sign in', url: 'https://x.test/in' }],
                },
              },
            },
    },
  });
  const poor = await call(face, 'gated');
  t.same([poor.status, at(poor.final, 'error', 'code')], [400, -32021]);
  t.same(at(poor.final, 'error', 'data'), { requiredCapabilities: { elicitation: { url: {} } } });
  const first = await call(face, 'gated', {}, { capabilities: RICH });
  t.same(at(first.final, 'result', 'inputRequests'), {
    'input-1': { method: 'elicitation/create', params: { mode: 'url', message: 'sign in', url: 'https://x.test/in' } },
  });
  const retry = (message: JsonObject, action: string): JsonObject => ({
    name: 'gated',
    arguments: {},
    requestState: stateOf(message),
    inputResponses: { 'input-1': { action } },
  });
  const declined = await ask(face, 'tools/call', retry(first.final, 'decline'), { capabilities: RICH });
  t.match(at(declined.final, 'result'), { isError: true, resultType: 'complete' });
  t.equal(upstream.received('gated').length, 2, 'and was not called again');
  const second = await call(face, 'gated', {}, { capabilities: RICH });
  open = true;
  const done = await ask(face, 'tools/call', retry(second.final, 'accept'), { capabilities: RICH });
  t.same(at(done.final, 'result'), { content: [], resultType: 'complete' });
  t.notMatch(upstream.received('gated').at(-1)!.raw.toString(), /requestState|inputResponses/);
});

t.test('a listen stream acknowledges what it honours and tags what it tells [L-01] [L-02]', async (t) => {
  const { face, upstream } = await setUp(t, {
    on: {
      initialize: async (request) => {
        await request.usual();
        const capabilities = {
          tools: { listChanged: true },
          prompts: {},
          resources: { subscribe: true, listChanged: true },
        };
        return { result: { protocolVersion: '2025-11-25', capabilities, serverInfo: { name: 'x', version: '1' } } };
      },
      'resources/subscribe': (request) =>
        request.params['uri'] === 'a:no' ? { error: { code: -32602, message: 'no' } } : { result: {} },
      'resources/unsubscribe': () => ({ result: {} }),
      GET: async (request) => {
        const open = request.stream();
        get.resolve(open);
        await open.closed;
        gone.resolve();
      },
    },
  });
  const get = Promise.withResolvers<Awaited<ReturnType<Fixture['opened']>>>();
  const gone = Promise.withResolvers<void>();
  const [one, two] = [new Abort(), new Abort()];
  const notifications = { toolsListChanged: true, promptsListChanged: true, resourceSubscriptions: ['a:b', 'a:no'] };
  const first = stream(face, 'subscriptions/listen', { notifications }, { id: '1', abort: one });
  const second = stream(
    face,
    'subscriptions/listen',
    { notifications: { resourcesListChanged: true, resourceSubscriptions: ['a:b'] } },
    { id: '"1"', abort: two },
  );
  const next = async (from: typeof first): Promise<JsonObject> =>
    JSON.parse((await from.next()).value!.text) as JsonObject;
  const tag = (id: unknown): JsonObject => ({ [`${PREFIX}subscriptionId`]: id as number });
  t.same((await next(first))['params'], {
    notifications: { toolsListChanged: true, resourceSubscriptions: ['a:b'] },
    _meta: tag(1),
  });
  t.same((await next(second))['params'], {
    notifications: { resourcesListChanged: true, resourceSubscriptions: ['a:b'] },
    _meta: tag('1'),
  });
  t.equal(upstream.received('GET').length, 1, 'one GET stream for all');
  t.equal(upstream.received(({ name }) => name === 'a:b').length, 1, 'one subscription for both');
  const open = await get.promise;
  const refused = await open.ask('roots/list');
  t.match(refused.json, { error: { code: -32601 } }, 'questions here belong to no call');
  await open.notify('notifications/message', { level: 'error', data: 'log' });
  await open.notify('notifications/tools/list_changed');
  await open.notify('notifications/resources/list_changed', { _meta: { own: 1 } });
  await open.notify('notifications/resources/updated', { uri: 'a:other' });
  await open.notify('notifications/resources/updated', { uri: 'a:b' });
  t.match(await next(first), { method: 'notifications/tools/list_changed', params: { _meta: tag(1) } });
  t.match(await next(first), { method: 'notifications/resources/updated', params: { uri: 'a:b', _meta: tag(1) } });
  t.match(await next(second), {
    method: 'notifications/resources/list_changed',
    params: { _meta: { own: 1, ...tag('1') } },
  });
  t.match(await next(second), { method: 'notifications/resources/updated', params: { _meta: tag('1') } });
  two.abort();
  await t.rejects(second.next());
  t.equal(upstream.received('resources/unsubscribe').length, 0, 'the other still listens');
  await face.close();
  t.match(await next(first), { id: 1, result: { resultType: 'complete', _meta: tag(1) } }, 'a good end says so [L-04]');
  await gone.promise;
});

t.test('when the last listener leaves, so do its subscription and its stream', async (t) => {
  const { face, upstream } = await setUp(t, {
    on: {
      initialize: () => ({
        result: { protocolVersion: '2025-11-25', capabilities: { resources: { subscribe: true } }, serverInfo: {} },
      }),
      'resources/subscribe': () => ({ result: {} }),
      'resources/unsubscribe': () => ({ result: {} }),
    },
    sessions: false,
  });
  const abort = new Abort();
  const listening = stream(
    face,
    'subscriptions/listen',
    { notifications: { resourceSubscriptions: ['a:b'] } },
    { abort },
  );
  await listening.next();
  const get = await upstream.opened();
  abort.abort();
  await upstream.arrival('resources/unsubscribe');
  await get.closed;
  await t.rejects(listening.next());
});

t.test('a GET stream that breaks is opened again; a server without one is no fault', async (t) => {
  let times = 0;
  const { face } = await setUp(t, {
    on: {
      GET: async (request) => {
        const open = request.stream();
        times += 1;
        if (times === 1) request.cut();
        else await open.notify('notifications/tools/list_changed');
      },
    },
  });
  const abort = new Abort();
  const listening = stream(face, 'subscriptions/listen', { notifications: { toolsListChanged: true } }, { abort });
  await listening.next();
  t.match((await listening.next()).value?.text, 'list_changed');
  abort.abort();

  const without = await setUp(t, {
    on: { GET: () => ({ status: 405 }) },
    tools: {
      change: async (request) => {
        const open = request.stream();
        await open.notify('notifications/tools/list_changed');
        await open.send(request.envelope({ result: { content: [] } }));
        open.end();
      },
    },
  });
  const alone = stream(without.face, 'subscriptions/listen', { notifications: { toolsListChanged: true } });
  t.match((await alone.next()).value?.text, 'acknowledged');
  const told = await call(without.face, 'change');
  t.equal(told.messages.length, 1, 'what is about the session is not told to the call');
  t.match((await alone.next()).value?.text, 'tools/list_changed', 'but to those who listen');
});

t.test('calls of two people with equal ids and tokens never cross [P-01] [G-10] [J-03]', async (t) => {
  const { face, upstream } = await setUp(t, {
    tools: {
      whoami: async (request) => {
        const open = request.stream();
        await upstream.arrival('whoami', 40);
        const text = JSON.stringify(request.params['arguments']);
        await open.notify('notifications/progress', {
          progressToken: request.meta['progressToken'],
          progress: 1,
          message: text,
        });
        await open.send(request.envelope({ result: { content: [{ type: 'text', text }] } }));
        open.end();
      },
    },
  });
  await Promise.all(
    ['ada', 'grace'].flatMap((who) =>
      Array.from({ length: 20 }, async (_, n) => {
        const told = await call(face, 'whoami', { who, n }, { who, id: '1', meta: { progressToken: 'same' } });
        t.match(told.messages[0], { params: { progressToken: 'same', message: JSON.stringify({ who, n }) } });
        t.match(told.final, { id: 1, result: { content: [{ text: JSON.stringify({ who, n }) }] } });
      }),
    ),
  );
  const sessions = new Map<string, Set<string>>();
  for (const { session, json } of upstream.received('whoami')) {
    const who = at(json as JsonObject, 'params', 'arguments', 'who') as string;
    sessions.set(who, (sessions.get(who) ?? new Set()).add(session!));
  }
  t.same(
    [...sessions.values()].map((it) => it.size),
    [1, 1],
  );
  const ids = upstream.received('whoami').map(({ session, json }) => `${session} ${at(json as JsonObject, 'id')}`);
  t.equal(new Set(ids).size, 40, 'ids are unique within a session');
});

t.test('whatever a request holds, its restated form differs in envelope, id and token only [J-09]', async () => {
  const json = fc.json({ maxDepth: 3 });
  const token = fc.option(fc.oneof(fc.string(), fc.maxSafeInteger()), { nil: undefined });
  const ids = fc.oneof(fc.string({ maxLength: 20 }), fc.maxSafeInteger());
  fc.assert(
    fc.property(
      ids,
      token,
      json,
      fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.jsonValue()),
      fc.nat(),
      (id, progressToken, raw, own, n) => {
        const meta = { ...(own as JsonObject), ...(progressToken === undefined ? {} : { progressToken }) };
        const text = modernText('tools/call', { name: 'x' }, { id: JSON.stringify(id), raw, meta });
        const request = readRequest(decodeFrame(Buffer.from(text), FRAME_LIMITS));
        const out = legacyFrame(request, n);
        const value = JSON.parse(out.text) as JsonObject;
        const { progressToken: sent, ...rest } = (at(value, 'params', '_meta') ?? {}) as JsonObject;
        return (
          value['id'] === n &&
          sent === (progressToken === undefined ? undefined : n) &&
          JSON.stringify(rest) === JSON.stringify(own) &&
          out.text.includes(`"arguments":${raw}`) &&
          request.token === (progressToken === undefined ? undefined : JSON.stringify(progressToken)) &&
          decodeFrame(out.bytes, FRAME_LIMITS).id === String(n)
        );
      },
    ),
    { numRuns: 2_000 },
  );
});

t.test('whatever token a client chose, its progress comes with exactly that text [P-01]', async (t) => {
  const { face } = await setUp(t);
  const tokens = fc.oneof(
    fc.string({ maxLength: 30 }).map((text) => JSON.stringify(text)),
    fc.maxSafeInteger().map(String),
    fc.constantFrom('"\\u0061"', '"1"', '""'),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(tokens, { minLength: 1, maxLength: 5 }), async (all) => {
      const told = await Promise.all(
        all.map(async (token) => {
          const texts: string[] = [];
          const request = modernText('tools/call', { name: 'progress' }).replace(
            '"_meta":{',
            () => `"_meta":{"progressToken":${token},`,
          );
          for await (const { text } of streamText(face, 'tools/call', request)) texts.push(text);
          return texts;
        }),
      );
      return told.every(
        (texts, n) =>
          texts.length === 3 && texts.slice(0, 2).every((text) => text.includes(`"progressToken":${all[n]},`)),
      );
    }),
    { numRuns: 60 },
  );
});

t.test(
  'statuses about the gateway’s own access stay statuses; events of other names are no messages [E-04]',
  async (t) => {
    const body = (request: { envelope(it: object): string }): string =>
      request.envelope({ error: { code: -32000, message: 'who are you' } });
    const headers = { 'content-type': 'application/json' };
    const { face } = await setUp(t, {
      tools: {
        barred: (request) => ({ status: 401, headers, body: body(request as never) }),
        moved: (request) => ({ status: 302, headers, body: body(request as never) }),
        broken: (request) => ({ status: 400, headers, body: body(request as never) }),
        named: async (request) => {
          const open = request.stream();
          await open.send('not json', { event: 'custom' });
          await open.send(request.envelope({ result: { content: [] } }), { event: 'message' });
          open.end();
        },
      },
    });
    t.match(await call(face, 'barred'), { status: 401, mode: 'empty' });
    t.match(await call(face, 'moved'), { status: 302, mode: 'empty' });
    t.match(await call(face, 'broken'), { status: 200, final: { id: 1, error: { code: -32000 } } });
    t.match(await call(face, 'named'), { final: { result: { content: [] } } });
  },
);

t.test('a server that answers initialize with a revision without sessions is not used', async (t) => {
  const { face, upstream } = await setUp(t, {
    on: { initialize: () => ({ result: { protocolVersion: '2099-01-01\r\nx: y', capabilities: {} } }) },
  });
  await t.rejects(call(face, 'echo'), { code: 'upstream_invalid' });
  t.equal(upstream.received('echo').length, 0);
});

t.test('who waits for a session and leaves does not take it from the others', async (t) => {
  const gate = Promise.withResolvers<void>();
  const { face, upstream } = await setUp(t, {
    on: {
      initialize: async (request) => {
        await gate.promise;
        return request.usual();
      },
    },
  });
  const abort = new Abort();
  const leaving = call(face, 'echo', {}, { abort });
  const staying = call(face, 'echo', { stays: true });
  await upstream.arrival('initialize');
  abort.abort();
  const fault = await leaving.catch((it: unknown) => it);
  t.ok(fault instanceof UpstreamFault && !fault.sent, 'nothing of its call was sent');
  gate.resolve();
  t.same(at((await staying).final, 'result', 'structuredContent'), { stays: true });
  t.equal(upstream.received('initialize').length, 1);

  const alone = new Abort();
  const only = call(face, 'echo', {}, { who: 'only', abort: alone });
  alone.abort();
  await t.rejects(only);
  await call(face, 'echo', {}, { who: 'only' });
  t.equal(upstream.received('echo').length, 2);
});

t.test('one principal has at most 32 sessions: the longest unused one makes room', async (t) => {
  const { face, upstream } = await setUp(t);
  for (let n = 0; n < 33; n += 1) await call(face, 'echo', {}, { capabilities: { experimental: { [`x${n}`]: {} } } });
  const ended = await upstream.arrival('DELETE');
  t.equal(ended.session, upstream.received('echo')[0]!.session);
  t.equal(upstream.received('DELETE').length, 1);
});

t.test('the oldest suspended call of an owner makes room for his next, and nobody else’s [M-04]', async (t) => {
  let now = 0;
  const expired: string[] = [];
  const calls = new SuspendedCalls<Waiting>(() => now);
  const waiting = (owner: string, digest: string): Waiting => ({
    owner,
    digest,
    expire: () => void expired.push(digest),
  });
  const first = calls.add(waiting('ada', 'first'));
  const states = Array.from({ length: 999 }, (_, n) => calls.add(waiting('eve', `eve ${n}`)));
  calls.add(waiting('eve', 'one more'));
  t.same(expired, ['eve 0'], 'her own goes');
  t.equal(calls.size, 1000);
  t.equal(calls.take(first, 'eve', 'first'), undefined);
  t.equal(calls.take(first, 'ada', 'other'), undefined);
  t.ok(calls.take(first, 'ada', 'first'));
  t.equal(calls.take(first, 'ada', 'first'), undefined, 'once');
  t.equal(new Set(states).size, 999);
  for (const state of states) t.ok(Buffer.from(state, 'base64url').length === 16);
  now += 10 * 60_000;
  calls.sweep();
  t.equal(calls.size, 0);
  t.equal(expired.length, 1000);
});

t.test('a session lost before a request for logs is opened again too', async (t) => {
  const { face, upstream } = await setUp(t);
  const meta = { [`${PREFIX}logLevel`]: 'info' };
  await call(face, 'echo', {}, { meta });
  upstream.forgetSessions();
  const told = await call(face, 'echo', {}, { meta: { [`${PREFIX}logLevel`]: 'debug' } });
  t.equal(at(told.final, 'result', 'resultType'), 'complete');
  t.equal(upstream.received('echo').length, 2);
});

t.test('a call whose server is silent begins for the client before it is answered [H-10]', async (t) => {
  const gate = Promise.withResolvers<void>();
  const { face } = await setUp(t, {
    tools: {
      quiet: async (request) => {
        const open = request.stream();
        await gate.promise;
        await open.send(request.envelope({ result: { content: [] } }));
        open.end();
      },
    },
  });
  const text = modernText('tools/call', { name: 'quiet' });
  const answer = await face.send({
    httpMethod: 'POST',
    frame: decodeFrame(Buffer.from(text), FRAME_LIMITS),
    headers: {},
    signal: new Abort(),
    caller: callerOf('ada', 'tools/call'),
  });
  t.match(answer, { status: 200, mode: 'sse', events: { ready: false } });
  gate.resolve();
  const told: string[] = [];
  for await (const events of answer.events!) for (const { data } of events) told.push(String(data));
  t.match(told, [/"resultType":"complete"/]);
});

t.test('leaving during a retry, or in the middle of a stream, cancels the call at the server too [C-01]', async (t) => {
  const forEver: Handlers['tools'] = {
    ask: async (request) => {
      const open = request.stream();
      await open.ask('elicitation/create', { message: 'who?', requestedSchema: {} });
      await open.notify('notifications/progress', { progressToken: request.meta['progressToken'], progress: 1 });
      await open.closed;
    },
  };
  const { face, upstream } = await setUp(t, { tools: forEver });
  const meta = { progressToken: 1 };
  const begun = async (): Promise<JsonObject> => {
    const first = await call(face, 'ask', {}, { capabilities: RICH, meta });
    const inputResponses = { 'input-1': { action: 'cancel' } };
    return { name: 'ask', arguments: {}, requestState: stateOf(first.final), inputResponses };
  };
  const idOf = (n: number): unknown => at(upstream.received('ask')[n]!.json as JsonObject, 'id');
  const cancelled = async (n: number): Promise<unknown> =>
    at((await upstream.arrival('notifications/cancelled', n + 1)).json as JsonObject, 'params', 'requestId');

  const abort = new Abort();
  const retry = stream(face, 'tools/call', await begun(), { capabilities: RICH, meta, abort });
  t.match((await retry.next()).value?.text, 'progress');
  abort.abort();
  await t.rejects(retry.next());
  t.equal(await cancelled(0), idOf(0), 'the connection was closed');

  const left = stream(face, 'tools/call', await begun(), { capabilities: RICH, meta });
  t.match((await left.next()).value?.text, 'progress');
  await left.return(undefined);
  t.equal(await cancelled(1), idOf(1), 'the reader left');
});

t.test('a suspended call whose server died says that it may have run [H-12]', async (t) => {
  const { face } = await setUp(t, {
    tools: {
      ask: async (request) => {
        const open = request.stream();
        await open.ask('elicitation/create', { message: 'who?', requestedSchema: {} });
        open.cut();
      },
    },
  });
  const first = await call(face, 'ask', {}, { capabilities: RICH });
  const inputResponses = { 'input-1': { action: 'accept', content: {} } };
  const retry = { name: 'ask', arguments: {}, requestState: stateOf(first.final), inputResponses };
  const fault = await ask(face, 'tools/call', retry, { capabilities: RICH }).catch((it: unknown) => it);
  t.ok(fault instanceof UpstreamFault && fault.sent);
});

/** A server whose tool `aside` asks on the session's GET stream, in the name that it was called with, and answers without a stream. */
function besides(upstream: () => Fixture): Handlers {
  return {
    tools: {
      aside: async (request) => {
        const { text } = request.params['arguments'] as { text: string };
        const answer = await upstream().streams.at(-1)!.ask('roots/list', { text }, text);
        return { result: { content: [{ type: 'text', text: JSON.stringify(answer.json) }] } };
      },
    },
  };
}

const retryOf = (name: string, args: JsonObject, first: JsonObject): JsonObject => ({
  name,
  arguments: args,
  requestState: stateOf(first),
  inputResponses: { 'input-1': { roots: [{ uri: 'file:///a' }] } },
});

t.test(
  'a question on the session’s stream suspends the call in flight, though it said nothing yet [M-01] [S-08]',
  async (t) => {
    const setup = await setUp(
      t,
      besides(() => setup.upstream),
    );
    const { face, upstream } = setup;
    const first = await call(face, 'aside', { text: 'one' }, { capabilities: RICH });
    t.match(first.final, {
      id: 1,
      result: { resultType: 'input_required', inputRequests: { 'input-1': { method: 'roots/list' } } },
    });
    const told = await ask(face, 'tools/call', retryOf('aside', { text: 'one' }, first.final), {
      id: '2',
      capabilities: RICH,
    });
    t.match(told.final, { id: 2, result: { resultType: 'complete' } });
    t.match(told.texts.at(-1), /file:\/\/\/a/);
    const get = upstream.streams[0]!;
    get.cut();
    await get.closed;
    await upstream.arrival('GET', 2);
    const again = await call(face, 'aside', { text: 'two' }, { capabilities: RICH });
    t.match(again.final, { result: { resultType: 'input_required' } }, 'a broken stream is opened again');
    t.same(
      [upstream.received('initialize').length, upstream.received('GET').length],
      [1, 2],
      'one stream for one session',
    );
  },
);

t.test('whoever gives a suspended call up, or withdraws its question, leaves nobody waiting [M-01]', async (t) => {
  const asked = Promise.withResolvers<JsonObject>();
  const setup = await setUp(t, {
    tools: {
      ...besides(() => setup.upstream).tools,
      never: async (request) => {
        asked.resolve((await setup.upstream.streams.at(-1)!.ask('roots/list')).json as JsonObject);
        await request.gone;
      },
    },
  });
  const { face, upstream, clock } = setup;
  const first = await call(face, 'never', {}, { capabilities: RICH });
  t.match(first.final, { result: { resultType: 'input_required' } });
  clock.now += 11 * 60_000;
  await ask(face, 'tools/list', {}, { capabilities: RICH });
  t.match(await asked.promise, { error: { code: -32601 } }, 'its client never came back');
  await upstream.arrival('notifications/cancelled');

  const second = await call(face, 'aside', { text: 'kept' }, { capabilities: RICH });
  const get = upstream.streams.at(-1)!;
  await get.send({ jsonrpc: '2.0', id: 'more', method: 'roots/list' });
  await get.notify('notifications/cancelled', { requestId: 'more' });
  t.match((await get.ask('ping')).json, { result: {} }, 'it has been read');
  const told = await ask(face, 'tools/call', retryOf('aside', { text: 'kept' }, second.final), { capabilities: RICH });
  t.match(told.final, { result: { resultType: 'complete' } }, 'what was withdrawn is not asked');
});

t.test('of several calls the newest whose client waits is asked', async (t) => {
  const begun = Promise.withResolvers<void>();
  const setup = await setUp(t, {
    tools: {
      ...besides(() => setup.upstream).tools,
      newest: async (request) => {
        const open = request.stream();
        begun.resolve();
        await setup.upstream.arrival(({ method }) => method === 'release');
        await open.send(request.envelope({ result: { content: [] } }));
        open.end();
      },
    },
    on: { release: () => ({ result: {} }) },
  });
  const { face, upstream } = setup;
  const caps = { capabilities: RICH };
  const suspended = await call(face, 'aside', { text: 'first' }, caps);
  const running = call(face, 'newest', {}, caps);
  await begun.promise;
  const second = call(face, 'aside', { text: 'second' }, caps);
  t.match((await second).final, { result: { resultType: 'input_required' } });
  const third = upstream.streams[0]!.ask('roots/list', {}, 'third');
  const asked = await running;
  t.match(asked.final, { result: { resultType: 'input_required' } }, 'not those whose clients are away');
  await ask(face, 'release', {}, caps);
  const told = await ask(face, 'tools/call', retryOf('newest', {}, asked.final), caps);
  t.match(told.final, { result: { resultType: 'complete' } });
  t.match((await third).json, { result: { roots: [{ uri: 'file:///a' }] } });
  for (const [text, first] of [
    ['first', suspended],
    ['second', await second],
  ] as const) {
    const done = await ask(face, 'tools/call', retryOf('aside', { text }, first.final), caps);
    t.match(done.texts.at(-1), new RegExp(text), 'each has its own answer');
  }
});

t.test('a server without a session’s stream, or without sessions, is not asked to tell more than it can', async (t) => {
  for (const status of [404, 405]) {
    const { face, upstream } = await setUp(t, { on: { GET: () => ({ status }) } });
    for (const text of ['a', 'b']) {
      t.equal((await call(face, 'echo', { text }, { capabilities: RICH })).status, 200);
    }
    t.equal(upstream.received('initialize').length, 1, `${status} to a GET does not mean that the session is lost`);
    t.equal(upstream.received('GET').length, 1);
  }

  const without = await setUp(t, {
    sessions: false,
    tools: {
      wait: async (request) => {
        const open = request.stream();
        const refused = await without.upstream.streams[0]!.ask('roots/list');
        await open.send(request.envelope({ result: { content: [], structuredContent: refused.json } }));
        open.end();
      },
    },
  });
  await call(without.face, 'echo', { text: 'a' }, { capabilities: RICH });
  t.equal(without.upstream.received('GET').length, 0, 'nobody could tell whose questions came there');
  const abort = new Abort();
  const listening = stream(without.face, 'subscriptions/listen', {}, { capabilities: RICH, abort });
  await listening.next();
  t.match((await call(without.face, 'wait', {}, { capabilities: RICH })).final, {
    result: { resultType: 'complete', structuredContent: { error: { code: -32601 } } },
  });
  abort.abort();
});
