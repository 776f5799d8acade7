/** The gateway's rows: each is the one before it with one more control. */

export interface Controls {
  readonly token: boolean;
  readonly guardrails: boolean;
  readonly access: boolean;
  readonly masking: boolean;
  readonly durability: 'group' | 'call';
}

export interface GatewayRow {
  readonly key: string;
  readonly name: string;
  readonly note: string;
  readonly controls: Controls;
  /** Answers hold something to mask. */
  readonly personal: boolean;
}

const NOTHING: Controls = { token: false, guardrails: false, access: false, masking: false, durability: 'group' };
const ALL: Controls = { token: true, guardrails: true, access: true, masking: true, durability: 'group' };

export const GATEWAY_ROWS: readonly GatewayRow[] = [
  {
    key: 'record',
    name: 'gateway, no rules',
    note: 'the whole pipeline for anonymous callers, without a rule: strict decoding, deciding, and the record written before and after',
    controls: NOTHING,
    personal: false,
  },
  {
    key: 'token',
    name: '+ token',
    note: 'an OIDC access token (RS256) verified on every request',
    controls: { ...NOTHING, token: true },
    personal: false,
  },
  {
    key: 'guardrails',
    name: '+ guardrails',
    note: 'ten rules, on what goes in and on what comes out',
    controls: { ...NOTHING, token: true, guardrails: true },
    personal: false,
  },
  {
    key: 'access',
    name: '+ access, approvals',
    note: 'tool names allowed and denied by group, a CEL condition on access and one on approval',
    controls: { ...ALL, masking: false },
    personal: false,
  },
  {
    key: 'all',
    name: '+ masking = everything on',
    note: 'every built-in entity type looked for in every string of the answer',
    controls: ALL,
    personal: false,
  },
  {
    key: 'masked',
    name: 'everything on, with hits',
    note: 'the same, and each KB of the answer holds an e-mail address and a card number, which arrive masked',
    controls: ALL,
    personal: true,
  },
  {
    key: 'fsync',
    name: 'everything on, fsync',
    note: 'the same as everything on with recorder.durability: call, so that each record survives a loss of power',
    controls: { ...ALL, durability: 'call' },
    personal: false,
  },
];

export const GROUP = 'bench';
export const BLOCKED_TEXT = 'drop table customers';
export const FORBIDDEN_TOOL = 'execute_sql';

const INPUT_PATTERNS = [
  String.raw`(?i)\bdrop\s+(table|database|schema)\b`,
  String.raw`(?i)\btruncate\s+table\b`,
  String.raw`(?i)\bgrant\s+\w+\s+on\b`,
  String.raw`(?i)\bunion\s+(all\s+)?select\b`,
  String.raw`(?i);\s*shutdown\b`,
  String.raw`\.\./\.\./`,
];
const OUTPUT_PATTERNS = [
  String.raw`-----BEGIN [A-Z ]*PRIVATE KEY-----`,
  String.raw`(?i)\bignore (all )?previous instructions\b`,
];
const ENTITY_TYPES = [
  'EMAIL_ADDRESS',
  'PHONE_NUMBER',
  'CREDIT_CARD',
  'US_SSN',
  'IBAN_CODE',
  'IP_ADDRESS',
  'JWT',
  'PRIVATE_KEY',
  'AWS_ACCESS_KEY',
];

export interface Place {
  readonly port: number;
  readonly upstream: string;
  readonly issuer: string;
  readonly folder: string;
}

/** The configuration file of a row. It is JSON, which YAML contains. */
export function configuration(controls: Controls, place: Place): string {
  const connections = ['default'];
  const pattern = (pattern_regex: string): object => ({
    type: 'pattern_match',
    pattern_regex,
    message: 'not allowed here',
  });
  const words = (...list: string[]): object => ({ type: 'deny_words_list', words: list, message: 'not allowed here' });
  const address = `127.0.0.1:${place.port}`;
  return JSON.stringify(
    {
      server: { listen: address, public_url: `http://${address}` },
      auth: controls.token
        ? { oidc: { issuer: place.issuer, audience: { '/mcp': [audience(place.port)] } } }
        : { anonymous: { enabled: true, groups: [GROUP] } },
      keys: { master: { file: `${place.folder}/portcullis.key` } },
      connections: [{ name: 'default', upstream: { url: place.upstream }, access: { groups: [GROUP] } }],
      guardrails: controls.guardrails
        ? [
            {
              name: 'bench',
              connections,
              input: { rules: [words('internal use only', 'top secret'), ...INPUT_PATTERNS.map(pattern)] },
              output: { rules: [words('do not distribute'), ...OUTPUT_PATTERNS.map(pattern)] },
            },
          ]
        : [],
      access_control: controls.access
        ? [
            {
              name: 'bench',
              connections,
              groups: [GROUP],
              tools: { allow: ['lookup_*', 'people_*'], deny: [FORBIDDEN_TOOL] },
              when: 'args.?q.orValue("") != "nothing"',
            },
          ]
        : [],
      access_request_rules: controls.access
        ? [
            {
              name: 'bench',
              connections,
              access_type: 'command',
              when: 'tool.name == "execute_sql" || args.?q.orValue("").search("(?i)\\\\b(delete|update|insert)\\\\b")',
              reviewers_groups: ['reviewers'],
              min_approvals: 1,
            },
          ]
        : [],
      datamasking_rules: controls.masking
        ? [{ name: 'bench', connections, supported_entity_types: [{ name: 'ALL', entity_types: ENTITY_TYPES }] }]
        : [],
      recorder: { path: `${place.folder}/portcullis.db`, durability: controls.durability },
      log: { level: 'warn' },
    },
    undefined,
    2,
  );
}

/** What a token must be made out to. */
export function audience(port: number): string {
  return `http://127.0.0.1:${port}/mcp`;
}
