import {
  base64url,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  importJWK,
  SignJWT,
  UnsecuredJWT,
  type CryptoKey,
  type JWTPayload,
} from 'jose';
import { inspect } from 'node:util';
import t, { type Test } from 'tap';
import type { Principal } from '../../policies/types.ts';
import type { ErrorCode } from '../../proxy/errors.ts';
import { createAuthenticate } from '../../proxy/identity/authenticate.ts';
import { createIdentityHttp } from '../../proxy/identity/fetch.ts';
import { createOidc, type OidcOptions } from '../../proxy/identity/oidc.ts';
import { CLIENT_ID, startIdp, type Idp } from '../oidc.ts';
import { refused } from './refused.ts';

const PUBLIC_URL = 'https://gw.example.com';
const AUDIENCE = `${PUBLIC_URL}/mcp`;
const ROUTE = '/mcp';

type Ask = (token: string, route?: string, now?: number) => Principal | Promise<Principal>;

/** The whole step as the pipeline calls it, in front of a real provider. */
async function start(test: Test, idp: Idp, options: Partial<OidcOptions> = {}): Promise<Ask> {
  const oidc = await createOidc(
    { issuer: idp.issuer, publicUrl: PUBLIC_URL, ...options },
    createIdentityHttp({ issuer: idp.issuer }),
  );
  test.teardown(() => oidc.close());
  test.equal(oidc.ready(), undefined, 'ready');
  const authenticate = createAuthenticate({
    oidc,
    anonymous: { enabled: true, groups: ['guests'] },
    adminGroups: ['admin'],
    auditorGroups: ['auditor'],
  });
  return (token, route = ROUTE, now = Date.now()) =>
    authenticate(
      { type: 'http', headers: { authorization: `Bearer ${token}` }, url: route, address: '127.0.0.1' },
      route,
      now,
    );
}

const seconds = (): number => Math.floor(Date.now() / 1000);

function claims(idp: Idp, more: JWTPayload = {}): JWTPayload {
  return {
    iss: idp.issuer,
    sub: 'alice',
    aud: AUDIENCE,
    exp: seconds() + 600,
    iat: seconds(),
    client_id: CLIENT_ID,
    scope: 'mcp',
    ...more,
  };
}

t.test(
  'an access token of the provider proves its subject, groups and roles [A-03] [oidc-token-accepted]',
  async (t) => {
    const idp = await startIdp(t);
    const ask = await start(t, idp);
    const token = await idp.token({
      audience: AUDIENCE,
      subject: 'alice',
      groups: ['engineering', 'admin', 'engineering', ''],
      claims: { email: 'alice@example.com', name: 'Alice', act: { sub: 'agent-7', act: { sub: 'scheduler' } } },
    });
    t.strictSame(await ask(token), {
      issuer: idp.issuer,
      subject: 'alice',
      email: 'alice@example.com',
      name: 'Alice',
      groups: ['engineering', 'admin'],
      roles: ['admin'],
      authenticatedBy: 'oidc',
      actors: ['agent-7', 'scheduler'],
      clientId: CLIENT_ID,
      scopes: ['mcp'],
    });
    const workload = await ask(await idp.clientCredentials({ audience: AUDIENCE }));
    t.equal(workload.subject, CLIENT_ID, 'a workload with a token of the token endpoint');
    t.strictSame(workload.roles, []);
  },
);

