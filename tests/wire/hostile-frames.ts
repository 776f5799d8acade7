/**
 * Malformed and hostile POSTs, with the answer each must get. They come on a legacy session (`mcp-protocol-version:
 * 2025-11-25`, the right media type and Accept) unless the row's own headers say otherwise; none may reach an
 * upstream.
 */
export interface HostileFrame {
  readonly title: string;
  readonly body: string | Buffer;
  /** In place of, or besides, the usual ones. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly status: number;
  /** The JSON-RPC code; undefined where the answer need not be JSON-RPC. */
  readonly code: number | undefined;
  /** The raw id that the answer must echo; rows without it must get an answer without an id (a response's id is ours). */
  readonly id?: string;
}

const PARSE = { status: 400, code: -32700 } as const;
const INVALID = { status: 400, code: -32600 } as const;
const MISMATCH = { status: 400, code: -32020 } as const;
const ENVELOPE = { status: 400, code: -32602 } as const;
const VERSION = { status: 400, code: -32022 } as const;
const MEDIA = { status: 415, code: 415 } as const;
const NOT_ACCEPTABLE = { status: 406, code: 406 } as const;
const UNKNOWN = { status: 200, code: -32601 } as const;

const CALL = '"method":"tools/call","params":{"name":"query","arguments":{"sql":"SELECT 1"}}';
const call = (members: string): string => `{"jsonrpc":"2.0",${members}}`;
const params = (members: string): string => call(`"id":7,"method":"tools/call","params":{${members}}`);
const plain = call(`"id":7,${CALL}`);

const PREFIX = 'io.modelcontextprotocol/';
const enveloped = (
  members = '',
  meta = `"${PREFIX}protocolVersion":"2026-07-28","${PREFIX}clientCapabilities":{}`,
): string => call(`"id":7,"method":"tools/call","params":{"name":"query","arguments":{}${members},"_meta":{${meta}}}`);
const MODERN = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'query' } as const;
const sentinel = (value: string | Buffer): string => `=?base64?${Buffer.from(value).toString('base64')}?=`;

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');
const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

const SYNTAX: readonly HostileFrame[] = [
  { title: 'an empty body', body: '', ...PARSE },
  { title: 'whitespace alone', body: ' \r\n\t', ...PARSE },
  { title: 'a cut-off message', body: plain.slice(0, -1), ...PARSE },
  { title: 'a second message behind the first', body: plain + plain, ...PARSE },
  { title: 'a trailing comma', body: call(`"id":7,${CALL},`), ...PARSE },
  { title: 'a comment', body: `/* hello */${plain}`, ...PARSE },
  { title: 'single quotes', body: plain.replaceAll('"', "'"), ...PARSE },
  { title: 'a raw line break in a string', body: params('"name":"que\nry"'), ...PARSE },
  { title: 'a NUL behind the message', body: `${plain}\0`, ...PARSE },
  { title: 'an escape that JSON does not have', body: params('"name":"\\x71uery"'), ...PARSE },
  { title: 'a number with a leading zero', body: params('"name":"query","arguments":{"n":010}'), ...PARSE },
  { title: 'NaN', body: params('"name":"query","arguments":{"n":NaN}'), ...PARSE },
  { title: 'a byte order mark', body: `\ufeff${plain}`, ...PARSE },
  { title: 'UTF-16 without saying so', body: Buffer.from(plain, 'utf16le'), ...PARSE },
  { title: 'Latin-1 text', body: latin1(params('"name":"quéry"')), ...PARSE },
  {
    title: 'an overlong encoding of a slash',
    body: Buffer.concat([
      Buffer.from('{"jsonrpc":"2.0","id":7,"method":"tools'),
      Buffer.from([0xc0, 0xaf]),
      Buffer.from('call"}'),
    ]),
    ...PARSE,
  },
  {
    title: 'a surrogate encoded in UTF-8',
    body: Buffer.concat([
      Buffer.from('{"jsonrpc":"2.0","id":7,"method":"'),
      Buffer.from([0xed, 0xa0, 0x80]),
      Buffer.from('"}'),
    ]),
    ...PARSE,
  },
  { title: 'a form', body: 'method=tools/call&name=query', ...PARSE },
  { title: 'gzip without saying so', body: Buffer.from('1f8b0800000000000003', 'hex'), ...PARSE },
];

