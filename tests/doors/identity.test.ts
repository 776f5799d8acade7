import { createHmac, createPublicKey, type JsonWebKey } from 'node:crypto';
import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { startUpstream, type EventStream, type Handlers, type Upstream } from '../fixture/upstream.ts';
import { callTool, modern, send, startGateway, textOf, type Answer, type TestGateway } from '../gateway.ts';
import { startIdp, type Idp } from '../oidc.ts';
import { request, statuses, talk } from './raw.ts';
import { found, parts, refusals, refusalsIn } from './store.ts';

const PUBLIC = 'http://127.0.0.1:8800';
const CREDENTIAL = 'Bearer upstream-credential-that-nobody-may-see-0123456789';
const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
};

interface House {
  readonly gateway: TestGateway;
  readonly upstream: Upstream;
  readonly url: string;
}

async function start(t: Test, config: JsonObject = {}, handlers: Handlers = {}, clock?: () => number): Promise<House> {
  const upstream = await startUpstream(handlers);
  t.teardown(() => upstream.close());
  const gateway = await startGateway(
    t,
    {
      connections: [
        {
          name: 'default',
          upstream: { url: upstream.url },
          access: { groups: ['eng'] },
          credential: { type: 'static', value: CREDENTIAL },
        },
      ],
      ...config,
    },
    undefined,
    clock,
  );
  return { gateway, upstream, url: `${gateway.url}/mcp` };
}

const withOidc = (idp: Idp): JsonObject => ({ auth: { oidc: { issuer: idp.issuer } } });
const codeOf = (answer: Answer): unknown => (answer.json['error'] as { data?: JsonObject } | undefined)?.data?.['code'];

async function openSession(url: string, token: string): Promise<string> {
  const answer = await send(url, token, JSON.stringify(INITIALIZE));
  return answer.headers.get('mcp-session-id') ?? '';
}

t.test(
  'a token of the provider opens the door, and its groups decide what is behind it [groups-decide-access]',
  async (t) => {
    const idp = await startIdp(t);
    const { url, upstream, gateway } = await start(t, withOidc(idp));
    const erin = await idp.token({ audience: `${PUBLIC}/mcp`, subject: 'erin', groups: ['eng'] });
    t.match(textOf(await callTool(url, erin, 'echo', { a: 1 })), /"a":1/);
    const before = upstream.requests.length;

    const bob = await idp.token({ audience: `${PUBLIC}/mcp`, subject: 'bob', groups: ['sales'] });
    const none = await idp.token({ audience: `${PUBLIC}/mcp`, subject: 'nina' });
    const odd = await idp.token({ audience: `${PUBLIC}/mcp`, subject: 'olga', groups: ['Eng', 'eng ', 'engineering'] });
    for (const token of [bob, none, odd]) {
      const answer = await callTool(url, token, 'echo', { a: 1 });
      t.equal(answer.status, 404, 'a connection that is not for him is as unknown as one that is not there');
      t.equal((answer.json['error'] as JsonObject)['message'], 'connection not found or not accessible');
    }
    t.equal(
      (await callTool(`${url}/nothing`, erin, 'echo')).status,
      401,
      'the audience of one route is not that of another',
    );
    t.equal(upstream.requests.length, before, 'nothing reached the upstream');

    const [exchange] = (await gateway.exchanges()).filter(({ name }) => name === 'echo');
    const sessions = await gateway.portcullis.gateway.recorder.sessions.list({ limit: 100 });
    const owner = sessions.items.find(({ id }) => id === exchange?.session)?.principal;
    t.match(owner, { issuer: idp.issuer, subject: 'erin', authenticatedBy: 'oidc' }, 'the record names who it was');
  },
);

