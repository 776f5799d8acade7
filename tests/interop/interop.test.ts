import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  type Notification,
} from '@modelcontextprotocol/sdk/types.js';
import t, { type Test } from 'tap';
import { verify } from '../../recorder/verify.ts';
import { send, startGateway, type TestGateway } from '../gateway.ts';
import { until } from '../process/commands.ts';
import { CLIENTS, optionsFor } from './clients.ts';
import { letters, PROGRAMS, startDbhub, startEverything, temporaryFolder } from './servers.ts';

const SECRET = /[a-z.]+@example\.com/;

const folder = temporaryFolder(t);
const letter = letters(folder);
const [everything, dbhub] = await Promise.all([startEverything(t), startDbhub(t, folder)]);
const gateway: TestGateway = await startGateway(t, {
  connections: [
    { name: 'default', upstream: { url: everything }, access: { groups: ['eng'] } },
    {
      name: 'files',
      upstream: { command: [process.execPath, PROGRAMS.filesystem, folder] },
      access: { groups: ['eng'] },
    },
    { name: 'dbhub', upstream: { url: dbhub }, access: { groups: ['eng'] } },
  ],
  datamasking_rules: [{ name: 'pii', supported_entity_types: [{ name: 'CONTACT', entity_types: ['EMAIL_ADDRESS'] }] }],
});

/** Clients that ask for 2026-07-28 first; of the servers only DBHub speaks it. */
const MODERN: ReadonlySet<string> = new Set(['sdk-2-auto', 'inspector-auto']);

/** One question for each server, whose honest answer holds an e-mail address. */
const QUESTIONS: readonly {
  readonly connection: string;
  readonly tool: string;
  readonly args: Record<string, string>;
  readonly answer: RegExp;
}[] = [
  {
    connection: 'default',
    tool: 'echo',
    args: { message: 'write to ada.lovelace@example.com' },
    answer: /Echo: write to <EMAIL_ADDRESS>/,
  },
  { connection: 'files', tool: 'read_text_file', args: { path: letter }, answer: /Dear Ada, write to <EMAIL_ADDRESS>/ },
  {
    connection: 'dbhub',
    tool: 'execute_sql',
    args: { sql: 'SELECT name, email FROM people' },
    answer: /Grace.*<EMAIL_ADDRESS>/,
  },
];

for (const [name, connect] of Object.entries(CLIENTS)) {
  t.test(
    `${name} lists and calls the tools of servers we did not write, masked and on record [interop-clients-and-servers]`,
    async (t) => {
      const token = await gateway.person(name, ['eng']);
      await Promise.all(
        QUESTIONS.map(async ({ connection, tool, args, answer }) => {
          const caller = await connect({ url: `${gateway.url}/mcp/${connection}`, token });
          const tools = await caller.tools();
          t.ok(tools.includes(tool), `${connection} offers ${tool}`);
          const text = await caller.call(tool, args);
          t.match(text, answer, `${connection} answers`);
          t.notMatch(text, SECRET, `no address of ${connection} arrives`);
          await caller.close();
        }),
      );
      const own = await recorded(name);
      t.equal(
        own.find((it) => it.connection === 'dbhub')?.method,
        MODERN.has(name) ? 'server/discover' : 'initialize',
        'in the era of its choice',
      );
      t.ok(
        own.some((it) => it.connection === 'default' && it.method === 'initialize'),
        'and of the server’s',
      );
      for (const { connection, tool, args } of QUESTIONS) {
        const call = own.find((it) => it.connection === connection && it.method === 'tools/call');
        t.match(call, { name: tool, outcome: 'answered', isError: false }, `the call to ${connection} is on record`);
        t.notMatch(call?.response, SECRET);
        t.match(call?.response, /<EMAIL_ADDRESS>/);
        t.match(call?.request, Object.keys(args)[0]);
        t.ok(call!.findings.some((finding) => finding.entity === 'EMAIL_ADDRESS'));
      }
    },
  );
}

/** The exchanges of one person. */
async function recorded(subject: string): ReturnType<TestGateway['exchanges']> {
  const all = await gateway.exchanges();
  const { items } = await gateway.portcullis.gateway.recorder.sessions.list({
    owner: { issuer: 'portcullis:tokens', subject },
    limit: 100,
  });
  const own = new Set(items.map((session) => session.id));
  return all.filter((exchange) => own.has(exchange.session));
}

/** Capabilities of a client that answers whatever a server may ask of it. */
const CAPABILITIES = { sampling: {}, elicitation: {}, roots: {} };

