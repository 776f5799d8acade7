import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import {
  startUpstream,
  type EventStream,
  type Handlers,
  type Upstream,
  type UpstreamRequest,
} from '../fixture/upstream.ts';
import { send, startGateway, type Answer, type TestGateway } from '../gateway.ts';
import { ask, inSession, openSession, type Reading } from './reading.ts';
import { inTurns } from './in-turns.ts';

interface Place {
  readonly url: string;
  readonly token: string;
  readonly upstream: Upstream;
  readonly gateway: TestGateway;
}

async function start(t: Test, handlers: Handlers, sections: JsonObject = {}): Promise<Place> {
  const upstream = await startUpstream(handlers);
  t.teardown(() => upstream.close());
  const access = { groups: ['eng'] };
  const gateway = await startGateway(t, {
    connections: [
      { name: 'default', upstream: { url: upstream.url }, access },
      { name: 'other', upstream: { url: upstream.url }, access },
    ],
    ...sections,
  });
  return { url: `${gateway.url}/mcp`, token: await gateway.person('erin', ['eng']), upstream, gateway };
}

const VERSION = { 'mcp-protocol-version': '2025-11-25' };
const call = (name: string, args: JsonObject = {}, id: string | number = 1): JsonObject => ({
  id,
  method: 'tools/call',
  params: { name, arguments: args },
});
/** One message, or GET or DELETE, on a session; with the whole answer. */
const on = (
  url: string,
  token: string | undefined,
  session: string,
  message?: JsonObject,
  method = 'POST',
): Promise<Answer> =>
  send(
    url,
    token,
    message === undefined ? undefined : JSON.stringify({ jsonrpc: '2.0', ...message }),
    { ...VERSION, 'mcp-session-id': session, ...(method === 'GET' ? { accept: 'text/event-stream' } : {}) },
    method,
  );
const listen = (place: Place, session: string, headers: Record<string, string> = {}): Promise<Reading> =>
  ask(place.url, place.token, {
    method: 'GET',
    headers: { ...VERSION, 'mcp-session-id': session, accept: 'text/event-stream', ...headers },
  });

