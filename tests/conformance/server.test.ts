import t from 'tap';
import type { ExchangeRecord } from '../../recorder/types.ts';
import { startGateway } from '../gateway.ts';
import { differences } from './compare.ts';
import { startEverything } from './fixture/everything.ts';
import { COMPANIONS, governed, GROUPS } from './governed.ts';
import { startInjector } from './injector.ts';
import { count, LEGS, runLeg, type LegName, type Results } from './suite.ts';

// Many processes, one after the other: on a busy machine they take their time.
t.setTimeout(300_000);

/** The duties that each part of the suite examines. */
const DUTIES: Readonly<Record<LegName, string>> = {
  '2025-03-26': '[S-03] [S-06]',
  '2025-06-18': '[P-03]',
  '2025-11-25': '[H-02] [S-09] [S-10] [S-11]',
  '2026-07-28': '[R-01] [R-02] [R-03] [R-04] [R-05] [R-06] [R-07] [V-01] [E-10] [K-01] [K-05] [L-01]',
  'earlier release': '[H-02]',
};

const LEG_NAMES = Object.keys(LEGS) as LegName[];

/** One server for each side: what one run changes must not reach those who listen in the other. */
const [plain, behind] = await Promise.all([startEverything(), startEverything()]);
t.teardown(() => Promise.all([plain.close(), behind.close()]));

/** Every leg, one after the other. */
async function runAll(url: string): Promise<ReadonlyMap<LegName, Results>> {
  const results = new Map<LegName, Results>();
  for (const name of LEG_NAMES) results.set(name, await runLeg(name, url));
  return results;
}

const injector = await startInjector();
t.teardown(() => injector.close());
const gateway = await startGateway(
  t,
  governed(behind.url, { public_url: injector.origin, allowed_hosts: ['localhost', '127.0.0.1', '[::1]'] }),
);
const url = injector.to(`${gateway.url}/mcp`, await gateway.person('suite', GROUPS));
const [direct, through] = await Promise.all([runAll(plain.url), runAll(url)]);

/** Every exchange of every session. */
async function recorded(): Promise<readonly ExchangeRecord[]> {
  const { recorder } = gateway.portcullis.gateway;
  await recorder.settled();
  const { items } = await recorder.sessions.list({ limit: 1000 });
  return (await Promise.all(items.map(({ id }) => recorder.sessions.exchanges(id)))).flat();
}

for (const name of LEG_NAMES) {
  t.test(
    `the suite sees the same server through the gateway: ${name} [conformance-equal] ${DUTIES[name]}`,
    async (t) => {
      const [one, other] = [direct.get(name)!, through.get(name)!];
      const { scenarios, passed } = LEGS[name];
      t.equal(one.size, scenarios, 'all scenarios ran');
      t.equal(count(one, 'SUCCESS'), passed, 'the server alone passes every check');
      t.equal(count(one, 'FAILURE'), 0);
      t.same(differences(one, other, { tools: COMPANIONS }), [], 'and nothing differs through the gateway');
      t.comment(
        `${name}: ${other.size} scenarios, ${count(other, 'SUCCESS')} checks passed, ${count(other, 'FAILURE')} failed`,
      );
    },
  );
}

t.test('the server ran the same tools as often, and every run is on record [conformance-equal]', async (t) => {
  t.same(behind.counters.calls, plain.counters.calls);
  const calls = (await recorded()).filter((exchange) => exchange.method === 'tools/call');
  for (const [tool, runs] of Object.entries(behind.counters.calls)) {
    const recorded = calls.filter((call) => call.name === tool).length;
    t.ok(recorded >= runs, `${tool}: ${runs} runs, ${recorded} calls on record`);
  }
});
