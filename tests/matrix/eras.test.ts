import t, { type Test } from 'tap';
import { startEverything, type Everything } from '../conformance/fixture/everything.ts';
import { startGateway, type TestGateway } from '../gateway.ts';
import { CLIENTS, REPLY, USER, type Member } from './clients.ts';

type Eras = 'legacy' | 'modern' | 'both';

async function gatewayFor(t: Test, eras: Eras, era: string): Promise<{ upstream: Everything; gateway: TestGateway }> {
  const upstream = await startEverything({ eras });
  t.teardown(() => upstream.close());
  const gateway = await startGateway(t, {
    connections: [{ name: 'default', era, upstream: { url: upstream.url }, access: { groups: ['staff'] } }],
    guardrails: [{ name: 'no-drops', input: { rules: [{ type: 'deny_words_list', words: ['drop table'] }] } }],
    datamasking_rules: [{ name: 'cards', supported_entity_types: [{ name: 'CARDS', entity_types: ['CREDIT_CARD'] }] }],
  });
  return { upstream, gateway };
}

/** What every client can do with every server, whatever the two speak. */
async function everything(t: Test, member: Member, upstream: Everything): Promise<void> {
  const tools = await member.tools();
  t.ok(tools.includes('test_simple_text') && tools.includes('test_elicitation'), 'it lists');

  const progress: number[] = [];
  const done = await member.call(
    'test_tool_with_progress',
    {},
    { onprogress: (it) => void progress.push(it.progress) },
  );
  t.equal(done, 'Done.', 'it calls');
  t.same(progress, [0, 50, 100], 'its own progress comes in order');

  const asked = await member.call('test_elicitation', { message: 'Who are you?' });
  t.match(asked, USER.username, 'the person behind it is asked, and the answer goes back');
  t.match(await member.call('test_sampling', { prompt: 'Say something' }), REPLY, 'its model is asked');

  await member.listening;
  await member.call('test_trigger_tool_change');
  await member.toolsChanged;
  t.pass('it hears that the list changed');

  const stop = new AbortController();
  const before = upstream.counters.cancelled;
  const running = member.call('test_cancellation', {}, { signal: stop.signal });
  await until(() => (upstream.counters.calls['test_cancellation'] ?? 0) > 0);
  stop.abort();
  await t.rejects(running, 'a cancelled call has no result');
  await until(() => upstream.counters.cancelled > before);
  t.pass('the server was told of the cancellation');
}

async function until(ready: () => boolean): Promise<void> {
  while (!ready()) await new Promise((resolve) => setImmediate(resolve));
}

for (const eras of ['legacy', 'modern', 'both'] as const) {
  for (const [name, connect] of Object.entries(CLIENTS)) {
    // Only a client of 2026-07-28 alone needs a legacy server to be translated for it; that is asked for.
    const pinned = name.includes('only');
    const era = pinned && eras === 'legacy' ? 'translate' : 'auto';
    t.test(`${name} with a server of ${eras}: all of a conversation works [eras-meet] [V-05]`, async (t) => {
      const { upstream, gateway } = await gatewayFor(t, eras, era);
      const member = await connect(`${gateway.url}/mcp`, await gateway.person('grace', ['staff']));
      await everything(t, member, upstream);
      await member.close();
    });
  }
}

t.test(
  'a client of 2026-07-28 alone is told what a legacy server speaks, unless translation is asked for [R-03] [eras-meet]',
  async (t) => {
    const { gateway, upstream } = await gatewayFor(t, 'legacy', 'auto');
    const connecting = CLIENTS['SDK v2 (2026-07-28 only)']!(`${gateway.url}/mcp`, await gateway.person('g', ['staff']));
    await t.rejects(connecting, /2026-07-28|version|supported/i);
    t.equal(upstream.counters.calls['test_simple_text'], undefined);
  },
);

t.test(
  "without translation a session in front of a modern server gets the server's own answer [V-06] [eras-meet]",
  async (t) => {
    const { gateway } = await gatewayFor(t, 'modern', 'passthrough');
    const connecting = CLIENTS['SDK v1 (sessions)']!(`${gateway.url}/mcp`, await gateway.person('g', ['staff']));
    await t.rejects(connecting, /2026-07-28/, 'which names what it speaks');
  },
);
