import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request as ask, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { parseConfig } from '../../proxy/config.ts';
import { isBelow, readTarget } from '../../proxy/wire/target.ts';
import { startGateway, type TestGateway } from '../gateway.ts';
import { dial, request, statuses } from './raw.ts';

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

interface Origin {
  readonly url: string;
  readonly server: Server;
  readonly seen: Seen[];
}

/** An upstream with routes of its own; `serve` answers, the rest of its requests get 200 and their own body back. */
async function startOrigin(t: Test, serve?: RequestListener, tls?: { key: string; cert: string }): Promise<Origin> {
  const seen: Seen[] = [];
  const listener: RequestListener = async (req, res) => {
    if (serve !== undefined) {
      seen.push({ method: req.method!, url: req.url!, headers: req.headers, body: Buffer.alloc(0) });
      return serve(req, res);
    }
    const body = Buffer.concat(await req.toArray());
    seen.push({ method: req.method!, url: req.url!, headers: req.headers, body });
    res.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': body.length }).end(body);
  };
  const server = tls === undefined ? createServer(listener) : (createTlsServer(tls, listener) as unknown as Server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}/mcp`, server, seen };
}

const ALL = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];
const CREDENTIAL = 'Bearer fake-credential-of-the-gateway';

async function gatewayTo(
  t: Test,
  url: string,
  more: JsonObject = {},
  rules: JsonObject = {},
): Promise<TestGateway & { readonly erin: string }> {
  const gateway = await startGateway(t, {
    connections: [
      {
        name: 'default',
        upstream: { url },
        credential: { type: 'static', header: 'Authorization', value: CREDENTIAL },
        access: { groups: ['eng'] },
        routes: [
          { methods: ALL, path: '/files' },
          { methods: ['GET'], path: '/read-only' },
        ],
        ...more,
      },
    ],
    ...rules,
  });
  return { ...gateway, erin: await gateway.person('erin', ['eng']) };
}

interface Got {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  readonly code: unknown;
  /** False when the answer broke off. */
  readonly whole: boolean;
}

function get(
  url: string,
  token: string | undefined,
  options: { method?: string; body?: Buffer; headers?: Record<string, string> } = {},
): Promise<Got> {
  const { method = 'GET', body, headers = {} } = options;
  return new Promise((resolve, reject) => {
    const own = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const req = ask(url, { method, headers: { ...own, ...headers }, agent: false }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('error', () => undefined);
      res.on('close', () => {
        const whole = Buffer.concat(chunks);
        resolve({
          status: res.statusCode!,
          headers: res.headers,
          body: whole,
          code: codeOf(whole),
          whole: res.complete,
        });
      });
    });
    req.on('error', reject);
    req.end(body);
  });
}

function codeOf(body: Buffer): unknown {
  const text = body.toString();
  if (!text.startsWith('{"error"')) return undefined;
  return (JSON.parse(text) as { error: { code?: string } }).error.code;
}

t.test(
  'requests on a route pass byte for byte both ways, and are on record [routes-pass] [routes-recorded]',
  async (t) => {
    const origin = await startOrigin(t);
    const { url, erin, exchanges, portcullis } = await gatewayTo(t, origin.url);
    const body = randomBytes(300_000);
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const got = await get(`${url}/files/a%20b/%C3%A4.bin?x=1&y=%2F&x=a+b`, erin, {
        method,
        body,
        headers: { 'content-type': 'application/json', 'content-length': String(body.length) },
      });
      t.equal(got.status, 200);
      t.ok(got.body.equals(body), `${method}: the body came back as it was, whatever type it claims`);
      const { method: up, url: path, body: received, headers } = origin.seen.at(-1)!;
      t.same(
        [up, path, headers['content-type']],
        [method, '/files/a%20b/%C3%A4.bin?x=1&y=%2F&x=a+b', 'application/json'],
      );
      t.ok(received.equals(body));
    }
    const chunked = await get(`${url}/files`, erin, {
      method: 'POST',
      body,
      headers: { 'transfer-encoding': 'chunked' },
    });
    t.ok(chunked.body.equals(body), 'a body of unknown length');
    for (const path of ['/files', '/files/', '/files/x', '/read-only', `/files/${'long'.repeat(200)}`]) {
      t.equal((await get(`${url}${path}`, erin)).status, 200, path);
      t.equal(origin.seen.at(-1)!.url, path);
    }
    t.equal((await get(`${url}/files/x`, erin, { method: 'HEAD' })).status, 200, 'HEAD');
    const before = origin.seen.length;
    const outside: [string, string][] = [
      ['GET', '/filesystem'],
      ['GET', '/file'],
      ['GET', '/Files'],
      ['POST', '/read-only'],
      ['HEAD', '/read-only'],
      ['OPTIONS', '/files'],
      ['GET', '/other'],
      ['GET', '//files'],
      ['GET', '/x/../files'],
    ];
    for (const [method, path] of outside) {
      const line = dial(url);
      line.write(request({ method, target: path, headers: [`Authorization: Bearer ${erin}`] }));
      t.match(await line.closed, /^HTTP\/1\.1 404 /, `${method} ${path} is no route`);
    }
    t.equal(origin.seen.length, before, 'and reaches nobody');
    await portcullis.gateway.recorder.settled();
    const records = await exchanges();
    t.equal(records.length, before);
    t.match(records[0], {
      kind: 'http',
      method: 'POST',
      name: '/files/a%20b/%C3%A4.bin',
      outcome: 'answered',
      isError: false,
      bytesOut: 300_000,
    });
    t.equal(records.filter(({ kind }) => kind === 'http').length, before);
  },
);

t.test(
  'what a caller shows the gateway stays there, what an upstream shows it too [routes-headers-listed] [A-07]',
  async (t) => {
    const origin = await startOrigin(t, (_req, res) => {
      res.writeHead(201, {
        'content-type': 'text/html',
        'set-cookie': ['a=fake-cookie', 'b=fake-cookie'],
        server: 'fake-server/1',
        'x-powered-by': 'fake',
        'www-authenticate': 'Bearer realm="fake"',
        location: 'https://elsewhere.example.com/',
        refresh: '0; url=https://elsewhere.example.com/',
        'access-control-allow-origin': '*',
        'clear-site-data': '"*"',
        'content-security-policy': 'script-src *',
        'cache-control': 'public, max-age=9999',
        etag: '"1"',
        'content-disposition': 'attachment',
      });
      res.end('<script>fetch("/reviews/1", { method: "POST" })</script>');
    });
    const { url, erin } = await gatewayTo(t, origin.url);
    const line = dial(url);
    line.write(
      request({
        method: 'GET',
        target: '/files/page.html',
        headers: [
          `Authorization: Bearer ${erin}`,
          'Cookie: session=fake-cookie',
          'Proxy-Authorization: Basic fake',
          'Proxy-Connection: keep-alive',
          'X-Forwarded-For: 192.0.2.1',
          'X-Forwarded-Host: evil.example',
          'Forwarded: for=192.0.2.1',
          'X-Real-IP: 192.0.2.1',
          'X-HTTP-Method-Override: DELETE',
          'X-Original-URL: /admin',
          'X-Remote-User: root',
          'Mcp-Session-Id: fake-session',
          'TE: trailers',
          'Upgrade: websocket',
          'Connection: close, x-secret-hop',
          'X-Secret-Hop: fake',
          'If-None-Match: "1"',
          'Range: bytes=0-5',
          'Accept: text/html',
        ],
      }),
    );
    const answer = await line.closed;
    const [{ headers }] = origin.seen as [Seen];
    const { connection: _, host, ...rest } = headers;
    t.equal(host, new URL(origin.url).host);
    t.same(rest, {
      authorization: CREDENTIAL,
      accept: 'text/html',
      range: 'bytes=0-5',
      'content-type': 'application/json',
    });
    t.match(answer, /^HTTP\/1\.1 201 /);
    t.match(answer, /etag: "1"/i);
    t.match(answer, /content-disposition: attachment/i);
    for (const gone of ['fake', 'elsewhere', 'access-control', 'clear-site-data', 'max-age', 'script-src'])
      t.notMatch(answer.split('\r\n\r\n')[0], new RegExp(gone, 'i'), `${gone} does not come down`);
    t.match(answer, /content-security-policy: default-src 'none'; sandbox/i, 'a page has no power over the console');
    t.match(answer, /x-content-type-options: nosniff/i);
    t.match(answer, /cache-control: no-store/i);
  },
);

t.test(
  'a stranger, a member of no group and a page of another site get nothing through [routes-governed]',
  async (t) => {
    const origin = await startOrigin(t);
    const { url, erin, person } = await gatewayTo(t, origin.url);
    const none = await get(`${url}/files/x`, undefined);
    t.equal(none.status, 401);
    t.match(none.headers['www-authenticate'], /^Bearer/);
    t.equal(none.code, 'token_missing');
    t.equal((await get(`${url}/files/x`, 'pcl_fake')).status, 401);
    t.equal((await get(`${url}/files/../../x`, undefined, { headers: {} })).status, 404, 'resolved by the client');
    t.equal((await get(`${url}/files/x?access_token=${erin}`, undefined)).status, 401);
    t.equal(
      (await get(`${url}/files/x`, await person('mallory', ['sales']))).status,
      404,
      'does not see the connection',
    );
    t.equal((await get(`${url}/files/x`, erin, { headers: { origin: 'https://evil.example' } })).status, 403);
    t.equal((await get(`${url}/files/x`, erin, { headers: { host: 'evil.example' } })).status, 421);
    const body = Buffer.from('x');
    t.equal((await get(`${url}/files/x`, undefined, { method: 'PUT', body })).status, 401);
    t.equal(origin.seen.length, 0);
  },
);

t.test('a path that two servers could read differently goes nowhere [routes-path-exact] [H-04]', async (t) => {
  const origin = await startOrigin(t);
  const { url, erin } = await gatewayTo(t, origin.url);
  const tricks = [
    '/files/../mcp',
    '/files/..',
    '/files/./a',
    '/files/a/../../mcp',
    '/files/%2e%2e/mcp',
    '/files/%2E%2E/mcp',
    '/files/.%2e/mcp',
    '/files/%252e%252e/mcp',
    '/files/..%2fmcp',
    '/files/a%2fb',
    '/files/a%5cb',
    '/files/a\\..\\b',
    '/files//a',
    '/files/a//',
    '/files/a%00',
    '/files/a%0d%0aX:y',
    '/files/..;/mcp',
    '/files/;/..;a',
    '/files/.;x/a',
    '/files/%c0%ae%c0%ae/mcp',
    '/files/%ef%bc%8e%ef%bc%8e/mcp',
    '/files/%ef%bc%8fmcp',
    '/files/%e2%80%a5/mcp',
    '/files/a%zz',
    '/files/a%',
    '/f%69les/a',
    '/files/a|b',
    '/files/a#b',
    '/files/a"b',
    '/files/%e2%80%aea',
    '/files/a?x=<',
    '/files/..a',
  ];
  for (const target of tricks) {
    const line = dial(url);
    line.write(request({ method: 'GET', target, headers: [`Authorization: Bearer ${erin}`] }));
    const answer = await line.closed;
    t.match(answer, /^HTTP\/1\.1 400 /, target);
  }
  for (const headers of [
    ['Content-Length: 3'],
    ['Transfer-Encoding: chunked'],
    ['Range: bytes=0-1', 'Host: 127.0.0.1:8800', 'Host: b'],
  ]) {
    const line = dial(url);
    line.write(
      request({ method: 'GET', target: '/files', headers: [`Authorization: Bearer ${erin}`, ...headers], body: 'abc' }),
    );
    t.match(statuses(await line.closed), [400], headers.join());
  }
  t.equal(origin.seen.length, 0);
});

t.test('whatever is read as a path is what every URL parser reads, below its prefix [routes-path-exact]', async () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '..',
      '.',
      '/',
      '//',
      '%2e',
      '%2f',
      '%5c',
      '\\',
      ';',
      '%00',
      '%25',
      '?',
      '#',
      'a',
      'files',
      '%c3%a4',
      ':',
      '@',
      'x',
    ),
    fc.string({ maxLength: 3 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const text = `/files/${pieces.join('')}`;
      let target;
      try {
        target = readTarget(text);
      } catch {
        return true;
      }
      const url = new URL(text, 'http://a.example');
      const twice = decodeURIComponent(target.path).replace(/%[0-9a-f]{2}/gi, (escape) => unescape(escape));
      return (
        url.origin === 'http://a.example' &&
        url.pathname === target.path &&
        isBelow(target.path, '/files') &&
        !twice.split(/[/\\]/).includes('..')
      );
    }),
    { numRuns: 5000 },
  );
});

t.test(
  'rules that would have to read a body close the route; rules read path and query [routes-uninspected-closed]',
  async (t) => {
    const origin = await startOrigin(t);
    const masked = await gatewayTo(
      t,
      origin.url,
      {},
      {
        datamasking_rules: [{ name: 'pii', supported_entity_types: [{ name: 'A', entity_types: ['EMAIL_ADDRESS'] }] }],
      },
    );
    const closed = await get(`${masked.url}/files/x`, masked.erin);
    t.same([closed.status, closed.code], [403, 'route_uninspected']);
    t.match((await masked.exchanges())[0], { kind: 'http', outcome: 'denied', code: 'route_uninspected' });
    const guarded = await gatewayTo(
      t,
      origin.url,
      {},
      {
        guardrails: [{ name: 'out', output: { rules: [{ type: 'deny_words_list', words: ['x'] }] } }],
      },
    );
    t.equal((await get(`${guarded.url}/files/x`, guarded.erin)).code, 'route_uninspected');
    const input = await gatewayTo(
      t,
      origin.url,
      {},
      {
        guardrails: [{ name: 'in', input: { rules: [{ type: 'deny_words_list', words: ['nightjar'] }] } }],
      },
    );
    const body = Buffer.from('x');
    const headers = { 'content-length': '1' };
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const { code } = await get(`${input.url}/files/x`, input.erin, { method, body, headers });
      t.equal(code, 'route_uninspected', method);
    }
    t.equal((await get(`${input.url}/files/x`, input.erin, { method: 'POST' })).code, 'route_uninspected');
    for (const path of ['/files/nightjar', '/files/NightJar.txt', '/files/x?q=night%6Aar', '/files/x?a=b&nightjar'])
      t.same((await get(`${input.url}${path}`, input.erin)).code, 'guardrail_blocked', path);
    t.equal(origin.seen.length, 0);
    t.equal((await get(`${input.url}/files/x?q=owl`, input.erin)).status, 200);
    t.equal((await get(`${input.url}/files/x`, input.erin, { method: 'DELETE' })).status, 200, 'without a body');
  },
);

t.test('an upstream that fails is a clear error, and on record [routes-fail-clearly] [A-07]', async (t) => {
  const statusOf = (path: string): number => Number(path.split('/').at(-1));
  const origin = await startOrigin(t, (req, res) => {
    if (req.url === '/files/reset') return void res.socket!.destroy();
    if (req.url === '/files/half') {
      res.writeHead(200, { 'content-length': 1_000_000 }).write(Buffer.alloc(500_000));
      return void setImmediate(() => res.socket!.destroySoon());
    }
    if (req.url === '/files/little') {
      res.writeHead(200, { 'content-length': 1000, etag: '"1"' }).write('little');
      return void setImmediate(() => res.socket!.destroySoon());
    }
    if (req.url === '/files/silent') return;
    res
      .writeHead(statusOf(req.url!), { location: 'https://elsewhere.example.com/', 'www-authenticate': 'Basic' })
      .end('why');
  });
  const gateway = await gatewayTo(t, origin.url, { timeout: '1s' });
  const { url, erin, exchanges } = gateway;
  const cases: [string, number, string | undefined, string][] = [
    ['301', 502, 'upstream_refused', 'failed'],
    ['304', 502, 'upstream_refused', 'failed'],
    ['401', 502, 'upstream_refused', 'failed'],
    ['403', 502, 'upstream_refused', 'failed'],
    ['404', 404, undefined, 'answered'],
    ['500', 500, undefined, 'answered'],
    ['503', 503, undefined, 'answered'],
    ['reset', 502, 'upstream_lost', 'unknown'],
    ['silent', 504, 'upstream_timeout', 'unknown'],
    ['little', 502, 'upstream_lost', 'unknown'],
  ];
  for (const [path, status, code, outcome] of cases) {
    const before = origin.seen.length;
    const got = await get(`${url}/files/${path}`, erin);
    t.same(
      [got.status, got.code, got.headers['location'], got.headers['www-authenticate']],
      [status, code, undefined, undefined],
      path,
    );
    t.equal(origin.seen.length, before + 1, 'asked once');
    t.match((await exchanges()).at(-1), { kind: 'http', outcome, ...(code === undefined ? {} : { code }) }, path);
  }
  const half = await get(`${url}/files/half`, erin);
  t.equal(half.whole, false, 'an answer that breaks off is not taken for whole');
  t.match((await exchanges()).at(-1), { outcome: 'unknown', code: 'upstream_lost' });
  origin.server.closeAllConnections();
  await new Promise((resolve) => origin.server.close(resolve));
  const down = await get(`${url}/files/x`, erin);
  t.same([down.status, down.code], [502, 'upstream_unreachable']);
  t.match((await exchanges()).at(-1), { kind: 'http', outcome: 'unreachable', code: 'upstream_unreachable' });
});

function certificate(t: Test, name: string): { readonly file: string; readonly key: string; readonly cert: string } {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-routes-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const [key, file] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const kind = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2'.split(' ');
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=${/^[\d.]+$/.test(name) ? 'IP' : 'DNS'}:${name}`];
  execFileSync('openssl', [...kind, '-keyout', key, '-out', file, ...subject], { stdio: 'pipe' });
  return { file, key: readFileSync(key, 'utf8'), cert: readFileSync(file, 'utf8') };
}

