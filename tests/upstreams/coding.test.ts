import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  brotliCompressSync,
  createBrotliCompress,
  createDeflate,
  createGzip,
  createZstdCompress,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { Decoder } from '../../proxy/forward/decoded.ts';
import { callTool, startGateway, textOf } from '../gateway.ts';
import { codeOf, openStream } from './wire.ts';

interface Place {
  readonly url: string;
  readonly token: string;
  /** Headers of the requests that came. */
  readonly asked: readonly IncomingMessage['headers'][];
}

const ENVELOPE = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};

/** A gateway in front of a server that answers tools/call so, and everything else plainly. */
async function start(
  t: Test,
  call: (res: ServerResponse, id: unknown) => void,
  server: JsonObject = {},
): Promise<Place> {
  const asked: IncomingMessage['headers'][] = [];
  const upstream = createServer((req, res) => {
    asked.push(req.headers);
    let body = '';
    req.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    req.on('end', () => {
      const { id, method } = JSON.parse(body) as JsonObject;
      if (method === 'tools/call') return call(res, id);
      const more = { resultType: 'complete', ttlMs: 0, cacheScope: 'private' };
      const result =
        method === 'server/discover'
          ? { supportedVersions: ['2026-07-28'], capabilities: { tools: {} }, ...more }
          : { tools: [], ...more };
      res.setHeader('content-type', 'application/json').end(JSON.stringify({ jsonrpc: '2.0', id, result }));
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => upstream.once('listening', resolve));
  t.teardown(() => {
    upstream.closeAllConnections();
    upstream.close();
  });
  const { port } = upstream.address() as AddressInfo;
  const gateway = await startGateway(t, {
    server: { listen: '127.0.0.1:0', public_url: 'http://127.0.0.1:8800', grace: '1s', ...server },
    connections: [{ name: 'default', upstream: { url: `http://127.0.0.1:${port}/mcp` }, access: { groups: ['eng'] } }],
  });
  return { url: `${gateway.url}/mcp`, token: await gateway.person('erin', ['eng']), asked };
}

const answerTo = (id: unknown, text: string): string =>
  JSON.stringify({ jsonrpc: '2.0', id, result: { resultType: 'complete', content: [{ type: 'text', text }] } });

const CODINGS: readonly (readonly [string, (text: string) => Buffer])[] = [
  ['gzip', gzipSync],
  ['X-GZIP', gzipSync],
  ['deflate', deflateSync],
  ['deflate', deflateRawSync],
  ['br', brotliCompressSync],
  ['zstd', zstdCompressSync],
  ['identity', (text) => Buffer.from(text)],
];

t.test('a JSON answer is decoded though nobody asked for a coding [coding-decoded]', async (t) => {
  for (const [coding, encode] of CODINGS) {
    const place = await start(t, (res, id) => {
      const bytes = encode(answerTo(id, `in ${coding}`));
      res.writeHead(200, { 'content-type': 'application/json', 'content-encoding': coding });
      // Byte by byte: no chunk is a whole of anything.
      for (const byte of bytes) res.write(Buffer.of(byte));
      res.end();
    });
    t.equal(textOf(await callTool(place.url, place.token, 'any')), `in ${coding}`);
    t.notOk(place.asked.some((headers) => headers['accept-encoding'] !== undefined));
  }
});

t.test('an answer that grows beyond the limit by decoding is cut off [coding-bomb-capped] [J-06]', async (t) => {
  const zeros = Buffer.alloc(10 * 1_048_576);
  for (const [coding, bomb] of [
    ['gzip', gzipSync(zeros)],
    ['br', brotliCompressSync(zeros)],
    ['zstd', zstdCompressSync(zeros)],
  ] as const) {
    for (const type of ['application/json', 'text/event-stream']) {
      const place = await start(
        t,
        (res) => res.writeHead(200, { 'content-type': type, 'content-encoding': coding }).end(bomb),
        { message_size: '1MiB' },
      );
      const answer = await callTool(place.url, place.token, 'any');
      t.equal(codeOf(answer), 'upstream_invalid', `${bomb.length} bytes of ${coding} as ${type}`);
    }
  }
});

t.test('compressed events arrive one by one as the server flushes them [coding-streams]', async (t) => {
  for (const [coding, create] of [
    ['gzip', createGzip],
    ['deflate', createDeflate],
    ['br', createBrotliCompress],
    ['zstd', createZstdCompress],
  ] as const) {
    const { promise: begun, resolve } = Promise.withResolvers<(text: string) => Promise<void>>();
    const place = await start(t, (res, id) => {
      res.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': coding });
      const coder = create();
      coder.pipe(res);
      resolve(
        (text) =>
          new Promise((done) => {
            const data = text === 'last' ? answerTo(id, text) : note(text);
            coder.write(`data: ${data}\n\n`, () => coder.flush(() => done()));
          }),
      );
    });
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'any', arguments: {}, _meta: { ...ENVELOPE, progressToken: 't' } },
    });
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'any' };
    const opening = openStream(t, place.url, place.token, headers, body);
    const event = await begun;
    await event('one');
    const stream = await opening;
    t.match(await stream.next(), { params: { message: 'one' } }, `${coding}: before there is a second`);
    await event('two');
    t.match(await stream.next(), { params: { message: 'two' } });
    await event('last');
    t.match(await stream.next(), { id: 1, result: { content: [{ text: 'last' }] } });
    stream.close();
  }
});

