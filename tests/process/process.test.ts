import t from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { callTool, send, textOf, type Answer } from '../gateway.ts';
import type { UpstreamRequest } from '../fixture/upstream.ts';
import { configFor, person, startDatabase, until, Workplace } from './commands.ts';

const DELETE = 'DELETE FROM orders WHERE id = 1';
const review = (url: string, token: string, id: string): Promise<JsonObject> =>
  send(`${url}/api/reviews/${id}`, token, undefined, {}, 'GET').then((answer) => answer.json);
const approve = (url: string, token: string, id: string): Promise<Answer> =>
  send(`${url}/api/reviews/${id}`, token, JSON.stringify({ status: 'APPROVED' }), {}, 'PUT');
const pendingOf = (answer: Answer): JsonObject =>
  ((answer.json['result'] as JsonObject)['_meta'] as JsonObject)['portcullis/pending'] as JsonObject;

/** The reviews that wait for this person, as soon as there are so many. */
const waiting = (url: string, token: string, count = 1): Promise<readonly JsonObject[]> =>
  until(async () => {
    const answer = await send(`${url}/api/reviews?status=PENDING`, token, undefined, {}, 'GET');
    const items = answer.json['items'] as JsonObject[];
    return items.length >= count ? items : undefined;
  });

t.test(
  'serve answers health checks, and SIGINT ends it with exit code 0 and a whole record [clean-stop]',
  async (t) => {
    const place = new Workplace(t);
    const upstream = await startDatabase(t);
    place.write(configFor(upstream, place));
    const token = await place.token('erin', 'eng');
    const { program, url } = await place.serve();
    t.match(program.stderr, /connection +default \(custom\) -> http:\/\/127\.0\.0\.1/, 'it says what it runs');
    t.equal((await fetch(`${url}/healthz`)).status, 200);
    t.match(await (await fetch(`${url}/readyz`)).json(), { status: 'ready' });
    t.match(
      textOf(await callTool(`${url}/mcp`, token, 'execute_sql', { sql: 'SELECT 1' })),
      /rows: 1 for <EMAIL_ADDRESS>/,
    );

    const second = await place.cli('serve');
    t.equal(second.code, 1);
    t.match(
      second.stderr,
      /another|already|in use|lock/i,
      'a second gateway on the same store says why it cannot start',
    );
    t.equal((await fetch(`${url}/healthz`)).status, 200, 'and does not disturb the first');

    program.signal('SIGINT');
    t.equal((await program.end()).code, 0);
    const report = JSON.parse(await place.ok('--json', 'verify')) as JsonObject;
    t.match(report, { ok: true, unsigned: 0, problems: [] });
  },
);

t.test(
  'a call that its upstream never answers does not keep the gateway from stopping [stop-is-bounded]',
  async (t) => {
    const place = new Workplace(t);
    const upstream = await startDatabase(t, () => undefined);
    place.write(configFor(upstream, place));
    const token = await place.token('erin', 'eng');
    const { program, url } = await place.serve();
    const body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"execute_sql","arguments":{}}}';
    const hanging = send(`${url}/mcp`, token, body).catch((fault: unknown) => fault);
    const stays = callTool(`${url}/mcp`, token, 'execute_sql').catch((fault: unknown) => fault);
    await upstream.arrival('execute_sql', 2);
    program.signal('SIGTERM');
    t.equal((await program.end()).code, 0);
    await Promise.all([hanging, stays]);
    await place.ok('verify');
    const sessions = JSON.parse(await place.ok('--json', 'sessions', 'list', '--connection', 'default')) as {
      items: { id: string; user_id: string }[];
    };
    const own = sessions.items.filter((session) => session.user_id === 'erin');
    const contents = await Promise.all(
      own.map(
        async ({ id }) => JSON.parse(await place.ok('--json', 'sessions', 'replay', id)) as { exchanges: JsonObject[] },
      ),
    );
    const calls = contents
      .flatMap((content) => content.exchanges)
      .filter((exchange) => exchange['method'] === 'tools/call');
    t.same(
      calls.map((call) => call['outcome']),
      ['unknown', 'unknown'],
      'the record says that nobody knows',
    );
  },
);

t.test('config check names each mistake with its place and exits with 2 [config-mistakes-named]', async (t) => {
  const place = new Workplace(t);
  place.write(
    'server:\n  listen: nonsense\n  grace: 5 bananas\nconnections:\n  - name: default\n    upstream: { url: "http://127.0.0.1:1/mcp" }\n    colour: red\n',
  );
  const { code, stderr } = await place.cli('config', 'check');
  t.equal(code, 2);
  const places = stderr
    .split('\n')
    .filter((line) => line.includes(`${place.file}:`))
    .map((line) => /:(\d+):(\d+): /.exec(line)?.[1]);
  t.same(places, ['2', '3', '7'], 'three mistakes on three lines');
  t.equal((await place.cli('serve')).code, 2, 'serve refuses the same file');
  t.equal((await place.cli('nonsense')).code, 2, 'an unknown command is a wrong usage');
});

