import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { JsonObject } from '../policies/types.ts';
import { parseConfig } from '../proxy/config.ts';
import { mintToken } from '../proxy/identity/tokens.ts';
import { createLog } from '../proxy/log.ts';
import { createPortcullis, type Portcullis } from '../proxy/main.ts';
import type { ExchangeRecord } from '../recorder/types.ts';

export interface TestGateway {
  readonly url: string;
  readonly folder: string;
  readonly portcullis: Portcullis;
  /** Log lines, for tests that look for leaks. */
  readonly logged: readonly string[];
  /** A gateway token of a new person. */
  person(subject: string, groups: readonly string[]): Promise<string>;
  /** Every recorded exchange that is settled so far, oldest session first. */
  exchanges(): Promise<readonly ExchangeRecord[]>;
  close(): Promise<void>;
}

/** A real gateway on a free port, its data in a folder of its own; closed and removed at the end of the test. */
export async function startGateway(
  t: Test,
  config: JsonObject,
  folder?: string,
  clock?: () => number,
): Promise<TestGateway> {
  const data = folder ?? mkdtempSync(join(tmpdir(), 'portcullis-test-'));
  const logged: string[] = [];
  const whole = {
    server: { listen: '127.0.0.1:0', public_url: 'http://127.0.0.1:8800' },
    hold: { inline_timeout: '20s', heartbeat: '1s' },
    ...config,
    keys: { master: { file: join(data, 'key') } },
    recorder: { path: join(data, 'portcullis.db') },
  };
  const parsed = parseConfig(JSON.stringify(whole), join(data, 'config.yaml'), {});
  const log = createLog({ level: 'debug', format: 'json', sink: { write: (line) => void logged.push(line) } });
  const portcullis = await createPortcullis(parsed, log, clock === undefined ? {} : { clock });
  const url = await portcullis.listen();
  let closed = false;
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    await portcullis.close();
  };
  t.teardown(async () => {
    await close();
    if (folder === undefined) rmSync(data, { recursive: true, force: true });
  });
  const { recorder } = portcullis.gateway;
  return {
    url,
    folder: data,
    portcullis,
    logged,
    async person(subject, groups) {
      const { token, id, hash } = mintToken();
      const record = {
        id,
        hash,
        name: subject,
        subject,
        email: `${subject}@example.com`,
        groups,
        createdAt: Date.now(),
      };
      await recorder.tokens.create(record, { issuer: 'test', subject: 'test' });
      return token;
    },
    async exchanges() {
      await recorder.settled();
      const { items } = await recorder.sessions.list({ limit: 100 });
      const lists = await Promise.all([...items].reverse().map((session) => recorder.sessions.exchanges(session.id)));
      return lists.flat();
    },
    close,
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The JSON body, or the last JSON message of an event stream; `{}` when there is none. */
  readonly json: JsonObject;
  /** All JSON messages of an event stream. */
  readonly events: readonly JsonObject[];
}

const VERSION = '2026-07-28';

/** Sends one HTTP request to the gateway and reads its whole answer. */
export async function send(
  url: string,
  token: string | undefined,
  body: string | Buffer | undefined,
  headers: Record<string, string> = {},
  method = 'POST',
): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: body as string }),
  });
  const text = await response.text();
  const stream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
  const events = stream
    ? text
        .split('\n')
        .filter((line) => line.startsWith('data: '))
        .map((line) => JSON.parse(line.slice(6)) as JsonObject)
    : [];
  const json = stream
    ? (events.at(-1) ?? {})
    : text === '' || !text.startsWith('{')
      ? {}
      : (JSON.parse(text) as JsonObject);
  return { status: response.status, headers: response.headers, text, json, events };
}

/** A modern (2026-07-28) request with its envelope and headers. */
export function modern(
  url: string,
  token: string | undefined,
  method: string,
  params: JsonObject = {},
  meta: JsonObject = {},
): Promise<Answer> {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': VERSION,
    'io.modelcontextprotocol/clientCapabilities': {},
    ...meta,
  };
  const name = params['name'] ?? params['uri'];
  return send(url, token, JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta } }), {
    'mcp-protocol-version': VERSION,
    'mcp-method': method,
    ...(typeof name === 'string' ? { 'mcp-name': name } : {}),
  });
}

export const callTool = (
  url: string,
  token: string | undefined,
  name: string,
  args: JsonObject = {},
  meta: JsonObject = {},
): Promise<Answer> => modern(url, token, 'tools/call', { name, arguments: args }, meta);

/** The text blocks of a tool result, joined. */
export function textOf(answer: Answer): string {
  const result = answer.json['result'] as { content?: { text?: string }[] } | undefined;
  return (result?.content ?? []).map((block) => block.text ?? '').join(' ');
}
