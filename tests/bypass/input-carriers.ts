import { brotliCompressSync, gzipSync } from 'node:zlib';
import type { Json, JsonObject } from '../../policies/types.ts';
import type { Script, UpstreamRequest } from '../fixture/upstream.ts';
import { toolResult } from '../fixture/tools.ts';
import { send } from '../gateway.ts';
import { openStream } from '../session.ts';
import { CAPABILITIES, LARGEST, ask, fill, headersOf, requestOf, sayTo, type Door } from './stage.ts';

export interface InputCarrier {
  /** Brings the secret, written as JSON literals, to the gateway in every way it has. */
  send(door: Door, spread: readonly string[]): Promise<unknown>;
  /** How the upstream behaves meanwhile. */
  readonly script?: Script;
}

const S = '@@0@@';
const request = (method: string, params: JsonObject, top: JsonObject = {}): InputCarrier => ({
  send: (door, spread) => ask(door, requestOf(door.era, method, params, top), spread),
});
const call = (args: Json, more: JsonObject = {}): InputCarrier =>
  request('tools/call', { name: 'echo', arguments: args, ...more });
const plain = (literal: string): string => JSON.parse(literal) as string;
const ECHO: JsonObject = { name: 'echo', arguments: { text: 'hello' } };

/** An ordinary call with a header that holds the secret. */
const header = (headers: (value: string) => Record<string, string>): InputCarrier => ({
  async send(door, [literal]) {
    const text = JSON.stringify(requestOf(door.era, 'tools/call', ECHO));
    await door.say(text, { ...headersOf(door.era, text), ...headers(encodeURI(plain(literal!))) });
  },
});

/** A body as it stands, behind headers of an honest call of `echo`. */
const raw = (body: (text: (params: JsonObject) => string, literal: string) => string | Buffer): InputCarrier => ({
  async send(door, [literal]) {
    const text = (params: JsonObject): string => JSON.stringify(requestOf(door.era, 'tools/call', params));
    const sent = body(text, literal!);
    await door.say(sent, headersOf(door.era, text(ECHO)));
  },
});

/** The honest message with one piece of its text changed. */
const altered = (from: string, to: string): InputCarrier =>
  raw((text, literal) =>
    fill(
      text(ECHO).replace(from, () => to),
      [literal],
    ),
  );

/** The method as it is written here, for a tool that is named by the secret. */
const method = (written: string, top: JsonObject = {}): InputCarrier =>
  raw((text, literal) => {
    const message = { ...(JSON.parse(text({ name: S, arguments: {} })) as JsonObject), ...top, method: written };
    return fill(message, [literal]);
  });

/** The upstream asks, the client answers with the secret, and the call ends whatever became of that. */
const answered = (question: string, params: JsonObject, answer: JsonObject): InputCarrier => ({
  async send(door, spread) {
    const id = (questions += 1);
    const call = JSON.stringify(requestOf('legacy', 'tools/call', { name: 'asking', arguments: { id } }, { id }));
    const stream = await door.session!.stream(call);
    const asked = await stream.next();
    if (asked?.['method'] === question) await door.say(fill({ jsonrpc: '2.0', id: asked['id']!, ...answer }, spread));
    await stream.leave();
  },
  async script(each: UpstreamRequest) {
    if (each.name !== 'asking') return each.usual();
    const stream = each.stream();
    const { id } = each.params['arguments'] as { id: number };
    await stream.send({ jsonrpc: '2.0', id: `question-${id}`, method: question, params });
    return undefined;
  },
});

// Ids that no other request of a session has.
let questions = 1_000;

const FORM: JsonObject = { message: 'Name?', requestedSchema: { type: 'object', properties: {} } };