t.test(
  'whatever is no access token for this route is refused on every method, recorded, and goes nowhere [A-02] [A-03] [A-04] [A-13] [refusal-is-recorded] [no-token-leaks]',
  async (t) => {
    const idp = await startIdp(t);
    const other = await startIdp(t);
    const { url, upstream, gateway } = await start(t, withOidc(idp));
    const audience = `${PUBLIC}/mcp`;
    const good = await idp.token({ audience, groups: ['eng'] });
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: idp.issuer,
      sub: 'alice',
      aud: audience,
      exp: now + 600,
      iat: now,
      groups: ['eng'],
      client_id: 'gateway',
    };
    const jws = (header: object, key?: string): string => {
      const input = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
      return `${input}.${key === undefined ? '' : createHmac('sha256', key).update(input).digest('base64url')}`;
    };
    const kid = idp.publicJwk().kid!;
    const pem = String(
      createPublicKey({ key: idp.publicJwk() as JsonWebKey, format: 'jwk' }).export({ type: 'spki', format: 'pem' }),
    );
    const [head, body, signature] = good.split('.') as [string, string, string];
    const revoked = await gateway.person('rita', ['eng']);
    const { tokens } = gateway.portcullis.gateway.recorder;
    await tokens.revoke((await tokens.list()).find(({ name }) => name === 'rita')!.id, {
      issuer: 'test',
      subject: 'test',
    });

    const INVALID = { status: 401, code: 'token_invalid', error: 'invalid_token' };
    const MALFORMED = { status: 400, code: 'token_malformed', error: undefined };
    const MISSING = { status: 401, code: 'token_missing', error: undefined };
    const rows: readonly (readonly [
      title: string,
      header: string | undefined,
      expected: { status: number; code: string; error: string | undefined },
    ])[] = [
      ['none', undefined, MISSING],
      ['another scheme', 'Basic YWxpY2U6c2VjcmV0LXBhc3N3b3JkLW9mLWFsaWNl', MISSING],
      ['an empty header', 'Bearer ', MALFORMED],
      ['two tokens in one header', `Bearer ${good} ${good}`, MALFORMED],
      ['two tokens with a comma', `Bearer ${good}, Bearer ${good}`, MALFORMED],
      ['expired', `Bearer ${await idp.token({ audience, groups: ['eng'], expiresIn: -3600 })}`, INVALID],
      ['another issuer', `Bearer ${await other.token({ audience, groups: ['eng'] })}`, INVALID],
      ['our issuer, signed by another', `Bearer ${await other.sign(claims, { kid })}`, INVALID],
      [
        'another audience',
        `Bearer ${await idp.token({ audience: `${PUBLIC}/api/mcp`, groups: ['eng', 'admin'] })}`,
        INVALID,
      ],
      [
        'an audience that only begins like ours',
        `Bearer ${await idp.token({ audience: `${audience}/`, groups: ['eng'] })}`,
        INVALID,
      ],
      ['alg none', `Bearer ${jws({ alg: 'none', typ: 'at+jwt' })}`, INVALID],
      [
        'alg None with the signature of a good token',
        `Bearer ${jws({ alg: 'None', typ: 'at+jwt' })}${signature}`,
        INVALID,
      ],
      ['HS256 signed with the public key', `Bearer ${jws({ alg: 'HS256', typ: 'at+jwt', kid }, pem)}`, INVALID],
      [
        'HS256 signed with the public JWK',
        `Bearer ${jws({ alg: 'HS256', typ: 'at+jwt', kid }, JSON.stringify(idp.publicJwk()))}`,
        INVALID,
      ],
      ['an ID token', `Bearer ${await idp.idToken()}`, INVALID],
      ['an ID token with our audience', `Bearer ${await idp.sign({ ...claims, nonce: 'n' }, { typ: 'JWT' })}`, INVALID],
      ['a changed body', `Bearer ${head}.${body.slice(0, -2)}AA.${signature}`, INVALID],
      ['no signature', `Bearer ${head}.${body}.`, INVALID],
      ['a text', 'Bearer this-is-no-token-at-all-but-it-is-long', INVALID],
      ['a gateway token nobody made', `Bearer pct_${'A'.repeat(49)}`, INVALID],
      ['a revoked gateway token', `Bearer ${revoked}`, INVALID],
    ];
    const expected: string[] = [];
    for (const [title, header, { status, code, error }] of rows) {
      for (const method of ['POST', 'GET', 'DELETE']) {
        const sent = method === 'POST' ? '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' : undefined;
        const answer = await send(url, undefined, sent, header === undefined ? {} : { authorization: header }, method);
        const name = `${title}, ${method}`;
        t.equal(answer.status, status, name);
        t.equal(codeOf(answer), code, name);
        const challenge = answer.headers.get('www-authenticate') ?? '';
        if (status === 401)
          t.match(
            challenge,
            error === undefined ? /^Bearer$/ : new RegExp(`^Bearer error="${error}", error_description="[^"]+"$`),
            name,
          );
        t.notOk('id' in answer.json, 'the body was not read, so no id is echoed');
        const shown = `${answer.text} ${challenge}`;
        const secret = header?.slice(header.indexOf(' ') + 1) ?? '';
        t.strictSame(
          parts(secret).filter((part) => shown.includes(part)),
          [],
          `${name}: no part of it is in the answer`,
        );
        expected.push(code);
      }
    }
    t.equal(upstream.requests.length, 0, 'nothing reached the upstream');

    const query = await send(`${url}?access_token=${good}`, undefined, '{}');
    t.equal(query.status, 401);
    t.equal(codeOf(query), 'token_in_query');
    t.match(query.headers.get('www-authenticate'), /^Bearer error="invalid_request"/);
    t.equal((await send(`${url}?access_token=x`, good, '{}')).status, 401, 'also beside a good header');
    const doubled = await talk(
      gateway.url,
      request({ headers: [`Authorization: Bearer ${good}`, `authorization: Bearer ${good}`], body: '{}' }),
    );
    t.strictSame(statuses(doubled), [400], 'two Authorization headers');
    t.match(doubled, /token_malformed/);
    t.strictSame(
      statuses(
        await talk(
          gateway.url,
          request({
            target: '/api/me',
            method: 'GET',
            headers: [`Authorization: Bearer ${good}`, `Authorization: Bearer ${revoked}`],
          }),
        ),
      ),
      [400],
      'on REST too',
    );
    t.equal(upstream.requests.length, 0, 'nothing reached the upstream');

    // Only then does the record hold all of them one by one or counted, whichever minute they fell in.
    await gateway.close();
    const kept = refusalsIn(gateway.folder);
    const total = kept.reduce((sum, { count }) => sum + count, 0);
    t.equal(total, expected.length + 4, 'every refusal is in the record');
    t.ok(kept.filter(({ count }) => count === 1).length >= 20, 'the first of them one by one');
    t.match(kept[0], { code: 'token_missing', address: '127.0.0.1', route: '/mcp', count: 1 });
    const secrets = rows.flatMap(([, header]) => parts(header?.slice(header.indexOf(' ') + 1) ?? ''));
    t.ok(secrets.length > 500);
    t.strictSame(
      found(gateway, [...secrets, ...parts(good)]),
      [],
      'no part of a token is in the log or the data folder',
    );
    t.strictSame(found(gateway, ['token_missing']), ['token_missing'], 'and the search does find what is there');
  },
);

