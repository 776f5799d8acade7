import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { Client } from 'undici';
import type { JsonObject } from '../../policies/types.ts';
import { startGateway, type TestGateway } from '../gateway.ts';
import type { Random } from './random.ts';
import { readStream } from './sse-reference.ts';
import { makeStream, SECRET } from './stream-maker.ts';

interface Script {
  readonly pieces: readonly Buffer[];
  /** Breaks the connection at the end instead of ending the answer. */
  readonly breaks: boolean;
}

interface Lane {
  readonly client: Client;
  readonly path: string;
  script: Script | undefined;
}

const LANES = 4;
const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"stream","arguments":{}}}';
const REPLACED = '<EMAIL_ADDRESS>';

/** A real gateway that masks, in front of an upstream that streams whatever bytes it is told to. */
export class StreamDoor {
  readonly #gateway: TestGateway;
  readonly #lanes: readonly Lane[];
  readonly #end: () => Promise<void>;
  /** Messages that reached the client. */
  delivered = 0;
  /** Of these, the ones that were answers. */
  answered = 0;

  private constructor(gateway: TestGateway, lanes: readonly Lane[], end: () => Promise<void>) {
    this.#gateway = gateway;
    this.#lanes = lanes;
    this.#end = end;
  }

  static async open(): Promise<StreamDoor> {
    const lanes: Lane[] = [];
    const server = createServer((req, res) => void serve(req, res, lanes));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const steps: (() => unknown)[] = [];
    const names = Array.from({ length: LANES }, (_, at) => (at === 0 ? 'default' : `lane${at}`));
    const gateway = await startGateway({ teardown: (step: () => unknown) => steps.push(step) } as unknown as Test, {
      auth: { anonymous: { enabled: true, groups: ['fuzz'] } },
      server: { listen: '127.0.0.1:0', public_url: 'http://127.0.0.1:8800', message_size: '8KB' },
      connections: names.map((name, at) => ({
        name,
        upstream: { url: `${origin}/${at}` },
        access: { groups: ['fuzz'] },
      })),
      datamasking_rules: [
        { name: 'mail', supported_entity_types: [{ name: 'MAIL', entity_types: ['EMAIL_ADDRESS'] }] },
      ],
    });
    for (const name of names) {
      const client = new Client(gateway.url, { headersTimeout: 0, bodyTimeout: 0 });
      lanes.push({ client, path: `/mcp/${name}`, script: undefined });
    }
    return new StreamDoor(gateway, lanes, async () => {
      await Promise.all(lanes.map(({ client }) => client.close()));
      for (const step of steps) await step();
      server.close();
      server.closeAllConnections();
    });
  }

  get width(): number {
    return this.#lanes.length;
  }

  /** Has the upstream of the lane answer a call with a made stream, and compares what the client reads with what was streamed. */
  async try(at: number, random: Random): Promise<void> {
    const lane = this.#lanes[at]!;
    const stream = makeStream(random, random.chance(85) ? messages(random) : []);
    lane.script = { pieces: random.cut(stream), breaks: random.chance(10) };
    const answer = await lane.client.request({
      method: 'POST',
      path: lane.path,
      headers: {
        host: '127.0.0.1:8800',
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: CALL,
    });
    const got = Buffer.from(await answer.body.arrayBuffer());
    const type = String(answer.headers['content-type']);
    const texts = type.startsWith('text/event-stream') ? dataOf(got, 1 << 24) : [got.toString()];
    assert(
      texts.length > 0 || dataOf(stream, 8000).length === 0 || /(?:^|[\r\n])id/.test(stream.toString()),
      'no word came',
    );
    this.#check(texts, dataOf(stream, 8000));
  }

  #check(texts: readonly string[], streamed: readonly string[]): void {
    let from = 0;
    for (const [at, text] of texts.entries()) {
      assert(!text.includes(SECRET), `it left unmasked: ${text}`);
      const message = JSON.parse(text) as JsonObject;
      assert.equal(message['jsonrpc'], '2.0');
      const isLast = at === texts.length - 1;
      const error = message['error'] as JsonObject | undefined;
      if (error !== undefined && ((error['data'] ?? {}) as JsonObject)['code'] !== undefined) {
        assert(isLast, 'something follows the error of the gateway');
        assert.equal(message['id'], 1);
        assert.notEqual(error['code'], -32603, text);
        return;
      }
      // Nothing made up, nothing twice, nothing in another order.
      const place = streamed.findIndex((each, index) => index >= from && sameMessage(each, message));
      assert(place >= 0, `never streamed: ${text}`);
      from = place + 1;
      this.delivered += 1;
      if (message['id'] === 1 && message['method'] === undefined) {
        assert(isLast, 'something follows the answer');
        this.answered += 1;
      }
    }
  }

