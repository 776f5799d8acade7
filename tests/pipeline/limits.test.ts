import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { parseConfig } from '../../proxy/config.ts';
import { startUpstream, type Upstream } from '../fixture/upstream.ts';
import { callTool, modern, send, startGateway, textOf, type Answer, type TestGateway } from '../gateway.ts';
import { openSession } from '../session.ts';

class Clock {
  now = 1_699_999_200_000;
  readonly read = (): number => this.now;
}

interface Stage {
  readonly gateway: TestGateway;
  readonly upstream: Upstream;
  readonly url: string;
  readonly clock: Clock;
  readonly erin: string;
  /** Puts other rules into force, as a reload does. */
  reload(limits: readonly JsonObject[]): void;
}

/** A gateway with these limits in front of the default tools. */
async function start(t: Test, limits: readonly JsonObject[], more: JsonObject = {}, folder?: string): Promise<Stage> {
  const upstream = await startUpstream();
  t.teardown(() => upstream.close());
  const clock = new Clock();
  const config = (rules: readonly JsonObject[]): JsonObject => ({
    connections: [
      {
        name: 'default',
        upstream: { url: upstream.url },
        access: { groups: ['eng'] },
        routes: [{ methods: ['GET', 'POST'], path: '/files' }],
      },
    ],
    ...more,
    limits: rules as JsonObject[],
  });
  const gateway = await startGateway(t, config(limits), folder, clock.read);
  return {
    gateway,
    upstream,
    url: `${gateway.url}/mcp`,
    clock,
    erin: await gateway.person('erin', ['eng']),
    reload(rules) {
      const whole = {
        ...config(rules),
        keys: { master: { file: join(gateway.folder, 'key') } },
        recorder: { path: join(gateway.folder, 'portcullis.db') },
      };
      gateway.portcullis.apply(parseConfig(JSON.stringify(whole), join(gateway.folder, 'config.yaml'), {}));
    },
  };
}

const denialOf = (answer: Answer): JsonObject | undefined =>
  ((answer.json['result'] as JsonObject | undefined)?.['_meta'] as JsonObject | undefined)?.['portcullis/denial'] as
    | JsonObject
    | undefined;
const codeOf = (answer: Answer): unknown => denialOf(answer)?.['code'] ?? 'passed';
const echo = (url: string, token: string, value: number | string = 1): Promise<Answer> =>
  callTool(url, token, 'echo', { value });
const ranAs = (upstream: Upstream, name: string): number => upstream.received(name).length;
const folderOf = (t: Test): string => {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
};

t.test('a call beyond the rate is refused, recorded and told when to come back [limit-rate]', async (t) => {
  const { url, erin, upstream, clock, gateway } = await start(t, [{ name: 'rate', calls: { most: 2, within: '1m' } }]);
  await echo(url, erin);
  clock.now += 30_000;
  t.equal(codeOf(await echo(url, erin)), 'passed');
  const refused = await echo(url, erin);
  t.equal(refused.status, 200);
  t.equal((refused.json['result'] as JsonObject)['isError'], true);
  t.match(denialOf(refused), {
    code: 'rate_limited',
    rule: 'rate',
    retry_after: 31,
    remedy: 'wait 31 s, then repeat the call',
  });
  t.match(textOf(refused), /the limit rate allows 2 calls in 1m.*wait 31 s/s);
  t.match(denialOf(refused)!['exchange_id'], /^exc_/);
  t.equal(ranAs(upstream, 'echo'), 2, 'it never left');

  const prompt = await modern(url, erin, 'prompts/get', { name: 'greet' });
  t.match(prompt.json['error'], { code: 1041, data: { code: 'rate_limited', retry_after: 31 } }, 'prompts count too');
  const legacy = await openSession(url, erin);
  t.notOk((await legacy.request('tools/list')).json['error'], 'opening and listing is no call');
  const other = await legacy.request('tools/call', { name: 'echo', arguments: {} });
  t.equal(codeOf(other), 'rate_limited', 'one caller is one caller in every era');
  const dana = await gateway.person('dana', ['eng']);
  t.equal(codeOf(await echo(url, dana)), 'passed', 'another caller has places of her own');

  clock.now += 31_000;
  t.equal(codeOf(await echo(url, erin)), 'passed', 'the time said was enough');
  t.equal(codeOf(await echo(url, erin)), 'rate_limited', 'one place was free');
  const record = (await gateway.exchanges()).find(({ decision }) => decision?.code === 'rate_limited');
  t.match(record, { decision: { action: 'deny', rules: ['rate'], findings: [{ policy: 'limit', entity: 'calls' }] } });
  const metrics = await send(`${gateway.url}/metrics`, undefined, undefined, {}, 'GET');
  t.match(metrics.text, /portcullis_refusals_total\{code="rate_limited"\} 4/);
});