t.test(
  '500 sessions with equal ids and equal progress tokens, each asked something while it calls: nothing crosses [P-01] [S-05] [S-08] [sessions-do-not-mix]',
  async (t) => {
    const SESSIONS = 500;
    const PEOPLE = 10;
    const gets = new Map<string, EventStream>();
    const answers = new Map<string, (answer: string) => void>();
    const wrong: string[] = [];
    const place = await start(t, {
      on: {
        GET: (request) => void gets.set(request.session!, request.stream()),
        response: (request) => {
          answers.get(request.session!)?.(JSON.stringify(request.json));
          return { status: 202 };
        },
      },
      tools: {
        talk: async (request) => {
          const own = String((request.params['arguments'] as JsonObject)['mine']);
          const stream = request.stream();
          await gets.get(request.session!)!.notify('notifications/message', { level: 'info', data: `heard ${own}` });
          const { progressToken } = request.meta;
          await stream.notify('notifications/progress', { progressToken, progress: 1, message: `progress of ${own}` });
          const answered = new Promise<string>((resolve) => answers.set(request.session!, resolve));
          const requestedSchema = { type: 'object', properties: {} };
          await stream.send({
            jsonrpc: '2.0',
            id: 1,
            method: 'elicitation/create',
            params: { message: `who is ${own}`, requestedSchema },
          });
          const answer = await answered;
          await stream.notify('notifications/progress', { progressToken, progress: 2, message: `more of ${own}` });
          await stream.send(
            request.envelope({ result: { content: [{ type: 'text', text: `${own} said ${answer}` }] } }),
          );
          stream.end();
        },
      },
    });
    const tokens = await Promise.all(
      Array.from({ length: PEOPLE }, (_, n) => place.gateway.person(`person${n}`, ['eng'])),
    );
    const numbers = Array.from({ length: SESSIONS }, (_, n) => n);
    const secret = (n: number): string => `content-${n}-of-session`;
    const onlyOwn = (n: number, text: string, where: string): void => {
      const found = [...text.matchAll(/(?:content|answer)-(\d+)-of-session/g)].map(([, number]) => Number(number));
      if (found.length === 0 || found.some((number) => number !== n))
        wrong.push(`${where} of ${n}: ${text.slice(0, 500)}`);
    };
    const sessions = await inTurns(numbers, 50, (n) => openSession(place.url, tokens[n % PEOPLE]));
    t.equal(new Set(sessions).size, SESSIONS);
    const heard = await inTurns(numbers, 50, (n) => listen({ ...place, token: tokens[n % PEOPLE]! }, sessions[n]!));
    // All calls stand open with a question each before the first is answered.
    const readings = await Promise.all(
      numbers.map(async (n) => {
        const params = { name: 'talk', arguments: { mine: secret(n) }, _meta: { progressToken: 1 } };
        const reading = await ask(
          place.url,
          tokens[n % PEOPLE],
          inSession(sessions[n]!, { id: 1, method: 'tools/call', params }),
        );
        onlyOwn(n, await reading.until(/elicitation\/create/), 'the question');
        return reading;
      }),
    );
    await Promise.all(
      numbers.toReversed().map(async (n) => {
        const answer = { id: 1, result: { action: 'accept', content: { said: `answer-${n}-of-session` } } };
        const taken = await ask(place.url, tokens[n % PEOPLE], inSession(sessions[n]!, answer));
        if (taken.res.statusCode !== 202) wrong.push(`the answer of ${n}: ${taken.res.statusCode}`);
        await taken.rest();
      }),
    );
    await Promise.all(
      readings.map(async (reading, n) => {
        const messages = await reading.messages();
        onlyOwn(n, JSON.stringify(messages), 'the stream');
        const methods = messages.map((message) => message['method'] ?? 'result');
        if (methods.join() !== 'notifications/progress,elicitation/create,notifications/progress,result')
          wrong.push(`${n}: ${methods.join()}`);
        if (!JSON.stringify(messages.at(-1)).includes(`answer-${n}-of-session`)) wrong.push(`${n} lacks its answer`);
        const get = await heard[n]!.until(/heard/);
        onlyOwn(n, get, 'the GET stream');
        if (get.includes('"result"')) wrong.push(`an answer on the GET stream of ${n}`);
        heard[n]!.drop();
      }),
    );
    t.same(wrong.slice(0, 3), [], `${wrong.length} streams with what is not theirs`);

    const { recorder } = place.gateway.portcullis.gateway;
    await recorder.settled();
    let talks = 0;
    const { items } = await recorder.sessions.list({ connection: 'default', limit: 1000 });
    for (const session of items) {
      for (const exchange of await recorder.sessions.exchanges(session.id)) {
        if (exchange.name !== 'talk') continue;
        talks += 1;
        const whole = JSON.stringify([exchange.request, exchange.messages, exchange.response]);
        const n = Number(/content-(\d+)-of-session/.exec(whole)?.[1]);
        onlyOwn(n, whole, 'the record');
        if (session.principal.subject !== `person${n % PEOPLE}`)
          wrong.push(`${n} is on the record of ${session.principal.subject}`);
      }
    }
    t.equal(talks, SESSIONS);
    t.same(wrong.slice(0, 3), []);
  },
);

t.test(
  'an id that is unknown, a stranger’s, another connection’s or over is 404, with POST, GET and DELETE; the server hears nothing [S-01] [S-03] [S-05] [S-06] [session-bound-to-subject]',
  async (t) => {
    const place = await start(t, {});
    const stranger = await place.gateway.person('mallory', ['eng']);
    const { url, token } = place;
    const session = await openSession(url, token);
    t.match(session, /^[\x21-\x7e]+$/);
    t.not(
      session,
      place.upstream.received('notifications/initialized')[0]!.session,
      'the id of the server stays behind',
    );
    const over = await openSession(url, token);
    t.match(await on(url, token, over, undefined, 'DELETE'), { status: 200 });
    const heard = place.upstream.requests.length;
    for (const [what, at, who, id] of [
      ['made up', url, token, 'no-such-session'],
      ['of somebody else', url, stranger, session],
      ['of another connection', `${url}/other`, token, session],
      ['ended', url, token, over],
      ['altered', url, token, `${session.slice(0, -1)}${session.endsWith('A') ? 'B' : 'A'}`],
      ['of the server itself', url, token, place.upstream.received('notifications/initialized')[0]!.session!],
    ] as const) {
      const statuses = await Promise.all([
        on(at, who, id, call('echo')).then((answer) => answer.status),
        on(at, who, id, { method: 'notifications/initialized' }).then((answer) => answer.status),
        on(at, who, id, undefined, 'GET').then((answer) => answer.status),
        on(at, who, id, undefined, 'DELETE').then((answer) => answer.status),
      ]);
      t.same(statuses, [404, 404, 404, 404], what);
    }
    t.equal(place.upstream.requests.length, heard);
    t.equal((await on(url, token, session, call('echo'))).status, 200, 'the owner goes on');
    t.equal((await on(url, 'nonsense', session, call('echo'))).status, 401, 'a session is no proof of who one is');
  },
);

