import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliCompressSync, createGzip, deflateSync, gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { dial, statuses } from '../doors/raw.ts';
import { startUpstream, type Handlers, type Upstream, type UpstreamRequest } from '../fixture/upstream.ts';
import { send, startGateway, type TestGateway } from '../gateway.ts';
import { Workplace } from '../process/commands.ts';
import { ask, inSession, modernCall, modernRequest, openSession, residentMb } from './reading.ts';

const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"stream","arguments":{}}}';
const PLAIN = { 'mcp-protocol-version': '2025-11-25' };
const MB = 1_000_000;
/** Log messages come to a modern request only if it asks for them. */
const LOGS = { 'io.modelcontextprotocol/logLevel': 'info' };

interface Place {
  readonly url: string;
  readonly token: string;
  readonly upstream: Upstream;
  readonly gateway: TestGateway;
}

async function start(
  t: Test,
  handlers: Handlers,
  connection: JsonObject = {},
  sections: JsonObject = {},
): Promise<Place> {
  const upstream = await startUpstream(handlers);
  t.teardown(() => upstream.close());
  const gateway = await startGateway(t, {
    connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng'] }, ...connection }],
    ...sections,
  });
  return { url: `${gateway.url}/mcp`, token: await gateway.person('erin', ['eng']), upstream, gateway };
}

const MASKING: JsonObject = {
  datamasking_rules: [{ name: 'mail', supported_entity_types: [{ name: 'MAIL', entity_types: ['EMAIL_ADDRESS'] }] }],
};

/** The call of `name` on record, as soon as it is settled. */
const recorded = async ({ gateway }: Place, name: string) => (await gateway.exchanges()).find((it) => it.name === name);

/** One long line of text. */
const text = (bytes: number): string => 'abcdefghij'.repeat(Math.ceil(bytes / 10)).slice(0, bytes);
const note = (data: unknown): string =>
  JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data } });
const result = (said: string): object => ({ content: [{ type: 'text', text: said }] });

t.test(
  'a stream is delivered byte for byte, whichever byte it is cut at and whatever ends its lines [E-01] [E-03] [E-04] [stream-byte-exact]',
  async (t) => {
    let bytes = Buffer.alloc(0);
    let cuts: readonly number[] = [];
    const place = await start(t, {
      sessions: false,
      tools: {
        stream: async (request) => {
          request.res.socket?.setNoDelay(true);
          const stream = request.stream();
          await stream.raw(bytes, cuts);
          stream.end();
        },
      },
    });
    const answer = '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"é漢😀"}]}}';
    const lines = [
      '\ufeffid: 1',
      'data:',
      '',
      ': a comment',
      '',
      'event: message',
      'id: 2',
      'retry: 10',
      'unknown: field',
      `data:${note('ü').slice(0, 17)}`,
      `data: ${note('ü').slice(17)}`,
      '',
      'data: {"jsonrpc":"2.0",',
      `data: ${answer.slice(17)}`,
      '',
      '',
    ];
    const read = async (): Promise<Buffer> => {
      const response = await fetch(place.url, {
        method: 'POST',
        headers: {
          ...PLAIN,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          authorization: `Bearer ${place.token}`,
        },
        body: CALL,
      });
      return Buffer.from(await response.arrayBuffer());
    };
    // The event of the answer is complete with the CR of its last line: the LF behind it may come too late to matter.
    const same = (got: Buffer): boolean => {
      const missing = bytes.length - got.length;
      return bytes.subarray(0, got.length).equals(got) && (missing === 0 || (missing === 1 && bytes.at(-2) === 0x0d));
    };
    for (const eol of ['\n', '\r\n', '\r']) {
      bytes = Buffer.from(lines.join(eol));
      const wrong: number[] = [];
      for (let at = 1; at < bytes.length; at += 1) {
        cuts = [at];
        if (!same(await read())) wrong.push(at);
      }
      t.same(wrong, [], `${bytes.length} places with ${JSON.stringify(eol)}`);
      cuts = Array.from({ length: bytes.length - 1 }, (_, at) => at + 1);
      t.ok(same(await read()), 'each byte alone');
    }
  },
);

