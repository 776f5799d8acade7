import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import * as fc from 'fast-check';
import t from 'tap';
import { ConfigFault, loadConfig, parseConfig, type Config } from '../../proxy/config.ts';
import { describeConfig } from '../../proxy/config/describe.ts';
import { isLoopback, parseListen } from '../../proxy/config/formats.ts';
import { loadMasterKey } from '../../proxy/config/master-key.ts';
import { parseByteSize, parseTimeSpan, showByteSize, showTimeSpan } from '../../policies/units.ts';
import { WRONG_FILES } from './wrong-files.ts';

const MINIMAL = 'connections:\n  - name: default\n    upstream: { url: http://127.0.0.1:3001/mcp }\n';
const FAKE = 'Bearer fake-upstream-token';
const ENV = { FAKE_TOKEN: FAKE, PORTCULLIS_EMPTY: '' };

function faultOf(text: string, file: string): ConfigFault {
  try {
    parseConfig(text, file, ENV);
  } catch (fault) {
    if (fault instanceof ConfigFault) return fault;
    throw fault;
  }
  throw new Error(`no fault in ${text}`);
}

function withCredential(value: string): string {
  return `${MINIMAL}    credential: { type: static, value: ${value} }\n`;
}

function credentialOf(config: Config): string | undefined {
  const credential = config.connections[0]!.credential;
  return credential.type === 'static' ? credential.value.reveal() : undefined;
}

t.test(
  'every mistake of a wrong file is printed with its line, column, key and what was expected [config-mistakes-all-placed]',
  async (t) => {
    const folder = t.testdir({ 'secret.txt': 'no certificate\n' });
    const file = join(folder, 'config.yaml');
    for (const { title, text, lines } of WRONG_FILES) {
      t.equal(faultOf(text, file).message, lines.map((line) => `${file}:${line}`).join('\n'), title);
    }
  },
);

t.test('a file that cannot be read is a fault and not a default configuration', async (t) => {
  const folder = t.testdir({ 'latin1.yaml': Buffer.from('log: { level: "\xe9" }', 'latin1') });
  for (const [name, why] of [
    ['absent.yaml', 'ENOENT'],
    ['latin1.yaml', 'not UTF-8'],
  ] as const) {
    const file = join(folder, name);
    t.throws(() => loadConfig(file, {}), {
      name: 'ConfigFault',
      message: `${file}: cannot be read (${why}), expected a YAML file`,
    });
  }
});

t.test('no text whatsoever makes the loader fail with anything but a placed fault', async () => {
  const word = fc.constantFrom(
    'server:',
    'connections:',
    '- name: a',
    'upstream:',
    '{',
    '}',
    '[',
    '&a',
    '*a',
    '!x',
    '"',
    '${',
    '#',
    ': ',
    '? ',
    '|',
    '\t',
    '\n',
    '\n  ',
    '---',
    '1',
    'null',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(word, { maxLength: 12 }).map((words) => words.join(' ')),
      ),
      (text) => {
        const fault = faultOf(text, '/c.yaml');
        return fault.problems.length > 0 && fault.problems.every((each) => each.line >= 1 && each.column >= 1);
      },
    ),
    { numRuns: 300 },
  );
});

t.test('a minimal file is filled with the defaults and frozen', async (t) => {
  const config = parseConfig(MINIMAL, '/etc/portcullis/config.yaml', {});
  t.same(config.server, {
    listen: { host: '127.0.0.1', port: 8800 },
    publicUrl: 'http://127.0.0.1:8800',
    allowedOrigins: [],
    allowedHosts: [],
    messageSizeBytes: 16_000_000,
    maxInFlight: 1024,
    bodyTimeoutMs: 30_000,
    keepAliveMs: 15_000,
    graceMs: 10_000,
    maxSessionsPerCaller: 10_000,
    maxStreamsPerCaller: 2000,
    sessionIdleMs: 1_800_000,
    replicas: false,
    trustedProxies: [],
  });
  t.same(config.hold, {
    inlineTimeoutMs: 50_000,
    reviewExpiryMs: 86_400_000,
    heartbeatMs: 10_000,
    maxPendingPerPrincipal: 20,
  });
  t.same(config.auth, {
    tokens: { enabled: true },
    anonymous: { enabled: false, groups: [] },
    adminGroups: ['admin'],
    auditorGroups: ['auditor'],
  });
  t.equal(config.recorder.path, '/etc/portcullis/data/portcullis.db', 'relative to the file');
  t.equal(config.keys.master.file, '/etc/portcullis/data/portcullis.key');
  t.equal(config.connections[0]!.timeoutMs, 600_000);
  t.equal(config.connections[0]!.access, undefined, 'administrators only');
  t.same(config.rules.connections, [{ name: 'default', attributes: [] }]);
  t.same(config.warnings, []);
  t.throws(() => Object.assign(config.connections[0]!.upstream, { url: 'http://evil.example' }), TypeError);
  t.throws(() => (config.rules.guardrails as unknown[]).push({}), TypeError);
});

