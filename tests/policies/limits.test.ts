import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { checkRules } from '../../policies/check.ts';
import { compileRulebook } from '../../policies/compile.ts';
import type { LimitDocument, RuleDocuments } from '../../policies/documents.ts';
import { compileLimits, identityOf, limitId } from '../../policies/limits.ts';
import type { Call, JsonObject, Principal } from '../../policies/types.ts';
import { ConfigFault, parseConfig } from '../../proxy/config.ts';
import { Counters } from '../../proxy/limits/counters.ts';
import { Limits, type Admitted, type Asking, type Ticket } from '../../proxy/limits/limits.ts';
import { readSaved } from '../../proxy/limits/saved.ts';
import { SlidingWindow } from '../../proxy/limits/window.ts';
import { SHOP, call, person, tool } from './cases.ts';

const ada = person(['engineering']);
const bob = person(['engineering', 'interns'], { subject: 'bob' });
const root = person(['ops'], { subject: 'root', roles: ['admin'] });
const own = person([], { authenticatedBy: 'system' });
const query = tool('query', { sql: 'select 1' });
const every = (more: Partial<LimitDocument> = {}): LimitDocument => ({
  name: 'fair',
  calls: { most: 2, within: '1m' },
  ...more,
});

t.test('a limit governs whom and what it names [limit-governs]', async (t) => {
  const keysOf = (document: LimitDocument, asked: Call, who: Principal): readonly string[] | undefined =>
    compileLimits([document]).applying(asked, who)[0]?.keys;
  const read = call('resources/read', { uri: 'shop://orders/1' });
  const protocol = (method: string): Call => call(method, {});
  const ADA = '["https://idp.example.com","ada"]';
  const cases: readonly (readonly [string, Partial<LimitDocument>, Call, Principal, readonly string[] | undefined])[] =
    [
      ['everybody without groups', {}, query, ada, [ADA]],
      ['admins too', {}, query, root, ['["https://idp.example.com","root"]']],
      ['never what the gateway asks for itself', {}, query, own, undefined],
      ['members of its groups', { groups: ['interns', 'engineering'] }, query, ada, [ADA]],
      ['nobody else', { groups: ['interns'] }, query, ada, undefined],
      ['no admin outside of its groups', { groups: ['interns'] }, query, root, undefined],
      ['a tool it names', { tools: ['query'] }, query, ada, [ADA]],
      ['a tool by a star', { tools: ['q*'] }, query, ada, [ADA]],
      ['a tool by question marks', { tools: ['quer?'] }, query, ada, [ADA]],
      ['no other tool', { tools: ['execute_*'] }, query, ada, undefined],
      ['a name in another case', { tools: ['query'] }, tool('QUERY'), ada, [ADA]],
      ['a name in full-width letters', { tools: ['query'] }, tool('ｑｕｅｒｙ'), ada, [ADA]],
      ['a name with an invisible character', { tools: ['query'] }, tool('que\u200bry'), ada, [ADA]],
      ['a name with a Cyrillic letter', { tools: ['list_*'] }, tool('lіst_tables'), ada, [ADA]],
      ['no resource when tools are named', { tools: ['*'] }, read, ada, undefined],
      ['resources', {}, read, ada, [ADA]],
      ['prompts', {}, call('prompts/get', { name: 'greet' }), ada, [ADA]],
      ['completions', {}, protocol('completion/complete'), ada, [ADA]],
      ['methods beyond the protocol', {}, protocol('vendor/query'), ada, [ADA]],
      ['requests on other routes', {}, { ...protocol('DELETE'), kind: 'http' }, ada, [ADA]],
      ['answers of tasks', {}, protocol('tasks/result'), ada, [ADA]],
      ['no handshake', {}, protocol('initialize'), ada, undefined],
      ['no ping', {}, protocol('ping'), ada, undefined],
      ['no list', {}, protocol('tools/list'), ada, undefined],
      ['no list of resource templates', {}, protocol('resources/templates/list'), ada, undefined],
      ['no discovery', {}, protocol('server/discover'), ada, undefined],
      ['no listening', {}, protocol('subscriptions/listen'), ada, undefined],
      ['no cancellation', {}, protocol('notifications/cancelled'), ada, undefined],
      ['no end of a session', {}, protocol('DELETE'), ada, undefined],
      ['no stream of a session', {}, protocol('GET'), ada, undefined],
      ['no answer of a client', {}, protocol('response'), ada, undefined],
      ['no question of a server', {}, { ...query, kind: 'server_request' }, ada, undefined],
      [
        'by group: one key for each of its groups',
        { per: 'group', groups: ['engineering', 'interns'] },
        query,
        bob,
        ['["engineering"]', '["interns"]'],
      ],
      ['by group: only of the groups named', { per: 'group', groups: ['interns'] }, query, bob, ['["interns"]']],
      ['by connection: everybody together', { per: 'connection' }, query, ada, ['["shop"]']],
      ['by tool: of its connection', { per: 'tool' }, query, ada, ['["shop","tool","query"]']],
      ['by tool: however its name is spelt', { per: 'tool' }, tool('Ｑuery'), ada, ['["shop","tool","query"]']],
      ['by tool: resources together', { per: 'tool' }, read, ada, ['["shop","resource",""]']],
    ];
  for (const [title, more, asked, who, keys] of cases) t.strictSame(keysOf(every(more), asked, who), keys, title);
  const long = keysOf(every({ per: 'tool' }), tool('x'.repeat(1_000_000)), ada)!;
  t.ok(long[0]!.length < 300, 'a long name makes no long key');
  t.equal(compileLimits([]).empty, true);
  t.strictSame(compileLimits([]).applying(query, ada), []);
});