t.test(
  'what is masked in a message of several data lines with CR ends keeps its fields and becomes one line [E-02] [E-03]',
  async (t) => {
    const place = await start(
      t,
      {
        tools: {
          stream: async (request) => {
            const stream = request.stream({ lineEnding: '\r' });
            await stream.send(
              '{"jsonrpc":"2.0","method":"notifications/message",\n"params":{"level":"info",\n"data":"ada@exam',
              {},
            );
            stream.end();
          },
          split: async (request) => {
            const stream = request.stream({ lineEnding: '\r' });
            const said = request.envelope({ result: { ...request.complete, ...result('write to ada@example.com') } });
            const middle = said.indexOf('"result"');
            await stream.send(`${said.slice(0, middle)}\n${said.slice(middle)}`, {
              id: 'x-7',
              event: 'message',
              retry: 5,
            });
            stream.end();
          },
        },
      },
      {},
      MASKING,
    );
    const masked = await (await ask(place.url, place.token, modernCall('split'))).rest();
    t.match(masked, /^event: message\nid: x-7\nretry: 5\ndata: \{[^\n]*write to <EMAIL_ADDRESS>[^\n]*\}\n\n$/);
    const broken = await (await ask(place.url, place.token, modernCall('stream'))).rest();
    t.notMatch(broken, /ada@exam/, 'half a message is not shown');
    t.match(broken, /upstream_invalid/);
  },
);

t.test('an answer keeps its form: JSON stays JSON, a stream stays a stream [H-07] [H-09] [form-kept]', async (t) => {
  const place = await start(t, {
    tools: {
      streamed: async (request) => {
        const stream = request.stream();
        await stream.send(request.envelope({ result: { ...request.complete, ...result('streamed') } }));
        stream.end();
      },
    },
  });
  const json = await ask(place.url, place.token, modernCall('echo'));
  t.match(json.res.headers, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  t.match(JSON.parse(await json.rest()), { id: 1, result: { resultType: 'complete' } });
  const streamed = await ask(place.url, place.token, modernCall('streamed'));
  t.match(streamed.res.headers, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
  });
  t.notOk(streamed.res.headers['content-encoding'], 'nothing is compressed on the way');
  t.equal((await streamed.messages()).length, 1);
});

t.test(
  'an event of 10 MB arrives whole; one over server.message_size ends the stream with an error and none of it leaves [E-02] [event-size-capped]',
  async (t) => {
    let size = 10 * MB;
    const place = await start(t, {
      tools: {
        large: async (request) => {
          const stream = request.stream();
          await stream.send(note('small')).catch(() => undefined);
          await stream
            .send(request.envelope({ result: { ...request.complete, ...result(text(size)) } }))
            .catch(() => undefined);
          stream.end();
        },
      },
    });
    const [first, large] = await (await ask(place.url, place.token, modernCall('large', {}, 1, LOGS))).messages();
    t.match(first, { params: { data: 'small' } });
    t.equal((large!['result'] as { content: { text: string }[] }).content[0]!.text, text(size));
    size = 17 * MB;
    const got = await (await ask(place.url, place.token, modernCall('large', {}, 1, LOGS))).messages();
    t.match(got.at(-1), { id: 1, error: { data: { code: /^upstream_(?:invalid|lost)$/ } } });
    t.ok(JSON.stringify(got).length < 2000, 'no part of the large event was shown');
  },
);

