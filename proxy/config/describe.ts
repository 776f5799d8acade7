import type { Config } from '../config.ts';
import { showListen } from './formats.ts';
import { printable } from './printable.ts';
import { showByteSize, showTimeSpan } from '../../policies/units.ts';

/** The configuration in force in about ten lines for people; secrets are `***`. */
export function describeConfig(config: Config): string {
  const { server, auth, recorder, hold, rules, log } = config;
  const lines: [string, string][] = [
    ['file', config.file],
    [
      'listen',
      `${showListen(server.listen)}, public ${server.publicUrl}, messages up to ${showByteSize(server.messageSizeBytes)}`,
    ],
    ['identity', identity(config)],
    ['roles', `admin: ${list(auth.adminGroups)}; auditor: ${list(auth.auditorGroups)}`],
    ...config.connections.map((connection): [string, string] => ['connection', describeConnection(connection)]),
    [
      'rules',
      `${rules.guardrails.length} guardrails, ${rules.datamasking_rules.length} masking, ` +
        `${rules.access_request_rules.length} approval, ${rules.access_control.length} access control`,
    ],
    [
      'hold',
      `${showTimeSpan(hold.inlineTimeoutMs)} open, reviews expire after ${showTimeSpan(hold.reviewExpiryMs)}, ` +
        `at most ${hold.maxPendingPerPrincipal} for a caller`,
    ],
    ['recorder', `${recorder.path}, ${recorder.store}, durability ${recorder.durability}`],
    ['keys', `${config.keys.master.file}, ${config.keys.previous.length} previous`],
    ['log', `${log.level}, ${log.format}`],
  ];
  return lines.map(([name, text]) => `${name.padEnd(11)}${printable(text)}`).join('\n');
}

function identity({ auth }: Config): string {
  const ways: string[] = [];
  if (auth.oidc !== undefined) ways.push(`OIDC tokens of ${auth.oidc.issuer}`);
  if (auth.tokens.enabled) ways.push('gateway tokens');
  if (auth.anonymous.enabled) ways.push(`anonymous callers in ${list(auth.anonymous.groups)}`);
  return ways.join(', ');
}

function describeConnection({
  name,
  type,
  upstream,
  credential,
  access,
  attributes,
}: Config['connections'][number]): string {
  const target = 'url' in upstream ? withoutQuery(upstream.url) : `command ${upstream.command[0]}`;
  const environment = 'url' in upstream ? [] : Object.keys(upstream.env).map((variable) => `${variable}=***`);
  return [
    `${name} (${type}) -> ${target}`,
    ...environment,
    ...(credential.type === 'static' ? [`${credential.header}: ***`] : []),
    `groups ${access === undefined ? 'none (administrators only)' : list(access.groups)}`,
    ...(attributes.length === 0 ? [] : [`attributes ${list(attributes)}`]),
  ].join(', ');
}

/** Some servers take a key in the query, and some programs in an argument. */
function withoutQuery(url: string): string {
  const { origin, pathname, search } = new URL(url);
  return `${origin}${pathname}${search === '' ? '' : '?***'}`;
}

function list(words: readonly string[]): string {
  return words.length === 0 ? 'nobody' : words.join(', ');
}
