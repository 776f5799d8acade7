import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import t from 'tap';
import fc from 'fast-check';
import type { JsonObject } from '../../policies/types.ts';
import { GatewayError } from '../../proxy/errors.ts';
import type { Frame } from '../../proxy/types.ts';
import { LEGACY_VERSIONS, MODERN_VERSIONS, classify, knownMethod, sessionVersion } from '../../proxy/wire/era.ts';
import {
  FRAME_LIMITS,
  FrameFault,
  decodeFrame,
  errorFrame,
  idKey,
  notificationFrame,
  requestFrame,
  resultFrame,
  withText,
} from '../../proxy/wire/frame.ts';
import { checkHost, checkOrigin, checkRequest, upstreamHeaders } from '../../proxy/wire/headers.ts';
import { decodeMirrored, encodeMirrored } from '../../proxy/wire/mirrored.ts';
import { HOSTILE_FRAMES } from './hostile-frames.ts';

const decode = (body: string | Buffer, sender?: 'client' | 'server'): Frame =>
  decodeFrame(Buffer.from(body), FRAME_LIMITS, sender);

/** What the call throws. */
function fault(run: () => unknown): GatewayError {
  try {
    run();
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

const USUAL = { host: 'gateway', 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const post = (
  headers: Record<string, string>,
): { httpMethod: 'POST'; headers: IncomingHttpHeaders; rawHeaders: string[] } => {
  const all = { ...USUAL, ...headers };
  return { httpMethod: 'POST', headers: all, rawHeaders: Object.entries(all).flat() };
};

/** The wire steps that a POST passes before any policy is asked. */
function admit(body: string | Buffer, headers: Record<string, string>): Frame {
  const request = post(headers);
  checkRequest(request);
  const frame = decode(body);
  const { era } = classify(frame, request.headers, request.rawHeaders);
  if (!knownMethod(era, frame)) throw new GatewayError('method_unknown', '', { data: { era } });
  return frame;
}

t.test(
  'every hostile frame gets its status and code [J-01] [J-05] [J-07] [J-08] [H-05] [H-06] [BT-03] [R-01] [R-02] [R-03] [R-04] [R-05] [R-06] [R-14] [frame-strict]',
  async (t) => {
    t.ok(HOSTILE_FRAMES.length >= 45);
    t.equal(
      new Set(HOSTILE_FRAMES.map(({ title }) => title)).size,
      HOSTILE_FRAMES.length,
      'each has a title of its own',
    );
    for (const { title, body, headers, status, code, id } of HOSTILE_FRAMES) {
      const error = fault(() => admit(body, { 'mcp-protocol-version': '2025-11-25', ...headers }));
      const isModern404 = error.code === 'method_unknown' && error.data['era'] === 'modern';
      t.same([isModern404 ? 404 : error.row.http, error.row.rpc], [status, code], title);
      if (error instanceof FrameFault) t.equal(error.id, id, `${title}: the id that the answer echoes [E-14]`);
      t.notOk('id' in error.data, 'the id is not part of the data');
    }
  },
);

const ENVELOPE = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};
const modern = (method: string, params: JsonObject = {}): Frame =>
  requestFrame('1', method, { ...params, _meta: ENVELOPE });
const CANCELLED = notificationFrame('notifications/cancelled', { requestId: 1, _meta: ENVELOPE });
const VERSION = { 'mcp-protocol-version': '2026-07-28' };

t.test('what real clients send passes, with its kind, id and method', async (t) => {
  const legacy = { 'mcp-protocol-version': '2025-06-18' };
  const rows: [string, string, Record<string, string>, Partial<Frame>][] = [
    [
      'initialize',
      '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}',
      {},
      { kind: 'request', id: '0' },
    ],
    [
      'the id last',
      '{"method":"tools/list","params":{},"jsonrpc":"2.0","id":-12}',
      legacy,
      { kind: 'request', id: '-12', method: 'tools/list' },
    ],
    [
      'no params',
      '{"jsonrpc":"2.0","id":9007199254740991,"method":"ping"}',
      legacy,
      { kind: 'request', id: '9007199254740991' },
    ],
    ['an empty id', '{"jsonrpc":"2.0","id":"","method":"ping"}', legacy, { kind: 'request', id: '""' }],
    [
      'an escaped id',
      ' \n{"jsonrpc":"2.0","id":"\\u0061\\n","method":"tools\\/list"}\r\n',
      legacy,
      { kind: 'request', id: '"\\u0061\\n"', method: 'tools/list' },
    ],
    [
      'a notification',
      '{"jsonrpc":"2.0","method":"notifications/initialized"}',
      legacy,
      { kind: 'notification', id: undefined },
    ],
    [
      'a result',
      '{"jsonrpc":"2.0","id":"s-1","result":{"action":"accept"}}',
      legacy,
      { kind: 'response', id: '"s-1"', method: undefined },
    ],
    [
      'an error',
      '{"jsonrpc":"2.0","id":3,"error":{"code":-32601,"message":"no","data":null}}',
      legacy,
      { kind: 'response', id: '3' },
    ],
    [
      'unknown members',
      '{"jsonrpc":"2.0","id":1,"method":"ping","x-trace":{"a":1},"params":{"vendor":1,"_meta":{"example.com/id":2}}}',
      legacy,
      { kind: 'request' },
    ],
    [
      'odd keys in the arguments',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"q","arguments":{"Name":1,"name":2,"na\\u0000me":3,"ID":4,"_meta":{"ProgressToken":5}}}}',
      legacy,
      { kind: 'request' },
    ],
    [
      'prototype keys',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","__proto__":{"id":7},"params":{"name":"q","__proto__":{"name":"evil"},"arguments":{"__proto__":{"a":1},"constructor":2}}}',
      legacy,
      { kind: 'request', id: '1' },
    ],
    [
      'a slash that PHP escapes',
      `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol\\/protocolVersion":"2026-07-28","io.modelcontextprotocol\\/clientCapabilities":{}}}}`,
      { ...VERSION, 'mcp-method': 'tools/list' },
      { kind: 'request' },
    ],
    [
      'a modern call',
      modern('tools/call', { name: 'query' }).text,
      { ...VERSION, 'mcp-method': 'tools/call', 'mcp-name': 'query', 'mcp-param-region': 'eu' },
      { kind: 'request' },
    ],
    [
      'a modern call of a name beyond ASCII',
      modern('prompts/get', { name: 'prüfe' }).text,
      { ...VERSION, 'mcp-method': 'prompts/get', 'mcp-name': encodeMirrored('prüfe') },
      { kind: 'request' },
    ],
    [
      'a modern read',
      modern('resources/read', { uri: 'file:///a b' }).text,
      { ...VERSION, 'mcp-method': 'resources/read', 'mcp-name': 'file:///a b' },
      { kind: 'request' },
    ],
    [
      'a modern poll of a task',
      modern('tasks/get', { taskId: 't1' }).text,
      { ...VERSION, 'mcp-method': 'tasks/get', 'mcp-name': ' t1 ' },
      { kind: 'request' },
    ],
  ];
  for (const [title, body, headers, expected] of rows) {
    const frame = admit(body, headers);
    t.match({ kind: frame.kind, id: frame.id, method: frame.method }, expected, title);
    t.equal(frame.text, body);
    t.same(frame.value, JSON.parse(body));
    t.ok(frame.bytes.equals(Buffer.from(body)), 'and its bytes are those that came [J-09]');
  }
});

