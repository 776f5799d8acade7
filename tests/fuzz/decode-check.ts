import assert from 'node:assert/strict';
import type { JsonObject } from '../../policies/types.ts';
import { decodeFrame, FrameFault, FRAME_LIMITS, idKey } from '../../proxy/wire/frame.ts';
import { lookalikeOf, readingsOf } from './json-readings.ts';
import type { MadeFrame } from './frame-maker.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * What decodeFrame accepts has one meaning: the one that JSON.parse finds in it, with no second for readers that take the
 * first of two keys, or ignore their case. Answers whether it was accepted; throws when any of that is not so.
 */
export function checkDecode({ bytes, plain }: MadeFrame, sender: 'client' | 'server'): boolean {
  let frame;
  try {
    frame = decodeFrame(bytes, FRAME_LIMITS, sender);
  } catch (fault) {
    assert(fault instanceof FrameFault, `refused in no known way: ${String(fault)}`);
    assert(!plain, `a plain message was refused: ${fault.message}`);
    return false;
  }
  const text = utf8.decode(bytes);
  const value = JSON.parse(text) as JsonObject;
  assert(typeof value === 'object' && value !== null && !Array.isArray(value), 'no object');
  assert.equal(value['jsonrpc'], '2.0');
  assert.equal(frame.method, value['method'], 'the method is another one');
  const hasId = Object.hasOwn(value, 'id') && value['id'] !== null;
  assert.equal(frame.id === undefined ? undefined : idKey(frame.id), hasId ? JSON.stringify(value['id']) : undefined);
  const isAnswer = Object.hasOwn(value, 'result') || Object.hasOwn(value, 'error');
  assert.equal(frame.kind, isAnswer ? 'response' : hasId ? 'request' : 'notification');
  assert(!(isAnswer && Object.hasOwn(value, 'method')), 'two kinds of message at once');
  assert.deepEqual(frame.value, value);
  assert.equal(frame.text, text);
  assert(frame.bytes.equals(bytes), 'other bytes');
  const readings = readingsOf(text);
  assert(!readings.repeats, 'a key stands twice');
  if (frame.kind !== 'response') assert.equal(lookalikeOf(readings), undefined);
  return true;
}
