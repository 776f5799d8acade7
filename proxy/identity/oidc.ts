import {
  decodeJwt,
  decodeProtectedHeader,
  errors,
  jwtVerify,
  type JWTPayload,
  type LocalJWKSet,
  type ProtectedHeaderParameters,
} from 'jose';
import type { Principal } from '../../policies/types.ts';
import { GatewayError } from '../errors.ts';
import { isLoopbackHost } from './addresses.ts';
import { normalizeType, principalOf, refuse, requireAccessToken, requireAudience, requireScopes } from './claims.ts';
import type { IdentityHttp } from './fetch.ts';
import { IssuerKeys } from './keys.ts';
import { VerifiedTokens } from './verified.ts';

export interface OidcOptions {
  /** Exactly as it stands in `iss`; https unless loopback. */
  readonly issuer: string;
  /** The gateway's own URL; a route's public URL is this and the route. */
  readonly publicUrl: string;
  /** Values of `aud` that a route (`/mcp`, `/mcp/name`, `/api/mcp`) accepts besides its own public URL. */
  readonly audience?: Readonly<Record<string, readonly string[]>>;
  /** Accepted in `aud`, `azp` or `client_id` on every route, for providers that cannot name a resource as audience. */
  readonly clientId?: string;
  /** A claim name, or a dotted path. */
  readonly groupsClaim?: string;
  readonly requiredScopes?: readonly string[];
  readonly clockToleranceMs?: number;
  /** Asymmetric only; anything else is refused at start. */
  readonly algorithms?: readonly string[];
  /** Values of the `typ` header. `JWT` also stands for none, and then the claims must show that it is no ID token. */
  readonly tokenTypes?: readonly string[];
  readonly refreshMs?: number;
  readonly retryMs?: number;
  readonly cooldownMs?: number;
  readonly maxKeysAgeMs?: number;
  /** For the age of the keys; a token is judged by the `now` of its call. */
  readonly clock?: () => number;
  readonly onRefresh?: (trouble: string | undefined, cause?: unknown) => void;
}

/** Access tokens of one OpenID Connect provider. */
export interface Oidc {
  /**
   * Who the token proves on this route, without roles. Throws or rejects with a GatewayError. A token seen a moment
   * ago is answered without a promise.
   */
  verify(token: string, route: string, now: number): Principal | Promise<Principal>;
  /** What keeps tokens from being verified now, in a sentence; undefined when nothing does. */
  ready(): string | undefined;
  close(): Promise<void>;
}

const ASYMMETRIC = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
const TOKEN_TYPES = ['at+jwt', 'application/at+jwt', 'JWT'];
const REMEMBERED = 5000;
const REMEMBERED_MS = 60_000;
// Tokens without a key id may fit several keys; more are not tried, each costs a signature check.
const MOST_CANDIDATES = 5;

/**
 * Resolves after the first attempt to fetch the keys, whether it succeeded or not: while the provider is away every token
 * is refused with identity_unavailable, `ready` says so, and attempts go on in the background. Closes `http` with itself.
 */
export async function createOidc(options: OidcOptions, http: IdentityHttp): Promise<Oidc> {
  const { issuer, clientId } = options;
  requireIssuer(issuer);
  const algorithms = [...(options.algorithms ?? ASYMMETRIC)];
  if (algorithms.length === 0 || !algorithms.every((algorithm) => ASYMMETRIC.includes(algorithm))) {
    throw new TypeError('only asymmetric signature algorithms can be allowed');
  }
  const tokenTypes = new Set((options.tokenTypes ?? TOKEN_TYPES).map((type) => normalizeType(type)!));
  const groupsClaim = options.groupsClaim ?? 'groups';
  const requiredScopes = options.requiredScopes ?? [];
  const clockTolerance = (options.clockToleranceMs ?? 30_000) / 1000;
  const audienceOf = audiences(options);
  const verified = new VerifiedTokens(REMEMBERED, REMEMBERED_MS);
  const keys = new IssuerKeys(
    {
      issuer,
      refreshMs: options.refreshMs ?? 600_000,
      retryMs: options.retryMs ?? 1000,
      cooldownMs: options.cooldownMs ?? 30_000,
      maxAgeMs: options.maxKeysAgeMs ?? 86_400_000,
      clock: options.clock ?? Date.now,
      onChange: () => verified.clear(),
      onRefresh: options.onRefresh ?? (() => undefined),
    },
    http,
  );
  await keys.refresh();

  async function verifySignature(token: string, now: number): Promise<JWTPayload> {
    const rules = {
      algorithms,
      issuer,
      requiredClaims: ['iss', 'sub', 'exp'],
      clockTolerance,
      currentDate: new Date(now),
    };
    try {
      return await verifyWith(usable(keys), token, rules);
    } catch (error) {
      if (!mayBeRotation(error, token) || !(await keys.refreshForUnknownKey(now))) throw error;
      return verifyWith(usable(keys), token, rules);
    }
  }

  async function verifyAnew(token: string, route: string, now: number, key: string): Promise<Principal> {
    const { generation } = verified;
    const header = inspect(token, algorithms, issuer);
    let claims: JWTPayload;
    try {
      claims = await verifySignature(token, now);
    } catch (error) {
      throw asRefusal(error);
    }
    requireAccessToken(header.typ, claims, tokenTypes);
    // Sender-constrained (RFC 9449, RFC 8705): whoever holds it must also prove a key, which a bearer does not.
    if (claims['cnf'] !== undefined) refuse('the token is bound to a key and cannot be used as a bearer token');
    requireAudience(claims, audienceOf(route), clientId);
    requireScopes(claims, requiredScopes);
    const principal = principalOf(claims, issuer, groupsClaim);
    verified.add(key, principal, claims.exp! * 1000, now, generation);
    return principal;
  }

  return {
    verify(token, route, now) {
      // Keys too old to be believed end what they proved, too.
      const trouble = keys.trouble();
      if (trouble !== undefined) throw new GatewayError('identity_unavailable', trouble);
      const key = verified.key(token, route);
      return verified.find(key, now) ?? verifyAnew(token, route, now, key);
    },
    ready: () => keys.trouble(),
    async close() {
      keys.close();
      verified.clear();
      await http.close();
    },
  };
}

