import { isUtf8 } from 'node:buffer';
import { memberSpan } from '../../policies/json/member.ts';
import { stringEnd } from '../../policies/json/lexeme.ts';
import { splice } from '../../policies/json/splice.ts';
import { scanMembers } from '../../policies/json/scan.ts';
import type { ScanLimits } from '../../policies/json/scan.ts';
import { decodeString } from '../../policies/json/tree.ts';
import type { Json, JsonObject } from '../../policies/types.ts';
import { GatewayError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import type { Frame } from '../types.ts';
import { isRequestMethod } from './methods.ts';
import { ENVELOPE, ENVELOPE_NAMES, META_NAMES, PARAMS_NAMES } from './names.ts';
import type { Names } from './names.ts';

export type FrameLimits = ScanLimits;

export const FRAME_LIMITS: FrameLimits = {
  depth: 64,
  arrayLength: 1_000_000,
  keyLength: 1024,
  stringLength: 16 * 1024 * 1024,
  numberDigits: 400,
};

/**
 * A message that was refused; `id` is the raw token of a request's id when that could be read, for the answer to echo (E-14).
 */
export class FrameFault extends GatewayError {
  readonly id: string | undefined;

  constructor(code: Extract<ErrorCode, 'parse_error' | 'invalid_request'>, detail: string, id?: string) {
    super(code, detail);
    this.name = 'FrameFault';
    this.id = id;
  }
}

const ID_LENGTH = 1024;
const METHOD_LENGTH = 256;
const INTEGER = /^(?:0|-?[1-9][0-9]{0,15})$/;
// oxlint-disable-next-line no-control-regex -- names the characters that no method may hold
const UNSEEN = /[\x00-\x1f\x7f-\x9f]/;

/**
 * Reads one strict JSON-RPC 2.0 message (PROTOCOL duties J-01 to J-09) or throws FrameFault. What it accepts has one
 * meaning for every reader: UTF-8, no duplicate or lookalike keys, no shape that is two kinds of message. From a
 * `server`, an error may come without id.
 */
export function decodeFrame(bytes: Buffer, limits: FrameLimits, sender: 'client' | 'server' = 'client'): Frame {
  if (!isUtf8(bytes)) throw new FrameFault('parse_error', 'it is not UTF-8');
  return decodeText(bytes.toString('utf8'), limits, sender, bytes);
}

/** The same of a text that is known to have been UTF-8, such as the data of an event. */
export function decodeText(
  text: string,
  limits: FrameLimits,
  sender: 'client' | 'server',
  bytes: Buffer = Buffer.from(text),
): Frame {
  if (text.charCodeAt(0) === 0xfeff) throw new FrameFault('parse_error', 'it begins with a byte order mark');
  const spans: number[] = [];
  const fault = scanMembers(text, limits, spans);
  if (fault?.type === 'grammar') throw new FrameFault('parse_error', fault.sentence);
  if (fault !== undefined) throw new FrameFault('invalid_request', fault.sentence, readableId(text));
  return decodeMembers(bytes, text, spans, sender);
}

/** The raw tokens of the members that JSON-RPC defines. */
type Tokens = { [key in (typeof ENVELOPE)[number]]?: string };

const isEnvelope = (key: string): key is keyof Tokens => (ENVELOPE as readonly string[]).includes(key);

function decodeMembers(bytes: Buffer, text: string, spans: readonly number[], sender: 'client' | 'server'): Frame {
  const first = text.trimStart().charCodeAt(0);
  if (first === 0x5b) throw new FrameFault('invalid_request', 'batches are not served');
  if (first !== 0x7b) throw new FrameFault('invalid_request', 'it must be an object');

  const raw: Tokens = {};
  let mimic = false;
  for (let i = 0; i < spans.length; i += 4) {
    const key = decodeString(text, spans[i]!, spans[i + 1]!);
    if (isEnvelope(key)) raw[key] = text.slice(spans[i + 2], spans[i + 3]);
    else mimic ||= ENVELOPE_NAMES.mimics(key);
  }
  const id = validId(raw.id);
  const isResponse = raw.result !== undefined || raw.error !== undefined;
  // The id of a response is the other side's: an error that echoed it could end a request of the sender's own.
  const echo = isResponse && raw.method === undefined ? undefined : id;
  const refuse = (detail: string): FrameFault => new FrameFault('invalid_request', detail, echo);

  if (mimic) throw refuse('a top-level key looks like a reserved one');
  if (stringOf(raw.jsonrpc) !== '2.0') throw refuse('jsonrpc must be "2.0"');
  const idless = isResponse && sender === 'server' && raw.error !== undefined && (raw.id ?? 'null') === 'null';
  if (raw.id !== undefined && id === undefined && !idless) throw refuse('id must be a string or an integer');

  if (isResponse) {
    if (raw.method !== undefined || raw.params !== undefined) throw refuse('it is both a request and a response');
    if (raw.result !== undefined && raw.error !== undefined) throw refuse('it has both result and error');
    if (id === undefined && !idless) throw refuse('a response must have an id');
    if (raw.result !== undefined && !isObject(raw.result)) throw refuse('result must be an object');
    if (raw.error !== undefined && !isError(raw.error)) throw refuse('error must have an integer code and a message');
    return frameOf('response', bytes, text, id, undefined);
  }

  const method = stringOf(raw.method);
  if (method === undefined || method === '')
    throw refuse('method must be a name, or there must be a result or an error');
  if (method.length > METHOD_LENGTH || UNSEEN.test(method)) throw refuse('method is no name of a method');
  if (raw.params !== undefined && !isObject(raw.params)) throw refuse('params must be an object');
  if (id === undefined && isRequestMethod(method)) throw refuse('a request must have an id');
  const value = JSON.parse(text) as JsonObject;
  const params = objectMember(value, 'params');
  if (hasMimic(params, PARAMS_NAMES)) throw refuse('a key of params looks like a reserved one');
  if (hasMimic(objectMember(params, '_meta'), META_NAMES)) throw refuse('a key of _meta looks like a reserved one');
  return { kind: id === undefined ? 'notification' : 'request', bytes, text, value, id, method };
}

/** The id of a request that was refused before its end was read, as far as it can be told. */
function readableId(text: string): string | undefined {
  if (memberSpan(text, 0, 'method') === undefined) return undefined;
  const span = memberSpan(text, 0, 'id');
  return span && validId(text.slice(span.start, span.end));
}

function validId(token: string | undefined): string | undefined {
  if (token === undefined || token.length > ID_LENGTH) return undefined;
  if (INTEGER.test(token)) return Number.isSafeInteger(Number(token)) ? token : undefined;
  return token.charCodeAt(0) === 0x22 && stringEnd(token, 0) === token.length ? token : undefined;
}

const stringOf = (token: string | undefined): string | undefined =>
  token?.charCodeAt(0) === 0x22 ? decodeString(token, 0, token.length) : undefined;

const isObject = (token: string | undefined): boolean => token?.charCodeAt(0) === 0x7b;

function isError(token: string): boolean {
  if (!isObject(token)) return false;
  const error = JSON.parse(token) as JsonObject;
  return (
    Object.hasOwn(error, 'code') &&
    Number.isInteger(error['code']) &&
    Object.hasOwn(error, 'message') &&
    typeof error['message'] === 'string'
  );
}

function hasMimic(value: JsonObject | undefined, names: Names): boolean {
  if (value !== undefined) for (const key of Object.keys(value)) if (names.mimics(key)) return true;
  return false;
}

/** The own member of that name, when it is an object; never one of the prototype's. */
export function objectMember(value: JsonObject | undefined, key: string): JsonObject | undefined {
  if (value === undefined || !Object.hasOwn(value, key)) return undefined;
  const member = value[key];
  return typeof member === 'object' && member !== null && !Array.isArray(member) ? member : undefined;
}

/** A frame whose value is parsed when it is first asked for: what is only passed on is never parsed. */
function frameOf(
  kind: Frame['kind'],
  bytes: Buffer,
  text: string,
  id: string | undefined,
  method: string | undefined,
): Frame {
  let parsed: JsonObject | undefined;
  return {
    kind,
    bytes,
    text,
    get value(): JsonObject {
      parsed ??= JSON.parse(text) as JsonObject;
      return parsed;
    },
    id,
    method,
  };
}

/** The same message with other text: an edit by spans that leaves kind, id and method as they are. */
export function withText(frame: Frame, text: string): Frame {
  return text === frame.text ? frame : frameOf(frame.kind, Buffer.from(text), text, frame.id, frame.method);
}

/** The same response under this id, when it has none: an error that was said before the request's id was known. */
export function answering(frame: Frame, id: string): Frame {
  if (frame.kind !== 'response' || frame.id !== undefined) return frame;
  const at = frame.text.indexOf('{') + 1;
  const span = memberSpan(frame.text, 0, 'id');
  const edit = span === undefined ? { start: at, end: at, text: `"id":${id},` } : { ...span, text: id };
  const text = splice(frame.text, [edit]);
  return frameOf('response', Buffer.from(text), text, id, undefined);
}

/** A raw id in the one spelling by which ids are compared: `1` and `"1"` differ, escapes do not count. */
export function idKey(id: string): string {
  return id.includes('\\') ? JSON.stringify(JSON.parse(id)) : id;
}

/** An error answer; without an id when the message had none that could be read. */
export function errorFrame(id: string | undefined, error: { code: number; message: string; data?: Json }): Frame {
  return built('response', id, undefined, `"error":${JSON.stringify(error)}`);
}

/** An answer whose result is a JSON text; throws SyntaxError when it is not one. */
export function resultFrame(id: string, resultJson: string): Frame {
  return built('response', id, undefined, `"result":${checked(resultJson)}`);
}

/** A request; `params` is an object or its JSON text. */
export function requestFrame(id: string, method: string, params?: JsonObject | string): Frame {
  return built('request', id, method, methodAndParams(method, params));
}

/** A notification; `params` is an object or its JSON text. */
export function notificationFrame(method: string, params?: JsonObject | string): Frame {
  return built('notification', undefined, method, methodAndParams(method, params));
}

function methodAndParams(method: string, params: JsonObject | string | undefined): string {
  const head = `"method":${JSON.stringify(method)}`;
  if (params === undefined) return head;
  return `${head},"params":${typeof params === 'string' ? checked(params) : JSON.stringify(params)}`;
}

/** Nothing but one whole JSON text may be put into a message, or it could add members of its own. */
function checked(json: string): string {
  JSON.parse(json);
  return json;
}

function built(kind: Frame['kind'], id: string | undefined, method: string | undefined, members: string): Frame {
  if (id !== undefined && validId(id) === undefined)
    throw new TypeError('the id of a frame must be a JSON string or integer');
  const text = `{"jsonrpc":"2.0",${id === undefined ? '' : `"id":${id},`}${members}}`;
  return frameOf(kind, Buffer.from(text), text, id, method);
}