t.test('a decoded frame means to JSON.parse what it means to us [J-02] [frame-one-meaning]', async (t) => {
  const members = fc.uniqueArray(
    fc.tuple(
      fc.constantFrom(
        'jsonrpc',
        'id',
        'method',
        'params',
        'result',
        'error',
        'extra',
        'Id',
        '\\u0069d',
        'me\\u0074hod',
        '__proto__',
      ),
      fc.oneof(
        fc.constantFrom(
          '"2.0"',
          '1',
          '"a"',
          'null',
          '{}',
          '[]',
          '"tools/list"',
          '{"code":1,"message":"x"}',
          '1.5',
          '"\\u0062"',
        ),
        fc.json({ maxDepth: 2 }),
      ),
    ),
    { selector: ([key]) => key, maxLength: 6 },
  );
  const likely = fc.constantFrom(
    '"jsonrpc":"2.0","id":1,"method":"x/y"',
    '"jsonrpc":"2.0","method":"n"',
    '"jsonrpc":"2.0","id":"q","result":{}',
    '',
  );
  let accepted = 0;
  fc.assert(
    fc.property(likely, members, (head, rest) => {
      const body = `{${[head, ...rest.map(([key, value]) => `"${key}":${value}`)].filter((part) => part !== '').join(',')}}`;
      let frame: Frame;
      try {
        frame = decode(body);
      } catch (error) {
        assert(error instanceof FrameFault);
        return;
      }
      accepted += 1;
      const value = JSON.parse(body) as Record<string, unknown>;
      assert.equal(value['jsonrpc'], '2.0');
      assert.equal(frame.method, value['method']);
      assert.equal(frame.id === undefined ? undefined : JSON.parse(frame.id), value['id']);
      const kind = 'method' in value ? ('id' in value ? 'request' : 'notification') : 'response';
      assert.equal(frame.kind, kind);
    }),
    { numRuns: 2000 },
  );
  t.ok(accepted > 100, 'many of them were messages');
});

