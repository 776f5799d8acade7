import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { Client as Client2, StreamableHTTPClientTransport as Transport2 } from '@modelcontextprotocol/client';
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as Transport1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { Kept } from '../../proxy/forward/stdio-kept.ts';
import { UpstreamFault } from '../../proxy/forward/upstream.ts';
import { callTool, modern, send, startGateway, type TestGateway } from '../gateway.ts';
import { until } from '../process/commands.ts';
import { codeOf, initialize, openSession, openStream, said } from './wire.ts';

interface Place {
  readonly gateway: TestGateway;
  readonly url: string;
  readonly token: string;
}

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';
const ENVELOPE = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};
const script = (name: string): string => join(import.meta.dirname, 'children', name);
const scripted = (...args: string[]): string[] => [process.execPath, script('scripted.ts'), ...args];

async function start(
  t: Test,
  command: readonly string[],
  upstream: JsonObject = {},
  connection: JsonObject = {},
): Promise<Place> {
  const gateway = await startGateway(t, {
    server: { listen: '127.0.0.1:0', public_url: 'http://127.0.0.1:8800', grace: '1s' },
    connections: [
      {
        name: 'default',
        upstream: { command: [...command], ...upstream },
        access: { groups: ['eng'] },
        era: 'passthrough',
        ...connection,
      },
    ],
  });
  return { gateway, url: `${gateway.url}/mcp`, token: await gateway.person('erin', ['eng']) };
}

const alive = (pid: number): boolean =>
  existsSync(`/proc/${pid}/stat`) && !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

/** Not even as a zombie. */
const reaped = (pid: number): Promise<true> =>
  until(async () => {
    await setImmediate();
    return existsSync(`/proc/${pid}`) ? undefined : true;
  });

const gone = (pid: number): Promise<true> =>
  until(async () => {
    await setImmediate();
    return alive(pid) ? undefined : true;
  });

/** The log holds such a line. */
const logs = ({ gateway }: Place, pattern: RegExp): Promise<string> =>
  until(async () => {
    await setImmediate();
    return gateway.logged.find((line) => pattern.test(line));
  });

t.test('servers of both SDKs serve clients of both over stdio [stdio-serves-both-eras]', async (t) => {
  for (const [server, processes, eras] of [
    ['sdk-v1.ts', 'session', ['legacy']],
    ['sdk-v1.ts', 'shared', ['legacy']],
    ['sdk-v2.ts', 'session', ['legacy', 'modern']],
    ['sdk-v2.ts', 'shared', ['legacy', 'modern']],
  ] as const) {
    const place = await start(t, [process.execPath, script(server)], { process: processes });
    const options = { requestInit: { headers: { Authorization: `Bearer ${place.token}` } } };
    const one = new Client1({ name: 'one', version: '1' }, { capabilities: { roots: {} } });
    one.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: 'file:///erin' }] }));
    await one.connect(new Transport1(new URL(place.url), options) as Parameters<typeof one.connect>[0]);
    t.match(
      await one.callTool({ name: 'greet', arguments: { who: 'one' } }),
      { content: [{ text: 'hello one' }] },
      `${server}, ${processes}: a client of 1.x`,
    );
    if (server === 'sdk-v1.ts') {
      const asked = JSON.stringify(await one.callTool({ name: 'roots', arguments: {} }));
      if (processes === 'session') t.match(asked, /file:\/\/\/erin/, 'its own server may ask it');
      else t.match(asked, /isError/, 'a shared one may not');
    }
    await one.close();
    const two = new Client2({ name: 'two', version: '1' }, { versionNegotiation: { mode: 'auto' } });
    await two.connect(new Transport2(new URL(place.url), options));
    t.match(
      await two.callTool({ name: 'greet', arguments: { who: 'two' } }),
      { content: [{ text: 'hello two' }] },
      `${server}, ${processes}: a client of 2.x`,
    );
    await two.close();
    const exchanges = await place.gateway.exchanges();
    const revisions = new Set(exchanges.filter((it) => it.name === 'greet').map((it) => it.session)).size;
    t.equal(revisions, 2, 'each on a record of its own');
    t.equal(
      exchanges.some((it) => it.method === 'server/discover' && it.isError === false),
      (eras as readonly string[]).includes('modern'),
      'in the newest era that the server speaks',
    );
    await place.gateway.close();
  }
});

