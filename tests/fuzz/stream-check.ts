import assert from 'node:assert/strict';
import { GatewayError } from '../../proxy/errors.ts';
import { resultFrame } from '../../proxy/wire/frame.ts';
import { encodeEvent, SseReader, type SseEvent } from '../../proxy/wire/sse.ts';
import type { Random } from './random.ts';
import { readStream, type Block } from './sse-reference.ts';
import { makeStream } from './stream-maker.ts';

type Fields = Omit<Block, 'bytes'>;

/**
 * However it is cut, the reader finds in a stream what the standard finds in it, no byte is lost or made up, and what cannot be read
 * ends it. Answers how many events there were.
 */
export function checkStream(random: Random): number {
  const stream = makeStream(random);
  const eventSize = random.chance(10) ? 20 + random.int(40) : 1 << 20;
  const { blocks, fault } = readStream(stream, eventSize);
  const reader = new SseReader({ eventSize });
  const events: SseEvent[] = [];
  let failed = false;
  try {
    for (const chunk of random.cut(stream)) events.push(...reader.push(chunk));
  } catch (thrown) {
    assert(thrown instanceof GatewayError && thrown.code === 'upstream_invalid', String(thrown));
    failed = true;
    assert.throws(() => reader.push(Buffer.from('data: 1\n\n')), thrown, 'it goes on after a fault');
  }
  // A LF that a chunk separates from its CR counts to the next event: there one byte may be too many.
  if (eventSize === 1 << 20) assert.equal(failed, fault, 'fault');
  else if (failed !== fault) {
    const near = blocks.some(({ bytes }) => Math.abs(bytes - eventSize) <= 1) || stream.length > eventSize;
    assert(near, 'the size cap');
  }
  if (failed) assert(events.length <= blocks.length || eventSize < 1 << 20, 'more events than there are');
  else if (!fault) assert.equal(events.length, blocks.length);
  const common = Math.min(events.length, blocks.length);
  assert.deepEqual(events.slice(0, common).map(fieldsOf), blocks.slice(0, common).map(fieldsOf));
  const raw = Buffer.concat(events.map((event) => event.raw));
  assert(stream.subarray(0, raw.length).equals(raw), 'other bytes');
  return events.length;
}

/** A message that is written as an event is read back as itself, with the fields it came with. */
export function checkEncode(random: Random): void {
  const blank = (): string => random.pick(['', ' ', '\n', '\r\n', '\r', '\n\n', '\t']);
  const word = JSON.stringify(random.pick(['x', 'é漢😀', '\u2028', '\r\n', 'data: 1\n\n', '\ufeff', '\0', ': c']));
  const json = `${blank()}{${blank()}"a":${blank()}${word}${blank()},"n":1.0${blank()}}${blank()}`;
  const frame = resultFrame(String(random.int(1000)), json);
  const fields = {
    ...(random.chance(50) ? { event: random.pick(['message', '', 'x y', 'é']) } : {}),
    ...(random.chance(50) ? { id: random.pick(['1', '', ' ', 'a:b']) } : {}),
    ...(random.chance(30) ? { retry: String(random.int(5000)) } : {}),
  };
  const bytes = encodeEvent(frame, fields);
  const { blocks } = readStream(bytes, 1 << 20);
  assert.equal(blocks.length, 1, bytes.toString());
  const { data, ...rest } = fieldsOf(blocks[0]!);
  assert.deepEqual(JSON.parse(data!), JSON.parse(frame.text));
  assert.deepEqual(rest, fields);
  const reader = new SseReader({ eventSize: 1 << 20 });
  const read = random.cut(bytes).flatMap((chunk) => reader.push(chunk));
  assert.deepEqual(read.map(fieldsOf), [{ ...rest, data }]);
}

function fieldsOf({ event, id, retry, data }: Fields): Fields {
  return {
    ...(event === undefined ? {} : { event }),
    ...(id === undefined ? {} : { id }),
    ...(retry === undefined ? {} : { retry }),
    ...(data === undefined ? {} : { data }),
  };
}