t.test(
  'a reader that stops holds back the upstream, not the gateway: its memory stays bounded and others are served [backpressure]',
  { skip: process.platform !== 'linux' && 'needs /proc' },
  async (t) => {
    const EVENTS = 5000;
    const EVENT = note(text(10_000));
    let written = 0;
    const upstream = await startUpstream({
      tools: {
        flood: async (request) => {
          request.res.writeHead(200, { 'content-type': 'text/event-stream' });
          for (let event = 0; event < EVENTS; event += 1) {
            const more = request.res.write(`id: ${event}\ndata: ${EVENT}\n\n`);
            written += EVENT.length;
            if (!more) await once(request.res, 'drain');
          }
          request.res.end(`data: ${request.envelope({ result: { ...request.complete, ...result('end') } })}\n\n`);
        },
      },
    });
    t.teardown(() => upstream.close());
    const place = new Workplace(t);
    place.write({
      server: { listen: '127.0.0.1:0', public_url: 'http://127.0.0.1:8800' },
      auth: { anonymous: { enabled: true, groups: ['eng'] } },
      keys: { master: { file: `${place.folder}/key` } },
      recorder: { path: place.database },
      log: { level: 'info', format: 'json' },
      connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng'] } }],
      ...MASKING,
    });
    const { url, program } = await place.serve();
    const pid = program.pid;
    const mcp = `${url}/mcp`;
    const echo = async (n: number): Promise<boolean> =>
      (await (await ask(mcp, undefined, modernCall('echo', { n }))).rest()).includes(`"n":${n}`);
    let answered = 0;
    for (let n = 0; n < 300; n += 1) if (await echo(n)) answered += 1;
    const before = residentMb(pid);

    const slow = await ask(mcp, undefined, modernCall('flood', {}, 1, LOGS));
    await slow.some(1000);
    // The upstream stands still when other calls come and go and it could not write a byte meanwhile.
    let calls = 300;
    let still = 0;
    let peak = 0;
    for (let last = -1; still < 60 && calls < 5000; calls += 1) {
      if (await echo(calls)) answered += 1;
      still = written === last ? still + 1 : 0;
      last = written;
      peak = Math.max(peak, residentMb(pid));
    }
    t.equal(answered, calls, `${calls} calls of others were answered`);
    t.equal(still, 60, 'the upstream was held back');
    const held = peak;
    t.ok(held - before < 100, `resident memory grew from ${Math.round(before)} to at most ${Math.round(held)} MB`);
    t.ok(written < 25 * MB, `after ${Math.round(written / MB)} of 50 MB, most of them in the buffers of four sockets`);
    // A reader of a kilobyte at a time, as long as anybody would watch.
    for (let turn = 0; turn < 50; turn += 1) await slow.some(1000);
    const early = written;
    t.ok(early < 30 * MB, 'a slow reader does not make the gateway read ahead');

    let seen = 0;
    let tail = '';
    let inOrder = true;
    slow.res.removeAllListeners('data');
    // What had been read so far is not kept twice: only the ids count from here.
    slow.res.on('data', (chunk: Buffer) => {
      tail += chunk.toString('latin1');
      for (const [, id] of tail.matchAll(/id: (\d+)\n/g)) {
        if (seen !== 0 && Number(id) !== seen + 1) inOrder = false;
        seen = Number(id);
      }
      tail = tail.slice(tail.lastIndexOf('\n') + 1);
      peak = Math.max(peak, residentMb(pid));
    });
    slow.res.resume();
    await once(slow.res, 'end');
    t.ok(inOrder && seen === EVENTS - 1, `the rest came whole and in order, to event ${seen}`);
    // At full speed it also holds what the collector has not come to and what waits to be recorded.
    t.ok(peak - before < 400, `resident memory grew to ${Math.round(peak)} MB at full speed`);
    t.comment(
      `RSS ${before.toFixed(0)} MB; held back ${held.toFixed(0)}, after ${early} bytes; at speed ${peak.toFixed(0)}`,
    );
  },
);