t.test(
  '200 sessions with equal ids and tokens on one process get their own answers and no other [shared-process-keeps-sessions-apart] [J-03] [P-01] [G-10]',
  async (t) => {
    const place = await start(t, scripted('legacy'), { process: 'shared' });
    const sessions = await Promise.all(Array.from({ length: 200 }, () => openSession(t, place.url, place.token)));
    const pids = new Set<unknown>();
    for (const [id, token] of [
      [1, 'a'],
      ['1', 1],
      ['\u{1f600}"\\', '1'],
    ] as const) {
      const answers = await Promise.all(
        sessions.map((session, n) => session.call(id, 'echo', { who: `session ${n}` }, { progressToken: token })),
      );
      for (const [n, answer] of answers.entries()) {
        const own = said(answer) as { who: string; pid: number };
        pids.add(own.pid);
        const [progress, final] = answer.events;
        const params = progress?.['params'] as JsonObject;
        const right =
          own.who === `session ${n}` &&
          final?.['id'] === id &&
          params['progressToken'] === token &&
          params['message'] === own.who &&
          answer.events.length === 2;
        if (!right) t.fail(`session ${n} got ${answer.text}`);
      }
      t.pass(`id ${JSON.stringify(id)}, token ${JSON.stringify(token)}`);
    }
    t.equal(pids.size, 1, 'of one process');
    const received = said(await sessions[0]!.call(9, 'received')) as string[];
    t.equal(received.filter((it) => it === 'initialize').length, 1, 'which was initialized once');
    t.equal(received.filter((it) => it.startsWith('notifications/initialized')).length, 1);
  },
);

t.test(
  'any id and token comes back as it was sent, however it is spelt [shared-process-keeps-sessions-apart] [J-02]',
  async (t) => {
    const place = await start(t, scripted('legacy'), { process: 'shared' });
    const session = await openSession(t, place.url, place.token);
    const spelt = fc.oneof(
      fc.integer({ min: -9007199254740991, max: 9007199254740991 }).map(String),
      fc.string().map((text) => JSON.stringify(text)),
      fc
        .string({ minLength: 1, maxLength: 4 })
        .map((text) => `"${[...text].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}"`),
    );
    await fc.assert(
      fc.asyncProperty(spelt, spelt, fc.boolean(), async (id, token, escaped) => {
        fc.pre(!/\\ud[89a-f]/i.test(id + token));
        const key = escaped ? '"\\u0069d"' : '"id"';
        const params = `{"name":"echo","arguments":{"id":1,"_meta":{"progressToken":7}},"_meta":{"progressToken":${token}}}`;
        const text = `{"jsonrpc":"2.0","method":"tools/call","params":${params},${key}: ${id}}`;
        const answer = await send(place.url, place.token, text, session.headers);
        return answer.text.includes(`"progressToken":${token}`) && answer.text.includes(`"id":${id}`);
      }),
      { numRuns: 60 },
    );
  },
);

t.test(
  'on a shared process a session cancels its own calls only, and a deadline cancels too [C-02] [C-03]',
  async (t) => {
    const place = await start(t, scripted('legacy'), { process: 'shared' }, { timeout: '2s' });
    const [one, two] = [await openSession(t, place.url, place.token), await openSession(t, place.url, place.token)];
    const first = one.call(7, 'wait');
    await logs(place, /waiting/);
    t.equal((await two.post({ method: 'notifications/cancelled', params: { requestId: 7 } })).status, 202);
    const second = two.call(7, 'wait');
    t.equal((await one.post({ method: 'notifications/cancelled', params: { requestId: 7 } })).status, 202);
    await logs(place, /cancelled, \d wait/);
    t.equal((await first).text, '', 'the cancelled call gets no answer');
    t.equal(codeOf(await second), 'upstream_timeout', 'the other one goes on until its time is over');
    await logs(place, /cancelled, 0 wait/);
    const received = said(await one.call(8, 'received')) as string[];
    t.equal(
      received.filter((it) => it.startsWith('notifications/cancelled')).length,
      2,
      'the server heard of both, once',
    );
  },
);

