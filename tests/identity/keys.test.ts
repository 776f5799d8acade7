import { once } from 'node:events';
import { createServer as createTcpServer } from 'node:net';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import t, { type Test } from 'tap';
import type { Principal } from '../../policies/types.ts';
import { publicAddresses } from '../../proxy/identity/addresses.ts';
import { createIdentityHttp, type IdentityHttpOptions } from '../../proxy/identity/fetch.ts';
import { createOidc, type Oidc, type OidcOptions } from '../../proxy/identity/oidc.ts';
import { startIdp } from '../oidc.ts';
import { refused } from './refused.ts';

const PUBLIC_URL = 'https://gw.example.com';
const AUDIENCE = `${PUBLIC_URL}/mcp`;

interface Started {
  readonly oidc: Oidc;
  /** What `onRefresh` was told, in order. */
  readonly refreshes: (string | undefined)[];
  /** Resolves with the next refresh. */
  refreshed(): Promise<void>;
  ask(token: string, now?: number): Promise<Principal>;
}

async function start(
  test: Test,
  issuer: string,
  options: Partial<OidcOptions> = {},
  http: Partial<IdentityHttpOptions> = {},
): Promise<Started> {
  const refreshes: (string | undefined)[] = [];
  let wake: () => void = () => undefined;
  const oidc = await createOidc(
    {
      issuer,
      publicUrl: PUBLIC_URL,
      onRefresh: (trouble) => {
        refreshes.push(trouble);
        wake();
      },
      ...options,
    },
    createIdentityHttp({ issuer, ...http }),
  );
  test.teardown(() => oidc.close());
  return {
    oidc,
    refreshes,
    refreshed: () => new Promise((resolve) => (wake = resolve)),
    ask: async (token, now = Date.now()) => oidc.verify(token, '/mcp', now),
  };
}

/** A server that answers as a test says: what no real provider would do. */
async function serve(test: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  test.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const json = (response: ServerResponse, value: unknown): unknown =>
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));

t.test('a new signing key is picked up once, when a token names it [A-03] [key-rotation]', async (t) => {
  const idp = await startIdp(t);
  const { ask } = await start(t, idp.issuer);
  const old = await idp.token({ audience: AUDIENCE, subject: 'alice' });
  t.equal((await ask(old)).subject, 'alice');
  t.equal(idp.hits('/jwks'), 1, 'the keys are fetched at start');
  await idp.rotate();
  const tokens = await Promise.all(
    Array.from({ length: 20 }, (_, n) => idp.token({ audience: AUDIENCE, subject: `user-${n}` })),
  );
  const found = await Promise.all(tokens.map((token) => ask(token)));
  t.strictSame(
    found.map(({ subject }) => subject),
    tokens.map((_, n) => `user-${n}`),
    'twenty tokens at once of the new key all pass',
  );
  t.equal(idp.hits('/jwks'), 2, 'after one more fetch');
  t.equal(idp.hits('/.well-known/openid-configuration'), 1, 'for which discovery is not repeated');
  await refused(t, () => ask(old), 'token_invalid', /unknown signing key/, old);
});

t.test('tokens with made-up key ids cause no storm of fetches [A-03] [unknown-kid-cooldown]', async (t) => {
  const idp = await startIdp(t);
  const { ask } = await start(t, idp.issuer);
  const now = Date.now();
  const claims = { iss: idp.issuer, sub: 'alice', aud: AUDIENCE, exp: Math.floor(now / 1000) + 600 };
  const made = await Promise.all(Array.from({ length: 50 }, (_, n) => idp.sign(claims, { kid: `made-up-${n}` })));
  await Promise.all(
    made.map((token) => refused(t, () => ask(token, now), 'token_invalid', /unknown signing key/, token)),
  );
  t.equal(idp.hits('/jwks'), 2, 'fifty at once: one fetch besides that of the start');
  for (const token of made)
    await refused(t, () => ask(token, now + 29_999), 'token_invalid', /unknown signing key/, token);
  t.equal(idp.hits('/jwks'), 2, 'none within the cool-down');
  await refused(t, () => ask(made[0]!, now + 30_000), 'token_invalid', /unknown signing key/, made[0]);
  t.equal(idp.hits('/jwks'), 3, 'one after it');
  t.ok(await ask(await idp.token({ audience: AUDIENCE })), 'known keys go on to work throughout');

  const strangers = await idp.sign({ ...claims, iss: 'https://elsewhere.example.com' }, { kid: 'made-up' });
  await refused(t, () => ask(strangers, now + 90_000), 'token_invalid', /wrong issuer/, strangers);
  t.equal(idp.hits('/jwks'), 3, "another issuer's token causes none");
});

