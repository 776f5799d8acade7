import { createHash } from 'node:crypto';
import { canonical } from '../../../policies/json/canonical.ts';
import { splice } from '../../../policies/json/splice.ts';
import { find, parseTree } from '../../../policies/json/tree.ts';
import type { JsonObject } from '../../../policies/types.ts';
import type { Frame } from '../../types.ts';
import { objectMember, withText } from '../../wire/frame.ts';
import { setMembers, objectNode, textAt } from './modern-edit.ts';

const PREFIX = 'io.modelcontextprotocol/';
const ENVELOPE: ReadonlySet<string> = new Set(
  ['protocolVersion', 'clientCapabilities', 'clientInfo', 'logLevel'].map((name) => PREFIX + name),
);
/** Of a retry only; and `task`, which a modern request does not have but a legacy server would obey. */
const FOREIGN: ReadonlySet<string> = new Set(['requestState', 'inputResponses', 'task']);
/** The methods whose result may ask for input (duty M-01). */
const ASKING: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read']);

/** What a modern request says beside its method's own params. */
export interface ModernRequest {
  readonly frame: Frame;
  /** The id as it stands in the text. */
  readonly id: string;
  readonly method: string;
  readonly params: JsonObject;
  /** The progress token as it stands in the text. */
  readonly token?: string;
  readonly level?: string;
  readonly capabilities: JsonObject;
  readonly clientInfo?: JsonObject;
  /** Its result may ask the client for input. */
  readonly asks: boolean;
}

/** Reads the envelope of a request that was classified as modern. */
export function readRequest(frame: Frame): ModernRequest {
  const method = frame.method!;
  const params = objectMember(frame.value, 'params') ?? {};
  const meta = objectMember(params, '_meta');
  const level = meta?.[`${PREFIX}logLevel`];
  const clientInfo = objectMember(meta, `${PREFIX}clientInfo`);
  let token: string | undefined;
  if (meta !== undefined && Object.hasOwn(meta, 'progressToken')) {
    const node = find(parseTree(frame.text), 'params', '_meta', 'progressToken');
    if (node !== undefined) token = textAt(frame.text, node);
  }
  return {
    frame,
    id: frame.id!,
    method,
    params,
    capabilities: objectMember(meta, `${PREFIX}clientCapabilities`) ?? {},
    asks: ASKING.has(method),
    ...(token === undefined ? {} : { token }),
    ...(typeof level === 'string' ? { level } : {}),
    ...(clientInfo === undefined ? {} : { clientInfo }),
  };
}

/** The request as a legacy session takes it: without its envelope, id and progress token replaced by `id`, all else as it came. */
export function legacyFrame(request: ModernRequest, id: number): Frame {
  const { text } = request.frame;
  const root = objectNode(parseTree(text))!;
  const params = objectNode(find(root, 'params'));
  const meta = objectNode(find(params, '_meta'));
  const bare = meta?.members.every(({ key }) => ENVELOPE.has(key)) === true;
  const edits = setMembers(root, { id: String(id) });
  if (params !== undefined)
    edits.push(...setMembers(params, {}, (key) => FOREIGN.has(key) || (bare && key === '_meta')));
  if (meta !== undefined && !bare) {
    const token: Record<string, string> = request.token === undefined ? {} : { progressToken: String(id) };
    edits.push(...setMembers(meta, token, (key) => ENVELOPE.has(key)));
  }
  const edited = withText(request.frame, splice(text, edits));
  return {
    kind: edited.kind,
    bytes: edited.bytes,
    text: edited.text,
    id: String(id),
    method: request.method,
    get value() {
      return edited.value;
    },
  };
}

/** What must be the same for a retry to continue a call: method and params, without what every request has of its own. */
export function digestOf(request: ModernRequest): string {
  const span = find(parseTree(request.frame.text), 'params');
  const params = span === undefined ? '{}' : textAt(request.frame.text, span);
  const node = objectNode(parseTree(params))!;
  const own = splice(
    params,
    setMembers(node, {}, (key) => FOREIGN.has(key) || key === '_meta'),
  );
  return createHash('sha256').update(request.method).update('\0').update(canonical(own)).digest('hex');
}