t.test(
  'a shared process is offered no capability, answered for by the gateway, and offers neither logs nor tasks [shared-process-asks-nobody]',
  async (t) => {
    const place = await start(t, scripted('legacy'), { process: 'shared' });
    const session = await openSession(t, place.url, place.token);
    const result = session.first.json['result'] as { protocolVersion: string; capabilities: JsonObject };
    t.equal(session.first.json['id'], 0);
    t.equal(result.protocolVersion, '2025-06-18', 'what the process negotiated');
    t.same(Object.keys(result.capabilities), ['tools', 'resources']);
    t.match(said(await session.call(1, 'ask')), { code: -32601 }, 'it may not ask');
    t.same(said(await session.call(2, 'ping')), {}, 'but it may ping [P-03]');
    t.match((await session.post({ id: 3, method: 'logging/setLevel', params: { level: 'debug' } })).json, {
      id: 3,
      error: { code: -32601 },
    });
    t.match((await session.post({ id: 4, method: 'tasks/list' })).json, { id: 4, error: { code: -32601 } });
    await session.call(5, 'say', { method: 'notifications/message', params: { level: 'info', data: 'of somebody' } });
    await logs(place, /"level":"debug".*of somebody/);
    await session.post({ method: 'notifications/roots/list_changed' });
    const received = said(await session.call(6, 'received')) as string[];
    t.notOk(
      received.some((it) => /roots|setLevel|tasks/.test(it)),
      'none of it went to the process',
    );
  },
);

t.test(
  'changes of lists reach every session of a shared process, updates of a resource those who subscribed [shared-process-subscriptions] [G-10]',
  async (t) => {
    const place = await start(t, scripted('legacy'), { process: 'shared' });
    const sessions = await Promise.all([1, 2, 3].map(() => openSession(t, place.url, place.token)));
    const [one, two, three] = sessions as [(typeof sessions)[0], (typeof sessions)[0], (typeof sessions)[0]];
    const streams = await Promise.all(sessions.map((session) => session.listen()));
    t.equal((await one.listen()).status, 409, 'a session has one listening stream [S-07]');
    const uri = 'file:///a';
    await one.post({ id: 1, method: 'resources/subscribe', params: { uri } });
    await two.post({ id: 1, method: 'resources/subscribe', params: { uri } });
    const updated = async (to: string): Promise<void> => {
      await three.call(2, 'say', { method: 'notifications/resources/updated', params: { uri: to } });
      await three.call(3, 'say', { method: 'notifications/tools/list_changed', params: {} });
    };
    await updated(uri);
    const heard = await Promise.all(streams.map((stream) => stream.next()));
    t.match(heard[0], { method: 'notifications/resources/updated' });
    t.match(heard[1], { method: 'notifications/resources/updated' });
    t.match(heard[2], { method: 'notifications/tools/list_changed' }, 'who did not subscribe hears nothing of it');
    await Promise.all(streams.slice(0, 2).map((stream) => stream.next()));
    await one.post({ id: 2, method: 'resources/unsubscribe', params: { uri } });
    await updated(`${uri}/part`);
    t.match(await streams[0]!.next(), { method: 'notifications/tools/list_changed' });
    t.match(await streams[1]!.next(), { method: 'notifications/resources/updated', params: { uri: `${uri}/part` } });
    const unsubscribed = async (): Promise<number> =>
      (said(await three.call(9, 'received')) as string[]).filter((it) => it === 'resources/unsubscribe').length;
    t.equal(await unsubscribed(), 0, 'somebody still wants it');
    t.equal((await two.end()).status, 200);
    t.equal(await unsubscribed(), 1, 'now nobody does');
    t.equal((await two.call(1, 'echo')).status, 404, 'the session is over [S-06]');
    t.equal(await streams[1]!.next().then((it) => it?.['method']), 'notifications/tools/list_changed');
    t.equal(await streams[1]!.next(), undefined, 'and its stream');
  },
);