t.test('what was proven with keys that are gone is forgotten [cache-cleared-with-keys]', async (t) => {
  const idp = await startIdp(t);
  const { oidc, ask } = await start(t, idp.issuer);
  const token = await idp.token({ audience: AUDIENCE });
  await ask(token);
  t.notOk(oidc.verify(token, '/mcp', Date.now()) instanceof Promise, 'remembered');
  await idp.rotate();
  await ask(await idp.token({ audience: AUDIENCE, subject: 'bob' }));
  await refused(t, () => ask(token), 'token_invalid', /unknown signing key/, token);
});

t.test('keys are refreshed in the background [jwks-background-refresh]', async (t) => {
  const idp = await startIdp(t);
  const { ask, refreshed, refreshes } = await start(t, idp.issuer, { refreshMs: 10 });
  const old = await idp.token({ audience: AUDIENCE });
  await ask(old);
  await idp.rotate();
  await refreshed();
  await refreshed();
  await refused(t, () => ask(old), 'token_invalid', /unknown signing key/, old);
  t.ok(refreshes.every((trouble) => trouble === undefined));
});

t.test('a provider that is away at start refuses every token until it is back [identity-unavailable]', async (t) => {
  const idp = await startIdp(t);
  const token = await idp.token({ audience: AUDIENCE });
  idp.down(true);
  const { oidc, ask, refreshed, refreshes } = await start(t, idp.issuer, { retryMs: 5 });
  t.match(oidc.ready(), /discovery/, 'started, and says what is missing');
  const error = await refused(t, () => ask(token), 'identity_unavailable', /discovery/, token);
  t.equal(error?.row.http, 503, 'which is not said to be the fault of the client');
  await refreshed();
  t.ok(refreshes.length > 1, 'it is asked again in the background');
  idp.down(false);
  while (oidc.ready() !== undefined) await refreshed();
  t.equal((await ask(token)).subject, 'alice', 'and works without a restart');
});

t.test('a provider that goes away later does no harm until its keys are too old [keys-last-known-good]', async (t) => {
  const idp = await startIdp(t);
  let clock = Date.now();
  const { oidc, ask, refreshed } = await start(t, idp.issuer, {
    refreshMs: 5,
    retryMs: 5,
    maxKeysAgeMs: 60_000,
    clock: () => clock,
  });
  const token = await idp.token({ audience: AUDIENCE });
  await ask(token);
  idp.down(true);
  await refreshed();
  await refreshed();
  t.equal(oidc.ready(), undefined, 'still ready');
  t.ok(await ask(await idp.token({ audience: AUDIENCE, subject: 'bob' })), 'a token not seen before is verified');
  clock += 120_000;
  t.match(oidc.ready(), /too long/);
  await refused(t, () => ask(token), 'identity_unavailable', /too long/, token);
  idp.down(false);
  while (oidc.ready() !== undefined) await refreshed();
  t.ok(await ask(token));
});