/** A client of the first SDK with a session on the reference server, which answers its questions with an address in each answer. */
async function connect(t: Test, subject: string): Promise<Session> {
  const token = await gateway.person(subject, ['eng']);
  const options = optionsFor({ url: `${gateway.url}/mcp`, token });
  const client = new Client({ name: 'rich', version: '1' }, { capabilities: CAPABILITIES });
  const asked: Record<string, unknown>[] = [];
  const notes: Notes = new Notes();
  client.setRequestHandler(CreateMessageRequestSchema, (request) => {
    asked.push(request);
    return { model: 'test', role: 'assistant', content: { type: 'text', text: 'ask ada.lovelace@example.com' } };
  });
  client.setRequestHandler(ElicitRequestSchema, (request) => {
    asked.push(request);
    return { action: 'accept', content: { name: 'Ada', email: 'ada.lovelace@example.com' } };
  });
  client.setRequestHandler(ListRootsRequestSchema, (request) => {
    asked.push(request);
    return { roots: [{ uri: 'file:///srv/ada', name: 'home of Ada' }] };
  });
  client.fallbackNotificationHandler = async (note) => notes.push(note);
  const transport = new StreamableHTTPClientTransport(new URL(`${gateway.url}/mcp`), options);
  await client.connect(transport as Parameters<typeof client.connect>[0]);
  t.teardown(() => client.close());
  t.equal(await options.listening, 200, 'the GET stream stands');
  return { client, transport, asked, notes };
}

interface Session {
  readonly client: Client;
  readonly transport: StreamableHTTPClientTransport;
  readonly asked: readonly Record<string, unknown>[];
  readonly notes: Notes;
}

/** Notifications as they come, and a promise for the first that fits. */
class Notes {
  readonly #seen: Notification[] = [];
  readonly #waiting: { readonly fits: (note: Notification) => boolean; readonly go: (note: Notification) => void }[] =
    [];