t.test(
  'modern requests of all callers share one process, whatever their ids [stdio-modern-keeps-callers-apart] [J-03]',
  async (t) => {
    const place = await start(t, scripted('modern'));
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, n) =>
        callTool(place.url, place.token, 'echo', { who: `caller ${n}` }, { progressToken: 'same' }),
      ),
    );
    const pids = new Set<number>();
    for (const [n, answer] of answers.entries()) {
      const { who, pid } = said(answer) as { who: string; pid: number };
      pids.add(pid);
      const [progress, final] = answer.events;
      const right = who === `caller ${n}` && final?.['id'] === 1 && answer.events.length === 2;
      const params = progress?.['params'] as JsonObject;
      if (!right || params['progressToken'] !== 'same' || params['message'] !== who) t.fail(answer.text);
    }
    t.equal(pids.size, 1);
  },
);

t.test(
  'a listening stream over stdio has its own id with its own type, ends gracefully, and is cancelled when its client leaves [stdio-listen] [L-01] [C-01] [C-04] [L-04] [E-05]',
  async (t) => {
    const place = await start(t, scripted('modern'));
    const listen = (id: string | number): ReturnType<typeof openStream> => {
      const params = { notifications: { toolsListChanged: true }, _meta: ENVELOPE };
      const body = JSON.stringify({ jsonrpc: '2.0', id, method: 'subscriptions/listen', params });
      const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'subscriptions/listen' };
      return openStream(t, place.url, place.token, headers, body);
    };
    const streams = await Promise.all([listen(1), listen('1'), listen('last')]);
    for (const [n, id] of [1, '1', 'last'].entries()) {
      t.match(await streams[n]!.next(), {
        method: 'notifications/subscriptions/acknowledged',
        params: { _meta: { [SUBSCRIPTION]: id } },
      });
    }
    streams[2]!.close();
    await logs(place, /cancelled, 0 wait/);
    t.match(
      (said(await callTool(place.url, place.token, 'received')) as string[]).filter((it) => it.includes('cancelled')),
      { length: 1 },
      'the process heard of the one that left',
    );
    const note = { method: 'notifications/tools/list_changed', params: {} };
    await callTool(place.url, place.token, 'say', note);
    t.same(await streams[0]!.next(), { jsonrpc: '2.0', ...note, params: { _meta: { [SUBSCRIPTION]: 1 } } });
    t.same(await streams[1]!.next(), { jsonrpc: '2.0', ...note, params: { _meta: { [SUBSCRIPTION]: '1' } } });
    const call = callTool(place.url, place.token, 'ask').catch(() => undefined);
    await callTool(place.url, place.token, 'end', { how: 'cancellation' });
    t.same(await streams[0]!.next(), {
      jsonrpc: '2.0',
      id: 1,
      result: { resultType: 'complete', _meta: { [SUBSCRIPTION]: 1 } },
    });
    t.equal(await streams[0]!.next(), undefined);
    t.match(await streams[1]!.next(), { id: '1', result: { _meta: { [SUBSCRIPTION]: '1' } } });
    const again = await listen(5);
    await again.next();
    await callTool(place.url, place.token, 'end', { how: 'result' });
    t.match(await again.next(), { id: 5, result: { _meta: { [SUBSCRIPTION]: 5 } } });
    await logs(place, /roots\/list/);
    await place.gateway.close();
    await call;
    t.pass('a request of the server went nowhere but to the log');
  },
);

t.test('a modern request that its client gives up is cancelled at the process [C-01]', async (t) => {
  const place = await start(t, scripted('modern'));
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id: 4,
    method: 'tools/call',
    params: { name: 'wait', arguments: {}, _meta: ENVELOPE },
  });
  const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'wait' };
  const leave = new AbortController();
  const call = fetch(place.url, {
    method: 'POST',
    body,
    headers: {
      ...headers,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      authorization: `Bearer ${place.token}`,
    },
    signal: leave.signal,
  });
  await logs(place, /waiting/);
  leave.abort();
  await t.rejects(call);
  await logs(place, /cancelled, 0 wait/);
});