t.test(
  '10,000 notifications on one stream all arrive, in order, and all are on record [stream-complete]',
  async (t) => {
    const COUNT = 10_000;
    const place = await start(t, {
      tools: {
        busy: async (request) => {
          const stream = request.stream();
          const events = Array.from({ length: COUNT }, (_, n) => `data: ${note(n)}\n\n`);
          await stream.raw(events.join(''));
          await stream.send(request.envelope({ result: { ...request.complete, ...result('end') } }));
          stream.end();
        },
      },
    });
    const messages = await (await ask(place.url, place.token, modernCall('busy', {}, 1, LOGS))).messages();
    const numbers = messages.slice(0, -1).map((message) => (message['params'] as JsonObject)['data']);
    t.equal(numbers.length, COUNT);
    t.ok(
      numbers.every((number, at) => number === at),
      'in order',
    );
    t.match(messages.at(-1), { id: 1, result: { content: [{ text: 'end' }] } });
    const record = await recorded(place, 'busy');
    t.equal(record?.messages.length, COUNT);
    t.equal(record?.outcome, 'answered');
  },
);

t.test(
  'an upstream that is lost in the middle of an event costs that event only: the client is told, and the record says that nobody knows [H-12] [upstream-lost-told]',
  async (t) => {
    const half = async (request: UpstreamRequest): Promise<void> => {
      const stream = request.stream();
      await stream.send(note('whole'));
      await stream.raw(`data: ${note('half').slice(0, 40)}`);
      stream.cut();
    };
    const resumable = async (request: UpstreamRequest): Promise<void> => {
      const stream = request.stream();
      await stream.send('', { id: 'cursor-1' });
      stream.end();
    };
    const place = await start(t, { tools: { half, resumable } });
    const session = await openSession(place.url, place.token);
    for (const [era, sent] of [
      ['modern', modernCall('half', {}, 1, LOGS)],
      ['legacy', inSession(session, { id: 1, method: 'tools/call', params: { name: 'half', arguments: {} } })],
    ] as const) {
      const reading = await ask(place.url, place.token, sent);
      const messages = await reading.messages();
      t.match(messages, [{ params: { data: 'whole' } }, { id: 1, error: { data: { code: 'upstream_lost' } } }], era);
      t.equal(messages.length, 2);
      t.notOk(reading.broken, 'the stream of the client ends as streams end');
    }
    const outcomes = (await place.gateway.exchanges()).filter((it) => it.name === 'half').map((it) => it.outcome);
    t.same(outcomes, ['unknown', 'unknown']);

    const later = await ask(
      place.url,
      place.token,
      inSession(session, { id: 2, method: 'tools/call', params: { name: 'resumable', arguments: {} } }),
    );
    t.equal(
      await later.rest(),
      'id: cursor-1\ndata: \n\n',
      'a stream that can be resumed ends without an invented error [S-11]',
    );
    t.notOk(later.broken);
  },
);

