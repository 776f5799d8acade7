import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { startUpstream, type Handlers, type Upstream } from '../fixture/upstream.ts';
import { callTool, send, startGateway, textOf, type TestGateway } from '../gateway.ts';
import { HOSTILE_FRAMES } from '../wire/hostile-frames.ts';
import { dial, request, statuses, talk } from './raw.ts';
import { refusals } from './store.ts';

const CALL = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{}}}';
const PING = '{"jsonrpc":"2.0","id":8,"method":"ping"}';

interface House {
  readonly gateway: TestGateway;
  readonly upstream: Upstream;
  readonly url: string;
  readonly token: string;
  readonly bearer: string;
}

async function start(t: Test, server: JsonObject = {}, handlers: Handlers = { sessions: false }): Promise<House> {
  const upstream = await startUpstream(handlers);
  t.teardown(() => upstream.close());
  const access = { groups: ['eng'] };
  const gateway = await startGateway(t, {
    server: { listen: '127.0.0.1:0', public_url: 'http://127.0.0.1:8800', ...server },
    connections: [
      { name: 'default', upstream: { url: upstream.url }, access },
      { name: 'other', upstream: { url: upstream.url }, access },
    ],
  });
  const token = await gateway.person('erin', ['eng']);
  return { gateway, upstream, url: `${gateway.url}/mcp`, token, bearer: `Authorization: Bearer ${token}` };
}

/** The gateway is as well as before: a good call is answered, and no promise was broken meanwhile. */
async function well(t: Test, { gateway, upstream, url, token }: House): Promise<void> {
  const before = upstream.received('echo').length;
  t.match(textOf(await callTool(url, token, 'echo', { still: 'here' })), /still/, 'a good call is answered afterwards');
  t.equal(upstream.received('echo').length, before + 1);
  t.strictSame(
    gateway.logged.filter((line) => line.includes('"level":"error"')),
    [],
    'nothing failed unexpectedly',
  );
}

t.test(
  'every hostile frame is refused at the door with its status and code and goes nowhere [J-01] [J-05] [J-07] [J-08] [H-05] [H-06] [BT-03] [hostile-goes-nowhere]',
  async (t) => {
    const house = await start(t, {}, {});
    const { url, token, upstream, gateway } = house;
    const initialize = {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
    };
    const opened = await send(url, token, JSON.stringify(initialize));
    const session = {
      'mcp-session-id': opened.headers.get('mcp-session-id') ?? '',
      'mcp-protocol-version': '2025-11-25',
    };
    t.equal((await send(url, token, PING, session)).status, 200, 'the session is good');
    // What the gateway itself wants to know of the upstream it asks now.
    await callTool(url, token, 'echo');
    const before = upstream.requests.length;
    t.ok(HOSTILE_FRAMES.length >= 40);
    for (const { title, body, headers, status, code, id } of HOSTILE_FRAMES) {
      const answer = await send(url, token, body, { ...session, ...headers });
      t.equal(answer.status, status, title);
      t.match(answer.headers.get('content-type'), /^application\/json/, title);
      if (code !== undefined) t.equal((answer.json['error'] as JsonObject | undefined)?.['code'], code, title);
      if (id === undefined) t.notOk('id' in answer.json, `${title}: no id is echoed`);
      else
        t.match(
          answer.text,
          new RegExp(`"id":${id.replaceAll('\\', '\\\\')}[,}]`),
          `${title}: its id is echoed as it was written`,
        );
    }
    t.strictSame(
      upstream.requests.slice(before).map(({ raw }) => String(raw)),
      [],
      'nothing reached the upstream',
    );
    const kept = (await refusals(gateway)).reduce((sum, { count }) => sum + count, 0);
    const decided = (await gateway.exchanges()).filter(
      (exchange) => exchange.decision.code === 'method_unknown',
    ).length;
    t.ok(kept >= 20 && decided >= 8, 'each is on record: as a refusal, or as a call that was denied');
    t.equal((await send(url, token, PING, session)).status, 200, 'the session is as good as before');
    await well(t, house);
  },
);