const SHAPES: readonly HostileFrame[] = [
  { title: 'a string', body: '"tools/call"', ...INVALID },
  { title: 'null', body: 'null', ...INVALID },
  { title: 'an empty batch', body: '[]', ...INVALID },
  { title: 'a batch', body: `[${plain}]`, ...INVALID },
  { title: 'a batch in a batch', body: `[[${plain}]]`, ...INVALID },
  {
    title: 'an allowed call that hides another in a batch',
    body: `[${call('"id":1,"method":"ping"')},${plain}]`,
    ...INVALID,
  },
  { title: 'an empty object', body: '{}', ...INVALID },
  { title: 'no jsonrpc', body: `{"id":7,${CALL}}`, ...INVALID, id: '7' },
  { title: 'another jsonrpc', body: `{"jsonrpc":"1.0","id":7,${CALL}}`, ...INVALID, id: '7' },
  { title: 'a number for jsonrpc', body: `{"jsonrpc":2.0,"id":7,${CALL}}`, ...INVALID, id: '7' },
  { title: 'an id of null', body: call(`"id":null,${CALL}`), ...INVALID },
  { title: 'an id of true', body: call(`"id":true,${CALL}`), ...INVALID },
  { title: 'an object for id', body: call(`"id":{"a":1},${CALL}`), ...INVALID },
  { title: 'an array for id', body: call(`"id":[7],${CALL}`), ...INVALID },
  { title: 'a fraction for id', body: call(`"id":1.5,${CALL}`), ...INVALID },
  { title: 'an id with an exponent', body: call(`"id":1e3,${CALL}`), ...INVALID },
  { title: 'an id written as a float', body: call(`"id":7.0,${CALL}`), ...INVALID },
  { title: 'an id of minus zero', body: call(`"id":-0,${CALL}`), ...INVALID },
  { title: 'an id beyond 2^53', body: call(`"id":9007199254740993,${CALL}`), ...INVALID },
  { title: 'an id of two thousand characters', body: call(`"id":"${'a'.repeat(2000)}",${CALL}`), ...INVALID },
  { title: 'no method', body: call('"id":7'), ...INVALID, id: '7' },
  { title: 'an empty method', body: call('"id":7,"method":""'), ...INVALID, id: '7' },
  { title: 'a number for method', body: call('"id":7,"method":7'), ...INVALID, id: '7' },
  {
    title: 'a method with a NUL',
    body: call('"id":"a\\u0062","method":"tools/call\\u0000","params":{"name":"query"}'),
    ...INVALID,
    id: '"a\\u0062"',
  },
  {
    title: 'a method with a line break',
    body: call('"id":7,"method":"tools/call\\r\\nX-Evil: 1"'),
    ...INVALID,
    id: '7',
  },
  { title: 'an array for params', body: call('"id":7,"method":"tools/call","params":["query"]'), ...INVALID, id: '7' },
  { title: 'null for params', body: call('"id":7,"method":"tools/list","params":null'), ...INVALID, id: '7' },
  { title: 'a string for params', body: call('"id":7,"method":"tools/call","params":"query"'), ...INVALID, id: '7' },
  { title: 'method and result', body: call(`"id":7,${CALL},"result":{}`), ...INVALID, id: '7' },
  { title: 'result and error', body: call('"id":7,"result":{},"error":{"code":1,"message":"x"}'), ...INVALID },
  { title: 'a response without an id', body: call('"result":{}'), ...INVALID },
  { title: 'an error with an id of null', body: call('"id":null,"error":{"code":1,"message":"x"}'), ...INVALID },
  { title: 'an error that is a string', body: call('"id":7,"error":"denied"'), ...INVALID },
  { title: 'an error without a code', body: call('"id":7,"error":{"message":"x"}'), ...INVALID },
  { title: 'a result that is a string', body: call('"id":7,"result":"ok"'), ...INVALID },
  { title: 'a call without an id', body: call(CALL), ...INVALID },
  {
    title: 'initialize without an id',
    body: call('"method":"initialize","params":{"protocolVersion":"2025-11-25"}'),
    ...INVALID,
  },
  {
    title: 'nesting far too deep',
    body: params(`"name":"query","arguments":{"a":${deep(2000)}}`),
    ...INVALID,
    id: '7',
  },
  { title: 'a bomb of a million brackets', body: '['.repeat(1_000_000), ...INVALID },
  {
    title: 'a number of five thousand digits',
    body: params(`"name":"query","arguments":{"n":${'9'.repeat(5000)}}`),
    ...INVALID,
    id: '7',
  },
  {
    title: 'a key of a hundred thousand characters',
    body: params(`"name":"query","arguments":{"${'k'.repeat(100_000)}":1}`),
    ...INVALID,
    id: '7',
  },
];