t.test('identical calls have one identity, others another [limit-loop]', async (t) => {
  const raw = (text: string): Call => ({ ...tool('query', (JSON.parse(text) as JsonObject)['arguments'] ?? {}), text });
  const first = identityOf(raw('{"name":"query","arguments":{"a":1,"b":[2,3]}}'), ada);
  const same: readonly (readonly [string, Call])[] = [
    ['another order of members', raw('{"arguments":{"b":[2,3],"a":1},"name":"query"}')],
    ['other white space and escapes', raw('{"name":"query", "arguments" : {"\\u0061":1, "b":[2, 3]}}')],
    ['another progress token', raw('{"name":"query","arguments":{"a":1,"b":[2,3]},"_meta":{"progressToken":7}}')],
    ['further members of the params', raw('{"name":"query","arguments":{"a":1,"b":[2,3]},"junk":"x"}')],
  ];
  for (const [title, asked] of same) t.equal(identityOf(asked, ada), first, title);
  const different: readonly (readonly [string, Call, Principal])[] = [
    ['another caller', raw('{"name":"query","arguments":{"a":1,"b":[2,3]}}'), bob],
    ['another value', raw('{"name":"query","arguments":{"a":2,"b":[2,3]}}'), ada],
    ['another order of a list', raw('{"name":"query","arguments":{"a":1,"b":[3,2]}}'), ada],
    ['another digit', raw('{"name":"query","arguments":{"a":1.0,"b":[2,3]}}'), ada],
    ['another tool', { ...raw('{"name":"query","arguments":{"a":1,"b":[2,3]}}'), name: 'explain' }, ada],
    ['another connection', { ...raw('{"name":"query","arguments":{"a":1,"b":[2,3]}}'), connection: 'archive' }, ada],
    ['a later round', raw('{"name":"query","arguments":{"a":1,"b":[2,3]},"requestState":"s"}'), ada],
    ['a text for a number', raw('{"name":"query","arguments":{"a":"1","b":[2,3]}}'), ada],
  ];
  for (const [title, asked, who] of different) t.not(identityOf(asked, who), first, title);
  const list = (uri: string, extra: JsonObject = {}): Call => call('resources/read', { uri, ...extra });
  t.equal(identityOf(list('shop://a', { _meta: { x: 1 } }), ada), identityOf(list('shop://a'), ada));
  t.not(identityOf(list('shop://b'), ada), identityOf(list('shop://a'), ada));
  const escaped = { ...tool('query', { a: 1 }), text: '{"jsonrpc":"2.0","p\\u0061rams":{"arguments":{"a":1}}}' };
  t.equal(identityOf(escaped, ada), identityOf(tool('query', { a: 1 }), ada), 'params spelt with escapes');
});