t.test(
  'an upstream with the wrong certificate is not spoken to on routes either [upstream-tls-verified]',
  async (t) => {
    const right = certificate(t, '127.0.0.1');
    const misnamed = certificate(t, 'other.example.com');
    const reach = async (tls: { key: string; cert: string }, ca?: string): Promise<[number, unknown, number]> => {
      const origin = await startOrigin(t, undefined, tls);
      const upstream = { url: origin.url, ...(ca === undefined ? {} : { ca: { file: ca } }) };
      const { url, erin } = await gatewayTo(t, origin.url, { upstream });
      const { status, code } = await get(`${url}/files/x`, erin);
      return [status, code, origin.seen.length];
    };
    t.same(await reach(right), [502, 'upstream_unreachable', 0], 'self-signed');
    t.same(await reach(misnamed, misnamed.file), [502, 'upstream_unreachable', 0], 'for another host');
    t.same(await reach(right, right.file), [200, undefined, 1], 'trusted');
  },
);

t.test('a large download is streamed to a slow client, whole [routes-stream]', async (t) => {
  const size = 20 * 1_048_576;
  const piece = randomBytes(65_536);
  const digest = createHash('sha256');
  let paused = 0;
  const origin = await startOrigin(t, async (_req, res) => {
    res.writeHead(200, { 'content-length': size });
    for (let at = 0; at < size; at += piece.length) {
      if (res.write(piece)) continue;
      paused += 1;
      await once(res, 'drain');
    }
    res.end();
  });
  for (let at = 0; at < size; at += piece.length) digest.update(piece);
  const { url, erin, exchanges } = await gatewayTo(t, origin.url);
  const [res] = (await new Promise<unknown[]>((resolve, reject) => {
    const req = ask(`${url}/files/large`, { headers: { authorization: `Bearer ${erin}` } }, (...args) => resolve(args));
    req.on('error', reject).end();
  })) as [IncomingMessage];
  const got = createHash('sha256');
  let count = 0;
  let held = 0;
  for await (const chunk of res as AsyncIterable<Buffer>) {
    got.update(chunk);
    count += chunk.length;
    // Now and then the client does something else for some turns of the loop.
    if (count > held + 1_048_576) {
      held = count;
      for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    }
  }
  t.equal(count, size);
  t.equal(got.digest('hex'), digest.digest('hex'));
  t.ok(paused > 10, 'the upstream was made to wait');
  t.match((await exchanges()).at(-1), { outcome: 'answered', bytesOut: size });
});

