import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { OPERATIONS } from '../../proxy/admin/operations.ts';
import { METRICS } from '../../proxy/metrics.ts';
import { startUpstream } from '../fixture/upstream.ts';
import { callTool, send, startGateway, type Answer, type TestGateway } from '../gateway.ts';

interface House {
  readonly gateway: TestGateway;
  readonly url: string;
  ask(method: string, path: string, token: string | undefined, body?: JsonObject | string): Promise<Answer>;
}

async function start(t: Test): Promise<House> {
  const upstream = await startUpstream({ list: [{ name: 'execute_sql', inputSchema: { type: 'object' } }] });
  t.teardown(() => upstream.close());
  const gateway = await startGateway(t, {
    connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng', 'dba'] } }],
    access_request_rules: [
      {
        name: 'writes',
        connections: ['default'],
        access_type: 'command',
        when: 'tool.name == "execute_sql"',
        reviewers_groups: ['dba'],
      },
    ],
    hold: { inline_timeout: '0s' },
  });
  return {
    gateway,
    url: `${gateway.url}/mcp`,
    ask: (method, path, token, body) =>
      send(gateway.url + path, token, typeof body === 'object' ? JSON.stringify(body) : body, {}, method),
  };
}

const errorOf = (answer: Answer): JsonObject => (answer.json['error'] ?? {}) as JsonObject;
const pending = async ({ url }: House, token: string, sql: string): Promise<string> =>
  /rev_[\w-]+/.exec((await callTool(url, token, 'execute_sql', { sql })).text)?.[0] ?? 'none';

t.test('every operation has its route, and its role decides who may use it [roles-decide]', async (t) => {
  const { gateway, ask } = await start(t);
  const admin = await gateway.person('ada', ['admin']);
  const auditor = await gateway.person('aude', ['auditor']);
  const member = await gateway.person('erin', ['eng']);
  const nobody = await gateway.person('nora', []);
  const bodies: Record<string, JsonObject> = { tokens_create: { name: 'x' }, reviews_update: { status: 'APPROVED' } };
  for (const { name, role, rest } of OPERATIONS) {
    const path = rest.path.replace(/:\w+/g, 'unknown');
    const body = rest.method === 'GET' || rest.method === 'DELETE' ? undefined : (bodies[name] ?? {});
    const as = (token: string | undefined): Promise<Answer> => ask(rest.method, path, token, body);
    const stranger = await as(undefined);
    t.equal(stranger.status, 401, `${name}: a stranger`);
    t.equal(stranger.headers.get('www-authenticate'), 'Bearer');
    t.equal(errorOf(stranger)['code'], 'token_missing');
    for (const [who, token, may] of [
      ['admin', admin, true],
      ['auditor', auditor, role !== 'admin'],
      ['member', member, role === 'any'],
      ['person without groups', nobody, role === 'any'],
    ] as const) {
      const answer = await as(token);
      t.equal(answer.headers.get('cache-control'), 'no-store');
      t.match(answer.headers.get('content-type'), /^application\/json/);
      if (may) {
        t.ok([200, 400, 404].includes(answer.status), `${name}: the ${who} may (${answer.status})`);
        continue;
      }
      t.equal(answer.status, 403, `${name}: the ${who} may not`);
      t.equal(
        errorOf(answer)['message'],
        role === 'admin' ? 'admin access required' : 'admin or auditor access required',
      );
      t.equal(errorOf(answer)['code'], `${role}_required`);
      t.match(errorOf(answer)['exchange_id'], /^exc_/, 'the refusal is a call on record');
    }
  }
  const names = (await gateway.portcullis.gateway.recorder.tokens.list()).map(({ name }) => name);
  t.equal(names.filter((name) => name === 'x').length, 1, 'only the admin made a token');
  const denied = (await gateway.exchanges()).filter(({ decision }) => decision.code === 'admin_required');
  t.ok(denied.length >= 6, 'each refusal is recorded with its rule');
  t.match(denied[0]?.decision, { action: 'deny', rules: ['roles'] });
});

