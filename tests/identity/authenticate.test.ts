import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { ERRORS, GatewayError, type ErrorCode } from '../../proxy/errors.ts';
import { createAuthenticate, type AuthenticateParts } from '../../proxy/identity/authenticate.ts';
import { bearerOf } from '../../proxy/identity/bearer.ts';
import { challenge } from '../../proxy/identity/challenge.ts';
import { claimAt } from '../../proxy/identity/claims.ts';
import { createGatewayTokens, hashToken, isTokenShaped, mintToken, TOKEN_ISSUER } from '../../proxy/identity/tokens.ts';
import { VerifiedTokens } from '../../proxy/identity/verified.ts';
import type { Credentials } from '../../proxy/types.ts';
import type { Principal } from '../../policies/types.ts';
import type { TokenRecord, Tokens } from '../../recorder/types.ts';
import { refused } from './refused.ts';

const NOW = 1_800_000_000_000;
const PARTS: AuthenticateParts = {
  anonymous: { enabled: false, groups: [] },
  adminGroups: ['admin'],
  auditorGroups: ['auditor'],
};

function http(authorization?: string, more: { url?: string; rawHeaders?: string[] } = {}): Credentials {
  const headers = authorization === undefined ? {} : { authorization };
  return { type: 'http', headers, url: '/mcp', address: '127.0.0.1', ...more };
}

function record(token: string, more: Partial<TokenRecord> = {}): TokenRecord {
  return {
    id: 'tok_1',
    hash: hashToken(token),
    name: 'ci',
    subject: 'robot',
    groups: ['eng'],
    createdAt: NOW,
    ...more,
  };
}