t.test(
  'a token that is not for this gateway, now, is refused with its reason [A-02] [A-03] [A-13] [no-foreign-token]',
  async (t) => {
    const idp = await startIdp(t);
    const other = await startIdp(t);
    const ask = await start(t, idp, { requiredScopes: ['mcp'] });
    const good = await idp.token({ audience: AUDIENCE });
    const [head, body, signature] = good.split('.') as [string, string, string];
    const publicKey = await importJWK(idp.publicJwk(), 'RS256', { extractable: true });
    const pem = await exportSPKI(publicKey as CryptoKey);
    const hs256 = (secret: string): Promise<string> =>
      new SignJWT(claims(idp))
        .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid: idp.publicJwk().kid! })
        .sign(new TextEncoder().encode(secret));
    const stranger = await generateKeyPair('RS256', { extractable: true });
    const forged = (header: Record<string, unknown>): Promise<string> =>
      new SignJWT(claims(idp)).setProtectedHeader({ alg: 'RS256', typ: 'at+jwt', ...header }).sign(stranger.privateKey);
    const evil = base64url.encode(JSON.stringify(claims(idp, { sub: 'root', groups: ['admin'] })));
    const none = new UnsecuredJWT(claims(idp)).encode();
    const without = (name: string): Promise<string> => idp.sign({ ...claims(idp), [name]: undefined });

    const cases: [name: string, token: string, reason: RegExp, code?: ErrorCode][] = [
      ['expired', await idp.token({ audience: AUDIENCE, expiresIn: -31 }), /: expired$/],
      ['issued by another provider', await other.token({ audience: AUDIENCE }), /wrong issuer/],
      ['of another issuer by our provider', await idp.sign(claims(idp, { iss: `${idp.issuer}/` })), /wrong issuer/],
      ['for another audience', await idp.token({ audience: 'https://elsewhere.example.com/mcp' }), /wrong audience/],
      ['for another route', await idp.token({ audience: `${PUBLIC_URL}/mcp/payroll` }), /wrong audience/],
      ['for a prefix of the route', await idp.token({ audience: PUBLIC_URL }), /wrong audience/],
      ['for nobody', await without('aud'), /wrong audience/],
      ['for an audience that is no text', await idp.sign({ ...claims(idp), aud: [{}, 7] as never }), /wrong audience/],
      ['for the client id, which is not configured', await idp.sign(claims(idp, { aud: CLIENT_ID })), /wrong audience/],
      ['alg none', none, /algorithm/],
      ['alg None', none.replace(/^[^.]+/, base64url.encode('{"alg":"None","typ":"at+jwt"}')), /algorithm/],
      ['HS256 with the public key in PEM as secret', await hs256(pem), /algorithm/],
      ['HS256 with the modulus as secret', await hs256(idp.publicJwk().n!), /algorithm/],
      ['an ID token', await idp.idToken(), /not an access token/],
      ['an ID token with nonce', await idp.idToken({ nonce: 'n-0S6_WzA2Mj' }), /not an access token/],
      ['another payload under a good signature', `${head}.${evil}.${signature}`, /signature/],
      ['a signature cut off', `${head}.${body}.`, /signature/],
      [
        'a signature with a bit flipped',
        `${head}.${body}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`,
        /signature/,
      ],
      ['signed by a stranger under our key id', await forged({ kid: idp.publicJwk().kid }), /signature/],
      ['signed by a stranger, no key id', await forged({}), /signature/],
      [
        'signed by a stranger who brings his key',
        await forged({ kid: 'x', jwk: await exportJWK(stranger.publicKey) }),
        /signing key/,
      ],
      [
        'signed by a stranger who links his keys',
        await forged({ kid: 'x', jku: `${other.issuer}/jwks` }),
        /signing key/,
      ],
      [
        'with a critical header we do not know',
        await idp.sign(claims(idp), { crit: ['x'], x: 1 }),
        /cannot be verified/,
      ],
      ['not valid yet', await idp.sign(claims(idp, { nbf: seconds() + 60 })), /not valid yet/],
      ['without subject', await without('sub'), /sub claim/],
      ['with an empty subject', await idp.sign(claims(idp, { sub: '' })), /sub claim/],
      ['with a number as subject', await idp.sign({ ...claims(idp), sub: 7 as never }), /sub claim/],
      ['with control characters in the subject', await idp.sign(claims(idp, { sub: 'al\u001b[2Jice' })), /sub claim/],
      ['without expiry', await without('exp'), /exp claim/],
      ['with an expiry in words', await idp.sign({ ...claims(idp), exp: 'never' as never }), /exp claim/],
      ['bound to a DPoP key [A-11]', await idp.sign(claims(idp, { cnf: { jkt: 'thumbprint' } })), /bound to a key/],
      ['bound to a certificate', await idp.sign(claims(idp, { cnf: { 'x5t#S256': 'thumbprint' } })), /bound to a key/],
      ['a refresh token', await idp.sign(claims(idp, { typ: 'Refresh' }), { typ: 'JWT' }), /not an access token/],
      ['a logout token', await idp.sign(claims(idp), { typ: 'logout+jwt' }), /not an access token/],
      [
        'an identity assertion grant [A-12]',
        await idp.sign(claims(idp), { typ: 'oauth-id-jag+jwt' }),
        /not an access token/,
      ],
      ['actors nested too deeply', await idp.sign(claims(idp, { act: nested(9) })), /too many actors/],
      ['actors without a name', await idp.sign(claims(idp, { act: { iss: 'x' } })), /act claim/],
      [
        'too many groups',
        await idp.sign(claims(idp, { groups: Array.from({ length: 1001 }, (_, n) => `${n}`) })),
        /too many groups/,
      ],
      ['a group name too long', await idp.sign(claims(idp, { groups: ['g'.repeat(257)] })), /too long/],
      ['groups that are no texts', await idp.sign(claims(idp, { groups: [{ name: 'admin' }] })), /groups claim/],
      ['groups as an object', await idp.sign(claims(idp, { groups: { admin: true } })), /groups claim/],
      [
        'groups left out for their number',
        await idp.sign(claims(idp, { _claim_names: { groups: 'src1' } })),
        /overage/,
      ],
      ['opaque', 'c29tZS1vcGFxdWUtdG9rZW4', /not a signed JWT/],
      ['encrypted', `${good}.${head}.${body}`, /not a signed JWT/],
      ['three parts of nothing', '..', /not a signed JWT/],
      ['a list as header', `${base64url.encode('[]')}.${body}.${signature}`, /not a signed JWT/],
      ['another alphabet', `${head}.${body}.${signature}\u00e9`, /character/, 'token_malformed'],
      ['huge', `${head}.${'A'.repeat(16_384)}.${signature}`, /longer than/, 'token_malformed'],
    ];
    for (const [name, token, reason, code] of cases) {
      await t.test(name, (t) => refused(t, () => ask(token), code ?? 'token_invalid', reason, token));
    }
    t.equal((await ask(good)).subject, 'alice', 'after all that the right token still passes');
  },
);