t.test('a provider that withdraws every key is believed [keys-withdrawn]', async (t) => {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  let keys: unknown[] = [
    await exportJWK(publicKey),
    { kty: 'RSA', use: 'enc' },
    { kty: 'oct', k: 'AAAA' },
    null,
    'key',
  ];
  const issuer = await serve(t, (request, response) =>
    json(response, request.url === '/jwks' ? { keys } : { issuer, jwks_uri: `${issuer}/jwks` }),
  );
  const { oidc, ask, refreshed } = await start(t, issuer, { refreshMs: 5 });
  const token = await new SignJWT({ iss: issuer, sub: 'alice', aud: AUDIENCE })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
    .setExpirationTime('5m')
    .sign(privateKey);
  t.equal((await ask(token)).subject, 'alice', 'no key id, one key that fits, useless ones beside it');
  keys = [];
  await refreshed();
  await refreshed();
  t.match(oidc.ready(), /no usable key/);
  await refused(t, () => ask(token), 'identity_unavailable', /no usable key/, token);
});

t.test('without a key id each key that fits is tried, but not many', async (t) => {
  const pairs = await Promise.all(Array.from({ length: 8 }, () => generateKeyPair('ES256')));
  const keys = await Promise.all(pairs.map(({ publicKey }) => exportJWK(publicKey)));
  const issuer = await serve(t, (request, response) =>
    json(response, request.url === '/jwks' ? { keys } : { issuer, jwks_uri: `${issuer}/jwks` }),
  );
  const { ask } = await start(t, issuer);
  const sign = (index: number): Promise<string> =>
    new SignJWT({ iss: issuer, sub: 'alice', aud: AUDIENCE })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
      .setExpirationTime('5m')
      .sign(pairs[index]!.privateKey);
  t.ok(await ask(await sign(0)));
  t.ok(await ask(await sign(4)));
  const last = await sign(7);
  await refused(t, () => ask(last), 'token_invalid', /signature/, last);
});

t.test('a provider that answers otherwise than it must is not believed [G-01] [discovery-strict]', async (t) => {
  const idp = await startIdp(t);
  let answer: (issuer: string, path: string, response: ServerResponse) => unknown = () => undefined;
  const issuer = await serve(t, (request, response) => answer(issuer, request.url ?? '', response));
  const wellKnown = '/.well-known/openid-configuration';
  const cases: [name: string, trouble: RegExp, answer: typeof answer][] = [
    ['another issuer', /discovery/, (_i, _p, r) => json(r, { issuer: idp.issuer, jwks_uri: `${idp.issuer}/jwks` })],
    [
      'the issuer with a slash',
      /discovery/,
      (i, _p, r) => json(r, { issuer: `${i}/`, jwks_uri: `${idp.issuer}/jwks` }),
    ],
    ['no jwks_uri', /discovery/, (i, _p, r) => json(r, { issuer: i })],
    ['a list', /discovery/, (_i, _p, r) => json(r, [])],
    ['no JSON', /discovery/, (_i, _p, r) => r.end('<html>')],
    [
      'no UTF-8',
      /discovery/,
      (i, _p, r) => r.end(Buffer.concat([Buffer.from(JSON.stringify({ issuer: i })), Buffer.from([0xff])])),
    ],
    ['an error', /discovery/, (_i, _p, r) => r.writeHead(500).end()],
    ['a redirect', /discovery/, (_i, _p, r) => r.writeHead(302, { location: `${idp.issuer}${wellKnown}` }).end()],
    [
      'more than fits',
      /discovery/,
      (i, _p, r) => json(r, { issuer: i, jwks_uri: `${idp.issuer}/jwks`, more: 'x'.repeat(70_000) }),
    ],
    ['nothing at all', /discovery/, () => undefined],
    ['a body that never ends', /discovery/, (_i, _p, r) => r.write('{')],
    [
      'keys that are no list',
      /keys/,
      (i, p, r) => json(r, p === wellKnown ? { issuer: i, jwks_uri: `${i}/k` } : { keys: {} }),
    ],
    [
      'too many keys',
      /keys/,
      (i, p, r) => json(r, p === wellKnown ? { issuer: i, jwks_uri: `${i}/k` } : { keys: Array(101).fill({}) }),
    ],
    [
      'keys behind a redirect',
      /keys/,
      (i, p, r) =>
        p === wellKnown
          ? json(r, { issuer: i, jwks_uri: `${i}/k` })
          : r.writeHead(307, { location: `${idp.issuer}/jwks` }).end(),
    ],
    ['keys in a file', /keys/, (i, _p, r) => json(r, { issuer: i, jwks_uri: 'file:///etc/hostname' })],
    ['keys over http', /keys/, (i, _p, r) => json(r, { issuer: i, jwks_uri: 'http://idp.example.com/jwks' })],
    [
      'keys with a password',
      /keys/,
      (i, p, r) =>
        json(
          r,
          p === wellKnown
            ? { issuer: i, jwks_uri: `${i.replace('//', '//user:word@')}/k` }
            : { keys: [idp.publicJwk()] },
        ),
    ],
  ];
  const token = await idp.token({ audience: AUDIENCE });
  for (const [name, trouble, next] of cases) {
    await t.test(name, async (t) => {
      answer = next;
      const { oidc, ask } = await start(t, issuer, { retryMs: 60_000 }, { timeoutMs: 300, sizeLimit: 65_536 });
      t.match(oidc.ready(), trouble);
      t.notMatch(oidc.ready(), /127\.0\.0\.1|example\.com|redirect|status/, 'without a word of what was behind');
      await refused(t, () => ask(token), 'identity_unavailable', trouble, token);
    });
  }
  t.equal(idp.hits('/jwks') + idp.hits(wellKnown), 0, 'no redirect was followed');
});

