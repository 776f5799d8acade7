import { find, parseTree, type ArrayNode, type Node, type ObjectNode } from '../../../policies/json/tree.ts';
import { splice, type Edit } from '../../../policies/json/splice.ts';
import type { JsonObject } from '../../../policies/types.ts';
import type { Frame } from '../../types.ts';
import { errorFrame, objectMember, resultFrame } from '../../wire/frame.ts';
import { setMembers } from './modern-edit.ts';

const HINTS: ReadonlySet<string> = new Set(['resultType', 'ttlMs', 'cacheScope']);
const INTERNAL = -32603;

/** The text of a result as clients with sessions know it: `id` is theirs, everything they may read keeps its bytes. */
export function toLegacyResult(answer: Frame, asked: Frame): string {
  const { text } = answer;
  const root = parseTree(text);
  const edits = idEdits(root, asked.id!);
  const result = find(root, 'result');
  if (result?.type !== 'object') return splice(text, edits);
  const content = find(result, 'structuredContent');
  const bare = asked.method === 'tools/call' && content !== undefined && content.type !== 'object';
  edits.push(...setMembers(result, {}, (key) => HINTS.has(key) || (bare && key === 'structuredContent')));
  const tools = asked.method === 'tools/list' ? find(result, 'tools') : undefined;
  if (tools?.type === 'array') edits.push(...schemaEdits(text, tools));
  return splice(text, edits);
}

/** Output schemas that describe anything but an object came with 2026-07-28; older readers refuse the whole list. */
function schemaEdits(text: string, tools: ArrayNode): Edit[] {
  return tools.items.flatMap((tool) => {
    const schema = find(tool, 'outputSchema');
    if (schema === undefined) return [];
    const type = find(schema, 'type');
    const fits = type?.type === 'string' && text.slice(type.start, type.end) === '"object"';
    return fits ? [] : setMembers(tool as ObjectNode, {}, (key) => key === 'outputSchema');
  });
}

/**
 * The text of an error as clients with sessions know it. What only the gateway's own hop can have done wrong is not told as
 * the client's mistake (E-13).
 */
export function toLegacyError(answer: Frame, asked: Frame): string {
  const error = objectMember(answer.value, 'error') ?? {};
  switch (error['code']) {
    case -32020:
      return errorText(asked, 'the server refused the headers that the gateway made for this request');
    case -32022:
      return errorText(asked, 'the server does not speak the revision by which the gateway asks it');
    case -32021:
      return failed(asked, `the server needs a capability that this client has not declared${wanted(error)}`);
    default:
  }
  const root = parseTree(answer.text);
  const edits = idEdits(root, asked.id!);
  const code = find(root, 'error', 'code');
  if (code !== undefined && isMissing(error, asked)) edits.push({ start: code.start, end: code.end, text: '-32002' });
  return splice(answer.text, edits);
}

function wanted(error: JsonObject): string {
  const names = Object.keys(objectMember(objectMember(error, 'data'), 'requiredCapabilities') ?? {});
  const known = names.filter((name) => /^[a-z]{1,32}$/.test(name));
  return known.length === 0 ? '' : `: ${known.join(', ')}`;
}

/** A resource that is not there: since 2026-07-28 an error about parameters whose data is its URI and nothing else. */
function isMissing(error: Readonly<Record<string, unknown>>, asked: Frame): boolean {
  if (asked.method !== 'resources/read' || error['code'] !== -32602) return false;
  const data = error['data'];
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return false;
  return Object.keys(data).join() === 'uri' && typeof (data as { uri: unknown }).uri === 'string';
}

/** The end of a call that cannot go on: a tool's caller, a model, reads why; elsewhere it is an error. */
export function failed(asked: Frame, sentence: string): string {
  if (asked.method !== 'tools/call') return errorText(asked, sentence);
  return resultFrame(asked.id!, JSON.stringify({ content: [{ type: 'text', text: sentence }], isError: true })).text;
}

/** A failure that is not the client's. */
export function errorText(asked: Frame, message: string, code = INTERNAL): string {
  return errorFrame(asked.id, { code, message }).text;
}

/** An error may come without an id; it is the answer all the same. */
const idEdits = (root: Node, id: string): Edit[] => (root.type === 'object' ? setMembers(root, { id }) : []);