t.test('the routes answer what their operations answer', async (t) => {
  const house = await start(t);
  const { gateway, ask, url } = house;
  const admin = await gateway.person('ada', ['admin']);
  const erin = await gateway.person('erin', ['eng']);
  const dana = await gateway.person('dana', ['dba']);
  t.match((await ask('GET', '/api/me', erin)).json, {
    user_id: 'erin',
    user_email: 'erin@example.com',
    groups: ['eng'],
    is_admin: false,
    issuer: 'portcullis:tokens',
  });
  t.match((await ask('GET', '/api/me', admin)).json, { is_admin: true });

  const [first, second] = [await pending(house, erin, 'DELETE 1'), await pending(house, erin, 'DELETE 2')];
  const list = await ask('GET', '/api/reviews?status=PENDING&limit=1', dana);
  t.equal((list.json['items'] as JsonObject[]).length, 1, 'a number in the query is a number');
  t.equal((await ask('GET', `/api/reviews/${first}`, dana)).json['status'], 'PENDING');
  t.equal(
    (await ask('GET', `/api/reviews/${first}`, await gateway.person('sam', ['eng']))).status,
    404,
    'not his to see',
  );
  const own = await ask('PUT', `/api/reviews/${first}`, erin, { status: 'APPROVED' });
  t.equal(own.status, 403);
  t.equal(errorOf(own)['code'], 'review_self_approval');
  t.equal(
    (await ask('PUT', `/api/reviews/${first}?force_review=false`, dana, { id: second, status: 'APPROVED' })).json['id'],
    first,
    'the path names the review, whatever the body says',
  );
  t.equal((await ask('GET', `/api/reviews/${second}`, dana)).json['status'], 'PENDING');
  t.equal((await ask('PUT', `/api/reviews/${first}`, dana, { status: 'REJECTED' })).status, 409, 'it is decided');
  t.match((await ask('GET', `/api/reviews/${first}/wait?timeout_seconds=1`, erin)).json, {
    status: 'APPROVED',
    timed_out: false,
  });
  t.equal((await ask('POST', `/api/reviews/${second}/execute`, erin)).status, 409, 'nobody approved that one');
  t.equal((await ask('POST', `/api/reviews/${first}/execute`, dana)).status, 403, 'only who asked for it runs it');
  t.match((await ask('POST', `/api/reviews/${first}/execute`, erin)).json, {
    status: /completed|failed/,
    review_id: first,
  });
  t.equal((await ask('POST', `/api/reviews/${first}/execute`, erin)).status, 409, 'once');

  await callTool(url, dana, 'echo', { of: 'dana' });
  const mine = await ask('GET', '/api/sessions?connection=default&limit=100', erin);
  t.ok((mine.json['items'] as JsonObject[]).length > 0);
  t.ok(
    (mine.json['items'] as JsonObject[]).every((session) => session['user_id'] === 'erin'),
    'a member sees his own sessions',
  );
  const all = await ask('GET', '/api/sessions?connection=default&limit=100', await gateway.person('aude', ['auditor']));
  const of = (all.json['items'] as JsonObject[]).find((session) => session['user_id'] === 'dana');
  t.equal(
    (await ask('GET', `/api/sessions/${String(of?.['id'])}`, erin)).status,
    404,
    'those of others do not exist for him',
  );
  t.equal((await ask('GET', `/api/sessions/${String(of?.['id'])}/content`, erin)).status, 404);
  t.match((await ask('GET', `/api/sessions/${String(of?.['id'])}/content`, dana)).json['exchanges'], [
    { name: 'echo', outcome: 'answered' },
  ]);

  const made = await ask('POST', '/api/tokens', admin, {
    name: 'ci',
    subject: 'build',
    groups: ['eng'],
    expires_in_seconds: 60,
  });
  t.match(made.json, { name: 'ci', subject: 'build', groups: ['eng'], status: 'active', token: /^pct_/ });
  t.equal((await ask('GET', '/api/me', String(made.json['token']))).json['user_id'], 'build');
  const listed = await ask('GET', '/api/tokens', admin);
  t.notMatch(listed.text, /pct_|"hash"/, 'a list never shows tokens');
  t.equal((await ask('DELETE', `/api/tokens/${String(made.json['id'])}`, admin)).json['status'], 'revoked');
  t.equal((await ask('GET', '/api/me', String(made.json['token']))).status, 401);
});