t.test('each kind of refusal has an entry of its own with code, address and route [refusal-is-recorded]', async (t) => {
  const idp = await startIdp(t);
  const { url, gateway, upstream } = await start(t, withOidc(idp));
  const wrong = await idp.token({ audience: 'https://elsewhere.example', groups: ['eng'] });
  await send(url, undefined, '{}');
  await send(`${gateway.url}/api/mcp`, wrong, '{}');
  await send(`${url}?token=x`, undefined, '{}');
  await send(url, 'a b', '{}');
  await send(`${gateway.url}/api/me`, undefined, undefined, {}, 'GET');
  t.match(await refusals(gateway), [
    { code: 'token_missing', address: '127.0.0.1', route: '/mcp', count: 1 },
    { code: 'token_invalid', address: '127.0.0.1', route: '/api/mcp', count: 1 },
    { code: 'token_in_query', address: '127.0.0.1', route: '/mcp', count: 1 },
    { code: 'token_malformed', address: '127.0.0.1', route: '/mcp', count: 1 },
    { code: 'token_missing', address: '127.0.0.1', route: '/api', count: 1 },
  ]);
  const metrics = await send(`${gateway.url}/metrics`, undefined, undefined, {}, 'GET');
  t.match(metrics.text, /portcullis_refusals_total\{code="token_missing"\} 2/);
  t.equal(upstream.requests.length, 0);
});