t.test('the public URL follows from the listen address', async (t) => {
  for (const [listen, url] of [
    ['127.0.0.1:9000', 'http://127.0.0.1:9000'],
    ['[::1]:9000', 'http://[::1]:9000'],
    ['0.0.0.0:9000', 'http://localhost:9000'],
    [':80', 'http://localhost'],
  ]) {
    t.equal(parseConfig(`server: { listen: "${listen}" }\n${MINIMAL}`, '/c.yaml', {}).server.publicUrl, url);
  }
});

t.test('secrets come from the environment or from files [secrets-from-env-or-file]', async (t) => {
  const folder = t.testdir({ token: `${FAKE}\n`, windows: `${FAKE}\r\n` });
  const file = join(folder, 'config.yaml');
  const load = (value: string): Config => parseConfig(withCredential(value), file, { ...ENV, PART: 'fake' });
  t.equal(credentialOf(load('"${FAKE_TOKEN}"')), FAKE);
  t.equal(credentialOf(load('"Bearer ${PART}-${PART}"')), 'Bearer fake-fake');
  t.equal(credentialOf(load('"Bearer $${PART} $5 $$"')), 'Bearer ${PART} $5 $$', 'escaped, and plain dollars');
  t.equal(credentialOf(load('{ file: ./token }')), FAKE, 'relative to the file, without the last line break');
  t.equal(credentialOf(load(`{ file: ${join(folder, 'windows')} }`)), FAKE);
  t.equal(
    credentialOf(load('{ file: "./${TOKEN_FILE}" }'.replace('TOKEN_FILE', 'PART').replace('${PART}', 'token'))),
    FAKE,
  );
  const command = `connections:\n  - { name: default, upstream: { command: [a], env: { A: "\${FAKE_TOKEN}", B: { file: ./token } } } }\n`;
  const { upstream } = parseConfig(command, file, ENV).connections[0]!;
  t.same('env' in upstream && Object.entries(upstream.env).map(([key, value]) => [key, value.reveal()]), [
    ['A', FAKE],
    ['B', FAKE],
  ]);
  t.equal(
    parseConfig(`log: { level: "\${LEVEL}" }\n${MINIMAL}`, file, { LEVEL: 'warn' }).log.level,
    'warn',
    'in any text',
  );
});

t.test('a value of the environment cannot bring keys or references of its own', async (t) => {
  const env = { FAKE_TOKEN: 'a", header: "X-Other', OTHER: '${FAKE_TOKEN}' };
  t.equal(credentialOf(parseConfig(withCredential('"${FAKE_TOKEN}"'), '/c.yaml', env)), env.FAKE_TOKEN);
  t.equal(credentialOf(parseConfig(withCredential('"${OTHER}"'), '/c.yaml', env)), '${FAKE_TOKEN}', 'replaced once');
  t.match(faultOf(withCredential('"${constructor}"'), '/c.yaml').message, /constructor is unset/);
});

t.test('rules are taken as they are written, so that they mean the same in the file and through the API', async (t) => {
  const rules =
    "guardrails:\n  - name: log4shell\n    input: { rules: [ { type: deny_words_list, words: ['${jndi:', '${FAKE_TOKEN}'] } ] }\n";
  const { guardrails } = parseConfig(`${rules}${MINIMAL}`, '/c.yaml', ENV).rules;
  t.same(guardrails[0]!.input!.rules[0]!.words, ['${jndi:', '${FAKE_TOKEN}']);
});