t.test('any bytes at all are a frame or a fault of the table [frame-never-crashes]', async (t) => {
  let refused = 0;
  const seed = Buffer.from(modern('tools/call', { name: 'query', arguments: { a: [1, 'é', null] } }).text);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 40 }),
      fc.nat(),
      fc.nat({ max: 8 }),
      fc.boolean(),
      (noise, place, drop, alone) => {
        const at = place % seed.length;
        const bytes = alone
          ? Buffer.from(noise)
          : Buffer.concat([seed.subarray(0, at), noise.subarray(0, 4), seed.subarray(at + drop)]);
        try {
          decode(bytes);
        } catch (error) {
          assert(error instanceof FrameFault);
          refused += 1;
        }
      },
    ),
    { numRuns: 3000 },
  );
  t.ok(refused > 1000, 'most of them were refused, none crashed');
});

t.test('a refused message still gets its own id back, wherever it stood [E-14]', async (t) => {
  const id = (body: string): string | undefined => {
    const error = fault(() => decode(body));
    return error instanceof FrameFault ? error.id : 'no frame fault';
  };
  t.equal(
    id('{"params":{"a":1,"a":2},"method":"tools/call","jsonrpc":"2.0","id":"late"}'),
    '"late"',
    'behind the fault',
  );
  t.equal(
    id(`{"params":${'['.repeat(9999)}${']'.repeat(9999)},"id":12,"method":"ping","jsonrpc":"2.0"}`),
    '12',
    'behind a bomb',
  );
  t.equal(
    id('{"method":"m","params":{"a":"\\"id\\":3","a":2},"jsonrpc":"2.0"}'),
    undefined,
    'an id inside a string is not one',
  );
  t.equal(id('{"method":"m","params":{"id":3,"a":1,"a":2},"jsonrpc":"2.0"}'), undefined, 'nor is one inside of params');
  t.equal(id('{"method":"m","a":1,"a":2,"id":"x'), undefined, 'nor one that never ends');
  t.equal(id('{"method":"m","a":1,"a":2,"id":"x\n"}'), undefined, 'nor one that would break the answer');
  t.equal(id('{"method":"m","a":1,"a":2,"id":1.5}'), undefined);
  t.equal(
    id('{"jsonrpc":"2.0","id":7,"result":{"a":1,"a":2}}'),
    undefined,
    "nor a response's, which would hit a request of its sender",
  );
  t.equal(id('{"jsonrpc":"2.0","id":7,"result":{},"error":{}}'), undefined);
  t.equal(id('{"jsonrpc":"2.0","id":1,'), undefined, 'what is not JSON has no id');
});

t.test('ids are compared by value and type, and echoed as they came [J-02]', async (t) => {
  t.not(idKey('1'), idKey('"1"'), 'the number and the string differ');
  t.equal(idKey('"\\u0061\\/"'), idKey('"a/"'), 'escapes do not count');
  t.not(idKey('"a"'), idKey('"A"'));
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const spelt = `"${[...text].map((c) => (c.length === 1 ? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}` : c)).join('')}"`;
      assert.equal(idKey(spelt), idKey(JSON.stringify(text)));
    }),
  );
  t.equal(resultFrame('"\\u0061"', '{}').text, '{"jsonrpc":"2.0","id":"\\u0061","result":{}}');
});