t.test('a required scope that is missing is asked for in the challenge [A-05]', async (t) => {
  const idp = await startIdp(t);
  const { url, upstream } = await start(t, {
    auth: { oidc: { issuer: idp.issuer, required_scopes: ['mcp', 'mcp:write'] } },
  });
  const answer = await callTool(
    url,
    await idp.token({ audience: `${PUBLIC}/mcp`, groups: ['eng'], scope: 'mcp' }),
    'echo',
  );
  t.equal(answer.status, 403);
  t.match(answer.headers.get('www-authenticate'), /error="insufficient_scope".*scope="mcp mcp:write"/);
  t.match((await send(url, undefined, '{}')).headers.get('www-authenticate'), /^Bearer scope="mcp mcp:write"$/);
  t.equal(upstream.requests.length, 0);
});

t.test(
  'while the provider is away nobody is let in on a token that cannot be verified [idp-down-refuses]',
  async (t) => {
    const idp = await startIdp(t);
    const audience = `${PUBLIC}/mcp`;
    const token = await idp.token({ audience, groups: ['eng'] });
    idp.down(true);
    const { url, gateway, upstream } = await start(t, withOidc(idp));
    const answer = await callTool(url, token, 'echo');
    t.equal(answer.status, 503);
    t.equal(codeOf(answer), 'identity_unavailable');
    const ready = await send(`${gateway.url}/readyz`, undefined, undefined, {}, 'GET');
    t.equal(ready.status, 503);
    t.equal((ready.json['troubles'] as string[]).length, 1);
    t.equal(
      (await callTool(url, await gateway.person('erin', ['eng']), 'echo')).status,
      200,
      'gateway tokens do not need it',
    );
    t.equal(upstream.received('echo').length, 1);
  },
);

t.test("a stranger's body is not even parsed [stranger-never-parsed]", async (t) => {
  const { url, gateway, upstream } = await start(t);
  const token = await gateway.person('erin', ['eng']);
  const odd: readonly Record<string, string>[] = [
    {},
    { 'content-type': 'text/plain' },
    { 'content-type': 'no type at all' },
    { 'content-encoding': 'gzip' },
  ];
  for (const path of ['/mcp', '/mcp/other', '/api/mcp', '/api/tokens']) {
    for (const headers of odd) {
      const answer = await send(gateway.url + path, undefined, '{"jsonrpc":', headers);
      t.equal(answer.status, 401, `${path} ${JSON.stringify(headers)}`);
      t.equal(codeOf(answer) ?? (answer.json['error'] as JsonObject)['code'], 'token_missing');
    }
  }
  t.equal(
    (await send(`${gateway.url}/nothing`, undefined, '{"jsonrpc":')).status,
    404,
    'not even on the way to nowhere',
  );
  t.equal((await send(url, token, '{"jsonrpc":')).status, 400, 'of somebody known it is');
  t.equal((await send(`${gateway.url}/api/tokens`, token, '{"jsonrpc":')).status, 400);
  const large = await talk(gateway.url, request({ body: '', length: '99999999999' }));
  t.strictSame(statuses(large), [401], 'nor is it waited for');
  t.equal(upstream.requests.length, 0);
});