t.test(
  'a server that asks for a session id is asked without one: its 400 is what the client gets [S-02] [session-missing]',
  async (t) => {
    const place = await start(t, {});
    await openSession(place.url, place.token);
    const body = JSON.stringify({ jsonrpc: '2.0', ...call('echo') });
    const answer = await send(place.url, place.token, body, VERSION);
    t.equal(answer.status, 400);
  },
);

t.test(
  'a session that the server forgot is 404 and forgotten; a new one works [S-03] [S-04] [upstream-404-ends-session]',
  async (t) => {
    const place = await start(t, {});
    const { url, token } = place;
    const [one, two, three] = [
      await openSession(url, token),
      await openSession(url, token),
      await openSession(url, token),
    ];
    place.upstream.forgetSessions();
    t.equal((await on(url, token, one, call('echo'))).status, 404);
    t.equal((await on(url, token, two, undefined, 'GET')).status, 404);
    t.equal((await on(url, token, three, undefined, 'DELETE')).status, 404);
    const heard = place.upstream.requests.length;
    for (const id of [one, two, three]) t.equal((await on(url, token, id, call('echo'))).status, 404);
    t.equal(place.upstream.requests.length, heard, 'the server is not asked again');
    const opened = place.upstream.received((it) => it.method === 'initialize' && it.raw.includes('"torture"'));
    t.equal(opened.length, 3, 'and no session is opened behind the client');
    const fresh = await openSession(url, token);
    t.match(await on(url, token, fresh, call('echo', { n: 1 })), { status: 200 });
  },
);

t.test(
  'DELETE ends what belongs to the session: its stream, its call, its record; a server that does not allow it says 405 [S-06] [delete-releases]',
  async (t) => {
    const place = await start(t, {});
    const { url, token } = place;
    const session = await openSession(url, token);
    const beside = await openSession(url, token);
    const stream = await listen(place, session);
    const [own] = [await place.upstream.opened()];
    const slow = on(url, token, session, call('slow'));
    const other = on(url, token, beside, call('slow'));
    const request = await place.upstream.arrival('slow');
    await place.upstream.arrival('slow', 2);
    t.equal((await on(url, token, session, undefined, 'DELETE')).status, 200);
    await own!.closed;
    t.equal(await stream.rest(), '', 'the stream ended without a word');
    await request.gone;
    t.equal((await slow).text.includes('at last'), false, 'the call was given up at the server');
    t.equal((await on(url, token, session, undefined, 'DELETE')).status, 404);
    place.upstream.release();
    t.match((await other).text, /at last/, 'other sessions are not touched');

    const strict = await start(t, { on: { DELETE: () => ({ status: 405 }) } });
    const kept = await openSession(strict.url, strict.token);
    t.equal((await on(strict.url, strict.token, kept, undefined, 'DELETE')).status, 405);
    t.equal((await on(strict.url, strict.token, kept, call('echo'))).status, 200, 'the session stands');
  },
);

