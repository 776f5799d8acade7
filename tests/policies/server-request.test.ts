import fc from 'fast-check';
import t from 'tap';
import { compileRulebook } from '../../policies/compile.ts';
import type { AccessControlDocument, ElicitationDocument, RuleDocuments } from '../../policies/documents.ts';
import type { ConnectionRules } from '../../policies/rulebook.ts';
import { compileScreening, screenServerRequest } from '../../policies/server-request.ts';
import type { Json, Principal } from '../../policies/types.ts';
import { parseConfig } from '../../proxy/config.ts';
import { restartNeeded, takeLive } from '../../proxy/config/restart.ts';
import { SHOP, call, person } from './cases.ts';

const ASK = 'elicitation/create';
const open = compileScreening(undefined);
const listed = compileScreening({
  url_hosts: ['login.example.com', '*.corp.example', 'xn--bcher-kva.example', 'localhost'],
});

const screen = (params: Json, screening = open) => screenServerRequest(ASK, params, screening);
const url = (text: string, screening = open) => screen({ mode: 'url', message: 'Sign in', url: text }, screening);
const form = (properties: Record<string, Json>, message = 'A few details') =>
  screen({ message, requestedSchema: { type: 'object', properties } });

t.test('people are sent to plain https addresses only [M-10] [G-09]', async (t) => {
  const pass = [
    'https://login.example.com/',
    'https://login.example.com',
    'https://login.example.com:8443/oauth/authorize?client_id=a&state=%2F#top',
    'https://LOGIN.example.com/a@b',
    'HTTPS://login.example.com/',
    'https://192.0.2.7/consent',
    'https://[2001:db8::1]/consent',
    'http://localhost:3000/callback',
    'http://127.0.0.1/callback',
    'http://[::1]:9/callback',
    'https://my_host.example.com/',
  ];
  const refused = [
    '',
    'login.example.com',
    '//login.example.com/',
    'https:login.example.com',
    'https:/login.example.com',
    'https:///login.example.com',
    'https://',
    'https:\\\\login.example.com',
    'https://login.example.com\\@evil.example/',
    'http://login.example.com/',
    'http://localhost.example.com/',
    'http://127.0.0.1.example.com/',
    'http://127.1/',
    'http://0x7f.0.0.1/',
    'http://2130706433/',
    'javascript:alert(1)',
    'JavaScript:alert(1)',
    ' javascript:alert(1)',
    'java\nscript:alert(1)',
    'javascript://login.example.com/%0aalert(1)',
    'data:text/html,<script>alert(1)</script>',
    'vbscript:x',
    'file:///etc/passwd',
    'blob:https://login.example.com/1',
    'view-source:https://login.example.com/',
    'ftp://login.example.com/',
    'intent://login.example.com/#Intent;scheme=https;end',
    'https://user@login.example.com/',
    'https://user:fake@login.example.com/',
    'https://login.example.com@evil.example/',
    'https://@evil.example/',
    'https://login.example.com%40evil.example/',
    'https://login%2eexample.com/',
    'https://login.example.com /',
    'https://login.example.com/\t',
    ' https://login.example.com/',
    'https://login.example.com/\r\nX: y',
    'https://login.example.com/\u0000',
    'https://login.example.com/\u202egpj.exe',
    'https://login.example.com/\u200b',
    'https://login。example.com/',
    'https://ｌogin.example.com/',
    'https://lоgin.example.com/',
    'https://bücher.example/',
    'https://xn--lgin-55d.example.com/',
    'https://XN--lgin-55d.example.com/',
    'https://example.xn--p1ai/',
    'https://login.example.com:99999/',
    'https://login.example.com:x/',
    'https://[::1/',
    'https://[nowhere]/',
    'https://login.example.com/<b>',
  ];
  for (const each of pass) t.equal(url(each), undefined, `passes: ${each}`);
  for (const each of refused) {
    t.match(url(each), { code: 'server_request_blocked', rule: 'elicitation' }, `refused: ${JSON.stringify(each)}`);
    t.ok(screen({ message: 'Hi', url: each }), 'whatever the mode says');
  }
  for (const params of [
    null,
    [],
    'x',
    { mode: 'url' },
    { mode: 'url', url: 1 },
    { mode: 'page' },
    { mode: 1 },
  ] as Json[])
    t.ok(screen(params), `refused: ${JSON.stringify(params)}`);
});

