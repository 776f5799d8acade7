import { find, parseTree } from '../../policies/json/tree.ts';
import type { Node, ObjectNode } from '../../policies/json/tree.ts';
import type { Json, JsonObject } from '../../policies/types.ts';
import type { Frame } from '../types.ts';
import { objectMember } from '../wire/frame.ts';
import { declaredCapabilities } from './envelope.ts';
import { OWN_INPUTS } from './request-state.ts';
import { Names } from '../wire/names.ts';
import { REPEATABLE, mayHold, mayMean, resultHead, resultOfType, stringAt } from './result.ts';

const ASKING: Names = new Names(['resultType', 'inputRequests', 'requestState']);
const ENTRY: Names = new Names(['method', 'params']);
const INPUT_REQUESTS = /input[_-]?reque[s\u017f]t[s\u017f]/i;
const LOOKALIKE = 'a key of an answer that asks for input looks like a reserved one';

/** One question of an upstream to the client, inside an answer. */
export interface InputRequest {
  readonly key: string;
  readonly method: string;
  readonly params: JsonObject;
  /** The exact text of the params; `{}` when there are none. */
  readonly text: string;
  /** Where the params stand in the frame's text; absent when there are none. */
  readonly span?: { readonly start: number; readonly end: number };
}

/**
 * What is wrong with an answer that asks for input: at the wrong request (M-01), without any content or of an unknown
 * kind (M-02), or of a kind or mode that the client did not declare on this request (M-03). Judges the open questions of
 * a task (tasks/get, notifications/tasks) by the same rules. Undefined when nothing is wrong or nothing is asked.
 */
export function checkInputRequired(
  frame: Frame,
  request: Frame,
  clientCapabilities: JsonObject | undefined = declaredCapabilities(request),
): string | undefined {
  if (hasLookalike(frame)) return LOOKALIKE;
  const result = resultOfType(frame, 'input_required');
  if (result !== undefined) {
    if (!REPEATABLE.has(request.method as string)) return `${request.method} was answered with input_required`;
    const state = find(result, 'requestState');
    if (state !== undefined && state.type !== 'string') return 'requestState is not a string';
    const asked = find(result, 'inputRequests');
    if (state === undefined && (asked?.type !== 'object' || asked.members.length === 0))
      return 'input_required came with neither inputRequests nor requestState';
  }
  const asked = askedIn(frame, result);
  if (asked === undefined) return undefined;
  if (asked.type !== 'object') return 'inputRequests is not an object';
  for (const { key, value } of asked.members) {
    const fault = faultOf(frame.text, key, value, clientCapabilities ?? {});
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** The questions to the client in an answer or a task's notification, in their order, for each to be judged. */
export function inputRequestsOf(frame: Frame): readonly InputRequest[] {
  const asked = askedIn(frame, resultOfType(frame, 'input_required'));
  if (asked?.type !== 'object') return [];
  return asked.members.map(({ key, value }) => {
    const params = find(value, 'params');
    const text = params === undefined ? '{}' : frame.text.slice(params.start, params.end);
    return {
      key,
      method: stringAt(frame.text, value, 'method') ?? '',
      params: params?.type === 'object' ? (JSON.parse(text) as JsonObject) : {},
      text,
      ...(params && { span: { start: params.start, end: params.end } }),
    };
  });
}

/**
 * A task's questions stand in results of type `complete` and in notifications (tasks extension). Whoever reads them may not care
 * whether a task's id stands beside them.
 */
function askedIn(frame: Frame, inputRequired: ObjectNode | undefined): Node | undefined {
  if (inputRequired !== undefined) return find(inputRequired, 'inputRequests');
  if (frame.kind === 'request') return undefined;
  const holds =
    frame.kind === 'response' ? resultHead(frame).has('inputRequests') : mayHold(frame.text, 'inputRequests');
  if (!holds) return undefined;
  return find(parseTree(frame.text), frame.kind === 'response' ? 'result' : 'params', 'inputRequests');
}

/** Would a reader that ignores case find questions where nobody else does? */
function hasLookalike(frame: Frame): boolean {
  if (frame.kind === 'response') return [...resultHead(frame).keys()].some((key) => ASKING.mimics(key));
  if (frame.kind === 'request' || !mayMean(frame.text, INPUT_REQUESTS)) return false;
  return Object.keys(objectMember(frame.value, 'params') ?? {}).some((key) => ASKING.mimics(key));
}

function faultOf(text: string, key: string, value: Node, capabilities: JsonObject): string | undefined {
  if (key.startsWith(OWN_INPUTS)) return 'an input request has a key that is reserved for the gateway';
  if (value.type === 'object' && value.members.some((entry) => ENTRY.mimics(entry.key))) return LOOKALIKE;
  const params = find(value, 'params');
  if (params !== undefined && params.type !== 'object') return 'the params of an input request are not an object';
  switch (stringAt(text, value, 'method')) {
    case 'roots/list':
      return declares(capabilities, 'roots') ? undefined : undeclared('roots');
    case 'elicitation/create': {
      const mode = find(params, 'mode');
      const named = mode === undefined ? 'form' : stringAt(text, mode);
      if (named !== 'form' && named !== 'url') return 'an elicitation has an unknown mode';
      const elicitation = objectMember(capabilities, 'elicitation');
      // A bare declaration means forms, as it did before there were modes.
      const bare = elicitation !== undefined && !declares(elicitation, 'form') && !declares(elicitation, 'url');
      const able = declares(elicitation, named) || (named === 'form' && bare);
      return able ? undefined : undeclared(`elicitation.${named}`);
    }
    case 'sampling/createMessage': {
      const sampling = objectMember(capabilities, 'sampling');
      if (sampling === undefined) return undeclared('sampling');
      const withTools = find(params, 'tools') !== undefined || find(params, 'toolChoice') !== undefined;
      return withTools && !declares(sampling, 'tools') ? undeclared('sampling.tools') : undefined;
    }
    default:
      return 'an input request is none of elicitation/create, sampling/createMessage and roots/list';
  }
}

function declares(capabilities: JsonObject | undefined, name: string): boolean {
  const value: Json | undefined =
    capabilities !== undefined && Object.hasOwn(capabilities, name) ? capabilities[name] : undefined;
  return typeof value === 'object' && value !== null;
}

const undeclared = (capability: string): string =>
  `an input request needs the client capability ${capability}, which this request did not declare`;