t.test(
  'a secret is never shown: not printed, not in JSON, not in a description, not in a fault [secrets-never-shown]',
  async (t) => {
    const folder = t.testdir({ token: FAKE });
    const file = join(folder, 'config.yaml');
    const text = `${withCredential('{ file: ./token }')}  - name: two
    upstream: { command: [my-server, --flag], env: { API_KEY: "\${FAKE_TOKEN}" } }
  - name: three
    upstream: { url: "http://127.0.0.1:1/mcp?key=fake-query-key" }
    credential: { type: static, header: X-Api-Key, value: fake-literal }
`;
    const config = parseConfig(text, file, ENV);
    const shown = [JSON.stringify(config), inspect(config, { depth: 20, showHidden: true }), describeConfig(config)];
    for (const each of shown) t.notMatch(each, /fake-upstream-token|fake-literal/);
    t.notMatch(describeConfig(config), /fake-query-key|--flag/);
    t.match(describeConfig(config), /X-Api-Key: \*\*\*/);
    t.match(describeConfig(config), /API_KEY=\*\*\*/);
    for (const wrong of ['"${FAKE_TOKEN}\\n"', '["${FAKE_TOKEN}"]', '{ fil: "${FAKE_TOKEN}" }']) {
      t.notMatch(faultOf(withCredential(wrong), file).message, /fake-upstream-token/);
    }
    t.notMatch(
      faultOf(`log: { level: "\${FAKE_TOKEN}" }\n${MINIMAL}`, file).message,
      /fake-upstream-token/,
      'in the wrong place',
    );
    t.notMatch(
      faultOf(`${MINIMAL}    credential: { type: static, value: "a"fake-upstream-token }\n`, file).message,
      /fake-upstream/,
    );
  },
);

t.test('the description has about ten lines and no character that moves a cursor', async (t) => {
  const text = MINIMAL.replace('3001/mcp }', '3001/mcp }\n    access: { groups: ["\\e[2Jeng"] }');
  const lines = describeConfig(parseConfig(text, '/c.yaml', {})).split('\n');
  t.equal(lines.length, 10);
  t.notOk(lines.some((line) => line.includes('\u001b')));
});

t.test('risky settings are warnings that name the key', async (t) => {
  const warnings = (text: string): readonly string[] => parseConfig(text, '/c.yaml', ENV).warnings;
  t.match(warnings(MINIMAL.replace('127.0.0.1', 'mcp.example.com')), [
    /^connections\[0\]\.upstream\.url: is plain http/,
  ]);
  t.match(warnings(withCredential('Bearer literal')), [/^connections\[0\]\.credential\.value: the secret itself/]);
  t.same(warnings(withCredential('"${FAKE_TOKEN}"')), []);
  t.match(warnings(`auth: { anonymous: { enabled: true } }\n${MINIMAL}`), [/^auth\.anonymous\.enabled: every process/]);
  t.match(warnings(`server: { listen: ":80" }\n${MINIMAL}`), [/^server\.public_url: is not set/]);
  t.match(warnings(`server: { listen: ":80", public_url: "http://gw.example" }\n${MINIMAL}`), [
    /^server\.public_url: is plain http/,
  ]);
  t.same(warnings(`server: { listen: ":80", public_url: "https://gw.example" }\n${MINIMAL}`), []);
  t.match(warnings(`server: { trusted_proxies: [0.0.0.0/0] }\n${MINIMAL}`), [
    /^server\.trusted_proxies\[0\]: lets every/,
  ]);
});

t.test(
  'callers without a token are possible on loopback only, and never have a role [anonymous-loopback-only] [H-03] [anonymous-has-no-role]',
  async (t) => {
    const load = (listen: string, groups: string): Config =>
      parseConfig(
        `server: { listen: "${listen}" }\nauth: { auditor_groups: [audit], anonymous: { enabled: true, groups: [${groups}] } }\n${MINIMAL}`,
        '/c.yaml',
        {},
      );
    for (const listen of ['127.0.0.1:1', '[::1]:1', 'localhost:1'])
      t.equal(load(listen, 'guests').auth.anonymous.enabled, true, listen);
    for (const listen of ['0.0.0.0:1', ':1', '[::]:1', '10.0.0.1:1', 'gateway.example.com:1']) {
      t.throws(
        () => load(listen, 'guests'),
        { name: 'ConfigFault', message: /auth\.anonymous\.enabled: is true although/ },
        listen,
      );
    }
    for (const group of ['admin', 'audit'])
      t.throws(() => load('127.0.0.1:1', group), { message: /auth\.anonymous\.groups\[0\]: is an admin or auditor/ });
  },
);

