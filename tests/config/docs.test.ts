import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { CONFIG_SCHEMA, loadConfig, parseConfig } from '../../proxy/config.ts';
import { listRows } from '../../proxy/config/rows.ts';
import { ERRORS } from '../../proxy/errors.ts';
import { createLog } from '../../proxy/log.ts';
import { createMetrics, METRICS } from '../../proxy/metrics.ts';
import { linesOfRows, switchOn, valuesOf } from '../../scripts/example-sentences.ts';
import { staleFiles } from '../../scripts/write-docs.ts';

const ROOT = new URL('../../', import.meta.url);
const EXAMPLE = readFileSync(new URL('config.example.yaml', ROOT), 'utf8');

t.test('pages and the example say what the tables say [docs-match-tables]', async (t) => {
  t.same(staleFiles(ROOT), [], 'run node scripts/write-docs.ts');
});

t.test('every row of the schema has one sentence', async (t) => {
  for (const { name, row } of listRows(CONFIG_SCHEMA)) {
    t.match(row.description ?? '', /^[A-Z`].*\.$/, `${name} has one sentence`);
  }
});

t.test(
  'the example shows every option of the schema with its default and its sentence, and no other [example-complete]',
  async (t) => {
    const text = switchOn(EXAMPLE);
    const lines = text.split('\n');
    const places = linesOfRows(text);
    const value: unknown = parse(text);
    const rows = listRows(CONFIG_SCHEMA);
    for (const { name, row, section } of rows) {
      const values = valuesOf(value, name);
      t.ok(values.length > 0, `${name} appears`);
      let line = (places.get(name) ?? 0) - 1;
      const comment: string[] = [];
      for (; /^ *# /.test(lines[line] ?? ''); line -= 1) comment.unshift(lines[line]!.replace(/^ *# /, ''));
      const fallback = JSON.stringify(row.default);
      const isWritten =
        section || !fallback || fallback === '""' || values.some((each) => JSON.stringify(each) === fallback);
      const sentence = isWritten ? row.description : `${row.description} Default: ${fallback}.`;
      t.equal(comment.join(' '), sentence, `${name} has its sentence, and its default as value or in words`);
    }
    const known = new Set(rows.map((row) => row.name));
    const maps = rows.filter(
      ({ row }) => row.additionalProperties || row.required?.[0] === 'file' || row.content === true,
    );
    for (const name of places.keys())
      t.ok(known.has(name) || maps.some((map) => name.startsWith(map.name)), `${name} is known`);
  },
);

t.test('the example loads without fault and without a risk, as it is and with everything switched on', async (t) => {
  const folder = t.testdir({});
  copyFileSync(new URL('config.example.yaml', ROOT), join(folder, 'config.yaml'));
  const config = loadConfig(join(folder, 'config.yaml'), {});
  t.same(config.warnings, []);
  t.equal(config.connections.length, 1);
  copyFileSync(new URL('tests/config/fixture-ca.pem', ROOT), join(folder, 'ca.pem'));
  const full = parseConfig(switchOn(EXAMPLE), join(folder, 'config.yaml'), { UPSTREAM_TOKEN: 'fake-token' });
  t.same(full.warnings, []);
  t.equal(full.connections.length, 3);
  t.equal(full.auth.oidc?.clockToleranceMs, 30_000);
  t.match((full.connections[1]!.upstream as { ca?: string }).ca, /BEGIN CERTIFICATE/);
});

t.test('every error has a sentence and a remedy in the house style', async (t) => {
  for (const [code, row] of Object.entries(ERRORS)) {
    t.match(code, /^[a-z]+(_[a-z]+)*$/);
    t.notMatch(row.sentence, /\.$/, code);
    t.notMatch(row.remedy, /\.$/, code);
    t.ok(row.http >= 200 && row.http < 600, code);
  }
});

function linesOf(format: 'json' | 'text', level: 'debug' | 'info' | 'warn' | 'error' = 'info') {
  const lines: string[] = [];
  return { lines, log: createLog({ level, format, sink: { write: (line) => lines.push(line) } }) };
}

t.test('log lines never show what stands under a sensitive name [log-redacts-secrets]', async (t) => {
  for (const format of ['json', 'text'] as const) {
    const { lines, log } = linesOf(format);
    const fields = {
      token: 'fake-1',
      headers: {
        authorization: 'fake-2',
        Authorization: 'fake-3',
        cookie: 'fake-4',
        'set-cookie': ['fake-5'],
        'x-kept': 'kept',
      },
      deep: { one: { secret: 'fake-6', value: 'fake-7', password: 'fake-8' } },
    };
    log.warn(fields, 'refused');
    log.child({ Cookie: 'fake-9', exchange: 'kept' }).error({}, 'failed');
    t.equal(lines.length, 2);
    t.notMatch(lines.join(''), /fake-/, format);
    t.equal(lines.join('').match(/\*\*\*/g)?.length, 9, format);
    t.equal(lines.join('').match(/kept/g)?.length, 3);
  }
});

t.test('log lines are one JSON object each, from the level on', async (t) => {
  const { lines, log } = linesOf('json', 'warn');
  log.info({}, 'unheard');
  log.warn({ key: 'server.listen', err: new Error('broken\nin two') }, 'a line\nthat is one');
  t.equal(lines.length, 1);
  t.match(JSON.parse(lines[0]!), {
    level: 'warn',
    key: 'server.listen',
    msg: 'a line\nthat is one',
    err: { message: 'broken\nin two' },
  });
  t.match(JSON.parse(lines[0]!).time, /^\d{4}-\d\d-\d\dT.*Z$/);
});

t.test('a text line cannot move the cursor, begin another line or turn its text around', async (t) => {
  const { lines, log } = linesOf('text');
  log.info({ name: 'a\u001b[2J\u202eb\u0085\r\n' }, 'hello\nERROR forged');
  t.equal(lines.length, 1);
  t.match(lines[0], /^\S+ INFO {2}hello\\u\{a\}ERROR forged name="a/);
  t.notMatch(lines[0]!.slice(0, -1), /[\p{Cc}\p{Cf}]/u);
});

/** Samples of our own metrics: name and labels to value. */
async function samples(metrics: ReturnType<typeof createMetrics>): Promise<Map<string, number>> {
  const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith('portcullis_'));
  return new Map(
    lines.map((line) => [line.slice('portcullis_'.length, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]),
  );
}

t.test('metrics count calls, findings, refusals, reviews and reloads', async (t) => {
  const metrics = createMetrics();
  metrics.opened('default', 'allow');
  metrics.opened('default', 'allow');
  metrics.opened('default', 'deny');
  const finding = {
    rule: 'pii',
    policy: 'masking',
    direction: 'output',
    action: 'mask',
    path: '',
    entity: 'US_SSN',
    count: 3,
  } as const;
  metrics.closed('default', 'answered', 20, 4, [finding, finding]);
  metrics.closed('default', 'denied', 1, 0, []);
  metrics.refused('token_missing');
  metrics.reviewChanged('APPROVED');
  metrics.configReloaded('refused');
  metrics.rulebookLoaded('old');
  metrics.rulebookLoaded('new');
  metrics.readFrom({ holdsWaiting: () => 7, sessionsOpen: () => 8, storeTrouble: () => true });
  const found = await samples(metrics);
  for (const [name, value] of [
    ['calls_total{connection="default",decision="allow"}', 2],
    ['calls_total{connection="default",decision="deny"}', 1],
    ['calls_closed_total{connection="default",outcome="answered"}', 1],
    ['exchanges_open{connection="default"}', 1],
    ['call_duration_seconds_count{connection="default"}', 2],
    ['call_duration_seconds_sum{connection="default"}', 0.021],
    ['upstream_duration_seconds_count{connection="default"}', 1],
    ['findings_total{policy="masking",entity="US_SSN"}', 6],
    ['refusals_total{code="token_missing"}', 1],
    ['reviews_changed_total{state="APPROVED"}', 1],
    ['config_reloads_total{result="refused"}', 1],
    ['rulebook_info{revision="new"}', 1],
    ['holds_waiting', 7],
    ['sessions_open', 8],
    ['store_trouble', 1],
  ] as const) {
    t.equal(found.get(name), value, name);
  }
  t.notOk(found.has('rulebook_info{revision="old"}'), 'one revision at a time');
  t.match(metrics.contentType, /^text\/plain; version=/);
});

t.test(
  'every metric of the table is exposed, two gateways in one process do not share any, and labels are bounded',
  async (t) => {
    const metrics = createMetrics();
    const text = await metrics.text();
    for (const [name, row] of Object.entries(METRICS)) {
      t.ok(text.includes(`# HELP portcullis_${name} ${row.help}\n# TYPE portcullis_${name} ${row.type}\n`), name);
    }
    t.match(text, /process_cpu_seconds_total/);
    t.match(text, /nodejs_eventloop_lag_seconds/);
    const finding = { rule: 'r', policy: 'masking', direction: 'output', action: 'mask', path: '', count: 1 } as const;
    const many = Array.from({ length: 1000 }, (_, index) => ({ ...finding, entity: `CUSTOM_${index}` }));
    metrics.closed('default', 'answered', 1, 1, many);
    const series = [...(await samples(metrics))].filter(([name]) => name.startsWith('findings_total'));
    t.ok(series.length <= 201, `${series.length} series`);
    t.equal(
      series.reduce((sum, [, value]) => sum + value, 0),
      1000,
      'nothing goes uncounted',
    );
    t.notOk((await samples(createMetrics())).has('calls_closed_total{connection="default",outcome="answered"}'));
  },
);