t.test(
  'a session belongs to whoever opened it; to everybody else it does not exist [A-09] [session-bound-to-subject]',
  async (t) => {
    const idp = await startIdp(t);
    const { url, upstream, gateway } = await start(t, withOidc(idp));
    const erin = await idp.token({ audience: `${PUBLIC}/mcp`, subject: 'erin', groups: ['eng'] });
    const session = await openSession(url, erin);
    t.match(session, /^[\w-]{100,}$/);
    const headers = { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' };
    const ping = '{"jsonrpc":"2.0","id":2,"method":"ping"}';
    t.equal((await send(url, erin, ping, headers)).status, 200);
    const before = upstream.requests.length;

    const sub = await idp.token({ audience: `${PUBLIC}/mcp`, subject: 'eve', groups: ['eng'] });
    const namesake = await gateway.person('erin', ['eng']);
    for (const [title, token] of [
      ['another subject', sub],
      ['the same subject of another issuer', namesake],
    ] as const) {
      const body = await send(url, token, ping, headers);
      t.equal(body.status, 404, title);
      t.equal(codeOf(body), 'session_unknown');
      t.equal((await send(url, token, undefined, headers, 'GET')).status, 404, `${title}, GET`);
      t.equal((await send(url, token, undefined, headers, 'DELETE')).status, 404, `${title}, DELETE`);
      const made = await send(url, token, ping, { ...headers, 'mcp-session-id': crypto.randomUUID() });
      t.equal(made.text, body.text, 'the same answer as for a session that never was');
    }
    t.equal((await send(url, undefined, ping, headers)).status, 401, 'the id alone is no credential');
    t.equal(upstream.requests.length, before, 'nothing reached the upstream');
    const renewed = await idp.token({ audience: `${PUBLIC}/mcp`, subject: 'erin', groups: ['eng'], expiresIn: 300 });
    t.equal((await send(url, renewed, ping, headers)).status, 200, 'a new token of the same subject goes on');
    t.equal((await send(url, erin, undefined, headers, 'DELETE')).status, 200);
    t.equal((await send(url, erin, ping, headers)).status, 404);
  },
);

t.test('a revoked token is refused at the next request, also within a session [revoked-at-once]', async (t) => {
  const { url, gateway, upstream } = await start(t);
  const admin = await gateway.person('ada', ['admin']);
  const made = await send(`${gateway.url}/api/tokens`, admin, JSON.stringify({ name: 'build', groups: ['eng'] }));
  t.equal(made.status, 200);
  const token = String(made.json['token']);
  const session = await openSession(url, token);
  const headers = { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' };
  const ping = '{"jsonrpc":"2.0","id":2,"method":"ping"}';
  t.equal((await send(url, token, ping, headers)).status, 200);
  t.equal(
    (await send(`${gateway.url}/api/tokens/${String(made.json['id'])}`, admin, undefined, {}, 'DELETE')).json['status'],
    'revoked',
  );
  const before = upstream.requests.length;
  const answer = await send(url, token, ping, headers);
  t.equal(answer.status, 401);
  t.match((answer.json['error'] as JsonObject)['message'], /revoked/);
  t.equal(upstream.requests.length, before);
  t.strictSame(found(gateway, parts(token)), [], 'the token is kept nowhere');
});

t.test(
  "nothing that says who the caller is goes upstream; the gateway's own credential does, and is shown to nobody [A-06] [inbound-token-stays] [credential-shown-to-nobody]",
  async (t) => {
    const idp = await startIdp(t);
    const { url, upstream, gateway } = await start(t, withOidc(idp));
    const token = await idp.token({ audience: `${PUBLIC}/mcp`, subject: 'erin', groups: ['eng'] });
    const identity = {
      cookie: 'sid=a-cookie-of-the-caller',
      'x-forwarded-user': 'root',
      'x-forwarded-email': 'root@example.com',
      'x-forwarded-for': '10.9.8.7',
      forwarded: 'for=10.9.8.7',
      'x-user-id': 'root',
      'x-user-groups': 'admin',
      'x-remote-user': 'root',
      'x-api-key': 'a-key-of-the-caller',
      'proxy-authorization': 'Basic YTpi',
      dpop: 'a-proof-of-the-caller',
      'x-real-ip': '10.9.8.7',
    };
    const envelope = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'echo', arguments: {}, _meta: envelope },
    });
    const modernHeaders = {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'echo',
      ...identity,
    };
    t.equal((await send(url, token, body, modernHeaders)).status, 200);
    const opened = await send(url, token, JSON.stringify(INITIALIZE), identity);
    const session = opened.headers.get('mcp-session-id') ?? '';
    const legacy = { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25', ...identity };
    await send(url, token, '{"jsonrpc":"2.0","id":2,"method":"ping"}', legacy);
    await send(url, token, undefined, legacy, 'DELETE');
    t.ok(upstream.requests.length >= 4);
    for (const received of upstream.requests) {
      t.equal(received.headers.authorization, CREDENTIAL, `${received.method}: the gateway's credential`);
      const raw = `${received.rawHeaders.join('\n')}\n${received.raw.toString()}`;
      t.notMatch(raw, /of-the-caller|\broot\b|10\.9\.8\.7/, `${received.method}: nothing of the caller`);
      t.strictSame(
        parts(token).filter((part) => raw.includes(part)),
        [],
        `${received.method}: not his token`,
      );
      t.not(received.session, session, 'nor the id of his session');
    }
    t.strictSame(
      parts(CREDENTIAL).filter((part) => `${opened.text}${JSON.stringify([...opened.headers])}`.includes(part)),
      [],
    );
    await gateway.close();
    t.strictSame(found(gateway, parts(CREDENTIAL)), [], 'the credential is in no record and no log');
    t.strictSame(found(gateway, ['of-the-caller', ...parts(token)]), [], 'nor is what the caller sent');
  },
);