function requireIssuer(issuer: string): void {
  const url = new URL(issuer);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopbackHost(url.hostname))) {
    throw new TypeError('the issuer must be an https URL (http only on loopback)');
  }
  if (url.search !== '' || url.hash !== '') throw new TypeError('the issuer must have no query and no fragment');
}

function audiences({ publicUrl, audience }: OidcOptions): (route: string) => ReadonlySet<string> {
  const base = publicUrl.replace(/\/+$/, '');
  const listed = new Map(
    Object.entries(audience ?? {}).map(([route, values]) => [route, new Set([base + route, ...values])] as const),
  );
  return (route) => listed.get(route) ?? new Set([base + route]);
}

function usable(keys: IssuerKeys): LocalJWKSet {
  const set = keys.current();
  if (set === undefined) throw new GatewayError('identity_unavailable', keys.trouble() ?? '');
  return set;
}

/** What can be refused without a key: cheaper than a signature, and no reason to ask the provider for new keys. */
function inspect(token: string, algorithms: readonly string[], issuer: string): ProtectedHeaderParameters {
  let header: ProtectedHeaderParameters;
  let claims: JWTPayload;
  if (token.split('.', 4).length !== 3) refuse('not a signed JWT');
  try {
    header = decodeProtectedHeader(token);
    claims = decodeJwt(token);
  } catch {
    refuse('not a signed JWT');
  }
  if (header.alg === undefined || !algorithms.includes(header.alg)) refuse('the algorithm is not allowed');
  if (claims.iss !== issuer) refuse('wrong issuer');
  return header;
}

async function verifyWith(
  set: LocalJWKSet,
  token: string,
  rules: Parameters<typeof jwtVerify>[2],
): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, set, rules)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    let tried = 0;
    let last: unknown = error;
    for await (const key of error) {
      if ((tried += 1) > MOST_CANDIDATES) break;
      try {
        return (await jwtVerify(token, key, rules)).payload;
      } catch (failure) {
        last = failure;
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) break;
      }
    }
    throw last;
  }
}

/** The key is not in the set, or the token names none and none of ours fits: the provider may have new keys. */
function mayBeRotation(error: unknown, token: string): boolean {
  if (error instanceof errors.JWKSNoMatchingKey) return true;
  return error instanceof errors.JWSSignatureVerificationFailed && decodeProtectedHeader(token).kid === undefined;
}

/** jose's errors carry the claims, so they are not kept as cause: only their code is. */
function asRefusal(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  const code = error instanceof errors.JOSEError ? error.code : 'unexpected';
  return new GatewayError('token_invalid', reasonOf(error), { cause: code });
}

function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'expired';
  if (error instanceof errors.JWKSNoMatchingKey) return 'unknown signing key';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'the signature does not verify';
  if (error instanceof errors.JOSEAlgNotAllowed) return 'the algorithm is not allowed';
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'iss') return 'wrong issuer';
    if (error.claim === 'nbf') return error.reason === 'check_failed' ? 'not valid yet' : 'the nbf claim is unusable';
    if (error.claim === 'exp' || error.claim === 'sub' || error.claim === 'iat')
      return `the ${error.claim} claim is missing or unusable`;
  }
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) return 'not a signed JWT';
  return 'it cannot be verified';
}