function nested(depth: number): JWTPayload {
  return depth === 0 ? { sub: 'a' } : { sub: 'a', act: nested(depth - 1) };
}

t.test('a refusal keeps nothing of the claims either, also not for the log [A-13]', async (t) => {
  const idp = await startIdp(t);
  const ask = await start(t, idp);
  const email = 'someone@fake.example';
  for (const more of [
    { exp: seconds() - 100 },
    { nbf: seconds() + 100 },
    { aud: 'x' },
    { cnf: {} },
    { groups: 7 },
    { sub: '' },
  ]) {
    const token = await idp.sign(claims(idp, { email, ...more }));
    const error = await refused(t, () => ask(token), 'token_invalid', /./, token);
    t.notMatch(inspect(error, { depth: null, showHidden: true }), email);
  }
});

t.test('a few seconds between the clocks are tolerated, not more', async (t) => {
  const idp = await startIdp(t);
  const ask = await start(t, idp);
  t.ok(await ask(await idp.token({ audience: AUDIENCE, expiresIn: -25 })), 'just expired');
  t.ok(await ask(await idp.sign(claims(idp, { nbf: seconds() + 25 }))), 'almost valid');
  const strict = await start(t, idp, { clockToleranceMs: 0 });
  const late = await idp.token({ audience: AUDIENCE, expiresIn: -1 });
  await refused(t, () => strict(late), 'token_invalid', /expired/, late);
});

t.test('each route has its own audience [A-03] [audience-per-route]', async (t) => {
  const idp = await startIdp(t);
  const ask = await start(t, idp, { audience: { '/mcp/payroll': ['api://payroll'] } });
  const listed = await idp.token({ audience: 'api://payroll' });
  t.ok(await ask(listed, '/mcp/payroll'), 'a listed value');
  await refused(t, () => ask(listed, '/mcp'), 'token_invalid', /wrong audience/, listed);
  await refused(t, () => ask(listed, '/api/mcp'), 'token_invalid', /wrong audience/, listed);
  await refused(t, () => ask(listed, '/__proto__'), 'token_invalid', /wrong audience/, listed);
  t.ok(
    await ask(await idp.token({ audience: `${PUBLIC_URL}/mcp/payroll` }), '/mcp/payroll'),
    "the route's own URL beside it",
  );
  t.ok(
    await ask(await idp.sign(claims(idp, { aud: ['https://other.example.com', AUDIENCE] })), '/mcp'),
    'one of several',
  );
});