t.test("an upstream's refusal of the gateway is not passed to the caller as his own [A-07]", async (t) => {
  const challenge = 'Bearer resource_metadata="https://evil.example/metadata"';
  for (const status of [401, 403]) {
    const script = {
      status,
      headers: { 'www-authenticate': challenge, 'set-cookie': 'evil=1', server: 'upstream/1' },
      body: CREDENTIAL,
    };
    const { url, gateway, upstream } = await start(t, {}, { tools: { echo: () => script } });
    const answer = await callTool(url, await gateway.person('erin', ['eng']), 'echo');
    t.equal(answer.status, 200, `an upstream's ${status} is no ${status} of ours`);
    t.equal(codeOf(answer), 'upstream_refused');
    for (const name of ['www-authenticate', 'set-cookie', 'server']) t.notOk(answer.headers.has(name), name);
    t.notMatch(answer.text, /upstream-credential/);
    t.equal(upstream.received('echo').length, 1);
    await gateway.close();
    t.strictSame(found(gateway, parts(CREDENTIAL)), [], 'not even an upstream that says it back puts it on record');
  }
});

t.test(
  'callers without a token are let in where that was configured, never as more than they are [anonymous-has-no-role]',
  async (t) => {
    const { url, gateway, upstream } = await start(t, { auth: { anonymous: { enabled: true, groups: ['eng'] } } });
    t.equal((await callTool(url, undefined, 'echo', { a: 1 })).status, 200);
    t.equal(upstream.received('echo').length, 1);
    const me = await send(`${gateway.url}/api/me`, undefined, undefined, {}, 'GET');
    t.match(me.json, {
      user_id: 'anonymous',
      authenticated_by: 'anonymous',
      is_admin: false,
      is_auditor: false,
      groups: ['eng'],
    });
    t.equal((await send(`${gateway.url}/api/tokens`, undefined, '{"name":"x"}')).status, 403);
    t.equal((await callTool(url, 'wrong', 'echo')).status, 401, 'a wrong token is not as good as none');
    t.equal((await callTool(url, undefined, 'echo')).status, 200);
    const evil = await send(url, undefined, '{}', { origin: 'https://evil.example' });
    t.equal(evil.status, 403, 'a page of another site is nobody');
    t.strictSame(statuses(await talk(gateway.url, request({ headers: ['Host: evil.example'], body: '{}' }))), [421]);
  },
);

t.test('anonymous callers are refused by default, and cannot have a group with a role', async (t) => {
  const { url } = await start(t);
  t.equal((await modern(url, undefined, 'tools/list')).status, 401);
  await t.rejects(start(t, { auth: { anonymous: { enabled: true, groups: ['admin'] } } }), /admin or auditor group/);
});

t.test(
  'of a flood from one address 20 refusals a minute are recorded one by one, the rest as a count [refusal-flood-counted]',
  async (t) => {
    const at = 1_800_000_000_000;
    const { url, gateway } = await start(t, {}, {}, () => at);
    for (let i = 0; i < 27; i += 1) t.equal((await send(url, undefined, '{}')).status, 401);
    t.equal((await refusals(gateway)).length, 20, 'the rest waits for the end of the minute');
    await gateway.close();
    const kept = refusalsIn(gateway.folder);
    t.strictSame(
      kept.slice(0, 20).map(({ count }) => count),
      Array.from({ length: 20 }, () => 1),
    );
    t.match(kept.slice(20), [{ code: 'token_missing', address: '127.0.0.1', route: '/mcp', count: 7 }]);
  },
);

