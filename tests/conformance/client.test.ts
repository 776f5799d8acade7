import http, { type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startGateway } from '../gateway.ts';
import { differences } from './compare.ts';
import { COMPANIONS, governed, GROUPS } from './governed.ts';
import { startStage } from './stage.ts';
import { count, runClientScenario, type Results } from './suite.ts';

// Many processes, one after the other: on a busy machine they take their time.
t.setTimeout(300_000);

const CLIENT = join(import.meta.dirname, 'client.ts');
const UNDERSTUDY = join(import.meta.dirname, 'understudy.ts');

/** The scenarios that do not examine authorization: how many checks a client without faults passes, and the duties that they examine. */
const SCENARIOS: Readonly<Record<string, readonly [number, string]>> = {
  initialize: [1, ''],
  tools_call: [2, ''],
  'elicitation-sep1034-client-defaults': [5, ''],
  'sse-retry': [3, '[S-09] [S-10] [S-11]'],
  'request-metadata': [8, '[R-01] [R-02]'],
  'sep-2322-client-request-state': [5, '[M-05] [M-06]'],
  'http-standard-headers': [9, '[R-04] [R-05]'],
  'http-custom-headers': [18, '[R-08]'],
  'http-invalid-tool-headers': [12, ''],
  'json-schema-ref-no-deref': [1, '[G-02]'],
  'json-schema-2020-12-preservation': [9, ''],
};

/** Those in which what the gateway says for itself has to be right too. */
const OWN: ReadonlySet<string> = new Set(['request-metadata', 'json-schema-ref-no-deref']);

/** Hears the URL of a server that the suite started, once; whoever reported it waits for the answer. */
async function startDesk(t: Test): Promise<{
  readonly where: string;
  readonly reported: Promise<{ readonly url: string; readonly res: ServerResponse }>;
}> {
  const { promise: reported, resolve } = Promise.withResolvers<{ url: string; res: ServerResponse }>();
  const server = http.createServer((req, res) => {
    req.setEncoding('utf8').once('data', (url: string) => resolve({ url, res }));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return { where: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, reported };
}

interface Through {
  readonly client: Results;
  /** What another server of the suite saw of the gateway itself. */
  readonly gateway: Results;
  readonly complaints: readonly string[];
}

/** Plays the scenario with a gateway between the client and the suite's server. */
async function runThrough(t: Test, scenario: string): Promise<Through> {
  const complaints: string[] = [];
  const [main, second] = await Promise.all([startDesk(t), startDesk(t)]);
  const client = runClientScenario(scenario, [CLIENT, main.where], complaints);
  const gateway = runClientScenario(scenario, [UNDERSTUDY, second.where]);
  const runs = Promise.all([client, gateway]);
  const over = runs.then(() => Promise.reject(new Error('the suite ended before its servers were reported')));
  const [one, understudy] = await Promise.race([Promise.all([main.reported, second.reported]), over]);
  const stage = await startStage(one.url, understudy.url);
  t.teardown(() => stage.close());
  const { url, person } = await startGateway(t, governed(stage.url));
  one.res.end(JSON.stringify({ url: `${url}/mcp`, token: await person('suite', GROUPS) }));
  await client;
  understudy.res.end();
  const [seen, seenOfGateway] = await runs;
  return { client: seen, gateway: seenOfGateway, complaints };
}

for (const [scenario, [passed, duties]] of Object.entries(SCENARIOS)) {
  t.test(`the suite sees the same client through the gateway: ${scenario} [conformance-equal] ${duties}`, async (t) => {
    const [direct, through] = await Promise.all([runClientScenario(scenario, [CLIENT]), runThrough(t, scenario)]);
    t.equal(count(direct, 'SUCCESS'), passed, 'the client alone passes every check');
    t.equal(count(direct, 'FAILURE'), 0);
    const found = differences(direct, through.client, { tools: COMPANIONS });
    t.same(found, [], 'and nothing differs through the gateway', { complaints: through.complaints });
    if (OWN.has(scenario))
      t.equal(count(through.gateway, 'FAILURE'), 0, 'what the gateway asks for itself is well formed too');
    t.comment(`${scenario}: ${count(through.client, 'SUCCESS')} checks passed`);
  });
}