t.test('a listening stream whose upstream breaks off ends without an invented message [H-12] [L-04]', async (t) => {
  const place = await start(t, {});
  const session = await openSession(place.url, place.token);
  const get = await ask(place.url, place.token, {
    method: 'GET',
    headers: { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25', accept: 'text/event-stream' },
  });
  const first = await place.upstream.opened();
  await first.send(note('on GET'));
  await first.raw('data: {"json');
  await get.until(/on GET/);
  first.cut();
  t.equal(await get.rest(), `data: ${note('on GET')}\n\n`);

  const listen = await ask(
    place.url,
    place.token,
    modernRequest('subscriptions/listen', { notifications: { toolsListChanged: true } }, 'sub-1'),
  );
  const second = await place.upstream.opened();
  await listen.until(/acknowledged/);
  second.cut();
  const messages = await listen.messages();
  t.same(
    messages.map((message) => message['method']),
    ['notifications/subscriptions/acknowledged'],
    'its absence tells the client to listen again',
  );
});

t.test(
  'a client that leaves in the middle of an event cancels a modern call, and a legacy one goes on and is recorded [C-01] [C-02] [H-12] [leaving-by-era]',
  async (t) => {
    const streams: { readonly request: UpstreamRequest; readonly stream: ReturnType<UpstreamRequest['stream']> }[] = [];
    const long = async (request: UpstreamRequest): Promise<void> => {
      const stream = request.stream();
      streams.push({ request, stream });
      await stream.send(note('begun'));
      await stream.raw(`data: ${note('cut').slice(0, 30)}`);
    };
    const place = await start(t, { tools: { long } });
    const modern = await ask(place.url, place.token, modernCall('long', {}, 1, LOGS));
    await modern.until(/begun/);
    modern.drop();
    await streams[0]!.stream.closed;
    await streams[0]!.request.gone;
    t.pass('the upstream sees the cancel as the end of its stream');
    t.equal(await eventually(async () => (await recorded(place, 'long'))?.outcome), 'unknown');

    const session = await openSession(place.url, place.token);
    const legacy = await ask(
      place.url,
      place.token,
      inSession(session, { id: 5, method: 'tools/call', params: { name: 'long', arguments: {} } }),
    );
    await legacy.until(/begun/);
    legacy.drop();
    // Another call of the same session goes its way in the meantime.
    const beside = inSession(session, { id: 6, method: 'tools/call', params: { name: 'echo', arguments: { n: 6 } } });
    t.match(await (await ask(place.url, place.token, beside)).rest(), /"n":6/);
    const { request, stream } = streams[1]!;
    await stream.raw(note('cut').slice(30) + '\n\n');
    await stream.send(request.envelope({ result: result('finished alone') }));
    stream.end();
    await stream.closed;
    const settled = await eventually(async () => {
      const exchange = (await place.gateway.exchanges()).filter((it) => it.name === 'long').at(-1);
      return exchange?.outcome === undefined ? undefined : exchange;
    });
    t.equal(settled.messages.length, 2);
    t.match(settled.response, /finished alone/);
    t.equal(settled.outcome, 'answered');
  },
);

t.test(
  'an upstream that never answers, or falls silent, is given up after connections[].timeout, by name [H-12] [upstream-timeout]',
  async (t) => {
    const place = await start(
      t,
      {
        tools: {
          never: () => undefined,
          silent: async (request) => {
            await request.stream().send(note('then nothing'));
          },
        },
      },
      { timeout: '1s' },
    );
    const session = await openSession(place.url, place.token);
    const call = (name: string) =>
      inSession(session, { id: name, method: 'tools/call', params: { name, arguments: {} } });
    const [never, silent, modern] = await Promise.all([
      ask(place.url, place.token, call('never')).then((it) => it.rest()),
      ask(place.url, place.token, call('silent')).then((it) => it.messages()),
      ask(place.url, place.token, modernCall('never')).then((it) => it.rest()),
    ]);
    t.match(JSON.parse(never), { id: 'never', error: { data: { code: 'upstream_timeout' } } });
    t.match(silent, [
      { params: { data: 'then nothing' } },
      { id: 'silent', error: { data: { code: 'upstream_timeout' } } },
    ]);
    t.match(JSON.parse(modern), { id: 1, error: { data: { code: 'upstream_timeout' } } });
    for (const request of place.upstream.received('never')) await request.gone;
    t.pass('the calls are ended at the upstream');
    const outcomes = (await place.gateway.exchanges())
      .filter((it) => it.method === 'tools/call')
      .map((it) => it.outcome);
    t.same(outcomes, ['unknown', 'unknown', 'unknown']);
  },
);

t.test(
  'a POST that is answered by a stream which says nothing yet stands at once and is kept warm [H-09] [H-10] [H-11] [silent-stream-stands]',
  async (t) => {
    const begun: UpstreamRequest[] = [];
    const place = await start(
      t,
      {
        tools: {
          quiet: (request) => {
            begun.push(request);
            void quiet(request);
          },
        },
      },
      {},
      { server: { listen: '127.0.0.1:0', public_url: 'http://127.0.0.1:8800', keep_alive: '1s' } },
    );
    const release = Promise.withResolvers<void>();
    const quiet = async (request: UpstreamRequest): Promise<void> => {
      const stream = request.stream();
      await release.promise;
      await stream.send(request.envelope({ result: { ...request.complete, ...result('at last') } }));
      stream.end();
    };
    const reading = await ask(place.url, place.token, modernCall('quiet'));
    t.match(reading.res.headers, { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
    t.equal(await reading.until(/:\n\n:\n\n/), ':\n\n:\n\n', 'comments, and nothing else');
    release.resolve();
    t.match((await reading.messages()).at(-1), { id: 1, result: { content: [{ text: 'at last' }] } });
    t.equal(begun.length, 1);
  },
);

t.test(
  'answers that the upstream compressed are decoded, judged and delivered; a bomb is refused [decoded-before-judged]',
  async (t) => {
    const codings = {
      gzip: gzipSync,
      'x-gzip': gzipSync,
      deflate: deflateSync,
      br: brotliCompressSync,
    } as const;
    let coding: keyof typeof codings = 'gzip';
    const said = (request: UpstreamRequest, words: string): string =>
      request.envelope({ result: { ...request.complete, ...result(words) } });
    const place = await start(
      t,
      {
        tools: {
          packed: (request) => {
            const body = codings[coding](said(request, 'write to ada@example.com'));
            return { status: 200, headers: { 'content-type': 'application/json', 'content-encoding': coding }, body };
          },
          stream: (request) => {
            request.res.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' });
            const gzip = createGzip();
            gzip.pipe(request.res);
            gzip.write(`data: ${note('to ada@example.com')}\n\n`);
            // The second message comes only when the first has been flushed and was read.
            gzip.flush(() => void first.promise.then(() => gzip.end(`data: ${said(request, 'end')}\n\n`)));
          },
          bomb: (request) => ({
            status: 200,
            headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
            body: gzipSync(said(request, text(40 * MB))),
          }),
          broken: (request) => ({
            status: 200,
            headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
            body: gzipSync(said(request, 'cut')).subarray(0, 30),
          }),
          strange: (request) => ({
            status: 200,
            headers: { 'content-type': 'application/json', 'content-encoding': 'rot13' },
            body: said(request, 'ada@example.com'),
          }),
        },
      },
      {},
      MASKING,
    );
    const first = Promise.withResolvers<void>();
    for (coding of ['gzip', 'x-gzip', 'deflate', 'br'] as const) {
      const reading = await ask(place.url, place.token, modernCall('packed'));
      t.notOk(reading.res.headers['content-encoding']);
      t.match(await reading.rest(), /write to <EMAIL_ADDRESS>/, coding);
    }
    const stream = await ask(place.url, place.token, modernCall('stream', {}, 1, LOGS));
    await stream.until(/to <EMAIL_ADDRESS>/);
    first.resolve();
    t.match((await stream.messages()).at(-1), { id: 1, result: {} }, 'each message as soon as it was flushed');
    for (const name of ['bomb', 'broken', 'strange']) {
      const answer = await (await ask(place.url, place.token, modernCall(name))).rest();
      t.match(answer, /upstream_invalid|upstream_lost/, name);
      t.notMatch(answer, /ada@/);
    }
  },
);

t.test(
  'requests pipelined on one connection are each governed and answered in their order [pipelined-in-order]',
  async (t) => {
    const place = await start(
      t,
      {},
      {},
      {
        guardrails: [
          {
            name: 'no-drops',
            connections: ['default'],
            input: { rules: [{ type: 'deny_words_list', words: ['drop table'] }] },
          },
        ],
      },
    );
    const line = dial(place.url);
    const head = (token: string, body: string, more = ''): string =>
      `POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:8800\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n` +
      `Authorization: Bearer ${token}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${more}\r\n${body}`;
    const call = (id: number, name: string, sql: string): string =>
      JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: { sql } } });
    const session = await openSession(place.url, place.token);
    const own = `Mcp-Session-Id: ${session}\r\n`;
    line.write(
      head(place.token, call(1, 'slow', 'first'), own) +
        head(place.token, call(2, 'echo', 'drop table users'), own) +
        head('nonsense', call(3, 'echo', 'a stranger'), own) +
        head(place.token, call(4, 'echo', 'fourth'), own) +
        head(place.token, call(5, 'echo', 'fifth'), `${own}Connection: close\r\n`),
    );
    await place.upstream.arrival('slow');
    await place.upstream.arrival((it) => it.raw.includes('fifth'));
    place.upstream.release();
    const answers = await line.closed;
    t.same(statuses(answers), [200, 200, 401, 200, 200]);
    const order = [...answers.matchAll(/"id":(\d)/g)]
      .map(([, id]) => Number(id))
      .filter((id, at, all) => all.indexOf(id) === at);
    t.same(order, [1, 2, 4, 5], 'the answers stand in the order of the questions');
    t.match(answers, /"id":2[^\r]*forbids this call/);
    t.equal(place.upstream.received((it) => it.raw.includes('drop table') || it.raw.includes('stranger')).length, 0);
    const names = (await place.gateway.exchanges()).filter((it) => it.method === 'tools/call').length;
    t.equal(names, 4, 'each is an exchange of its own on the record');
  },
);