t.test('framing that two readers could read differently is refused [H-04] [one-framing]', async (t) => {
  const house = await start(t);
  const { gateway, upstream, bearer } = house;
  const head = `POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:8800\r\nConnection: close\r\n${bearer}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n`;
  const chunked = `${CALL.length.toString(16)}\r\n${CALL}\r\n0\r\n\r\n`;
  const rows: readonly (readonly [title: string, bytes: string, expected: readonly number[]])[] = [
    [
      'a length and a coding',
      `${head}Content-Length: ${CALL.length}\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`,
      [400],
    ],
    ['a coding and a length', `${head}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${chunked}`, [400]],
    ['two lengths', `${head}Content-Length: ${CALL.length}\r\nContent-Length: 5\r\n\r\n${CALL}`, [400]],
    [
      'the same length twice',
      `${head}Content-Length: ${CALL.length}\r\nContent-Length: ${CALL.length}\r\n\r\n${CALL}`,
      [400],
    ],
    ['a list of lengths', `${head}Content-Length: ${CALL.length}, ${CALL.length}\r\n\r\n${CALL}`, [400]],
    ['a length with a sign', `${head}Content-Length: +${CALL.length}\r\n\r\n${CALL}`, [400]],
    ['a length in hexadecimal', `${head}Content-Length: 0x10\r\n\r\n${CALL}`, [400]],
    ['a length below zero', `${head}Content-Length: -1\r\n\r\n${CALL}`, [400]],
    ['a space before the colon', `${head}Content-Length : ${CALL.length}\r\n\r\n${CALL}`, [400]],
    ['a folded header', `${head}X-A: b\r\n Content-Length: 3\r\nContent-Length: ${CALL.length}\r\n\r\n${CALL}`, [400]],
    ['a coding before chunked', `${head}Transfer-Encoding: gzip, chunked\r\n\r\n${chunked}`, [400]],
    ['chunked twice', `${head}Transfer-Encoding: chunked, chunked\r\n\r\n${chunked}`, [400]],
    ['two codings', `${head}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n${chunked}`, [400]],
    ['an unknown coding', `${head}Transfer-Encoding: xchunked\r\n\r\n${chunked}`, [400]],
    [
      'a chunk size with a tail',
      `${head}Transfer-Encoding: chunked\r\n\r\n${CALL.length.toString(16)} x\r\n${CALL}\r\n0\r\n\r\n`,
      [400],
    ],
    [
      'a chunk that is longer than it says',
      `${head}Transfer-Encoding: chunked\r\n\r\n3\r\n${CALL}\r\n0\r\n\r\n`,
      [400],
    ],
    ['a bare line feed', `${head.replaceAll('\r\n', '\n')}Content-Length: ${CALL.length}\n\n${CALL}`, [400]],
    ['a NUL in a header', `${head}X-A: a\0b\r\nContent-Length: ${CALL.length}\r\n\r\n${CALL}`, [400]],
    ['two hosts', `${head}Host: 127.0.0.1:8800\r\nContent-Length: ${CALL.length}\r\n\r\n${CALL}`, [400]],
    [
      'two media types',
      `${head}Content-Type: application/json\r\nContent-Length: ${CALL.length}\r\n\r\n${CALL}`,
      [400],
    ],
    ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', [400]],
    ['HTTP/0.9, which has no Host', 'GET /mcp\r\n\r\n', [421]],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400]],
  ];
  for (const [title, bytes, expected] of rows) t.strictSame(statuses(await talk(gateway.url, bytes)), expected, title);
  t.equal(upstream.requests.length, 0, 'nothing reached the upstream');
  t.strictSame(
    statuses(await talk(gateway.url, `${head}Transfer-Encoding: chunked\r\n\r\n${chunked}`)),
    [200],
    'plain chunks pass',
  );
  t.equal(upstream.requests.length, 1);
  await well(t, house);
});