const KEYS: readonly HostileFrame[] = [
  { title: 'two names of a tool', body: params('"name":"query","name":"execute_sql"'), ...INVALID, id: '7' },
  {
    title: 'two names of a tool, one escaped',
    body: params('"name":"query","\\u006eame":"execute_sql"'),
    ...INVALID,
    id: '7',
  },
  {
    title: 'two methods, one escaped',
    body: call('"id":7,"method":"ping","\\u006dethod":"prompts/list"'),
    ...INVALID,
    id: '7',
  },
  { title: 'two params', body: call(`"id":7,${CALL},"params":{"name":"execute_sql"}`), ...INVALID, id: '7' },
  {
    title: 'a duplicate deep in the arguments',
    body: params('"name":"query","arguments":{"a":[{"b":{"sql":"SELECT 1","sql":"DROP"}}]}'),
    ...INVALID,
    id: '7',
  },
  {
    title: 'a duplicate behind forty other keys',
    body: params(`"name":"query","arguments":{${Array.from({ length: 40 }, (_, i) => `"k${i}":1`).join(',')},"k0":2}`),
    ...INVALID,
    id: '7',
  },
  {
    title: 'a duplicate prototype key',
    body: params('"name":"query","arguments":{"__proto__":1,"__proto__":2}'),
    ...INVALID,
    id: '7',
  },
  { title: 'Method beside method', body: call('"id":7,"method":"ping","Method":"tools/call"'), ...INVALID, id: '7' },
  {
    title: 'PARAMS for params',
    body: call('"id":7,"method":"tools/call","PARAMS":{"name":"query"}'),
    ...INVALID,
    id: '7',
  },
  {
    title: 'paramſ with a long s',
    body: call('"id":7,"method":"tools/call","param\u017f":{"name":"query"}'),
    ...INVALID,
    id: '7',
  },
  { title: 'ID beside id', body: call(`"id":7,"ID":8,${CALL}`), ...INVALID, id: '7' },
  {
    title: 'a result with a zero-width space, beside a method',
    body: call(`"id":7,${CALL},"re\u200bsult":{}`),
    ...INVALID,
    id: '7',
  },
  { title: 'Name beside name', body: params('"name":"query","Name":"execute_sql"'), ...INVALID, id: '7' },
  {
    title: 'name with a NUL, beside name',
    body: params('"name":"query","name\\u0000":"execute_sql"'),
    ...INVALID,
    id: '7',
  },
  {
    title: 'name in full-width letters',
    body: params('"name":"query","\uff4e\uff41\uff4d\uff45":"execute_sql"'),
    ...INVALID,
    id: '7',
  },
  {
    title: 'arguments with a right-to-left mark',
    body: params('"name":"query","arguments":{},"\u200farguments":{"sql":"DROP"}'),
    ...INVALID,
    id: '7',
  },
  {
    title: 'task_id for taskId',
    body: call('"id":7,"method":"tasks/get","params":{"taskId":"a","task_id":"b"}'),
    ...INVALID,
    id: '7',
  },
  {
    title: 'requestſtate by a Kelvin sign cousin',
    body: params('"name":"query","reque\u017ftState":"x"'),
    ...INVALID,
    id: '7',
  },
  { title: 'Progresstoken in _meta', body: params('"name":"query","_meta":{"ProgressToken":1}'), ...INVALID, id: '7' },
  {
    title: 'a lone surrogate, escaped',
    body: params('"name":"query","arguments":{"sql":"\\ud800"}'),
    ...INVALID,
    id: '7',
  },
  { title: 'a lone surrogate in a key', body: params('"name":"query","arguments":{"\\udc00":1}'), ...INVALID, id: '7' },
];

const METHODS: readonly HostileFrame[] = [
  { title: 'Tools/Call', body: call('"id":7,"method":"Tools/Call","params":{"name":"query"}'), ...UNKNOWN, id: '7' },
  {
    title: 'tools/call with a trailing space',
    body: call('"id":7,"method":"tools/call ","params":{"name":"query"}'),
    ...UNKNOWN,
    id: '7',
  },
  { title: 'tools//call', body: call('"id":7,"method":"tools//call","params":{"name":"query"}'), ...UNKNOWN, id: '7' },
  {
    title: 'tools\\u2215call',
    body: call('"id":7,"method":"tools\\u2215call","params":{"name":"query"}'),
    ...UNKNOWN,
    id: '7',
  },
  { title: 'a method that no revision has', body: call('"id":7,"method":"admin/shutdown"'), ...UNKNOWN, id: '7' },
  {
    title: 'a method of the server',
    body: call('"id":7,"method":"sampling/createMessage","params":{}'),
    ...UNKNOWN,
    id: '7',
  },
  { title: 'a method of the newer revision', body: call('"id":7,"method":"server/discover"'), ...UNKNOWN, id: '7' },
  {
    title: 'a notification with an id',
    body: call('"id":7,"method":"notifications/initialized"'),
    ...UNKNOWN,
    id: '7',
  },
  { title: 'a name of the prototype', body: call('"id":7,"method":"__proto__"'), ...UNKNOWN, id: '7' },
];