t.test(
  'an answer in drops reaches the client drop by drop, and ends upstream when the client leaves [routes-stream]',
  async (t) => {
    let left: (() => void) | undefined;
    const abandoned = new Promise<void>((resolve) => {
      left = resolve;
    });
    const origin = await startOrigin(t, (req, res) => {
      if (req.url === '/files/silent') return void res.on('close', () => left?.());
      res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: one\n\n');
      res.on('close', () => left?.());
    });
    const { url, erin, exchanges } = await gatewayTo(t, origin.url);
    const line = dial(url);
    line.write(request({ method: 'GET', target: '/files/events', headers: [`Authorization: Bearer ${erin}`] }));
    await line.until(/data: one/);
    line.drop();
    await abandoned;
    const silent = new Promise<void>((resolve) => {
      left = resolve;
    });
    const arrived = once(origin.server, 'request');
    const other = dial(url);
    other.write(request({ method: 'GET', target: '/files/silent', headers: [`Authorization: Bearer ${erin}`] }));
    await arrived;
    other.drop();
    await silent;
    t.equal(origin.seen.length, 2);
    t.equal((await exchanges()).length, 2);
  },
);

t.test('an answer is not taken for whole when its end cannot be recorded [routes-recorded]', async (t) => {
  const origin = await startOrigin(t, (req, res) => {
    const body = Buffer.alloc(req.url === '/files/large' ? 500_000 : 5, 'x');
    res.writeHead(200, req.url === '/files/drops' ? {} : { 'content-length': body.length }).end(body);
  });
  const { url, erin, portcullis } = await gatewayTo(t, origin.url);
  const { recorder } = portcullis.gateway;
  const append = recorder.append.bind(recorder);
  Object.assign(recorder, {
    append: (entry: { type: string }, body?: Buffer) =>
      entry.type === 'exchange.closed' ? Promise.reject(new Error('no room')) : append(entry as never, body),
  });
  const small = await get(`${url}/files/x`, erin);
  t.same([small.status, small.code], [503, 'record_lost'], 'nothing of it had left');
  for (const path of ['large', 'drops']) {
    const got = await get(`${url}/files/${path}`, erin);
    t.same([got.status, got.whole], [200, false], `${path}: broken off`);
  }
  Object.assign(recorder, { append });
  t.equal(origin.seen.length, 3);
});

