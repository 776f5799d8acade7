import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { startUpstream, type Upstream } from '../fixture/upstream.ts';
import { callTool, modern, send, startGateway, textOf, type Answer, type TestGateway } from '../gateway.ts';

const SQL = 'DELETE FROM orders WHERE id = 1';

/** A gateway in which every `execute_sql` that deletes needs a DBA; an upstream with that tool, which counts its runs. */
async function start(
  t: Test,
  rule: JsonObject = {},
  hold: JsonObject = {},
): Promise<{ gateway: TestGateway; upstream: Upstream; url: string }> {
  const upstream = await startUpstream({
    list: [{ name: 'execute_sql', description: 'Runs SQL.', inputSchema: { type: 'object' } }],
    tools: {
      execute_sql: (request) => ({
        result: { ...request.complete, content: [{ type: 'text', text: 'rows: 1 for a@example.com' }] },
      }),
    },
  });
  t.teardown(() => upstream.close());
  const gateway = await startGateway(t, {
    connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng', 'dba'] } }],
    datamasking_rules: [
      {
        name: 'pii',
        connections: ['default'],
        supported_entity_types: [{ name: 'CONTACT', entity_types: ['EMAIL_ADDRESS'] }],
      },
    ],
    access_request_rules: [
      {
        name: 'writes',
        connections: ['default'],
        access_type: 'command',
        when: 'tool.name == "execute_sql" && args.?sql.orValue("").search("(?i)\\\\bdelete\\\\b")',
        reviewers_groups: ['dba'],
        ...rule,
      },
    ],
    hold: { inline_timeout: '20s', heartbeat: '1s', ...hold },
  });
  return { gateway, upstream, url: `${gateway.url}/mcp` };
}

/** The next review that waits, as the store reports it. */
function nextReview(gateway: TestGateway): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const stop = gateway.portcullis.gateway.recorder.reviews.onChange((review) => {
    if (review.state !== 'PENDING') return;
    stop();
    resolve(review.id);
  });
  return promise;
}

const update = (gateway: TestGateway, token: string, id: string, body: JsonObject): Promise<Answer> =>
  send(`${gateway.url}/api/reviews/${id}`, token, JSON.stringify(body), {}, 'PUT');
const messageOf = (answer: Answer): string => String((answer.json['error'] as JsonObject | undefined)?.['message']);
const pendingOf = (answer: Answer): JsonObject =>
  ((answer.json['result'] as JsonObject)['_meta'] as JsonObject)['portcullis/pending'] as JsonObject;
const runs = (upstream: Upstream): number => upstream.received('execute_sql').length;

t.test(
  'a held call runs once after another person approved it, and its answer is masked [held-runs-once-approved]',
  async (t) => {
    const { gateway, upstream, url } = await start(t);
    const erin = await gateway.person('erin', ['eng']);
    const dana = await gateway.person('dana', ['dba']);
    const waiting = nextReview(gateway);
    const held = callTool(url, erin, 'execute_sql', { sql: SQL });
    const id = await waiting;
    t.equal(runs(upstream), 0, 'nothing left while it is held');

    const own = await update(gateway, erin, id, { status: 'APPROVED' });
    t.equal(own.status, 403);
    t.equal(messageOf(own), 'unable to self approve review');

    const approved = await update(gateway, dana, id, { status: 'approved' });
    t.equal(approved.json['status'], 'APPROVED');
    const answer = await held;
    t.equal(answer.status, 200);
    t.match(textOf(answer), /rows: 1 for <EMAIL_ADDRESS>/);
    t.equal(runs(upstream), 1);
    const review = await send(`${gateway.url}/api/reviews/${id}`, dana, undefined, {}, 'GET');
    t.equal(review.json['status'], 'EXECUTED');
    t.equal(review.json['outcome'], 'answered');
  },
);

t.test('nobody approves his own call, not even an admin who is a reviewer [no-self-approval]', async (t) => {
  const { gateway, upstream, url } = await start(t);
  const root = await gateway.person('root', ['admin', 'dba', 'eng']);
  const waiting = nextReview(gateway);
  const held = callTool(url, root, 'execute_sql', { sql: SQL });
  const id = await waiting;
  t.equal((await update(gateway, root, id, { status: 'APPROVED' })).status, 403);
  t.equal((await update(gateway, root, id, { status: 'REJECTED' })).json['status'], 'REJECTED', 'but he may reject it');
  await held;
  t.equal(runs(upstream), 0);
});