t.test(
  'tokens, reviews and sessions by command: on the store before and beside the gateway, and through it [command-line]',
  async (t) => {
    const place = new Workplace(t);
    const upstream = await startDatabase(t);
    place.write(configFor(upstream, place));
    const ada = await place.admin();
    const { url } = await place.serve();
    const [erin, dana] = [await person(url, ada, 'erin', 'eng'), await person(url, ada, 'dana', 'dba')];
    const as = (token: string, ...args: readonly string[]): Promise<string> =>
      place.ok('--url', url, '--token', token, ...args);

    const held = callTool(`${url}/mcp`, erin, 'execute_sql', { sql: DELETE });
    const [first] = await waiting(url, dana);
    const id = String(first!['id']);
    const [listed, locally, shown, own, local] = await Promise.all([
      as(dana, 'reviews', 'list', '--status', 'pending'),
      place.ok('reviews', 'list'),
      as(dana, 'reviews', 'show', id),
      place.cli('--url', url, '--token', erin, 'reviews', 'approve', id),
      place.cli('reviews', 'approve', id),
    ]);
    t.match(listed, new RegExp(`${id} +PENDING +erin .*DELETE FROM`));
    t.match(locally, new RegExp(`${id} +PENDING`), 'the local operator sees it too');
    t.match(shown, /dba/);
    t.match([own.code, own.stderr], [1, /unable to self approve review/]);
    t.match([local.code, local.stderr], [1, /not eligible for review/], 'the local operator is no reviewer');
    t.match(await as(dana, 'reviews', 'approve', id), new RegExp(`${id} is APPROVED`));
    t.match(textOf(await held), /rows: 1 for <EMAIL_ADDRESS>/);

    const doomed = callTool(`${url}/mcp`, erin, 'execute_sql', { sql: `${DELETE} OR 1 = 1` });
    const [other] = await waiting(url, dana);
    await as(dana, 'reviews', 'reject', String(other!['id']), '--reason', 'far too wide');
    t.match(textOf(await doomed), /rejected this call: far too wide/);
    t.equal(upstream.received('execute_sql').length, 1);

    const sessions = JSON.parse(await as(ada, '--json', 'sessions', 'list', '--connection', 'default')) as {
      items: JsonObject[];
    };
    const session = String(sessions.items.find((it) => it['user_id'] === 'erin')!['id']);
    const [header, replay, beside, verified, tokens, away] = await Promise.all([
      as(ada, 'sessions', 'show', session),
      as(erin, 'sessions', 'replay', session),
      place.ok('sessions', 'replay', session),
      place.ok('verify'),
      place.ok('--json', 'token', 'list'),
      place.cli('--url', 'http://127.0.0.1:9', '--token', dana, 'reviews', 'list'),
    ]);
    t.match(header, /erin/);
    t.match(replay, /hold.*execute_sql.*writes/);
    t.match(replay, /rows: 1 for <EMAIL_ADDRESS>/);
    t.notMatch(replay, /ada@example\.com/);
    t.match(beside, /rejected this call: far too wide/, 'and on the store itself');
    t.match(verified, /entries, unaltered/, 'verify reads beside the running gateway');
    t.match([away.code, away.stderr], [1, /no gateway answers at/]);

    const { items } = JSON.parse(tokens) as { items: { id: string; subject: string }[] };
    const gone = items.find((it) => it.subject === 'erin')!;
    t.match(await place.ok('token', 'revoke', gone.id), /revoked/i);
    const refused = await until(async () => {
      const answer = await callTool(`${url}/mcp`, erin, 'execute_sql', { sql: 'SELECT 1' });
      return answer.status === 401 ? answer : undefined;
    });
    t.match(refused.text, /revoked/, 'a token revoked on the store is refused by the running gateway');
  },
);

t.test(
  'a changed rule governs the next call, and a broken file keeps the last good one [reload-last-good]',
  async (t) => {
    const place = new Workplace(t);
    const upstream = await startDatabase(t);
    const config = configFor(upstream, place);
    place.write(config);
    const token = await place.token('erin', 'eng');
    const { url, program } = await place.serve();
    const select = (): Promise<string> =>
      callTool(`${url}/mcp`, token, 'execute_sql', { sql: 'SELECT secret FROM vault' }).then(textOf);
    const reloads = async (result: string): Promise<number> => {
      const text = await (await fetch(`${url}/metrics`)).text();
      return Number(new RegExp(`config_reloads_total\\{result="${result}"\\} (\\d+)`).exec(text)?.[1] ?? 0);
    };
    t.match(await select(), /rows: 1/);
    const stricter = {
      name: 'vault',
      connections: ['default'],
      input: { rules: [{ type: 'deny_words_list', words: ['vault'], message: 'Leave the vault alone.' }] },
    };
    place.write({ ...config, guardrails: [...(config['guardrails'] as JsonObject[]), stricter] });
    await until(async () => ((await reloads('applied')) >= 1 ? true : undefined));
    t.match(await select(), /Leave the vault alone\./);
    const ran = upstream.received('execute_sql').length;

    place.write('guardrails: [ { name: ');
    await until(async () => ((await reloads('refused')) >= 1 ? true : undefined));
    t.match(await select(), /Leave the vault alone\./);
    t.equal(upstream.received('execute_sql').length, ran);
    t.match(program.stderr, /the last good one stays in force/);
    t.equal((await fetch(`${url}/readyz`)).status, 200);
  },
);