export const INPUT_CARRIERS: Readonly<Record<string, InputCarrier>> = {
  argument: call({ text: S }),
  'argument in an array': call({ list: [['a', S]] }),
  'argument far inside': call({ a: { b: [{ c: { d: [{ e: S }] } }] } }),
  'key of an argument': call({ [S]: 1 }),
  'inside of an argument': call({ text: `select * from t where a = '${S}'` }),
  'arguments and more': call({ text: 'hello' }, { extra: S }),
  'two arguments': call({ first: S, second: '@@1@@' }),
  'two elements': call({ list: [S, '@@1@@'] }),
  _meta: call({ text: 'hello' }, { _meta: { note: S } }),
  'key of _meta': call({ text: 'hello' }, { _meta: { [`x/${S}`]: 1 } }),
  'progress token': call({ text: 'hello' }, { _meta: { progressToken: S } }),
  'tool name': request('tools/call', { name: S, arguments: {} }),
  'prompt name': request('prompts/get', { name: S }),
  'prompt argument': request('prompts/get', { name: 'letter', arguments: { to: S } }),
  'resource URI': request('resources/read', { uri: `file:///${S}` }),
  'query of a resource URI': request('resources/read', { uri: `fixture://note?q=${S}#x` }),
  subscription: request('resources/subscribe', { uri: `file:///${S}` }),
  completion: request('completion/complete', {
    ref: { type: 'ref/prompt', name: 'letter' },
    argument: { name: 'to', value: S },
  }),
  'completion context': request('completion/complete', {
    ref: { type: 'ref/prompt', name: 'letter' },
    argument: { name: 'to', value: 'x' },
    context: { arguments: { from: S } },
  }),
  'completion reference': request('completion/complete', {
    ref: { type: 'ref/prompt', name: S },
    argument: { name: 'to', value: 'x' },
  }),
  cursor: request('tools/list', { cursor: S }),
  'log level': request('logging/setLevel', { level: S }),
  'task id': request('tasks/get', { taskId: S }),
  'task parameters': call({ text: 'hello' }, { task: { ttl: 1000, note: S } }),
  'request id': request('tools/call', ECHO, { id: S }),
  'unknown member of the message': request('tools/call', ECHO, { note: S }),
  'key of the message': request('tools/call', ECHO, { [S]: 1 }),
  'unknown method': request(S, {}),
  'result of a request': request('tools/call', ECHO, { result: { note: S } }),
  'request state': call({ text: 'hello' }, { requestState: S }),
  'answers on a retry': call({ text: 'hello' }, { inputResponses: { q: { action: 'accept', content: { name: S } } } }),
  'key of answers on a retry': call({ text: 'hello' }, { inputResponses: { [S]: { action: 'decline' } } }),
  'sampling result on a retry': call(
    { text: 'hello' },
    { inputResponses: { q: { model: 'm', role: 'assistant', content: { type: 'text', text: S } } } },
  ),
  'roots on a retry': call({ text: 'hello' }, { inputResponses: { q: { roots: [{ uri: `file:///${S}` }] } } }),
  'client info': {
    async send(door, spread) {
      if (door.era === 'modern') {
        const _meta = { 'io.modelcontextprotocol/clientInfo': { name: S, version: '1' } };
        return ask(door, requestOf('modern', 'tools/call', { ...ECHO, _meta }), spread);
      }
      const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: S, version: '1' } };
      return sayTo(door.url, door.token, fill(requestOf('legacy', 'initialize', params), spread));
    },
  },
  'client capabilities': {
    async send(door, spread) {
      const capabilities = { experimental: { [S]: {} } };
      if (door.era === 'modern') {
        const _meta = { 'io.modelcontextprotocol/clientCapabilities': capabilities };
        return ask(door, requestOf('modern', 'tools/call', { ...ECHO, _meta }), spread);
      }
      const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'x', version: '1' } };
      return sayTo(door.url, door.token, fill(requestOf('legacy', 'initialize', params), spread));
    },
  },
  'reason of a cancellation': {
    send: (door, spread) => {
      const { id: _, ...told } = requestOf(door.era, 'notifications/cancelled', { requestId: 99, reason: S });
      return ask(door, told, spread);
    },
  },
  'progress of the client': {
    send: (door, spread) => {
      const params = { progressToken: 't', progress: 1, message: S };
      return ask(door, { jsonrpc: '2.0', method: 'notifications/progress', params }, spread);
    },
  },
  '_meta of a notification': {
    send: (door, spread) => {
      const params = { _meta: { note: S } };
      return ask(door, { jsonrpc: '2.0', method: 'notifications/roots/list_changed', params }, spread);
    },
  },
  'elicitation answer': answered('elicitation/create', FORM, { result: { action: 'accept', content: { name: S } } }),
  'key of an elicitation answer': answered('elicitation/create', FORM, {
    result: { action: 'accept', content: { [S]: true } },
  }),
  'sampling result': answered(
    'sampling/createMessage',
    { messages: [], maxTokens: 5 },
    { result: { model: 'm', role: 'assistant', content: { type: 'text', text: S } } },
  ),
  roots: answered('roots/list', {}, { result: { roots: [{ uri: `file:///home/${S}`, name: 'home' }] } }),
  'name of a root': answered('roots/list', {}, { result: { roots: [{ uri: 'file:///home', name: S }] } }),
  'error of the client': answered('roots/list', {}, { error: { code: -1, message: S } }),
  'error data of the client': answered('roots/list', {}, { error: { code: -1, message: 'no', data: { note: S } } }),
  'unknown member of an answer': answered('roots/list', {}, { result: { roots: [] }, note: S }),

  'Mcp-Name header': header((value) => ({ 'mcp-name': value })),
  'Mcp-Name header in base64': header((value) => ({
    'mcp-name': `=?base64?${Buffer.from(value).toString('base64')}?=`,
  })),
  'Mcp-Name header with a line end': header((value) => ({
    'mcp-name': `=?base64?${Buffer.from(`echo\r\nx-note: ${value}`).toString('base64')}?=`,
  })),
  'Mcp-Param header': header((value) => ({ 'mcp-param-note': value })),
  'Mcp-Method header': header((value) => ({ 'mcp-method': value })),
  'version header': header((value) => ({ 'mcp-protocol-version': value })),
  'baggage header': header((value) => ({ baggage: `note=${value}` })),
  'tracestate header': header((value) => ({
    traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    tracestate: `note=${value}`,
  })),
  'Accept header': header((value) => ({ accept: `application/json, text/event-stream;note="${value}"` })),
  'name of an Mcp-Param header': header((value) => ({ [`mcp-param-${value.replaceAll(/[^\w-]/g, '')}`]: '1' })),
  'unknown header': header((value) => ({ 'x-note': value })),
  'cookie header': header((value) => ({ cookie: `note=${value}` })),
  'user-agent header': header((value) => ({ 'user-agent': value })),
  'Last-Event-ID header': {
    async send(door, [literal]) {
      await send(
        door.url,
        door.token,
        undefined,
        {
          'mcp-session-id': door.session!.id,
          'mcp-protocol-version': '2025-11-25',
          accept: 'text/event-stream',
          'last-event-id': encodeURI(plain(literal!)),
        },
        'GET',
      );
    },
    script: (each) => (each.method === 'GET' ? { status: 405 } : each.usual()),
  },
  'query of the URL': {
    send(door, [literal]) {
      const text = JSON.stringify(requestOf(door.era, 'tools/call', ECHO));
      const session: Record<string, string> = door.session === undefined ? {} : { 'mcp-session-id': door.session.id };
      const url = `${door.url}?note=${encodeURIComponent(plain(literal!))}`;
      return sayTo(url, door.token, text, { ...session, ...headersOf(door.era, text) });
    },
  },

  'duplicate argument, last': altered('"text":"hello"', '"text":"hello","text":"@@0@@"'),
  'duplicate argument, first': altered('"text":"hello"', '"text":"@@0@@","text":"hello"'),
  'duplicate argument, escaped': altered('"text":"hello"', '"text":"hello","\\u0074ext":"@@0@@"'),
  'duplicate arguments member': altered('"arguments":', '"arguments":{"text":"@@0@@"},"arguments":'),
  'duplicate name': altered('"name":"echo"', '"name":"echo","name":"@@0@@"'),
  'duplicate name, escaped': altered('"name":"echo"', '"name":"echo","n\\u0061me":"@@0@@"'),
  'duplicate params': altered('"params":', '"params":{"name":"@@0@@","arguments":{}},"params":'),
  Name: altered('"name":"echo"', '"name":"echo","Name":"@@0@@"'),
  'name with NUL': altered('"name":"echo"', '"name":"echo","name\\u0000":"@@0@@"'),
  'name with a zero-width space': altered('"name":"echo"', '"name":"echo","na\\u200bme":"@@0@@"'),
  'full-width name': altered('"name":"echo"', '"name":"echo","\uff4eame":"@@0@@"'),
  'param\u017f': altered('"params":', '"param\u017f":{"name":"@@0@@","arguments":{}},"params":'),
  'Params alone': altered('"params":', '"Params":{"name":"@@0@@","arguments":{}},"params":'),
  ARGUMENTS: altered('"arguments":', '"ARGUMENTS":{"text":"@@0@@"},"arguments":'),
  'argument\u017f': altered('"arguments":', '"argument\u017f":{"text":"@@0@@"},"arguments":'),
  __proto__: altered('"text":"hello"', '"__proto__":{"text":"@@0@@"}'),
  '__proto__ of params': altered('"arguments":', '"__proto__":{"arguments":{"text":"@@0@@"}},"arguments":'),
  constructor: altered('"text":"hello"', '"constructor":{"prototype":{"text":"@@0@@"}}'),
  '__proto__ for the name': altered('"name":"echo"', '"__proto__":{"name":"@@0@@"}'),

  'body name and header name': raw((text, literal) => fill(text({ name: S, arguments: {} }), [literal])),
  batch: raw((text, literal) => fill(`[${text(ECHO)},${text({ name: 'echo', arguments: { text: S } })}]`, [literal])),
  'batch of one': raw((text, literal) => fill(`[${text({ name: 'echo', arguments: { text: S } })}]`, [literal])),
  'batch in a batch': raw((text, literal) =>
    fill(`[${text(ECHO)},[${text({ name: 'echo', arguments: { text: S } })}]]`, [literal]),
  ),
  'batch of a session that has batches': {
    async send(door, spread) {
      const params = { protocolVersion: '2025-03-26', capabilities: {}, clientInfo: { name: 'b', version: '1' } };
      const opened = await send(door.url, door.token, JSON.stringify(requestOf('legacy', 'initialize', params)));
      const one = (id: number, args: JsonObject): JsonObject =>
        requestOf('legacy', 'tools/call', { name: 'echo', arguments: args }, { id });
      const batch = fill([one(1, { text: 'hello' }), one(2, { text: S }), one(3, { text: 'bye' })], spread);
      await sayTo(door.url, door.token, batch, { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' });
    },
  },
  'two messages in one body': raw((text, literal) =>
    fill(`${text(ECHO)}\n${text({ name: 'echo', arguments: { text: S } })}`, [literal]),
  ),
  'text behind the message': altered('}}}', '}}}"@@0@@"'),
  'a comment in the message': altered('"name":', '/*"@@0@@"*/"name":'),
  'gzip body': coded('gzip', gzipSync),
  'brotli body': coded('br', brotliCompressSync),
  'gzip body without its header': raw((text, literal) =>
    gzipSync(fill(text({ name: 'echo', arguments: { text: S } }), [literal])),
  ),
  'UTF-16 body': raw((text, literal) =>
    Buffer.from(`\ufeff${fill(text({ name: 'echo', arguments: { text: S } }), [literal])}`, 'utf16le'),
  ),
  'byte order mark': raw((text, literal) => `\ufeff${fill(text({ name: 'echo', arguments: { text: S } }), [literal])}`),
  'overlong UTF-8': raw((text, literal) => {
    const [before, after] = fill(text({ name: 'echo', arguments: { text: `~${S}` } }), [literal]).split('~');
    return Buffer.concat([Buffer.from(before!), Buffer.from([0xc0, 0x80]), Buffer.from(after!)]);
  }),
  'UTF-7 charset': {
    async send(door, [literal]) {
      const text = fill(requestOf(door.era, 'tools/call', { name: 'echo', arguments: { text: S } }), [literal!]);
      await door.say(text, { ...headersOf(door.era, text), 'content-type': 'application/json; charset=utf-7' });
    },
  },
  'form body': {
    async send(door, [literal]) {
      const text = `message=${encodeURIComponent(fill(requestOf(door.era, 'tools/call', { name: S }), [literal!]))}`;
      const headers = { ...headersOf(door.era, JSON.stringify(requestOf(door.era, 'tools/call', ECHO))) };
      await door.say(text, { ...headers, 'content-type': 'application/x-www-form-urlencoded' });
    },
  },

  'method in other case': method('Tools/Call'),
  'method with a space': method('tools/call '),
  'method with NUL': method('tools/call\0'),
  'method with a full-width slash': method('tools\uff0fcall'),
  'method with a dot segment': method('./tools/call'),
  'method of another revision': method('tools/invoke'),
  'request without its id': {
    async send(door, [literal]) {
      const { id: _, ...message } = requestOf(door.era, 'tools/call', { name: 'echo', arguments: { text: S } });
      const text = fill(message, [literal!]);
      await door.say(text, headersOf(door.era, text));
    },
  },
  'request with id null': request('tools/call', { name: 'echo', arguments: { text: S } }, { id: null }),
  'notification under the name of a call': request('notifications/tools/call', { name: S, arguments: {} }),

  'larger than may be read': request('tools/call', { name: 'echo', arguments: { pad: 'x'.repeat(LARGEST), text: S } }),
  'almost too large': request('tools/call', {
    name: 'echo',
    arguments: { pad: 'word '.repeat(Math.floor((LARGEST - 4_000) / 5)), text: S },
  }),
  'deeper than may be read': raw((text, literal) =>
    fill(text({ name: 'echo', arguments: { deep: '~' } }), [literal]).replace(
      '"~"',
      () => `${'['.repeat(100)}${literal}${']'.repeat(100)}`,
    ),
  ),
  'many short strings': request('tools/call', {
    name: 'echo',
    arguments: { list: [...Array.from({ length: 20_000 }, (_, n) => `s${n}`), S] },
  }),
  'many encodings': request('tools/call', {
    name: 'echo',
    arguments: { list: [...Array.from({ length: 4_000 }, (_, n) => `%41&#65;\\u0041${n}`), S] },
  }),

  'other arguments in a repeat': {
    async send(door, spread) {
      const first = requestOf('modern', 'tools/call', { name: 'asking', arguments: { text: 'hello' } });
      const answer = await ask(door, first, []);
      const requestState = /"requestState":"([^"]*)"/.exec(answer)?.[1] ?? 'none';
      const inputResponses = { q: { roots: [] } };
      const params = { name: 'asking', arguments: { text: S }, requestState, inputResponses };
      await ask(door, requestOf('modern', 'tools/call', params), spread);
    },
    script: (each) =>
      each.name === 'asking'
        ? {
            result: { resultType: 'input_required', inputRequests: { q: { method: 'roots/list' } }, requestState: 's' },
          }
        : each.usual(),
  },
  'another tool in a repeat': {
    async send(door, spread) {
      const first = requestOf('modern', 'tools/call', { name: 'asking', arguments: {} });
      const answer = await ask(door, first, []);
      const requestState = /"requestState":"([^"]*)"/.exec(answer)?.[1] ?? 'none';
      const params = { name: S, arguments: {}, requestState, inputResponses: { q: { roots: [] } } };
      await ask(door, requestOf('modern', 'tools/call', params), spread);
    },
    script: (each) =>
      each.name === 'asking'
        ? {
            result: { resultType: 'input_required', inputRequests: { q: { method: 'roots/list' } }, requestState: 's' },
          }
        : each.usual(),
  },
  'a name that the list shows later': {
    async send(door, spread) {
      await ask(door, requestOf(door.era, 'tools/list'), []);
      await ask(door, requestOf(door.era, 'tools/call', { name: S, arguments: {} }), spread);
    },
    script: (each) =>
      each.method === 'tools/list'
        ? {
            result: {
              ...each.complete,
              ttlMs: 0,
              cacheScope: 'private',
              tools: [{ name: 'echo', inputSchema: { type: 'object' } }],
            },
          }
        : each.name === 'echo'
          ? toolResult(each, 'fine')
          : each.usual(),
  },
  'two calls': {
    async send(door, spread) {
      for (const literal of spread) {
        await ask(door, requestOf(door.era, 'tools/call', { name: 'echo', arguments: { text: S } }), [literal]);
      }
    },
  },
  'listening stream': {
    async send(door, spread) {
      const params = { notifications: { resourceSubscriptions: [`file:///${S}`] } };
      const text = fill(requestOf('modern', 'subscriptions/listen', params), spread);
      const stream = await openStream(door.url, door.token, text, headersOf('modern', text));
      await stream.leave();
    },
  },
  'capabilities of a session': {
    async send(door, spread) {
      const params = {
        protocolVersion: '2025-11-25',
        capabilities: { ...CAPABILITIES, sampling: { note: S } },
        clientInfo: { name: 'x', version: '1' },
      };
      await sayTo(door.url, door.token, fill(requestOf('legacy', 'initialize', params), spread));
    },
  },
};

function coded(coding: string, pack: (text: string) => Buffer): InputCarrier {
  return {
    async send(door, [literal]) {
      const text = fill(requestOf(door.era, 'tools/call', { name: 'echo', arguments: { text: S } }), [literal!]);
      await door.say(pack(text), { ...headersOf(door.era, text), 'content-encoding': coding });
    },
  };
}
