import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { Client } from 'undici';
import type { Json, JsonObject } from '../../policies/types.ts';
import type { ExchangeRecord } from '../../recorder/types.ts';
import { startGateway, type TestGateway } from '../gateway.ts';
import { FORBIDDEN_TOOL, FORBIDDEN_WORDS, type MadeFrame } from './frame-maker.ts';

/** What the upstream got and would have executed, read with nothing but JSON.parse. */
interface Executed {
  readonly text: string;
  readonly message: JsonObject;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

interface Lane {
  readonly client: Client;
  readonly path: string;
  readonly executed: Executed[];
  session: string | undefined;
  /** How much of `executed` earlier cases have accounted for. */
  seen: number;
}

const LANES = 8;
const NAMES = ['query', 'echo', FORBIDDEN_TOOL, 'dang\u00e9r', ' danger', 'Danger', '', '漢字', '__proto__'];
const initialize = (version: string): string =>
  `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"${version}","capabilities":{},"clientInfo":{"name":"lane","version":"1"}}}`;
const OWN = 'own-session-of-the-gateway';

/** A real gateway in front of an upstream that executes whatever JSON.parse gives it; a few lanes at once, one message at a time in each. */
export class FrameDoor {
  readonly #gateway: TestGateway;
  readonly #lanes: readonly Lane[];
  readonly #end: () => Promise<void>;
  /** Messages that reached the upstream. */
  executed = 0;

  private constructor(gateway: TestGateway, lanes: readonly Lane[], end: () => Promise<void>) {
    this.#gateway = gateway;
    this.#lanes = lanes;
    this.#end = end;
  }

  static async open(): Promise<FrameDoor> {
    const executed = Array.from({ length: LANES }, (): Executed[] => []);
    const server = createServer((req, res) => void serve(req, res, executed));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const steps: (() => unknown)[] = [];
    const names = Array.from({ length: LANES }, (_, at) => (at === 0 ? 'default' : `lane${at}`));
    const gateway = await startGateway({ teardown: (step: () => unknown) => steps.push(step) } as unknown as Test, {
      auth: { anonymous: { enabled: true, groups: ['fuzz'] } },
      connections: names.map((name, at) => ({
        name,
        upstream: { url: `${origin}/${at}` },
        access: { groups: ['fuzz'] },
      })),
      // Half of the lanes also know names, so that catalogs are asked.
      access_control: [
        {
          name: 'hidden',
          connections: names.filter((_, at) => at % 2 === 0),
          groups: ['fuzz'],
          tools: { deny: [FORBIDDEN_TOOL] },
        },
      ],
      guardrails: [
        {
          name: 'words',
          connections: names,
          input: { rules: [{ type: 'deny_words_list', words: [FORBIDDEN_WORDS] }] },
        },
      ],
    });
    const lanes = names.map((name, at): Lane => ({
      client: new Client(gateway.url, { headersTimeout: 0, bodyTimeout: 0 }),
      path: `/mcp/${name}`,
      executed: executed[at]!,
      session: undefined,
      seen: 0,
    }));
    const door = new FrameDoor(gateway, lanes, async () => {
      await Promise.all(lanes.map(({ client }) => client.close()));
      for (const step of steps) await step();
      server.close();
      server.closeAllConnections();
    });
    for (const [at, lane] of lanes.entries()) {
      // The oldest revision of sessions has batches.
      const version = at % 4 < 2 ? '2025-11-25' : '2025-03-26';
      const { headers } = await door.#post(lane, initialize(version), {});
      lane.session = String(headers['mcp-session-id']);
      lane.seen = lane.executed.length;
    }
    return door;
  }

  get width(): number {
    return this.#lanes.length;
  }

  async #post(lane: Lane, body: string | Buffer, headers: Readonly<Record<string, string>>) {
    const answer = await lane.client.request({
      method: 'POST',
      path: lane.path,
      headers: {
        host: '127.0.0.1:8800',
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...headers,
      },
      body,
    });
    return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
  }

