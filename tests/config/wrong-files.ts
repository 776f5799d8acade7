/** A configuration that must be refused, and every line that the refusal must print, without the name of the file. */
export interface WrongFile {
  readonly title: string;
  readonly text: string;
  readonly lines: readonly string[];
}

const UPSTREAM = 'upstream: { url: http://127.0.0.1:3001/mcp }';
const CONNECTIONS = `connections:
  - name: default
    ${UPSTREAM}
`;
const DURATION = 'a duration with a unit of ms, s, m, h or d, such as 30s, at most 24d';
const SIZE = 'a size with a unit of B, KB, MB, GB, KiB, MiB or GiB, such as 16MB';
const LISTEN = 'an address and a port, such as 127.0.0.1:8800 or [::1]:8800';
const ORIGIN = 'a scheme and a host in lower case without a path, such as https://gateway.example.com';
const WEB = 'an http or https URL without user, password and fragment';
const NAME = '1 to 63 lower-case letters, digits and hyphens, the first no hyphen';
const ISSUER = 'the https URL of the issuer without user, query and fragment (http only on loopback)';

/** One mistake in a section that precedes a sound list of connections. */
const inSection = (title: string, text: string, ...lines: string[]): WrongFile => ({
  title,
  text: `${text}\n${CONNECTIONS}`,
  lines,
});
/** One mistake in the rest of a connection whose name and upstream are sound. */
const inConnection = (title: string, text: string, ...lines: string[]): WrongFile => ({
  title,
  text: `${CONNECTIONS}    ${text}\n`,
  lines,
});

