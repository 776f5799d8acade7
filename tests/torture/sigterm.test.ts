import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { startUpstream } from '../fixture/upstream.ts';
import { Workplace } from '../process/commands.ts';
import { ask, inSession, modernCall, modernRequest, openSession } from './reading.ts';

interface Recorded {
  readonly method: string;
  readonly name: string;
  readonly outcome: string;
  readonly session: string;
}

/** A gateway in a process of its own, with a person of the group `eng`. */
async function serve(t: Test, grace: string) {
  const upstream = await startUpstream();
  t.teardown(() => upstream.close());
  const place = new Workplace(t);
  place.write({
    server: { listen: '127.0.0.1:0', public_url: 'http://127.0.0.1:8800', grace },
    keys: { master: { file: `${place.folder}/key` } },
    recorder: { path: place.database },
    log: { level: 'info', format: 'json' },
    hold: { inline_timeout: '60s', heartbeat: '1s' },
    connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng', 'dba'] } }],
    access_request_rules: [
      {
        name: 'echoes',
        connections: ['default'],
        access_type: 'command',
        when: 'tool.name == "echo"',
        reviewers_groups: ['dba'],
      },
    ],
  });
  const token = await place.token('erin', 'eng');
  const { program, url } = await place.serve();
  return { place, upstream, token, program, url: `${url}/mcp` };
}

/** What is on record of erin's, and whether every recording was closed. */
async function record(place: Workplace): Promise<{ exchanges: readonly Recorded[]; open: number }> {
  const listed = JSON.parse(await place.ok('--json', 'sessions', 'list', '--connection', 'default')) as {
    items: JsonObject[];
  };
  const own = listed.items.filter((session) => session['user_id'] === 'erin');
  const contents = await Promise.all(
    own.map(async ({ id }) => JSON.parse(await place.ok('--json', 'sessions', 'replay', String(id))) as JsonObject),
  );
  const exchanges = contents.flatMap((content) => content['exchanges'] as unknown as Recorded[]);
  return { exchanges, open: listed.items.filter((session) => session['ended_at'] === undefined).length };
}

const outcomeOf = (exchanges: readonly Recorded[], what: string): string[] =>
  exchanges.filter((it) => it.name === what || it.method === what).map((it) => it.outcome);

t.test(
  'SIGTERM ends streams for listening as they should end, lets a call finish, answers a held one, closes the record and exits with 0 [L-04] [H-12] [sigterm-graceful]',
  async (t) => {
    const { place, upstream, token, program, url } = await serve(t, '15s');
    const session = await openSession(url, token);
    const get = await ask(url, token, {
      method: 'GET',
      headers: { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25', accept: 'text/event-stream' },
    });
    const listening = await upstream.opened();
    await listening.notify('notifications/message', { level: 'info', data: 'heard' });
    await get.until(/heard/);
    const params = { notifications: { toolsListChanged: true } };
    const subscription = await ask(url, token, modernRequest('subscriptions/listen', params, 'sub-1'));
    await subscription.until(/acknowledged/);
    const held = await ask(url, token, modernCall('echo', { n: 1 }, 'held-1', { progressToken: 'p' }));
    await held.until(/notifications\/progress|:/);
    const running = ask(
      url,
      token,
      inSession(session, { id: 7, method: 'tools/call', params: { name: 'slow', arguments: {} } }),
    );
    const modern = ask(url, token, modernCall('slow', {}, 'slow-1'));
    await upstream.arrival('slow', 2);

    program.signal('SIGTERM');
    const last = (await subscription.messages()).at(-1);
    t.match(last, {
      id: 'sub-1',
      result: { resultType: 'complete', _meta: { 'io.modelcontextprotocol/subscriptionId': 'sub-1' } },
    });
    const heard = await get.rest();
    t.match(heard, /^data: [^\n]*heard[^\n]*\n\n$/, 'a GET stream ends without a word');
    t.notOk(get.broken || subscription.broken, 'both end as streams end');
    const pending = (await held.messages()).at(-1);
    t.match(pending, { id: 'held-1', result: { isError: true, _meta: { 'portcullis/pending': {} } } });
    t.equal(upstream.received('echo').length, 0, 'what nobody approved did not run');

    // Nobody is let in any more, and the calls in work still have their time.
    await t.rejects(ask(url, token, modernCall('slow')));
    t.equal(upstream.release(), 2);
    t.match(await (await running).rest(), /"id":7.*at last/);
    t.match(await (await modern).rest(), /"id":"slow-1".*at last/);
    t.equal((await program.end()).code, 0);

    await place.ok('verify');
    const { exchanges, open } = await record(place);
    t.same(outcomeOf(exchanges, 'slow'), ['answered', 'answered']);
    t.same(outcomeOf(exchanges, 'echo'), ['pending']);
    t.same(outcomeOf(exchanges, 'subscriptions/listen'), ['answered']);
    t.same(outcomeOf(exchanges, 'GET'), ['answered']);
    t.equal(open, 0, 'every recording is closed');
  },
);

t.test(
  'a call that does not end within server.grace is cut with an error, on record as unknown, and the exit code is still 0 [stop-is-bounded] [H-12]',
  async (t) => {
    const { place, upstream, token, program, url } = await serve(t, '1s');
    const session = await openSession(url, token);
    const call = { id: 7, method: 'tools/call', params: { name: 'slow', arguments: {} } };
    const legacy = ask(url, token, inSession(session, call)).then((it) => it.rest(), String);
    const modern = ask(url, token, modernCall('slow', {}, 'slow-1')).then((it) => it.rest(), String);
    await upstream.arrival('slow', 2);
    program.signal('SIGTERM');
    const { code } = await program.end();
    t.equal(code, 0);
    for (const said of await Promise.all([legacy, modern])) t.notMatch(said, /at last/);
    for (const request of upstream.received('slow')) await request.gone;
    await place.ok('verify');
    const { exchanges, open } = await record(place);
    t.same(outcomeOf(exchanges, 'slow'), ['unknown', 'unknown']);
    t.equal(open, 0, 'every recording is closed');
  },
);
