import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client as Client2, StreamableHTTPClientTransport as Transport2 } from '@modelcontextprotocol/client';
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as Transport1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { startUpstream, type Script } from '../fixture/upstream.ts';
import { send, startGateway, type TestGateway } from '../gateway.ts';
import { openSession } from '../session.ts';
import { startModernServer, type ModernServer } from './modern-only-server.ts';

const CAPABILITIES = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };

/** What the clients of both SDKs do in the same way. */
interface Person {
  readonly answers: JsonObject[];
  readonly heard: string[];
  /** Resolves with the next change that was told on the GET stream. */
  change(): Promise<string>;
}

class Reactions implements Person {
  readonly answers: JsonObject[] = [];
  readonly heard: string[] = [];
  #changes: string[] = [];
  #waiting: ((change: string) => void)[] = [];

  elicit(params: unknown): { action: 'accept'; content?: { name: string } } {
    this.answers.push(params as JsonObject);
    return (params as JsonObject)['mode'] === 'url'
      ? { action: 'accept' }
      : { action: 'accept', content: { name: 'Erin' } };
  }

  tell(change: string): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#changes.push(change);
    else next(change);
  }

  change(): Promise<string> {
    const known = this.#changes.shift();
    return known === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(known);
  }
}

const SAMPLE = { role: 'assistant' as const, content: { type: 'text' as const, text: 'Paris' }, model: 'none' };
const ROOTS = { roots: [{ uri: 'file:///home/erin' }] };

type Connected = {
  readonly client: Client1;
  readonly person: Reactions;
  readonly listening: Promise<number>;
  /** Calls a tool with options of the client's own. */
  readonly request: (name: string, options: Options) => Promise<unknown>;
  readonly close: () => Promise<void>;
};

interface Options {
  readonly signal?: AbortSignal;
  readonly onprogress?: (progress: { readonly progress: number }) => void;
}

const CLIENTS: Readonly<Record<string, (url: string, token: string) => Promise<Connected>>> = {
  'the client of SDK 1': async (url, token) => {
    const person = new Reactions();
    const client = new Client1({ name: 'sdk-1', version: '1' }, { capabilities: CAPABILITIES });
    client.setRequestHandler(ElicitRequestSchema, async ({ params }) => person.elicit(params));
    client.setRequestHandler(CreateMessageRequestSchema, async () => SAMPLE);
    client.setRequestHandler(ListRootsRequestSchema, async () => ROOTS);
    client.setNotificationHandler(
      LoggingMessageNotificationSchema,
      ({ params }) => void person.heard.push(String(params.data)),
    );
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => person.tell('tools'));
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => person.tell(params.uri));
    const { options, listening } = optionsFor(token);
    const transport = new Transport1(new URL(url), options);
    await client.connect(transport as Parameters<typeof client.connect>[0]);
    const close = async (): Promise<void> => {
      await transport.terminateSession();
      await client.close();
    };
    const request = (name: string, options: Options): Promise<unknown> =>
      client.callTool({ name, arguments: {} }, undefined, options);
    return { client, person, listening, request, close };
  },
  'the client of SDK 2 with a session': async (url, token) => {
    const person = new Reactions();
    const client = new Client2({ name: 'sdk-2', version: '1' }, { capabilities: CAPABILITIES });
    client.setRequestHandler('elicitation/create', async ({ params }) => person.elicit(params));
    client.setRequestHandler('sampling/createMessage', async () => SAMPLE);
    client.setRequestHandler('roots/list', async () => ROOTS);
    client.setNotificationHandler('notifications/message', ({ params }) => void person.heard.push(String(params.data)));
    client.setNotificationHandler('notifications/tools/list_changed', () => person.tell('tools'));
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => person.tell(params.uri));
    const { options, listening } = optionsFor(token);
    const transport = new Transport2(new URL(url), options);
    await client.connect(transport);
    const close = async (): Promise<void> => {
      await transport.terminateSession();
      await client.close();
    };
    // Both SDKs name and shape these methods alike.
    const request = (name: string, options: Options): Promise<unknown> =>
      client.callTool({ name, arguments: {} }, options);
    return { client: client as unknown as Client1, person, listening, request, close };
  },
};