t.test('built frames are messages that decode to themselves', async (t) => {
  const frames = [
    errorFrame('7', { code: -32600, message: 'no "quotes"\n', data: { a: [1] } }),
    resultFrame('"x"', '{"n":9007199254740993,"f":1.0}'),
    requestFrame('1', 'tools/list'),
    requestFrame('1', 'tools/call', { name: 'a\u2028b' }),
    requestFrame('1', 'tools/call', '{"name":"q","arguments":{"n":1.0}}'),
    notificationFrame('notifications/initialized'),
    notificationFrame('notifications/progress', '{"progressToken":"\\u0061","progress":1}'),
  ];
  for (const frame of frames) {
    const again = decode(frame.bytes);
    t.same({ ...again, bytes: 0 }, { ...frame, bytes: 0 });
  }
  t.equal(
    frames[1]!.text,
    '{"jsonrpc":"2.0","id":"x","result":{"n":9007199254740993,"f":1.0}}',
    'numbers keep their digits',
  );
  const lost = errorFrame(undefined, { code: -32700, message: 'x' });
  t.same(lost.value, { jsonrpc: '2.0', error: { code: -32700, message: 'x' } }, 'an unreadable id is left out');
  t.equal(decode(lost.bytes, 'server').id, undefined);
  t.equal(decode('{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"x"}}', 'server').id, undefined);
  t.throws(
    () => decode('{"jsonrpc":"2.0","id":null,"result":{}}', 'server'),
    FrameFault,
    'only an error may lack its id',
  );

  t.throws(() => resultFrame('1', '{},"error":{}'), SyntaxError, 'a result cannot add members to the message');
  t.throws(() => notificationFrame('n', '{}}'), SyntaxError);
  for (const id of ['1,"method":"x"', 'null', '"a', '1.5', ''])
    t.throws(() => resultFrame(id, '{}'), TypeError, 'nor can an id');

  const frame = frames[1]!;
  const edited = withText(frame, frame.text.replace('1.0', '2.0'));
  t.same(
    [edited.kind, edited.id, edited.bytes.toString(), edited.value],
    ['response', '"x"', edited.text, JSON.parse(edited.text)],
  );
  t.equal(withText(frame, frame.text), frame, 'the same text is the same frame');
  t.same({ ...edited }.value, edited.value, 'a copy has the value too');
});

t.test('a prototype key does no harm [frame-prototype-inert]', async (t) => {
  const frame = decode(
    '{"jsonrpc":"2.0","id":1,"method":"tools/list","__proto__":{"params":{"_meta":{}}},"params":{"__proto__":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}}',
  );
  t.same(classify(frame, {}), { era: 'legacy' }, 'an inherited envelope is none');
  t.equal(({} as Record<string, unknown>)['params'], undefined);
});

t.test('the body decides the era, the headers must agree [R-01] [R-02] [R-03] [S-12]', async (t) => {
  const list = requestFrame('1', 'tools/list');
  for (const version of [...LEGACY_VERSIONS, '2024-11-05'])
    t.same(classify(list, { 'mcp-protocol-version': version }), { era: 'legacy', version });
  t.same(classify(list, {}), { era: 'legacy' }, 'no header is an older revision');
  t.same(classify(requestFrame('1', 'initialize', { protocolVersion: '2025-11-25' }), {}), { era: 'legacy' });
  t.same(classify(resultFrame('1', '{}'), {}), { era: 'legacy' }, 'a posted response is legacy');
  t.same(classify(modern('tools/list'), { ...VERSION, 'mcp-method': 'tools/list' }), {
    era: 'modern',
    version: '2026-07-28',
  });
  t.same(classify(modern('server/discover'), { ...VERSION, 'mcp-method': 'server/discover' }), {
    era: 'modern',
    version: '2026-07-28',
  });
  t.same(
    classify(modern('initialize'), { ...VERSION, 'mcp-method': 'initialize' }),
    { era: 'modern', version: '2026-07-28' },
    'and will be unknown there',
  );
  t.same(
    classify(notificationFrame('notifications/cancelled', { requestId: 1 }), VERSION),
    { era: 'modern', version: '2026-07-28' },
    'a notification needs no envelope [R-15]',
  );
  t.same(classify(CANCELLED, VERSION), { era: 'modern', version: '2026-07-28' });

  t.equal(
    fault(() => classify(modern('tools/list'), { 'mcp-method': 'tools/list' })).code,
    'header_mismatch',
    'no version header',
  );
  t.equal(fault(() => classify(CANCELLED, { 'mcp-protocol-version': '2025-11-25' })).code, 'header_mismatch');
  t.equal(
    fault(() => classify(notificationFrame('notifications/cancelled'), { ...VERSION, 'mcp-method': 'tools/call' }))
      .code,
    'header_mismatch',
  );
  t.equal(fault(() => classify(list, { 'mcp-protocol-version': '2025-11-25\u0007' })).code, 'version_invalid');

  const meta = { ...ENVELOPE, 'io.modelcontextprotocol/protocolVersion': '2030-01-01' };
  const future = fault(() =>
    classify(requestFrame('1', 'tools/list', { _meta: meta }), { 'mcp-protocol-version': '2030-01-01' }),
  );
  t.equal(future.code, 'version_unsupported');
  t.same(future.data, { supported: MODERN_VERSIONS, requested: '2030-01-01' });

  t.equal(sessionVersion({ 'mcp-protocol-version': '2025-06-18' }), '2025-06-18');
  t.equal(sessionVersion({}), undefined);
  t.equal(
    fault(() => sessionVersion(VERSION)).code,
    'method_not_allowed',
    'the newer revision has no session operations [R-13]',
  );
  t.equal(fault(() => sessionVersion({ 'mcp-protocol-version': 'x' })).code, 'version_invalid');
});

