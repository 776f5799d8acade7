import type { Random } from './random.ts';

/** A message to try, with what a well-behaved client would send beside it. */
export interface MadeFrame {
  readonly bytes: Buffer;
  /** True: nothing about it is odd, so that it must be accepted. */
  readonly plain: boolean;
  readonly headers: Readonly<Record<string, string>>;
}

/** What the guardrail of the door forbids, and the tool that access rules hide. */
export const FORBIDDEN_WORDS = 'drop table';
export const FORBIDDEN_TOOL = 'danger';

type Member = readonly [key: string, value: string];

const PREFIX = 'io.modelcontextprotocol/';
const MODERN = '2026-07-28';
const METHODS = [
  'tools/call',
  'tools/call',
  'tools/call',
  'tools/list',
  'prompts/get',
  'resources/read',
  'completion/complete',
  'ping',
  'initialize',
  'server/discover',
  'logging/setLevel',
  'tools/Call',
  'vendor/action',
  '',
];
const NOTIFICATIONS = ['notifications/initialized', 'notifications/cancelled', 'notifications/progress', 'tools/call'];
const TOOLS = [
  'query',
  'query',
  'query',
  'echo',
  FORBIDDEN_TOOL,
  'dang\u00e9r',
  ' danger',
  'Danger',
  '',
  '漢字',
  '__proto__',
];
const WORDS = [
  'SELECT 1',
  'hello',
  '',
  FORBIDDEN_WORDS,
  `1; ${FORBIDDEN_WORDS} users`,
  '\u0000',
  '\u2028',
  '\ud83d\ude00',
  '\ufeff',
  'a"b\\c',
  '\r\n',
  'x'.repeat(300),
  '__proto__',
  '{"method":"tools/call"}',
];
const NUMBERS = [
  '0',
  '-0',
  '1',
  '1.0',
  '9007199254740993',
  '1e400',
  '-1E-7',
  '1e5',
  '123456789012345678901234567890',
  `${'9'.repeat(390)}`,
  '0.1000000000000000055',
];
const WRONG_NUMBERS = ['01', '+1', '1.', '.5', 'NaN', 'Infinity', '0x10', '1e', '--1', '9'.repeat(500)];
const IDS = ['1', '"a"', '0', '-1', '"\\u0061"', '9007199254740991', '""', '"1"', '7'];
const WRONG_IDS = ['null', '1.5', '1e3', '9007199254740993', '{}', '[1]', 'true', '-0', `"${'i'.repeat(2000)}"`];
const LOOKALIKES: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    jsonrpc: ['JSONRPC', 'jsonRpc', 'json_rpc'],
    method: ['Method', 'METHOD', 'method ', 'm\u200bethod', '\uff4dethod', 'met\u0301hod'],
    params: ['Params', 'PARAMS', 'param\u017f'],
    id: ['ID', 'Id', '\u0130d', 'i\u00add'],
    name: ['Name', 'NAME', 'na_me', '\uff4eame'],
    arguments: ['Arguments', 'argument\u017f', 'ARGUMENTS'],
    _meta: ['_Meta', 'meta', '_META'],
  }),
);
const TOKENS = [
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"',
  '\\',
  '\\u',
  '\\u0000',
  '\\ud800',
  'null',
  '1e9',
  ' ',
  '\n',
  '/*',
  '\0',
  '"method":',
  '"id":2,',
];
const BROKEN_UTF8 = [
  [0xc3],
  [0xe2, 0x82],
  [0xf0, 0x9f, 0x98],
  [0xc0, 0xaf],
  [0xed, 0xa0, 0x80],
  [0xff],
  [0xf5, 0x80, 0x80, 0x80],
  [0x80],
  [0xef, 0xbb, 0xbf],
];

/** Makes messages of the protocol's own grammar, and then things go wrong with them. */
export function makeFrame(random: Random): MadeFrame {
  if (random.chance(3)) return odd(random, batch(random), {});
  const maker = new Maker(random);
  const text = maker.message();
  const headers = maker.headers();
  if (random.chance(random.pick([0, 50]))) return odd(random, mutate(random, Buffer.from(text)), headers);
  return { bytes: Buffer.from(text), plain: maker.isPlain, headers };
}

function odd(random: Random, bytes: Buffer, headers: Readonly<Record<string, string>>): MadeFrame {
  const wrapped = random.chance(3) ? Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes]) : bytes;
  return { bytes: wrapped, plain: false, headers };
}