t.test('durations and sizes have units', async (t) => {
  for (const [text, ms] of [
    ['250ms', 250],
    ['50s', 50_000],
    ['10m', 600_000],
    ['24h', 86_400_000],
    ['24d', 2_073_600_000],
    ['0s', 0],
  ] as const) {
    t.equal(parseTimeSpan(text), ms, text);
  }
  for (const wrong of [
    '',
    '5',
    '5 s',
    ' 5s',
    '5S',
    '-5s',
    '1.5s',
    '1h30m',
    '25d',
    '9999999999s',
    '5sec',
    '0x5s',
    '٥s',
    '5s\n',
  ]) {
    t.equal(parseTimeSpan(wrong), undefined, JSON.stringify(wrong));
  }
  for (const [text, bytes] of [
    ['512B', 512],
    ['64KB', 64_000],
    ['16MB', 16_000_000],
    ['1GiB', 1_073_741_824],
  ] as const) {
    t.equal(parseByteSize(text), bytes, text);
  }
  for (const wrong of ['', '16', '16mb', '16M', '1.5MB', '16 MB', '999999999GiB'])
    t.equal(parseByteSize(wrong), undefined, wrong);
  fc.assert(fc.property(fc.integer({ min: 0, max: 2_073_600_000 }), (ms) => parseTimeSpan(showTimeSpan(ms)) === ms));
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 999_999_999 }), (bytes) => parseByteSize(showByteSize(bytes)) === bytes),
  );
  t.equal(showTimeSpan(86_400_000), '1d');
  t.equal(showByteSize(16_000_000), '16MB');
});

t.test('only addresses of this machine are loopback', async (t) => {
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', '[::1]', 'localhost', 'LOCALHOST', 'a.localhost'])
    t.ok(isLoopback(host), host);
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example.com', 'localhost.example.com', '1270.0.0.1', ''])
    t.notOk(isLoopback(host), host);
  t.same(parseListen('[::1]:0'), { host: '::1', port: 0 });
  for (const wrong of ['[127.0.0.1]:1', '::1:80', 'a:65536', 'a', '1.2.3:80', 'a b:80'])
    t.equal(parseListen(wrong), undefined, wrong);
});

t.test('the master key is made once, for its owner only, and never replaced [master-key-never-replaced]', async (t) => {
  const folder = t.testdir({});
  const file = join(folder, 'new', 'master.key');
  const config = parseConfig(
    `keys: { master: { file: ./new/master.key } }\n${MINIMAL}`,
    join(folder, 'config.yaml'),
    {},
  );
  const first = loadMasterKey(config);
  t.equal(first.created, true);
  t.equal(first.master.length, 32);
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.equal(statSync(join(folder, 'new')).mode & 0o777, 0o700);
  const again = loadMasterKey(config);
  t.equal(again.created, false);
  t.same(again.master, first.master);
  t.same(again.warnings, []);

  chmodSync(file, 0o644);
  t.match(loadMasterKey(config).warnings, [/^keys\.master: others/]);
  for (const wrong of [
    '',
    'short',
    Buffer.alloc(31).toString('base64'),
    Buffer.alloc(33).toString('hex'),
    'x'.repeat(64),
  ]) {
    writeFileSync(file, wrong);
    t.throws(() => loadMasterKey(config), {
      name: 'ConfigFault',
      message: /keys\.master: the file .* holds no key, expected 32 bytes/,
    });
    t.equal(readFileSync(file, 'utf8'), wrong, 'left as it is');
  }
  writeFileSync(file, `${first.master.toString('hex').toUpperCase()}\n`);
  t.same(loadMasterKey(config).master, first.master, 'hex is read as well');
});

t.test('previous master keys must all be there', async (t) => {
  const folder = t.testdir({ 'old.key': Buffer.alloc(32, 7).toString('base64url') });
  const load = (previous: string) =>
    loadMasterKey(parseConfig(`keys: { previous: [${previous}] }\n${MINIMAL}`, join(folder, 'config.yaml'), {}));
  t.same(load('{ file: old.key }').previous, [Buffer.alloc(32, 7)]);
  t.throws(() => load('{ file: old.key }, { file: older.key }'), {
    message: /keys\.previous\[1\]: the file .* cannot be read \(ENOENT\)/,
  });
  t.notOk(existsSync(join(folder, 'older.key')), 'only the master key is ever made');
  mkdirSync(join(folder, 'a'));
  writeFileSync(join(folder, 'a', 'file'), '');
  const blocked = parseConfig(`keys: { master: { file: ./a/file/key } }\n${MINIMAL}`, join(folder, 'config.yaml'), {});
  t.throws(() => loadMasterKey(blocked), { name: 'ConfigFault', message: /cannot be read \(ENOTDIR\)/ });
});