t.test('a header that must be read in one way comes once', async (t) => {
  const house = await start(t);
  const { gateway, upstream, bearer } = house;
  const twice = (name: string, one: string, two: string): readonly string[] => [
    bearer,
    `${name}: ${one}`,
    `${name}: ${two}`,
  ];
  const rows: readonly (readonly [title: string, headers: readonly string[], status: number])[] = [
    ['two sessions', twice('Mcp-Session-Id', 'a', 'b'), 400],
    ['two versions', twice('MCP-Protocol-Version', '2025-11-25', '2026-07-28'), 400],
    [
      'two methods',
      [...twice('Mcp-Method', 'tools/list', 'tools/call'), 'MCP-Protocol-Version: 2026-07-28', 'Mcp-Name: echo'],
      400,
    ],
    [
      'two names',
      [...twice('Mcp-Name', 'echo', 'slow'), 'MCP-Protocol-Version: 2026-07-28', 'Mcp-Method: tools/call'],
      400,
    ],
    ['two origins', twice('Origin', 'http://127.0.0.1:8800', 'https://evil.example'), 403],
    ['two codings of the content', twice('Content-Encoding', 'identity', 'gzip'), 400],
  ];
  for (const [title, headers, status] of rows)
    t.strictSame(statuses(await talk(gateway.url, request({ headers, body: CALL }))), [status], title);
  t.equal(upstream.requests.length, 0);
  await well(t, house);
});

t.test('headers beyond 64 KB, or too many, are refused', async (t) => {
  const house = await start(t);
  const { gateway, upstream, bearer } = house;
  t.strictSame(
    statuses(await talk(gateway.url, request({ headers: [bearer, `X-Long: ${'a'.repeat(66_000)}`], body: CALL }))),
    [431],
  );
  const many = Array.from({ length: 300 }, (_, i) => `X-${i}: a`);
  t.strictSame(statuses(await talk(gateway.url, request({ headers: [bearer, ...many], body: CALL }))), [400]);
  const token = await talk(
    gateway.url,
    request({ headers: [`Authorization: Bearer ${'a'.repeat(20_000)}`], body: CALL }),
  );
  t.strictSame(statuses(token), [400]);
  t.match(token, /longer than 16384/);
  t.equal(upstream.requests.length, 0);
  await well(t, house);
});

t.test('a body over the limit is refused before it is read, or as soon as it is over [body-bounded]', async (t) => {
  const house = await start(t, { message_size: '1KB' });
  const { gateway, upstream, bearer } = house;
  const said = await talk(gateway.url, request({ headers: [bearer], length: '2000' }));
  t.strictSame(statuses(said), [413], 'what says so itself is not waited for');
  t.match(said, /"code":-32600/);
  t.match(said, /connection: close/i, "the rest of it is nobody's next request");
  const line = dial(gateway.url);
  line.write(
    request({ headers: [bearer, 'Transfer-Encoding: chunked'], method: 'POST' }).replace(/Content-Length: 0\r\n/, ''),
  );
  line.write(`400\r\n${' '.repeat(1024)}\r\n`);
  line.write('1\r\n{\r\n');
  t.strictSame(statuses(await line.closed), [413], 'chunks are counted');
  const exact = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping', params: { _meta: { pad: '' } } });
  const fill = exact.replace('""', `"${'x'.repeat(1000 - exact.length)}"`);
  t.equal(fill.length, 1000);
  t.equal((await send(`${gateway.url}/mcp`, house.token, fill)).status, 200, 'what fits passes');
  t.strictSame(
    upstream.requests.map(({ method }) => method),
    ['ping'],
    'nothing else reached the upstream',
  );
  t.equal(
    (await send(`${gateway.url}/api/tokens`, house.token, ' '.repeat(300_000))).status,
    413,
    'REST has a limit of its own',
  );
  await well(t, house);
});