/** The part of the store that is read here, in memory; `change` is what another process or an administrator does. */
function store(
  initial: readonly TokenRecord[],
): Tokens & { change(records: readonly TokenRecord[]): void; reads: number } {
  let records = initial;
  const listeners = new Set<(records: readonly TokenRecord[]) => void>();
  return {
    reads: 0,
    async list() {
      this.reads += 1;
      return records;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    change(next) {
      records = next;
      for (const listener of listeners) listener(next);
    },
    async create() {
      throw new Error('not used here');
    },
    async revoke() {
      throw new Error('not used here');
    },
  };
}

t.test(
  'a gateway token proves its subject until it is revoked or expires [gateway-token-accepted] [A-13]',
  async (t) => {
    const { token, hash, id } = mintToken();
    t.match(token, /^pct_[A-Za-z0-9_-]{49}$/);
    t.match(id, /^tok_/);
    t.equal(hash, hashToken(token));
    const records = store([
      record(token, { id, email: 'robot@example.com', groups: ['auditor', 'eng', 'eng'], expiresAt: NOW + 1000 }),
    ]);
    const tokens = await createGatewayTokens(records);
    t.teardown(() => tokens.close());
    const authenticate = createAuthenticate({ ...PARTS, tokens });
    const ask = (now: number, sent = token): unknown => authenticate(http(`Bearer ${sent}`), '/mcp', now);

    const principal = ask(NOW);
    t.strictSame(principal, {
      issuer: TOKEN_ISSUER,
      subject: 'robot',
      email: 'robot@example.com',
      name: 'ci',
      groups: ['auditor', 'eng'],
      roles: ['auditor'],
      authenticatedBy: 'token',
      actors: [],
      clientId: id,
    });
    t.equal(ask(NOW + 999), principal, 'the same value each time, never a promise');
    await refused(t, () => ask(NOW + 1000), 'token_invalid', /: expired$/, token);
    const wrong = token.slice(0, -1) + (token.endsWith('A') ? 'B' : 'A');
    await refused(t, () => ask(NOW, wrong), 'token_invalid', /not a gateway token as it was issued/, wrong);
    const other = mintToken().token;
    await refused(t, () => ask(NOW, other), 'token_invalid', /unknown gateway token/, other);
    await refused(t, () => ask(NOW, hash), 'token_invalid', /only gateway tokens/, hash);
    await refused(t, () => ask(NOW, `pct_${hash}`), 'token_invalid', /not a gateway token/, hash);
    records.change([record(token, { id, revokedAt: NOW - 5 })]);
    await refused(t, () => ask(NOW), 'token_invalid', /: revoked$/, token);
    records.change([]);
    await refused(t, () => ask(NOW), 'token_invalid', /unknown/, token);
    records.change([record(other)]);
    t.match(ask(NOW, other), { subject: 'robot', roles: [] }, 'a token created later is known at once');
    t.equal(records.reads, 1, 'the store is not read on a call [tokens-in-memory]');
  },
);

t.test('a change of the tokens while they are read at start is not overtaken by what was read', async (t) => {
  const { token } = mintToken();
  const records = store([record(token)]);
  const slow: Tokens = {
    ...records,
    async list() {
      const before = [record(token)];
      records.change([record(token, { revokedAt: NOW })]);
      return before;
    },
  };
  const tokens = await createGatewayTokens(slow);
  await refused(t, () => tokens.find(token, NOW), 'token_invalid', /revoked/, token);
  await t.rejects(createGatewayTokens({ ...records, list: async () => Promise.reject(new Error('store')) }), /store/);
});

t.test('minted tokens are all different and carry a checksum [token-checksum]', async (t) => {
  const minted = new Set<string>();
  for (let n = 0; n < 500; n += 1) {
    const { token } = mintToken();
    minted.add(token);
    const at = 4 + (n % 43);
    const other = token[at] === 'x' ? 'y' : 'x';
    if (!isTokenShaped(token) || isTokenShaped(token.slice(0, at) + other + token.slice(at + 1))) t.fail(token);
  }
  t.equal(minted.size, 500);
  for (const text of ['', 'pct_', 'pct_x', `${mintToken().token} `, mintToken().token.slice(1)])
    t.notOk(isTokenShaped(text));
});

t.test('the Authorization header is one Bearer token and nothing else [A-02] [one-bearer-token]', async (t) => {
  const { token } = mintToken();
  const tokens = await createGatewayTokens(store([record(token)]));
  const authenticate = createAuthenticate({ ...PARTS, tokens });
  const ask = (credentials: Credentials): unknown => authenticate(credentials, '/mcp', NOW);
  for (const scheme of ['Bearer', 'bearer', 'BEARER', 'Bearer  ']) t.ok(ask(http(`${scheme} ${token}`)), scheme);
  t.ok(ask(http(`Bearer ${token}`, { rawHeaders: ['Host', 'x', 'authorization', `Bearer ${token}`] })));

  const cases: [name: string, credentials: Credentials, code: ErrorCode][] = [
    ['none', http(), 'token_missing'],
    ['Basic', http('Basic dXNlcjpwYXNzd29yZA=='), 'token_missing'],
    ['DPoP [A-11]', http(`DPoP ${token}`), 'token_missing'],
    ['empty', http(''), 'token_malformed'],
    ['a scheme alone', http('Bearer'), 'token_malformed'],
    ['a scheme and a space', http('Bearer '), 'token_malformed'],
    ['a token alone', http(token), 'token_malformed'],
    ['a tab', http(`Bearer\t${token}`), 'token_malformed'],
    ['two tokens', http(`Bearer ${token} ${token}`), 'token_malformed'],
    ['two headers joined', http(`Bearer ${token}, Bearer ${token}`), 'token_malformed'],
    ['a trailing space', http(`Bearer ${token} `), 'token_malformed'],
    ['a leading space', http(` Bearer ${token}`), 'token_malformed'],
    ['a quoted token', http(`Bearer "${token}"`), 'token_malformed'],
    ['a line end', http(`Bearer ${token}\r\nX: y`), 'token_malformed'],
    ['a character beyond ASCII', http(`Bearer ${token}\u00e9`), 'token_malformed'],
    ['16 KB and one', http(`Bearer ${'a'.repeat(16_385)}`), 'token_malformed'],
    [
      'two headers',
      http(`Bearer ${token}`, { rawHeaders: ['Authorization', `Bearer ${token}`, 'AUTHORIZATION', 'Bearer x'] }),
      'token_malformed',
    ],
  ];
  for (const [name, credentials, code] of cases) {
    await t.test(name, async (t) => {
      const error = await refused(t, () => ask(credentials), code, /./, token);
      t.equal(error?.row.http, code === 'token_malformed' ? 400 : 401);
    });
  }
});

t.test('a token in the query is refused, also beside a good header [A-04] [no-token-in-query]', async (t) => {
  const { token } = mintToken();
  const tokens = await createGatewayTokens(store([record(token)]));
  const authenticate = createAuthenticate({ ...PARTS, tokens, anonymous: { enabled: true, groups: [] } });
  const queries = [
    'access_token=',
    'token=',
    'a=b&access_token=',
    'ACCESS_TOKEN=',
    'access%5Ftoken=',
    '%74oken=',
    'token',
    'a=?&token=',
  ];
  for (const query of queries) {
    const url = `/mcp?${query}${query.endsWith('=') ? token : ''}`;
    for (const header of [undefined, `Bearer ${token}`]) {
      await refused(t, () => authenticate(http(header, { url }), '/mcp', NOW), 'token_in_query', /query/, token);
    }
  }
  for (const url of ['/mcp', '/mcp?', '/mcp?a=token', '/mcp?tokens=1&my_token=2', '/token']) {
    t.ok(authenticate(http(`Bearer ${token}`, { url }), '/mcp', NOW), url);
  }
});

t.test(
  'callers without a token are let in only when configured, and never with a role [anonymous-never-admin]',
  async (t) => {
    await refused(t, () => createAuthenticate(PARTS)(http(), '/mcp', NOW), 'token_missing');
    const anonymous = { enabled: true, groups: ['guests', 'admin', 'auditor', 'guests'] };
    const authenticate = createAuthenticate({ ...PARTS, anonymous });
    t.strictSame(authenticate(http(), '/mcp', NOW), {
      issuer: 'portcullis:anonymous',
      subject: 'anonymous',
      groups: ['guests'],
      roles: [],
      authenticatedBy: 'anonymous',
      actors: [],
    });
    await refused(t, () => authenticate(http('Basic dXNlcjpwYXNzd29yZA=='), '/mcp', NOW), 'token_missing');
    await refused(t, () => authenticate(http(''), '/mcp', NOW), 'token_malformed');
    const wrong = mintToken().token;
    await refused(
      t,
      () => authenticate(http(`Bearer ${wrong}`), '/mcp', NOW),
      'token_invalid',
      /gateway tokens are not/,
      wrong,
    );
  },
);

t.test('a principal proven inside the gateway is passed as it is', async (t) => {
  const principal: Principal = {
    issuer: 'portcullis:system',
    subject: 'system',
    groups: [],
    roles: ['admin'],
    authenticatedBy: 'system',
    actors: [],
  };
  t.equal(createAuthenticate(PARTS)({ type: 'proven', principal, address: '' }, '/mcp', NOW), principal);
});

t.test(
  'the challenge says where to log in, and names an error only when a token was sent [A-02] [A-05] [challenge-exact]',
  async (t) => {
    const resourceMetadata = 'https://gw.example.com/.well-known/oauth-protected-resource/mcp';
    const metadata = `resource_metadata="${resourceMetadata}"`;
    const cases: [code: ErrorCode, detail: string, options: Parameters<typeof challenge>[1], expected: string][] = [
      ['token_missing', '', { scopes: [] }, 'Bearer'],
      [
        'token_missing',
        '',
        { scopes: ['mcp', 'mcp:write'], resourceMetadata },
        `Bearer scope="mcp mcp:write", ${metadata}`,
      ],
      [
        'token_invalid',
        'expired',
        { scopes: [], resourceMetadata },
        `Bearer error="invalid_token", error_description="the bearer token was not accepted: expired", ${metadata}`,
      ],
      [
        'token_malformed',
        'it was sent more than once',
        { scopes: [] },
        'Bearer error="invalid_request", error_description="the Authorization header is malformed: it was sent more than once"',
      ],
    ];
    for (const [code, detail, options, expected] of cases)
      t.equal(challenge(new GatewayError(code, detail), options), expected);
    const scope = new GatewayError('scope_insufficient', 'mcp mcp:write', { data: { scopes: ['mcp', 'mcp:write'] } });
    t.equal(
      challenge(scope, { scopes: ['mcp'], resourceMetadata }),
      `Bearer error="insufficient_scope", error_description="the token lacks a required scope: mcp mcp:write", scope="mcp mcp:write", ${metadata}`,
    );
    t.match(challenge(new GatewayError('token_in_query'), { scopes: [] }), /error="invalid_request"/);
    for (const code of Object.keys(ERRORS) as ErrorCode[]) {
      const named = challenge(new GatewayError(code), { scopes: [] }).includes('invalid_token');
      t.equal(named, code === 'token_invalid', code);
    }
  },
);

t.test('no text can break out of a challenge [challenge-no-injection]', async (t) => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('"', '\\', '\r\n', '", error="x', '\u0000', '\ud800', 'a b'),
  );
  const parameter = String.raw`[a-z_]+="[\x20\x21\x23-\x5b\x5d-\x7e]*"`;
  const shape = new RegExp(`^Bearer( ${parameter}(, ${parameter})*)?$`);
  fc.assert(
    fc.property(
      fc.constantFrom(...(Object.keys(ERRORS) as ErrorCode[])),
      text,
      fc.array(text),
      fc.option(text, { nil: undefined }),
      (code, detail, scopes, metadata) => {
        const error = new GatewayError(code, detail, { data: { scopes } });
        const value = challenge(error, { scopes, ...(metadata === undefined ? {} : { resourceMetadata: metadata }) });
        return shape.test(value);
      },
    ),
  );
  t.pass('held for every text');
});