t.test(
  'a configured client id is accepted in aud, azp and client_id, but never an ID token [client-id-never-id-token]',
  async (t) => {
    const idp = await startIdp(t);
    const ask = await start(t, idp, { clientId: CLIENT_ID });
    const aud = 'https://elsewhere.example.com';
    t.ok(await ask(await idp.sign(claims(idp, { aud: CLIENT_ID, client_id: 'c' }))), 'aud');
    t.ok(await ask(await idp.sign(claims(idp, { aud, client_id: 'c', azp: CLIENT_ID }))), 'azp');
    t.ok(await ask(await idp.sign(claims(idp, { aud }))), 'client_id');
    t.ok(await ask(await idp.sign({ ...claims(idp), aud: undefined as never })), 'client_id without any aud');
    const others = await idp.sign(claims(idp, { aud, client_id: 'c' }));
    await refused(t, () => ask(others), 'token_invalid', /wrong audience/, others);
    for (const id of [await idp.idToken(), await idp.idToken({ nonce: 'n-0S6_WzA2Mj' })]) {
      await refused(t, () => ask(id), 'token_invalid', /not an access token/, id);
    }
  },
);

t.test('tokens of type JWT or of none pass only when they cannot be ID tokens [no-id-token]', async (t) => {
  const idp = await startIdp(t);
  const ask = await start(t, idp);
  const bare: JWTPayload = { iss: idp.issuer, sub: 'alice', aud: AUDIENCE, exp: seconds() + 600 };
  const accepted: [string, JWTPayload][] = [
    ['scope', { scope: 'mcp' }],
    ['scp as a list, as Okta', { scp: ['mcp'], cid: 'c' }],
    ['client_id', { client_id: 'c' }],
    ['an application of Entra ID', { azp: 'c', azpacr: '1' }],
    ['token_use access, as Cognito', { token_use: 'access', client_id: 'c' }],
    ['typ Bearer, as Keycloak', { typ: 'Bearer', scope: 'mcp' }],
  ];
  for (const [name, more] of accepted) {
    t.ok(await ask(await idp.sign({ ...bare, ...more }, { typ: 'JWT' })), `${name}, typ JWT`);
    t.ok(await ask(await idp.sign({ ...bare, ...more }, { typ: undefined })), `${name}, no typ`);
  }
  const denied: [string, JWTPayload][] = [
    ['nothing that shows what it is', {}],
    ['azp alone', { azp: 'c' }],
    ['nonce', { scope: 'mcp', nonce: 'n' }],
    ['at_hash', { scope: 'mcp', at_hash: 'h' }],
    ['c_hash', { client_id: 'c', c_hash: 'h' }],
    ['token_use id', { scope: 'mcp', token_use: 'id' }],
    ['typ ID', { scope: 'mcp', typ: 'ID' }],
  ];
  for (const [name, more] of denied) {
    for (const typ of ['JWT', 'jwt', 'application/jwt', undefined]) {
      const token = await idp.sign({ ...bare, ...more }, { typ });
      await t.test(`${name}, typ ${typ}`, (t) =>
        refused(t, () => ask(token), 'token_invalid', /not an access token/, token),
      );
    }
  }
  t.ok(await ask(await idp.sign(bare, { typ: 'application/at+jwt' })), 'a type that says so needs no more');
  for (const more of [{ typ: 'ID' }, { token_use: 'id' }]) {
    const token = await idp.sign({ ...bare, ...more });
    await refused(t, () => ask(token), 'token_invalid', /not an access token/, token);
  }
  const strict = await start(t, idp, { tokenTypes: ['at+jwt'] });
  const untyped = await idp.sign({ ...bare, scope: 'mcp' }, { typ: 'JWT' });
  await refused(t, () => strict(untyped), 'token_invalid', /not an access token/, untyped);
  t.ok(await strict(await idp.sign(bare, { typ: 'AT+JWT' })), 'types are compared without case');
});

t.test('a missing scope is answered with all that are required [A-05] [scopes-named-at-once]', async (t) => {
  const idp = await startIdp(t);
  const ask = await start(t, idp, { requiredScopes: ['mcp', 'mcp:write'] });
  const partial = await idp.token({ audience: AUDIENCE, scope: 'mcp' });
  const error = await refused(t, () => ask(partial), 'scope_insufficient', /: mcp mcp:write$/, partial);
  t.equal(error?.row.http, 403);
  t.strictSame(error?.data, { scopes: ['mcp', 'mcp:write'] });
  t.ok(await ask(await idp.token({ audience: AUDIENCE, scope: 'mcp mcp:write' })));
  t.ok(await ask(await idp.sign(claims(idp, { scope: '', scp: ['mcp:write', 'mcp'] }))), 'scp as a list');
  const wrong = await idp.token({ audience: 'https://elsewhere.example.com', scope: 'mcp' });
  await refused(t, () => ask(wrong), 'token_invalid', /wrong audience/, wrong);
});

