import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ConfigFault, loadConfig, parseConfig, type Config } from '../../proxy/config.ts';
import { restartNeeded, takeLive } from '../../proxy/config/restart.ts';
import { watchConfig, type ConfigWatch } from '../../proxy/config/watch.ts';

const MINIMAL = 'connections:\n  - name: default\n    upstream: { url: http://127.0.0.1:3001/mcp }\n';
const withExpiry = (expiry: string): string => `hold: { review_expiry: ${expiry} }\n${MINIMAL}`;
const BROKEN = 'hold: { review_expiry: soon }\n';

type Event = Config | ConfigFault;

interface Watched {
  readonly watch: ConfigWatch;
  /** The next thing the watch tells, in order. */
  next(): Promise<Event>;
  readonly untaken: readonly Event[];
}

function watched(t: Test, file: string, running = loadConfig(file, {})): Watched {
  const events: Event[] = [];
  const takers: ((event: Event) => void)[] = [];
  const tell = (event: Event): void => {
    const taker = takers.shift();
    if (taker === undefined) events.push(event);
    else taker(event);
  };
  const watch = watchConfig(file, { onChange: tell, onFault: tell }, { env: {}, running });
  t.teardown(() => watch.close());
  return {
    watch,
    untaken: events,
    next() {
      const event = events.shift();
      return event === undefined ? new Promise((resolve) => takers.push(resolve)) : Promise.resolve(event);
    },
  };
}

async function expiryOf(event: Promise<Event>): Promise<number | string> {
  const settled = await event;
  return settled instanceof ConfigFault ? settled.message : settled.hold.reviewExpiryMs;
}