t.test('any header is answered by a token or a refusal of the table', async (t) => {
  const header = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.string().map((text) => `Bearer ${text}`),
    fc.stringMatching(/^[Bb]earer +[a-z._=-]+$/),
  );
  fc.assert(
    fc.property(header, fc.webPath(), fc.webQueryParameters(), (authorization, path, query) => {
      try {
        const token = bearerOf({ type: 'http', headers: { authorization }, url: `${path}?${query}`, address: '' });
        return token !== undefined && /^[\x21-\x7e]{1,16384}$/.test(token) && authorization.endsWith(token);
      } catch (error) {
        return (
          error instanceof GatewayError && ['token_missing', 'token_malformed', 'token_in_query'].includes(error.code)
        );
      }
    }),
  );
  t.pass('held for every header');
});

t.test('a claim is found by its exact name before any path, and never in a prototype', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.string({ minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 }), (names) => {
      const claims = names.reduceRight<unknown>(
        (inner, name) => Object.fromEntries([[name, inner]]),
        'found',
      ) as Record<string, unknown>;
      return claimAt(claims, names.join('.')) === 'found' && claimAt({}, names.join('.')) === undefined;
    }),
  );
  for (const path of [
    '__proto__',
    'constructor',
    'constructor.name',
    'toString',
    'a.__proto__',
    'a.constructor.name',
  ]) {
    t.equal(claimAt({ a: {} }, path), undefined, path);
  }
});