  push(note: Notification): void {
    this.#seen.push(note);
    for (const { fits, go } of this.#waiting) if (fits(note)) go(note);
  }

  first(fits: (note: Notification) => boolean): Promise<Notification> {
    const seen = this.#seen.find(fits);
    return seen === undefined ? new Promise((go) => this.#waiting.push({ fits, go })) : Promise.resolve(seen);
  }
}

const textOf = (result: unknown): string => JSON.stringify(result);

t.test(
  'resources, templates, prompts and completions of the reference server pass [interop-lists-and-reads]',
  async (t) => {
    const { client } = await connect(t, 'reader');
    t.ok((await client.listResources()).resources.length > 0);
    t.match(textOf(await client.listResourceTemplates()), /demo:\/\/resource\/dynamic\/text/);
    t.match(
      textOf(await client.readResource({ uri: 'demo://resource/dynamic/text/7' })),
      /Resource 7: This is a plaintext resource/,
    );
    t.match(textOf(await client.listPrompts()), /args-prompt/);
    const prompt = textOf(
      await client.getPrompt({ name: 'args-prompt', arguments: { city: 'ada.lovelace@example.com' } }),
    );
    t.match(prompt, /<EMAIL_ADDRESS>/, 'prompts are masked too');
    t.notMatch(prompt, SECRET);
    const ref = { type: 'ref/resource' as const, uri: 'demo://resource/dynamic/text/{resourceId}' };
    t.match(await client.complete({ ref, argument: { name: 'resourceId', value: '12' } }), {
      completion: { values: ['12'] },
    });
    await t.rejects(
      client.readResource({ uri: 'demo://nothing' }),
      /not found|Unknown/i,
      'an error of the server stays one',
    );
    t.match(await client.callTool({ name: 'no-such-tool' }).catch((fault: unknown) => fault), { isError: true });
  },
);

t.test('progress comes on the stream of its call, in order [interop-progress]', async (t) => {
  const { client } = await connect(t, 'runner');
  const steps: number[] = [];
  const call = { name: 'trigger-long-running-operation', arguments: { duration: 0.05, steps: 5 } };
  const result = await client.callTool(call, undefined, { onprogress: ({ progress }) => void steps.push(progress) });
  t.match(textOf(result), /completed/);
  t.same(steps, [1, 2, 3, 4, 5]);
  const exchange = (await recorded('runner')).find((it) => it.name === 'trigger-long-running-operation');
  t.equal(exchange?.messages.length, 5, 'each step is on record');
});

t.test('logs and resource updates come on the GET stream [interop-get-stream] [S-07]', async (t) => {
  const { client, notes } = await connect(t, 'listener');
  await client.setLoggingLevel('debug');
  const uri = 'demo://resource/dynamic/text/1';
  await client.subscribeResource({ uri });
  t.match(await notes.first((note) => textOf(note).includes('Subscribe')), { method: 'notifications/message' });
  await client.callTool({ name: 'toggle-subscriber-updates' });
  t.match(await notes.first((note) => note.method === 'notifications/resources/updated'), { params: { uri } });
  await client.unsubscribeResource({ uri });
  await client.callTool({ name: 'toggle-subscriber-updates' });
});

t.test(
  'a server’s questions reach the client that declared them, and its answers go back [interop-server-requests]',
  async (t) => {
    const { client, asked } = await connect(t, 'answerer');
    const names = (await client.listTools()).tools.map((tool) => tool.name);
    t.ok(
      ['trigger-sampling-request', 'trigger-elicitation-request', 'get-roots-list'].every((name) =>
        names.includes(name),
      ),
      'the server saw the capabilities',
    );
    const call = (name: string, args: Record<string, string>): Promise<string> =>
      client.callTool({ name, arguments: args }).then(textOf);
    const sampled = await call('trigger-sampling-request', { prompt: 'whom to ask? grace.hopper@example.com' });
    t.match(sampled, /ask <EMAIL_ADDRESS>/, 'the model’s words came back through the server, masked');
    const elicited = await call('trigger-elicitation-request', {});
    t.match(elicited, /Name: Ada.*Email: <EMAIL_ADDRESS>/);
    t.match(await call('get-roots-list', {}), /home of Ada/);
    const methods = asked.map((request) => request['method']);
    for (const method of ['sampling/createMessage', 'elicitation/create', 'roots/list'])
      t.ok(methods.includes(method), method);
    t.match(textOf(asked), /whom to ask\? <EMAIL_ADDRESS>/, 'what the server asks is masked like any answer');

    const own = await recorded('answerer');
    const sampling = own.find((it) => it.name === 'trigger-sampling-request');
    t.match(sampling?.messages[0]?.body, /sampling\/createMessage/, 'the question is part of the exchange');
    const answers = own.filter((it) => it.method === 'response');
    t.ok(answers.length >= 3, 'each answer is an exchange of its own');
    for (const it of own)
      t.notMatch([it.request, it.response, ...it.messages.map((message) => message.body)].join(), SECRET);
  },
);

t.test(
  'a cancelled call ends at the client, the server hears of it, and the record is closed [interop-cancel] [C-03]',
  async (t) => {
    const { client } = await connect(t, 'canceller');
    const stop = new AbortController();
    const call = { name: 'trigger-long-running-operation', arguments: { duration: 60, steps: 6000 } };
    const running = client.callTool(call, undefined, { signal: stop.signal, onprogress: () => stop.abort('enough') });
    await t.rejects(running, /enough/);
    t.match(
      textOf(await client.callTool({ name: 'echo', arguments: { message: 'still there' } })),
      /Echo: still there/,
    );
    const told = await until(async () => {
      const own = await recorded('canceller');
      const cancelled = own.find((it) => it.name === 'trigger-long-running-operation');
      return cancelled?.outcome === undefined ? undefined : { own, cancelled };
    });
    t.ok(
      told.own.some((it) => it.method === 'notifications/cancelled'),
      'the server was told',
    );
    t.equal(told.cancelled.outcome, 'unknown', 'whether it ran is not known');
  },
);

t.test('a session ends with DELETE, for the client and for the server [interop-delete] [S-06]', async (t) => {
  const { client, transport } = await connect(t, 'leaver');
  const id = transport.sessionId!;
  const before = gateway.portcullis.gateway.sessions.size;
  await transport.terminateSession();
  t.equal(gateway.portcullis.gateway.sessions.size, before - 1);
  const headers = { 'mcp-session-id': id, 'mcp-protocol-version': '2025-11-25' };
  const token = await gateway.person('leaver', ['eng']);
  const late = await send(`${gateway.url}/mcp`, token, '{"jsonrpc":"2.0","id":9,"method":"tools/list"}', headers);
  t.equal(late.status, 404, 'the id is unknown now');
  t.equal((await recorded('leaver')).find((it) => it.method === 'DELETE')?.outcome, 'answered');
  await client.close();
});

t.test(
  'what the servers and clients left behind verifies, and no address lies in the store [interop-record-verifies]',
  async (t) => {
    await gateway.close();
    const masterKey = Buffer.from(readFileSync(join(gateway.folder, 'key'), 'utf8').trim(), 'base64');
    const report = await verify({ path: join(gateway.folder, 'portcullis.db'), masterKey });
    t.same(report.problems, []);
    t.equal(report.unsigned, 0);
    const files = readdirSync(gateway.folder, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    for (const { parentPath, name } of files) {
      const bytes = readFileSync(join(parentPath, name));
      t.notOk(
        bytes.includes('ada.lovelace@example.com') || bytes.includes('grace.hopper@example.com'),
        `no address in ${name}`,
      );
    }
  },
);