t.test('mistakes are found at their places', async (t) => {
  const documents = (limit: LimitDocument): RuleDocuments => ({
    connections: [SHOP],
    guardrails: [],
    datamasking_rules: [],
    access_request_rules: [],
    access_control: [],
    limits: [limit],
  });
  const cases: readonly (readonly [Partial<LimitDocument>, string, RegExp])[] = [
    [{ calls: undefined }, '', /must say what is limited/],
    [{ groups: [] }, '.groups', /at least one group/],
    [{ tools: [] }, '.tools', /at least one tool/],
    [{ tools: ['a', ''] }, '.tools[1]', /must not be empty/],
    [{ per: 'group' }, '.per', /groups must name/],
    [{ connections: ['nowhere'] }, '.connections[0]', /no connection named nowhere/],
    [{ calls: { most: 0, within: '1m' } }, '.calls.most', /at least 1/],
    [{ calls: { most: 1.5, within: '1m' } }, '.calls.most', /whole number/],
    [{ calls: { most: 1, within: '1' } }, '.calls.within', /duration with a unit/],
    [{ calls: { most: 1, within: '999ms' } }, '.calls.within', /from 1s/],
    [{ calls: { most: 1, within: '25d' } }, '.calls.within', /to 24d/],
    [{ concurrent: -1 }, '.concurrent', /at least 1/],
    [{ result_bytes: { most: '0B', within: '1h' } }, '.result_bytes.most', /at least 1B/],
    [{ result_bytes: { most: '1MB', within: 'hour' } }, '.result_bytes.within', /duration/],
    [{ session: {} }, '.session', /calls or bytes/],
    [{ session: { calls: 0 } }, '.session.calls', /at least 1/],
    [{ session: { bytes: 'lots' } }, '.session.bytes', /size with a unit/],
    [{ repeats: { most: 0, within: '10m' } }, '.repeats.most', /at least 1/],
    [{ repeats: { most: 1, within: '0s' } }, '.repeats.within', /from 1s/],
  ];
  for (const [more, path, message] of cases) {
    const { calls, ...rest } = { ...every(), ...more };
    const mistakes = checkRules(documents(calls === undefined ? rest : { ...rest, calls }));
    t.match(mistakes, [{ path: `limits[0]${path}`, message }], JSON.stringify(more));
    t.equal(mistakes.length, 1, JSON.stringify(more));
  }
  t.strictSame(checkRules(documents(every({ session: { bytes: '1KiB' } }))), []);
  t.strictSame([...compileRulebook(documents(every())).limits], [limitId(every())]);
});

