import { isUtf8 } from 'node:buffer';
import { Trait, traitsOf } from '../encoding.ts';
import type { Detector } from './detector.ts';
import type { Span } from './entities.ts';

/** How often encodings inside encodings are undone. */
const DEEPEST_ENCODING = 4;
const ESCAPED = Trait.percent | Trait.reference | Trait.backslash;
const WIDE = /[\uff01-\uff5e]/;
/** Tag characters, which spell ASCII and are not shown. */
const TAG = '\udb40';
const TAGS = /[\udc20-\udc7e]/g;
const SPELT = /\\(?:\\+|)[xu]/;
const WRITTEN_OUT = /\\+[nrtbf"/]?/g;

const RUN = /[A-Za-z0-9+/_-]{8,}={0,2}/g;
const LINE_BREAK = /^=*[ \t\r]*\n[ \t\r]*$/;
const HEX = /^(?:0[xX])?((?:[0-9A-Fa-f]{2}){8,})$/;
const SHORTEST_RUN = 8;

const ESCAPE =
  /(?:\udb40[\udc20-\udc7e])+|(?:%[0-9A-Fa-f]{2})+|%[uU]([0-9A-Fa-f]{4})|&#(?:[xX]([0-9A-Fa-f]{1,6})|([0-9]{1,7}));?|\\(?:u\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2}))/g;

/** Says of an entity's type and text whether it may stay. */
export type Allows = (entity: string, text: string) => boolean;

/** False is certain: no string of the raw JSON text has an encoding that is undone here. */
export function mayHoldEncoded(json: string): boolean {
  const wanted = Trait.percent | Trait.reference | Trait.run;
  if ((traitsOf(json) & wanted) !== 0 || WIDE.test(json) || json.includes(TAG)) return true;
  if (!json.includes('\\')) return false;
  return SPELT.test(json) || (traitsOf(json.replace(WRITTEN_OUT, '  ')) & wanted) !== 0;
}

/**
 * Stretches of a decoded text that hold an entity in an encoding: base64 and hexadecimal runs, percent-encoding, numeric character
 * references, escapes of JavaScript, also one in another. A run is found as a whole, of escapes what stands for the entity.
 */
export function encodedSpans(
  text: string,
  key: string | undefined,
  detector: Detector,
  allows: Allows,
  depth = 0,
): readonly Span[] {
  const folded = WIDE.test(text) ? detector.folding.fold(text) : undefined;
  const read = folded?.text ?? text;
  const traits = traitsOf(read);
  const spans: Span[] = [];
  if ((traits & ESCAPED) !== 0 || text.includes(TAG)) spans.push(...escapedSpans(read, key, detector, allows, depth));
  if ((traits & Trait.run) !== 0) spans.push(...runSpans(read, key, detector, allows, depth));
  if (folded === undefined) return spans;
  return spans.map((span) => ({
    ...span,
    start: folded.starts[span.start] as number,
    end: folded.ends[span.end - 1] as number,
  }));
}

/** What is found in a text that was undone, in whatever encoding is left. */
function inside(
  text: string,
  key: string | undefined,
  detector: Detector,
  allows: Allows,
  depth: number,
): readonly Span[] {
  const plain = detector.spans(text, key).filter(({ entity, start, end }) => !allows(entity, text.slice(start, end)));
  if (depth >= DEEPEST_ENCODING) return plain;
  return [...plain, ...encodedSpans(text, key, detector, allows, depth + 1)];
}

function escapedSpans(
  text: string,
  key: string | undefined,
  detector: Detector,
  allows: Allows,
  depth: number,
): readonly Span[] {
  const { undone, starts, ends } = undo(text);
  if (undone === text) return [];
  const found = inside(undone, key, detector, allows, depth);
  // In a query a plus is a space.
  const spaced = undone.includes('+') ? detector.spans(undone.replaceAll('+', ' '), key) : [];
  return [...found, ...spaced].map((span) => ({
    ...span,
    start: starts[span.start] as number,
    end: ends[span.end - 1] as number,
  }));
}

interface Undone {
  readonly undone: string;
  /** Where each character of `undone` begins and ends in the text. */
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

function undo(text: string): Undone {
  const parts: string[] = [];
  const starts: number[] = [];
  const ends: number[] = [];
  let at = 0;
  const keep = (to: number): void => {
    parts.push(text.slice(at, to));
    for (; at < to; at += 1) {
      starts.push(at);
      ends.push(at + 1);
    }
  };
  for (const match of text.matchAll(ESCAPE)) {
    const decoded = meaning(match);
    if (decoded === undefined) continue;
    keep(match.index);
    const end = match.index + match[0].length;
    parts.push(decoded);
    // Percent-encoding of plain ASCII is three characters for one; of anything else only the whole is known.
    const even = match[0].startsWith('%') && decoded.length * 3 === match[0].length;
    for (let i = 0; i < decoded.length; i += 1) {
      starts.push(even ? at + i * 3 : at);
      ends.push(even ? at + i * 3 + 3 : end);
    }
    at = end;
  }
  keep(text.length);
  return { undone: parts.join(''), starts, ends };
}

function meaning(match: RegExpExecArray): string | undefined {
  const [whole, unit, hexReference, reference, point, jsonUnit, byte] = match;
  if (whole.startsWith(TAG))
    return (whole.match(TAGS) ?? []).map((low) => String.fromCharCode(low.charCodeAt(0) - 0xdc00)).join('');
  if (whole.startsWith('%') && unit === undefined) {
    const bytes = Buffer.from(whole.replaceAll('%', ''), 'hex');
    return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
  }
  const code =
    reference === undefined
      ? Number.parseInt(unit ?? hexReference ?? point ?? jsonUnit ?? byte ?? '', 16)
      : Number(reference);
  return code <= 0x10ffff ? String.fromCodePoint(code) : undefined;
}

function runSpans(
  text: string,
  key: string | undefined,
  detector: Detector,
  allows: Allows,
  depth: number,
): readonly Span[] {
  const spans: Span[] = [];
  for (const { start, end, run } of runsOf(text)) {
    const hit = hitOf(run, key, detector, allows, depth);
    if (hit !== undefined) spans.push({ ...hit, start, end });
  }
  return spans;
}

interface Run {
  readonly start: number;
  readonly end: number;
  readonly run: string;
}

/** Runs of letters and digits; those on lines that follow each other are one. */
function runsOf(text: string): readonly Run[] {
  const single: Run[] = [...text.matchAll(RUN)].map((match) => ({
    start: match.index,
    end: match.index + match[0].length,
    run: match[0],
  }));
  const wrapped: Run[] = [];
  let first = 0;
  for (let i = 1; i <= single.length; i += 1) {
    const before = single[i - 1] as Run;
    const next = single[i];
    if (next !== undefined && LINE_BREAK.test(text.slice(before.end, next.start))) continue;
    if (i - first > 1) {
      const lines = single.slice(first, i).map(({ run }) => run.replace(/=+$/, ''));
      // The last line may be shorter than a run.
      const tail = /^[ \t\r]*\n[ \t\r]*([A-Za-z0-9+/_-]{1,7}={0,2})(?![A-Za-z0-9])/.exec(
        text.slice(before.end, before.end + 64),
      );
      const end = before.end + (tail?.[0].length ?? 0);
      wrapped.push({ start: (single[first] as Run).start, end, run: lines.join('') + (tail?.[1] ?? '') });
    }
    first = i;
  }
  return [...single, ...wrapped];
}

function hitOf(
  padded: string,
  key: string | undefined,
  detector: Detector,
  allows: Allows,
  depth: number,
): Span | undefined {
  for (const bytes of decodings(padded.replace(/=+$/, ''))) {
    const text = textOf(bytes);
    // What is no text holds no further encoding; an entity may lie among its bytes.
    const [hit] = inside(text, key, detector, allows, isReadable(text) ? depth : DEEPEST_ENCODING);
    if (hit !== undefined) return hit;
  }
  return undefined;
}

/** The bytes of a run: base64 at each of the four alignments, since other letters may stand before it, and hexadecimal digits. */
function* decodings(run: string): Generator<Buffer> {
  for (let shift = 0; shift < 4 && run.length - shift >= SHORTEST_RUN; shift += 1)
    yield Buffer.from(shift === 0 ? run : run.slice(shift), 'base64');
  for (const piece of run.split(/[/+_-]/)) {
    const hex = HEX.exec(piece)?.[1];
    if (hex !== undefined) yield Buffer.from(hex, 'hex');
  }
}

/** Bytes as text: UTF-8, UTF-16 when many are zero, otherwise whatever of them is ASCII. */
function textOf(bytes: Buffer): string {
  let zeros = 0;
  for (const byte of bytes) if (byte === 0) zeros += 1;
  if (zeros * 3 >= bytes.length) return bytes.toString('latin1').replaceAll('\0', '');
  return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
}

const UNREADABLE = /[^\t\n\r\x20-\x7e]/g;

/** Plain text for the most part. */
const isReadable = (text: string): boolean => (text.match(UNREADABLE)?.length ?? 0) * 4 <= text.length;
