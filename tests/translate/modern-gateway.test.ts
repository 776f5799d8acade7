import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import t, { type Test } from 'tap';
import { callTool, modern, startGateway } from '../gateway.ts';
import { PROGRAMS, startEverything } from '../interop/servers.ts';
import { at } from './modern-drive.ts';
import { startLegacyServer } from './legacy-server.ts';

const [server, whole, everything] = await Promise.all([
  startLegacyServer(),
  startLegacyServer(true),
  startEverything(t),
]);
const gateway = await startGateway(t, {
  connections: [
    { name: 'default', upstream: { url: server.url }, access: { groups: ['eng'] }, era: 'translate' },
    {
      name: 'stdio',
      upstream: { command: [process.execPath, join(import.meta.dirname, 'legacy-stdio.ts')] },
      access: { groups: ['eng'] },
      era: 'translate',
    },
    {
      name: 'sse',
      upstream: { url: server.url.replace(/mcp$/, 'sse'), transport: 'sse' },
      access: { groups: ['eng'] },
      era: 'translate',
    },
    { name: 'whole', upstream: { url: whole.url }, access: { groups: ['eng'] }, era: 'translate' },
    { name: 'everything', upstream: { url: everything }, access: { groups: ['eng'] }, era: 'translate' },
    {
      name: 'everything-stdio',
      upstream: { command: [process.execPath, PROGRAMS.everything, 'stdio'] },
      access: { groups: ['eng'] },
      era: 'translate',
    },
    { name: 'auto', upstream: { url: server.url }, access: { groups: ['eng'] } },
  ],
  datamasking_rules: [{ name: 'pii', supported_entity_types: [{ name: 'CONTACT', entity_types: ['EMAIL_ADDRESS'] }] }],
});
t.teardown(() => Promise.all([server.close(), whole.close()]));
const mcp = `${gateway.url}/mcp`;

interface Session {
  readonly client: Client;
  readonly asked: Record<string, unknown>[];
}