t.test('the configuration reports a faulty limit where it stands, and the examples of the page load', async (t) => {
  const base = 'connections:\n  - { name: shop, attributes: [pii], upstream: { url: "http://127.0.0.1:1/mcp" } }\n';
  const faults = (text: string): string => {
    try {
      parseConfig(base + text, '/nowhere/config.yaml', {});
    } catch (fault) {
      if (fault instanceof ConfigFault) return fault.message;
      throw fault;
    }
    return '';
  };
  t.match(
    faults('limits:\n  - { name: a, calls: { most: 5, within: 1 } }'),
    /4:42: limits\[0\]\.calls\.within: is a number, expected a duration/,
  );
  t.match(faults('limits:\n  - { name: a, calls: { most: 5 } }'), /limits\[0\]\.calls\.within: is missing/);
  t.match(
    faults('limits:\n  - { name: a, per: person, concurrent: 1 }'),
    /4:21: limits\[0\]\.per: is not accepted, expected one of principal/,
  );
  t.match(faults('limits:\n  - { name: a, per: group, concurrent: 1 }'), /4:21: limits\[0\]\.per: counts by group/);
  t.match(faults('limits:\n  - { name: a, session: { byte: 1MB } }'), /unknown key "byte", did you mean "bytes"/);
  t.match(faults('limits:\n  - { name: a }'), /4:5: limits\[0\]: calls, concurrent/);
  const page = readFileSync(new URL('../../docs/policies.md', import.meta.url), 'utf8');
  const examples = [...page.matchAll(/```yaml\n(limits:\n[\s\S]*?)```/g)].map(([, yaml]) => yaml!);
  t.ok(examples.length >= 1);
  for (const example of examples) t.equal(faults(example), '', example);
  const shown = examples.join('');
  for (const kind of ['calls:', 'concurrent:', 'result_bytes:', 'session:', 'repeats:', 'mode: observe', 'per: group'])
    t.ok(shown.includes(kind), `the page shows ${kind}`);
});

t.test('what is counted is bound to a limit by its name and content', async (t) => {
  t.equal(limitId(every({ mode: 'observe', description: 'x' })), limitId(every()), 'trying it out is the same limit');
  for (const more of [{ name: 'b' }, { tools: ['a'] }, { per: 'tool' as const }, { calls: { most: 3, within: '1m' } }])
    t.not(limitId(every(more)), limitId(every()), JSON.stringify(more));
});

t.test('a window never holds less than its span, and at most a sixtieth more [limit-rate]', async (t) => {
  const step = fc.record({ after: fc.integer({ min: 0, max: 90_000 }), amount: fc.integer({ min: 1, max: 9 }) });
  fc.assert(
    fc.property(fc.integer({ min: 1_000, max: 600_000 }), fc.array(step, { maxLength: 80 }), (withinMs, steps) => {
      const window = new SlidingWindow(withinMs);
      const added: { at: number; amount: number }[] = [];
      let now = 1_700_000_000_000;
      for (const { after, amount } of steps) {
        now += after;
        const used = window.used(now);
        const sum = (age: number): number =>
          added.filter(({ at }) => now - at < age).reduce((all, each) => all + each.amount, 0);
        if (used < sum(withinMs) || used > sum((withinMs * 61) / 60 + 1)) return false;
        const wait = window.waitFor(Math.floor(used / 2), now);
        const copy = new SlidingWindow(withinMs, window.save(now));
        if (copy.used(now) !== used || copy.used(now + wait + 1) > used / 2) return false;
        window.add(now, amount);
        added.push({ at: now, amount });
        if (window.save(now).length > 2 * 61) return false;
      }
      return true;
    }),
    { numRuns: 2_000 },
  );
  const window = new SlidingWindow(60_000);
  window.add(10_000_000, 5);
  t.equal(window.used(9_000_000), 5, 'the clock was set back');
  t.equal(window.used(9_000_000 + 61_001), 0, 'and what was counted leaves as late as it would have');
});

t.test('counters are bounded, and the stalest is forgotten first', async (t) => {
  const counters = new Counters<{ at: number }>({
    most: 3,
    create: (at) => ({ at }),
    spent: ({ at }, now) => now - at > 100,
  });
  for (const [index, key] of ['a', 'b', 'c', 'a', 'd'].entries()) counters.use(key, index);
  t.strictSame(
    counters.latest(9).map(([key]) => key),
    ['c', 'a', 'd'],
  );
  t.equal(counters.peek('b', 9).at, 9, 'forgotten');
  t.equal(counters.peek('a', 9).at, 0);
  t.equal(counters.peek('a', 999).at, 999, 'spent');
  counters.use('e', 999);
  t.equal(counters.size, 2, 'what is spent goes a little at a time');
});

