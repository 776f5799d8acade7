import { readFileSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import type { JsonObject } from '../../policies/types.ts';

const MODERN = '2026-07-28';

export interface Sent {
  readonly body?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly method?: 'POST' | 'GET' | 'DELETE';
}

/** A tools/call of the stateless revision, whole. */
export function modernCall(name: string, args: JsonObject = {}, id: string | number = 1, meta: JsonObject = {}): Sent {
  return modernRequest('tools/call', { name, arguments: args }, id, meta, { 'mcp-name': name });
}

export function modernRequest(
  method: string,
  params: JsonObject,
  id: string | number,
  meta: JsonObject = {},
  headers: Readonly<Record<string, string>> = {},
): Sent {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': MODERN,
    'io.modelcontextprotocol/clientCapabilities': {},
    ...meta,
  };
  return {
    body: JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta } }),
    headers: { 'mcp-protocol-version': MODERN, 'mcp-method': method, ...headers },
  };
}

/** A message on a session of 2025-11-25. */
export function inSession(session: string, message: JsonObject): Sent {
  return {
    body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    headers: { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' },
  };
}

/** An answer that a test reads at its own pace: nothing is taken from the socket unless it is asked for. */
export class Reading {
  readonly res: IncomingMessage;
  #text = '';
  #over = false;
  #failed = false;
  #bytes = 0;
  #look: (() => void) | undefined;

  constructor(res: IncomingMessage) {
    this.res = res;
    res.pause();
    res.on('data', (chunk: Buffer) => {
      this.#bytes += chunk.length;
      this.#text += chunk.toString('latin1');
      this.#look?.();
    });
    const end = (): void => {
      this.#over = true;
      this.#look?.();
    };
    res.on('error', () => (this.#failed = true));
    res.on('end', end).on('close', end);
    res.pause();
  }

  /** Reads on until what came matches, or until the end. */
  until(pattern: RegExp): Promise<string> {
    return this.#wait(() => pattern.test(this.#text));
  }

  /** Reads at least so many bytes more, then stops reading. */
  async some(bytes: number): Promise<void> {
    const enough = this.#bytes + bytes;
    await this.#wait(() => this.#bytes >= enough);
    this.res.pause();
  }

  /** Everything to the end; UTF-8. */
  async rest(): Promise<string> {
    await this.#wait(() => false);
    return Buffer.from(this.#text, 'latin1').toString();
  }

  /** True when the connection broke instead of ending. */
  get broken(): boolean {
    return this.#failed || !this.res.complete;
  }

  /** The messages of the whole event stream. */
  async messages(): Promise<readonly JsonObject[]> {
    const text = await this.rest();
    return text
      .split('\n')
      .filter((line) => line.startsWith('data: ') && line !== 'data: ')
      .map((line) => JSON.parse(line.slice(6)) as JsonObject);
  }

  /** Leaves without a word. */
  drop(): void {
    this.res.destroy();
  }

  #wait(done: () => boolean): Promise<string> {
    return new Promise((resolve) => {
      this.#look = () => {
        if (!done() && !this.#over) return;
        this.#look = undefined;
        resolve(this.#text);
      };
      this.#look();
      if (this.#look !== undefined) this.res.resume();
    });
  }
}

/** Sends one request on a connection of its own; resolves with the head of its answer. */
export function ask(
  url: string,
  token: string | undefined,
  { body, headers, method = 'POST' }: Sent,
): Promise<Reading> {
  return new Promise((resolve, reject) => {
    const req = request(url, {
      method,
      agent: false,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...headers,
      },
    });
    req.on('response', (res) => resolve(new Reading(res)));
    req.on('error', reject);
    req.end(body);
  });
}

/** Opens a session of 2025-11-25; answers its id. */
export async function openSession(url: string, token: string | undefined): Promise<string> {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'torture', version: '1' } };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 'open', method: 'initialize', params });
  const reading = await ask(url, token, { body, headers: {} });
  await reading.rest();
  const session = String(reading.res.headers['mcp-session-id']);
  await (await ask(url, token, inSession(session, { method: 'notifications/initialized' }))).rest();
  return session;
}

/** Resident memory of a process now, in MB. */
export function residentMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]) / 1024;
}
