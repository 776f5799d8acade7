import { find, parseTree, type Node } from '../../../policies/json/tree.ts';
import { splice } from '../../../policies/json/splice.ts';
import type { Frame } from '../../types.ts';
import { MODERN_VERSIONS } from '../../wire/era.ts';
import { objectMember, requestFrame, withText } from '../../wire/frame.ts';
import { encodeMirrored } from '../../wire/mirrored.ts';
import { mirrorParams, type ParamHeader } from '../../wire/param-headers.ts';
import type { SessionFacts } from './legacy-session.ts';
import { setMembers } from './modern-edit.ts';
import { spliceNode } from './splice-node.ts';

const PREFIX = 'io.modelcontextprotocol/';
const LOG_LEVEL = `${PREFIX}logLevel`;
const CLIENT_INFO = `${PREFIX}clientInfo`;
/** Members by which only clients of 2026-07-28 answer questions: in the mouth of others they mean nothing. */
const REPLIES: ReadonlySet<string> = new Set(['inputResponses', 'requestState']);
const OWN: ReadonlySet<string> = new Set([CLIENT_INFO, LOG_LEVEL]);
const VERSION = MODERN_VERSIONS[0]!;

/** The member of params that `Mcp-Name` repeats. */
const NAMED_BY: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
]);

/** What a request is sent again with: the answers to its server's questions, as JSON texts. */
export interface Replies {
  /** `"key":value` for each question. */
  readonly answers: readonly string[];
  /** The server's own words, exactly. */
  readonly state: string | undefined;
}

/** Members of `_meta` that say what a request is, as JSON texts. */
export type Envelope = Readonly<Record<string, string>>;

/** The envelope of a request of this session. */
export function envelopeOf(facts: SessionFacts, logLevel: string | undefined): Envelope {
  return {
    [`${PREFIX}protocolVersion`]: JSON.stringify(VERSION),
    [`${PREFIX}clientCapabilities`]: facts.capabilities,
    ...(facts.clientInfo === undefined ? {} : { [CLIENT_INFO]: facts.clientInfo }),
    ...(logLevel === undefined ? {} : { [LOG_LEVEL]: JSON.stringify(logLevel) }),
  };
}

/** The request as a client of 2026-07-28 would have written it; everything else of it keeps its bytes. */
export function toModern(frame: Frame, envelope: Envelope): Frame {
  const root = parseTree(frame.text);
  if (root.type !== 'object') return frame;
  const params = find(root, 'params');
  const text = modernParams(frame.text, params, envelope, undefined);
  const edits =
    params === undefined ? setMembers(root, { params: text }) : [{ start: params.start, end: params.end, text }];
  return withText(frame, splice(frame.text, edits));
}

/** The same request once more, under another id, with what its server asked for. */
export function repeated(frame: Frame, id: string, envelope: Envelope, replies: Replies): Frame {
  const params = find(parseTree(frame.text), 'params');
  return requestFrame(id, frame.method!, modernParams(frame.text, params, envelope, replies));
}

/** The text of params with the envelope in its `_meta`. */
export function modernParams(
  text: string,
  params: Node | undefined,
  envelope: Envelope,
  replies: Replies | undefined,
): string {
  const set: Record<string, string> = {};
  if (replies !== undefined && replies.answers.length > 0) set['inputResponses'] = `{${replies.answers.join(',')}}`;
  if (replies?.state !== undefined) set['requestState'] = replies.state;
  const meta = find(params, '_meta');
  if (meta?.type !== 'object') set['_meta'] = objectText(envelope);
  if (params?.type !== 'object') return objectText(set);
  const edits = setMembers(params, set, (key) => REPLIES.has(key));
  // What the client itself says under these names is not of its revision.
  if (meta?.type === 'object') edits.push(...setMembers(meta, envelope, (key) => OWN.has(key)));
  return spliceNode(text, params, edits);
}

const objectText = (members: Readonly<Record<string, string>>): string =>
  `{${Object.entries(members)
    .map(([key, text]) => `${JSON.stringify(key)}:${text}`)
    .join(',')}}`;

const DROPPED: ReadonlySet<string> = new Set(['mcp-session-id', 'last-event-id', 'mcp-method', 'mcp-name']);

/** The headers of a request in the words of 2026-07-28; tracing rides along. `params`: of the tool that is called. */
export function modernHeaders(
  incoming: Readonly<Record<string, string>>,
  frame: Frame,
  params: readonly ParamHeader[] = [],
): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(incoming)) {
    if (!DROPPED.has(name) && !name.startsWith('mcp-param-')) headers[name] = value;
  }
  headers['accept'] = 'application/json, text/event-stream';
  headers['content-type'] = 'application/json';
  headers['mcp-protocol-version'] = VERSION;
  headers['mcp-method'] = frame.method!;
  const named = NAMED_BY.get(frame.method!);
  const said = objectMember(frame.value, 'params');
  const name = named === undefined || said === undefined ? undefined : said[named];
  if (typeof name === 'string') headers['mcp-name'] = encodeMirrored(name);
  if (params.length === 0 || said === undefined || !Object.hasOwn(said, 'arguments')) return headers;
  const args = find(parseTree(frame.text), 'params', 'arguments');
  const text = args === undefined ? undefined : frame.text.slice(args.start, args.end);
  return { ...headers, ...mirrorParams(said['arguments'], params, text) };
}
