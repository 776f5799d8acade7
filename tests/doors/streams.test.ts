import { once } from 'node:events';
import http, { type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { deliver, type Delivering } from '../../proxy/doors/deliver.ts';
import type { Reply } from '../../proxy/types.ts';
import { notificationFrame } from '../../proxy/wire/frame.ts';
import { startUpstream } from '../fixture/upstream.ts';
import { callTool, startGateway } from '../gateway.ts';
import { dial } from './raw.ts';

const BIG = 'x'.repeat(300_000);

/** A server that delivers these replies to whoever comes, and a client that does not read yet. */
async function serve(t: Test, replies: (res: ServerResponse) => AsyncGenerator<Reply>, options: Delivering) {
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  const { promise: begun, resolve: begin } = Promise.withResolvers<ServerResponse>();
  const server = http.createServer((_req, res) => {
    begin(res);
    deliver(replies(res), res, options).then(resolve, reject);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.pause();
  socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  t.teardown(() => {
    socket.destroy();
    server.close();
  });
  return { done, res: await begun, socket };
}

const reply = (n: number): Reply => ({
  status: 200,
  mode: 'sse',
  headers: {},
  outbound: [{ frame: notificationFrame('notifications/message', { level: 'info', data: `${n} ${BIG}` }) }],
});

for (const flushed of [false, true]) {
  t.test(
    `a slow reader is waited for: no reply is asked for before there is room for it (flushed: ${flushed}) [back-pressure]`,
    async (t) => {
      let asked = 0;
      const buffered: number[] = [];
      async function* replies(res: ServerResponse): AsyncGenerator<Reply> {
        for (let n = 0; n < 100; n += 1) {
          buffered.push(res.writableLength);
          asked += 1;
          yield reply(n);
        }
      }
      const { done, res, socket } = await serve(t, replies, { keepAliveMs: 1, flushed });
      while (!res.writableNeedDrain) await new Promise((resolve) => setImmediate(resolve));
      const [length, before] = [res.writableLength, asked];
      for (let beats = 0; beats < 20; beats += 1) await new Promise((resolve) => setTimeout(resolve, 1));
      t.equal(res.writableLength, length, 'no comment is added while the reader is behind');
      t.equal(asked, before, 'nothing more is asked for');
      t.ok(asked < 100);
      let read = '';
      socket.setEncoding('utf8').on('data', (chunk: string) => (read += chunk.replaceAll('x', '')));
      await Promise.all([done, once(socket.resume(), 'close')]);
      t.equal(read.match(/notifications\/message/g)?.length, 100, 'all of it arrives');
      t.ok(
        buffered.every((bytes) => bytes < res.writableHighWaterMark),
        'what waits is never more than one reply',
      );
    },
  );
}

t.test('a silent stream is kept warm, as often as configured [H-10]', async (t) => {
  const upstream = await startUpstream();
  t.teardown(() => upstream.close());
  const gateway = await startGateway(t, {
    server: { listen: '127.0.0.1:0', public_url: 'http://127.0.0.1:8800', keep_alive: '1s' },
    connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng'] } }],
  });
  const erin = await gateway.person('erin', ['eng']);
  const line = dial(gateway.url);
  line.write(
    `GET /mcp HTTP/1.1\r\nHost: 127.0.0.1:8800\r\nAuthorization: Bearer ${erin}\r\nAccept: text/event-stream\r\n\r\n`,
  );
  t.match(await line.until(/\r\n:\n\n/), /event: endpoint/);
  line.drop();
});

t.test(
  "a stream for listening is nobody's unfinished call: it takes no place among the messages in work",
  async (t) => {
    const upstream = await startUpstream();
    t.teardown(() => upstream.close());
    const gateway = await startGateway(t, {
      server: { listen: '127.0.0.1:0', public_url: 'http://127.0.0.1:8800', max_in_flight: 1 },
      connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng'] } }],
    });
    const erin = await gateway.person('erin', ['eng']);
    const version = '2026-07-28';
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id: 'listen',
      method: 'subscriptions/listen',
      params: {
        notifications: { toolsListChanged: true },
        _meta: {
          'io.modelcontextprotocol/protocolVersion': version,
          'io.modelcontextprotocol/clientCapabilities': {},
        },
      },
    });
    const line = dial(gateway.url);
    line.write(
      `POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:8800\r\nAuthorization: Bearer ${erin}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nMCP-Protocol-Version: ${version}\r\nMcp-Method: subscriptions/listen\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await line.until(/acknowledged/);
    t.equal((await callTool(`${gateway.url}/mcp`, erin, 'echo')).status, 200);
    const slow = callTool(`${gateway.url}/mcp`, erin, 'slow');
    await upstream.arrival('slow');
    t.equal((await callTool(`${gateway.url}/mcp`, erin, 'echo')).status, 503, 'a call does');
    upstream.release();
    t.equal((await slow).status, 200);
    await gateway.close();
    t.match(await line.closed, /\r\n0\r\n\r\n$/, 'and it ends as a whole when the gateway stops');
  },
);