t.test('a body that does not arrive in time is given up, on every door [body-in-time]', async (t) => {
  const house = await start(t, { body_timeout: '1s' });
  const { gateway, upstream, bearer } = house;
  const slow = (target: string): Promise<string> =>
    talk(gateway.url, request({ target, headers: [bearer], length: '100', body: '{"jsonrpc":' }));
  const [mcp, own, rest] = await Promise.all([slow('/mcp'), slow('/api/mcp'), slow('/api/tokens')]);
  for (const answer of [mcp, own, rest]) {
    t.strictSame(statuses(answer!), [408]);
    t.match(answer, /the body did not arrive in time/);
  }
  t.equal(upstream.requests.length, 0);
  t.match(
    (await refusals(gateway)).map(({ code }) => code),
    ['body_timeout', 'body_timeout', 'body_timeout'],
  );
  await well(t, house);
});

t.test(
  'requests in one write are answered one after the other, and no body becomes a request [no-smuggled-request]',
  async (t) => {
    const house = await start(t);
    const { gateway, upstream, bearer } = house;
    const keep = 'Connection: keep-alive';
    const two = await talk(
      gateway.url,
      request({ headers: [bearer, keep], body: CALL }) + request({ headers: [bearer], body: PING }),
    );
    t.strictSame(statuses(two), [200, 200]);
    t.ok(two.indexOf('"id":7') < two.indexOf('"id":8'), 'in order');
    t.strictSame(
      upstream.requests.map(({ method }) => method),
      ['tools/call', 'ping'],
    );

    const hidden = request({ headers: [bearer], body: CALL });
    const stranger = await talk(
      gateway.url,
      request({ headers: [keep], body: hidden }) + request({ headers: [bearer], body: PING }),
    );
    t.strictSame(statuses(stranger), [401, 200], 'the unread body of a stranger is passed over, not executed');
    const refused = await talk(
      gateway.url,
      request({ headers: [bearer, keep, 'Content-Type: text/plain'], body: hidden }) +
        request({ headers: [bearer], body: PING }),
    );
    t.strictSame(statuses(refused), [415, 200]);
    const got = await talk(
      gateway.url,
      request({ method: 'GET', headers: [bearer, keep, 'Mcp-Session-Id: none', `Content-Length: ${hidden.length}`] }) +
        hidden +
        request({ headers: [bearer], body: PING }),
    );
    t.strictSame(statuses(got), [404, 200], 'a GET with a body');
    t.strictSame(
      upstream.requests.map(({ method }) => method),
      ['tools/call', 'ping', 'ping', 'ping', 'ping'],
    );
    await well(t, house);
  },
);

t.test('a client that leaves in the middle of its body frees its place and leaves a record', async (t) => {
  const house = await start(t, { max_in_flight: 1 });
  const { gateway, upstream, bearer, url, token } = house;
  const line = dial(gateway.url);
  line.write(request({ headers: [bearer], length: '100', body: '{"jsonrpc":' }));
  const counted = async (code: string): Promise<boolean> =>
    (await send(`${gateway.url}/metrics`, undefined, undefined, {}, 'GET')).text.includes(
      `refusals_total{code="${code}"} `,
    );
  // One place, and it is taken: others are told to come back.
  let busy = await send(url, token, PING);
  while (busy.status !== 503) busy = await send(url, token, PING);
  t.equal(busy.headers.get('retry-after'), '1');
  line.drop();
  while (!(await counted('body_timeout'))) t.pass('not yet noticed');
  t.equal((await send(url, token, PING)).status, 200, 'the place is free again');
  const codes = (await refusals(gateway)).map(({ code }) => code);
  t.ok(codes.includes('too_busy') && codes.includes('body_timeout'), 'both are on record');
  t.equal(upstream.received('tools/call').length, 0);
  await well(t, house);
});

