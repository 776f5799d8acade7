import { deflateSync, gzipSync } from 'node:zlib';
import type { Json, JsonObject } from '../../policies/types.ts';
import type { Answer, UpstreamRequest } from '../fixture/upstream.ts';
import { openStream } from '../session.ts';
import { LARGEST, ask, fill, headersOf, requestOf, sayTo, type Door } from './stage.ts';

export interface OutputCarrier {
  /** What the client does; everything it got. */
  receive(door: Door): Promise<string>;
  /** What the upstream answers to one of its requests, with the secret as JSON literals; undefined: as usual. */
  answer(request: UpstreamRequest, spread: readonly string[]): Answer | Promise<Answer>;
}

const S = '@@0@@';
const CALL: JsonObject = { name: 'say', arguments: {} };
const TOLD: JsonObject = { progressToken: 'p', 'io.modelcontextprotocol/logLevel': 'debug' };
const plain = (literal: string): string => JSON.parse(literal) as string;
const CACHED: JsonObject = { ttlMs: 0, cacheScope: 'private' };

const receive =
  (method: string, params: JsonObject): OutputCarrier['receive'] =>
  (door) =>
    ask(door, requestOf(door.era, method, params), []);

/** A whole JSON-RPC answer around a result or an error. */
const whole = (request: UpstreamRequest, member: JsonObject, spread: readonly string[], top: JsonObject = {}): string =>
  fill(`{"jsonrpc":"2.0","id":${request.idText},${JSON.stringify({ ...member, ...top }).slice(1)}`, spread);

const result = (method: string, params: JsonObject, given: JsonObject, top: JsonObject = {}): OutputCarrier => ({
  receive: receive(method, params),
  answer: (request, spread) => {
    if (request.method !== method) return request.usual();
    const cached =
      method === 'tools/call' || method === 'completion/complete' || request.era === 'legacy' ? {} : CACHED;
    return whole(request, { result: { ...request.complete, ...cached, ...given } }, spread, top);
  },
});
const said = (content: Json, more: JsonObject = {}): OutputCarrier => result('tools/call', CALL, { content, ...more });
const text = (value: string): JsonObject => ({ type: 'text', text: value });
const structured = (structuredContent: Json): OutputCarrier => said([text('see there')], { structuredContent });
const tool = (more: JsonObject): OutputCarrier =>
  result('tools/list', {}, { tools: [{ name: 'say', inputSchema: { type: 'object' }, ...more }] });
const failed = (error: JsonObject): OutputCarrier => ({
  receive: receive('tools/call', CALL),
  answer: (request, spread) => (request.name === 'say' ? whole(request, { error }, spread) : request.usual()),
});
const http = (make: (secret: string, request: UpstreamRequest) => Answer): OutputCarrier => ({
  receive: receive('tools/call', CALL),
  answer: (request, [literal]) => (request.name === 'say' ? make(plain(literal!), request) : request.usual()),
});
/** Messages on the stream of a call, then a harmless answer. */
const streamed = (...messages: readonly JsonObject[]): OutputCarrier => ({
  receive: receive('tools/call', { ...CALL, _meta: TOLD }),
  async answer(request, spread) {
    if (request.name !== 'say') return request.usual();
    const stream = request.stream();
    for (const message of messages) await stream.send(fill({ jsonrpc: '2.0', ...message }, spread));
    await stream.send(request.envelope({ result: { ...request.complete, content: [text('done')] } }));
    stream.end();
    return undefined;
  },
});
const progress = (message: string, step = 1): JsonObject => ({
  method: 'notifications/progress',
  params: { progressToken: 'p', progress: step, message },
});
const log = (data: Json, logger = 'x'): JsonObject => ({
  method: 'notifications/message',
  params: { level: 'info', logger, data },
});
const asks = (method: string, params: JsonObject): OutputCarrier => streamed({ id: 'q', method, params });
const input = (method: string, params: JsonObject, more: JsonObject = {}): OutputCarrier =>
  result('tools/call', CALL, {
    resultType: 'input_required',
    inputRequests: { q: { method, params } },
    requestState: 'state',
    ...more,
  });

