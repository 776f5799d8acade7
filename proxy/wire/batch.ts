import { isUtf8 } from 'node:buffer';
import { skipSpace, stringEnd } from '../../policies/json/lexeme.ts';
import { scanMembers } from '../../policies/json/scan.ts';
import type { Frame } from '../types.ts';
import { decodeFrame, FrameFault, idKey, objectMember, type FrameLimits } from './frame.ts';

/** Messages that one batch may hold. */
export const MOST_IN_BATCH = 100;

/** The messages of one batch in their order, each with its exact bytes. */
export class Batch {
  readonly frames: readonly Frame[];

  constructor(frames: readonly Frame[]) {
    this.frames = frames;
  }
}

const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const QUOTE = 0x22;
const COMMA = 0x2c;
const VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';

/** Whether a body can only be a batch: its first byte that is not blank opens an array. */
export function isBatch(bytes: Buffer): boolean {
  for (const byte of bytes) {
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte === OPEN_ARRAY;
  }
  return false;
}

/**
 * Splits a batch into messages that are each as strict as a single one, or throws FrameFault: what is wrong with one
 * element is wrong with the whole, of which nothing may run then (BT-01, BT-02, J-06).
 */
export function decodeBatch(bytes: Buffer, limits: FrameLimits): Batch {
  if (!isUtf8(bytes)) throw new FrameFault('parse_error', 'it is not UTF-8');
  const text = bytes.toString('utf8');
  const fault = scanMembers(text, { ...limits, depth: limits.depth + 1 }, []);
  if (fault !== undefined)
    throw new FrameFault(fault.type === 'grammar' ? 'parse_error' : 'invalid_request', fault.sentence);
  const frames = elementsOf(text).map((element, at) => decodeElement(element, at, limits));
  const kinds = new Set(frames.map(({ kind }) => (kind === 'response' ? kind : 'request')));
  if (kinds.size > 1) throw refused('a batch holds requests and notifications, or responses only');
  const ids = new Set<string>();
  for (const { id } of frames) {
    if (id === undefined) continue;
    if (ids.has(idKey(id))) throw refused('two elements of the batch have the same id');
    ids.add(idKey(id));
  }
  return new Batch(frames);
}

function decodeElement(text: string, at: number, limits: FrameLimits): Frame {
  let frame: Frame;
  try {
    frame = decodeFrame(Buffer.from(text), limits);
  } catch (fault) {
    if (!(fault instanceof FrameFault)) throw fault;
    // Without the element's id: the fault is the batch's.
    throw refused(`element ${at + 1} of the batch: ${fault.message.slice(fault.message.indexOf(': ') + 2)}`);
  }
  if (frame.method === 'initialize') throw refused('initialize must not be part of a batch');
  const meta = objectMember(objectMember(frame.value, 'params'), '_meta');
  if (meta !== undefined && Object.hasOwn(meta, VERSION_KEY))
    throw refused('no batches are served on the revision of its elements');
  return frame;
}

/** The text of each element of an array that was scanned before; stops at the first too many. */
function elementsOf(text: string): readonly string[] {
  const elements: string[] = [];
  let i = skipSpace(text, skipSpace(text, 0) + 1);
  let start = i;
  for (let depth = 0; ;) {
    const c = text.charCodeAt(i);
    if (c === QUOTE) {
      i = stringEnd(text, i);
      continue;
    }
    const opens = c === OPEN_ARRAY || c === OPEN_OBJECT;
    const closes = c === CLOSE_ARRAY || c === CLOSE_OBJECT;
    if (depth === 0 && (c === COMMA || closes)) {
      const element = text.slice(start, i).trimEnd();
      if (element === '') throw refused('a batch must hold a message');
      if (elements.length === MOST_IN_BATCH) throw refused(`a batch must not hold more than ${MOST_IN_BATCH} messages`);
      elements.push(element);
      if (closes) return elements;
      start = skipSpace(text, i + 1);
    }
    if (opens) depth += 1;
    else if (closes) depth -= 1;
    i += 1;
  }
}

const refused = (detail: string): FrameFault => new FrameFault('invalid_request', detail);