t.test('arguments that do not fit are refused with 400, unknown ids with 404', async (t) => {
  const { gateway, ask } = await start(t);
  const admin = await gateway.person('ada', ['admin']);
  const bad: readonly (readonly [method: string, path: string, body?: JsonObject | string])[] = [
    ['GET', '/api/sessions?limit=abc'],
    ['GET', '/api/sessions?limit=0'],
    ['GET', '/api/sessions?limit=101'],
    ['GET', '/api/sessions?limit=-1'],
    ['GET', '/api/sessions?limit=1.5'],
    ['GET', '/api/sessions?limit=1e1'],
    ['GET', '/api/sessions?limit=0x10'],
    ['GET', '/api/sessions?limit='],
    ['GET', '/api/sessions?limit=1&limit=2'],
    ['GET', '/api/sessions?limit=99999999999999999999'],
    ['GET', '/api/sessions?nonsense=1'],
    ['GET', '/api/sessions?constructor=1'],
    ['GET', '/api/sessions?connection=a&connection=b'],
    ['GET', '/api/reviews?status=pending'],
    ['GET', '/api/reviews/x/wait?timeout_seconds=301'],
    ['GET', '/api/me?x=1'],
    ['POST', '/api/tokens', '{'],
    ['POST', '/api/tokens', '[]'],
    ['POST', '/api/tokens', '"x"'],
    ['POST', '/api/tokens', 'null'],
    ['POST', '/api/tokens', ''],
    ['POST', '/api/tokens', {}],
    ['POST', '/api/tokens', { name: 1 }],
    ['POST', '/api/tokens', { name: '' }],
    ['POST', '/api/tokens', { name: 'x', admin: true }],
    ['POST', '/api/tokens', { name: 'x', groups: 'admin' }],
    ['POST', '/api/tokens', { name: 'x', groups: [null] }],
    ['POST', '/api/tokens', { name: 'x', expires_in_seconds: 1 }],
    ['POST', '/api/tokens', { name: 'x', expires_in_seconds: '3600' }],
    ['POST', '/api/tokens', '{"name":"\\ud800"}'],
    ['PUT', '/api/reviews/x', { status: 'EXECUTED' }],
    ['PUT', '/api/reviews/x', {}],
    ['DELETE', `/api/tokens/${'x'.repeat(201)}`],
  ];
  for (const [method, path, body] of bad) {
    const answer = await ask(method, path, admin, body);
    t.ok(
      answer.status === 400 || answer.status === 414,
      `${method} ${path.slice(0, 60)} ${JSON.stringify(body ?? null)}: ${answer.status}`,
    );
    t.type(errorOf(answer)['message'], 'string');
  }
  for (const [method, path, body] of [
    ['GET', '/api/reviews/rev_unknown'],
    ['GET', '/api/reviews/__proto__'],
    ['PUT', '/api/reviews/rev_unknown', { status: 'APPROVED' }],
    ['GET', '/api/reviews/rev_unknown/wait'],
    ['POST', '/api/reviews/rev_unknown/execute'],
    ['GET', '/api/sessions/ses_unknown'],
    ['GET', "/api/sessions/'%20OR%201=1--"],
    ['GET', '/api/sessions/ses_unknown/content'],
    ['DELETE', '/api/tokens/tok_unknown'],
  ] as const) {
    const answer = await ask(method, path, admin, body);
    t.equal(answer.status, 404, `${method} ${path}`);
    t.match(errorOf(answer)['message'], /not found$/);
  }
  for (const [method, path] of [
    ['POST', '/api/me'],
    ['DELETE', '/api/sessions/x'],
    ['GET', '/api/nothing'],
    ['PATCH', '/api/tokens'],
    ['HEAD', '/api/me'],
  ] as const)
    t.equal((await ask(method, path, admin)).status, 404, `${method} ${path} is no route`);
  t.equal(
    (await send(`${gateway.url}/api/tokens`, admin, '{"name":"x"}', { 'content-type': 'text/plain' })).status,
    415,
  );
  t.equal((await send(`${gateway.url}/api/tokens`, admin, '{"name":"x"}', { 'content-encoding': 'gzip' })).status, 415);
  t.equal((await ask('GET', '/api/me?access_token=x', admin)).status, 401, 'no token in a query');
  t.equal((await gateway.portcullis.gateway.recorder.tokens.list()).length, 1, 'nothing was made meanwhile');
  t.strictSame(
    gateway.logged.filter((line) => line.includes('"level":"error"')),
    [],
  );
});

t.test(
  'health, readiness and metrics say how the gateway is and nothing of anybody [ops-tell-no-secret]',
  async (t) => {
    const { gateway, ask, url } = await start(t);
    const token = await gateway.person('erin-the-subject', ['eng']);
    await callTool(url, token, 'echo', { secret: 'a-value-of-the-caller' });
    await send(url, 'wrong', '{}');
    const health = await ask('GET', '/healthz', undefined);
    t.equal(health.status, 200);
    t.strictSame(health.json, { status: 'ok' });
    const ready = await ask('GET', '/readyz', undefined);
    t.equal(ready.status, 200);
    t.strictSame(ready.json, { status: 'ready', troubles: [] });

    const metrics = await ask('GET', '/metrics', undefined);
    t.equal(metrics.status, 200);
    t.match(metrics.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
    for (const name of Object.keys(METRICS))
      t.match(metrics.text, new RegExp(`^# TYPE portcullis_${name} `, 'm'), name);
    t.match(metrics.text, /^portcullis_calls_total\{connection="default",decision="allow"\} \d+$/m);
    t.match(metrics.text, /^portcullis_refusals_total\{code="token_invalid"\} 1$/m);
    t.match(metrics.text, /^portcullis_rulebook_info\{revision="[^"]+"\} 1$/m);
    t.match(metrics.text, /^portcullis_store_trouble 0$/m);
    t.notMatch(metrics.text, /erin|a-value-of|pct_|127\.0\.0\.1|echo/, 'no subject, argument, token, address or tool');
    for (const method of ['POST', 'PUT', 'DELETE'])
      for (const path of ['/healthz', '/readyz', '/metrics'])
        t.equal((await ask(method, path, undefined)).status, 404, `${method} ${path}`);
  },
);