function batch(random: Random): Buffer {
  const parts = Array.from({ length: random.int(4) }, () => new Maker(random).message());
  return Buffer.from(`[${parts.join(random.pick([',', ' , ', ',,']))}]`);
}

class Maker {
  isPlain = true;
  readonly #random: Random;
  readonly #modern: boolean;
  #method = '';
  #name: string | undefined;

  constructor(random: Random) {
    this.#random = random;
    this.#modern = random.chance(30);
  }

  message(): string {
    const random = this.#random;
    const kind = random.int(100);
    const members: Member[] = [['jsonrpc', this.#rarely(2, ['"1.0"', '2.0', '"2.0 "', 'null'], '"2.0"')]];
    if (kind < 78) {
      members.push(['id', this.#rarely(6, WRONG_IDS, random.pick(IDS))]);
      members.push(...this.#call(random.pick(METHODS)));
    } else if (kind < 90) {
      members.push(...this.#call(random.pick(NOTIFICATIONS)));
      if (this.#method === 'tools/call') this.isPlain = false;
    } else {
      members.push(['id', random.pick(IDS)]);
      members.push(random.chance(70) ? ['result', this.#object(2)] : ['error', '{"code":1,"message":"no"}']);
      if (random.chance(10)) {
        members.push(['method', '"tools/call"']);
        this.isPlain = false;
      }
    }
    if (random.chance(5)) members.push([random.pick(['extra', '__proto__', 'toString', '']), this.#value(2)]);
    return this.#write(members);
  }

  headers(): Record<string, string> {
    const random = this.#random;
    if (!this.#modern) return random.chance(70) ? { 'mcp-protocol-version': '2025-11-25' } : {};
    const wrong = random.chance(5);
    return {
      'mcp-protocol-version': MODERN,
      'mcp-method': wrong ? 'tools/list' : headerSafe(this.#method),
      ...(this.#name === undefined ? {} : { 'mcp-name': random.chance(3) ? 'query' : mirrored(this.#name) }),
    };
  }

  #call(method: string): Member[] {
    const random = this.#random;
    this.#method = method;
    if (method === '') this.isPlain = false;
    const params: Member[] = [];
    const named = ['tools/call', 'prompts/get'].includes(method);
    if (named || method === 'resources/read') {
      this.#name = random.pick(TOOLS);
      params.push([named ? 'name' : 'uri', this.#string(this.#name)]);
    }
    if (named || random.chance(20)) params.push(['arguments', this.#object(3)]);
    if (method === 'initialize') {
      params.push(
        ['protocolVersion', '"2025-11-25"'],
        ['capabilities', '{}'],
        ['clientInfo', '{"name":"fuzz","version":"1"}'],
      );
    }
    if (random.chance(10)) params.push([random.pick(['cursor', 'requestId', 'level', 'vendor']), this.#value(1)]);
    if (this.#modern) params.push(['_meta', this.#envelope()]);
    else if (random.chance(20)) params.push(['_meta', this.#write([['progressToken', random.pick(IDS)]])]);
    const whole = this.#rarely(3, ['[]', 'null', '"x"', '1'], undefined) ?? this.#write(params);
    return [
      ['method', this.#string(method)],
      ['params', whole],
    ];
  }

  #envelope(): string {
    return this.#write([
      [`${PREFIX}protocolVersion`, this.#rarely(4, ['"2026-07-27"', '1', 'null'], `"${MODERN}"`)],
      [`${PREFIX}clientCapabilities`, this.#rarely(4, ['null', '[]'], '{}')],
    ]);
  }

  /** An object of these members; now and then one twice, one misspelt, one gone, all in another order. */
  #write(members: readonly Member[]): string {
    const random = this.#random;
    let list = random.chance(20) ? random.shuffle(members) : [...members];
    const victim = random.pick(list.length === 0 ? [['', '1'] as const] : list);
    switch (random.int(120)) {
      case 0:
        list.push([victim[0], random.chance(50) ? victim[1] : this.#value(1)]);
        this.isPlain = false;
        break;
      case 1:
        list.unshift([
          random.pick(LOOKALIKES.get(victim[0]) ?? ['Extra']),
          random.chance(50) ? victim[1] : this.#value(1),
        ]);
        this.isPlain = false;
        break;
      case 2:
        list = list.map((each) =>
          each === victim ? [random.pick(LOOKALIKES.get(each[0]) ?? ['EXTRA']), each[1]] : each,
        );
        this.isPlain = false;
        break;
      case 3:
        list = list.filter((each) => each !== victim);
        this.isPlain = false;
        break;
    }
    const blank = (): string => (random.chance(3) ? random.pick([' ', '\n', '\r\n', '\t', '   ']) : '');
    const parts = list.map(([key, value]) => `${blank()}${this.#string(key)}${blank()}:${blank()}${value}${blank()}`);
    return `{${parts.join(',')}}${blank()}`;
  }

  #object(depth: number): string {
    const random = this.#random;
    const size = random.int(4);
    const keys = Array.from(
      { length: size },
      (_, at) => `${random.pick(['sql', 'q', 'Name', 'method', 'é', 'a/b'])}${at}`,
    );
    return this.#write(keys.map((key) => [key, this.#value(depth - 1)]));
  }

  #value(depth: number): string {
    const random = this.#random;
    switch (random.int(depth > 0 ? 10 : 6)) {
      case 0:
      case 1:
        return this.#string(random.pick(WORDS));
      case 2:
        return this.#rarely(8, WRONG_NUMBERS, random.pick(NUMBERS));
      case 3:
        return random.pick(['true', 'false', 'null']);
      case 4:
        return random.chance(10) ? this.#loneSurrogate() : this.#string('plain');
      case 5:
        return random.chance(4) ? this.#deep() : '0';
      case 6:
        return `[${Array.from({ length: random.int(4) }, () => this.#value(depth - 1)).join(',')}]`;
      default:
        return this.#object(depth);
    }
  }

  #deep(): string {
    const levels = this.#random.pick([10, 50, 58, 70, 500]);
    if (levels > 50) this.isPlain = false;
    return this.#random.chance(50)
      ? '['.repeat(levels) + ']'.repeat(levels)
      : '{"a":'.repeat(levels) + '1' + '}'.repeat(levels);
  }

  #loneSurrogate(): string {
    this.isPlain = false;
    return this.#random.pick(['"\\ud800"', '"\\udc00x"', '"\\ud800\\ud800"', '"a\\uDBFF"']);
  }

  /** The text as a JSON string, some of its characters escaped though they need not be. */
  #string(text: string): string {
    const random = this.#random;
    if (!random.chance(10)) return JSON.stringify(text);
    const share = random.pick([5, 30, 100]);
    let out = '';
    for (let at = 0; at < text.length; at += 1) {
      const hex = text.charCodeAt(at).toString(16).padStart(4, '0');
      const must = JSON.stringify(text[at]).slice(1, -1);
      out += random.chance(share)
        ? `\\u${random.chance(50) ? hex.toUpperCase() : hex}`
        : text[at] === '/'
          ? '\\/'
          : must;
    }
    return `"${out}"`;
  }

  #rarely<T>(times: number, wrong: readonly string[], right: T): T | string {
    if (!this.#random.chance(times)) return right;
    this.isPlain = false;
    return this.#random.pick(wrong);
  }
}

function mutate(random: Random, bytes: Buffer): Buffer {
  let out = bytes;
  for (let left = 1 + random.int(3); left > 0; left -= 1) {
    const at = random.int(out.length + 1);
    const end = Math.min(out.length, at + random.int(20));
    const insert = (piece: Buffer): Buffer => Buffer.concat([out.subarray(0, at), piece, out.subarray(at)]);
    switch (random.int(8)) {
      case 0:
        out = Buffer.from(out);
        if (out.length > 0) out[random.int(out.length)] = random.int(256);
        break;
      case 1:
      case 2:
        out = insert(Buffer.from(random.pick(TOKENS)));
        break;
      case 3:
        out = Buffer.concat([out.subarray(0, at), out.subarray(end)]);
        break;
      case 4:
        out = insert(out.subarray(at, end));
        break;
      case 5:
        out = insert(Buffer.from(random.pick(BROKEN_UTF8)));
        break;
      case 6:
        out = out.subarray(0, at);
        break;
      case 7:
        // Two members change their places, or a piece of text moves.
        out = Buffer.concat([out.subarray(0, at), out.subarray(end), out.subarray(at, end)]);
        break;
    }
  }
  return out;
}

const mirrored = (name: string): string =>
  /^[\x21-\x7e]+$/.test(name) ? name : `=?base64?${Buffer.from(name).toString('base64')}?=`;
const headerSafe = (value: string): string => (/^[\x21-\x7e]*$/.test(value) ? value : 'x');
