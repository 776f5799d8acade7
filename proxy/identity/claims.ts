import type { Principal } from '../../policies/types.ts';
import { GatewayError } from '../errors.ts';

export type Claims = Readonly<Record<string, unknown>>;

const MOST_GROUPS = 1000;
const LONGEST_GROUP = 256;
const LONGEST_NAME = 1024;
const DEEPEST_ACTOR = 8;
const MOST_SCOPES = 1000;

// Claims that only access tokens have: RFC 9068, Okta (cid, scp), Entra ID (scp, appid, azpacr, appidacr), Auth0 (gty).
const ACCESS_TOKEN_MARKS = ['client_id', 'scope', 'scp', 'cid', 'appid', 'azpacr', 'appidacr', 'gty'];
// OpenID Connect Core 1.0 sections 2 and 3.3.2.11, and claims of its hybrid flow.
const ID_TOKEN_MARKS = ['nonce', 'at_hash', 'c_hash', 's_hash'];

/** Refuses the token with a reason that may be told to its bearer. Reasons are fixed texts: they never quote the token. */
export function refuse(reason: string, cause?: string): never {
  throw new GatewayError('token_invalid', reason, cause === undefined ? {} : { cause });
}

/**
 * Refuses whatever is not an access token (RFC 9068 section 4, RFC 8725 section 3.11). A token whose type says so is
 * one; `JWT` or no type, where `tokenTypes` lists `JWT`, needs a claim that ID tokens never have and none of theirs.
 */
export function requireAccessToken(typ: unknown, claims: Claims, tokenTypes: ReadonlySet<string>): void {
  const type = typ === undefined ? 'jwt' : normalizeType(typ);
  if (type === undefined || !tokenTypes.has(type)) refuse('not an access token');
  if (claims['token_use'] === 'id' || claims['typ'] === 'ID') refuse('not an access token');
  if (type !== 'jwt') return;
  const kind = claims['token_use'] ?? claims['typ'];
  if (kind !== undefined && kind !== 'access' && kind !== 'Bearer') refuse('not an access token');
  if (ID_TOKEN_MARKS.some((mark) => Object.hasOwn(claims, mark))) refuse('not an access token');
  if (!ACCESS_TOKEN_MARKS.some((mark) => Object.hasOwn(claims, mark))) refuse('not an access token');
}

/** Media types are compared without case, and `application/` may be left out (RFC 7515 section 4.1.9). */
export function normalizeType(typ: unknown): string | undefined {
  return typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : undefined;
}

/** RFC 9068 section 4: the token must name this route, or the configured client where a provider cannot name routes. */
export function requireAudience(claims: Claims, accepted: ReadonlySet<string>, clientId: string | undefined): void {
  const aud = claims['aud'];
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (audiences.some((audience) => typeof audience === 'string' && accepted.has(audience))) return;
  if (clientId !== undefined && [...audiences, claims['azp'], claims['client_id']].includes(clientId)) return;
  refuse('wrong audience');
}

/** RFC 6749 section 3.3: all required scopes, or a refusal that names all of them so that one step-up is enough. */
export function requireScopes(claims: Claims, required: readonly string[]): void {
  if (required.length === 0) return;
  const granted = scopesOf(claims);
  if (required.every((scope) => granted.includes(scope))) return;
  throw new GatewayError('scope_insufficient', required.join(' '), { data: { scopes: required } });
}

/** RFC 9068 section 2.2.3, and `scp` as Okta and Entra ID write it. More than so many are not read: rules only ask for what is there. */
function scopesOf(claims: Claims): readonly string[] {
  const found = [...words(claims['scope']), ...words(claims['scp'])].filter(isName);
  return Object.freeze([...new Set(found)].slice(0, MOST_SCOPES));
}

function words(value: unknown): readonly unknown[] {
  if (typeof value === 'string') return value.split(' ');
  return Array.isArray(value) ? value : [];
}

/** Who the claims describe; roles are granted elsewhere. Refuses claims that cannot be understood whole. */
export function principalOf(claims: Claims, issuer: string, groupsClaim: string): Principal {
  const { sub } = claims;
  if (!isName(sub)) refuse('the sub claim is missing or unusable');
  const email = emailOf(claims);
  const name = claims['name'] ?? claims['preferred_username'];
  const clientId = claims['client_id'] ?? claims['azp'] ?? claims['cid'] ?? claims['appid'];
  return Object.freeze({
    issuer,
    subject: sub,
    ...(isName(email) ? { email } : {}),
    ...(isName(name) ? { name } : {}),
    groups: groupsOf(claims, groupsClaim),
    roles: Object.freeze([]),
    authenticatedBy: 'oidc' as const,
    actors: actorsOf(claims),
    ...(isName(clientId) ? { clientId } : {}),
    scopes: scopesOf(claims),
  });
}

/** An address the provider says it did not verify is nobody's: rules may be written against it. */
function emailOf(claims: Claims): unknown {
  const verified = claims['email_verified'];
  return verified === undefined || verified === true || verified === 'true' ? claims['email'] : undefined;
}

function isName(value: unknown): value is string {
  // Control characters have no place in what people and terminals are shown.
  return typeof value === 'string' && value !== '' && value.length <= LONGEST_NAME && !/\p{Cc}/u.test(value);
}

function groupsOf(claims: Claims, path: string): readonly string[] {
  const found = claimAt(claims, path);
  if (found === undefined || found === null) {
    // Too many groups for the token: the provider left them out, and rules that narrow a group would not reach its members.
    if (isOverflowing(claims, path)) refuse('the groups are not in the token (overage)');
    return Object.freeze([]);
  }
  const list: readonly unknown[] =
    typeof found === 'string' ? [found] : Array.isArray(found) ? found : refuse('the groups claim is malformed');
  if (list.length > MOST_GROUPS) refuse('too many groups');
  const groups = new Set<string>();
  for (const group of list) {
    if (typeof group !== 'string') refuse('the groups claim is malformed');
    if (group.length > LONGEST_GROUP) refuse('a group name is too long');
    if (/\p{Cc}/u.test(group)) refuse('the groups claim is malformed');
    if (group !== '') groups.add(group);
  }
  return Object.freeze([...groups]);
}

/** Distributed claims of OpenID Connect Core 1.0 section 5.6.2, as Entra ID uses them for members of many groups. */
function isOverflowing(claims: Claims, path: string): boolean {
  const elsewhere = claims['_claim_names'];
  return (isObject(elsewhere) && Object.hasOwn(elsewhere, path)) || (path === 'groups' && claims['hasgroups'] === true);
}

/** The claim of exactly this name, otherwise the value at the dotted path; names on the path may hold dots themselves. */
export function claimAt(value: Claims, path: string): unknown {
  if (Object.hasOwn(value, path)) return value[path];
  for (let dot = path.indexOf('.'); dot !== -1; dot = path.indexOf('.', dot + 1)) {
    const head = path.slice(0, dot);
    const inner = Object.hasOwn(value, head) ? value[head] : undefined;
    const found = isObject(inner) ? claimAt(inner, path.slice(dot + 1)) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/** RFC 8693 section 4.1: the current actor first, then those before it. */
function actorsOf(claims: Claims): readonly string[] {
  const actors: string[] = [];
  for (let act = claims['act']; act !== undefined; act = act['act']) {
    if (!isObject(act) || !isName(act['sub'])) refuse('the act claim is malformed');
    if (actors.length === DEEPEST_ACTOR) refuse('too many actors');
    actors.push(act['sub']);
  }
  return Object.freeze(actors);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
