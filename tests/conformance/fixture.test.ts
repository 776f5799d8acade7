import http, { type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client, StreamableHTTPClientTransport, type VersionNegotiationMode } from '@modelcontextprotocol/client';
import t, { type Test } from 'tap';
import { differences } from './compare.ts';
import { startEverything, type Options } from './fixture/everything.ts';
import { startInjector } from './injector.ts';
import type { Check, Results } from './suite.ts';

const NOTHING = { tools: new Set<string>() };

const result = (...checks: readonly Partial<Check>[]): Results =>
  new Map([['scenario', checks.map((check) => ({ id: 'check', status: 'SUCCESS', details: {}, ...check }))]]);

t.test('the comparison overlooks nothing that a client could notice [conformance-equal]', async (t) => {
  const cases: readonly (readonly [string, Results, Results])[] = [
    ['a scenario is missing', result({}), new Map()],
    ['a scenario is new', new Map(), result({})],
    ['a check fails', result({}), result({ status: 'FAILURE', message: 'why' })],
    ['a check is skipped', result({}), result({ status: 'SKIPPED' })],
    ['a check is missing', result({}, {}), result({})],
    ['a header is missing', result({ details: { headers: { 'x-a': '1' } } }), result({ details: { headers: {} } })],
    ['a header is new', result({ details: { headers: {} } }), result({ details: { headers: { 'x-a': '1' } } })],
    ['a text differs', result({ details: { text: 'a' } }), result({ details: { text: 'b' } })],
    ['a list is in another order', result({ details: ['a', 'b'] }), result({ details: ['b', 'a'] })],
    ['a state is gone', result({ details: { requestState: 'a' } }), result({ details: {} })],
    [
      'a refusal of the gateway has another code',
      result({ details: { error: { code: -32602, message: 'no' } } }),
      result({ details: { error: { code: -32600, message: 'no', data: { remedy: 'do' } } } }),
    ],
  ];
  for (const [name, direct, through] of cases) t.equal(differences(direct, through, NOTHING).length > 0, true, name);
});

t.test('the comparison is not disturbed by what rightly differs [conformance-equal]', async (t) => {
  const cases: readonly (readonly [string, unknown, unknown])[] = [
    ['clocks', { timestamp: 'a', at: '2026-11-21T15:00:00.000Z' }, { timestamp: 'b', at: '2026-11-21T16:00:00.000Z' }],
    ['ports', { url: 'http://localhost:1/mcp' }, { url: 'http://localhost:2/mcp' }],
    ['random ids', { taskId: 'a', requestState: 'a' }, { taskId: 'b', requestState: 'b' }],
    [
      'tools that the gateway adds',
      { tools: [{ name: 'a' }], toolCount: 1 },
      { tools: [{ name: 'a' }, { name: 'own' }], toolCount: 2 },
    ],
    [
      'words of refusals',
      { error: { code: 1, message: 'no' } },
      { error: { code: 1, message: 'never', data: { code: 'x', remedy: 'y' } } },
    ],
  ];
  const allowed = { tools: new Set(['own']) };
  for (const [name, one, other] of cases)
    t.same(differences(result({ details: one }), result({ details: other }), allowed), [], name);
});

t.test('the injector adds the token and passes forged headers, streams and closes as they come', async (t) => {
  const { promise: asked, resolve } = Promise.withResolvers<IncomingMessage>();
  const { promise: left, resolve: leave } = Promise.withResolvers<void>();
  const server = http.createServer((req, res) => {
    res.once('close', leave);
    res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: first\n\n');
    resolve(req);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const injector = await startInjector();
  t.teardown(() => Promise.all([injector.close(), server.close()]));
  const url = injector.to(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`, 'secret');
  const headers = { host: 'evil.example.com', origin: 'http://evil.example.com' };
  const request = http.request(url, { method: 'POST', headers }).end('{}');
  request.on('error', () => undefined);
  const { headers: seen } = await asked;
  t.match(seen, { host: 'evil.example.com', origin: 'http://evil.example.com', authorization: 'Bearer secret' });
  const answer = await new Promise<IncomingMessage>((arrived) => request.once('response', arrived));
  const [first] = (await answer[Symbol.asyncIterator]().next()).value.toString().split('\n');
  t.equal(first, 'data: first', 'the first event is there before the end');
  request.destroy();
  await left;
  t.pass('a client that leaves is gone for the server too');
});

/** Connects a client to a server of these eras; the revision that they agree on, or what went wrong. */
async function negotiate(t: Test, eras: Options['eras'], mode: VersionNegotiationMode): Promise<string | undefined> {
  const server = await startEverything(eras === undefined ? {} : { eras });
  const client = new Client({ name: 'client', version: '1' }, { versionNegotiation: { mode } });
  t.teardown(async () => {
    await client.close();
    await server.close();
  });
  try {
    await client.connect(new StreamableHTTPClientTransport(new URL(server.url)));
  } catch (error) {
    return (error as Error).constructor.name;
  }
  const { tools } = await client.listTools();
  t.ok(tools.length > 30);
  await client.callTool({ name: 'test_simple_text' });
  t.same(server.counters.calls, { test_simple_text: 1 });
  return client.getNegotiatedProtocolVersion();
}

t.test('a server speaks the eras that it is told to', async (t) => {
  t.equal(await negotiate(t, 'both', 'legacy'), '2025-11-25');
  t.equal(await negotiate(t, 'both', 'auto'), '2026-07-28');
  t.equal(await negotiate(t, 'legacy', 'legacy'), '2025-11-25');
  t.equal(await negotiate(t, 'legacy', 'auto'), '2025-11-25');
  t.equal(await negotiate(t, 'modern', 'auto'), '2026-07-28');
  t.match(await negotiate(t, 'modern', 'legacy'), /Error$/);
  t.match(await negotiate(t, 'legacy', { pin: '2026-07-28' }), /Error$/);
});
