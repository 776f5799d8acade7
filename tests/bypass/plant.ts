import fc from 'fast-check';
import type { Json, JsonObject } from '../../policies/types.ts';
import { base64, escapes, percent, wide } from './corpus/disguises.ts';
import type { Era } from './corpus/types.ts';

/** A way of writing a text as another text; `pad` is a number that chooses among the ways it has. */
type Encoding = (text: string, pad: number) => string;

const FILL = ['', 'x', 'xy', 'xyz'];
const INVISIBLE = ['\u200b', '\u200d', '\u2060', '\ufeff', '\u00ad', '\u202e', '\u2066'];
const spread = (text: string, pad: number): string => {
  const mark = INVISIBLE[pad % INVISIBLE.length]!;
  return pad % 2 === 0
    ? [...text].join(mark)
    : `${text.slice(0, pad % text.length)}${mark}${text.slice(pad % text.length)}`;
};
const hex = (text: string): string => Buffer.from(text).toString('hex');

export const ENCODINGS: Readonly<Record<string, Encoding>> = {
  'JSON in a string': (text, pad) => JSON.stringify(pad % 2 === 0 ? { note: text } : ['a', { [text]: 1 }]),
  'JSON with escapes': (text) =>
    `{"note":"${[...text].map((char) => (/[ -~]/.test(char) ? escapes(char) : char)).join('')}"}`,
  base64: (text, pad) => `${FILL[(pad >> 2) % 4]!}${base64(`${FILL[pad % 4]!}${text}`)}`,
  base64url: (text, pad) => Buffer.from(`${FILL[pad % 4]!}${text}${FILL[(pad >> 2) % 4]!}`).toString('base64url'),
  hexadecimal: (text, pad) => (pad % 2 === 0 ? hex(text) : hex(text).toUpperCase()),
  'data URI': (text, pad) => (pad % 2 === 0 ? `data:text/plain;base64,${base64(text)}` : `data:,${percent(text)}`),
  'URL-encoding': (text, pad) => (pad % 2 === 0 ? percent(text) : encodeURIComponent(text)),
  'invisible characters': spread,
  'full-width letters': (text) => wide(text),
  'in a sentence': (text) => `see ${text} for more`,
};

export interface Planted {
  readonly era: Era;
  readonly method: string;
  readonly params: JsonObject;
  /** What the upstream answers: a whole message but for its head, and messages on the stream before it. */
  readonly answer: JsonObject;
  readonly events: readonly JsonObject[];
  /** Encodings in the order in which they were laid around the secret. */
  readonly wrapped: readonly string[];
  readonly place: string;
}

const METHODS: Readonly<Record<string, JsonObject>> = {
  'tools/call': { name: 'say', arguments: {}, _meta: { progressToken: 'p' } },
  'tools/list': {},
  'prompts/list': {},
  'prompts/get': { name: 'letter' },
  'resources/list': {},
  'resources/templates/list': {},
  'resources/read': { uri: 'file:///a' },
  'completion/complete': { ref: { type: 'ref/prompt', name: 'letter' }, argument: { name: 'to', value: 'x' } },
};
const CACHED = new Set([
  'tools/list',
  'prompts/list',
  'prompts/get',
  'resources/list',
  'resources/templates/list',
  'resources/read',
]);

/** Shapes of an honest answer to each method; the secret takes the place of one of their strings, keys or objects. */
const SHAPES: Readonly<Record<string, readonly JsonObject[]>> = {
  'tools/call': [
    {
      content: [
        { type: 'text', text: 'a' },
        { type: 'text', text: 'b' },
      ],
    },
    { content: [{ type: 'text', text: 'a' }], structuredContent: { a: 'b', c: [{ d: 'e' }, 'f'] }, isError: true },
    { content: [{ type: 'resource', resource: { uri: 'file:///a', mimeType: 'text/plain', text: 'b' } }] },
    {
      content: [{ type: 'resource_link', uri: 'file:///a', name: 'b', title: 'c', description: 'd' }],
      _meta: { x: 'y' },
    },
  ],
  'tools/list': [
    {
      tools: [
        {
          name: 'a',
          title: 'b',
          description: 'c',
          inputSchema: {
            type: 'object',
            properties: { p: { type: 'string', description: 'd', enum: ['e'], default: 'f' } },
          },
          annotations: { title: 'g' },
          icons: [{ src: 'https://example.net/a.png' }],
          _meta: { x: 'y' },
        },
      ],
    },
  ],
  'prompts/list': [
    { prompts: [{ name: 'a', title: 'b', description: 'c', arguments: [{ name: 'd', description: 'e' }] }] },
  ],
  'prompts/get': [
    { description: 'a', messages: [{ role: 'user', content: { type: 'text', text: 'b' } }] },
    { messages: [{ role: 'assistant', content: { type: 'resource', resource: { uri: 'file:///a', text: 'b' } } }] },
  ],
  'resources/list': [
    { resources: [{ uri: 'file:///a', name: 'b', title: 'c', description: 'd', mimeType: 'text/plain' }] },
  ],
  'resources/templates/list': [{ resourceTemplates: [{ uriTemplate: 'file:///{a}', name: 'b', description: 'c' }] }],
  'resources/read': [{ contents: [{ uri: 'file:///a', mimeType: 'text/plain', text: 'b' }], _meta: { x: 'y' } }],
  'completion/complete': [{ completion: { values: ['a', 'b'], total: 2, hasMore: false } }],
};
const ERRORS: readonly JsonObject[] = [
  { code: -32000, message: 'a', data: { b: ['c', { d: 'e' }] } },
  { code: -32603, message: 'a', data: 'b' },
];
const EVENTS: readonly JsonObject[] = [
  { method: 'notifications/progress', params: { progressToken: 'p', progress: 1, message: 'a', _meta: { b: 'c' } } },
];