t.test('groups are found by name or by path, as a text or a list [groups-from-claim]', async (t) => {
  const idp = await startIdp(t);
  const table: [claim: string, extra: JWTPayload, groups: string[]][] = [
    ['groups', { groups: 'dba' }, ['dba']],
    ['groups', { groups: ['dba', 'eng', 'dba'] }, ['dba', 'eng']],
    ['groups', {}, []],
    ['groups', { groups: null }, []],
    ['roles', { roles: ['a'], hasgroups: true }, ['a']],
    ['realm_access.roles', { realm_access: { roles: ['dba'] } }, ['dba']],
    ['resource_access.my.client.roles', { resource_access: { 'my.client': { roles: ['dba'] } } }, ['dba']],
    ['https://app.example.com/groups', { 'https://app.example.com/groups': ['dba'] }, ['dba']],
    ['a.b', { 'a.b': ['exact'], a: { b: ['path'] } }, ['exact']],
    ['a.b', { a: 'text' }, []],
    ['constructor.name', {}, []],
    ['__proto__', {}, []],
  ];
  for (const [groupsClaim, extra, groups] of table) {
    const ask = await start(t, idp, { groupsClaim });
    t.strictSame(
      (await ask(await idp.sign(claims(idp, extra)))).groups,
      groups,
      `${groupsClaim} of ${JSON.stringify(extra)}`,
    );
  }
});

t.test('an e-mail address that the provider did not verify is not taken [unverified-email-ignored]', async (t) => {
  const idp = await startIdp(t);
  const ask = await start(t, idp);
  const email = async (more: JWTPayload): Promise<string | undefined> =>
    (await ask(await idp.sign(claims(idp, { email: 'root@example.com', ...more })))).email;
  t.equal(await email({}), 'root@example.com');
  t.equal(await email({ email_verified: true }), 'root@example.com');
  t.equal(await email({ email_verified: false }), undefined);
  t.equal(await email({ email_verified: 'false' }), undefined);
});

t.test(
  'a token seen a moment ago is answered at once, and never after it expired [A-13] [cache-never-outlives-token]',
  async (t) => {
    const idp = await startIdp(t);
    const ask = await start(t, idp, { clockToleranceMs: 0 });
    const now = Date.now();
    const token = await idp.sign(claims(idp, { exp: Math.floor(now / 1000) + 30 }));
    const expiry = (Math.floor(now / 1000) + 30) * 1000;
    const first = ask(token, ROUTE, now);
    t.ok(first instanceof Promise, 'verified anew');
    const principal = await first;
    t.equal(ask(token, ROUTE, now), principal, 'the same value, without a promise');
    t.equal(ask(token, ROUTE, expiry - 1), principal, 'until its last millisecond');
    await refused(t, () => ask(token, ROUTE, expiry), 'token_invalid', /expired/, token);
    await refused(t, () => ask(token, '/mcp/other', now), 'token_invalid', /wrong audience/, token);

    const long = await idp.token({ audience: AUDIENCE });
    await ask(long, ROUTE, now);
    t.notOk(ask(long, ROUTE, now + 59_999) instanceof Promise, 'remembered for a minute');
    const again = ask(long, ROUTE, now + 60_000);
    t.ok(again instanceof Promise, 'then verified anew');
    await again;
    const back = ask(long, ROUTE, now - 3_600_000);
    t.ok(back instanceof Promise, 'a clock that was set back ends it, too');
    await back;
    const [head, body, signature] = long.split('.') as [string, string, string];
    const tampered = `${head}.${body}.${signature.slice(0, -4)}AAAA`;
    await refused(t, () => ask(tampered), 'token_invalid', /signature/, tampered);
  },
);

t.test('options that would weaken the check are refused at start [asymmetric-only]', async (t) => {
  const idp = await startIdp(t);
  const http = createIdentityHttp({ issuer: idp.issuer });
  t.teardown(() => http.close());
  const base = { issuer: idp.issuer, publicUrl: PUBLIC_URL };
  for (const algorithms of [['HS256'], ['none'], ['RS256', 'HS512'], []]) {
    await t.rejects(createOidc({ ...base, algorithms }, http), /asymmetric/, algorithms.join());
  }
  for (const issuer of [
    'http://idp.example.com',
    'ftp://127.0.0.1',
    'https://idp.example.com?x',
    'https://idp.example.com#x',
  ]) {
    await t.rejects(createOidc({ ...base, issuer }, http), /the issuer must/, issuer);
  }
});
