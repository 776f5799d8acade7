import { X509Certificate } from 'node:crypto';
import { isLoopback } from './formats.ts';
import { showPath, type Mistake, type Path } from './problems.ts';
import { checkRoutes } from './routes.ts';
import type { Settings } from './settings.ts';

/** What no single row can see: mistakes between keys, and settings that are allowed but risky. */
export interface Consistency {
  readonly mistakes: readonly Mistake[];
  /** One sentence each, beginning with the key. */
  readonly warnings: readonly string[];
}

interface Context {
  /** False for parts that do not fit their rows: they are left alone here. */
  readonly sound: (path: Path) => boolean;
  readonly written: (path: Path) => boolean;
  /** Did the text at this path take something from the environment? */
  readonly taken: (path: Path) => boolean;
  readonly wrong: (path: Path, message: string) => void;
  readonly risky: (path: Path, message: string) => void;
}

type Connection = Settings['connections'][number];

export function checkConsistency(settings: Settings, about: Pick<Context, 'sound' | 'written' | 'taken'>): Consistency {
  const mistakes: Mistake[] = [];
  const warnings: string[] = [];
  const context: Context = {
    ...about,
    wrong: (path, message) => mistakes.push({ path, message }),
    risky: (path, message) => warnings.push(`${showPath(path)}: ${message}`),
  };
  if (context.sound(['server'])) checkServer(settings.server, context);
  if (context.sound(['auth'])) checkAuth(settings.auth, context);
  if (context.sound(['server', 'listen']) && context.sound(['auth', 'anonymous'])) checkAnonymous(settings, context);
  if (context.sound(['recorder']) && context.sound(['keys']) && settings.recorder.path === settings.keys.master.file) {
    context.wrong(['keys', 'master', 'file'], 'is the file of the database, expected a file of its own');
  }
  if (context.sound(['connections'])) checkDefault(settings.connections, context);
  if (context.sound(['connections']) && context.sound(['auth', 'oidc'])) checkAudience(settings, context);
  if (Array.isArray(settings.connections)) checkConnections(settings.connections, context);
  return { mistakes, warnings };
}

function checkServer(server: Settings['server'], { written, risky }: Context): void {
  if (!isLoopback(server.listen.host)) {
    if (!written(['server', 'public_url'])) {
      risky(['server', 'public_url'], 'is not set, so review links and token audiences name this machine only');
    } else if (server.publicUrl?.startsWith('http:') === true && !isLoopback(new URL(server.publicUrl).hostname)) {
      risky(['server', 'public_url'], 'is plain http, so tokens travel unencrypted');
    }
  }
  for (const [index, network] of server.trustedProxies.entries()) {
    if (network.endsWith('/0'))
      risky(['server', 'trusted_proxies', index], 'lets every caller name the address it comes from');
  }
}

function checkAuth(auth: Settings['auth'], { wrong }: Context): void {
  if (auth.oidc === undefined && !auth.tokens.enabled && !auth.anonymous.enabled) {
    wrong(['auth'], 'nobody could call, expected auth.oidc, auth.tokens or auth.anonymous to be on');
  }
  for (const [index, group] of auth.anonymous.groups.entries()) {
    if (auth.adminGroups.includes(group) || auth.auditorGroups.includes(group)) {
      wrong(['auth', 'anonymous', 'groups', index], 'is an admin or auditor group, expected a group without a role');
    }
  }
}

function checkAnonymous({ server, auth }: Settings, { wrong, risky }: Context): void {
  if (!auth.anonymous.enabled) return;
  const path = ['auth', 'anonymous', 'enabled'];
  if (!isLoopback(server.listen.host)) wrong(path, 'is true although server.listen is not loopback, expected false');
  else risky(path, 'every process of this machine may call without a token');
}

function checkAudience({ auth, connections }: Settings, { wrong }: Context): void {
  for (const route of Object.keys(auth.oidc?.audience ?? {})) {
    const name = /^\/mcp\/(.+)$/.exec(route)?.[1];
    if (name !== undefined && !connections.some((each) => each.name === name)) {
      wrong(['auth', 'oidc', 'audience', route], 'names no connection, expected /mcp/ and the name of one');
    }
  }
}

function checkDefault(connections: readonly Connection[], { wrong }: Context): void {
  if (connections.length > 1 && !connections.some((each) => each.name === 'default')) {
    wrong(['connections'], 'none is named default, expected one that /mcp stands for when there are several');
  }
}

function checkConnections(connections: readonly (Connection | undefined)[], context: Context): void {
  checkRoutes(connections, context);
  const seen = new Set<string>();
  for (const [index, connection] of connections.entries()) {
    const path = ['connections', index];
    if (connection === undefined) continue;
    if (context.sound([...path, 'name'])) {
      if (connection.name === 'gateway')
        context.wrong([...path, 'name'], "is the gateway's own name, expected another");
      if (seen.has(connection.name))
        context.wrong([...path, 'name'], 'is taken by a connection above, expected a name of its own');
      seen.add(connection.name);
    }
    if (context.sound([...path, 'upstream'])) checkUpstream(connection.upstream, [...path, 'upstream'], context);
    if (context.sound([...path, 'credential']) && context.sound([...path, 'upstream'])) {
      checkCredential(connection, [...path, 'credential'], context);
    }
  }
}

function checkUpstream(upstream: Connection['upstream'], path: Path, { wrong, risky }: Context): void {
  if (!('url' in upstream)) return;
  const url = new URL(upstream.url);
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    risky([...path, 'url'], 'is plain http to another machine, so calls and the credential travel unencrypted');
  }
  if (upstream.ca === undefined) return;
  if (url.protocol === 'http:') wrong([...path, 'ca'], 'has no use with an http url, expected an https url');
  if (!isCertificate(upstream.ca)) wrong([...path, 'ca', 'file'], 'holds no certificate, expected PEM');
}

// Fields that frame the message or that the gateway sets from what it judged.
const RESERVED =
  /^(host|connection|keep-alive|transfer-encoding|te|trailer|upgrade|expect|content-.*|accept|accept-encoding|mcp-.*|last-event-id)$/i;

function checkCredential({ credential, upstream }: Connection, path: Path, { wrong, risky, taken }: Context): void {
  if (credential.type === 'none') return;
  if (!('url' in upstream)) wrong(path, 'a command has no headers, expected its secrets in upstream.env');
  if (RESERVED.test(credential.header))
    wrong([...path, 'header'], 'is a header the gateway sets itself, expected another');
  if (!/^[\t\u0020-\u007e\u0080-\u00ff]+$/.test(credential.value.reveal())) {
    wrong([...path, 'value'], 'cannot stand in a header, expected one line of plain characters');
  }
  if (credential.value.source === 'text' && !taken([...path, 'value'])) {
    risky([...path, 'value'], 'the secret itself stands in the file; ${ENV} or { file: path } keeps it out');
  }
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== null;
  } catch {
    return false;
  }
}
