import { isUtf8 } from 'node:buffer';

/** One block of a stream as the standard reads it. */
export interface Block {
  readonly bytes: number;
  readonly event?: string;
  readonly id?: string;
  readonly retry?: string;
  readonly data?: string;
}

/**
 * The event stream grammar and its processing rules (WHATWG HTML 9.2.5 and 9.2.6), byte by byte over the whole stream, in the plainest
 * way. Ends before the first block that is not UTF-8 or larger than allowed; `fault` says that there was one.
 */
export function readStream(stream: Buffer, eventSize: number): { blocks: Block[]; fault: boolean } {
  const blocks: Block[] = [];
  let at = stream.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf])) ? 3 : 0;
  let blockStart = 0;
  let lineStart = at;
  let lines: Buffer[] = [];
  while (at < stream.length) {
    const byte = stream[at]!;
    if (byte !== 10 && byte !== 13) {
      at += 1;
      continue;
    }
    const line = stream.subarray(lineStart, at);
    at += byte === 13 && stream[at + 1] === 10 ? 2 : 1;
    lineStart = at;
    if (line.length > 0) {
      lines.push(line);
      continue;
    }
    const size = at - blockStart;
    if (size > eventSize || !isUtf8(stream.subarray(blockStart, at))) return { blocks, fault: true };
    blocks.push(blockOf(lines, size));
    blockStart = at;
    lines = [];
  }
  return { blocks, fault: stream.length - blockStart > eventSize };
}

function blockOf(lines: readonly Buffer[], bytes: number): Block {
  const block: { bytes: number; event?: string; id?: string; retry?: string; data?: string } = { bytes };
  const data: string[] = [];
  for (const each of lines) {
    const line = each.toString();
    const colon = line.indexOf(':');
    if (colon === 0) continue;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') data.push(value);
    if (field === 'event') block.event = value;
    if (field === 'id' && !value.includes('\0')) block.id = value;
    if (field === 'retry' && value !== '' && [...value].every((digit) => digit >= '0' && digit <= '9'))
      block.retry = value;
  }
  if (data.length > 0) block.data = data.join('\n');
  return block;
}