t.test('where hosts are listed, people are sent to these only [G-09]', async (t) => {
  for (const each of [
    'https://login.example.com/',
    'https://LOGIN.EXAMPLE.COM/',
    'https://sso.corp.example/',
    'https://a.b.corp.example/',
    'https://xn--bcher-kva.example/',
    'http://localhost:1234/',
  ])
    t.equal(url(each, listed), undefined, `passes: ${each}`);
  for (const each of [
    'https://example.com/',
    'https://corp.example/',
    'https://evilcorp.example/',
    'https://corp.example.evil.example/',
    'https://evil.example/?https://login.example.com/',
    'https://evil.example/login.example.com',
    'https://xn--lgin-55d.corp.example/',
    'https://login.example.com./',
    'http://127.0.0.1/',
    'http://login.example.com/',
  ])
    t.ok(url(each, listed), `refused: ${each}`);
  const text = (message: string) => screen({ message, requestedSchema: { type: 'object', properties: {} } }, listed);
  t.equal(text('See https://login.example.com/help. Ready?'), undefined, 'a link in a text');
  t.ok(text('Open https://evil.example/ first'), 'a link in a text, to elsewhere');
  t.ok(text('Open javascript://login.example.com/%0aalert(1)'));
  const described = {
    message: 'Hi',
    requestedSchema: { properties: { a: { description: 'from http://evil.example' } } },
  };
  t.ok(screen(described, listed), 'a link in a description');
  t.equal(screen(described), undefined, 'without a list texts are for the guardrails to read');
});

t.test('no script, no data and no user name is ever opened [M-10]', async () => {
  const scheme = fc.mixedCase(fc.constantFrom('javascript', 'data', 'vbscript', 'file', 'blob', 'about'));
  const bad = fc.oneof(
    fc
      .tuple(
        fc.constantFrom('', ' ', '\t', '\u0000', '\u200b'),
        scheme,
        fc.constantFrom(':', '://', '&#58;'),
        fc.string(),
      )
      .map((p) => p.join('')),
    fc
      .tuple(fc.webAuthority({ withUserInfo: true }), fc.webPath())
      .filter(([host]) => host.includes('@'))
      .map(([host, path]) => `https://${host}${path}`),
    fc
      .tuple(fc.string({ minLength: 1 }), fc.domain())
      .map(([user, host]) => `https://${user.replace(/[/?#]/g, '')}@${host}/`),
  );
  const any = compileScreening({ url_hosts: ['*'], secret_fields: 'allow' });
  fc.assert(
    fc.property(bad, (text) => url(text) !== undefined && url(text, any) !== undefined),
    { numRuns: 2000 },
  );
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.webUrl({ withQueryParameters: true })), (text) => {
      if (url(text) !== undefined) return true;
      const { protocol, username, password, hostname } = new URL(text);
      return (
        username === '' &&
        password === '' &&
        (protocol === 'https:' || hostname === 'localhost') &&
        !hostname.includes('xn--')
      );
    }),
    { numRuns: 2000 },
  );
});

