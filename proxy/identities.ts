import type { Recorder } from '../recorder/types.ts';
import type { Config } from './config.ts';
import { createAuthenticate, type Authenticate } from './identity/authenticate.ts';
import { createIdentityHttp } from './identity/fetch.ts';
import { createOidc, type Oidc } from './identity/oidc.ts';
import { createGatewayTokens } from './identity/tokens.ts';
import type { Log } from './log.ts';

export interface Identities {
  readonly authenticate: Authenticate;
  /** What keeps callers from being recognised, in a sentence. */
  trouble(): string | undefined;
  close(): Promise<void>;
}

/** Whoever the configuration lets prove who he is: OIDC, gateway tokens, or nobody in particular. */
export async function createIdentities(
  config: Config,
  recorder: Recorder,
  publicUrl: string,
  log: Log,
): Promise<Identities> {
  const { auth } = config;
  const tokens = auth.tokens.enabled ? await createGatewayTokens(recorder.tokens) : undefined;
  const oidc = auth.oidc === undefined ? undefined : await openOidc(auth.oidc, publicUrl, log);
  return {
    authenticate: createAuthenticate({
      ...(oidc === undefined ? {} : { oidc }),
      ...(tokens === undefined ? {} : { tokens }),
      anonymous: auth.anonymous,
      adminGroups: auth.adminGroups,
      auditorGroups: auth.auditorGroups,
    }),
    trouble: () => oidc?.ready(),
    async close() {
      tokens?.close();
      await oidc?.close();
    },
  };
}

function openOidc(oidc: NonNullable<Config['auth']['oidc']>, publicUrl: string, log: Log): Promise<Oidc> {
  return createOidc(
    {
      issuer: oidc.issuer,
      publicUrl,
      audience: oidc.audience,
      groupsClaim: oidc.groupsClaim,
      requiredScopes: oidc.requiredScopes,
      clockToleranceMs: oidc.clockToleranceMs,
      tokenTypes: oidc.tokenTypes,
      refreshMs: oidc.jwksRefreshMs,
      onRefresh(trouble, cause) {
        if (trouble === undefined) log.info({ issuer: oidc.issuer }, 'the keys of the identity provider were read');
        else log.warn({ issuer: oidc.issuer, err: cause }, trouble);
      },
      ...(oidc.clientId === undefined ? {} : { clientId: oidc.clientId }),
    },
    createIdentityHttp({ issuer: oidc.issuer }),
  );
}
