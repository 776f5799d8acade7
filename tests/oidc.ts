import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, exportPKCS8, generateKeyPair, importPKCS8, SignJWT, type JWK, type JWTPayload } from 'jose';
import Provider from 'oidc-provider';

export interface TokenAsked {
  readonly audience: string;
  readonly subject?: string;
  readonly scope?: string;
  readonly groups?: readonly string[] | string;
  /** Seconds from now; negative: already expired. */
  readonly expiresIn?: number;
  /** Further claims, which may also replace groups. */
  readonly claims?: Readonly<Record<string, unknown>>;
}

/** A real oidc-provider on a free port of loopback, whose tokens a test asks for directly. */
export interface Idp {
  readonly issuer: string;
  /** The public key of today, as the provider publishes it. */
  readonly publicJwk: () => JWK;
  /** Issued by the provider itself: typ at+jwt, RS256, extra claims through extraTokenClaims. */
  token(asked: TokenAsked): Promise<string>;
  /** The same over HTTP with the client credentials grant; the subject is the client. */
  clientCredentials(asked: { readonly audience: string; readonly scope?: string }): Promise<string>;
  /** An ID token of the provider for its client `gateway`. */
  idToken(asked?: { readonly subject?: string; readonly nonce?: string }): Promise<string>;
  /** Any claims and header at all, signed with the provider's own key: what the provider would never issue. */
  sign(claims: JWTPayload, header?: Readonly<Record<string, unknown>>): Promise<string>;
  /** Replaces the signing key under the same issuer; tokens of before were signed with the old one. */
  rotate(): Promise<void>;
  /** While true every request is answered 503. */
  down(away: boolean): void;
  /** How often a path was asked for. */
  hits(path: string): number;
  close(): Promise<void>;
}

export const CLIENT_ID = 'gateway';
const CLIENT_SECRET = 'not-a-secret-of-anyone';

type ExtraClaims = WeakMap<object, Readonly<Record<string, unknown>>>;

interface Generation {
  readonly provider: Provider;
  readonly privateKey: string;
  readonly jwk: JWK;
}

/** Starts the provider; with a tap test it is closed at the test's end. */
export async function startIdp(t?: { teardown(close: () => unknown): unknown }): Promise<Idp> {
  const extra: ExtraClaims = new WeakMap();
  const hits = new Map<string, number>();
  let away = false;
  let handler: RequestListener = (_request, response) => void response.writeHead(503).end();
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://127.0.0.1').pathname;
    hits.set(path, (hits.get(path) ?? 0) + 1);
    if (away) response.writeHead(503).end();
    else handler(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let current = await generation(issuer, extra);
  handler = current.provider.callback();

  async function token(asked: TokenAsked): Promise<string> {
    const { provider } = current;
    const now = Math.floor(Date.now() / 1000);
    const expiresIn = asked.expiresIn ?? 600;
    const accessToken = new provider.AccessToken({
      client: await provider.Client.find(CLIENT_ID),
      accountId: asked.subject ?? 'alice',
      scope: asked.scope ?? 'mcp',
      iat: Math.min(now, now + expiresIn - 60),
      exp: now + expiresIn,
    });
    const { audience } = asked;
    Object.assign(accessToken, { resourceServer: new provider.ResourceServer(audience, resourceServer(audience)) });
    extra.set(accessToken, { ...(asked.groups === undefined ? {} : { groups: asked.groups }), ...asked.claims });
    return accessToken.save();
  }

  const idp: Idp = {
    issuer,
    publicJwk: () => current.jwk,
    token,
    async clientCredentials({ audience, scope }) {
      const answer = await fetch(`${issuer}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa(`${CLIENT_ID}:${CLIENT_SECRET}`)}` },
        body: new URLSearchParams({ grant_type: 'client_credentials', resource: audience, scope: scope ?? 'mcp' }),
      });
      const body = (await answer.json()) as { access_token?: string };
      if (body.access_token === undefined) throw new Error(`no token: ${JSON.stringify(body)}`);
      return body.access_token;
    },
    async idToken(asked = {}) {
      const { provider } = current;
      const client = await provider.Client.find(CLIENT_ID);
      const idToken = new provider.IdToken({ sub: asked.subject ?? 'alice' }, { client: client! });
      idToken.scope = 'openid';
      if (asked.nonce !== undefined) idToken.set('nonce', asked.nonce);
      return idToken.issue({ use: 'idtoken' });
    },
    async sign(claims, header = {}) {
      const key = await importPKCS8(current.privateKey, 'RS256');
      const critical = Array.isArray(header['crit']) ? header['crit'].map((name) => [String(name), true] as const) : [];
      return new SignJWT(claims)
        .setProtectedHeader({ alg: 'RS256', typ: 'at+jwt', kid: current.jwk.kid!, ...header })
        .sign(key, { crit: Object.fromEntries(critical) });
    },
    async rotate() {
      current = await generation(issuer, extra);
      handler = current.provider.callback();
    },
    down(now) {
      away = now;
    },
    hits: (path) => hits.get(path) ?? 0,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  t?.teardown(() => idp.close());
  return idp;
}

async function generation(issuer: string, extra: ExtraClaims): Promise<Generation> {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  const kid = crypto.randomUUID();
  const jwk = { ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' };
  const provider = new Provider(issuer, {
    jwks: { keys: [{ ...(await exportJWK(privateKey)), kid, alg: 'RS256', use: 'sig' }] },
    cookies: { keys: ['not-a-secret-of-anyone'] },
    clients: [
      {
        client_id: CLIENT_ID,
        client_secret: CLIENT_SECRET,
        redirect_uris: ['http://127.0.0.1:1/callback'],
        grant_types: ['authorization_code', 'client_credentials'],
        response_types: ['code'],
      },
    ],
    scopes: ['openid', 'mcp', 'mcp:write'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context: unknown, resource: string) => resourceServer(resource),
      },
    },
    extraTokenClaims: (_context: unknown, token: object) => extra.get(token),
    adapter: ForgetfulAdapter,
    ttl: { AccessToken: 600, ClientCredentials: 600, IdToken: 600 },
  });
  return { provider, privateKey: await exportPKCS8(privateKey), jwk };
}

/** Signed tokens are all a test needs, so nothing is kept. */
class ForgetfulAdapter {
  async upsert(): Promise<void> {}
  async find(): Promise<undefined> {}
  async findByUid(): Promise<undefined> {}
  async findByUserCode(): Promise<undefined> {}
  async consume(): Promise<void> {}
  async destroy(): Promise<void> {}
  async revokeByGrantId(): Promise<void> {}
}

function resourceServer(audience: string): Record<string, unknown> {
  return {
    audience,
    scope: 'mcp mcp:write',
    accessTokenFormat: 'jwt',
    accessTokenTTL: 600,
    jwt: { sign: { alg: 'RS256' } },
  };
}