t.test('only reviewers decide, and a stranger does not learn that the review exists [reviewers-only]', async (t) => {
  const { gateway, upstream, url } = await start(t);
  const erin = await gateway.person('erin', ['eng']);
  const waiting = nextReview(gateway);
  const held = callTool(url, erin, 'execute_sql', { sql: SQL });
  const id = await waiting;
  const stranger = await update(gateway, await gateway.person('sam', ['eng']), id, { status: 'APPROVED' });
  t.equal(stranger.status, 404);
  t.equal(messageOf(stranger), 'review not found');
  const admin = await update(gateway, await gateway.person('ada', ['admin']), id, { status: 'APPROVED' });
  t.equal(admin.status, 403, 'an admin outside the reviewers groups is told so');
  t.equal(messageOf(admin), 'not eligible for review');
  await update(gateway, erin, id, { status: 'REJECTED' });
  await held;
  t.equal(runs(upstream), 0);
});

t.test('a rejected call never reaches the upstream and the agent reads why [rejected-never-leaves]', async (t) => {
  const { gateway, upstream, url } = await start(t);
  const erin = await gateway.person('erin', ['eng']);
  const dana = await gateway.person('dana', ['dba']);
  const waiting = nextReview(gateway);
  const held = callTool(url, erin, 'execute_sql', { sql: SQL });
  await update(gateway, dana, await waiting, { status: 'REJECTED', rejection_reason: 'use the archive job' });
  const answer = await held;
  t.equal((answer.json['result'] as JsonObject)['isError'], true);
  t.match(textOf(answer), /rejected this call: use the archive job/);
  t.equal(runs(upstream), 0);
});

t.test(
  'an expired review never reaches the upstream and cannot be approved any more [expired-never-leaves]',
  async (t) => {
    const { gateway, upstream, url } = await start(t, {}, { review_expiry: '1s' });
    const erin = await gateway.person('erin', ['eng']);
    const dana = await gateway.person('dana', ['dba']);
    const waiting = nextReview(gateway);
    const held = callTool(url, erin, 'execute_sql', { sql: SQL });
    const id = await waiting;
    t.match(textOf(await held), /nobody approved this call in time/);
    t.equal((await update(gateway, dana, id, { status: 'APPROVED' })).status, 409);
    t.equal(runs(upstream), 0);
  },
);

t.test(
  'after the inline time the agent gets the pending envelope, and reviews_execute runs the approved call once [pending-envelope]',
  async (t) => {
    const { gateway, upstream, url } = await start(t, {}, { inline_timeout: '0s' });
    const erin = await gateway.person('erin', ['eng']);
    const dana = await gateway.person('dana', ['dba']);
    const held = await callTool(url, erin, 'execute_sql', { sql: SQL });
    t.equal((held.json['result'] as JsonObject)['isError'], true, 'no client mistakes it for a result');
    const envelope = pendingOf(held);
    t.same(JSON.parse(textOf(held)), envelope, 'the model reads the same');
    t.match(envelope, { status: 'pending_approval', message: 'Approval required before this execution can run' });
    const id = String(envelope['review_id']);

    const early = await callTool(url, erin, 'reviews_execute', { id });
    t.match(textOf(early), /review is in wrong state: PENDING/);
    const waited = await callTool(url, erin, 'reviews_wait', { id, timeout_seconds: 1 });
    t.match(JSON.parse(textOf(waited)), { status: 'PENDING', timed_out: true });

    await update(gateway, dana, id, { status: 'APPROVED' });
    t.match(JSON.parse(textOf(await callTool(url, erin, 'reviews_wait', { id }))), {
      status: 'APPROVED',
      timed_out: false,
    });
    const other = await callTool(url, await gateway.person('sam', ['eng']), 'reviews_execute', { id });
    t.match(textOf(other), /review not found/, 'only its owner can run it');
    const ran = JSON.parse(textOf(await callTool(url, erin, 'reviews_execute', { id }))) as JsonObject;
    t.match(ran, { status: 'completed', exit_code: 0, output: 'rows: 1 for <EMAIL_ADDRESS>' });
    t.equal(runs(upstream), 1);
    t.match(textOf(await callTool(url, erin, 'reviews_execute', { id })), /wrong state: EXECUTED/);
    t.equal(runs(upstream), 1, 'a second execution is refused');
  },
);