async function connect(t: Test, subject: string, connection = 'default'): Promise<Session> {
  const token = await gateway.person(subject, ['eng']);
  const client = new Client(
    { name: 'modern', version: '1' },
    {
      capabilities: { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} },
      versionNegotiation: { mode: { pin: '2026-07-28' } },
    },
  );
  const asked: Record<string, unknown>[] = [];
  client.setRequestHandler('elicitation/create', async ({ params }) => {
    asked.push({ ...params });
    return { action: 'accept', content: { name: 'Ada' } };
  });
  client.setRequestHandler('sampling/createMessage', async ({ params }) => {
    asked.push({ ...params });
    return { model: 'm', role: 'assistant', content: { type: 'text', text: 'hi ada.lovelace@example.com' } };
  });
  client.setRequestHandler('roots/list', async () => ({ roots: [{ uri: 'file:///srv/ada' }] }));
  const options = { requestInit: { headers: { Authorization: `Bearer ${token}` } } };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${mcp}/${connection}`), options));
  t.teardown(() => client.close());
  return { client, asked };
}

const json = (value: unknown): string => JSON.stringify(value);

t.test('a modern-only client lists and reads what a server of sessions has [translate-modern-client]', async (t) => {
  const { client } = await connect(t, 'lister');
  t.match(client.getInstructions(), 'old but good');
  t.ok((await client.listTools()).tools.some(({ name }) => name === 'echo'));
  t.match(await client.listResources(), { resources: [{ uri: 'note://one' }] });
  t.match(await client.readResource({ uri: 'note://one' }), { contents: [{ text: 'one' }] });
  t.match(await client.listPrompts(), { prompts: [{ name: 'letter' }] });
  t.match(await client.getPrompt({ name: 'letter' }), { messages: [{ role: 'user' }] });
  t.match(
    json(await client.callTool({ name: 'echo', arguments: { text: 'ada.lovelace@example.com' } })),
    '<EMAIL_ADDRESS>',
  );
  await t.rejects(
    client.readResource({ uri: 'note://none' }),
    { code: -32602 },
    'a missing resource has the modern code',
  );
});

t.test('progress comes under the token of the client, once per step', async (t) => {
  const { client } = await connect(t, 'runner');
  const steps: number[] = [];
  const onprogress = ({ progress }: { progress: number }): void => void steps.push(progress);
  await client.callTool({ name: 'steps', arguments: { name: 'a' } }, { onprogress });
  t.same(steps, [1, 2, 3]);
});

t.test(
  'forms, URLs, sampling and roots: the server asks in its way, the client is asked in its own [M-01] [M-06]',
  async (t) => {
    const { client, asked } = await connect(t, 'answerer');
    t.match(json(await client.callTool({ name: 'elicit' })), /accept.*Ada/);
    t.match(json(await client.callTool({ name: 'open' })), /accept/);
    t.match(json(await client.callTool({ name: 'sample' })), /hi <EMAIL_ADDRESS>/, 'answers come back masked');
    t.match(json(await client.callTool({ name: 'roots' })), /srv\/ada/);
    t.match(json(await client.callTool({ name: 'gated' })), /welcome/, 'after an error that wants a page opened');
    t.match(asked, [
      { message: 'who are you?' },
      { url: 'https://example.test/x' },
      { maxTokens: 5 },
      { message: 'sign in' },
    ]);
    t.notMatch(json(asked), /elicitationId/);
    const exchanges = await gateway.exchanges();
    const elicits = exchanges.filter(({ name }) => name === 'elicit');
    t.equal(elicits.length, 2, 'the call and its retry are on record');
    t.match(elicits[0]!.response, 'input_required');
    t.match(elicits[1]!.request, 'inputResponses');
  },
);

t.test('a state belongs to the caller and the call it was made for [M-04]', async (t) => {
  const own = await gateway.person('owner', ['eng']);
  const other = await gateway.person('other', ['eng']);
  const meta = { 'io.modelcontextprotocol/clientCapabilities': { elicitation: {} } };
  const first = await callTool(mcp, own, 'elicit', {}, meta);
  const requestState = at(first.json, 'result', 'requestState') as string;
  const inputResponses = { 'input-1': { action: 'accept', content: { name: 'Eve' } } };
  const retry = { name: 'elicit', arguments: {}, requestState, inputResponses };
  const stolen = await modern(mcp, other, 'tools/call', retry, meta);
  t.ok(at(stolen.json, 'error', 'code'));
  const wrong = await modern(mcp, own, 'tools/call', { ...retry, name: 'roots' }, meta);
  t.ok(at(wrong.json, 'error', 'code'));
  t.match((await modern(mcp, own, 'tools/call', retry, meta)).text, 'Eve');
});

t.test('closing the stream cancels the call at the server [C-01]', async (t) => {
  const { client } = await connect(t, 'canceller');
  const stop = new AbortController();
  const running = client.callTool({ name: 'wait' }, { signal: stop.signal });
  await server.waiting;
  stop.abort('enough');
  await t.rejects(running);
  await server.cancelled;
});

t.test('logs come to the request that asked for them, from its level on', async (t) => {
  const token = await gateway.person('logger', ['eng']);
  const answer = await callTool(mcp, token, 'log', {}, { 'io.modelcontextprotocol/logLevel': 'error' });
  t.same(
    answer.events.map(({ params }) => at(params, 'level')),
    ['error', undefined],
  );
  t.equal((await callTool(mcp, token, 'log')).events.length, 1);
});

t.test('changes of lists and resources come to those who listen [L-01]', async (t) => {
  const { client } = await connect(t, 'listener');
  const changed = Promise.withResolvers<void>();
  const updated = Promise.withResolvers<string>();
  client.setNotificationHandler('notifications/tools/list_changed', async () => changed.resolve());
  client.setNotificationHandler('notifications/resources/updated', async ({ params }) => updated.resolve(params.uri));
  const subscription = await client.listen({ toolsListChanged: true, resourceSubscriptions: ['note://one'] });
  t.ok(server.subscribed.has('note://one'));
  await client.callTool({ name: 'grow' });
  await changed.promise;
  await client.callTool({ name: 'touch', arguments: { uri: 'note://other' } });
  await client.callTool({ name: 'touch', arguments: { uri: 'note://one' } });
  t.equal(await updated.promise, 'note://one');
  await subscription.close();
});

t.test('calls of two people at once, all with the same id, never cross [G-10] [J-03]', async (t) => {
  const tokens = await Promise.all(['left', 'right'].map((subject) => gateway.person(subject, ['eng'])));
  await Promise.all(
    tokens.flatMap((token, who) =>
      Array.from({ length: 10 }, async (_, n) => {
        const name = `call ${n} of ${who}`;
        const answer = await callTool(mcp, token, 'steps', { name }, { progressToken: 'same' });
        for (const event of answer.events.slice(0, -1))
          t.match(event, { params: { progressToken: 'same', message: name } });
        t.equal(answer.events.length, 4);
        t.match(answer.json, { id: 1, result: { content: [{ text: JSON.stringify(name) }] } });
      }),
    ),
  );
});

t.test('a session that the server lost is opened again behind a stateless client [S-04]', async (t) => {
  const { client } = await connect(t, 'survivor');
  await client.callTool({ name: 'echo', arguments: { text: 'a' } });
  server.forget();
  t.match(json(await client.callTool({ name: 'echo', arguments: { text: 'b' } })), 'b');
});

t.test(
  'methods that the server lacks are 404, and without translation a modern request is refused [R-03]',
  async (t) => {
    const token = await gateway.person('prober', ['eng']);
    const tasks = await modern(mcp, token, 'tasks/get', { taskId: 'x' });
    t.ok(tasks.status >= 400);
    const refused = await callTool(`${gateway.url}/mcp/auto`, token, 'echo', { text: 'x' });
    t.same([refused.status, at(refused.json, 'error', 'code')], [400, -32022]);
  },
);

for (const connection of ['stdio', 'sse']) {
  t.test(
    `the same over ${connection}: lists, progress, questions, changes, cancelling [translate-modern-client]`,
    async (t) => {
      const { client, asked } = await connect(t, `over-${connection}`, connection);
      t.ok((await client.listTools()).tools.some(({ name }) => name === 'echo'));
      const steps: number[] = [];
      const onprogress = ({ progress }: { progress: number }): void => void steps.push(progress);
      await client.callTool({ name: 'steps', arguments: { name: 'a' } }, { onprogress });
      t.same(steps, [1, 2, 3]);
      t.match(json(await client.callTool({ name: 'elicit' })), /accept.*Ada/);
      t.match(json(await client.callTool({ name: 'sample' })), /hi <EMAIL_ADDRESS>/);
      t.match(json(await client.callTool({ name: 'roots' })), /srv\/ada/);
      t.equal(asked.length, 2);
      const changed = Promise.withResolvers<void>();
      const updated = Promise.withResolvers<string>();
      client.setNotificationHandler('notifications/tools/list_changed', async () => changed.resolve());
      client.setNotificationHandler('notifications/resources/updated', async ({ params }) =>
        updated.resolve(params.uri),
      );
      const subscription = await client.listen({ toolsListChanged: true, resourceSubscriptions: ['note://one'] });
      await client.callTool({ name: 'grow' });
      await changed.promise;
      await client.callTool({ name: 'touch', arguments: { uri: 'note://one' } });
      t.equal(await updated.promise, 'note://one');
      await subscription.close();
      const stop = new AbortController();
      const begun = (): void => stop.abort('enough');
      await t.rejects(client.callTool({ name: 'wait' }, { signal: stop.signal, onprogress: begun }));
      t.match(json(await client.callTool({ name: 'echo', arguments: { text: 'still there' } })), 'still there');
    },
  );
}

const CAPABLE = { 'io.modelcontextprotocol/clientCapabilities': { elicitation: {}, roots: {} } };

for (const connection of ['default', 'whole', 'stdio', 'sse']) {
  t.test(
    `over ${connection}: what a server asks outside of its requests is asked by the call in flight [M-01] [S-08]`,
    async (t) => {
      const { client, asked } = await connect(t, `aside-${connection}`, connection);
      t.match(json(await client.callTool({ name: 'aside', arguments: { message: 'me?' } })), /me\?.*accept.*Ada/);
      t.match(json(await client.callTool({ name: 'roots-aside' })), /srv\/ada/);
      t.match(asked, [{ message: 'me?' }]);
      const token = await gateway.person(`aside-rootless-${connection}`, ['eng']);
      const formsOnly = { 'io.modelcontextprotocol/clientCapabilities': { elicitation: {} } };
      const refused = await callTool(`${mcp}/${connection}`, token, 'roots-aside', {}, formsOnly);
      t.match(refused.text, /-32601/, 'what the client does not serve is refused at once [M-03]');
    },
  );

  t.test(`over ${connection}: two people at once are each asked their own questions only [G-10]`, async (t) => {
    const people = await Promise.all(['left', 'right'].map((who) => connect(t, `${who}-${connection}`, connection)));
    await Promise.all(
      people.flatMap(({ client }, who) =>
        Array.from({ length: 5 }, async (_, n) => {
          const message = `question ${n} of ${who}`;
          t.match(json(await client.callTool({ name: 'aside', arguments: { message } })), `${message}`);
        }),
      ),
    );
    for (const [who, { asked }] of people.entries())
      t.same(
        asked.map(({ message }) => message).sort(),
        Array.from({ length: 5 }, (_, n) => `question ${n} of ${who}`),
      );
  });
}

t.test('a question when no call is in flight is refused, so that the server goes on [S-08]', async (t) => {
  const token = await gateway.person('idle', ['eng']);
  t.match((await callTool(mcp, token, 'later', {}, CAPABLE)).text, 'asked later');
  const ask = await server.later;
  await t.rejects(ask(), { code: -32601 });
});

for (const connection of ['stdio', 'sse']) {
  t.test(`over ${connection}: logs come to their call although the session's stream is open too [E-05]`, async (t) => {
    const token = await gateway.person(`logger-${connection}`, ['eng']);
    const meta = { ...CAPABLE, 'io.modelcontextprotocol/logLevel': 'error' };
    const answer = await callTool(`${mcp}/${connection}`, token, 'log', {}, meta);
    t.same(
      answer.events.map(({ params }) => at(params, 'level')),
      ['error', undefined],
    );
  });

  t.test(`over ${connection}: a call whose client is away fails alone when too much waits for it`, async (t) => {
    const url = `${mcp}/${connection}`;
    const token = await gateway.person(`flooded-${connection}`, ['eng']);
    const asked = await callTool(url, token, 'flood', {}, { ...CAPABLE, progressToken: 'p' });
    t.equal(at(asked.json, 'result', 'resultType'), 'input_required');
    t.match((await callTool(url, token, 'echo', { text: 'still there' }, CAPABLE)).text, 'still there');
    const requestState = at(asked.json, 'result', 'requestState') as string;
    const inputResponses = { 'input-1': { roots: [] } };
    const retry = { name: 'flood', arguments: {}, requestState, inputResponses };
    const lost = await modern(url, token, 'tools/call', retry, { ...CAPABLE, progressToken: 'p' });
    t.match(lost.text.slice(0, 1_000), /upstream_lost/);
    t.match((await callTool(url, token, 'echo', { text: 'and now' }, CAPABLE)).text, 'and now');
  });
}

for (const connection of ['everything', 'everything-stdio']) {
  t.test(
    `the reference server asks in every way, over ${connection === 'everything' ? 'Streamable HTTP' : 'stdio'}`,
    async (t) => {
      const { client, asked } = await connect(t, connection, connection);
      t.match(json(await client.callTool({ name: 'get-roots-list' })), /srv\/ada/);
      const args = { prompt: 'say hi', maxTokens: 5 };
      t.match(json(await client.callTool({ name: 'trigger-sampling-request', arguments: args })), /hi <EMAIL_ADDRESS>/);
      t.match(json(await client.callTool({ name: 'trigger-elicitation-request' })), /Ada/);
      t.equal(asked.length, 2);
    },
  );
}
