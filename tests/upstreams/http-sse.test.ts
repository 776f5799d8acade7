import { setImmediate } from 'node:timers/promises';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { modern, send, startGateway, type TestGateway } from '../gateway.ts';
import { until } from '../process/commands.ts';
import { startScript, startSdkServer } from './sse-server.ts';
import { codeOf, initialize, openSession } from './wire.ts';

interface Place {
  readonly gateway: TestGateway;
  readonly url: string;
  readonly token: string;
}

const CREDENTIAL = 'Bearer fake-credential-of-a-test';

async function start(t: Test, url: string, connection: JsonObject = {}, server: JsonObject = {}): Promise<Place> {
  const gateway = await startGateway(t, {
    server: { listen: '127.0.0.1:0', public_url: 'http://127.0.0.1:8800', grace: '1s', ...server },
    connections: [
      {
        name: 'default',
        upstream: { url, transport: 'sse' },
        credential: { type: 'static', value: CREDENTIAL },
        access: { groups: ['eng'] },
        era: 'passthrough',
        ...connection,
      },
    ],
    datamasking_rules: [{ name: 'pii', supported_entity_types: [{ name: 'C', entity_types: ['EMAIL_ADDRESS'] }] }],
  });
  return { gateway, url: `${gateway.url}/mcp`, token: await gateway.person('erin', ['eng']) };
}

/** The gateway holds no stream of the server any more. */
const none = (open: () => number): Promise<true> =>
  until(async () => {
    await setImmediate();
    return open() === 0 ? true : undefined;
  });

t.test('a server of 2024-11-05 serves today’s clients, governed and asking back [http-sse-upstream]', async (t) => {
  const server = await startSdkServer(t);
  const place = await start(t, server.url);
  const connect = async (uri: string): Promise<Client> => {
    const client = new Client({ name: 'one', version: '1' }, { capabilities: { roots: {} } });
    client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri }] }));
    const options = { requestInit: { headers: { Authorization: `Bearer ${place.token}` } } };
    await client.connect(
      new StreamableHTTPClientTransport(new URL(place.url), options) as Parameters<typeof client.connect>[0],
    );
    return client;
  };
  const clients = await Promise.all(['file:///one', 'file:///two'].map(connect));
  for (const [n, client] of clients.entries()) {
    const heard: unknown[] = [];
    const onprogress = (progress: unknown): void => void heard.push(progress);
    const answer = await client.callTool({ name: 'greet', arguments: { who: `ada${n}@example.com` } }, undefined, {
      onprogress,
    });
    t.match(answer, { content: [{ text: 'hello <EMAIL_ADDRESS>' }] }, 'masked as ever');
    t.match(heard, [{ message: 'greeting <EMAIL_ADDRESS>' }]);
    const asked = JSON.stringify(await client.callTool({ name: 'roots', arguments: {} }));
    t.match(asked, n === 0 ? /file:\/\/\/one/ : /file:\/\/\/two/, 'its question goes to its own client');
    const changed = new Promise((resolve) => {
      client.fallbackNotificationHandler = async (note) => resolve(note);
    });
    await client.callTool({ name: 'change', arguments: {} });
    t.match(await changed, { method: 'notifications/tools/list_changed' });
  }
  t.equal(server.open(), 2, 'a stream for each session');
  await (clients[0]!.transport as StreamableHTTPClientTransport).terminateSession();
  await until(async () => {
    await setImmediate();
    return server.open() === 1 ? true : undefined;
  });
  t.pass('which ends with it');
  await Promise.all(clients.map((client) => client.close()));
  await place.gateway.close();
  await none(server.open);
});

t.test('it knows no requests without a session, and no 2026-07-28 [http-sse-upstream]', async (t) => {
  const server = await startSdkServer(t);
  const place = await start(t, server.url);
  t.match((await modern(place.url, place.token, 'tools/list')).json, { error: { code: -32022 } });
  const answer = await send(place.url, place.token, '{"jsonrpc":"2.0","id":1,"method":"tools/list"}', {
    'mcp-protocol-version': '2025-06-18',
  });
  t.ok(answer.json['error'], 'refused');
});

t.test(
  'messages go where the endpoint event says, with the credential and without the caller’s [http-sse-endpoint]',
  async (t) => {
    const server = await startScript(t, {});
    const place = await start(t, server.url);
    const session = await openSession(t, place.url, place.token);
    t.equal(session.first.status, 200);
    t.ok(server.posts.length > 0 && server.posts.every((post) => post.startsWith('/messages?of=this ')));
    t.ok(server.headers.every((headers) => headers.authorization === CREDENTIAL));
  },
);