t.test(
  'a provider cannot send the gateway to addresses inside its network [G-01] [no-ssrf-through-jwks-uri]',
  async (t) => {
    let connections = 0;
    const inside = createTcpServer((socket) => {
      connections += 1;
      socket.destroy();
    });
    inside.listen(0, '127.0.0.1');
    await once(inside, 'listening');
    t.teardown(() => inside.close());
    const { port } = inside.address() as AddressInfo;
    const http = createIdentityHttp({ issuer: 'https://idp.example.com', timeoutMs: 2000 });
    t.teardown(() => http.close());
    const hosts = [
      '127.0.0.1',
      '2130706433',
      '0x7f.1',
      '0177.0.0.1',
      '[::1]',
      '[::ffff:127.0.0.1]',
      '[::127.0.0.1]',
      'localhost',
      '0.0.0.0',
    ];
    for (const host of hosts)
      await t.rejects(http.getJson(`https://${host}:${port}/jwks`), /not public|no address|ENOTFOUND|EAI_AGAIN/, host);
    await t.rejects(
      http.getJson(`http://127.0.0.1:${port}/jwks`),
      /not https/,
      'plain http to loopback, for an issuer that is not',
    );
    t.equal(connections, 0, 'nothing was connected to');
    const named = createIdentityHttp({
      issuer: 'https://idp.example.com',
      internalHosts: ['localhost'],
      timeoutMs: 2000,
    });
    t.teardown(() => named.close());
    await t.rejects(named.getJson(`https://localhost:${port}/jwks`));
    t.equal(connections, 1, 'a host the operator named is');
  },
);

t.test('reserved addresses are known in every notation', async (t) => {
  const isPublic = publicAddresses();
  const reserved = [
    '10.1.2.3',
    '172.31.0.1',
    '192.168.0.1',
    '169.254.169.254',
    '100.64.0.1',
    '224.0.0.1',
    '255.255.255.255',
    'fd00:ec2::254',
    'fe80::1',
    '::',
    '::1',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '64:ff9b::a00:1',
    '2002:a00:1::',
    'ff02::1',
    'nonsense',
    '',
  ];
  for (const address of reserved) t.equal(isPublic(address), false, address);
  for (const address of ['8.8.8.8', '172.32.0.1', '2606:4700::1111', '::ffff:8.8.8.8'])
    t.equal(isPublic(address), true, address);
});