t.test('requests on routes are drained, then cut, when the gateway stops', async (t) => {
  const origin = await startOrigin(t, (_req, res) => void res.writeHead(200).write('begun'));
  const gateway = await startGateway(t, {
    server: { listen: '127.0.0.1:0', public_url: 'http://127.0.0.1:8800', grace: '1s' },
    connections: [
      {
        name: 'default',
        upstream: { url: origin.url },
        access: { groups: ['eng'] },
        routes: [{ methods: ['GET'], path: '/files' }],
      },
    ],
  });
  const line = dial(gateway.url);
  const erin = await gateway.person('erin', ['eng']);
  line.write(request({ method: 'GET', target: '/files/x', headers: [`Authorization: Bearer ${erin}`] }));
  await line.until(/begun/);
  await gateway.close();
  t.notMatch(await line.closed, /\r\n0\r\n\r\n$/, 'not ended as if it were whole');
});

t.test('routes that somebody else serves are mistakes of the configuration [routes-one-owner]', async (t) => {
  const read = (
    first: JsonObject[],
    second: JsonObject[] = [],
    upstream: JsonObject = { url: 'http://127.0.0.1:1/mcp' },
  ) =>
    parseConfig(
      JSON.stringify({
        connections: [
          { name: 'default', upstream, routes: first },
          { name: 'other', upstream: { url: 'http://127.0.0.1:2/mcp' }, routes: second },
        ],
      }),
      '/nowhere/config.yaml',
      {},
    );
  const route = (path: string, ...methods: string[]): JsonObject => ({
    path,
    methods: methods.length > 0 ? methods : ['GET'],
  });
  t.same(
    read([route('/files'), route('/files', 'PUT'), route('/files/a')], [route('/filesystem')]).connections[0]!.routes
      .length,
    3,
  );
  for (const path of [
    '/mcp',
    '/mcp/x',
    '/api',
    '/api/x',
    '/healthz',
    '/readyz',
    '/metrics',
    '/reviews/1',
    '/login',
    '/logout',
    '/assets',
    '/API',
    '/sse',
    '/messages',
  ])
    t.throws(() => read([route(path)]), /is served by the gateway itself/, path);
  for (const path of [
    '/',
    '',
    'files',
    '/files/',
    '/.well-known',
    '/a/../b',
    '/a//b',
    '/a/*',
    '/:a',
    '/a%20',
    '/a b',
    '/a?b',
    '/a;b',
  ])
    t.throws(() => read([route(path)]), /expected a path such as \/files/, path);
  t.throws(() => read([route('/files')], [route('/files', 'PUT')]), /overlaps a route above of default/);
  t.throws(() => read([route('/files')], [route('/files/a')]), /overlaps/);
  t.throws(() => read([route('/files/a')], [route('/files')]), /overlaps/);
  t.throws(() => read([route('/files'), route('/files', 'PUT', 'GET')]), /overlaps/);
  t.throws(() => read([route('/files')], [], { command: ['x'] }), /a command has no routes/);
  t.throws(() => read([route('/files', 'OPTIONS')]));
  t.throws(() => read([{ path: '/files', methods: [] }]));
});

t.test('each connection with routes serves its own', async (t) => {
  const [one, two] = [await startOrigin(t), await startOrigin(t)];
  const gateway = await startGateway(t, {
    connections: [
      {
        name: 'default',
        upstream: { url: one.url },
        access: { groups: ['eng'] },
        routes: [{ methods: ['GET'], path: '/one' }],
      },
      {
        name: 'second',
        upstream: { url: two.url },
        access: { groups: ['ops'] },
        routes: [{ methods: ['GET'], path: '/two' }],
      },
    ],
  });
  const erin = await gateway.person('erin', ['eng']);
  const oscar = await gateway.person('oscar', ['ops']);
  t.equal((await get(`${gateway.url}/one/a`, erin)).status, 200);
  t.equal((await get(`${gateway.url}/two/a`, erin)).status, 404);
  t.equal((await get(`${gateway.url}/two/a`, oscar)).status, 200);
  t.same([one.seen.length, two.seen.length], [1, 1]);
  t.match(
    (await gateway.exchanges()).map(({ connection, outcome }) => [connection, outcome]),
    [
      ['default', 'answered'],
      ['second', 'denied'],
      ['second', 'answered'],
    ],
  );
});