  /** Ends the gateway; every message that reached a client must be on its record, masked. */
  async close(): Promise<void> {
    const { recorder } = this.#gateway.portcullis.gateway;
    await recorder.settled();
    let recorded = 0;
    const { items } = await recorder.sessions.list({ limit: 1000 });
    for (const session of items) {
      for (const { method, messages: passed, response, outcome } of await recorder.sessions.exchanges(session.id)) {
        if (method !== 'tools/call') continue;
        recorded += passed.length + (outcome === 'answered' ? 1 : 0);
        for (const text of [...passed.map(({ body }) => body), response ?? '']) {
          assert(!text.includes(SECRET), `recorded unmasked: ${text}`);
        }
      }
    }
    assert(recorded >= this.delivered, `${this.delivered} messages were delivered, ${recorded} are on record`);
    await this.#end();
  }
}

/** A few notifications and, mostly, the answer; some of it hurt. */
function messages(random: Random): string[] {
  const blank = (): string => (random.chance(15) ? random.pick([' ', '\n', '\n  ']) : '');
  const word = (): string =>
    random.pick(['hello', SECRET, `to ${SECRET}!`, 'é漢😀', '\u2028', 'x'.repeat(random.pick([10, 9000]))]);
  const make = (head: string): string => {
    const text = `{${blank()}"jsonrpc":"2.0",${blank()}${head}${blank()}}`;
    if (!random.chance(4)) return text;
    let at = random.int(text.length);
    // Hurt, but with the address whole: what is masked must be told apart from what is not.
    const address = text.indexOf(SECRET);
    if (address >= 0 && at >= address && at <= address + SECRET.length) at = 1;
    return random.pick([
      text.slice(0, at),
      text.slice(0, at) + random.pick(['"', '}', '{', ',', 'x']) + text.slice(at),
    ]);
  };
  const list = Array.from({ length: random.int(5) }, () =>
    make(`"method":"notifications/message","params":{"level":"info",${blank()}"data":${JSON.stringify(word())}}`),
  );
  if (random.chance(85)) {
    const id = random.chance(4) ? random.pick(['2', '"1"', 'null']) : '1';
    list.push(make(`"id":${id},"result":{"content":[{"type":"text","text":${JSON.stringify(word())}}]}`));
  }
  if (random.chance(10)) list.push(make('"method":"notifications/message","params":{"level":"info","data":"late"}'));
  return list;
}

function dataOf(stream: Buffer, eventSize: number): string[] {
  return readStream(stream, eventSize).blocks.flatMap(({ data }) => (data === undefined || data === '' ? [] : [data]));
}

/** What was streamed is what arrived, when the address is masked in it. */
function sameMessage(streamed: string, arrived: JsonObject): boolean {
  try {
    return JSON.stringify(JSON.parse(streamed)).replaceAll(SECRET, REPLACED) === JSON.stringify(arrived);
  } catch {
    return false;
  }
}

async function serve(req: IncomingMessage, res: ServerResponse, lanes: readonly Lane[]): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  const lane = lanes[Number(req.url?.slice(1))]!;
  const { script } = lane;
  // The gateway may ask for things of its own.
  if (script === undefined || !Buffer.concat(chunks).includes('"stream"')) {
    res.writeHead(405).end();
    return;
  }
  lane.script = undefined;
  res.on('error', () => undefined);
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const piece of script.pieces) {
    await new Promise<void>((resolve) =>
      piece.length === 0 ? setImmediate(resolve) : res.write(piece, () => resolve()),
    );
  }
  if (script.breaks) res.socket?.destroy();
  else res.end();
}