t.test(
  'kill -9 while calls are held loses no review, and each runs once after it was approved [crash-keeps-reviews]',
  async (t) => {
    const place = new Workplace(t);
    const upstream = await startDatabase(t);
    place.write(configFor(upstream, place));
    const ada = await place.admin();
    const sql = [DELETE, 'DELETE FROM orders WHERE id = 2'];
    const runs = (): number => upstream.received('execute_sql').length;
    const before = await place.serve();
    const [erin, dana] = [await person(before.url, ada, 'erin', 'eng'), await person(before.url, ada, 'dana', 'dba')];
    const held = sql.map((it) =>
      callTool(`${before.url}/mcp`, erin, 'execute_sql', { sql: it }).catch((fault: unknown) => fault),
    );
    const reviews = await waiting(before.url, dana, 2);
    before.program.signal('SIGKILL');
    await Promise.all([before.program.end(), ...held]);
    t.equal(runs(), 0);

    place.write(configFor(upstream, place, { hold: { inline_timeout: '0s' } }));
    const { url } = await place.serve();
    const idOf = (text: string): string => String(reviews.find((it) => String(it['input']).includes(text))!['id']);
    for (const { id } of reviews) t.equal((await approve(url, dana, String(id))).json['status'], 'APPROVED');
    t.equal(runs(), 0, 'approval alone starts nothing: nobody waits for it');

    const executed = JSON.parse(
      textOf(await callTool(`${url}/mcp`, erin, 'reviews_execute', { id: idOf('id = 1') })),
    ) as JsonObject;
    t.match(executed, { status: 'completed', output: 'rows: 1 for <EMAIL_ADDRESS>' });
    t.equal(runs(), 1);
    t.match(
      textOf(await callTool(`${url}/mcp`, erin, 'execute_sql', { sql: sql[1]! })),
      /rows: 1 for <EMAIL_ADDRESS>/,
      'the identical call runs the other',
    );
    t.equal(runs(), 2);
    for (const { id } of reviews) {
      t.match(await review(url, dana, String(id)), { status: 'EXECUTED', outcome: 'answered' });
      t.match(
        textOf(await callTool(`${url}/mcp`, erin, 'reviews_execute', { id: String(id) })),
        /wrong state: EXECUTED/,
      );
    }
    const again = pendingOf(await callTool(`${url}/mcp`, erin, 'execute_sql', { sql: sql[1]! }));
    t.notOk(
      reviews.some((it) => it['id'] === again['review_id']),
      'a repeat is a new review',
    );
    t.equal(runs(), 2, 'nothing runs twice');
    await place.ok('verify');
  },
);

t.test('kill -9 while an approved call runs never leads to a second run [crash-runs-once]', async (t) => {
  const place = new Workplace(t);
  const kept: UpstreamRequest[] = [];
  const upstream = await startDatabase(t, (request) => void kept.push(request));
  place.write(configFor(upstream, place));
  const ada = await place.admin();
  const before = await place.serve();
  const [erin, dana] = [await person(before.url, ada, 'erin', 'eng'), await person(before.url, ada, 'dana', 'dba')];
  const held = callTool(`${before.url}/mcp`, erin, 'execute_sql', { sql: DELETE }).catch((fault: unknown) => fault);
  const id = String((await waiting(before.url, dana))[0]!['id']);
  await approve(before.url, dana, id);
  await upstream.arrival('execute_sql');
  t.match(await review(before.url, dana, id), { status: 'PROCESSING' });
  before.program.signal('SIGKILL');
  await Promise.all([before.program.end(), held]);

  place.write(configFor(upstream, place, { hold: { inline_timeout: '0s' } }));
  const { url } = await place.serve();
  t.match(await review(url, dana, id), { status: 'EXECUTED', outcome: 'unknown' });
  t.match(textOf(await callTool(`${url}/mcp`, erin, 'reviews_execute', { id })), /wrong state: EXECUTED/);
  const again = pendingOf(await callTool(`${url}/mcp`, erin, 'execute_sql', { sql: DELETE }));
  t.not(again['review_id'], id, 'a repeat asks people again');
  t.equal(kept.length, 1, 'the upstream saw it once');
  const sessions = (await send(`${url}/api/sessions?connection=default`, erin, undefined, {}, 'GET')).json[
    'items'
  ] as JsonObject[];
  t.ok(sessions.length >= 1, 'what came before the crash is on record');
  await place.ok('verify');
});