t.test(
  'an endpoint of another origin gets nothing, least of all the credential [http-sse-endpoint] [H-13] [G-01]',
  async (t) => {
    const elsewhere = await startScript(t, {});
    for (const endpoint of [
      elsewhere.url,
      elsewhere.url.replace('http:', ''),
      'https://example.com/messages',
      'javascript:alert(1)',
      `/${'x'.repeat(5_000)}`,
      'http://[',
    ]) {
      const server = await startScript(t, {
        open(line) {
          line.res.writeHead(200, { 'content-type': 'text/event-stream' });
          line.send(endpoint, 'endpoint');
        },
      });
      const place = await start(t, server.url);
      const answer = await send(place.url, place.token, initialize());
      t.equal(codeOf(answer), 'upstream_invalid', endpoint.slice(0, 40));
      t.match(answer.text, 'not of its own origin');
      t.equal(server.posts.length, 0);
      await place.gateway.close();
    }
    t.equal(elsewhere.headers.length, 0);
  },
);

t.test('a GET that is refused, redirected, no stream, or silent opens no session [http-sse-endpoint]', async (t) => {
  const elsewhere = await startScript(t, {});
  for (const [status, headers, expected] of [
    [401, {}, 'upstream_refused'],
    [307, { location: elsewhere.url }, 'upstream_refused'],
    [404, {}, 'upstream_invalid'],
    [200, { 'content-type': 'text/html' }, 'upstream_invalid'],
    [200, { 'content-type': 'text/event-stream' }, 'upstream_timeout'],
  ] as const) {
    const server = await startScript(t, {
      open(line) {
        line.res.writeHead(status, headers);
        if (expected === 'upstream_timeout') line.res.flushHeaders();
        else line.res.end('<p>hello</p>');
      },
    });
    const place = await start(t, server.url, { timeout: '1s' });
    t.equal(codeOf(await send(place.url, place.token, initialize())), expected, `${status}`);
    await place.gateway.close();
  }
  t.equal(elsewhere.headers.length, 0, 'the redirect was not followed');
});

t.test('a stream that breaks fails what is in flight and ends the session [http-sse-broken] [S-04]', async (t) => {
  type Break = (line: { res: { destroy(): void; end(): void; write(text: string): void } }) => void;
  const breaks: readonly (readonly [string, Break])[] = [
    ['upstream_lost', ({ res }) => res.destroy()],
    ['upstream_lost', ({ res }) => res.end()],
    ['upstream_invalid', ({ res }) => res.write('data: {"jsonrpc":"2.0","id":1,"id":2,"result":{}}\n\n')],
    ['upstream_invalid', ({ res }) => res.write(`data: ${'x'.repeat(2_000_000)}`)],
  ];
  for (const [code, broken] of breaks) {
    const server = await startScript(t, {
      post(message, line) {
        if (message['method'] === 'tools/call') broken(line);
      },
    });
    const place = await start(t, server.url, {}, { message_size: '1MiB' });
    const session = await openSession(t, place.url, place.token);
    const stream = await session.listen();
    t.equal(codeOf(await session.call(1, 'any')), code);
    t.equal(await stream.next(), undefined);
    t.equal((await session.call(2, 'any')).status, 404);
    await place.gateway.close();
  }
});

t.test('a POST that the server does not take is the answer of its call only [http-sse-post]', async (t) => {
  const server = await startScript(t, {
    post(message, line, res) {
      const { id, params } = message as { id: number; params?: { name?: string } };
      if (params?.name === 'refused') return 403;
      if (params?.name === 'broken') return 500;
      if (params?.name === 'said') {
        res.writeHead(400, { 'content-type': 'application/json' });
        res.end(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32602, message: 'not so' } }));
        return undefined;
      }
      if (id !== undefined) line.send({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: 'fine' }] } });
      return undefined;
    },
  });
  const place = await start(t, server.url);
  const session = await openSession(t, place.url, place.token);
  t.equal(codeOf(await session.call(1, 'refused')), 'upstream_refused');
  t.equal(codeOf(await session.call(2, 'broken')), 'upstream_invalid');
  t.match((await session.call(3, 'said')).json, { error: { code: -32602, message: 'not so' } });
  t.match((await session.call(4, 'good')).json, { id: 4, result: { content: [{ text: 'fine' }] } });
});

t.test('a session whose client leaves during the handshake leaves no stream behind [http-sse-broken]', async (t) => {
  const { promise: opened, resolve } = Promise.withResolvers<{ once(event: string, done: () => void): void }>();
  const server = await startScript(t, {
    open({ res }) {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.flushHeaders();
      resolve(res);
    },
  });
  const place = await start(t, server.url, { timeout: '1s' });
  const call = send(place.url, place.token, initialize());
  const res = await opened;
  const closed = new Promise<void>((done) => res.once('close', done));
  t.equal(codeOf(await call), 'upstream_timeout');
  await closed;
  t.pass('the stream was closed');
});