t.test(
  'the identical call attaches to the same review and runs once; another call is another review [identical-call-attaches]',
  async (t) => {
    const { gateway, upstream, url } = await start(t, {}, { inline_timeout: '0s' });
    const erin = await gateway.person('erin', ['eng']);
    const dana = await gateway.person('dana', ['dba']);
    const first = pendingOf(await callTool(url, erin, 'execute_sql', { sql: SQL, n: 1 }))['review_id'];
    const again = pendingOf(await callTool(url, erin, 'execute_sql', { n: 1, sql: SQL }))['review_id'];
    t.equal(again, first, 'the order of keys does not matter');
    const other = pendingOf(await callTool(url, erin, 'execute_sql', { sql: SQL, n: 2 }))['review_id'];
    t.not(other, first);
    const sams = pendingOf(
      await callTool(url, await gateway.person('sam', ['eng']), 'execute_sql', { sql: SQL, n: 1 }),
    )['review_id'];
    t.not(sams, first, 'another person is another review');
    await update(gateway, dana, String(first), { status: 'APPROVED' });
    t.match(textOf(await callTool(url, erin, 'execute_sql', { sql: SQL, n: 1 })), /rows: 1/);
    t.equal(runs(upstream), 1);
    t.match(
      pendingOf(await callTool(url, erin, 'execute_sql', { sql: SQL, n: 2 })),
      { review_id: other },
      'the other one still waits',
    );
  },
);