  /** Sends one message and compares what came of it at the upstream and at the client. */
  async try(at: number, { bytes, headers }: MadeFrame, accepted: boolean, inSession: boolean): Promise<void> {
    const lane = this.#lanes[at]!;
    const modern = headers['mcp-protocol-version'] === '2026-07-28';
    const session: Record<string, string> = inSession && !modern ? { 'mcp-session-id': lane.session! } : {};
    const answer = await this.#post(lane, bytes, { ...headers, ...session });
    const got = lane.executed.slice(lane.seen);
    lane.seen = lane.executed.length;
    this.executed += got.length;
    const parsed = parse(bytes);
    const elements = Array.isArray(parsed) ? (parsed as JsonObject[]) : [parsed as JsonObject];
    if (!accepted && !Array.isArray(parsed)) assert.equal(got.length, 0, 'what the decoder refuses went upstream');
    assert(got.length <= elements.length, 'more was executed than was sent');
    for (const each of got) compare(each, elements, bytes, at % 2 === 0);
    checkAnswer(answer, elements, got.length);
  }

  /** Ends the gateway and compares its record with what the upstream executed. */
  async close(): Promise<void> {
    const { recorder } = this.#gateway.portcullis.gateway;
    await recorder.settled();
    const recorded = new Map<string, ExchangeRecord[]>();
    for (let offset = 0; ; offset += 500) {
      const { items } = await recorder.sessions.list({ limit: 500, offset });
      for (const session of items) {
        if (session.principal.authenticatedBy === 'system') continue;
        for (const exchange of await recorder.sessions.exchanges(session.id)) {
          // The same bytes may be denied when other headers make another era of them.
          if (exchange.decision.action !== 'allow') continue;
          const key = `${exchange.connection} ${exchange.request ?? ''}`;
          recorded.set(key, [...(recorded.get(key) ?? []), exchange]);
        }
      }
      if (items.length < 500) break;
    }
    for (const lane of this.#lanes) {
      for (const { text, message } of lane.executed) {
        const exchange = recorded.get(`${lane.path.slice('/mcp/'.length)} ${text}`)?.pop();
        assert(exchange !== undefined, `executed, but not on record as allowed: ${text}`);
        assert.equal(exchange.method, message['method'] ?? 'response', text);
        const { name, uri } = (message['params'] ?? {}) as JsonObject;
        const named = ['tools/call', 'prompts/get'].includes(exchange.method) ? name : uri;
        if (exchange.kind !== 'protocol') assert.equal(exchange.name, named, text);
      }
    }
    await this.#end();
  }
}

/** The upstream: executes by the path it is called on; what the gateway asks for itself is answered and not counted. */
async function serve(req: IncomingMessage, res: ServerResponse, executed: readonly Executed[][]): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  const say = (status: number, body: string, headers: Record<string, string> = {}): void =>
    void res.writeHead(status, body === '' ? headers : { 'content-type': 'application/json', ...headers }).end(body);
  if (req.method !== 'POST') return say(req.method === 'DELETE' ? 200 : 405, '');
  const message = JSON.parse(text) as JsonObject;
  const { method, id, params } = message;
  const info = ((params ?? {}) as JsonObject)['clientInfo'] as JsonObject | undefined;
  const own =
    (typeof id === 'string' && id.startsWith('portcullis-')) ||
    info?.['name'] === 'portcullis' ||
    req.headers['mcp-session-id'] === OWN;
  const lane = Number(req.url?.slice(1));
  if (!own) executed[lane]!.push({ text, message, headers: req.headers });
  if (id === undefined || method === undefined) return say(202, '');
  const session: Record<string, string> =
    method === 'initialize' ? { 'mcp-session-id': own ? OWN : `upstream-${lane}` } : {};
  const asked = ((params ?? {}) as JsonObject)['protocolVersion'];
  const result = resultOf(String(method));
  if (method === 'initialize' && typeof asked === 'string') result['protocolVersion'] = asked;
  return say(200, JSON.stringify({ jsonrpc: '2.0', id, result }), session);
}

