import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { startUpstream, type Handlers, type Upstream } from '../fixture/upstream.ts';
import { send, startGateway, type Answer, type TestGateway } from '../gateway.ts';
import { optionsFor } from './clients.ts';

const INITIALIZE =
  '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"odd","version":"1"}}}';

interface Place {
  readonly gateway: TestGateway;
  readonly upstream: Upstream;
  readonly url: string;
  readonly token: string;
}

async function start(t: Test, handlers: Handlers, connection: JsonObject = {}): Promise<Place> {
  const upstream = await startUpstream({ eras: 'legacy', ...handlers });
  t.teardown(() => upstream.close());
  const gateway = await startGateway(t, {
    server: { listen: '127.0.0.1:0', public_url: 'http://127.0.0.1:8800', grace: '1s' },
    connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng'] }, ...connection }],
  });
  return { gateway, upstream, url: `${gateway.url}/mcp`, token: await gateway.person('erin', ['eng']) };
}

/** A legacy session by hand: what a test posts to it is exactly what arrives. */
async function open({ url, token }: Place): Promise<(message: object | undefined, method?: string) => Promise<Answer>> {
  const first = await send(url, token, INITIALIZE);
  const headers = { 'mcp-session-id': first.headers.get('mcp-session-id')!, 'mcp-protocol-version': '2025-11-25' };
  return (message, method = 'POST') =>
    send(
      url,
      token,
      message === undefined ? undefined : JSON.stringify({ jsonrpc: '2.0', ...message }),
      headers,
      method,
    );
}

const call = (id: number, name: string): object => ({ id, method: 'tools/call', params: { name, arguments: {} } });

t.test('a stream that falls silent before its answer ends with an error [silent-stream-ends]', async (t) => {
  const place = await start(
    t,
    {
      tools: {
        stuck: async (request) =>
          void (await request.stream().notify('notifications/message', { level: 'info', data: 'so far so good' })),
      },
    },
    { timeout: '1s' },
  );
  const post = await open(place);
  const answer = await post(call(1, 'stuck'));
  t.match(answer.events[0], { method: 'notifications/message' }, 'what was said before arrives');
  t.match(answer.json, { id: 1, error: { code: 1205, data: { code: 'upstream_timeout' } } });
  const exchange = (await place.gateway.exchanges()).find((it) => it.name === 'stuck');
  t.equal(exchange?.outcome, 'unknown');
});

t.test(
  'a cancelled call whose server goes on is over for client, record and capacity [cancel-frees] [C-03]',
  async (t) => {
    const place = await start(t, {});
    const post = await open(place);
    const slow = post(call(7, 'slow'));
    await place.upstream.arrival('slow');
    const word = await post({ method: 'notifications/cancelled', params: { requestId: 7 } });
    t.equal(word.status, 202);
    t.equal((await slow).text, '', 'no answer comes');
    t.equal(place.upstream.received('notifications/cancelled').length, 1, 'the server heard it');
    t.equal((await post({ method: 'notifications/cancelled', params: { requestId: 7 } })).status, 202);
    t.equal((await post({ method: 'notifications/cancelled', params: { requestId: 99 } })).status, 202);
    t.equal(place.upstream.received('notifications/cancelled').length, 1, 'of other calls it hears nothing');
    const exchange = (await place.gateway.exchanges()).find((it) => it.name === 'slow');
    t.equal(exchange?.outcome, 'unknown');
  },
);

t.test(
  'a connection inspected whole still lets its server ask and its GET stream speak [whole-does-not-hang]',
  async (t) => {
    const asking: Handlers = {
      tools: {
        ask: async (request) => {
          const stream = request.stream();
          await stream.notify('notifications/message', { level: 'info', data: 'first' });
          const answer = await stream.ask('sampling/createMessage', { messages: [], maxTokens: 5 });
          await stream.send(
            request.envelope({ result: { content: [{ type: 'text', text: JSON.stringify(answer.json) }] } }),
          );
          stream.end();
        },
      },
    };
    const place = await start(t, asking, { inspect: 'whole' });
    const client = new Client({ name: 'whole', version: '1' }, { capabilities: { sampling: {} } });
    client.setRequestHandler(CreateMessageRequestSchema, () => ({
      model: 'test',
      role: 'assistant',
      content: { type: 'text', text: 'forty-two' },
    }));
    const heard = new Promise((resolve) => {
      client.fallbackNotificationHandler = async (note) => resolve(note);
    });
    const transport = new StreamableHTTPClientTransport(new URL(place.url), optionsFor(place));
    await client.connect(transport as Parameters<typeof client.connect>[0]);
    t.teardown(() => client.close());
    const stream = await place.upstream.opened();
    await stream.notify('notifications/message', { level: 'info', data: 'on the GET stream' });
    t.match(await heard, { params: { data: 'on the GET stream' } });
    t.match(JSON.stringify(await client.callTool({ name: 'ask' })), /forty-two/);
  },
);

t.test(
  'bodies of what has no answer are nobody’s, and a GET without a stream is 405 [lenient-upstreams] [H-08]',
  async (t) => {
    const html = { status: 200, headers: { 'content-type': 'text/html' }, body: '<p>hello ada@example.com</p>' };
    const place = await start(t, {
      on: { GET: () => html, DELETE: () => html, 'notifications/initialized': () => html },
    });
    const post = await open(place);
    const answers = [
      await post({ method: 'notifications/initialized' }),
      await post(undefined, 'GET'),
      await post(undefined, 'DELETE'),
    ];
    t.same(
      answers.map((answer) => answer.text),
      ['', '', ''],
    );
    t.equal(answers[1]!.status, 405);
    t.equal((await post(call(2, 'echo'))).status, 404, 'the session is over');
    const outcomes = (await place.gateway.exchanges()).map((it) => [it.method, it.outcome]);
    // The first exchanges are the gateway's own, which asks the server what it speaks.
    const own = outcomes.findLastIndex(([method]) => method === 'initialize');
    t.match(outcomes.slice(own + 1), [
      ['notifications/initialized', 'answered'],
      ['GET', 'answered'],
      ['DELETE', 'answered'],
    ]);
  },
);

t.test(
  'a GET stream stands before anything is said on it, and ends at the server with its client [get-stream-stands] [S-07]',
  async (t) => {
    const place = await start(t, {});
    const first = await send(place.url, place.token, INITIALIZE);
    const headers = {
      authorization: `Bearer ${place.token}`,
      accept: 'text/event-stream',
      'mcp-session-id': first.headers.get('mcp-session-id')!,
      'mcp-protocol-version': '2025-11-25',
    };
    const leave = new AbortController();
    const response = await fetch(place.url, { headers, signal: leave.signal });
    t.equal(response.headers.get('content-type'), 'text/event-stream');
    const stream = await place.upstream.opened();
    const { sessions } = place.gateway.portcullis.gateway;
    const tomorrow = Date.now() + 86_400_000;
    t.equal(sessions.idle(tomorrow).length, 0, 'a session that somebody listens to is not idle');
    leave.abort();
    await stream.closed;
    t.pass('the server’s stream ends with the client’s');
  },
);

t.test('/mcp stands for the only connection, whatever its name [only-connection-is-default]', async (t) => {
  const { url, token } = await start(t, {}, { name: 'shop' });
  t.match((await send(url, token, INITIALIZE)).json, { result: { serverInfo: { name: 'fixture' } } });
  t.match((await send(`${url}/shop`, token, INITIALIZE)).json, { result: { serverInfo: { name: 'fixture' } } });
});