class Clock {
  now = 1_699_999_200_000;
  readonly read = (): number => this.now;
}

function desk(document: Partial<LimitDocument>, clock = new Clock(), limits = new Limits(clock.read)) {
  const compiled = compileLimits([{ name: 'fair', ...document }]);
  const ask = (more: Partial<Asking> = {}): Admitted =>
    limits.admit({ call: query, who: ada, limits: compiled, session: 's', held: false, executes: false, ...more });
  return { clock, limits, ask };
}

const fresh = (value: number): Call => tool('query', { value });

t.test(
  'each kind of limit refuses with its code, and says when to come back where that is known [limit-says-when]',
  async (t) => {
    const rate = desk({ calls: { most: 1, within: '1m' } });
    t.ok(rate.ask().ticket);
    t.match(rate.ask().denial, { code: 'rate_limited', rule: 'fair', reason: /allows 1 call in 1m/, retryAfter: 61 });
    t.ok(rate.ask({ who: bob }).ticket, 'another caller has his own');
    rate.clock.now += 61_000;
    t.ok(rate.ask().ticket, 'the time said was enough');

    const room = desk({ concurrent: 1 });
    const { ticket } = room.ask();
    const full = room.ask().denial!;
    t.match(full, { code: 'concurrency_limited', reason: /allows 1 at the same time/ });
    t.notOk('retryAfter' in full, 'nobody knows when a call ends');
    ticket!.release(10);
    ticket!.release(10);
    t.ok(room.ask().ticket, 'released once');
    t.match(room.ask().denial, { code: 'concurrency_limited' }, 'and only once');

    const bytes = desk({ result_bytes: { most: '1KB', within: '1h' } });
    bytes.ask().ticket!.release(999);
    bytes.ask().ticket!.release(5_000);
    t.match(bytes.ask().denial, { code: 'budget_spent', reason: /answers of 1KB in 1h/, retryAfter: 3660 });

    const session = desk({ session: { calls: 1, bytes: '1KB' } });
    session.ask().ticket!.release(1);
    t.match(session.ask().denial, { code: 'budget_spent', reason: /1 call in a session/ });
    t.ok(session.ask({ session: 'other' }).ticket!, 'another session has its own');
    session.ask({ session: 'big' }).ticket!.release(1_000);
    t.match(session.ask({ session: 'big' }).denial, { code: 'budget_spent' });
    session.ask({ session: undefined }).ticket!.release(1);
    t.match(session.ask({ session: undefined }).denial, { code: 'budget_spent', retryAfter: 1_800 });
    session.clock.now += 30 * 60_000;
    t.ok(session.ask({ session: undefined }).ticket, 'half an hour of silence ends it');

    const loop = desk({ repeats: { most: 2, within: '10m' } });
    t.ok(loop.ask().ticket && loop.ask().ticket);
    t.match(loop.ask().denial, { code: 'loop_detected', reason: /the same call 2 times in 10m/ });
    t.ok(loop.ask({ call: fresh(1) }).ticket, 'another call may pass');
    loop.clock.now += 9 * 60_000;
    t.match(loop.ask().denial, { code: 'loop_detected' });
    loop.clock.now += 9 * 60_000;
    t.match(loop.ask().denial, undefined, 'what was refused counts too: two of the last ten minutes');
    t.match(loop.ask().denial, { code: 'loop_detected' });
  },
);