t.test(
  'a process that knows only sessions, or does not answer discover, is served by sessions [stdio-probe]',
  async (t) => {
    for (const kind of ['legacy', 'silent']) {
      const place = await start(t, scripted('legacy', kind));
      const refused = await modern(place.url, place.token, 'tools/list');
      t.equal(refused.status, 400);
      t.match(refused.json, { error: { code: -32022 } });
      const session = await openSession(t, place.url, place.token);
      const { pid } = said(await session.call(1, 'echo')) as { pid: number };
      t.ok(alive(pid));
      const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ');
      const others = children.filter((it) => it !== String(pid) && alive(Number(it)));
      const scriptedOnes = others.filter((it) => readFileSync(`/proc/${it}/cmdline`, 'utf8').includes('scripted.ts'));
      await Promise.all(scriptedOnes.map((it) => gone(Number(it))));
      t.ok(alive(pid), 'the process that was probed is gone, that of the session is not');
      await place.gateway.close();
    }
  },
);

t.test(
  'a shared process that is killed fails its calls as lost, is restarted after a pause that doubles, and sessions begin anew [stdio-restart]',
  async (t) => {
    const place = await start(t, scripted('legacy', 'modern'), { process: 'shared' });
    const session = await openSession(t, place.url, place.token);
    const stream = await session.listen();
    const { pid } = said(await session.call(1, 'echo')) as { pid: number };
    const waiting = session.call(2, 'wait');
    await logs(place, /waiting/);
    process.kill(pid, 'SIGKILL');
    t.equal(codeOf(await waiting), 'upstream_lost', 'it may have run');
    t.match(await logs(place, /"level":"warn".*ended unexpectedly/), 'SIGKILL', 'its operator is told');
    t.equal(await stream.next(), undefined, 'the listening stream ends');
    t.equal((await session.call(3, 'echo')).status, 404, 'the session is over [S-04]');
    const open = (): Promise<Awaited<ReturnType<typeof openSession>>> =>
      until(async () => {
        const next = await openSession(t, place.url, place.token);
        return next.first.status === 200 && next.first.json['result'] !== undefined ? next : undefined;
      });
    const next = await open();
    t.not((said(await next.call(1, 'echo')) as { pid: number }).pid, pid, 'a new process');
    // Modern calls have no session that could end: here each death is seen by its own call.
    for (let death = 1; death <= 3; death += 1) {
      const dying = await until(async () => {
        const answer = await callTool(place.url, place.token, 'die');
        return codeOf(answer) === 'upstream_unreachable' ? undefined : answer;
      });
      t.equal(codeOf(dying), 'upstream_lost');
      const refused = await callTool(place.url, place.token, 'echo');
      t.equal(codeOf(refused), 'upstream_unreachable', 'it fails at once, was not sent');
      t.match(refused.text, /can be started again in \d\.\d s/, 'and says when it may be');
    }
  },
);

t.test(
  'the pause before a restart doubles up to 30 s and is forgotten after a minute of life [stdio-restart]',
  async (t) => {
    let now = 0;
    let die: (fault: UpstreamFault) => void = () => undefined;
    const kept = new Kept(
      (gone) => {
        die = gone;
        return { stop: async () => undefined };
      },
      () => now,
    );
    const pauses: number[] = [];
    for (let death = 0; death < 12; death += 1) {
      const first = kept.get();
      t.equal(kept.get(), first, 'one for all');
      now += death === 10 ? 60_000 : 10;
      die(new UpstreamFault('dead', true));
      const from = now;
      for (;;) {
        try {
          kept.get();
          break;
        } catch (fault) {
          t.match(fault, { sent: false });
          now += 50;
        }
      }
      pauses.push(now - from);
      await kept.retire(kept.get());
      t.doesNotThrow(() => kept.get(), 'one that was not needed any more may be needed again at once');
    }
    t.same(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 100, 200]);
  },
);