t.test(
  'headers of up to 64 KB are read and mirrored parameters passed on; above that the answer is a clear 431 [H-11] [header-limit]',
  async (t) => {
    const seen: Record<string, unknown>[] = [];
    const server = createServer({ maxHeaderSize: 131_072 }, (req, res) => {
      const chunks: Buffer[] = [];
      req.on('data', (chunk: Buffer) => chunks.push(chunk));
      req.on('end', () => {
        const { id, method } = JSON.parse(Buffer.concat(chunks).toString()) as JsonObject;
        if (method === 'tools/call') seen.push(req.headers);
        const listed = { tools: [{ name: 'echo', inputSchema: { type: 'object' } }], ttlMs: 0, cacheScope: 'private' };
        const known: Record<string, object> = {
          'server/discover': {
            supportedVersions: ['2026-07-28'],
            capabilities: { tools: {} },
            ttlMs: 0,
            cacheScope: 'private',
          },
          'tools/list': listed,
        };
        const body = { jsonrpc: '2.0', id, result: { resultType: 'complete', content: [], ...known[String(method)] } };
        res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => {
      server.close();
      server.closeAllConnections();
    });
    const gateway = await startGateway(t, {
      connections: [
        {
          name: 'default',
          upstream: { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp` },
          access: { groups: ['eng'] },
        },
      ],
    });
    const token = await gateway.person('erin', ['eng']);
    const call = modernCall('echo');
    const padded = (count: number): Record<string, string> =>
      Object.fromEntries(Array.from({ length: count }, (_, at) => [`mcp-param-p${at}`, text(8000)]));
    const fine = await send(`${gateway.url}/mcp`, token, call.body, { ...call.headers, ...padded(7) });
    t.equal(fine.status, 200, fine.text);
    t.equal(Object.keys(seen[0]!).filter((name) => name.startsWith('mcp-param-')).length, 7);
    const over = await send(`${gateway.url}/mcp`, token, call.body, { ...call.headers, ...padded(9) });
    t.equal(over.status, 431);
    t.match(over.text, /header/i, 'it says what was too large');
    t.equal(seen.length, 1, 'and nothing went upstream');
    t.equal((await send(`${gateway.url}/mcp`, token, call.body, call.headers)).status, 200, 'the next one is served');
  },
);

/** Asks again, each time when all that is recorded is settled, until there is an answer. */
async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
