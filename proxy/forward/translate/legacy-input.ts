import { randomUUID } from 'node:crypto';
import { decodeString, find, parseTree, type Node } from '../../../policies/json/tree.ts';
import { splice } from '../../../policies/json/splice.ts';
import type { JsonObject } from '../../../policies/types.ts';
import type { Frame } from '../../types.ts';
import { objectMember, requestFrame } from '../../wire/frame.ts';
import type { SessionFacts } from './legacy-session.ts';
import { setMembers, objectNode, textAt } from './modern-edit.ts';

/** One question of an InputRequiredResult. */
export interface Question {
  /** Its key, as a JSON string token. */
  readonly key: string;
  readonly method: string;
  /** JSON text of the params, when there are any. */
  readonly params: string | undefined;
}

export interface InputRequired {
  readonly questions: readonly Question[];
  /** The server's state, as its JSON string token. */
  readonly state: string | undefined;
}

/** Questions of one round. */
const MOST_QUESTIONS = 64;

const METHODS: ReadonlySet<string> = new Set(['elicitation/create', 'sampling/createMessage', 'roots/list']);

/** The questions that an InputRequiredResult asks, or undefined when it breaks the rules for one (M-02). */
export function readInputRequired(answer: Frame): InputRequired | undefined {
  const { text } = answer;
  const result = find(parseTree(text), 'result');
  const state = find(result, 'requestState');
  const requests = find(result, 'inputRequests');
  if (state !== undefined && state.type !== 'string') return undefined;
  if (requests !== undefined && requests.type !== 'object') return undefined;
  if (state === undefined && (requests?.members ?? []).length === 0) return undefined;
  if (requests !== undefined && requests.members.length > MOST_QUESTIONS) return undefined;
  const questions: Question[] = [];
  for (const { keyStart, keyEnd, value } of requests?.members ?? []) {
    const method = find(value, 'method');
    const name = method?.type === 'string' ? decodeString(text, method.start, method.end) : '';
    const params = find(value, 'params');
    if (!METHODS.has(name) || (params !== undefined && params.type !== 'object')) return undefined;
    questions.push({
      key: text.slice(keyStart, keyEnd),
      method: name,
      params: params === undefined ? undefined : textAt(text, params),
    });
  }
  return { questions, state: state === undefined ? undefined : textAt(text, state) };
}

/** Whether the client declared that it can answer a question of this kind (M-03). */
export function canAnswer({ method, params }: Question, facts: SessionFacts): boolean {
  const capabilities = JSON.parse(facts.capabilities) as JsonObject;
  const said = params === undefined ? {} : (JSON.parse(params) as JsonObject);
  if (method === 'roots/list') return objectMember(capabilities, 'roots') !== undefined;
  if (method === 'sampling/createMessage') {
    const sampling = objectMember(capabilities, 'sampling');
    const tools = Object.hasOwn(said, 'tools') || Object.hasOwn(said, 'toolChoice');
    return sampling !== undefined && (!tools || objectMember(sampling, 'tools') !== undefined);
  }
  const elicitation = objectMember(capabilities, 'elicitation');
  if (elicitation === undefined) return false;
  const url = objectMember(elicitation, 'url') !== undefined;
  if (isUrl(said)) return url && facts.version >= '2025-11-25';
  // An empty capability means forms, as it did before there were other modes.
  return objectMember(elicitation, 'form') !== undefined || !url;
}

const isUrl = (params: JsonObject): boolean => Object.hasOwn(params, 'mode') && params['mode'] === 'url';

/** The question as a request of a server with sessions, under an id that nobody can guess. */
export function questionFrame(question: Question, facts: SessionFacts): Frame {
  const id = JSON.stringify(`portcullis:${randomUUID()}`);
  const { method, params } = question;
  if (method !== 'elicitation/create' || params === undefined) return requestFrame(id, method, params);
  const node: Node = parseTree(params);
  const object = objectNode(node);
  if (object === undefined) return requestFrame(id, method, params);
  const url = isUrl(JSON.parse(params) as JsonObject);
  // Correlation of URLs is by id up to 2025-11-25; before it there was one mode and no word for it.
  const set: Record<string, string> =
    url && find(node, 'elicitationId') === undefined ? { elicitationId: JSON.stringify(randomUUID()) } : {};
  const edits = setMembers(object, set, (key) => key === 'mode' && facts.version < '2025-11-25');
  return requestFrame(id, method, splice(params, edits));
}