t.test(
  'who is counted together: callers, groups, tools, connections; admins too, the gateway itself never',
  async (t) => {
    const within = '1m';
    const { url, erin, gateway } = await start(t, [
      { name: 'group', per: 'group', groups: ['interns'], calls: { most: 1, within } },
      { name: 'tool', per: 'tool', tools: ['ech?'], calls: { most: 4, within } },
      { name: 'all', per: 'connection', calls: { most: 6, within } },
    ]);
    const [ivan, ines] = [
      await gateway.person('ivan', ['eng', 'interns']),
      await gateway.person('ines', ['eng', 'interns']),
    ];
    const root = await gateway.person('root', ['admin']);
    const rule = async (token: string, tool = 'echo'): Promise<unknown> =>
      denialOf(await callTool(url, token, tool))?.['rule'] ?? 'passed';
    t.equal(await rule(ivan), 'passed');
    t.equal(await rule(ines), 'group', 'another member used it up');
    t.strictSame([await rule(erin), await rule(erin), await rule(root)], ['passed', 'passed', 'passed']);
    t.equal(await rule(erin), 'tool');
    t.equal(await rule(root), 'tool');
    t.strictSame([await rule(erin, 'secrets'), await rule(root, 'secrets')], ['passed', 'passed']);
    t.equal(await rule(root, 'secrets'), 'all', 'an admin is limited like anybody');
    const list = await modern(url, erin, 'tools/list');
    t.ok(list.json['result'], 'the gateway still reads what it must know, and lists pass');
  },
);