function optionsFor(token: string): {
  readonly options: {
    readonly requestInit: { readonly headers: { readonly Authorization: string } };
    readonly fetch: (url: string | URL, init?: RequestInit) => Promise<Response>;
  };
  readonly listening: Promise<number>;
} {
  const { promise: listening, resolve } = Promise.withResolvers<number>();
  const options = {
    requestInit: { headers: { Authorization: `Bearer ${token}` } },
    async fetch(url: string | URL, init?: RequestInit): Promise<Response> {
      const response = await fetch(url, init);
      if (init?.method === 'GET') resolve(response.status);
      return response;
    },
  };
  return { options, listening };
}

const configFor = (url: string, era = 'auto'): JsonObject => ({
  connections: [{ name: 'default', upstream: { url }, access: { groups: ['eng'] }, era }],
});

interface Place {
  readonly url: string;
  readonly token: string;
  readonly gateway: TestGateway;
}

async function through(test: Test, url: string, more: JsonObject = {}, era?: string): Promise<Place> {
  const gateway = await startGateway(test, { ...configFor(url, era), ...more });
  return { url: `${gateway.url}/mcp`, token: await gateway.person('erin', ['eng']), gateway };
}

const said = (result: unknown): string =>
  (result as { content: { text: string }[] }).content.map(({ text }) => text).join(' ');
const call = (client: Client1, name: string, args: Record<string, unknown> = {}): Promise<unknown> =>
  client.callTool({ name, arguments: args });

for (const [who, connect] of Object.entries(CLIENTS)) {
  t.test(`${who} uses a server that speaks 2026-07-28 only`, async (t) => {
    const server: ModernServer = await startModernServer(t);
    const { url, token, gateway } = await through(t, server.url);
    const { client, person, listening, request, close } = await connect(url, token);
    t.equal(client.getInstructions(), 'Ask nicely.');
    t.match(client.getServerVersion(), { name: 'modern-only' });

    await t.test('lists and calls', async (t) => {
      const { tools } = await client.listTools();
      t.ok(tools.some(({ name }) => name === 'echo'));
      t.equal(said(await call(client, 'echo', { text: 'grüß dich' })), 'grüß dich');
      t.equal(
        said(await call(client, 'region', { region: 'eu west é' })),
        'in eu west é',
        'with the header that its argument needs',
      );
      t.match(await client.getPrompt({ name: 'letter', arguments: { to: 'Bob' } }), {
        messages: [{ content: { text: 'Dear Bob' } }],
      });
      t.match(await client.readResource({ uri: 'test://note' }), { contents: [{ text: 'a note' }] });
      await t.rejects(client.readResource({ uri: 'test://nowhere' }), { message: /Resource not found/ });
      t.same(await client.ping(), {});
    });

    await t.test('progress and logs come on the stream of the call', async (t) => {
      await client.setLoggingLevel('info');
      const steps: number[] = [];
      const result = await request('steps', {
        onprogress({ progress }) {
          steps.push(progress);
          if (progress === 2) server.goOn();
        },
      });
      t.equal(said(result), 'done');
      t.same(steps, [1, 2]);
      t.same(person.heard, ['nearly done']);
    });

    await t.test('the questions of the server reach the person [M-05]', async (t) => {
      t.match(JSON.parse(said(await call(client, 'form'))), { action: 'accept', content: { name: 'Erin' } });
      t.match(person.answers.at(-1), { message: 'Who?' });
      t.match(JSON.parse(said(await call(client, 'url'))), { action: 'accept' });
      t.match(person.answers.at(-1), { mode: 'url', url: 'https://example.com/login', elicitationId: String });
      t.match(JSON.parse(said(await call(client, 'several'))), { model: { content: { text: 'Paris' } }, roots: ROOTS });
    });

    await t.test('changes come on the GET stream', async (t) => {
      t.equal(await listening, 200);
      server.notify.toolsChanged();
      t.equal(await person.change(), 'tools');
      await client.subscribeResource({ uri: 'test://note' });
      server.notify.resourceUpdated('test://note');
      t.equal(await person.change(), 'test://note');
      await client.unsubscribeResource({ uri: 'test://note' });
    });

    await t.test('a cancelled call is given up at the server [C-03]', async (t) => {
      const control = new AbortController();
      const waiting = request('wait', { signal: control.signal });
      const fails = t.rejects(waiting);
      await server.begun;
      control.abort('enough');
      await fails;
      await server.givenUp;
    });

    await close();
    const kept = await gateway.exchanges();
    t.ok(
      kept.some(({ method }) => method === 'response'),
      'the answers of the person are on record',
    );
    t.notOk(kept.some(({ method, connection }) => connection === 'default' && method === 'subscriptions/listen'));
    t.notOk(
      kept.some(({ outcome }) => outcome === 'failed'),
      'nothing failed',
    );
  });
}