/** Replaces a file the way careful programs do. */
function replace(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

t.test('a change is seen when the file is written in place, and when it is replaced by a rename', async (t) => {
  const file = join(t.testdir({ 'config.yaml': withExpiry('1h') }), 'config.yaml');
  const { next } = watched(t, file);
  writeFileSync(file, withExpiry('2h'));
  t.equal(await expiryOf(next()), 7_200_000);
  replace(file, withExpiry('3h'));
  t.equal(await expiryOf(next()), 10_800_000);
  replace(file, withExpiry('4h'));
  t.equal(await expiryOf(next()), 14_400_000, 'and again, the file being another one now');
});

t.test('a change is seen when a mounted ConfigMap swaps its ..data link [reload-symlink-swap]', async (t) => {
  const folder = t.testdir({
    '..v1': { 'config.yaml': withExpiry('1h') },
    '..v2': { 'config.yaml': withExpiry('2h') },
  });
  symlinkSync('..v1', join(folder, '..data'));
  symlinkSync('..data/config.yaml', join(folder, 'config.yaml'));
  const { next } = watched(t, join(folder, 'config.yaml'));
  for (const [version, hours] of [
    ['..v2', 2],
    ['..v3', 3],
    ['..v4', 4],
  ] as const) {
    mkdirSync(join(folder, version), { recursive: true });
    writeFileSync(join(folder, version, 'config.yaml'), withExpiry(`${hours}h`));
    symlinkSync(version, join(folder, '..next'));
    renameSync(join(folder, '..next'), join(folder, '..data'));
    rmSync(join(folder, `..v${hours - 1}`), { recursive: true });
    t.equal(await expiryOf(next()), hours * 3_600_000);
  }
});

t.test(
  'a change is seen when a folder above is a link that is swapped, and in the folder a link points to',
  async (t) => {
    const folder = t.testdir({ a: { 'config.yaml': withExpiry('1h') }, b: { 'config.yaml': withExpiry('2h') } });
    symlinkSync('a', join(folder, 'current'));
    const { next } = watched(t, join(folder, 'current', 'config.yaml'));
    symlinkSync('b', join(folder, 'next'));
    renameSync(join(folder, 'next'), join(folder, 'current'));
    t.equal(await expiryOf(next()), 7_200_000);
    replace(join(folder, 'b', 'config.yaml'), withExpiry('3h'));
    t.equal(await expiryOf(next()), 10_800_000);
  },
);

t.test(
  'a broken file is told once and the last good configuration goes on until it is mended [reload-keeps-last-good]',
  async (t) => {
    const file = join(t.testdir({ 'config.yaml': withExpiry('1h') }), 'config.yaml');
    const { next, untaken } = watched(t, file);
    replace(file, BROKEN);
    const fault = await next();
    t.ok(fault instanceof ConfigFault);
    t.match((fault as ConfigFault).message, /config\.yaml:1:24: hold\.review_expiry: is not accepted/);
    replace(file, BROKEN);
    replace(file, withExpiry('1h'));
    t.equal(await expiryOf(next()), 3_600_000, 'the same text as before the fault is good news too');
    t.same(untaken, []);
  },
);

t.test('a file that goes away is a fault, and one that comes back is a change', async (t) => {
  const file = join(t.testdir({ 'config.yaml': withExpiry('1h') }), 'config.yaml');
  const { next } = watched(t, file);
  unlinkSync(file);
  t.match(await expiryOf(next()), /config\.yaml: cannot be read \(ENOENT\)/);
  writeFileSync(file, withExpiry('1h'));
  t.equal(await expiryOf(next()), 3_600_000);
});

t.test('writing the same text again, or another file beside it, tells nothing', async (t) => {
  const folder = t.testdir({ 'config.yaml': withExpiry('1h') });
  const file = join(folder, 'config.yaml');
  const { next, untaken } = watched(t, file);
  const other = watched(t, file, parseConfig(withExpiry('9h'), file, {}));
  t.equal(await expiryOf(other.next()), 3_600_000, 'a change made before the watch began is not missed');
  writeFileSync(join(folder, 'other.yaml'), BROKEN);
  replace(file, readFileSync(file, 'utf8'));
  other.watch.reload();
  t.equal(await expiryOf(other.next()), 3_600_000, 'a reload on demand tells it all the same');
  writeFileSync(file, withExpiry('2h'));
  t.equal(await expiryOf(next()), 7_200_000, 'the first that is told is the first that changed');
  t.same(untaken, []);
});

t.test('a closed watch tells nothing more', async (t) => {
  const file = join(t.testdir({ 'config.yaml': withExpiry('1h') }), 'config.yaml');
  const closed = watched(t, file);
  const open = watched(t, file);
  writeFileSync(file, withExpiry('2h'));
  closed.watch.close();
  t.equal(await expiryOf(open.next()), 7_200_000);
  closed.watch.reload();
  t.same(closed.untaken, []);
});

const FILE = '/etc/portcullis/config.yaml';
const config = (text: string, env: Record<string, string> = {}): Config => parseConfig(text, FILE, env);

t.test('exactly the changes that a running gateway cannot take over are named', async (t) => {
  const base = config(MINIMAL);
  const cases: readonly (readonly [string, readonly string[]])[] = [
    [MINIMAL, []],
    [`# a comment\n${MINIMAL}`, []],
    [withExpiry('1h'), []],
    [`guardrails:\n  - { name: a, input: { rules: [{ type: deny_words_list, words: [x] }] } }\n${MINIMAL}`, []],
    [`server: { allowed_origins: [https://a.example] }\n${MINIMAL}`, []],
    [`${MINIMAL}    access: { groups: [a] }\n    attributes: [pii]\n`, []],
    [`server: { listen: "127.0.0.1:1" }\n${MINIMAL}`, ['server.listen', 'server.public_url']],
    [`server: { body_timeout: 31s }\n${MINIMAL}`, ['server.body_timeout']],
    [`auth: { oidc: { issuer: "https://idp.example" } }\n${MINIMAL}`, ['auth.oidc']],
    [
      `recorder: { durability: call }\nkeys: { master: { file: b } }\n${MINIMAL}`,
      ['keys.master.file', 'recorder.durability'],
    ],
    [`log: { level: warn }\n${MINIMAL}`, ['log.level']],
    [`${MINIMAL}    timeout: 11m\n`, ['connections[default].timeout']],
    [MINIMAL.replace('3001', '3002'), ['connections[default].upstream']],
    [`${MINIMAL}  - { name: b, upstream: { command: [x] } }\n`, ['connections[b]']],
    [MINIMAL.replace('default', 'only'), ['connections[default]', 'connections[only]']],
  ];
  for (const [text, expected] of cases) t.same(restartNeeded(base, config(text)), expected, text);
  const secret = (value: string): Config =>
    config(`${MINIMAL}    credential: { type: static, value: "\${V}" }\n`, { V: value });
  t.same(restartNeeded(secret('fake-1'), secret('fake-2')), ['connections[default].credential']);
  t.same(restartNeeded(secret('fake-1'), secret('fake-1')), []);
});

t.test(
  'a reload takes the live keys over the running rest, and a connection that is gone answers nobody',
  async (t) => {
    const running = config(
      `${MINIMAL}    access: { groups: [old] }\n  - { name: gone, upstream: { command: [x] }, access: { groups: [old] } }\n`,
    );
    const next = config(
      `server: { listen: "127.0.0.1:1", allowed_origins: [https://a.example] }\nhold: { heartbeat: 5s }\nguardrails: [{ name: g, input: { rules: [{ type: deny_words_list, words: [x] }] } }]\n` +
        `${MINIMAL.replace('3001', '3002')}    attributes: [pii]\n  - { name: added, upstream: { command: [y] } }\n`,
    );
    const taken = takeLive(running, next);
    t.same(taken.server.listen, running.server.listen);
    t.same(taken.server.allowedOrigins, ['https://a.example']);
    t.equal(taken.hold.heartbeatMs, 5000);
    t.same(taken.rules, next.rules);
    t.same(
      taken.connections.map(({ name, upstream, access, attributes }) => ({ name, upstream, access, attributes })),
      [
        { name: 'default', upstream: running.connections[0]!.upstream, access: undefined, attributes: ['pii'] },
        { name: 'gone', upstream: running.connections[1]!.upstream, access: undefined, attributes: [] },
      ],
    );
    t.notOk(taken.rules.connections.some((each) => each.name === 'gone'));
  },
);