t.test('refused calls use nothing up but the patience with repeats', async (t) => {
  const { ask, clock } = desk({ calls: { most: 2, within: '1m' }, repeats: { most: 3, within: '10m' } });
  const codes = (): (string | undefined)[] => [ask().denial?.code];
  t.strictSame(
    [...codes(), ...codes(), ...codes(), ...codes()],
    [undefined, undefined, 'rate_limited', 'loop_detected'],
  );
  clock.now += 61_000;
  t.ok(ask({ call: fresh(1) }).ticket && ask({ call: fresh(2) }).ticket, 'both places are free after a minute');
});

t.test('two limits: where one refuses the other counts nothing', async (t) => {
  const clock = new Clock();
  const limits = new Limits(clock.read);
  const compiled = compileLimits([
    every({ name: 'wide', calls: { most: 3, within: '1m' } }),
    every({ name: 'narrow', tools: ['query'], calls: { most: 1, within: '1m' } }),
  ]);
  const ask = (asked: Call): string | undefined =>
    limits.admit({ call: asked, who: ada, limits: compiled, session: 's', held: false, executes: false }).denial?.rule;
  t.strictSame([ask(query), ask(query), ask(query), ask(query)], [undefined, 'narrow', 'narrow', 'narrow']);
  t.strictSame([ask(tool('other')), ask(tool('other')), ask(tool('other'))], [undefined, undefined, 'wide']);
});

t.test(
  'a held call takes its place only while it runs, and runs of approved calls count once [limit-held-call]',
  async (t) => {
    const { ask } = desk({ concurrent: 1, calls: { most: 3, within: '1m' } });
    const held = ask({ held: true }).ticket!;
    const running = ask().ticket!;
    t.match(held.enter().denial, { code: 'concurrency_limited' }, 'no place while another runs');
    running.release(0);
    t.notOk(held.enter().denial);
    t.notOk(held.enter().denial, 'it has its place already');
    t.match(ask().denial, { code: 'concurrency_limited' });
    held.leave();
    const next = ask().ticket!;
    t.match(held.enter().denial, { code: 'concurrency_limited' });
    next.release(0);
    t.match(ask().denial, { code: 'rate_limited' }, 'the held call and two others were asked');
    const run = ask({ held: true, executes: true }).ticket!;
    t.ok(run, 'its run was counted when it was asked');
    t.notOk(run.enter().denial);
    run.release(0);
    held.release(0);
    t.notOk(held.enter().denial, 'over is over');
    t.ok(ask({ held: true, executes: true }).ticket!.enter().denial === undefined);
  },
);

t.test(
  'a limit that only observes refuses nothing, and says what it would have refused [limit-observes]',
  async (t) => {
    const { ask } = desk({ mode: 'observe', calls: { most: 1, within: '1m' }, concurrent: 1 });
    t.strictSame(ask().findings, []);
    const second = ask();
    t.ok(second.ticket);
    t.strictSame(second.findings, [
      {
        rule: 'fair',
        policy: 'limit',
        direction: 'input',
        action: 'block',
        path: '',
        entity: 'calls',
        count: 1,
        observed: true,
      },
    ]);
    const room = desk({ mode: 'observe', concurrent: 1 });
    room.ask();
    const held = room.ask({ held: true }).ticket!;
    const entered = held.enter();
    t.notOk(entered.denial);
    t.match(entered.findings, [{ entity: 'concurrent', observed: true }]);
  },
);

t.test('fetching the answer of a task is no call, but its bytes count', async (t) => {
  const { ask } = desk({
    calls: { most: 1, within: '1m' },
    concurrent: 1,
    result_bytes: { most: '1KB', within: '1m' },
  });
  const fetching = call('tasks/result', { taskId: 't' });
  ask();
  for (let round = 0; round < 5; round += 1) ask({ call: fetching }).ticket!.release(200);
  t.match(ask({ call: fetching }).denial, { code: 'budget_spent' });
});

