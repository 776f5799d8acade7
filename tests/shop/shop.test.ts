import { once } from 'node:events';
import http from 'node:http';
import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { isValidIBAN } from 'ibantools';
import t, { type Test } from 'tap';
import { openDatabase, type Row } from '../../examples/shop/database.ts';
import { startShop, type Shop, type ShopOptions } from '../../examples/shop/server.ts';

interface Result {
  readonly isError?: boolean | undefined;
  readonly content: readonly { readonly type: string; readonly text?: string | undefined }[];
  readonly structuredContent?: unknown;
}
interface CallOptions {
  readonly signal?: AbortSignal;
  readonly onprogress?: (progress: { readonly progress: number; readonly message?: string | undefined }) => void;
}
/** What the tests ask of a client, whichever SDK it is of. */
interface Agent {
  readonly revision: string | undefined;
  tools(): Promise<readonly string[]>;
  call(name: string, args: Record<string, unknown>, options?: CallOptions): Promise<Result>;
  read(uri: string): Promise<string>;
  prompt(name: string, args: Record<string, string>): Promise<string>;
  endSession(): Promise<void>;
  close(): Promise<void>;
}
type Connect = (url: string, headers?: Record<string, string>) => Promise<Agent>;

const connectV1: Connect = async (url, headers = {}) => {
  const client = new ClientV1({ name: 'test', version: '1' });
  const transport = new TransportV1(new URL(url), { requestInit: { headers } });
  await client.connect(transport);
  return {
    revision: transport.protocolVersion,
    tools: async () => (await client.listTools()).tools.map((tool) => tool.name),
    call: async (name, args, options) =>
      (await client.callTool({ name, arguments: args }, undefined, options)) as Result,
    read: async (uri) => JSON.stringify(await client.readResource({ uri })),
    prompt: async (name, args) => JSON.stringify(await client.getPrompt({ name, arguments: args })),
    endSession: () => transport.terminateSession(),
    close: () => client.close(),
  };
};

function connectV2(mode: 'legacy' | 'auto' | { readonly pin: string }): Connect {
  return async (url, headers = {}) => {
    const client = new Client({ name: 'test', version: '2' }, { versionNegotiation: { mode } });
    const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
    await client.connect(transport);
    return {
      revision: client.getNegotiatedProtocolVersion(),
      tools: async () => (await client.listTools()).tools.map((tool) => tool.name),
      call: async (name, args, options) => (await client.callTool({ name, arguments: args }, options)) as Result,
      read: async (uri) => JSON.stringify(await client.readResource({ uri })),
      prompt: async (name, args) => JSON.stringify(await client.getPrompt({ name, arguments: args })),
      endSession: () => transport.terminateSession(),
      close: () => client.close(),
    };
  };
}

const clients: readonly { readonly name: string; readonly connect: Connect; readonly revision: string }[] = [
  { name: 'the SDK v1 client', connect: connectV1, revision: '2025-11-25' },
  { name: 'the SDK v2 client in legacy mode', connect: connectV2('legacy'), revision: '2025-11-25' },
  { name: 'the SDK v2 client in auto mode', connect: connectV2('auto'), revision: '2026-07-28' },
  { name: 'the SDK v2 client pinned to 2026-07-28', connect: connectV2({ pin: '2026-07-28' }), revision: '2026-07-28' },
];

async function open(test: Test, options: ShopOptions = {}): Promise<Shop> {
  const shop = await startShop(options);
  test.teardown(() => shop.close());
  return shop;
}

async function visit(test: Test, connect: Connect, url: string, headers?: Record<string, string>): Promise<Agent> {
  const agent = await connect(url, headers);
  test.teardown(() => agent.close());
  return agent;
}