t.test('an MCP header that came twice is refused, whatever it says [frame-no-duplicate-headers]', async (t) => {
  const frame = modern('tools/call', { name: 'query' });
  const headers = { ...VERSION, 'mcp-method': 'tools/call', 'mcp-name': 'query' };
  const raw = Object.entries(headers).flat();
  t.equal(classify(frame, headers, raw).era, 'modern');
  for (const name of ['Mcp-Name', 'MCP-METHOD', 'mcp-protocol-version', 'Mcp-Param-Region']) {
    const repeated = fault(() =>
      classify(frame, headers, [...raw, 'Mcp-Param-Region', 'eu', name, 'query', name, 'query']),
    );
    t.equal(repeated.code, 'header_mismatch', name);
  }
  const list = requestFrame('1', 'tools/list');
  t.equal(
    fault(() => classify(list, {}, ['Mcp-Session-Id', 'a', 'mcp-session-id', 'b'])).code,
    'invalid_request',
    'legacy too',
  );
  for (const name of [
    'Host',
    'Content-Type',
    'content-encoding',
    'Origin',
    'Authorization',
    'Mcp-Session-Id',
    'Last-Event-ID',
  ]) {
    const request = post({});
    t.equal(
      fault(() => checkRequest({ ...request, rawHeaders: [name, 'a', name.toUpperCase(), 'a'] })).code,
      'invalid_request',
      name,
    );
  }
});

t.test('mirrored header values decode to exactly one text [R-05]', async (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (value) => {
      const encoded = encodeMirrored(value);
      assert.match(encoded, /^[\x20-\x7e]*$/);
      assert.equal(decodeMirrored(encoded), value);
    }),
  );
  t.equal(decodeMirrored('=?base64??='), '');
  for (const literal of ['query', '=?base64?=', '=?base64?cXVlcnk=', 'cXVlcnk=?=', '=?Base64?cXVlcnk=?='])
    t.equal(decodeMirrored(literal), literal);
  const long = { ...VERSION, 'mcp-method': 'tools/call', 'mcp-name': 'q'.repeat(9000) };
  t.equal(
    fault(() => classify(modern('tools/call', { name: 'q'.repeat(9000) }), long)).code,
    'header_mismatch',
    'an oversized header is not decoded [R-10]',
  );
  const names = { ...VERSION, 'mcp-method': 'tools/call', 'mcp-name': 'q' };
  for (const value of ['a\u0007', '\u00e9', 'a\u007fb']) {
    t.equal(
      fault(() => classify(modern('tools/call', { name: 'q' }), { ...names, 'mcp-param-x': value })).code,
      'header_mismatch',
    );
    t.equal(
      fault(() => classify(modern('tools/call', { name: value }), { ...names, 'mcp-name': value })).code,
      'header_mismatch',
    );
  }
});

