import type { Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { startUpstream, type Script, type Upstream } from '../fixture/upstream.ts';
import { startGateway, type TestGateway } from '../gateway.ts';
import { openSession, type TestSession } from '../session.ts';
import type { Era, Guard } from './corpus/types.ts';

const VERSION = '2026-07-28';
export const CAPABILITIES: JsonObject = {
  elicitation: { form: {}, url: {} },
  sampling: {},
  roots: { listChanged: true },
  extensions: { 'io.modelcontextprotocol/tasks': {} },
};

/** Messages of the stage's gateway are at most this long. */
export const LARGEST = 262_144;

/** One gateway and one upstream for all entries: a connection for each guard, the same script behind all of them. */
export interface Stage {
  readonly gateway: TestGateway;
  readonly upstream: Upstream;
  /** What the upstream answers from now on; undefined leaves a request to the fixture's own answers. */
  play(script: Script | undefined): void;
  door(guard: Guard, era: Era): Promise<Door>;
}

/** A client of one era on one connection. */
export interface Door {
  readonly era: Era;
  readonly url: string;
  readonly token: string;
  /** Of a legacy client. */
  readonly session: TestSession | undefined;
  /** Posts a message with the headers of its era; everything that comes back: status, headers, body. */
  say(text: string | Buffer, headers?: Record<string, string>): Promise<string>;
}

export const IN = {
  words: 'Nightjar-7Q4X-Kestrel-93',
  pattern: 'PRJ-482913-QXVB-57',
  mask: 'not used',
  access: 'drop_everything',
} as const satisfies Record<Guard, string>;

export const OUT = {
  words: 'Whinchat-2K9V-Bittern-61',
  pattern: 'CASE-730164-WJHT-28',
  mask: 'quentin.ashgrove@corp-mail.example',
  access: 'wipe_everything',
} as const satisfies Record<Guard, string>;

export async function startStage(t: Test): Promise<Stage> {
  let script: Script | undefined;
  const upstream = await startUpstream({ on: { '*': (request) => (script ?? ((each) => each.usual()))(request) } });
  t.teardown(() => upstream.close());
  const access = { groups: ['eng'] };
  const guards: readonly Guard[] = ['words', 'pattern', 'mask', 'access'];
  const gateway = await startGateway(t, {
    server: { listen: '127.0.0.1:0', public_url: 'http://127.0.0.1:8800', message_size: `${LARGEST}B` },
    connections: ['default', ...guards].map((name) => ({ name, upstream: { url: upstream.url }, access })),
    guardrails: [
      {
        name: 'words',
        connections: ['words'],
        input: { rules: [{ type: 'deny_words_list', words: [IN.words] }] },
        output: { rules: [{ type: 'deny_words_list', words: [OUT.words] }] },
      },
      {
        name: 'pattern',
        connections: ['pattern'],
        input: { rules: [{ type: 'pattern_match', pattern_regex: '(?i)PRJ-[0-9]{6}-[A-Z]{4}-[0-9]{2}' }] },
        output: { rules: [{ type: 'pattern_match', pattern_regex: '(?i)CASE-[0-9]{6}-[A-Z]{4}-[0-9]{2}' }] },
      },
    ],
    datamasking_rules: [
      {
        name: 'mask',
        connections: ['mask'],
        supported_entity_types: [{ name: 'CONTACT', entity_types: ['EMAIL_ADDRESS'] }],
      },
    ],
    access_control: [
      {
        name: 'no-drops',
        connections: ['access'],
        groups: ['eng'],
        tools: { deny: [IN.access, OUT.access] },
        prompts: { deny: [IN.access, OUT.access] },
        resources: { deny: [`*${IN.access}*`, `*${OUT.access}*`] },
      },
    ],
  });
  const token = await gateway.person('erin', ['eng']);
  const doors = new Map<string, Promise<Door>>();
  const open = async (guard: Guard, era: Era): Promise<Door> => {
    const url = `${gateway.url}/mcp/${guard}`;
    if (era === 'modern') return { era, url, token, session: undefined, say: (...said) => sayTo(url, token, ...said) };
    const session = await openSession(url, token, { capabilities: CAPABILITIES });
    const kept = { 'mcp-session-id': session.id, 'mcp-protocol-version': '2025-11-25' };
    return { era, url, token, session, say: (text, headers) => sayTo(url, token, text, { ...kept, ...headers }) };
  };
  return {
    gateway,
    upstream,
    play(next) {
      script = next;
    },
    door(guard, era) {
      const key = `${guard} ${era}`;
      const known = doors.get(key);
      if (known !== undefined) return known;
      const opening = open(guard, era);
      doors.set(key, opening);
      return opening;
    },
  };
}

export async function sayTo(
  url: string,
  token: string,
  text: string | Buffer,
  headers: Record<string, string> = {},
): Promise<string> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${token}`,
        ...headers,
      },
      body: text as string,
    });
    return `${response.status}\n${[...response.headers].flat().join('\n')}\n${await response.text()}`;
  } catch (fault) {
    // A header that no client may send, or an answer that broke off: nothing came back.
    if (fault instanceof TypeError) return '';
    throw fault;
  }
}

/** Puts JSON literals where a template says `@@0@@`, `@@1@@`: as a value, as a key, or in the middle of a string. */
export function fill(template: unknown, spread: readonly string[]): string {
  let text = typeof template === 'string' ? template : JSON.stringify(template);
  for (const [place, literal] of spread.entries()) {
    text = text.replaceAll(`"@@${place}@@"`, () => literal).replaceAll(`@@${place}@@`, () => literal.slice(1, -1));
  }
  return text;
}

/** The template of a request in the words of an era. */
export function requestOf(era: Era, method: string, params: JsonObject = {}, top: JsonObject = {}): JsonObject {
  const given = (params['_meta'] ?? {}) as JsonObject;
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': VERSION,
    'io.modelcontextprotocol/clientCapabilities': CAPABILITIES,
    ...given,
  };
  return { jsonrpc: '2.0', id: 1, method, params: era === 'modern' ? { ...params, _meta } : params, ...top };
}

/** The headers that a modern client sends beside a message. */
export function headersOf(era: Era, text: string): Record<string, string> {
  if (era === 'legacy') return {};
  const { method, params } = JSON.parse(text) as { method: string; params?: Record<string, unknown> };
  const name = params?.['name'] ?? params?.['uri'] ?? (method.startsWith('tasks/') ? params?.['taskId'] : undefined);
  const plain = typeof name === 'string' && /^[\x21-\x7e]+$/.test(name) && !name.startsWith('=?');
  return {
    'mcp-protocol-version': VERSION,
    'mcp-method': method,
    ...(typeof name === 'string'
      ? { 'mcp-name': plain ? name : `=?base64?${Buffer.from(name).toString('base64')}?=` }
      : {}),
  };
}

/** Sends the filled template as its era does. */
export function ask(door: Door, template: JsonObject, spread: readonly string[]): Promise<string> {
  const text = fill(template, spread);
  return door.say(text, headersOf(door.era, text));
}