/** What comes on a stream for listening; it is read until a mark behind the message, or its end. */
const listening = (...messages: readonly JsonObject[]): OutputCarrier => ({
  async receive(door) {
    const params = { notifications: { toolsListChanged: true, resourceSubscriptions: ['file:///'] } };
    const listen = JSON.stringify(requestOf('modern', 'subscriptions/listen', params));
    const kept = { 'mcp-session-id': door.session?.id ?? '', 'mcp-protocol-version': '2025-11-25' };
    const stream =
      door.era === 'modern'
        ? await openStream(door.url, door.token, listen, headersOf('modern', listen))
        : await openStream(door.url, door.token, undefined, kept);
    for (;;) {
      const next = await stream.next();
      if (next === undefined || JSON.stringify(next).includes('the mark')) break;
    }
    await stream.leave();
    return stream.seen();
  },
  async answer(request, spread) {
    const modern = request.method === 'subscriptions/listen';
    if (request.method !== 'GET' && !modern) return request.usual();
    const stream = request.stream();
    const _meta: JsonObject = modern ? { 'io.modelcontextprotocol/subscriptionId': 1 } : {};
    if (modern) {
      const notifications = request.params['notifications'] as JsonObject;
      await stream.notify('notifications/subscriptions/acknowledged', { notifications, _meta });
    }
    for (const { params, ...message } of messages) {
      const given = params as JsonObject;
      const meta = { ..._meta, ...(given['_meta'] as JsonObject | undefined) };
      await stream.send(fill({ jsonrpc: '2.0', ...message, params: { ...given, _meta: meta } }, spread));
    }
    await stream.notify('notifications/tools/list_changed', { note: 'the mark', _meta });
    stream.end();
    return undefined;
  },
});

/** First a task is made, then something is asked of it. */
const task = (method: string, given: JsonObject): OutputCarrier => ({
  async receive(door) {
    const made = await ask(door, requestOf(door.era, 'tools/call', { ...CALL, task: { ttl: 60_000 } }), []);
    const polled = await ask(door, requestOf(door.era, method, { taskId: 'task-1' }), []);
    return `${made}\n${polled}`;
  },
  answer(request, spread) {
    const at = { createdAt: '2026-01-01T00:00:00Z', lastUpdatedAt: '2026-01-01T00:00:00Z' };
    const state: JsonObject = { taskId: 'task-1', status: 'working', ttl: 60_000, ttlMs: 60_000, ...at };
    if (request.method === method)
      return whole(request, { result: { ...request.complete, ...state, ...given } }, spread);
    if (request.name !== 'say') return request.usual();
    return { result: request.era === 'modern' ? { resultType: 'task', ...state } : { task: state } };
  },
});

/** What a server says of itself when a session begins, or when it is discovered. */
const greeting = (make: (era: string) => JsonObject): OutputCarrier => ({
  receive(door) {
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } };
    if (door.era === 'modern') return ask(door, requestOf('modern', 'server/discover'), []);
    return sayTo(door.url, door.token, JSON.stringify(requestOf('legacy', 'initialize', params)));
  },
  answer(request, spread) {
    const info = { name: 'x', version: '1' };
    if (request.method === 'initialize') {
      request.res.setHeader('mcp-session-id', 'another');
      const given = { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: info, ...make('legacy') };
      return whole(request, { result: given }, spread);
    }
    if (request.method !== 'server/discover') return request.usual();
    const _meta = { 'io.modelcontextprotocol/serverInfo': info };
    const given = { supportedVersions: ['2026-07-28'], capabilities: {}, _meta, ...CACHED, ...make('modern') };
    return whole(request, { result: { ...request.complete, ...given } }, spread);
  },
});

const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk', 'base64');
/** A PNG with the secret in a chunk of text. */
const image = (secret: string): string => {
  const chunk = Buffer.from(`Comment\0${secret}`);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(chunk.length);
  return Buffer.concat([PNG, length, Buffer.from('tEXt'), chunk, Buffer.alloc(4)]).toString('base64');
};
const binary = (make: (secret: string) => string, member: (data: string) => JsonObject): OutputCarrier => ({
  receive: receive('tools/call', CALL),
  answer: (request, [literal]) =>
    request.name === 'say'
      ? whole(request, { result: { ...request.complete, content: [member(make(plain(literal!)))] } }, [])
      : request.usual(),
});
const inBase64 = (secret: string): string =>
  Buffer.from(`a note that is long enough to be called a document: ${secret}, and so on and on`).toString('base64');

