import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { readFrame } from './frames.ts';

/** A segment begins a new file once it is this long. */
export const SEGMENT_SIZE = 16 * 1024 * 1024;

const NAME = /^[0-9a-f]{14}\.log$/;

/** The folder of a store's journal. */
export const journalFolder = (path: string): string => `${path}.journal`;

/** A segment is named by the position of its first byte, so any stretch of positions names its own files. */
export const segmentFile = (folder: string, start: number): string =>
  join(folder, `${start.toString(16).padStart(14, '0')}.log`);

/** Positions at which the segments in the folder begin, in order. */
export function segmentStarts(folder: string): number[] {
  return readdirSync(folder)
    .filter((name) => NAME.test(name))
    .map((name) => Number.parseInt(name, 16))
    .toSorted((a, b) => a - b);
}

/** Makes a file's existence survive loss of power. */
export function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Readies the folder for a new writer: a frame cut off at the end of the newest segment is moved aside (it was never
 * acknowledged), and the position behind the last whole frame is returned. A damaged older segment stops the start.
 */
export function repairJournal(folder: string): { readonly start: number; readonly end: number } {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const starts = segmentStarts(folder);
  let end = 0;
  for (const [index, start] of starts.entries()) {
    const next = starts[index + 1];
    const file = segmentFile(folder, start);
    const length = statSync(file).size;
    const limit = next === undefined ? length : next - start;
    if (next !== undefined && length < limit) {
      throw new Error(`the journal segment ${file} ends ${limit - length} bytes too early: its records are lost`);
    }
    if (next === undefined) end = start + wholeFrames(file, start);
  }
  return { start: starts.at(-1) ?? 0, end };
}

function wholeFrames(file: string, start: number): number {
  const bytes = readFileSync(file);
  let at = 0;
  for (;;) {
    const frame = readFrame(bytes, at, bytes.length);
    if (frame === undefined) break;
    at += frame.size;
  }
  if (at < bytes.length) {
    writeFileSync(`${file}.torn-${start + at}`, bytes.subarray(at), { mode: 0o600 });
    truncateSync(file, at);
  }
  return at;
}