t.test('what matters survives a restart, and lost counts count as half used [limit-restart]', async (t) => {
  const document: Partial<LimitDocument> = {
    calls: { most: 4, within: '1h' },
    session: { calls: 80 },
    result_bytes: { most: '1KB', within: '1m' },
  };
  const before = desk(document);
  for (let round = 0; round < 3; round += 1) before.ask().ticket!.release(400);
  const saved = readSaved(JSON.parse(JSON.stringify({ version: 1, ...before.limits.save() })));
  t.notMatch(JSON.stringify(saved), /"s"/, 'ids of sessions are not kept');
  const restored = new Limits(before.clock.read);
  restored.restore(saved);
  t.strictSame(restored.save(), saved, 'what nobody used since is kept for the next start');
  const after = desk(document, before.clock, restored);
  t.ok(after.ask().ticket);
  t.match(after.ask().denial, { code: 'rate_limited' });
  t.match(after.ask({ who: bob }).denial, undefined, 'a minute of bytes was not kept, and bob had no calls');
  const brief = desk({ calls: { most: 1, within: '9m' } });
  brief.ask();
  t.strictSame(brief.limits.save(), { limits: {} }, 'what passes soon is not kept');

  for (const [lost, allowed] of [
    ['half', 2],
    ['allow', 4],
  ] as const) {
    const clock = new Clock();
    const limits = new Limits(clock.read);
    limits.lose();
    const next = new Limits(clock.read);
    next.restore(readSaved(JSON.parse(JSON.stringify({ version: 1, ...limits.save() }))));
    const blind = desk({ ...document, on_lost_state: lost }, clock, next);
    let passed = 0;
    while (blind.ask().denial === undefined) passed += 1;
    t.equal(passed, allowed, lost);
    clock.now += 61 * 60_000;
    while (blind.ask().denial === undefined) passed += 1;
    t.equal(passed, 4 + allowed, `${lost}: an hour later nothing is in doubt`);
  }
  for (const wrong of [
    null,
    [],
    {},
    { version: 2, limits: {} },
    { version: 1, limits: {}, lostAt: 'x' },
    { version: 1, limits: { a: {} } },
    { version: 1, limits: { a: { calls: [['k', ['x']]], bytes: [], lasting: [], silent: [] } } },
  ])
    t.throws(() => readSaved(wrong), JSON.stringify(wrong));
});

t.test('a change of rules keeps the counts of limits that stayed [limit-reload]', async (t) => {
  const clock = new Clock();
  const limits = new Limits(clock.read);
  const kept = every({ name: 'kept', calls: { most: 1, within: '1m' } });
  const gone = every({ name: 'gone', calls: { most: 1, within: '1m' } });
  const code = (documents: readonly LimitDocument[]): string | undefined =>
    limits.admit({
      call: query,
      who: ada,
      limits: compileLimits(documents),
      session: 's',
      held: false,
      executes: false,
    }).denial?.rule;
  t.equal(code([kept, gone]), undefined);
  limits.retain(new Set([limitId(kept)]));
  t.equal(code([gone]), undefined, 'forgotten with its rule');
  t.equal(code([kept]), 'kept');
  t.equal(code([{ ...kept, mode: 'observe' }]), undefined);
  t.equal(code([{ ...kept, description: 'now in force' }]), 'kept');
});

interface Event {
  readonly of: string;
  readonly at: number;
  readonly amount: number;
}

interface ModelCall {
  readonly who: string;
  readonly session: string;
  readonly ticket: Ticket;
  runs: boolean;
}

/** The obvious way to count: every event is kept, and all are looked at each time. */
class Model {
  readonly calls: Event[] = [];
  readonly bytes: Event[] = [];
  readonly repeats: Event[] = [];
  readonly sessions = new Map<string, { calls: number; bytes: number }>();
  readonly open: ModelCall[] = [];

  sum(events: readonly Event[], of: string, ms: number, now: number): number {
    const part = (at: number): number => Math.floor((at * 60) / ms);
    const counted = events.filter((event) => event.of === of && part(event.at) >= part(now) - 60);
    return counted.reduce((sum, { amount }) => sum + amount, 0);
  }

