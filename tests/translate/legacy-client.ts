import { Abort } from '../../proxy/abort.ts';
import { FRAME_LIMITS, decodeFrame } from '../../proxy/wire/frame.ts';
import { createHttpUpstream } from '../../proxy/forward/http.ts';
import type { ParamHeader } from '../../proxy/wire/param-headers.ts';
import type { Caller, Outgoing, Upstream, UpstreamAnswer } from '../../proxy/forward/upstream.ts';
import { createLegacyFace } from '../../proxy/forward/translate/legacy-face.ts';
import type { JsonObject } from '../../policies/types.ts';
import type { Test } from 'tap';

const CALLER: Caller = {
  principal: { issuer: 'test', subject: 'erin', groups: [], roles: [], authenticatedBy: 'token', actors: [] },
  arrival: {
    credentials: { type: 'http', headers: {}, url: '/mcp', address: '127.0.0.1' },
    httpMethod: 'POST',
    route: '/mcp',
    connection: 'default',
    headers: {},
    rawHeaders: [],
    body: Buffer.alloc(0),
    gone: new Abort(),
  },
  era: 'legacy',
  call: {
    connection: 'default',
    kind: 'protocol',
    method: 'ping',
    name: '',
    arguments: {},
    text: '{}',
    annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true },
  },
};

export interface FaceSettings {
  readonly params?: (tool: string, fresh: boolean) => readonly ParamHeader[];
  readonly now?: () => number;
  readonly messageSize?: number;
}

/** The face in front of a real server over real HTTP. */
export function faceTo(t: Test, url: string, settings: FaceSettings = {}): Upstream {
  const inner = createHttpUpstream({ url, credential: {}, messageSize: 1_000_000 });
  const face = createLegacyFace(inner, {
    messageSize: settings.messageSize ?? 1_000_000,
    limits: FRAME_LIMITS,
    params: async (tool, fresh) => settings.params?.(tool, fresh) ?? [],
    now: settings.now ?? Date.now,
  });
  t.teardown(async () => {
    await face.close();
    await inner.close();
  });
  return face;
}

export interface Talk {
  readonly status: number;
  readonly mode: UpstreamAnswer['mode'];
  /** Texts of the messages, in order. */
  readonly texts: readonly string[];
  readonly messages: readonly JsonObject[];
  readonly last: JsonObject;
  /** Text of the last message. */
  readonly text: string;
}

/** A client with a session, as the pipeline would let it speak to a face. */
export class LegacyClient {
  readonly #face: Upstream;
  readonly session: string | undefined;

  constructor(face: Upstream, session: string | undefined) {
    this.#face = face;
    this.session = session;
  }

  send(body: object | string, outgoing: Partial<Outgoing> = {}): Promise<UpstreamAnswer> {
    const text = typeof body === 'string' ? body : JSON.stringify({ jsonrpc: '2.0', ...body });
    return this.#face.send({
      httpMethod: 'POST',
      frame: decodeFrame(Buffer.from(text), FRAME_LIMITS),
      headers: { accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2025-11-25' },
      signal: new Abort(),
      caller: CALLER,
      ...(this.session === undefined ? {} : { upstreamSession: this.session }),
      ...outgoing,
    });
  }

  operate(httpMethod: 'GET' | 'DELETE', signal = new Abort()): Promise<UpstreamAnswer> {
    return this.#face.send({
      httpMethod,
      headers: { accept: 'text/event-stream' },
      signal,
      caller: CALLER,
      ...(this.session === undefined ? {} : { upstreamSession: this.session }),
    });
  }

  /** Sends a message and reads its whole answer; `answer` sees each message when it comes. */
  async ask(
    body: object | string,
    answer: (message: JsonObject, text: string) => void | Promise<void> = () => undefined,
    outgoing: Partial<Outgoing> = {},
  ): Promise<Talk> {
    return readAll(await this.send(body, outgoing), answer);
  }
}

export async function readAll(
  answer: UpstreamAnswer,
  heard: (message: JsonObject, text: string) => void | Promise<void> = () => undefined,
): Promise<Talk> {
  const texts: string[] = [];
  const note = async (text: string): Promise<void> => {
    texts.push(text);
    await heard(JSON.parse(text) as JsonObject, text);
  };
  if (answer.mode === 'json') await note(answer.body!.toString());
  if (answer.events !== undefined) {
    for await (const events of answer.events) {
      for (const { data } of events) if (data !== undefined && data !== '') await note(data);
    }
  }
  const messages = texts.map((text) => JSON.parse(text) as JsonObject);
  return {
    status: answer.status,
    mode: answer.mode,
    texts,
    messages,
    last: messages.at(-1) ?? {},
    text: texts.at(-1) ?? '',
  };
}

export interface Hello {
  readonly version?: string;
  readonly capabilities?: JsonObject;
}

/** Opens a session and answers a client for it, with the answer to initialize. */
export async function connect(
  face: Upstream,
  hello: Hello = {},
): Promise<{ readonly client: LegacyClient; readonly opened: Talk }> {
  const stranger = new LegacyClient(face, undefined);
  const answer = await stranger.send({
    id: 0,
    method: 'initialize',
    params: {
      protocolVersion: hello.version ?? '2025-11-25',
      capabilities: hello.capabilities ?? {},
      clientInfo: { name: 'old', version: '1' },
    },
  });
  const opened = await readAll(answer);
  return { client: new LegacyClient(face, answer.upstreamSession), opened };
}