const EMAIL = 'grace.hopper@example.com';

/** A server of 2026-07-28 that asks for a name before it answers, and tells its progress in each round. */
function asking(rounds: { count: number }): Script {
  return async (request) => {
    rounds.count += 1;
    const stream = request.stream();
    const { progressToken } = request.meta;
    await stream.notify('notifications/progress', { progressToken, progress: 1, message: `for ${EMAIL}` });
    await stream.notify('notifications/progress', { progressToken, progress: 2 });
    const params = { message: `Is ${EMAIL} yours?`, requestedSchema: { type: 'object', properties: {} } };
    const asks = {
      resultType: 'input_required',
      inputRequests: { mine: { method: 'elicitation/create', params } },
      requestState: `for ${EMAIL}`,
    };
    const content = [{ type: 'text', text: `it is ${EMAIL}` }];
    const first = request.params['inputResponses'] === undefined;
    await stream.send(request.envelope({ result: first ? asks : { ...request.complete, content } }));
    stream.end();
  };
}

const MASKING = [
  {
    name: 'mail',
    connections: ['default'],
    supported_entity_types: [{ name: 'ALL', entity_types: ['EMAIL_ADDRESS'] }],
  },
];
const asks = (id: number): string =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"ask","arguments":{},"_meta":{"progressToken":"p"}}}`;

t.test('what a translated session hears is judged like everything else, its rounds are one call [P-01]', async (t) => {
  const rounds = { count: 0 };
  const upstream = await startUpstream({ eras: 'modern', tools: { ask: asking(rounds) } });
  t.teardown(() => upstream.close());
  const { url, token, gateway } = await through(t, upstream.url, { datamasking_rules: MASKING });
  const session = await openSession(url, token, { capabilities: { elicitation: {} } });
  const stream = await session.stream(asks(5));
  const heard: JsonObject[] = [];
  for (let message = await stream.next(); message !== undefined; message = await stream.next()) {
    heard.push(message);
    t.notMatch(JSON.stringify(message), EMAIL, 'it is masked');
    if (message['method'] !== 'elicitation/create') continue;
    const answer = { jsonrpc: '2.0', id: message['id'], result: { action: 'accept', content: { ok: true } } };
    t.equal((await session.post(JSON.stringify(answer))).status, 202);
  }
  const progress = heard.filter(({ method }) => method === 'notifications/progress');
  t.same(
    progress.map(({ params }) => (params as JsonObject)['progress']),
    [1, 2, 3, 4],
    'progress goes on over the rounds',
  );
  t.match(heard.at(-1), { id: 5, result: { content: [{ type: 'text' }] } });
  const [, again] = upstream.received('ask');
  t.match((again!.json as { params: JsonObject }).params, {
    requestState: `for ${EMAIL}`,
    inputResponses: { mine: { action: 'accept', content: { ok: true } } },
  });
  t.equal(rounds.count, 2);
  const kept = await gateway.exchanges();
  t.equal(kept.filter(({ name }) => name === 'ask').length, 1, 'the record has one call');
  t.match(
    kept.find(({ name }) => name === 'ask'),
    { outcome: 'answered', isError: false },
  );
});

t.test('a question that the rules forbid is answered in the place of the client', async (t) => {
  const rounds = { count: 0 };
  const upstream = await startUpstream({ eras: 'modern', tools: { ask: asking(rounds) } });
  t.teardown(() => upstream.close());
  const { url, token } = await through(t, upstream.url, {
    access_control: [{ name: 'quiet', groups: ['eng'], server_requests: { allow: ['roots/list'] } }],
  });
  const session = await openSession(url, token, { capabilities: { elicitation: {} } });
  const answer = await session.post(asks(6));
  t.notOk(
    answer.events.some(({ method }) => method === 'elicitation/create'),
    'the client is not asked',
  );
  t.match(answer.json, {
    id: 6,
    result: { isError: true, content: [{ text: /did not answer elicitation\/create/ }] },
  });
  t.equal(rounds.count, 1, 'and the server is not told anything');
});

t.test(
  'a translated session goes on after a restart of the gateway, and belongs to its owner alone [S-05] [A-09]',
  async (t) => {
    const upstream = await startUpstream({ eras: 'modern' });
    t.teardown(() => upstream.close());
    const folder = mkdtempSync(join(tmpdir(), 'portcullis-translate-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const first = await startGateway(t, configFor(upstream.url), folder);
    const token = await first.person('erin', ['eng']);
    const stranger = await first.person('mallory', ['eng']);
    const session = await openSession(`${first.url}/mcp`, token, {
      version: '2025-06-18',
      capabilities: { sampling: {} },
    });
    t.match(await session.request('tools/list'), { status: 200 });
    const headers = { 'mcp-session-id': session.id, 'mcp-protocol-version': '2025-06-18' };
    const list = '{"jsonrpc":"2.0","id":7,"method":"tools/list"}';
    t.equal((await send(`${first.url}/mcp`, stranger, list, headers)).status, 404);
    await first.close();

    const second = await startGateway(t, configFor(upstream.url), folder);
    const after = await send(`${second.url}/mcp`, token, list, headers);
    t.match(after, { status: 200, json: { id: 7, result: { tools: Array } } });
    const { _meta } = (upstream.received('tools/list').at(-1)!.json as { params: { _meta: JsonObject } }).params;
    t.match(_meta, {
      'io.modelcontextprotocol/clientCapabilities': { sampling: {} },
      'io.modelcontextprotocol/clientInfo': { name: 'test' },
    });
    t.equal((await send(`${second.url}/mcp`, stranger, list, headers)).status, 404);
  },
);

t.test('a client that leaves does not cancel its translated call; it ends on record [C-02]', async (t) => {
  const upstream = await startUpstream({ eras: 'modern' });
  t.teardown(() => upstream.close());
  const { url, token, gateway } = await through(t, upstream.url);
  const session = await openSession(url, token);
  const leaving = new AbortController();
  const body = '{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"slow","arguments":{}}}';
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    authorization: `Bearer ${token}`,
    'mcp-session-id': session.id,
  };
  const left = t.rejects(fetch(url, { method: 'POST', headers, body, signal: leaving.signal }));
  const arrived = await upstream.arrival('slow');
  let gone = false;
  void arrived.gone.then(() => (gone = true));
  leaving.abort();
  await left;
  t.match(await session.request('tools/list', {}, 9), { status: 200 });
  t.notOk(gone, 'the server still works on it');
  t.equal(upstream.release(), 1);
  let kept = (await gateway.exchanges()).find(({ name }) => name === 'slow');
  while (kept?.outcome === undefined) {
    await session.request('ping', {}, 10);
    kept = (await gateway.exchanges()).find(({ name }) => name === 'slow');
  }
  t.equal(kept.outcome, 'answered');
  t.notOk(gone);
});

t.test('a held call of a translated session runs once it is approved', async (t) => {
  const upstream = await startUpstream({
    eras: 'modern',
    tools: { drop: (request) => ({ result: { ...request.complete, content: [{ type: 'text', text: 'dropped' }] } }) },
  });
  t.teardown(() => upstream.close());
  const { url, token, gateway } = await through(t, upstream.url, {
    connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng', 'dba'] } }],
    access_request_rules: [
      {
        name: 'drops',
        connections: ['default'],
        access_type: 'command',
        when: 'tool.name == "drop"',
        reviewers_groups: ['dba'],
      },
    ],
    hold: { inline_timeout: '1s', heartbeat: '1s' },
  });
  const dana = await gateway.person('dana', ['dba']);
  const session = await openSession(url, token);
  const drop = { name: 'drop', arguments: { n: 1 } };
  const pending = await session.request('tools/call', drop, 11);
  t.match(pending.json, { id: 11, result: { isError: true } });
  t.equal(upstream.received('drop').length, 0);
  const { review_id: id } = (pending.json['result'] as { _meta: JsonObject })._meta['portcullis/pending'] as JsonObject;
  const approval = await send(`${gateway.url}/api/reviews/${String(id)}`, dana, '{"status":"APPROVED"}', {}, 'PUT');
  t.equal(approval.json['status'], 'APPROVED');
  const again = await session.request('tools/call', drop, 12);
  t.match(again.json, { id: 12, result: { content: [{ text: 'dropped' }] } });
  t.equal(upstream.received('drop').length, 1);
});

t.test(
  'a translated session keeps digits, unknown methods and missing sessions apart [J-09] [S-03] [S-06]',
  async (t) => {
    const upstream = await startUpstream({ eras: 'modern' });
    t.teardown(() => upstream.close());
    const { url, token } = await through(t, upstream.url);
    const hello = {
      jsonrpc: '2.0',
      id: 0,
      method: 'initialize',
      params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'raw', version: '1' } },
    };
    const first = await send(url, token, JSON.stringify(hello));
    t.match(first.json, { result: { protocolVersion: '2025-06-18', serverInfo: { name: 'fixture' } } });
    const headers = { 'mcp-session-id': first.headers.get('mcp-session-id')!, 'mcp-protocol-version': '2025-06-18' };
    const post = (text: string): ReturnType<typeof send> => send(url, token, text, headers);
    const echoed = await post(
      '{"jsonrpc":"2.0","id":"x1","method":"tools/call","params":{"name":"echo","arguments":{"n":9007199254740993,"f":1.0}}}',
    );
    t.ok(echoed.text.includes('"n":9007199254740993'), echoed.text);
    t.notMatch(echoed.text, 'resultType');
    t.match(await post('{"jsonrpc":"2.0","id":2,"method":"completion/complete","params":{}}'), {
      status: 200,
      json: { id: 2, error: { code: -32601 } },
    });
    t.match(
      await post('{"jsonrpc":"2.0","id":3,"method":"tools/list"}'),
      { status: 200, json: { id: 3 } },
      'the session lives on',
    );
    t.equal((await send(url, token, undefined, headers, 'DELETE')).status, 200);
    t.equal((await post('{"jsonrpc":"2.0","id":4,"method":"ping"}')).status, 404);
  },
);

t.test('with era passthrough nothing is translated', async (t) => {
  const upstream = await startUpstream({ eras: 'modern' });
  t.teardown(() => upstream.close());
  const { url, token } = await through(t, upstream.url, {}, 'passthrough');
  const hello = {
    jsonrpc: '2.0',
    id: 0,
    method: 'initialize',
    params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'raw', version: '1' } },
  };
  t.match((await send(url, token, JSON.stringify(hello))).json, { error: { code: -32022 } });
});