t.test('digits that a reader of floating point would lose make another review [approval-binds-digits]', async (t) => {
  const { gateway, url } = await start(t, {}, { inline_timeout: '0s' });
  const erin = await gateway.person('erin', ['eng']);
  const call = (n: string): Promise<Answer> =>
    send(
      url,
      erin,
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"execute_sql","arguments":{"sql":"${SQL}","n":${n}},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`,
      { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'execute_sql' },
    );
  const a = pendingOf(await call('9007199254740993'))['review_id'];
  t.not(pendingOf(await call('9007199254740992'))['review_id'], a);
  t.equal(pendingOf(await call('9007199254740993'))['review_id'], a);
});

t.test('two approvers at once and two identical held calls lead to one run [one-run-under-races]', async (t) => {
  const { gateway, upstream, url } = await start(t);
  const erin = await gateway.person('erin', ['eng']);
  const [dana, dave] = [await gateway.person('dana', ['dba']), await gateway.person('dave', ['dba'])];
  const waiting = nextReview(gateway);
  const calls = [callTool(url, erin, 'execute_sql', { sql: SQL }), callTool(url, erin, 'execute_sql', { sql: SQL })];
  const id = await waiting;
  await Promise.all([
    update(gateway, dana, id, { status: 'APPROVED' }),
    update(gateway, dave, id, { status: 'APPROVED' }),
  ]);
  const answers = (await Promise.all(calls)).map(textOf);
  t.equal(runs(upstream), 1);
  for (const text of answers) t.match(text, /rows: 1|already used by another identical request/);
});

t.test(
  'two approvals are needed from two people, whatever order and however often one votes [distinct-people]',
  async (t) => {
    const { gateway, upstream, url } = await start(t, { min_approvals: 2 });
    const erin = await gateway.person('erin', ['eng']);
    const [dana, dave] = [await gateway.person('dana', ['dba']), await gateway.person('dave', ['dba'])];
    const waiting = nextReview(gateway);
    const held = callTool(url, erin, 'execute_sql', { sql: SQL });
    const id = await waiting;
    t.equal((await update(gateway, dana, id, { status: 'APPROVED' })).json['status'], 'PENDING');
    const twice = await update(gateway, dana, id, { status: 'APPROVED' });
    t.equal(twice.status, 409);
    t.match(messageOf(twice), /you have voted already/);
    t.equal(runs(upstream), 0);
    t.equal((await update(gateway, dave, id, { status: 'APPROVED' })).json['status'], 'APPROVED');
    await held;
    t.equal(runs(upstream), 1);
  },
);

t.test(
  'a call whose upstream cannot be reached keeps its approval; one that may have run does not [unreachable-keeps-approval]',
  async (t) => {
    const { gateway, upstream, url } = await start(t, {}, { inline_timeout: '0s' });
    const erin = await gateway.person('erin', ['eng']);
    const dana = await gateway.person('dana', ['dba']);
    const id = String(pendingOf(await callTool(url, erin, 'execute_sql', { sql: SQL }))['review_id']);
    await update(gateway, dana, id, { status: 'APPROVED' });
    await upstream.close();
    const away = await callTool(url, erin, 'execute_sql', { sql: SQL });
    t.match(messageOf(away), /could not be reached/);
    t.equal((await send(`${gateway.url}/api/reviews/${id}`, dana, undefined, {}, 'GET')).json['status'], 'APPROVED');
  },
);

t.test(
  'an upstream that breaks off leaves the review executed with an unknown outcome [broken-off-is-unknown]',
  async (t) => {
    const upstream = await startUpstream({
      list: [{ name: 'execute_sql', description: 'Runs SQL.', inputSchema: { type: 'object' } }],
      tools: { execute_sql: (request) => void request.reset() },
    });
    t.teardown(() => upstream.close());
    const gateway = await startGateway(t, {
      connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng', 'dba'] } }],
      access_request_rules: [
        { name: 'writes', connections: ['default'], access_type: 'command', reviewers_groups: ['dba'] },
      ],
      hold: { inline_timeout: '0s' },
    });
    const url = `${gateway.url}/mcp`;
    const erin = await gateway.person('erin', ['eng']);
    const dana = await gateway.person('dana', ['dba']);
    const id = String(pendingOf(await callTool(url, erin, 'execute_sql', { sql: SQL }))['review_id']);
    await update(gateway, dana, id, { status: 'APPROVED' });
    t.match(messageOf(await callTool(url, erin, 'execute_sql', { sql: SQL })), /may have run/);
    const review = await send(`${gateway.url}/api/reviews/${id}`, dana, undefined, {}, 'GET');
    t.match(review.json, { status: 'EXECUTED', outcome: 'unknown' });
  },
);

t.test(
  'a caller who left gets the masked result of the one run with his next identical call [result-kept-for-owner]',
  async (t) => {
    const { gateway, upstream, url } = await start(t, {}, { inline_timeout: '0s' });
    const erin = await gateway.person('erin', ['eng']);
    const dana = await gateway.person('dana', ['dba']);
    const id = String(pendingOf(await callTool(url, erin, 'execute_sql', { sql: SQL }))['review_id']);
    await update(gateway, dana, id, { status: 'APPROVED' });
    const { recorder } = gateway.portcullis.gateway;
    const claimed = await recorder.reviews.move(id, 'APPROVED', 'PROCESSING', {});
    t.ok(claimed, 'somebody runs it');
    const kept = Buffer.from(
      '{"jsonrpc":"2.0","id":77,"result":{"content":[{"type":"text","text":"kept"}],"resultType":"complete"}}',
    );
    await recorder.reviews.move(id, 'PROCESSING', 'EXECUTED', { outcome: 'answered', result: kept });
    const answer = await callTool(url, erin, 'execute_sql', { sql: SQL });
    t.equal(textOf(answer), 'kept');
    t.equal(answer.json['id'], 1, 'under the id of the request that gets it');
    const later = await callTool(url, erin, 'execute_sql', { sql: SQL });
    t.not(pendingOf(later)['review_id'], id, 'it is given once; the next identical call is a new review');
    t.equal(runs(upstream), 0);
  },
);

t.test('heartbeats keep the stream warm: progress with a token, comments without [hold-heartbeats]', async (t) => {
  const { gateway, url } = await start(t);
  const erin = await gateway.person('erin', ['eng']);
  const dana = await gateway.person('dana', ['dba']);
  const waiting = nextReview(gateway);
  const held = callTool(url, erin, 'execute_sql', { sql: SQL }, { progressToken: 'p-1' });
  await update(gateway, dana, await waiting, { status: 'APPROVED' });
  const answer = await held;
  const progress = answer.events.filter((event) => event['method'] === 'notifications/progress');
  t.ok(progress.length >= 1);
  t.match(progress[0], { params: { progress: 1, message: 'waiting for approval' } });
});

t.test(
  'companion tools are offered at the end of the list, and keep out of the way of tools of the same name [companion-tools]',
  async (t) => {
    const { gateway, url } = await start(t);
    const erin = await gateway.person('erin', ['eng']);
    const names = async (at: string, token: string): Promise<string[]> =>
      (((await modern(at, token, 'tools/list')).json['result'] as JsonObject)['tools'] as JsonObject[]).map((tool) =>
        String(tool['name']),
      );
    t.same(await names(url, erin), ['execute_sql', 'reviews_wait', 'reviews_execute', 'reviews_get', 'me_get']);
    const me = await callTool(url, erin, 'me_get');
    t.match(JSON.parse(textOf(me)), { user_id: 'erin', groups: ['eng'], is_admin: false });

    const clashing = await startUpstream({
      list: [{ name: 'me_get', description: 'Its own.', inputSchema: { type: 'object' } }],
      tools: {
        me_get: (request) => ({
          result: { ...request.complete, content: [{ type: 'text', text: 'the upstream’s own' }] },
        }),
      },
    });
    t.teardown(() => clashing.close());
    const second = await startGateway(t, {
      connections: [{ name: 'default', upstream: { url: clashing.url }, access: { groups: ['eng'] } }],
      access_request_rules: [
        {
          name: 'never',
          connections: ['default'],
          access_type: 'command',
          when: 'name == "other"',
          reviewers_groups: ['dba'],
        },
      ],
    });
    const eve = await second.person('eve', ['eng']);
    t.same(await names(`${second.url}/mcp`, eve), [
      'me_get',
      'portcullis_reviews_wait',
      'portcullis_reviews_execute',
      'portcullis_reviews_get',
      'portcullis_me_get',
    ]);
    t.equal(textOf(await callTool(`${second.url}/mcp`, eve, 'me_get')), 'the upstream’s own');
  },
);

t.test('a second request with the id of one in flight is refused before it can shadow the first [J-03]', async (t) => {
  const { gateway, upstream, url } = await start(t);
  const erin = await gateway.person('erin', ['eng']);
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  const opened = await send(url, erin, JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }));
  const session = { 'mcp-session-id': opened.headers.get('mcp-session-id')!, 'mcp-protocol-version': '2025-11-25' };
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id: 5,
    method: 'tools/call',
    params: { name: 'execute_sql', arguments: { sql: SQL } },
  });
  const waiting = nextReview(gateway);
  const held = send(url, erin, body, session);
  const id = await waiting;
  const second = await send(url, erin, body, session);
  t.equal(second.status, 400);
  t.match(messageOf(second), /already in flight/);
  await update(gateway, erin, id, { status: 'REJECTED' });
  await held;
  t.equal(runs(upstream), 0);
});

t.test(
  'a held call that its client cancels is over, and a later approval alone runs nothing [cancelled-hold-never-runs]',
  async (t) => {
    const { gateway, upstream, url } = await start(t);
    const erin = await gateway.person('erin', ['eng']);
    const dana = await gateway.person('dana', ['dba']);
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
    const opened = await send(url, erin, JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }));
    const session = { 'mcp-session-id': opened.headers.get('mcp-session-id')!, 'mcp-protocol-version': '2025-11-25' };
    const waiting = nextReview(gateway);
    const held = send(
      url,
      erin,
      JSON.stringify({
        jsonrpc: '2.0',
        id: 5,
        method: 'tools/call',
        params: { name: 'execute_sql', arguments: { sql: SQL } },
      }),
      session,
    );
    const id = await waiting;
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 5 } };
    t.equal((await send(url, erin, JSON.stringify(cancel), session)).status, 202);
    t.notMatch((await held).text, '"result"', 'a cancelled request gets no answer');
    t.equal((await update(gateway, dana, id, { status: 'APPROVED' })).json['status'], 'APPROVED');
    await gateway.exchanges();
    t.equal(runs(upstream), 0, 'nobody claims it');
  },
);

t.test(
  'a call that cannot be held because the store is gone is refused by its name and goes nowhere [disk-full-refuses-calls]',
  async (t) => {
    const { gateway, upstream, url } = await start(t);
    const erin = await gateway.person('erin', ['eng']);
    await callTool(url, erin, 'me_get');
    const { reviews } = gateway.portcullis.gateway.recorder;
    // The writer thread is stopped under the running gateway, as a crash of it would.
    await gateway.portcullis.gateway.recorder.close();
    await t.rejects(reviews.list({}));
    const answer = await callTool(url, erin, 'execute_sql', { sql: SQL });
    t.match(answer.json['error'], { data: { code: 'record_unavailable' } });
    t.equal(runs(upstream), 0);
    t.equal((await send(`${gateway.url}/readyz`, undefined, undefined, {}, 'GET')).status, 503);
  },
);