t.test('a stream that outlives its token tells nothing more [A-13] [revoked-at-once]', async (t) => {
  let now = Date.now();
  const { url, gateway, upstream } = await start(t, {}, {}, () => now);
  const admin = await gateway.person('ada', ['admin']);
  const make = async (name: string): Promise<JsonObject> => {
    const body = JSON.stringify({ name, groups: ['eng'], expires_in_seconds: 3600 });
    return (await send(`${gateway.url}/api/tokens`, admin, body)).json;
  };
  const listen = async (token: string): Promise<{ heard: (word: string) => Promise<string>; stream: EventStream }> => {
    const session = { 'mcp-session-id': await openSession(url, token), 'mcp-protocol-version': '2025-11-25' };
    const headers = { authorization: `Bearer ${token}`, accept: 'text/event-stream', ...session };
    const response = await fetch(url, { headers });
    t.equal(response.status, 200);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    const heard = async (word: string): Promise<string> => {
      for (;;) {
        const { done, value } = await reader.read();
        text += value ?? '';
        if (done || text.includes(word)) return text;
      }
    };
    return { heard, stream: await upstream.opened() };
  };
  const say = (stream: EventStream, data: string): Promise<void> =>
    stream.notify('notifications/message', { level: 'info', data });

  const revoked = await make('revoked');
  const first = await listen(String(revoked['token']));
  await say(first.stream, 'said-in-time');
  t.match(await first.heard('said-in-time'), /said-in-time/);
  await send(`${gateway.url}/api/tokens/${String(revoked['id'])}`, admin, undefined, {}, 'DELETE');
  await say(first.stream, 'said-too-late');
  t.notMatch(await first.heard('said-too-late'), /said-too-late/, 'not after it was revoked');
  await first.stream.closed;

  const second = await listen(String((await make('expiring'))['token']));
  now += 3_600_001;
  await say(second.stream, 'said-too-late');
  t.notMatch(await second.heard('said-too-late'), /said-too-late/, 'nor after it expired');
  await second.stream.closed;
});

t.test('a gateway token ends at its time', async (t) => {
  let now = Date.now();
  const { url, gateway } = await start(t, {}, {}, () => now);
  const admin = await gateway.person('ada', ['admin']);
  const body = JSON.stringify({ name: 'short', groups: ['eng'], expires_in_seconds: 60 });
  const { token } = (await send(`${gateway.url}/api/tokens`, admin, body)).json;
  now += 59_999;
  t.equal((await callTool(url, String(token), 'echo')).status, 200);
  now += 1;
  const answer = await callTool(url, String(token), 'echo');
  t.equal(answer.status, 401);
  t.match((answer.json['error'] as JsonObject)['message'], /expired/);
});

t.test(
  'the address on record is the one of the connection, or what a trusted proxy says of it [address-not-spoofed]',
  async (t) => {
    const asked = async (trusted: readonly string[], forwarded: string): Promise<string | undefined> => {
      const server = { listen: '127.0.0.1:0', public_url: PUBLIC, trusted_proxies: [...trusted] };
      const { url, gateway } = await start(t, { server });
      await send(url, undefined, '{}', {
        'x-forwarded-for': forwarded,
        'x-real-ip': '6.6.6.6',
        forwarded: 'for=6.6.6.6',
      });
      return (await refusals(gateway))[0]?.address;
    };
    t.equal(await asked([], '6.6.6.6'), '127.0.0.1', 'a caller cannot name an address himself');
    t.equal(await asked(['10.0.0.1'], '6.6.6.6'), '127.0.0.1', 'nor through a proxy that is not ours');
    t.equal(await asked(['127.0.0.1'], '198.51.100.7'), '198.51.100.7');
    t.equal(await asked(['127.0.0.1'], '6.6.6.6, 198.51.100.7'), '198.51.100.7', 'what stood there before is hearsay');
    t.equal(await asked(['127.0.0.0/8', '10.0.0.0/8'], '6.6.6.6, 198.51.100.7, 10.2.3.4'), '198.51.100.7');
    t.equal(await asked(['127.0.0.1'], 'nonsense'), '127.0.0.1');
  },
);