t.test('methods are known by era, sender and kind, exactly [J-08] [E-05]', async (t) => {
  const knows = (era: 'legacy' | 'modern', frame: Frame, sender?: 'client' | 'server') =>
    knownMethod(era, frame, sender);
  t.ok(knows('legacy', requestFrame('1', 'initialize')));
  t.notOk(knows('modern', requestFrame('1', 'initialize')));
  t.ok(knows('modern', requestFrame('1', 'subscriptions/listen')));
  t.notOk(knows('legacy', requestFrame('1', 'subscriptions/listen')));
  t.ok(knows('legacy', requestFrame('1', 'tasks/result')));
  t.notOk(knows('modern', requestFrame('1', 'tasks/result')));
  t.notOk(knows('legacy', notificationFrame('ping')), 'a request method is no notification');
  t.notOk(knows('legacy', requestFrame('1', 'notifications/cancelled')), 'nor the other way round');
  t.notOk(knows('legacy', requestFrame('1', 'elicitation/create')), 'a client does not send what a server sends');
  t.ok(knows('legacy', requestFrame('1', 'elicitation/create'), 'server'));
  t.notOk(knows('modern', requestFrame('1', 'elicitation/create'), 'server'), 'a modern server asks nothing');
  t.ok(knows('modern', notificationFrame('notifications/tasks'), 'server'));
  t.ok(knows('legacy', resultFrame('1', '{}')), 'a response has no method');
  for (const method of ['constructor', '__proto__', 'toString', 'TOOLS/LIST'])
    t.notOk(knows('legacy', requestFrame('1', method)));
});

t.test('a body is only read when its headers allow one reading [H-04] [H-05] [H-06]', async (t) => {
  const code = (headers: Record<string, string>) => fault(() => checkRequest(post(headers))).code;
  for (const type of [
    'application/json',
    'Application/JSON; charset=UTF-8',
    'application/json;charset="utf-8"',
    'application/json ; x=1;',
  ]) {
    t.doesNotThrow(() => checkRequest(post({ 'content-type': type })), type);
  }
  for (const type of [
    '',
    'text/json',
    'application/jsonx',
    'application/json, text/plain',
    'application/json; charset=latin1',
    'application/json; charset',
    'multipart/form-data; x=application/json',
  ]) {
    t.equal(code({ 'content-type': type }), 'media_type', type);
  }
  t.equal(
    fault(() => checkRequest({ httpMethod: 'POST', headers: { accept: USUAL.accept }, rawHeaders: [] })).code,
    'media_type',
  );
  t.doesNotThrow(() => checkRequest(post({ 'content-encoding': 'identity' })));
  t.equal(code({ 'transfer-encoding': 'chunked', 'content-length': '5' }), 'invalid_request');
  t.equal(code({ 'transfer-encoding': 'gzip, chunked' }), 'invalid_request');
  t.doesNotThrow(() => checkRequest(post({ 'transfer-encoding': 'chunked' })));
  t.doesNotThrow(() => checkRequest(post({ accept: 'text/event-stream;q=0.9, Application/JSON;q=1, */*;q=0.1' })));
  for (const accept of [
    '',
    'application/*, text/event-stream',
    'application/json, text/event-stream-x',
    'application/json;q=0.0, text/event-stream',
  ]) {
    t.equal(code({ accept }), 'not_acceptable', accept);
  }
  t.equal(
    fault(() => checkRequest({ ...post({}), rawHeaders: Array.from({ length: 402 }, () => 'x') })).code,
    'invalid_request',
  );

  const other = (httpMethod: 'GET' | 'DELETE', headers: Record<string, string>) =>
    checkRequest({ httpMethod, headers, rawHeaders: Object.entries(headers).flat() });
  t.doesNotThrow(() => other('GET', { accept: 'text/event-stream' }));
  t.doesNotThrow(() => other('DELETE', {}));
  t.equal(fault(() => other('GET', { accept: 'application/json' })).code, 'not_acceptable');
  t.equal(fault(() => other('GET', { accept: 'text/event-stream', ...VERSION })).code, 'method_not_allowed');
  t.equal(fault(() => other('DELETE', { 'mcp-protocol-version': '1' })).code, 'version_invalid');
});

