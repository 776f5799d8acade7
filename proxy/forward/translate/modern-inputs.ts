import { splice } from '../../../policies/json/splice.ts';
import { find, parseTree } from '../../../policies/json/tree.ts';
import type { JsonObject } from '../../../policies/types.ts';
import type { Frame } from '../../types.ts';
import { objectMember, resultFrame } from '../../wire/frame.ts';
import { setMembers, objectNode, stringAt, textAt } from './modern-edit.ts';
import { INVALID_PARAMS, METHOD_NOT_FOUND } from './modern-result.ts';

/** One thing that the server wants of the client; `params` is its JSON text. */
export interface Input {
  readonly method: string;
  readonly params: string | undefined;
}

const TASKS = 'io.modelcontextprotocol/tasks';
const has = (value: JsonObject | undefined, key: string): boolean => value !== undefined && Object.hasOwn(value, key);

/** The capabilities of a modern client as its legacy session declares them: without tasks and without changing roots. */
export function legacyCapabilities(modern: JsonObject): JsonObject {
  const { tasks: _tasks, extensions, roots, elicitation, ...rest } = modern;
  const modes = elicitationModes(modern);
  const { [TASKS]: _extension, ...kept } = (objectMember({ extensions: extensions ?? null }, 'extensions') ??
    {}) as JsonObject;
  return {
    ...rest,
    ...(roots === undefined ? {} : { roots: {} }),
    ...(elicitation === undefined
      ? {}
      : { elicitation: { ...(modes.form ? { form: {} } : {}), ...(modes.url ? { url: {} } : {}) } }),
    ...(Object.keys(kept).length === 0 ? {} : { extensions: kept }),
  };
}

/** Nothing said of modes means forms. */
function elicitationModes(capabilities: JsonObject): { form: boolean; url: boolean } {
  const declared = objectMember(capabilities, 'elicitation');
  const url = has(declared, 'url');
  return { form: declared !== undefined && (has(declared, 'form') || !url), url };
}

export const takesUrls = (capabilities: JsonObject): boolean => elicitationModes(capabilities).url;

/** Why a request of the server must not reach a client with these capabilities; undefined when it may (duty M-03). */
export function refusalOf(request: Frame, capabilities: JsonObject): { code: number; message: string } | undefined {
  const unserved = { code: METHOD_NOT_FOUND, message: `the client does not serve ${request.method}` };
  const params = objectMember(request.value, 'params');
  switch (request.method) {
    case 'roots/list':
      return has(capabilities, 'roots') ? undefined : unserved;
    case 'sampling/createMessage': {
      const sampling = objectMember(capabilities, 'sampling');
      if (sampling === undefined) return unserved;
      const tools = has(params, 'tools') || has(params, 'toolChoice');
      if (!tools || has(sampling, 'tools')) return undefined;
      return { code: INVALID_PARAMS, message: 'the client serves no sampling with tools' };
    }
    case 'elicitation/create': {
      if (!has(capabilities, 'elicitation')) return unserved;
      const mode = params?.['mode'] ?? 'form';
      const modes = elicitationModes(capabilities);
      if ((mode === 'form' && modes.form) || (mode === 'url' && modes.url)) return undefined;
      return { code: INVALID_PARAMS, message: 'the client does not serve this mode of elicitation' };
    }
    default:
      return unserved;
  }
}

/** Members of legacy requests that the modern wire does not have. */
const GONE: ReadonlySet<string> = new Set(['elicitationId', 'task']);

/** A request of the server as an input request. */
export function inputOf(request: Frame): Input {
  const params = find(parseTree(request.text), 'params');
  return { method: request.method!, params: params && bare(textAt(request.text, params)) };
}

function bare(params: string): string {
  const node = objectNode(parseTree(params));
  return node === undefined
    ? params
    : splice(
        params,
        setMembers(node, {}, (key) => GONE.has(key)),
      );
}

/** The URLs that an error -32042 wants opened first. */
export function urlInputs(error: Frame): Input[] {
  const { text } = error;
  const list = find(parseTree(text), 'error', 'data', 'elicitations');
  if (list?.type !== 'array') return [];
  return list.items
    .filter((item) => stringAt(text, find(item, 'url')) !== undefined)
    .map((item) => ({ method: 'elicitation/create', params: bare(textAt(text, item)) }));
}

/** The answer that asks the client for these inputs and tells it how to come back. */
export function inputRequired(id: string, inputs: ReadonlyMap<string, Input>, state: string): Frame {
  const requests = [...inputs].map(([key, { method, params }]) => {
    const rest = params === undefined ? '' : `,"params":${params}`;
    return `${JSON.stringify(key)}:{"method":${JSON.stringify(method)}${rest}}`;
  });
  const head = '"resultType":"input_required"';
  return resultFrame(id, `{${head},"inputRequests":{${requests.join(',')}},"requestState":${JSON.stringify(state)}}`);
}

/** The client's answers by key, as JSON texts; undefined when one is no object. */
export function inputResponses(retry: Frame): ReadonlyMap<string, string> | undefined {
  const node = find(parseTree(retry.text), 'params', 'inputResponses');
  if (node === undefined) return new Map();
  if (node.type !== 'object' || node.members.some(({ value }) => value.type !== 'object')) return undefined;
  return new Map(node.members.map(({ key, value }) => [key, textAt(retry.text, value)]));
}