t.test('forms do not ask for secrets [M-10] [G-09]', async (t) => {
  const refused: Record<string, Json>[] = [
    { password: { type: 'string' } },
    { newPassword: { type: 'string' } },
    { db_passwd: { type: 'string' } },
    { userpassword: { type: 'string' } },
    { passw0rd: { type: 'string' } },
    { 'pass-phrase': { type: 'string' } },
    { ｐａｓｓｗｏｒｄ: { type: 'string' } },
    { раsswоrd: { type: 'string' } },
    { 'pass\u200bword': { type: 'string' } },
    { apiKey: { type: 'string' } },
    { APIkey: { type: 'string' } },
    { API_KEY: { type: 'string' } },
    { OPENAIApiKey: { type: 'string' } },
    { value: { type: 'string', title: 'Access token' } },
    { value: { type: 'string', description: 'Your GitHub personal access token' } },
    { value: { type: 'string', title: 'p a s s w o r d' } },
    { value: { type: 'string', title: 'S.S.N.' } },
    { value: { type: 'string', title: 'P@$$word' } },
    { value: { type: 'string', title: 'Contraseña' } },
    { value: { type: 'string', title: 'Mot de passe' } },
    { value: { type: 'string', title: 'Passwort' } },
    { value: { type: 'string', title: 'Your token' } },
    { value: { type: 'string', format: 'password' } },
    { value: { type: 'string', description: 'PEM of the private key' } },
    { secret: { type: 'string' } },
    { clientSecret: {} },
    { pin: { type: 'integer' } },
    { value: { type: 'string', description: 'Do not share anything else: your password' } },
    { value: { type: 'string', description: 'Never mind the rest. Your PIN, please' } },
    { code: { type: 'number', title: 'PIN code' } },
    { otp: { type: 'string' } },
    { code: { type: 'string', title: 'One-time code' } },
    { code: { type: 'string', title: 'The 2FA code from your phone' } },
    { cvv: { type: 'string' } },
    { CVC2: { type: 'string' } },
    { cardNumber: { type: 'string' } },
    { n: { type: 'string', title: 'Credit card' } },
    { ssn: { type: 'string' } },
    { n: { type: 'string', title: 'Social security number' } },
    { phrase: { type: 'string', title: 'Seed phrase' } },
    { name: { type: 'string' }, credentials: { type: 'string' } },
    { login: { type: 'object', properties: { password: { type: 'string' } } } },
    { list: { type: 'array', items: { type: 'string', title: 'API key' } } },
    { any: { anyOf: [{ type: 'string', title: 'Password' }, { type: 'null' }] } },
    { token: true },
    { password: { type: ['string', 'boolean'] } },
  ];
  const pass: Record<string, Json>[] = [
    {},
    { name: { type: 'string', title: 'Full name' }, email: { type: 'string', format: 'email' } },
    { pinned: { type: 'string' } },
    { lucky: { type: 'integer', description: 'A number (do not give us your phone number, pin, or the like)' } },
    { pins: { type: 'integer', title: 'How many pins' } },
    { spinner: { type: 'string' }, shipping: { type: 'string' }, opinion: { type: 'string' } },
    { tokenize_count: { type: 'integer' } },
    { maxTokens: { type: 'integer' }, page_token: { type: 'string' }, tokenCount: { type: 'integer' } },
    { secretary: { type: 'string' } },
    { secretName: { type: 'string', title: 'Secret name' } },
    { passwordPolicy: { type: 'string' }, password_length: { type: 'integer' } },
    { api_key_id: { type: 'string' } },
    { passenger: { type: 'string' }, passport_country: { type: 'string' }, compass: { type: 'string' } },
    { keyboard: { type: 'string' }, key: { type: 'string' }, issueKey: { type: 'string' }, monkey: { type: 'string' } },
    { discard: { type: 'string' }, card: { type: 'string', title: 'Card of the deck' } },
    { postal_code: { type: 'string' }, code: { type: 'string' } },
    { resetPassword: { type: 'boolean', title: 'Reset the password?' } },
    { secret: { type: 'string', enum: ['db-prod', 'db-test'] } },
    {
      credential: {
        type: 'string',
        oneOf: [
          { const: 'password', title: 'Password' },
          { const: 'key', title: 'Key' },
        ],
      },
    },
    { secrets: { type: 'array', items: { anyOf: [{ const: 'a', title: 'A' }] } } },
    { method: { type: 'string', enum: ['password', 'api key'] } },
  ];
  const allow = compileScreening({ secret_fields: 'allow' });
  for (const each of refused) {
    const title = JSON.stringify(each);
    t.match(form(each), { code: 'server_request_blocked', reason: 'the form asks for a secret' }, `refused: ${title}`);
    t.equal(screen({ message: 'Hi', requestedSchema: { properties: each } }, allow), undefined, `allowed: ${title}`);
    t.equal(screenServerRequest('sampling/createMessage', { requestedSchema: { properties: each } }, open), undefined);
  }
  for (const each of pass) t.equal(form(each), undefined, `passes: ${JSON.stringify(each)}`);
});

t.test('nor do their messages, where anything may be typed [M-10]', async (t) => {
  const typed: Record<string, Json> = { value: { type: 'string' } };
  for (const message of [
    'Password?',
    'Your GitHub password:',
    'Please enter your password',
    'To go on, paste an API key for the billing service.',
    'What is your PIN?',
    'Kindly provide the access token of your account',
  ]) {
    t.ok(form(typed, message), `refused: ${message}`);
    t.equal(form({ go: { type: 'boolean' } }, message), undefined, 'yes and no are no secrets');
  }
  for (const message of [
    'Why should the password of the service account be changed?',
    'Please provide a reason, then I shall rotate the API key',
    'Enter the name of the customer',
    'Which branch?',
  ])
    t.equal(form(typed, message), undefined, `passes: ${message}`);
});

const documents = (access: readonly AccessControlDocument[], elicitation?: ElicitationDocument): RuleDocuments => ({
  connections: [elicitation === undefined ? SHOP : { ...SHOP, elicitation }],
  guardrails: [{ name: 'quiet', output: { rules: [{ type: 'deny_words_list', words: ['nightjar'] }] } }],
  datamasking_rules: [],
  access_request_rules: [
    { name: 'all', access_type: 'command', connections: ['shop'], when: 'true', reviewers_groups: ['dba'] },
  ],
  access_control: access,
  limits: [],
});
const rulesOf = (access: readonly AccessControlDocument[], elicitation?: ElicitationDocument): ConnectionRules =>
  compileRulebook(documents(access, elicitation)).connection('shop')!;

function asked(rules: ConnectionRules, who: Principal, method: string, params: Record<string, Json> = {}): string {
  const decision = rules.decide(call(method, params, { kind: 'server_request', name: method }), who, {});
  return decision.action === 'deny' ? `${decision.denial.code} ${decision.denial.rule}` : decision.action;
}