/** Members whose values the wire or the client must be able to rely on: planted there, the message is refused or means something else. */
const FIXED = new Set(['type', 'role', 'jsonrpc', 'method', 'progressToken', 'isError']);

type Path = readonly (string | number)[];
interface Spot {
  readonly path: Path;
  readonly as: 'value' | 'key' | 'member';
}

/** Every place of a message in which a text can be put: instead of a string, as a key, as one more member. */
function spots(value: Json, path: Path = []): readonly Spot[] {
  if (typeof value === 'string') return [{ path, as: 'value' }];
  if (Array.isArray(value)) return value.flatMap((item, at) => spots(item, [...path, at]));
  if (typeof value !== 'object' || value === null) return [];
  const inner = Object.entries(value).flatMap(([key, item]) => (FIXED.has(key) ? [] : spots(item, [...path, key])));
  return [{ path, as: 'key' }, { path, as: 'member' }, ...inner];
}

function plantAt(value: Json, { path, as }: Spot, text: string): Json {
  const [step, ...rest] = path;
  if (step !== undefined) {
    if (Array.isArray(value))
      return value.map((item, at) => (at === step ? plantAt(item, { path: rest, as }, text) : item));
    const object = value as JsonObject;
    return { ...object, [step]: plantAt(object[step]!, { path: rest, as }, text) };
  }
  if (as === 'value') return text;
  return as === 'key' ? { ...(value as JsonObject), [text]: 'x' } : { ...(value as JsonObject), note: text };
}

/** Messages with the secret somewhere, written somehow: in so many of these encodings, one around the other. */
export function planted(secret: string, encodings: readonly string[], depth: number): fc.Arbitrary<Planted> {
  const chain = fc.array(fc.tuple(fc.constantFrom(...encodings), fc.nat(63)), { maxLength: depth });
  const kind = fc.constantFrom<'result' | 'error' | 'event'>('result', 'result', 'result', 'error', 'event');
  return fc
    .record({
      era: fc.constantFrom<Era>('legacy', 'modern'),
      method: fc.constantFrom(...Object.keys(METHODS)),
      kind,
      shape: fc.nat(99),
      spot: fc.nat(9_999),
      chain,
    })
    .map(({ era, method: any, kind: part, shape, spot, chain: layers }) => {
      const method = part === 'event' ? 'tools/call' : any;
      const text = layers.reduce((inner, [name, pad]) => ENCODINGS[name]!(inner, pad), secret);
      const shapes = part === 'result' ? SHAPES[method]! : part === 'error' ? ERRORS : EVENTS;
      const base = shapes[shape % shapes.length]!;
      const all = spots(base);
      const chosen = all[spot % all.length]!;
      const made = plantAt(base, chosen, text) as JsonObject;
      const extra: JsonObject =
        era === 'modern'
          ? { resultType: 'complete', ...(CACHED.has(method) ? { ttlMs: 0, cacheScope: 'private' } : {}) }
          : {};
      const honest: JsonObject = { ...SHAPES[method]![0]!, ...extra };
      return {
        era,
        method,
        params: METHODS[method]!,
        answer: (part === 'error'
          ? { error: made }
          : { result: part === 'result' ? { ...made, ...extra } : honest }) as JsonObject,
        events: part === 'event' ? [made] : [],
        wrapped: layers.map(([name]) => name),
        place: `${part} ${chosen.path.join('/')} ${chosen.as}`,
      };
    });
}