t.test('only our own hosts are served, so that no name can be rebound to us [H-02] [host-checked]', async (t) => {
  const house = await start(t);
  const { gateway, upstream, bearer } = house;
  const hosts = [
    'evil.example',
    'evil.example:8800',
    '127.0.0.1.evil.example',
    '127.0.0.1:8800.evil.example',
    'user@127.0.0.1',
    '',
    '127.0.0.1:8800, evil.example',
    '127.0.0.1:x',
    '127.0.0.1#',
    '169.254.169.254',
    '0.0.0.0',
  ];
  for (const host of hosts) {
    for (const target of ['/mcp', '/mcp/other', '/api/mcp']) {
      const answer = await talk(gateway.url, request({ target, headers: [bearer, `Host: ${host}`], body: CALL }));
      t.strictSame(statuses(answer), [421], `"${host}" at ${target}`);
    }
    t.strictSame(
      statuses(
        await talk(gateway.url, request({ method: 'GET', target: '/api/me', headers: [bearer, `Host: ${host}`] })),
      ),
      [421],
      `"${host}" on REST`,
    );
  }
  const whole = await talk(gateway.url, request({ target: 'http://evil.example/mcp', headers: [bearer], body: CALL }));
  t.strictSame(statuses(whole), [421], 'a target with a host of its own');
  t.strictSame(
    statuses(await talk(gateway.url, request({ headers: [bearer], body: CALL }).replace(/Host: [^\r]*\r\n/, ''))),
    [400],
    'no Host',
  );
  t.strictSame(
    statuses(
      await talk(
        gateway.url,
        request({ headers: [bearer], body: CALL })
          .replace('HTTP/1.1', 'HTTP/1.0')
          .replace(/Host: [^\r]*\r\n/, ''),
      ),
    ),
    [421],
    'no Host in HTTP/1.0',
  );
  t.equal(upstream.requests.length, 0);
  for (const host of ['127.0.0.1', '127.0.0.1:8800', 'LOCALHOST:1234', '[::1]:8800'])
    t.strictSame(
      statuses(await talk(gateway.url, request({ headers: [bearer, `Host: ${host}`], body: PING }))),
      [200],
      host,
    );
  await well(t, house);
});

t.test(
  'a page of another site is refused on every method, whatever token it has [H-01] [origin-checked]',
  async (t) => {
    const house = await start(t, { allowed_origins: ['https://app.example'] });
    const { gateway, upstream, bearer } = house;
    const origins = [
      'https://evil.example',
      'null',
      'http://127.0.0.1:8800.evil.example',
      'http://127.0.0.1:9999',
      'https://127.0.0.1:8800',
      'http://localhost',
      'https://app.example.evil.example',
      'https://app.example:444',
      'file://',
      '',
    ];
    for (const origin of origins) {
      for (const method of ['POST', 'GET', 'DELETE', 'OPTIONS', 'PUT']) {
        const answer = await talk(
          gateway.url,
          request({ method, headers: [bearer, `Origin: ${origin}`], body: method === 'POST' ? CALL : '' }),
        );
        t.strictSame(statuses(answer), [403], `"${origin}", ${method}`);
        t.notMatch(answer, /access-control/i, 'and cannot read the refusal');
      }
    }
    t.equal(upstream.requests.length, 0);
    for (const origin of ['https://app.example', 'http://127.0.0.1:8800', 'http://localhost:8800'])
      t.strictSame(
        statuses(await talk(gateway.url, request({ headers: [bearer, `Origin: ${origin}`], body: PING }))),
        [200],
        origin,
      );
    await well(t, house);
  },
);

t.test('other methods are refused to people we know, and to strangers like anything else', async (t) => {
  const house = await start(t);
  const { gateway, upstream, bearer } = house;
  for (const method of ['PUT', 'PATCH', 'OPTIONS', 'HEAD', 'TRACE']) {
    for (const target of ['/mcp', '/mcp/other', '/api/mcp']) {
      const answer = await talk(gateway.url, request({ method, target, headers: [bearer] }));
      t.strictSame(statuses(answer), [405], `${method} ${target}`);
      t.match(answer, /^allow: POST, GET, DELETE\r$/im);
      t.strictSame(
        statuses(await talk(gateway.url, request({ method, target }))),
        [401],
        `${method} ${target} of a stranger`,
      );
    }
  }
  t.strictSame(statuses(await talk(gateway.url, request({ method: 'PROPFIND', headers: [bearer] }))), [404]);
  t.strictSame(statuses(await talk(gateway.url, request({ method: 'BREW', headers: [bearer] }))), [400]);
  t.strictSame(
    statuses(await talk(gateway.url, request({ method: 'CONNECT', target: 'evil.example:443', headers: [bearer] }))),
    [],
    'this is no forward proxy',
  );
  const upgrade = await talk(
    gateway.url,
    request({
      method: 'GET',
      headers: [bearer, 'Connection: close, Upgrade', 'Mcp-Session-Id: none', 'Upgrade: websocket'],
    }),
  );
  t.strictSame(statuses(upgrade), [404], 'nothing is upgraded');
  t.equal(upstream.requests.length, 0);
  await well(t, house);
});