const TRANSPORT: readonly HostileFrame[] = [
  { title: 'text/plain', body: plain, headers: { 'content-type': 'text/plain' }, ...MEDIA },
  {
    title: 'a JSON type that is not application/json',
    body: plain,
    headers: { 'content-type': 'application/json-seq' },
    ...MEDIA,
  },
  {
    title: 'UTF-16, said so',
    body: Buffer.from(plain, 'utf16le'),
    headers: { 'content-type': 'application/json; charset=utf-16' },
    ...MEDIA,
  },
  {
    title: 'two charsets',
    body: plain,
    headers: { 'content-type': 'application/json; charset=utf-8; charset=utf-16' },
    ...MEDIA,
  },
  { title: 'gzip, said so', body: plain, headers: { 'content-encoding': 'gzip' }, ...MEDIA },
  { title: 'identity and br', body: plain, headers: { 'content-encoding': 'identity, br' }, ...MEDIA },
  { title: 'JSON only in Accept', body: plain, headers: { accept: 'application/json' }, ...NOT_ACCEPTABLE },
  { title: 'anything in Accept', body: plain, headers: { accept: '*/*' }, ...NOT_ACCEPTABLE },
  {
    title: 'a stream of weight zero in Accept',
    body: plain,
    headers: { accept: 'application/json, text/event-stream;q=0' },
    ...NOT_ACCEPTABLE,
  },
  {
    title: 'a version that never was',
    body: plain,
    headers: { 'mcp-protocol-version': '1999-01-01' },
    ...INVALID,
    id: '7',
  },
];