t.test(
  'a GET is one stream: the server’s 409 for a second is passed on, its end frees the place, and no answer comes on it [S-07] [S-08] [get-limits]',
  async (t) => {
    const live = new Map<string, UpstreamRequest>();
    const place = await start(t, {
      on: {
        GET: async (request) => {
          const session = request.session!;
          if (live.has(session))
            return {
              status: 409,
              headers: { 'content-type': 'application/json' },
              body: '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Conflict"}}',
            };
          live.set(session, request);
          void request.gone.then(() => live.delete(session));
          const stream = request.stream();
          await stream.notify('notifications/message', { level: 'info', data: 'hello' });
          await stream.send({ jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text: 'not here' }] } });
          await stream.notify('notifications/message', { level: 'info', data: 'goodbye' });
          return undefined;
        },
      },
    });
    const session = await openSession(place.url, place.token);
    const first = await listen(place, session);
    const text = await first.until(/goodbye/);
    t.match(text, /hello/);
    t.notMatch(text, /not here/, 'an answer that nobody asked for here');
    t.equal((await on(place.url, place.token, session, undefined, 'GET')).status, 409);
    const upstream = [...live.values()][0]!;
    first.drop();
    await upstream.gone;
    const second = await listen(place, session);
    t.match(await second.until(/goodbye/), /hello/, 'who comes back is served');
    second.drop();
  },
);

t.test(
  'ids, retry and priming events pass as they came; what is sent again is masked like the first time [S-09] [S-10] [S-11] [resumed-and-judged]',
  async (t) => {
    const place = await start(
      t,
      {
        on: {
          GET: async (request) => {
            const stream = request.stream();
            await stream.raw(`id: ${String(request.headers['last-event-id'])}-b\nretry: 50\ndata: \n\n`);
            await stream.send(
              { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'ada@example.com' } },
              { id: 'x-3' },
            );
            await stream.send(
              { jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text: 'for ada@example.com' }] } },
              { id: 'x-4' },
            );
            stream.end();
          },
        },
        tools: {
          poll: async (request) => {
            const stream = request.stream();
            await stream.raw('id: x-2\nretry: 50\ndata: \n\n');
            stream.end();
          },
        },
      },
      {
        datamasking_rules: [
          { name: 'mail', supported_entity_types: [{ name: 'MAIL', entity_types: ['EMAIL_ADDRESS'] }] },
        ],
      },
    );
    const session = await openSession(place.url, place.token);
    const polled = await ask(place.url, place.token, inSession(session, call('poll')));
    t.equal(await polled.rest(), 'id: x-2\nretry: 50\ndata: \n\n', 'the server closed early, and that is no error');
    const again = await (await listen(place, session, { 'last-event-id': 'x-2' })).rest();
    t.match(
      again,
      /^id: x-2-b\nretry: 50\ndata: ?\n\nid: x-3\ndata: .*<EMAIL_ADDRESS>.*\n\nid: x-4\ndata: .*"id":1.*for <EMAIL_ADDRESS>.*\n\n$/,
    );
    const record = JSON.stringify(await place.gateway.exchanges());
    t.notMatch(record, /ada@example\.com/);
    t.match(record, /for <EMAIL_ADDRESS>/, 'it is on record');
  },
);

t.test(
  'a version that is no revision with sessions is 400, and the negotiated one is what the record says [S-12] [S-13] [session-version]',
  async (t) => {
    const place = await start(t, {});
    const { url, token } = place;
    const initialize = (protocolVersion: string): JsonObject => ({
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion, capabilities: {}, clientInfo: { name: protocolVersion, version: '1' } },
    });
    for (const asked of ['2025-06-18', '2025-03-26', '1999-01-01']) {
      const opened = await send(url, token, JSON.stringify(initialize(asked)));
      t.equal(opened.status, 200);
      const negotiated = (opened.json['result'] as JsonObject)['protocolVersion'];
      const id = opened.headers.get('mcp-session-id')!;
      const body = JSON.stringify({ jsonrpc: '2.0', ...call('echo') });
      for (const version of ['2024-13-45', 'latest', '', '2025-06-18, 2025-11-25']) {
        const refused = await send(url, token, body, { 'mcp-session-id': id, 'mcp-protocol-version': version });
        t.equal(refused.status, 400, `${asked}: ${version}`);
        const get = await send(
          url,
          token,
          undefined,
          { 'mcp-session-id': id, 'mcp-protocol-version': version, accept: 'text/event-stream' },
          'GET',
        );
        t.equal(get.status, 400);
      }
      t.equal(
        (await send(url, token, body, { 'mcp-session-id': id })).status,
        200,
        'an absent header is the session’s own version',
      );
      const last = place.upstream.received('echo').at(-1)!;
      t.equal(last.headers['mcp-protocol-version'], negotiated);
    }
  },
);