function resultOf(method: string): Record<string, Json> {
  const items = (key: string): JsonObject[] =>
    NAMES.map((name) => ({ [key]: name, name, inputSchema: { type: 'object' } }));
  const cached = { resultType: 'complete', ttlMs: 0, cacheScope: 'private' };
  switch (method) {
    case 'server/discover':
      return { ...cached, supportedVersions: ['2026-07-28'], capabilities: { tools: {}, prompts: {}, resources: {} } };
    case 'initialize':
      return {
        protocolVersion: '2025-11-25',
        capabilities: { tools: {}, prompts: {}, resources: {} },
        serverInfo: { name: 'fuzz', version: '1' },
      };
    case 'tools/list':
      return { ...cached, tools: items('name') };
    case 'prompts/list':
      return { ...cached, prompts: items('name') };
    case 'resources/list':
      return { ...cached, resources: items('uri') };
    default:
      return { ...cached, content: [], messages: [], contents: [], completion: { values: [] } };
  }
}

function compare(got: Executed, elements: readonly JsonObject[], sent: Buffer, hides: boolean): void {
  const { message, text, headers } = got;
  const key = JSON.stringify(message);
  assert(
    elements.some((element) => JSON.stringify(element) === key),
    `executed something that was not sent: ${text}`,
  );
  assert(sent.includes(text), `other bytes went upstream: ${text}`);
  const params = (message['params'] ?? {}) as JsonObject;
  for (const said of stringsOf(params)) {
    assert(!said.toLowerCase().includes(FORBIDDEN_WORDS), `forbidden words were executed: ${text}`);
  }
  if (hides && message['method'] === 'tools/call') assert.notEqual(params['name'], FORBIDDEN_TOOL, 'a hidden tool ran');
  if (headers['mcp-protocol-version'] !== '2026-07-28') return;
  const meta = (params['_meta'] ?? {}) as JsonObject;
  assert.equal(meta['io.modelcontextprotocol/protocolVersion'], headers['mcp-protocol-version']);
  assert.equal(headers['mcp-method'], message['method']);
  const name = headers['mcp-name'];
  if (typeof name === 'string') assert.equal(unmirrored(name), params['name'] ?? params['uri'] ?? params['taskId']);
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}

function* stringsOf(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (Array.isArray(value)) for (const each of value) yield* stringsOf(each);
  else if (typeof value === 'object' && value !== null) {
    for (const [key, each] of Object.entries(value)) {
      yield key;
      yield* stringsOf(each);
    }
  }
}

function unmirrored(value: string): string {
  const encoded = /^=\?base64\?(.*)\?=$/.exec(value)?.[1];
  return encoded === undefined ? value : Buffer.from(encoded, 'base64').toString();
}

/** Never a crash, and never an answer to another message. */
function checkAnswer(
  answer: { readonly status: number; readonly text: string },
  elements: readonly (JsonObject | undefined)[],
  executed: number,
): void {
  const { status, text } = answer;
  assert([200, 202, 400, 403, 404].includes(status), `status ${status}: ${text}`);
  if (!/^[[{]/.test(text)) return;
  const whole = JSON.parse(text) as JsonObject | JsonObject[];
  if (!Array.isArray(whole)) return checkMessage(whole, text, elements, executed);
  assert(whole.length <= elements.length, `more answers than messages: ${text}`);
  for (const said of whole) checkMessage(said, text, elements, executed);
}

function checkMessage(
  said: JsonObject,
  text: string,
  elements: readonly (JsonObject | undefined)[],
  executed: number,
): void {
  assert.equal(said['jsonrpc'], '2.0', text);
  const error = said['error'] as JsonObject | undefined;
  assert(error === undefined || error['code'] !== -32603, `an internal error: ${text}`);
  if (executed === 0 || said['id'] === undefined || elements[0] === undefined) return;
  assert(
    elements.some((element) => JSON.stringify(element?.['id']) === JSON.stringify(said['id'])),
    `the answer has another id: ${text}`,
  );
}