t.test(
  'whatever happens, a remembered token is never given after its end, and memory is bounded [cache-never-outlives-token] [A-13]',
  async (t) => {
    const principal = (subject: string): Principal => ({
      issuer: 'i',
      subject,
      groups: [],
      roles: [],
      authenticatedBy: 'oidc',
      actors: [],
    });
    const step = fc.record({
      token: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
      route: fc.constantFrom('/mcp', '/mcp/x'),
      act: fc.constantFrom('add', 'find', 'find', 'clear', 'addOld'),
      life: fc.integer({ min: -50, max: 200 }),
      pass: fc.integer({ min: -20, max: 60 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const verified = new VerifiedTokens(4, 100);
        const model = new Map<string, { until: number; since: number; subject: string }>();
        let now = 1000;
        let old = verified.generation;
        for (const { token, route, act, life, pass } of steps) {
          const key = verified.key(token, route);
          if (act === 'clear') {
            old = verified.generation;
            verified.clear();
            model.clear();
          } else if (act === 'add' || act === 'addOld') {
            const generation = act === 'add' ? verified.generation : old;
            verified.add(key, principal(token + route), now + life, now, generation);
            if (generation === verified.generation && life > 0) {
              model.set(key, { since: now, until: now + Math.min(life, 100), subject: token + route });
            }
          } else {
            const found = verified.find(key, now);
            const known = model.get(key);
            if (found !== undefined) {
              if (known === undefined || now >= known.until || now < known.since || found.subject !== known.subject)
                return false;
            }
          }
          now += pass;
        }
        return true;
      }),
    );
    const verified = new VerifiedTokens(4, 100);
    for (let n = 0; n < 10; n += 1)
      verified.add(verified.key(`${n}`, '/mcp'), principal(`${n}`), NOW + 50, NOW, verified.generation);
    const kept = Array.from({ length: 10 }, (_, n) => verified.find(verified.key(`${n}`, '/mcp'), NOW)?.subject);
    t.strictSame(
      kept.filter((subject) => subject !== undefined),
      ['6', '7', '8', '9'],
      'the newest four',
    );
  },
);

t.test('every reason a token can be refused for is in the documentation [identity-reasons-documented]', async (t) => {
  const folder = new URL('../../proxy/identity/', import.meta.url);
  const source = readdirSync(folder)
    .map((name) => readFileSync(new URL(name, folder), 'utf8'))
    .join('\n');
  const docs = readFileSync(new URL('../../docs/identity.md', import.meta.url), 'utf8');
  const calls = source.match(/refuse\([^;]*?\);/gs) ?? [];
  const reasons = [...calls, ...(source.match(/return (error\.reason === )?'[^;]*;/g) ?? [])]
    .flatMap((text) => [...text.matchAll(/'([a-z][a-zA-Z ()]{5,})'/g)])
    .map(([, reason]) => reason!)
    .filter((reason) => reason !== 'check_failed');
  t.ok(reasons.length > 20, 'reasons were found');
  for (const reason of new Set(reasons)) t.ok(docs.includes(`\`${reason}\``), reason);
});