t.test('a process of one session that is killed ends that session only [stdio-restart]', async (t) => {
  const place = await start(t, scripted('legacy'));
  const [one, two] = [await openSession(t, place.url, place.token), await openSession(t, place.url, place.token)];
  t.equal(codeOf(await one.call(1, 'die')), 'upstream_lost');
  t.equal((await one.call(2, 'echo')).status, 404);
  t.match(said(await two.call(1, 'echo', { who: 'two' })), { who: 'two' });
});

t.test('with its session a process ends, and all that it started, however stubborn [stdio-no-orphans]', async (t) => {
  for (const command of [
    scripted('legacy', 'stubborn'),
    ['sh', '-c', `sleep 1000 & "${process.execPath}" "${script('scripted.ts')}" legacy; true`],
  ]) {
    const place = await start(t, command);
    const session = await openSession(t, place.url, place.token);
    const family = said(await session.call(1, 'grandchild')) as { pid: number; grandchild: number };
    t.ok(alive(family.pid) && alive(family.grandchild));
    t.equal((await session.end()).status, 200);
    await Promise.all([reaped(family.pid), gone(family.grandchild)]);
    const other = await openSession(t, place.url, place.token);
    const second = said(await other.call(1, 'grandchild')) as { pid: number; grandchild: number };
    process.kill(second.pid, 'SIGKILL');
    await gone(second.grandchild);
    t.pass('also when it dies by itself');
    const last = await openSession(t, place.url, place.token);
    const third = said(await last.call(1, 'grandchild')) as { pid: number; grandchild: number };
    await place.gateway.close();
    t.notOk(alive(third.pid) || alive(third.grandchild), 'and with the gateway');
  }
});

t.test(
  'a process that refuses to initialize, or cannot be started, leaves nothing behind [stdio-no-orphans]',
  async (t) => {
    for (const processes of ['session', 'shared']) {
      const place = await start(t, scripted('legacy', 'refusing'), { process: processes });
      const answer = await send(place.url, place.token, initialize('first'));
      t.match(answer.json, { id: 'first', error: { code: -32000, message: 'no thanks' } });
      t.notOk(answer.headers.has('mcp-session-id'));
      const missing = await start(t, ['/does/not/exist'], { process: processes });
      t.equal(codeOf(await send(missing.url, missing.token, initialize())), 'upstream_unreachable');
      await Promise.all([place.gateway.close(), missing.gateway.close()]);
    }
  },
);

t.test(
  'a process sees a few harmless variables and its own, no secret of the gateway [stdio-environment]',
  async (t) => {
    process.env['PORTCULLIS_TOKEN'] = 'fake-secret-of-the-gateway';
    process.env['UPSTREAM_PASSWORD'] = 'fake-secret-of-another';
    t.teardown(() => {
      delete process.env['PORTCULLIS_TOKEN'];
      delete process.env['UPSTREAM_PASSWORD'];
    });
    const place = await start(t, scripted('legacy'), { env: { OWN: 'short' } });
    const session = await openSession(t, place.url, place.token);
    const env = said(await session.call(1, 'env')) as Record<string, string>;
    const allowed = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'USER', 'SHELL', 'TERM', 'OWN'];
    t.same(
      // tap gives its own to every process that it sees being started.
      Object.keys(env).filter((name) => !allowed.includes(name) && !/^_TAPJS_|^NODE_OPTIONS$/.test(name)),
      [],
    );
    t.equal(env['OWN'], 'short');
    t.notMatch(JSON.stringify(env), /fake-secret/);
  },
);

t.test('what a process writes to its standard error is cut in length and in rate [stdio-stderr-bounded]', async (t) => {
  const place = await start(t, scripted('legacy'), { env: { KEY: 'fake-key-0123456789' } });
  const session = await openSession(t, place.url, place.token);
  t.equal(said(await session.call(0, 'mutter')), 'done');
  t.match(await logs(place, /xxxx/), /x+<UPSTR/, 'no part of a secret is left by the cut');
  t.equal(said(await session.call(1, 'flood', { lines: 50_000 })), 'done');
  await session.end();
  const left = await logs(place, /\d+ more lines were left out/);
  const lines = place.gateway.logged.filter((line) => line.includes('standard error'));
  t.ok(Number(/(\d+) more lines/.exec(left)![1]) > 40_000);
  t.ok(lines.length < 1_000, `${lines.length} lines`);
  t.ok(lines.every((line) => line.length < 5_000));
});