t.test('access rules say what servers may ask of the clients of a group [G-09]', async (t) => {
  const rules = rulesOf([
    { name: 'forms', groups: ['analytics'], server_requests: { allow: ['elicitation/*'] } },
    { name: 'no-samples', groups: ['analytics', 'dba'], server_requests: { deny: ['sampling/*'] }, when: 'false' },
    { name: 'roots', groups: ['roots'], server_requests: { allow: ['roots/list', 'sampling/createMessage'] } },
    { name: 'nothing', groups: ['interns'], server_requests: { allow: [] } },
  ]);
  const group = (...groups: string[]): Principal => person(['engineering', ...groups]);
  const cases: readonly (readonly [Principal, string, string])[] = [
    [group('analytics'), ASK, 'allow'],
    [group('analytics'), 'sampling/createMessage', 'server_request_blocked no-samples'],
    [group('analytics'), 'roots/list', 'server_request_blocked forms'],
    [group('analytics'), 'Elicitation/create', 'server_request_blocked forms'],
    [group('analytics'), 'ping', 'allow'],
    [group('dba'), 'roots/list', 'allow'],
    [group('dba'), 'SAMPLING/createMessage', 'server_request_blocked no-samples'],
    [group('analytics', 'roots'), 'roots/list', 'allow'],
    [group('analytics', 'roots'), 'sampling/createMessage', 'server_request_blocked no-samples'],
    [group('interns'), ASK, 'server_request_blocked nothing'],
    [group('interns'), 'ping', 'allow'],
    [group(), 'sampling/createMessage', 'allow'],
    [person(['sales']), 'ping', 'connection_unknown '],
    [person(['analytics'], { authenticatedBy: 'system' }), 'sampling/createMessage', 'allow'],
  ];
  for (const [who, method, expected] of cases)
    t.equal(asked(rules, who, method), expected, `${who.groups.join()} ${method}`);
  const governed = group('interns');
  t.equal(rules.filters(governed), false, 'lists stay as they are');
  t.equal(rules.sees('tool', 'query', governed), true);
  t.equal(rules.decide(call('tools/call', { name: 'query' }), governed, {}).action, 'hold', 'calls too');
});

t.test('what servers ask is screened for every caller, and read as output [G-09]', async (t) => {
  const evil = { mode: 'url', message: 'Hi', url: 'https://evil.example/' };
  const secret = { message: 'Hi', requestedSchema: { properties: { password: {} } } };
  const strict = rulesOf([], { url_hosts: ['*.corp.example'] });
  const who = person(['engineering']);
  t.equal(asked(rulesOf([]), who, ASK, evil), 'allow');
  t.equal(asked(strict, who, ASK, evil), 'server_request_blocked elicitation');
  t.equal(asked(strict, person([], { roles: ['admin'] }), ASK, evil), 'server_request_blocked elicitation');
  t.equal(
    asked(strict, person([], { authenticatedBy: 'system' }), ASK, evil),
    'allow',
    'the gateway itself asks nobody',
  );
  t.equal(asked(strict, who, ASK, secret), 'server_request_blocked elicitation');
  t.equal(asked(rulesOf([], { secret_fields: 'allow' }), who, ASK, secret), 'allow');
  t.equal(asked(strict, who, ASK, { message: 'Project Nightjar' }), 'output_blocked quiet');
  t.equal(asked(strict, who, 'sampling/createMessage', { systemPrompt: 'Nightjar' }), 'output_blocked quiet');
  const asTool = call('tools/call', secret, { kind: 'protocol', method: ASK });
  t.equal(strict.decide(asTool, who, {}).action, 'allow', 'what a client says is not a request of the server');
});

t.test('a reload changes what servers may ask', async (t) => {
  const text = (more: string): string =>
    `connections:\n  - name: a\n    upstream: { url: http://127.0.0.1:1/mcp }\n${more}`;
  const read = (more: string) => parseConfig(text(more), '/nowhere/config.yaml', {});
  const before = read('');
  const after = read('    elicitation: { url_hosts: ["*.corp.example"] }\n');
  t.same(restartNeeded(before, after), []);
  const taken = takeLive(before, after);
  t.same(taken.connections[0]!.elicitation, { urlHosts: ['*.corp.example'], secretFields: 'refuse' });
  t.same(taken.rules.connections, [{ name: 'a', attributes: [], elicitation: { url_hosts: ['*.corp.example'] } }]);
  t.equal(takeLive(after, before).connections[0]!.elicitation, undefined);
  t.not(compileRulebook(before.rules).revision, compileRulebook(taken.rules).revision);
  for (const wrong of [
    'url_hosts: []',
    'url_hosts: ["https://a.example"]',
    'url_hosts: ["A.example"]',
    'secret_fields: ask',
  ])
    t.throws(() => read(`    elicitation: { ${wrong} }\n`), wrong);
});