t.test('calls that run take places, and every end of a call gives its place back [limit-concurrency]', async (t) => {
  const { url, erin, upstream, gateway } = await start(t, [{ name: 'few', concurrent: 2 }]);
  const first = callTool(url, erin, 'slow', { n: 1 });
  const second = callTool(url, erin, 'slow', { n: 2 });
  await upstream.arrival('slow', 2);
  const third = await callTool(url, erin, 'slow', { n: 3 });
  t.match(denialOf(third), { code: 'concurrency_limited', rule: 'few' });
  t.notOk('retry_after' in denialOf(third)!, 'nobody knows when');
  upstream.release();
  t.strictSame([codeOf(await first), codeOf(await second)], ['passed', 'passed']);
  t.equal(codeOf(await echo(url, erin)), 'passed');

  // A client that leaves.
  const gone = new AbortController();
  const left = fetch(url, {
    method: 'POST',
    signal: gone.signal,
    headers: {
      authorization: `Bearer ${erin}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'slow',
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 9,
      method: 'tools/call',
      params: {
        name: 'slow',
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientCapabilities': {},
        },
      },
    }),
  });
  await upstream.arrival('slow', 3);
  gone.abort();
  await t.rejects(left);
  await closedAs(gateway, 'slow', 3);

  // A request whose id is taken is refused before anything of it is recorded.
  const session = await openSession(url, erin);
  const held = session.request('tools/call', { name: 'slow', arguments: {} }, 5);
  await upstream.arrival('slow', 4);
  const twice = await session.request('tools/call', { name: 'slow', arguments: {} }, 5);
  t.match(twice.json['error'], { data: { code: 'duplicate_request' } });
  t.equal(codeOf(await echo(url, erin)), 'passed', 'it took no place');
  upstream.release();
  await held;
  // An upstream that fails.
  await callTool(url, erin, 'fail');
  await callTool(url, erin, 'fail');
  const again = [callTool(url, erin, 'slow'), callTool(url, erin, 'slow')];
  await upstream.arrival('slow', 6);
  t.equal(codeOf(await echo(url, erin)), 'concurrency_limited', 'two places in all, as before');
  upstream.release();
  await Promise.all(again);
});

/** Resolves when so many exchanges of the tool are over. */
async function closedAs(gateway: TestGateway, name: string, count: number): Promise<void> {
  for (;;) {
    const over = (await gateway.exchanges()).filter((each) => each.name === name && each.closedAt !== undefined);
    if (over.length >= count) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

t.test('of calls that come at the same moment exactly as many pass as may [limit-atomic]', async (t) => {
  const { url, erin, upstream } = await start(t, [{ name: 'rate', calls: { most: 7, within: '1m' } }]);
  const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => echo(url, erin, index)));
  t.equal(answers.filter((answer) => codeOf(answer) === 'passed').length, 7);
  t.equal(ranAs(upstream, 'echo'), 7);
});

t.test('every element of a batch counts', async (t) => {
  const { url, erin } = await start(t, [{ name: 'rate', calls: { most: 2, within: '1m' } }]);
  const session = await openSession(url, erin, { version: '2025-03-26' });
  const one = (id: number): JsonObject => ({
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: { name: 'echo', arguments: {} },
  });
  const { text } = await session.post(JSON.stringify([one(1), one(2), one(3)]));
  const refused = (JSON.parse(text) as JsonObject[]).filter((each) => JSON.stringify(each).includes('rate_limited'));
  t.equal(refused.length, 1);
});

t.test('budgets of bytes and of sessions, with and without a session id [limit-budgets]', async (t) => {
  const limits: JsonObject[] = [
    { name: 'bytes', tools: ['secrets'], result_bytes: { most: '2KB', within: '1h' } },
    { name: 'session', session: { calls: 3 } },
  ];
  const { url, erin, clock, gateway } = await start(t, limits);
  const dana = await gateway.person('dana', ['eng']);
  let size = 0;
  let answer = await callTool(url, dana, 'secrets');
  for (; codeOf(answer) === 'passed' && size < 4_000; answer = await callTool(url, dana, 'secrets'))
    size += Buffer.byteLength(answer.text);
  t.ok(size >= 2_000 && size < 4_000, 'what goes beyond is given whole');
  t.match(denialOf(answer), { code: 'budget_spent', rule: 'bytes', retry_after: 3_660 });

  const stateless = [await echo(url, erin), await echo(url, erin), await echo(url, erin), await echo(url, erin)];
  t.strictSame(stateless.map(codeOf), ['passed', 'passed', 'passed', 'budget_spent']);
  t.match(denialOf(stateless[3]!), { rule: 'session', retry_after: 1_800 });
  const one = await openSession(url, erin);
  const call = (id: number) => one.request('tools/call', { name: 'echo', arguments: {} }, id);
  const legacy = [await call(1), await call(2), await call(3), await call(4)];
  t.strictSame(
    legacy.map(codeOf),
    ['passed', 'passed', 'passed', 'budget_spent'],
    'a session id is a session of its own',
  );
  t.notOk('retry_after' in denialOf(legacy[3]!)!);
  const two = await openSession(url, erin);
  t.equal(codeOf(await two.request('tools/call', { name: 'echo', arguments: {} })), 'passed');
  clock.now += 29 * 60_000;
  t.equal(codeOf(await echo(url, erin)), 'budget_spent', 'asking is not silence');
  clock.now += 30 * 60_000;
  t.equal(codeOf(await echo(url, erin)), 'passed', 'half an hour of silence ends it');
});

t.test('an agent that repeats itself is stopped, however it spells the call [limit-loop]', async (t) => {
  const { url, erin, upstream } = await start(t, [{ name: 'loop', repeats: { most: 2, within: '10m' } }]);
  await callTool(url, erin, 'echo', { a: 1, b: 2 }, { progressToken: 1 });
  await callTool(url, erin, 'echo', { b: 2, a: 1 }, { progressToken: 2 });
  const third = await callTool(url, erin, 'echo', { a: 1, b: 2 });
  t.match(denialOf(third), { code: 'loop_detected', rule: 'loop', retry_after: 610 });
  t.match(textOf(third), /the same call 2 times in 10m.*do not repeat this call/s);
  const session = await openSession(url, erin);
  const fourth = await session.request('tools/call', { arguments: { b: 2, a: 1 }, name: 'echo' });
  t.equal(codeOf(fourth), 'loop_detected', 'in another era too');
  t.equal(codeOf(await callTool(url, erin, 'echo', { a: 1, b: 3 })), 'passed');
  t.equal(ranAs(upstream, 'echo'), 3);
});

t.test(
  'an observing limit lets everything pass and says what it saw; enforcing it needs no restart, and keeps its counts [limit-reload]',
  async (t) => {
    const rate = { name: 'rate', calls: { most: 1, within: '1m' } };
    const { url, erin, gateway, reload } = await start(t, [{ ...rate, mode: 'observe' }]);
    const bodies = [await echo(url, erin), await echo(url, erin)].map(({ text }) => text);
    t.equal(bodies[0], bodies[1], 'not a byte of the answer differs');
    const seen = (await gateway.exchanges()).filter(({ name }) => name === 'echo').map(({ decision }) => decision);
    t.match(seen, [
      { action: 'allow', findings: [] },
      { action: 'allow', findings: [{ rule: 'rate', policy: 'limit', entity: 'calls', observed: true }] },
    ]);
    reload([rate]);
    t.equal(codeOf(await echo(url, erin)), 'rate_limited', 'what it counted counts');
    reload([rate, { name: 'other', concurrent: 5 }]);
    t.equal(codeOf(await echo(url, erin)), 'rate_limited', 'another limit changes nothing');
    reload([{ ...rate, calls: { most: 2, within: '1m' } }]);
    t.strictSame(
      [codeOf(await echo(url, erin)), codeOf(await echo(url, erin))],
      ['passed', 'passed'],
      'a changed one begins anew',
    );
    reload([]);
    t.equal(codeOf(await echo(url, erin)), 'passed');
  },
);

t.test(
  'long limits go on after a restart; a damaged file is said loudly and counts as half used [limit-restart]',
  async (t) => {
    const folder = folderOf(t);
    const limits: JsonObject[] = [
      { name: 'long', tools: ['echo'], calls: { most: 4, within: '1h' } },
      { name: 'short', tools: ['secrets'], calls: { most: 1, within: '1m' } },
      { name: 'trusting', tools: ['progress'], calls: { most: 2, within: '1h' }, on_lost_state: 'allow' },
    ];
    const run = async (): Promise<Stage> => start(t, limits, {}, folder);
    const codes = async ({ url, erin }: Stage, tool: string, times: number): Promise<unknown[]> => {
      const all: unknown[] = [];
      for (let index = 0; index < times; index += 1) all.push(codeOf(await callTool(url, erin, tool, { index })));
      return all;
    };
    const first = await run();
    t.strictSame(await codes(first, 'echo', 3), ['passed', 'passed', 'passed']);
    t.strictSame(await codes(first, 'secrets', 1), ['passed']);
    await first.gateway.close();
    const file = join(folder, 'portcullis.db.limits');
    t.equal(statSync(file).mode & 0o777, 0o600);
    t.equal((JSON.parse(readFileSync(file, 'utf8')) as JsonObject)['version'], 1);

    const second = await run();
    t.strictSame(await codes(second, 'echo', 2), ['passed', 'rate_limited'], 'three were counted before');
    t.strictSame(await codes(second, 'secrets', 1), ['passed'], 'a minute is not kept');
    await second.gateway.close();

    writeFileSync(file, '{"version":1,');
    const third = await run();
    t.ok(
      third.gateway.logged.some(
        (line) => line.includes('"level":"error"') && line.includes('counts of limits cannot be read'),
      ),
    );
    t.strictSame(await codes(third, 'echo', 3), ['passed', 'passed', 'rate_limited'], 'half used');
    t.strictSame(
      await codes(third, 'progress', 3),
      ['passed', 'passed', 'rate_limited'],
      'unused, where the rule says so',
    );
    third.clock.now += 61 * 60_000;
    t.strictSame(
      await codes(third, 'echo', 4),
      ['passed', 'passed', 'passed', 'passed'],
      'an hour later nothing is in doubt',
    );
    await third.gateway.close();
  },
);

t.test(
  'a held call is counted when it is asked, takes a place when it runs, and keeps its approval when there is none [limit-held-call]',
  async (t) => {
    const { url, erin, upstream, gateway, clock } = await start(
      t,
      [{ name: 'one', concurrent: 1, calls: { most: 4, within: '1m' } }],
      {
        access_request_rules: [
          {
            name: 'secrets',
            connections: ['default'],
            access_type: 'command',
            when: 'tool.name == "secrets"',
            reviewers_groups: ['dba'],
          },
        ],
      },
    );
    // Reviews expire by the real time.
    clock.now = Date.now();
    const dana = await gateway.person('dana', ['dba']);
    const { reviews } = gateway.portcullis.gateway.recorder;
    const pending = Promise.withResolvers<string>();
    reviews.onChange(({ id, state }) => state === 'PENDING' && pending.resolve(id));
    const held = callTool(url, erin, 'secrets');
    const id = await pending.promise;
    const slow = callTool(url, erin, 'slow');
    await upstream.arrival('slow');
    t.pass('a call that is held takes no place');
    const approved = await send(`${gateway.url}/api/reviews/${id}`, dana, '{"status":"APPROVED"}', {}, 'PUT');
    t.equal(approved.json['status'], 'APPROVED');
    t.equal(codeOf(await held), 'concurrency_limited');
    t.equal(ranAs(upstream, 'secrets'), 0);
    t.equal((await reviews.get(id))!.state, 'APPROVED', 'the approval stays');
    upstream.release();
    await slow;
    t.equal(codeOf(await callTool(url, erin, 'secrets')), 'passed', 'the same call again runs on it');
    t.equal((await reviews.get(id))!.state, 'EXECUTED');
    t.equal(ranAs(upstream, 'secrets'), 1);
    t.equal(codeOf(await echo(url, erin)), 'passed', 'and its place is free again');
    t.equal(codeOf(await echo(url, erin)), 'rate_limited', 'four were asked');
  },
);

t.test('what other rules refuse uses nothing up, and limits do not tell what is hidden', async (t) => {
  const { url, erin } = await start(t, [{ name: 'rate', calls: { most: 1, within: '1m' } }], {
    guardrails: [{ name: 'no', input: { rules: [{ type: 'deny_words_list', words: ['forbidden'] }] } }],
    access_control: [{ name: 'hide', groups: ['eng'], tools: { deny: ['secrets'] } }],
  });
  t.equal(codeOf(await echo(url, erin, 'forbidden')), 'guardrail_blocked');
  t.equal(codeOf(await echo(url, erin)), 'passed');
  const hidden = await callTool(url, erin, 'secrets');
  const unknown = await callTool(url, erin, 'secretz');
  const same = (answer: Answer): string => JSON.stringify(answer.json).replaceAll(/secret[sz]/g, 'x');
  t.equal(same(hidden), same(unknown));
  t.notMatch(hidden.text, /limit/);
  t.equal(codeOf(await echo(url, erin, 'forbidden')), 'guardrail_blocked', 'the first voice speaks');
});

t.test('requests on other routes are limited too', async (t) => {
  const { gateway, erin } = await start(t, [{ name: 'rate', calls: { most: 1, within: '1m' } }]);
  const get = (): Promise<Answer> => send(`${gateway.url}/files/a.txt`, erin, undefined, {}, 'GET');
  await get();
  const refused = await get();
  t.match(refused.text, /rate_limited/);
});