export const OUTPUT_CARRIERS: Readonly<Record<string, OutputCarrier>> = {
  text: said([text(S)]),
  'inside of a text': said([text(`rows: [${S}]`)]),
  'second block': said([text('hello'), text(S)]),
  'two blocks': said([text(S), text('@@1@@')]),
  'two blocks with another between': said([
    text(S),
    { type: 'image', mimeType: 'image/png', data: 'aGVsbG8=' },
    text('@@1@@'),
  ]),
  'text and structured content': said([text(S)], { structuredContent: { rest: '@@1@@' } }),
  'failed tool': said([text(S)], { isError: true }),
  'unknown kind of block': said([{ type: 'novelty', payload: S }]),
  'annotations of a block': said([{ ...text('hello'), annotations: { audience: ['user'], note: S } }]),
  '_meta of a block': said([{ ...text('hello'), _meta: { note: S } }]),
  'structured content': structured({ note: S }),
  'structured content far inside': structured({ rows: [{ a: [{ b: S }] }] }),
  'key of structured content': structured({ [S]: 1 }),
  'structured content that is a text': structured(S),
  'a member of structured content that is called type': structured({ type: S }),
  'a member of structured content that is called data': structured({ data: S, type: 'image' }),
  'a member of structured content that is called nextCursor': structured({ nextCursor: S }),
  'unknown member of a result': said([text('hello')], { note: S }),
  'key of a result': said([text('hello')], { [S]: 1 }),
  '_meta of a result': said([text('hello')], { _meta: { note: S } }),
  'key of _meta': said([text('hello')], { _meta: { [`x/${S}`]: 1 } }),
  'unknown member of the message': result('tools/call', CALL, { content: [text('hello')] }, { note: S }),
  'duplicate key': http((secret, request) => {
    const body = whole(request, { result: { ...request.complete, content: [text('hello')] } }, []);
    return body.replace('"text":"hello"', () => `"text":${JSON.stringify(secret)},"text":"hello"`);
  }),
  'duplicate result': http((secret, request) => {
    const body = whole(request, { result: { ...request.complete, content: [text('hello')] } }, []);
    return body.replace(
      '"result":',
      () => `"result":{"content":[{"type":"text","text":${JSON.stringify(secret)}}]},"result":`,
    );
  }),
  'Result beside result': result('tools/call', CALL, { content: [text('hello')] }, { Result: { note: S } }),
  __proto__: http((secret, request) => {
    const body = whole(request, { result: { ...request.complete, content: [text('hello')] } }, []);
    return body.replace('"text":"hello"', () => `"text":"hello","__proto__":{"note":${JSON.stringify(secret)}}`);
  }),

  'embedded resource': said([{ type: 'resource', resource: { uri: 'file:///a', mimeType: 'text/plain', text: S } }]),
  'URI of an embedded resource': said([{ type: 'resource', resource: { uri: `file:///${S}`, text: 'hello' } }]),
  'media type of an embedded resource': said([
    { type: 'resource', resource: { uri: 'file:///a', mimeType: S, text: 'x' } },
  ]),
  'blob of a text': binary(inBase64, (blob) => ({
    type: 'resource',
    resource: { uri: 'file:///a', mimeType: 'text/plain', blob },
  })),
  'short blob': binary(
    (secret) => Buffer.from(secret).toString('base64'),
    (blob) => ({ type: 'resource', resource: { uri: 'file:///a', mimeType: 'text/plain', blob } }),
  ),
  'blob without its kind': binary(inBase64, (blob) => ({ type: 'resource', resource: { uri: 'file:///a', blob } })),
  'metadata of an image': binary(image, (data) => ({ type: 'image', mimeType: 'image/png', data })),
  'text called an image': binary(inBase64, (data) => ({ type: 'image', mimeType: 'image/png', data })),
  'text called a sound': binary(inBase64, (data) => ({ type: 'audio', mimeType: 'audio/wav', data })),
  'data of an image that is no base64': said([{ type: 'image', mimeType: 'image/png', data: S }]),
  'media type of an image': said([{ type: 'image', mimeType: S, data: 'aGVsbG8=' }]),
  'URI of a link': said([{ type: 'resource_link', uri: `https://example.net/?a=${S}`, name: 'x' }]),
  'name of a link': said([{ type: 'resource_link', uri: 'file:///a', name: S }]),
  'description of a link': said([{ type: 'resource_link', uri: 'file:///a', name: 'x', description: S }]),
  'title of a link': said([{ type: 'resource_link', uri: 'file:///a', name: 'x', title: S }]),
  'icon of a link': said([{ type: 'resource_link', uri: 'file:///a', name: 'x', icons: [{ src: `data:,${S}` }] }]),
  'resource that is read': result(
    'resources/read',
    { uri: 'file:///a' },
    { contents: [{ uri: 'file:///a', text: S }] },
  ),
  'URI of a resource that is read': result(
    'resources/read',
    { uri: 'file:///a' },
    { contents: [{ uri: `file:///${S}`, text: 'hello' }] },
  ),
  'two contents': result(
    'resources/read',
    { uri: 'file:///a' },
    {
      contents: [
        { uri: 'file:///a', text: S },
        { uri: 'file:///b', text: '@@1@@' },
      ],
    },
  ),
  'text of a prompt': result('prompts/get', { name: 'letter' }, { messages: [{ role: 'user', content: text(S) }] }),
  'description of a prompt': result('prompts/get', { name: 'letter' }, { description: S, messages: [] }),
  'resource in a prompt': result(
    'prompts/get',
    { name: 'letter' },
    { messages: [{ role: 'user', content: { type: 'resource', resource: { uri: 'file:///a', text: S } } }] },
  ),
  'role in a prompt': result('prompts/get', { name: 'letter' }, { messages: [{ role: S, content: text('x') }] }),
  'completion value': result(
    'completion/complete',
    { ref: { type: 'ref/prompt', name: 'letter' }, argument: { name: 'to', value: 'x' } },
    { completion: { values: ['a', S], hasMore: false } },
  ),

  'tool name': tool({ name: S }),
  'tool title': tool({ title: S }),
  'tool description': tool({ description: S }),
  'tool annotations': tool({ annotations: { title: S } }),
  'tool icons': tool({ icons: [{ src: `https://example.net/${S}.png` }] }),
  'tool _meta': tool({ _meta: { note: S } }),
  'input schema, description': tool({ inputSchema: { type: 'object', properties: { a: { description: S } } } }),
  'input schema, enum': tool({ inputSchema: { type: 'object', properties: { a: { enum: ['x', S] } } } }),
  'input schema, default': tool({ inputSchema: { type: 'object', properties: { a: { default: S } } } }),
  'input schema, property': tool({ inputSchema: { type: 'object', properties: { [S]: {} } } }),
  'output schema, example': tool({ outputSchema: { type: 'object', examples: [S] } }),
  'prompt in a list': result('prompts/list', {}, { prompts: [{ name: 'letter', description: S }] }),
  'argument of a prompt in a list': result(
    'prompts/list',
    {},
    { prompts: [{ name: 'letter', arguments: [{ name: 'to', description: S }] }] },
  ),
  'resource in a list': result('resources/list', {}, { resources: [{ uri: `file:///${S}`, name: 'x' }] }),
  'name of a resource in a list': result('resources/list', {}, { resources: [{ uri: 'file:///a', name: S }] }),
  'template in a list': result(
    'resources/templates/list',
    {},
    { resourceTemplates: [{ uriTemplate: `file:///${S}/{x}`, name: 'x', description: 'hello' }] },
  ),
  cursor: result('tools/list', {}, { tools: [], nextCursor: S }),
  instructions: greeting(() => ({ instructions: S })),
  'server info': greeting((era): JsonObject =>
    era === 'legacy'
      ? { serverInfo: { name: S, version: '1' } }
      : { _meta: { 'io.modelcontextprotocol/serverInfo': { name: S, version: '1' } } },
  ),
  'server capabilities': greeting(() => ({ capabilities: { experimental: { x: { note: S } } } })),

  'error message': failed({ code: -32000, message: S }),
  'error data': failed({ code: -32000, message: 'no', data: { note: S } }),
  'error data that is a text': failed({ code: -32000, message: 'no', data: S }),
  'key of error data': failed({ code: -32000, message: 'no', data: { [S]: 1 } }),
  'unknown member of an error': failed({ code: -32000, message: 'no', note: S }),
  'body of a 500': http((secret) => ({
    status: 500,
    headers: { 'content-type': 'text/html' },
    body: `<p>${secret}</p>`,
  })),
  'message with a 500': http((secret, request) => ({
    status: 500,
    headers: { 'content-type': 'application/json' },
    body: whole(request, { error: { code: -32000, message: secret } }, []),
  })),
  'body of a 403': http((secret) => ({ status: 403, headers: { 'content-type': 'text/plain' }, body: secret })),
  'target of a redirect': http((secret) => ({ status: 302, headers: { location: `/${encodeURI(secret)}` } })),
  'challenge of a 401': http((secret) => ({
    status: 401,
    headers: { 'www-authenticate': `Bearer error_description="${encodeURI(secret)}"` },
  })),
  'response header': http((secret, request) => ({
    status: 200,
    headers: {
      'content-type': 'application/json',
      'x-note': encodeURI(secret),
      'set-cookie': `note=${encodeURI(secret)}`,
      'mcp-note': encodeURI(secret),
    },
    body: whole(request, { result: { ...request.complete, content: [text('hello')] } }, []),
  })),
  'body that is no JSON': http((secret) => ({
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: `{"jsonrpc":"2.0","note":"${secret}"`,
  })),
  'plain body': http((secret) => ({ status: 200, headers: { 'content-type': 'text/plain' }, body: secret })),
  'gzip body': http((secret, request) => ({
    status: 200,
    headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
    body: gzipSync(whole(request, { result: { ...request.complete, content: [text(secret)] } }, [])),
  })),
  'deflate body': http((secret, request) => ({
    status: 200,
    headers: { 'content-type': 'application/json', 'content-encoding': 'deflate' },
    body: deflateSync(whole(request, { result: { ...request.complete, content: [text(secret)] } }, [])),
  })),
  'gzip body without its header': http((secret, request) => ({
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: gzipSync(whole(request, { result: { ...request.complete, content: [text(secret)] } }, [])),
  })),
  'UTF-16 body': http((secret, request) => ({
    status: 200,
    headers: { 'content-type': 'application/json; charset=utf-16' },
    body: Buffer.from(
      `\ufeff${whole(request, { result: { ...request.complete, content: [text(secret)] } }, [])}`,
      'utf16le',
    ),
  })),
  'batch of answers': http(
    (secret, request) =>
      `[${whole(request, { result: { ...request.complete, content: [text('hello')] } }, [])},{"jsonrpc":"2.0","id":"other","result":{"note":${JSON.stringify(secret)}}}]`,
  ),
  'answer to another request': http(
    (secret) => `{"jsonrpc":"2.0","id":"someone","result":{"note":${JSON.stringify(secret)}}}`,
  ),

  'progress message': streamed(progress(S)),
  'unknown member of progress': streamed({
    method: 'notifications/progress',
    params: { progressToken: 'p', progress: 1, note: S },
  }),
  'log data': streamed(log(S)),
  'log data far inside': streamed(log({ a: [{ b: S }] })),
  logger: streamed(log('hello', S)),
  'unknown notification': streamed({ method: `notifications/${S}`, params: { note: S } }),
  'answer on a stream': {
    receive: receive('tools/call', CALL),
    async answer(request, spread) {
      if (request.name !== 'say') return request.usual();
      const stream = request.stream();
      await stream.send(whole(request, { result: { ...request.complete, content: [text(S)] } }, spread));
      stream.end();
      return undefined;
    },
  },
  'error on a stream': {
    receive: receive('tools/call', CALL),
    async answer(request, spread) {
      if (request.name !== 'say') return request.usual();
      const stream = request.stream();
      await stream.send(whole(request, { error: { code: -32000, message: S } }, spread));
      stream.end();
      return undefined;
    },
  },
  'lines of a stream that are no data': {
    receive: receive('tools/call', CALL),
    async answer(request, [literal]) {
      if (request.name !== 'say') return request.usual();
      const stream = request.stream();
      const secret = plain(literal!);
      await stream.raw(`: ${secret}\nnote: ${secret}\n${secret}\n\n`);
      const data = whole(request, { result: { ...request.complete, content: [text('hello')] } }, []);
      await stream.raw(`event: ${secret}\nid: ${secret}\ndata: ${data}\n\n`);
      stream.end();
      return undefined;
    },
  },
  'data in two lines of an event': {
    receive: receive('tools/call', CALL),
    async answer(request, [literal]) {
      if (request.name !== 'say') return request.usual();
      const stream = request.stream();
      const data = whole(request, { result: { ...request.complete, content: [text(plain(literal!))] } }, []);
      const middle = data.indexOf('"content"');
      await stream.raw(`data: ${data.slice(0, middle)}\ndata: ${data.slice(middle)}\n\n`);
      stream.end();
      return undefined;
    },
  },
  'two progress messages': streamed(progress(S), progress('@@1@@', 2)),
  'progress and answer': {
    receive: receive('tools/call', { ...CALL, _meta: { progressToken: 'p' } }),
    async answer(request, spread) {
      if (request.name !== 'say') return request.usual();
      const stream = request.stream();
      await stream.send(fill({ jsonrpc: '2.0', ...progress(S) }, spread));
      await stream.send(whole(request, { result: { ...request.complete, content: [text('@@1@@')] } }, spread));
      stream.end();
      return undefined;
    },
  },
  'two pages': {
    async receive(door) {
      const first = await ask(door, requestOf(door.era, 'tools/list'), []);
      return `${first}\n${await ask(door, requestOf(door.era, 'tools/list', { cursor: 'next' }), [])}`;
    },
    answer(request, spread) {
      if (request.method !== 'tools/list') return request.usual();
      const first = request.params['cursor'] === undefined;
      const tools = [
        { name: first ? 'one' : 'two', description: first ? S : '@@1@@', inputSchema: { type: 'object' } },
      ];
      const cached = request.era === 'modern' ? CACHED : {};
      const given = { ...request.complete, ...cached, tools, ...(first ? { nextCursor: 'next' } : {}) };
      return whole(request, { result: given }, spread);
    },
  },
  'two calls': {
    async receive(door) {
      const one = await ask(door, requestOf(door.era, 'tools/call', { name: 'say', arguments: { n: 0 } }), []);
      return `${one}\n${await ask(door, requestOf(door.era, 'tools/call', { name: 'say', arguments: { n: 1 } }), [])}`;
    },
    answer(request, spread) {
      if (request.name !== 'say') return request.usual();
      const { n } = request.params['arguments'] as { n: 0 | 1 };
      return whole(request, { result: { ...request.complete, content: [text(`@@${n}@@`)] } }, spread);
    },
  },

  'elicitation message': asks('elicitation/create', {
    message: S,
    requestedSchema: { type: 'object', properties: {} },
  }),
  'elicitation schema': asks('elicitation/create', {
    message: 'Which?',
    requestedSchema: { type: 'object', properties: { a: { type: 'string', description: S } } },
  }),
  'elicitation field': asks('elicitation/create', {
    message: 'Which?',
    requestedSchema: { type: 'object', properties: { [S]: { type: 'string' } } },
  }),
  'elicitation URL': asks('elicitation/create', {
    mode: 'url',
    message: 'Go there',
    url: `https://example.net/?a=${S}`,
    elicitationId: 'e',
  }),
  'sampling prompt': asks('sampling/createMessage', {
    messages: [{ role: 'user', content: text(S) }],
    maxTokens: 5,
  }),
  'sampling system prompt': asks('sampling/createMessage', { messages: [], systemPrompt: S, maxTokens: 5 }),
  'sampling metadata': asks('sampling/createMessage', { messages: [], metadata: { note: S }, maxTokens: 5 }),
  'ask for roots': asks('roots/list', { _meta: { note: S } }),
  'ping of the server': asks('ping', { _meta: { note: S } }),
  'elicitation message in an answer': input('elicitation/create', {
    message: S,
    requestedSchema: { type: 'object', properties: {} },
  }),
  'elicitation URL in an answer': input('elicitation/create', {
    mode: 'url',
    message: 'Go there',
    url: `https://example.net/?a=${S}`,
    elicitationId: 'e',
  }),
  'sampling prompt in an answer': input('sampling/createMessage', {
    messages: [{ role: 'user', content: text('x') }],
    systemPrompt: S,
    maxTokens: 5,
  }),
  'key of a question in an answer': result('tools/call', CALL, {
    resultType: 'input_required',
    inputRequests: { [S]: { method: 'roots/list' } },
  }),
  'state of an answer': input('roots/list', {}, { requestState: S }),
  'URL in an error': failed({
    code: -32042,
    message: 'sign in',
    data: { elicitations: [{ mode: 'url', message: S, url: 'https://example.net/', elicitationId: 'e' }] },
  }),

  'updated resource while listening': listening({
    method: 'notifications/resources/updated',
    params: { uri: `file:///${S}` },
  }),
  '_meta while listening': listening({ method: 'notifications/tools/list_changed', params: { _meta: { note: S } } }),
  'log while listening': listening({ ...log(S) }),
  'task made': {
    receive: receive('tools/call', { ...CALL, task: { ttl: 60_000 } }),
    answer(request, spread) {
      if (request.name !== 'say') return request.usual();
      const at = { createdAt: '2026-01-01T00:00:00Z', lastUpdatedAt: '2026-01-01T00:00:00Z' };
      const state = { taskId: 'task-0', status: 'working', statusMessage: S, ttl: 60_000, ttlMs: 60_000, ...at };
      const made: JsonObject = request.era === 'modern' ? { resultType: 'task', ...state } : { task: state };
      return whole(request, { result: made }, spread);
    },
  },
  'status of a task': task('tasks/get', { statusMessage: S }),
  'result in a task': task('tasks/get', { status: 'completed', result: { content: [text(S)] } }),
  'result of a task': task('tasks/result', { content: [text(S)] }),

  'larger than may be read': said([text('x'.repeat(LARGEST)), text(S)]),
  'almost too large': said([text('word '.repeat(Math.floor((LARGEST - 4_000) / 5))), text(S)]),
  'deeper than may be read': http(
    (secret, request) =>
      `{"jsonrpc":"2.0","id":${request.idText},"result":{"resultType":"complete","content":[],"a":${'['.repeat(100)}${JSON.stringify(secret)}${']'.repeat(100)}}}`,
  ),
  'many short strings': said([text('hello')], {
    structuredContent: { list: [...Array.from({ length: 20_000 }, (_, n) => `s${n}`), S] },
  }),
  'a definition that changes': {
    async receive(door) {
      const first = await ask(door, requestOf(door.era, 'tools/list'), []);
      return `${first}\n${await ask(door, requestOf(door.era, 'tools/list'), [])}`;
    },
    answer(request, spread) {
      if (request.method !== 'tools/list') return request.usual();
      const description = ASKED.has(request.idText + request.era) ? S : 'harmless';
      ASKED.add(request.idText + request.era);
      const tools = [{ name: 'say', description, inputSchema: { type: 'object' } }];
      const cached = request.era === 'modern' ? CACHED : {};
      return whole(request, { result: { ...request.complete, ...cached, tools } }, spread);
    },
  },
  'a link, then what it leads to': {
    async receive(door) {
      const link = await ask(door, requestOf(door.era, 'tools/call', CALL), []);
      return `${link}\n${await ask(door, requestOf(door.era, 'resources/read', { uri: 'fixture://later' }), [])}`;
    },
    answer(request, spread) {
      if (request.name === 'say') {
        const content = [{ type: 'resource_link', uri: 'fixture://later', name: 'later' }];
        return { result: { ...request.complete, content } };
      }
      if (request.method !== 'resources/read') return request.usual();
      const cached = request.era === 'modern' ? CACHED : {};
      const contents = [{ uri: 'fixture://later', text: S }];
      return whole(request, { result: { ...request.complete, ...cached, contents } }, spread);
    },
  },
};

/** Requests for lists that were answered once. */
const ASKED = new Set<string>();