let progress = 0;
const note = (message: string): string =>
  JSON.stringify({
    jsonrpc: '2.0',
    method: 'notifications/progress',
    params: { progressToken: 't', progress: (progress += 1), message },
  });

t.test('a coding that is not known, broken, cut short or untrue ends the call by name [coding-refused]', async (t) => {
  const whole = gzipSync(answerTo(1, 'text '.repeat(1_000)));
  for (const [coding, body] of [
    ['compress', whole],
    ['gzip, br', whole],
    ['gzip', whole.subarray(0, whole.length - 5)],
    ['gzip', Buffer.concat([whole.subarray(0, 20), Buffer.alloc(whole.length - 20)])],
    ['gzip', Buffer.from(answerTo(1, 'plain'))],
    ['br', whole],
  ] as const) {
    const place = await start(t, (res) =>
      res.writeHead(200, { 'content-type': 'application/json', 'content-encoding': coding }).end(body),
    );
    const answer = await callTool(place.url, place.token, 'any');
    t.equal(codeOf(answer), 'upstream_invalid', coding);
    t.match(answer.text, coding, 'and says why');
  }
});

t.test(
  'an answer whose connection breaks inside a coded stream keeps what came before [coding-streams] [H-12]',
  async (t) => {
    const seen = Promise.withResolvers<void>();
    const place = await start(t, (res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' });
      const coder = createGzip();
      coder.pipe(res);
      coder.write(`data: ${note('before')}\n\n`, () => coder.flush());
      // What was never received can be lost with the connection: it breaks once the client has it.
      void seen.promise.then(() => res.destroy());
    });
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
      progressToken: 't',
    };
    const params = { name: 'any', arguments: {}, _meta };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'any' };
    const stream = await openStream(t, place.url, place.token, headers, body);
    t.match(await stream.next(), { params: { message: 'before' } });
    seen.resolve();
    t.match(await stream.next(), { id: 1, error: { data: { code: 'upstream_lost' } } });
  },
);

t.test('whatever is coded, in chunks of any size, comes out the same [coding-decoded]', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...CODINGS.slice(0, 6)),
      fc.string({ maxLength: 5_000 }),
      fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 5 }),
      fc.boolean(),
      async ([coding, encode], text, sizes, slow) => {
        const flow = { paused: false, pause() {}, resume() {}, abort() {} };
        const chunks: Buffer[] = [];
        const fault = await new Promise<Error | undefined>((resolve) => {
          const decoder: Decoder = new Decoder(coding, flow, {
            data(chunk) {
              chunks.push(chunk);
              if (!slow) return;
              decoder.pause();
              setImmediate(() => decoder.resume());
            },
            end: () => resolve(undefined),
            fail: resolve,
          });
          const bytes = encode(text);
          for (let at = 0, n = 0; at < bytes.length; n += 1) {
            const size = sizes[n % sizes.length]!;
            decoder.write(bytes.subarray(at, at + size));
            at += size;
          }
          decoder.end();
        });
        return fault === undefined && Buffer.concat(chunks).toString() === Buffer.from(text).toString();
      },
    ),
    { numRuns: 100 },
  );
});