for (const { name, connect, revision } of clients) {
  t.test(`${name} lists, calls, reads and prompts on the one URL [shop-serves-both-eras]`, async (t) => {
    const shop = await open(t);
    const agent = await visit(t, connect, shop.url, { authorization: 'Bearer fake-inbound' });
    t.equal(agent.revision, revision);
    t.same(await agent.tools(), [
      'query',
      'execute_sql',
      'list_databases',
      'list_tables',
      'describe_table',
      'export_report',
    ]);

    const counted = await agent.call('query', { sql: 'SELECT count(*) AS n FROM orders' });
    t.same(counted.structuredContent, { rows: [{ n: 500 }], truncated: false });
    t.same(
      JSON.parse(counted.content[0]?.text ?? ''),
      counted.structuredContent,
      'text says the same as the structure',
    );

    const tables = await agent.call('list_tables', {});
    t.same(tables.structuredContent, { tables: ['customers', 'orders', 'products'] });
    t.same((await agent.call('list_databases', {})).structuredContent, { databases: ['shop'] });
    const columns = await agent.call('describe_table', { table: 'customers' });
    t.match(columns.structuredContent, { columns: [{ name: 'id', type: 'INTEGER', primary_key: true }] });

    t.match(await agent.read('shop://schema'), /CREATE TABLE customers/);
    t.match(await agent.read('shop://customers/7'), /7@example\.com/);
    t.match(await agent.prompt('customer_summary', { customer_id: '7' }), /7@example\.com/);

    const seen = shop.calls.filter((call) => call.method === 'tools/call');
    t.same(
      seen.map((call) => call.name),
      ['query', 'list_tables', 'list_databases', 'describe_table'],
    );
    t.same(seen[0]?.arguments, { sql: 'SELECT count(*) AS n FROM orders' });
    t.equal(seen[0]?.headers['authorization'], 'Bearer fake-inbound');
    t.equal(seen[0]?.headers['mcp-method'], revision === '2026-07-28' ? 'tools/call' : undefined);
    t.ok(shop.authorizations >= shop.calls.filter((call) => call.method === 'tools/call').length);
  });

  t.test(`${name} changes rows, and a mistake in SQL is a result it can read`, async (t) => {
    const shop = await open(t);
    const agent = await visit(t, connect, shop.url);
    const changed = await agent.call('execute_sql', { sql: "UPDATE orders SET status = 'paid' WHERE id <= 3" });
    t.same(changed.structuredContent, { rows: [], truncated: false, changes: 3 });
    const mistake = await agent.call('query', { sql: 'SELECT * FROM nowhere' });
    t.equal(mistake.isError, true);
    t.match(mistake.content[0]?.text, /no such table: nowhere/);
    const refused = await agent.call('query', { sql: 'DELETE FROM orders RETURNING id' });
    t.equal(refused.isError, true);
    const left = await agent.call('query', { sql: 'SELECT count(*) AS n FROM orders' });
    t.same(left.structuredContent, { rows: [{ n: 500 }], truncated: false });
  });

  t.test(`${name} sees the progress of a report and can cancel it`, async (t) => {
    const shop = await open(t);
    const agent = await visit(t, connect, shop.url);
    const steps: number[] = [];
    const report = await agent.call(
      'export_report',
      { steps: 3, pace_ms: 1 },
      {
        onprogress(progress) {
          steps.push(progress.progress);
          t.match(progress.message, /exported up to .+@example\.com/);
        },
      },
    );
    t.same(steps, [1, 2, 3]);
    t.equal(report.content[0]?.text?.split('\n').length, 201);

    const stop = new AbortController();
    const slow = agent.call(
      'export_report',
      { steps: 100, pace_ms: 10 },
      { signal: stop.signal, onprogress: () => stop.abort() },
    );
    await t.rejects(slow);
    t.same((await agent.call('list_databases', {})).structuredContent, { databases: ['shop'] });
  });

  t.test(`${name} is refused without the credential that the shop asks for, and served with it`, async (t) => {
    const shop = await open(t, { require: { header: 'x-shop-key', value: 'fake-key' } });
    await t.rejects(connect(shop.url));
    await t.rejects(connect(shop.url, { 'x-shop-key': 'fake-other' }));
    t.ok(shop.calls.length >= 2, 'refused requests are counted as having arrived');
    const agent = await visit(t, connect, shop.url, { 'x-shop-key': 'fake-key' });
    t.equal((await agent.tools()).length, 6);
  });
}

for (const { name, connect } of clients.filter((client) => client.revision === '2025-11-25')) {
  t.test(`${name} ends its session with DELETE, after which its id is unknown`, async (t) => {
    const shop = await open(t);
    const agent = await visit(t, connect, shop.url);
    await agent.tools();
    const session = shop.calls.find((call) => call.method === 'tools/list')?.headers['mcp-session-id'];
    t.ok(session);
    await agent.endSession();
    t.ok(shop.calls.some((call) => call.method === 'DELETE'));
    const again = await fetch(shop.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-session-id': session ?? '',
      },
      body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}',
    });
    t.equal(again.status, 404);
    await again.text();
  });
}

t.test('a client that left its GET stream can open it again', async (t) => {
  const shop = await open(t);
  const agent = await visit(t, connectV1, shop.url);
  await agent.tools();
  const session = shop.calls.find((call) => call.method === 'tools/list')?.headers['mcp-session-id'] ?? '';
  await agent.close();
  const headers = { accept: 'text/event-stream', 'mcp-session-id': session };
  let status = 409;
  // The server notices the end of the first stream when its socket closes, which is after the client is done.
  while (status === 409) {
    const leave = new AbortController();
    const stream = await fetch(shop.url, { headers, signal: leave.signal });
    status = stream.status;
    leave.abort();
  }
  t.equal(status, 200);
});