const MODERN_ROWS: readonly HostileFrame[] = [
  { title: 'modern: no envelope', body: plain, headers: MODERN, ...ENVELOPE, id: '7' },
  {
    title: 'modern: no params',
    body: call('"id":7,"method":"tools/list"'),
    headers: { ...MODERN, 'mcp-method': 'tools/list' },
    ...ENVELOPE,
    id: '7',
  },
  {
    title: 'modern: _meta is a string',
    body: params('"name":"query","_meta":"x"'),
    headers: MODERN,
    ...ENVELOPE,
    id: '7',
  },
  {
    title: 'modern: no capabilities',
    body: enveloped('', `"${PREFIX}protocolVersion":"2026-07-28"`),
    headers: MODERN,
    ...ENVELOPE,
    id: '7',
  },
  {
    title: 'modern: capabilities are an array',
    body: enveloped('', `"${PREFIX}protocolVersion":"2026-07-28","${PREFIX}clientCapabilities":[]`),
    headers: MODERN,
    ...ENVELOPE,
    id: '7',
  },
  {
    title: 'modern: the version is a number',
    body: enveloped('', `"${PREFIX}protocolVersion":2026,"${PREFIX}clientCapabilities":{}`),
    headers: MODERN,
    ...ENVELOPE,
    id: '7',
  },
  {
    title: 'modern: a version in capitals beside the version',
    body: enveloped(
      '',
      `"${PREFIX}protocolVersion":"2026-07-28","${PREFIX}PROTOCOLVERSION":"2025-11-25","${PREFIX}clientCapabilities":{}`,
    ),
    headers: MODERN,
    ...INVALID,
    id: '7',
  },
  {
    title: 'modern: an older version in the header',
    body: enveloped(),
    headers: { ...MODERN, 'mcp-protocol-version': '2025-11-25' },
    ...MISMATCH,
    id: '7',
  },
  {
    title: 'modern: an older version in the envelope',
    body: enveloped('', `"${PREFIX}protocolVersion":"2025-11-25","${PREFIX}clientCapabilities":{}`),
    headers: MODERN,
    ...MISMATCH,
    id: '7',
  },
  {
    title: 'modern: a version of the future',
    body: enveloped('', `"${PREFIX}protocolVersion":"2099-01-01","${PREFIX}clientCapabilities":{}`),
    headers: { ...MODERN, 'mcp-protocol-version': '2099-01-01' },
    ...VERSION,
    id: '7',
  },
  {
    title: 'modern: an enveloped older version',
    body: enveloped('', `"${PREFIX}protocolVersion":"2025-11-25","${PREFIX}clientCapabilities":{}`),
    headers: { ...MODERN, 'mcp-protocol-version': '2025-11-25' },
    ...VERSION,
    id: '7',
  },
  {
    title: 'modern: no Mcp-Method',
    body: enveloped(),
    headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-name': 'query' },
    ...MISMATCH,
    id: '7',
  },
  {
    title: 'modern: another Mcp-Method',
    body: enveloped(),
    headers: { ...MODERN, 'mcp-method': 'tools/list' },
    ...MISMATCH,
    id: '7',
  },
  {
    title: 'modern: Mcp-Method in another case',
    body: enveloped(),
    headers: { ...MODERN, 'mcp-method': 'Tools/Call' },
    ...MISMATCH,
    id: '7',
  },
  {
    title: 'modern: no Mcp-Name',
    body: enveloped(),
    headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call' },
    ...MISMATCH,
    id: '7',
  },
  {
    title: 'modern: another Mcp-Name',
    body: enveloped(),
    headers: { ...MODERN, 'mcp-name': 'execute_sql' },
    ...MISMATCH,
    id: '7',
  },
  {
    title: 'modern: another Mcp-Name in base64',
    body: enveloped(),
    headers: { ...MODERN, 'mcp-name': sentinel('execute_sql') },
    ...MISMATCH,
    id: '7',
  },
  {
    title: 'modern: line breaks in base64',
    body: enveloped(),
    headers: { ...MODERN, 'mcp-name': sentinel('query\r\nmcp-method: tools/list') },
    ...MISMATCH,
    id: '7',
  },
  {
    title: 'modern: base64 without its padding',
    body: enveloped(),
    headers: { ...MODERN, 'mcp-name': '=?base64?cXVlcnk?=' },
    ...MISMATCH,
    id: '7',
  },
  {
    title: 'modern: base64 with a stranger in it',
    body: enveloped(),
    headers: { ...MODERN, 'mcp-name': '=?base64?cXVl!cnk=?=' },
    ...MISMATCH,
    id: '7',
  },
  {
    title: 'modern: base64 of what is not UTF-8',
    body: enveloped(),
    headers: { ...MODERN, 'mcp-name': sentinel(Buffer.from([0xff, 0xfe])) },
    ...MISMATCH,
    id: '7',
  },
  {
    title: 'modern: base64 markers in capitals are literal',
    body: enveloped(),
    headers: { ...MODERN, 'mcp-name': '=?BASE64?cXVlcnk=?=' },
    ...MISMATCH,
    id: '7',
  },
  {
    title: 'modern: a name on a method that names nothing',
    body: enveloped().replace('"tools/call"', '"tools/list"').replace('"name":"query",', ''),
    headers: { ...MODERN, 'mcp-method': 'tools/list' },
    ...MISMATCH,
    id: '7',
  },
  {
    title: 'modern: another task in the header',
    body: enveloped(',"taskId":"t1"').replace('"tools/call"', '"tasks/get"'),
    headers: { ...MODERN, 'mcp-method': 'tasks/get', 'mcp-name': 't2' },
    ...MISMATCH,
    id: '7',
  },
  {
    title: 'modern: a posted response',
    body: call('"id":7,"result":{}'),
    headers: { 'mcp-protocol-version': '2026-07-28' },
    ...INVALID,
  },
  {
    title: 'modern: initialize',
    body: call('"id":7,"method":"initialize","params":{"protocolVersion":"2026-07-28","capabilities":{}}'),
    headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'initialize' },
    ...MISMATCH,
    id: '7',
  },
  { title: 'modern: a batch', body: `[${enveloped()}]`, headers: MODERN, ...INVALID },
  {
    title: 'modern: ping',
    body: enveloped().replace('"tools/call"', '"ping"').replace('"name":"query",', ''),
    headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'ping' },
    status: 404,
    code: -32601,
    id: '7',
  },
  { title: 'modern: a call without an id', body: enveloped().replace('"id":7,', ''), headers: MODERN, ...INVALID },
];

export const HOSTILE_FRAMES: readonly HostileFrame[] = [
  ...SYNTAX,
  ...SHAPES,
  ...KEYS,
  ...METHODS,
  ...TRANSPORT,
  ...MODERN_ROWS,
];