t.test('pages of other sites and foreign host names are refused [H-01] [H-02] [origin-and-host-checked]', async (t) => {
  const origin = (
    value: string | undefined,
    publicUrl = 'https://gw.example.com',
    allowed = ['https://app.example.com'],
  ) => checkOrigin(value === undefined ? {} : { origin: value }, allowed, publicUrl);
  for (const value of [undefined, 'https://gw.example.com', 'https://app.example.com'])
    t.doesNotThrow(() => origin(value));
  for (const value of [
    'http://evil.example',
    'null',
    '',
    'https://gw.example.com.evil.example',
    'http://gw.example.com',
    'https://gw.example.com:8443',
    'https://gw.example.com/',
    'https://user@gw.example.com',
    'http://localhost',
  ]) {
    t.equal(fault(() => origin(value)).code, 'origin_refused', value);
  }
  const local = (value: string) => origin(value, 'http://127.0.0.1:8800', []);
  for (const value of ['http://127.0.0.1:8800', 'http://localhost:8800', 'http://[::1]:8800'])
    t.doesNotThrow(() => local(value), value);
  for (const value of [
    'http://localhost:3000',
    'https://localhost:8800',
    'http://localhost.evil.example:8800',
    'http://127.0.0.2:8800',
  ]) {
    t.equal(fault(() => local(value)).code, 'origin_refused', value);
  }

  const allowed = ['gw.example.com', 'localhost:8800', '[::1]'];
  for (const host of ['gw.example.com', 'GW.example.com:443', 'localhost:8800', '[::1]:8800', '[::1]'])
    t.doesNotThrow(() => checkHost({ host }, allowed), host);
  for (const host of [
    'evil.example',
    'gw.example.com.evil.example',
    'localhost',
    'localhost:8801',
    'gw.example.com@evil.example',
    'evil.example#gw.example.com',
    'gw.example.com:',
    'gw.example.com.',
    '',
    'gw.example.com, evil.example',
  ]) {
    t.equal(fault(() => checkHost({ host }, allowed)).code, 'host_refused', host);
  }
  t.equal(fault(() => checkHost({}, allowed)).code, 'host_refused', 'no Host at all');
});

t.test(
  'only listed headers go upstream; identity and session never do [A-06] [R-08] [R-13] [upstream-headers-allow-listed]',
  async (t) => {
    const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const headers: IncomingHttpHeaders = {
      ...USUAL,
      authorization: 'Bearer fake',
      cookie: 'a=b',
      'proxy-authorization': 'Basic fake',
      dpop: 'x',
      origin: 'https://a.example',
      'x-forwarded-for': '1.2.3.4',
      'x-forwarded-user': 'root',
      forwarded: 'for=1.2.3.4',
      'x-real-ip': '1.2.3.4',
      'x-user-id': '1',
      'content-length': '10',
      connection: 'keep-alive',
      te: 'trailers',
      'accept-encoding': 'gzip',
      'user-agent': 'x',
      'x-api-key': 'fake',
      'mcp-session-id': 's',
      'last-event-id': 'e1',
      'mcp-protocol-version': '2099-01-01',
      'mcp-method': 'tools/call',
      'mcp-name': 'q',
      'mcp-param-region': 'eu',
      'mcp-other': 'x',
      traceparent: trace,
      tracestate: 'a=1',
      baggage: 'k=v',
      'set-cookie': ['a'],
    };
    const shared = {
      accept: USUAL.accept,
      'content-type': 'application/json',
      traceparent: trace,
      tracestate: 'a=1',
      baggage: 'k=v',
    };
    t.same(upstreamHeaders(headers, { era: 'legacy', version: '2025-11-25' }), {
      ...shared,
      'mcp-protocol-version': '2025-11-25',
      'last-event-id': 'e1',
    });
    t.same(upstreamHeaders(headers, { era: 'modern', version: '2026-07-28' }), {
      ...shared,
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'q',
      'mcp-param-region': 'eu',
    });
    t.same(
      upstreamHeaders({}, { era: 'legacy' }),
      { accept: USUAL.accept, 'content-type': 'application/json' },
      'Accept is there when nobody sent it',
    );
    t.equal(
      upstreamHeaders({ accept: 'text/event-stream' }, { era: 'legacy' })['accept'],
      'text/event-stream',
      'and stays what it was',
    );

    for (const bad of [
      '',
      `${trace}-x`,
      trace.toUpperCase(),
      trace.replace('00-', 'ff-'),
      `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
    ]) {
      const out = upstreamHeaders({ traceparent: bad, tracestate: 'a=1' }, { era: 'legacy' });
      t.notOk('traceparent' in out || 'tracestate' in out, 'a malformed trace is dropped');
    }
    t.notOk('baggage' in upstreamHeaders({ baggage: 'a'.repeat(5000) }, { era: 'legacy' }), 'so is a load of baggage');
    t.notOk(
      'mcp-param-x' in upstreamHeaders({ 'mcp-param-x': 'a\r\nb' }, { era: 'modern' }),
      'and what could break a header',
    );
  },
);