  full(who: string): boolean {
    return this.open.filter((each) => each.runs && each.who === who).length >= 2;
  }

  judge(who: string, what: string, session: string, held: boolean, now: number): string | undefined {
    this.repeats.push({ of: what, at: now, amount: 1 });
    const used = this.sessions.get(session) ?? { calls: 0, bytes: 0 };
    this.sessions.set(session, used);
    if (this.sum(this.repeats, what, 90_000, now) > 4) return 'loop_detected';
    if (used.calls >= 8 || used.bytes >= 1_500) return 'budget_spent';
    if (this.sum(this.calls, who, 60_000, now) >= 5) return 'rate_limited';
    if (this.sum(this.bytes, who, 120_000, now) >= 600) return 'budget_spent';
    if (!held && this.full(who)) return 'concurrency_limited';
    this.calls.push({ of: who, at: now, amount: 1 });
    used.calls += 1;
    return undefined;
  }

  end({ who, session }: ModelCall, amount: number, now: number): void {
    this.bytes.push({ of: who, at: now, amount });
    this.sessions.get(session)!.bytes += amount;
  }
}

t.test('whatever happens in whatever order, limits count as the obvious way does [limit-atomic]', async (t) => {
  const pick = fc.nat(9);
  const step = fc.oneof(
    fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 30_000 }) }),
    fc.record({
      do: fc.constant('call' as const),
      who: fc.constantFrom('ada', 'bob'),
      value: fc.integer({ min: 0, max: 2 }),
      held: fc.boolean(),
      session: fc.constantFrom('one', 'two'),
    }),
    fc.record({ do: fc.constant('run' as const), pick }),
    fc.record({ do: fc.constant('stay' as const), pick }),
    fc.record({ do: fc.constant('end' as const), pick, bytes: fc.integer({ min: 0, max: 400 }) }),
  );
  const met = new Map<string, number>();
  fc.assert(
    fc.property(fc.array(step, { minLength: 60, maxLength: 200 }), (steps) => {
      const { ask, clock } = desk({
        calls: { most: 5, within: '60s' },
        concurrent: 2,
        result_bytes: { most: '600B', within: '120s' },
        session: { calls: 8, bytes: '1500B' },
        repeats: { most: 4, within: '90s' },
      });
      const model = new Model();
      for (const each of steps) {
        if (each.do === 'wait') clock.now += each.ms;
        else if (each.do === 'call') {
          const session = `${each.who} ${each.session}`;
          const who = person([], { subject: each.who });
          const { denial, ticket } = ask({ who, session, call: fresh(each.value), held: each.held });
          const expected = model.judge(each.who, `${each.who} ${each.value}`, session, each.held, clock.now);
          if (denial?.code !== expected) return false;
          met.set(String(expected), (met.get(String(expected)) ?? 0) + 1);
          if (ticket !== undefined) model.open.push({ who: each.who, session, ticket, runs: !each.held });
        } else {
          const at = each.pick % Math.max(1, model.open.length);
          const chosen = model.open[at];
          if (chosen === undefined) continue;
          if (each.do === 'run') {
            const full = !chosen.runs && model.full(chosen.who);
            if ((chosen.ticket.enter().denial?.code === 'concurrency_limited') !== full) return false;
            chosen.runs ||= !full;
          } else if (each.do === 'stay') {
            chosen.ticket.leave();
            chosen.runs = false;
          } else {
            model.open.splice(at, 1);
            chosen.ticket.release(each.bytes);
            model.end(chosen, each.bytes, clock.now);
          }
        }
      }
      return true;
    }),
    { numRuns: 1_000 },
  );
  for (const code of ['rate_limited', 'concurrency_limited', 'budget_spent', 'loop_detected', 'undefined'])
    t.ok((met.get(code) ?? 0) > 100, `${code} was met`);
});