export const WRONG_FILES: readonly WrongFile[] = [
  { title: 'an empty file', text: '', lines: ['1:1: is empty, expected keys such as connections'] },
  { title: 'a list instead of keys', text: '- a\n', lines: ['1:1: is no mapping, expected keys such as connections'] },
  { title: 'no connections', text: 'log: { level: info }\n', lines: ['1:1: connections: is missing, expected a list'] },
  {
    title: 'an empty list of connections',
    text: 'connections: []\n',
    lines: ['1:14: connections: is empty, expected at least one'],
  },
  inSection('a duplicate key', 'log:\n  level: info\n  level: warn', '3:3: not valid YAML: Map keys must be unique'),
  inSection(
    'a text without its closing quote',
    'log: { level: "info }',
    '5:1: not valid YAML: Missing closing "quote',
    '5:1: not valid YAML: Flow map in block collection must be sufficiently indented and end with a }',
  ),
  inSection('a tab as indentation', 'log:\n\tlevel: info', '2:1: not valid YAML: Tabs are not allowed as indentation'),
  inSection(
    'a second document',
    '---\nlog: {}\n---',
    '3:1: not valid YAML: Source contains multiple documents; please use YAML.parseAllDocuments()',
  ),
  inSection('an unknown tag', 'log: !secret {}', '1:6: not valid YAML: Unresolved tag: !secret'),
  inSection('an alias of nothing', 'log: *nothing', '1:6: not valid YAML: the alias names no anchor before it'),
  inSection(
    'a key that is no text',
    '1: 2',
    '1:1: a key is not a text, expected a word (quote it if it looks like a number)',
  ),
  {
    title: 'an alias bomb',
    text: `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n`,
    lines: ['1:1: not valid YAML: too many aliases, expected at most 100'],
  },
  inSection('an unknown section', 'sever: {}', '1:1: sever: unknown key "sever", did you mean "server"?'),
  inSection(
    'an unknown key without a near one',
    'auth:\n  passwords: true',
    '2:3: auth.passwords: unknown key "passwords", expected one of oidc, tokens, anonymous, admin_groups, auditor_groups',
  ),
  inSection(
    'a prototype as key',
    '__proto__: { polluted: true }',
    '1:1: __proto__: unknown key "__proto__", expected one of server, auth, keys, packs, guardrails, datamasking_rules, access_request_rules, access_control, limits, recorder, hold, log',
  ),
  inSection('an empty section', 'server:', '1:8: server: is empty, expected a mapping'),
  inSection(
    'a listen address without a port',
    'server:\n  listen: localhost',
    `2:11: server.listen: is not accepted, expected ${LISTEN}`,
  ),
  inSection(
    'a listen address that is none',
    'server:\n  listen: 300.1.1.1:80',
    `2:11: server.listen: is not accepted, expected ${LISTEN}`,
  ),
  inSection(
    'a public URL with a path',
    'server: { public_url: "https://gw.example.com/x" }',
    `1:23: server.public_url: is not accepted, expected ${ORIGIN}`,
  ),
  inSection(
    'every origin',
    'server:\n  allowed_origins: ["*"]',
    `2:21: server.allowed_origins[0]: is not accepted, expected ${ORIGIN}`,
  ),
  inSection(
    'the same origin twice',
    'server:\n  allowed_origins: [https://a.example, https://a.example]',
    '2:40: server.allowed_origins[1]: repeats item 1, expected each once',
  ),
  inSection(
    'a host with a scheme',
    'server: { allowed_hosts: [https://a.example] }',
    '1:27: server.allowed_hosts[0]: is not accepted, expected a host in lower case with an optional port, such as gateway.example.com',
  ),
  inSection(
    'a network with too long a prefix',
    'server: { trusted_proxies: [10.0.0.0/33] }',
    '1:29: server.trusted_proxies[0]: is not accepted, expected an IP address or a network, such as 10.0.0.0/8',
  ),
  inSection(
    'a duration without a unit',
    'server:\n  body_timeout: 30',
    `2:17: server.body_timeout: is a number, expected ${DURATION}`,
  ),
  inSection(
    'a duration with an unknown unit',
    'server:\n  body_timeout: 30 sec',
    `2:17: server.body_timeout: is not accepted, expected ${DURATION}`,
  ),
  inSection(
    'a duration that no timer can hold',
    'hold:\n  review_expiry: 25d',
    `2:18: hold.review_expiry: is not accepted, expected ${DURATION}`,
  ),
  inSection(
    'a duration of nothing',
    'hold:\n  heartbeat: 0s',
    '2:14: hold.heartbeat: is too small, expected at least 1s',
  ),
  inSection(
    'a size without a unit',
    'server:\n  message_size: "16"',
    `2:17: server.message_size: is not accepted, expected ${SIZE}`,
  ),
  inSection(
    'a number that is too small',
    'server: { max_in_flight: 0 }',
    '1:26: server.max_in_flight: is too small, expected at least 1',
  ),
  inSection(
    'a fraction',
    'server: { max_in_flight: 1.5 }',
    '1:26: server.max_in_flight: is a number, expected a whole number',
  ),
  inSection(
    'a word that is not among the possible',
    'log: { level: loud }',
    '1:15: log.level: is not accepted, expected one of debug, info, warn, error',
  ),
  inSection(
    'yes for true',
    'auth:\n  tokens: { enabled: yes }',
    '2:22: auth.tokens.enabled: is a text, expected true or false',
  ),
  inSection(
    'OIDC without an issuer',
    'auth:\n  oidc:\n    groups_claim: groups',
    `2:3: auth.oidc.issuer: is missing, expected ${ISSUER}`,
  ),
  inSection(
    'a plain http issuer on another machine',
    'auth:\n  oidc: { issuer: "http://idp.example.com" }',
    `2:19: auth.oidc.issuer: is not accepted, expected ${ISSUER}`,
  ),
  inSection(
    'an audience of no route',
    'auth:\n  oidc:\n    issuer: https://idp.example.com\n    audience: { /other: [x] }',
    '4:17: auth.oidc.audience["/other"]: "/other" is not allowed as a key, expected a route: /mcp, /mcp/<connection>, /api/mcp or /api',
  ),
  inSection(
    'an audience of an unknown connection',
    'auth:\n  oidc:\n    issuer: https://idp.example.com\n    audience: { /mcp/nowhere: [x] }',
    '4:31: auth.oidc.audience["/mcp/nowhere"]: names no connection, expected /mcp/ and the name of one',
  ),
  inSection(
    'anonymous callers beyond loopback',
    'server: { listen: "0.0.0.0:8800" }\nauth: { anonymous: { enabled: true } }',
    '2:31: auth.anonymous.enabled: is true although server.listen is not loopback, expected false',
  ),
  inSection(
    'anonymous administrators',
    'auth: { anonymous: { enabled: true, groups: [admin] } }',
    '1:46: auth.anonymous.groups[0]: is an admin or auditor group, expected a group without a role',
  ),
  inSection(
    'a gateway that nobody may call',
    'auth: { tokens: { enabled: false } }',
    '1:7: auth: nobody could call, expected auth.oidc, auth.tokens or auth.anonymous to be on',
  ),
  inSection(
    'the key in the database',
    'keys: { master: { file: ./a.db } }\nrecorder: { path: ./a.db }',
    '1:25: keys.master.file: is the file of the database, expected a file of its own',
  ),
  inSection(
    'a master key in the file',
    'keys: { master: c2VjcmV0 }',
    '1:17: keys.master: is a text, expected a mapping with file',
  ),
  inSection(
    'an unset variable',
    'log: { level: "${PORTCULLIS_UNSET}" }',
    '1:15: log.level: the environment variable PORTCULLIS_UNSET is unset or empty, expected a value',
  ),
  inSection(
    'an empty variable',
    'log: { level: "${PORTCULLIS_EMPTY}" }',
    '1:15: log.level: the environment variable PORTCULLIS_EMPTY is unset or empty, expected a value',
  ),
  inSection(
    'a malformed reference',
    'log: { level: "${A:-info}" }',
    '1:15: log.level: malformed reference, expected ${NAME} (write $${ for a plain ${)',
  ),
  {
    title: 'a connection without an upstream',
    text: 'connections:\n  - name: default\n',
    lines: ['2:5: connections[0].upstream: is missing, expected a mapping with url or a mapping with command'],
  },
  {
    title: 'a connection name with capitals',
    text: `connections:\n  - name: Default\n    ${UPSTREAM}\n`,
    lines: [`2:11: connections[0].name: is not accepted, expected ${NAME}`],
  },
  {
    title: "the gateway's own name",
    text: `connections:\n  - name: gateway\n    ${UPSTREAM}\n`,
    lines: ["2:11: connections[0].name: is the gateway's own name, expected another"],
  },
  {
    title: 'two connections of one name',
    text: `${CONNECTIONS}  - name: default\n    ${UPSTREAM}\n`,
    lines: ['4:11: connections[1].name: is taken by a connection above, expected a name of its own'],
  },
  {
    title: 'several connections without a default',
    text: `connections:\n  - name: a\n    ${UPSTREAM}\n  - name: b\n    ${UPSTREAM}\n`,
    lines: ['2:3: connections: none is named default, expected one that /mcp stands for when there are several'],
  },
  {
    title: 'an upstream of no form',
    text: 'connections:\n  - name: default\n    upstream: {}\n',
    lines: [
      '3:15: connections[0].upstream: fits no form of this value, expected a mapping with url or a mapping with command',
    ],
  },
  {
    title: 'an upstream of both forms',
    text: 'connections:\n  - name: default\n    upstream: { url: "http://127.0.0.1:1", command: [a] }\n',
    lines: ['3:44: connections[0].upstream.command: cannot stand beside url, expected one of the two'],
  },
  {
    title: 'a command as one text',
    text: 'connections:\n  - name: default\n    upstream: { command: npx my-server }\n',
    lines: ['3:26: connections[0].upstream.command: is a text, expected a list'],
  },
  {
    title: 'a variable that is a number',
    text: 'connections:\n  - name: default\n    upstream: { command: [a], env: { PORT: 1 } }\n',
    lines: ['3:44: connections[0].upstream.env.PORT: is a number, expected a text or a mapping with file'],
  },
  {
    title: 'a URL with a password',
    text: 'connections:\n  - name: default\n    upstream: { url: "http://u:fake-password@127.0.0.1:1" }\n',
    lines: [`3:22: connections[0].upstream.url: is not accepted, expected ${WEB}`],
  },
  {
    title: 'a URL of another kind',
    text: 'connections:\n  - name: default\n    upstream: { url: "file:///etc/passwd" }\n',
    lines: [`3:22: connections[0].upstream.url: is not accepted, expected ${WEB}`],
  },
  {
    title: 'a certificate file that holds none',
    text: 'connections:\n  - name: default\n    upstream: { url: "https://a.example", ca: { file: ./secret.txt } }\n',
    lines: ['3:55: connections[0].upstream.ca.file: holds no certificate, expected PEM'],
  },
  {
    title: 'a header for a command',
    text: 'connections:\n  - name: default\n    upstream: { command: [a] }\n    credential: { type: static, value: "${FAKE_TOKEN}" }\n',
    lines: ['4:17: connections[0].credential: a command has no headers, expected its secrets in upstream.env'],
  },
  inConnection(
    'a credential of no kind',
    'credential: { type: magic }',
    '4:17: connections[0].credential: fits no form of this value, expected a mapping with type: none or a mapping with type: static and value',
  ),
  inConnection(
    'a credential without its value',
    'credential: { type: static }',
    '4:5: connections[0].credential.value: is missing, expected a text or a mapping with file',
  ),
  inConnection(
    'a credential in a header of the gateway',
    'credential: { type: static, header: Mcp-Session-Id, value: "${FAKE_TOKEN}" }',
    '4:41: connections[0].credential.header: is a header the gateway sets itself, expected another',
  ),
  inConnection(
    'a credential with a line break',
    'credential: { type: static, value: "a\\r\\nx-injected: b" }',
    '4:40: connections[0].credential.value: cannot stand in a header, expected one line of plain characters',
  ),
  inConnection(
    'a secret file that is not there',
    'credential: { type: static, value: { file: /nonexistent/fake } }',
    '4:48: connections[0].credential.value.file: the file /nonexistent/fake cannot be read (ENOENT), expected a text',
  ),
  inConnection(
    'a secret file that is empty',
    'credential: { type: static, value: { file: /dev/null } }',
    '4:48: connections[0].credential.value.file: the file /dev/null is empty, expected a text',
  ),
  inConnection(
    'a method with a space',
    'methods: ["a b"]',
    '4:15: connections[0].methods[0]: is not accepted, expected a JSON-RPC method, such as vendor/action',
  ),
  inConnection(
    'access as a list',
    'access: [engineering]',
    '4:13: connections[0].access: is a list, expected a mapping with groups',
  ),
  inSection(
    'a rule without a name',
    'guardrails:\n  - mode: enforce',
    '2:5: guardrails[0].name: is missing, expected a text',
  ),
  inSection(
    'a rule with an unknown key',
    'access_control:\n  - { name: a, groups: [b], tool: {} }',
    '2:29: access_control[0].tool: unknown key "tool", did you mean "tools"?',
  ),
  inSection(
    'a rule for a connection that is not there',
    'guardrails:\n  - name: a\n    connections: [default, nowhere]\n    input: { rules: [{ type: deny_words_list, words: [x] }] }',
    '3:28: guardrails[0].connections[1]: there is no connection named nowhere',
  ),
  inSection(
    'two rules of one name',
    'access_control:\n  - { name: a, groups: [b] }\n  - { name: a, groups: [b] }',
    '3:13: access_control[1].name: the name a is taken by another entry of access_control',
  ),
  inSection(
    'a sound rule after an unsound one keeps its own place',
    'access_control:\n  - { name: a }\n  - { name: b, groups: [c], connections: [nowhere] }',
    '2:5: access_control[0].groups: is missing, expected a list',
    '3:43: access_control[1].connections[0]: there is no connection named nowhere',
  ),
  inSection(
    'a pattern that is none',
    'guardrails:\n  - name: a\n    input: { rules: [{ type: pattern_match, pattern_regex: "(" }] }',
    '3:60: guardrails[0].input.rules[0].pattern_regex: missing closing ) `(` at position 0',
  ),
  inSection(
    'an entity type in lower case and a pattern that is none in a masking rule',
    'datamasking_rules:\n  - name: a\n    custom_entity_types:\n      - { name: badge, regex: x }\n  - name: b\n    custom_entity_types:\n      - { name: BADGE, regex: "(" }',
    '4:17: datamasking_rules[0].custom_entity_types[0].name: is not accepted, expected a text that matches ^[A-Z0-9_]+$',
    '7:31: datamasking_rules[1].custom_entity_types[0].regex: missing closing ) `(` at position 0',
  ),
  inSection(
    'a condition that is none',
    'access_control:\n  - { name: a, groups: [b], when: "tool.name ==" }',
    '2:35: access_control[0].when: Unexpected token: EOF (line 1, column 13)',
  ),
  {
    title: 'mistakes of every kind at once, in the order of the file',
    text: `server:
  lisen: 127.0.0.1:8800
  body_timeout: 30
auth:
  anonymous: { enabled: maybe }
connections:
  - name: Bad_Name
    upstream: { url: not a url }
  - name: ok
    upstream: { command: [] }
    credential: { type: static, value: "\${PORTCULLIS_UNSET}" }
  - name: ok
    timeout: 1s
`,
    lines: [
      '2:3: server.lisen: unknown key "lisen", did you mean "listen"?',
      `3:17: server.body_timeout: is a number, expected ${DURATION}`,
      '5:25: auth.anonymous.enabled: is a text, expected true or false',
      `7:11: connections[0].name: is not accepted, expected ${NAME}`,
      `8:22: connections[0].upstream.url: is not accepted, expected ${WEB}`,
      '10:26: connections[1].upstream.command: is empty, expected at least one',
      '11:40: connections[1].credential.value: the environment variable PORTCULLIS_UNSET is unset or empty, expected a value',
      '12:5: connections[2].upstream: is missing, expected a mapping with url or a mapping with command',
      '12:11: connections[2].name: is taken by a connection above, expected a name of its own',
    ],
  },
];
