import type { Principal, Role } from '../../policies/types.ts';
import { GatewayError } from '../errors.ts';
import type { Credentials } from '../types.ts';
import { bearerOf } from './bearer.ts';
import { refuse } from './claims.ts';
import type { Oidc } from './oidc.ts';
import { TOKEN_PREFIX, type GatewayTokens } from './tokens.ts';

/** The issuer of callers without a token, where they are let in. */
export const ANONYMOUS_ISSUER = 'portcullis:anonymous';

export interface AuthenticateParts {
  readonly oidc?: Oidc;
  readonly tokens?: GatewayTokens;
  readonly anonymous: { readonly enabled: boolean; readonly groups: readonly string[] };
  readonly adminGroups: readonly string[];
  readonly auditorGroups: readonly string[];
}

/** Proves who is calling, or throws (or rejects with) a GatewayError that holds no part of what was sent. */
export type Authenticate = (credentials: Credentials, route: string, now: number) => Principal | Promise<Principal>;

/**
 * The pipeline's first step. It needs headers only and answers without a promise unless a token must be verified anew.
 * Call it again with the credentials of a long stream to learn whether they still hold.
 */
export function createAuthenticate(parts: AuthenticateParts): Authenticate {
  const { oidc, tokens } = parts;
  const grant = roleGranter(parts);
  const anonymous = parts.anonymous.enabled ? anonymousPrincipal(parts) : undefined;
  return (credentials, route, now) => {
    if (credentials.type === 'proven') return credentials.principal;
    const token = bearerOf(credentials);
    if (token === undefined) {
      if (anonymous === undefined) throw new GatewayError('token_missing');
      return anonymous;
    }
    if (token.startsWith(TOKEN_PREFIX)) {
      if (tokens === undefined) refuse('gateway tokens are not accepted here');
      return grant(tokens.find(token, now));
    }
    if (oidc === undefined) refuse('only gateway tokens are accepted here');
    const found = oidc.verify(token, route, now);
    return found instanceof Promise ? found.then(grant) : grant(found);
  };
}

/** Adds the roles that follow from groups; a principal that is remembered elsewhere is granted them once. */
function roleGranter({ adminGroups, auditorGroups }: AuthenticateParts): (principal: Principal) => Principal {
  const admins = new Set(adminGroups);
  const auditors = new Set(auditorGroups);
  const granted = new WeakMap<Principal, Principal>();
  return (principal) => {
    const known = granted.get(principal);
    if (known !== undefined) return known;
    const roles: Role[] = [];
    if (principal.groups.some((group) => admins.has(group))) roles.push('admin');
    if (principal.groups.some((group) => auditors.has(group))) roles.push('auditor');
    const whole = Object.freeze({ ...principal, roles: Object.freeze(roles) });
    granted.set(principal, whole);
    return whole;
  };
}

/** Never an admin or auditor, not even by a group that rules would take for one. */
function anonymousPrincipal({ anonymous, adminGroups, auditorGroups }: AuthenticateParts): Principal {
  const withRole = new Set([...adminGroups, ...auditorGroups]);
  return Object.freeze({
    issuer: ANONYMOUS_ISSUER,
    subject: 'anonymous',
    groups: Object.freeze([...new Set(anonymous.groups)].filter((group) => !withRole.has(group))),
    roles: Object.freeze([]),
    authenticatedBy: 'anonymous' as const,
    actors: Object.freeze([]),
  });
}
