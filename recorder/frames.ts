import { crc32 } from 'node:zlib';

/** Bytes before a frame's entry: length of what follows the checksum, checksum, length of the entry. */
export const FRAME_HEADER = 12;

/** One entry in the journal: its JSON bytes, and the body that rides along. Both are views, valid while the buffer is. */
export interface Frame {
  readonly size: number;
  readonly entry: Buffer;
  readonly body: Buffer | undefined;
}

/** Writes a frame at `at` and answers the offset behind it. The buffer must hold the header, three bytes per UTF-16 unit, and the body. */
export function writeFrame(buffer: Buffer, at: number, json: string, body: Uint8Array | undefined): number {
  const entryLength = buffer.write(json, at + FRAME_HEADER, 'utf8');
  let end = at + FRAME_HEADER + entryLength;
  if (body !== undefined) {
    buffer.set(body, end);
    end += body.length;
  }
  buffer.writeUInt32LE(end - at - 8, at);
  buffer.writeUInt32LE(entryLength, at + 8);
  buffer.writeUInt32LE(crc32(buffer.subarray(at + 8, end)), at + 4);
  return end;
}

/** Size of the frame at `at` as its header claims it; undefined when the header itself is not whole. */
export function frameSize(buffer: Buffer, at: number, end: number): number | undefined {
  return end - at < FRAME_HEADER ? undefined : buffer.readUInt32LE(at) + 8;
}

/** Reads the frame at `at`; undefined when it is cut off or its checksum does not fit. */
export function readFrame(buffer: Buffer, at: number, end: number): Frame | undefined {
  const size = frameSize(buffer, at, end);
  if (size === undefined || size < FRAME_HEADER || size > end - at) return undefined;
  const entryLength = buffer.readUInt32LE(at + 8);
  const bodyStart = at + FRAME_HEADER + entryLength;
  if (bodyStart > at + size) return undefined;
  if (crc32(buffer.subarray(at + 8, at + size)) !== buffer.readUInt32LE(at + 4)) return undefined;
  return {
    size,
    entry: buffer.subarray(at + FRAME_HEADER, bodyStart),
    body: bodyStart === at + size ? undefined : buffer.subarray(bodyStart, at + size),
  };
}