t.test(
  'a process that reads nothing holds up its own calls, which end by their time [stdio-back-pressure]',
  async (t) => {
    const place = await start(t, scripted('legacy'), {}, { timeout: '1s' });
    const [deaf, other] = [await openSession(t, place.url, place.token), await openSession(t, place.url, place.token)];
    t.equal(said(await deaf.call(0, 'deaf')), 'deaf');
    const padding = 'x'.repeat(200_000);
    const calls = await Promise.all(Array.from({ length: 40 }, (_, n) => deaf.call(n + 1, 'echo', { padding })));
    for (const answer of calls) if (codeOf(answer) !== 'upstream_timeout') t.fail(answer.text);
    t.match(said(await other.call(1, 'echo', { who: 'other' })), { who: 'other' }, 'others are served');
    t.equal((await deaf.end()).status, 200, 'and it can be ended');
  },
);

t.test(
  'a torrent of messages arrives whole from a process of one’s own; a shared one gives the slow reader up, not the others [stdio-back-pressure]',
  async (t) => {
    const own = await start(t, scripted('legacy'));
    const session = await openSession(t, own.url, own.token);
    const much = { count: 400, size: 50_000 };
    const answer = await session.call(1, 'torrent', much, { progressToken: 't' });
    t.same(
      answer.events.slice(0, -1).map((it) => (it['params'] as JsonObject)['progress']),
      Array.from({ length: 400 }, (_, n) => n + 1),
      '20 MB in order',
    );
    t.equal(said(answer), 'done');
    const shared = await start(t, scripted('legacy'), { process: 'shared' });
    const [one, two] = [await openSession(t, shared.url, shared.token), await openSession(t, shared.url, shared.token)];
    const params = { name: 'torrent', arguments: { count: 2_000, size: 50_000 }, _meta: { progressToken: 't' } };
    const text = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
    // Nothing is read until the process was told that its reader was given up.
    const slow = await openStream(t, shared.url, shared.token, one.headers, text);
    t.match(said(await two.call(1, 'echo', { who: 'two' })), { who: 'two' });
    await logs(shared, /cancelled, 0 wait/);
    let last: JsonObject | undefined;
    for (let next = await slow.next(); next !== undefined; next = await slow.next()) last = next;
    t.match(last, { id: 1, error: { data: { code: 'upstream_lost' } } });
    t.match(said(await one.call(2, 'echo', { who: 'one' })), { who: 'one' }, 'its session goes on');
  },
);

t.test(
  'a line that is no message is logged, a broken or endless one ends the process [stdio-hostile-output] [J-06]',
  async (t) => {
    const place = await start(t, scripted('legacy'));
    const session = await openSession(t, place.url, place.token);
    t.equal(said(await session.call(1, 'banner')), 'said');
    await logs(place, /Hello from a library/);
    t.equal(codeOf(await session.call(2, 'garbage')), 'upstream_invalid');
    const next = await openSession(t, place.url, place.token);
    t.equal(codeOf(await next.call(2, 'huge')), 'upstream_invalid');
  },
);

t.test('what a server asks before anybody listens waits for the client [stdio-unheard]', async (t) => {
  const place = await start(t, scripted('legacy'));
  const session = await openSession(t, place.url, place.token);
  const call = session.call(1, 'say', { method: 'notifications/tools/list_changed', params: {} });
  const during = (await call).events;
  t.match(during[0], { method: 'notifications/tools/list_changed' }, 'a call that is open hears it');
  const stream = await session.listen();
  await session.call(2, 'say', { method: 'notifications/prompts/list_changed', params: {} });
  t.match(await stream.next(), { method: 'notifications/prompts/list_changed' });
});