t.test('close ends at once with a stream open and a report running', async (t) => {
  const shop = await startShop();
  const legacy = await connectV1(shop.url);
  const modern = await connectV2({ pin: '2026-07-28' })(shop.url);
  const begun = [legacy, modern].map((agent) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const call = agent.call('export_report', { steps: 100, pace_ms: 20 }, { onprogress: () => resolve() });
    return { promise, call: t.rejects(call) };
  });
  await Promise.all(begun.map(({ promise }) => promise));
  await shop.close();
  const refused = http.get(shop.url);
  const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
  t.equal(error.code, 'ECONNREFUSED');
  await Promise.all([legacy.close(), modern.close(), ...begun.map(({ call }) => call)]);
});

t.test('a page of another origin is refused', async (t) => {
  const shop = await open(t);
  const answer = await fetch(shop.url, { method: 'POST', headers: { origin: 'http://evil.example' }, body: '{}' });
  t.equal(answer.status, 403);
  await answer.text();
  t.same(shop.calls, []);
});

t.test('only the newest 1,000 calls are kept', async (t) => {
  const shop = await open(t, { require: { header: 'x-shop-key', value: 'fake-key' } });
  const batch = JSON.stringify(Array.from({ length: 700 }, (_, id) => ({ jsonrpc: '2.0', id, method: `m${id}` })));
  for (let turn = 0; turn < 2; turn += 1) await (await fetch(shop.url, { method: 'POST', body: batch })).text();
  t.equal(shop.calls.length, 1000);
  t.equal(shop.calls[0]?.method, 'm400');
});

t.test('the data is the same every time, valid in form, and kept in a file when one is named', async (t) => {
  const [first, second] = [openDatabase(), openDatabase()];
  const all = 'SELECT * FROM customers';
  const customers = first.query(all).rows;
  t.same(customers, second.query(all).rows);
  t.equal(customers.length, 200);
  t.equal(first.query('SELECT * FROM orders').rows.length, 500);
  t.equal(first.query('SELECT * FROM products').rows.length, 50);
  const wrong = customers.filter((customer) => !wellFormed(customer));
  t.same(wrong, []);
  first.close();
  second.close();

  const path = join(t.testdir(), 'shop.db');
  const file = openDatabase(path);
  t.equal(file.execute('DELETE FROM customers WHERE id = 1').changes, 1);
  file.close();
  const reopened = openDatabase(path);
  t.equal(reopened.query(all).rows.length, 199);
  reopened.close();
});

t.test(
  'statements that leave the data are refused, a truncated result says so, and large integers keep their digits',
  async (t) => {
    const data = openDatabase();
    t.teardown(() => data.close());
    for (const sql of [
      "ATTACH '/tmp/other.db' AS other",
      "-- harmless\n/* too */ VACUUM INTO '/tmp/copy.db'",
      'BEGIN',
      'PRAGMA foreign_keys = OFF',
      'SELECT 1; DROP TABLE orders',
      '',
    ]) {
      t.throws(() => data.execute(sql), sql);
      t.throws(() => data.query(sql), sql);
    }
    t.throws(() => data.query('WITH gone AS (SELECT 1) DELETE FROM orders WHERE id IN gone'));
    const inserted = data.execute("INSERT INTO products VALUES (99, 'X', 'X', 1, 1) RETURNING id");
    t.same(inserted, { rows: [{ id: 99 }], truncated: false, changes: 1 });
    const many = data.query(
      'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT i FROM n',
    );
    t.equal(many.rows.length, 1000);
    t.equal(many.truncated, true);
    t.same(data.query("SELECT 9007199254740993 AS big, 1 AS small, x'00ff' AS blob").rows, [
      { big: '9007199254740993', small: 1, blob: 'AP8=' },
    ]);
  },
);

function wellFormed(customer: Row): boolean {
  return (
    /^[a-z]+\.[a-z]+\.\d+@example\.com$/.test(String(customer['email'])) &&
    /^\+1 \(\d{3}\) 555-01\d\d$/.test(String(customer['phone'])) &&
    /^(?:77[3-9]|7[89]\d|8\d\d)-[1-9]\d-[1-9]\d{3}$/.test(String(customer['ssn'])) &&
    isValidIBAN(String(customer['iban'])) &&
    luhn(String(customer['card_number']))
  );
}

function luhn(number: string): boolean {
  const digits = [...number.replace(/\D/g, '')].reverse().map(Number);
  const sum = digits.reduce((total, digit, index) => {
    const doubled = index % 2 === 1 ? digit * 2 : digit;
    return total + (doubled > 9 ? doubled - 9 : doubled);
  }, 0);
  return digits.length >= 15 && sum % 10 === 0;
}
