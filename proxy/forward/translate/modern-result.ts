import { splice, type Edit } from '../../../policies/json/splice.ts';
import { find, parseTree, type Node, type ObjectNode } from '../../../policies/json/tree.ts';
import type { Frame } from '../../types.ts';
import { withText } from '../../wire/frame.ts';
import { setMembers, objectNode } from './modern-edit.ts';
import type { ModernRequest } from './modern-request.ts';

/** Lists and reads tell how long they may be kept (duty K-01): a legacy server says nothing of it, so not at all. */
const CACHEABLE: ReadonlySet<string> = new Set([
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
]);
const HINTS = { ttlMs: '0', cacheScope: '"private"' };
export const METHOD_NOT_FOUND = -32601;
export const INVALID_PARAMS = -32602;
export const INTERNAL = -32603;
const RESOURCE_NOT_FOUND = -32002;
export const URL_ELICITATION = -32042;

export interface ModernAnswer {
  readonly frame: Frame;
  readonly status: number;
}

/** The final answer of a legacy server in the words of 2026-07-28, to the request with this id; all else byte for byte. */
export function modernAnswer(frame: Frame, request: ModernRequest): ModernAnswer {
  const { text } = frame;
  const root = objectNode(parseTree(text))!;
  const edits = setMembers(root, { id: request.id });
  const result = objectNode(find(root, 'result'));
  if (result !== undefined) {
    edits.push(...resultEdits(text, result, request.method));
    return { frame: withText(frame, splice(text, edits)), status: 200 };
  }
  const error = objectNode(find(root, 'error'))!;
  const code = (frame.value['error'] as { code: number }).code;
  const said = modernCode(code);
  if (said !== code) {
    // What goes with a code of another meaning would be misread under this one.
    const foreign = code !== RESOURCE_NOT_FOUND;
    edits.push(...setMembers(error, { code: String(said) }, (key) => foreign && key === 'data'));
  }
  return { frame: withText(frame, splice(text, edits)), status: said === METHOD_NOT_FOUND ? 404 : 200 };
}

function resultEdits(text: string, result: ObjectNode, method: string): Edit[] {
  const members: Record<string, string> = { resultType: '"complete"' };
  if (CACHEABLE.has(method)) Object.assign(members, HINTS);
  if (method === 'tools/call' && find(result, 'content') === undefined) members['content'] = '[]';
  const edits = setMembers(result, members);
  const tools = find(result, 'tools');
  if (method === 'tools/list' && tools?.type === 'array' && text.includes('mcp-header')) {
    for (const tool of tools.items) stripAnnotation(find(tool, 'inputSchema'), false, edits);
  }
  return edits;
}

/** Codes that the modern wire keeps for meanings of its own must not pass with another (duty E-11). */
function modernCode(code: number): number {
  if (code === RESOURCE_NOT_FOUND) return INVALID_PARAMS;
  return code <= -32020 && code >= -32099 ? INTERNAL : code;
}

const NAMED: ReadonlySet<string> = new Set([
  'properties',
  'patternProperties',
  '$defs',
  'definitions',
  'dependentSchemas',
]);
const DATA: ReadonlySet<string> = new Set(['default', 'const', 'enum', 'examples']);

/** Takes `x-mcp-header` out of a schema: a legacy server gave it no meaning, but a modern client would mirror the argument. */
function stripAnnotation(node: Node | undefined, names: boolean, edits: Edit[]): void {
  if (node?.type === 'array') for (const item of node.items) stripAnnotation(item, false, edits);
  if (node?.type !== 'object') return;
  if (!names) edits.push(...setMembers(node, {}, (key) => key === 'x-mcp-header'));
  for (const { key, value } of node.members) {
    if (!names && (DATA.has(key) || key === 'x-mcp-header')) continue;
    stripAnnotation(value, !names && NAMED.has(key), edits);
  }
}