t.test(
  "a path leads to one connection or nowhere, and the gateway's own tools have one address [one-address-for-administration]",
  async (t) => {
    const house = await start(t);
    const { gateway, upstream } = house;
    const admin = `Authorization: Bearer ${await gateway.person('ada', ['admin', 'eng'])}`;
    const list = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
    const at = (target: string): Promise<string> =>
      talk(gateway.url, request({ target, headers: [admin], body: list }));
    const own = await at('/api/mcp');
    t.strictSame(statuses(own), [200]);
    t.match(own, /tokens_create/, 'here an admin finds the tools of the gateway');

    for (const target of [
      '/mcp/gateway',
      '/mcp/%67ateway',
      '/mcp/GATEWAY',
      '/mcp/gateway%00',
      '/mcp/gateway%20',
      '/mcp/..%2fapi%2fmcp',
      '/mcp/%2e%2e%2fapi%2fmcp',
      '/mcp/constructor',
      '/mcp/__proto__',
      '/mcp/nothing',
      '/mcp/Default',
      '/mcp/',
    ]) {
      const answer = await at(target);
      t.strictSame(statuses(answer), [404], target);
      t.match(answer, /connection not found or not accessible/, `${target} is no connection`);
    }
    for (const target of [
      '/mcp/../api/mcp',
      '/mcp/../../api/mcp',
      '/api/../mcp',
      '/./mcp',
      '//mcp',
      '/mcp//other',
      '//api/mcp',
      '/api//mcp',
      '/api/mcp/',
      '/api/mcp/gateway',
      '/api%2fmcp',
      '/MCP',
      '/mcp;x=1',
      '/mcp/other/',
      '/mcp/other/more',
      '/mcp\\other',
      '/mcpx',
      '/api',
      '/api/mcp;x',
      '/.env',
      '/admin',
    ]) {
      t.strictSame(statuses(await at(target)), [404], `${target} is no route`);
    }
    t.strictSame(statuses(await at(`/mcp/${'a'.repeat(201)}`)), [414]);
    for (const target of ['/mcp/%', '/mcp/%zz', '/mcp/%c0%af', '/mcp/%ff']) {
      const answer = await at(target);
      t.strictSame(statuses(answer), [400], `${target} cannot be decoded`);
      t.notMatch(answer, /FST_|fastify/i, 'nor does it say what it runs on');
    }
    t.equal(upstream.requests.length, 0, 'nothing reached an upstream');
    for (const target of ['/mcp', '/mcp?x=1', '/mcp/default', '/mcp/other', '/mcp/%6fther', '/%6dcp']) {
      const answer = await at(target);
      t.strictSame(statuses(answer), [200], target);
      t.notMatch(answer, /tokens_create/);
    }
    const listed = (await gateway.exchanges())
      .filter(({ method }) => method === 'tools/list')
      .map(({ connection }) => connection);
    const expected = ['default', 'default', 'default', 'default', 'gateway', 'other', 'other'];
    t.strictSame(listed.toSorted(), expected, 'each call is on record under the connection it went to');
    await well(t, house);
  },
);

t.test('a stranger learns nothing from paths: every one of the governed asks for a token first', async (t) => {
  const { gateway, upstream } = await start(t);
  for (const target of ['/mcp', '/mcp/other', '/mcp/nothing', '/mcp/gateway', '/api/mcp', '/mcp/']) {
    t.strictSame(statuses(await talk(gateway.url, request({ target, body: CALL }))), [401], target);
  }
  t.equal(upstream.requests.length, 0);
});
