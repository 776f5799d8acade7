import { isUtf8 } from 'node:buffer';
import { GatewayError } from '../errors.ts';
import type { Frame, SseFields } from '../types.ts';

/**
 * One block of an event stream, up to and with its blank line. Without `data` it carries no message (comments, bare
 * fields).
 */
export interface SseEvent extends SseFields {
  /** The exact bytes. The LF of a CRLF that two chunks share may lead the next event's bytes. */
  readonly raw: Buffer;
  readonly data?: string;
  /** It holds lines that are no field of the grammar, such as comments, or that lenient readers may take for several. */
  readonly more?: true;
}

/** A keep-alive that receivers ignore. */
export const COMMENT: Buffer = Buffer.from(':\n\n');

const LF = 0x0a;
const CR = 0x0d;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

/**
 * Cuts a stream into events after the WHATWG grammar, however it is cut into chunks, in time linear in its length. An
 * event over the size cap or not in UTF-8 throws `upstream_invalid`; after that the reader refuses to go on. An
 * unterminated last event is never delivered.
 */
export class SseReader {
  readonly #eventSize: number;
  /** The bytes of the event that is not complete yet: the first `#size` of `#held`, which grows by doubling. */
  #held: Buffer = Buffer.alloc(0);
  #size = 0;
  #atLineStart = true;
  #afterCr = false;
  /** Bytes at the very start that may yet become a byte order mark; undefined once that is settled. */
  #start: Buffer | undefined = Buffer.alloc(0);
  #bom = false;
  #fault: GatewayError | undefined;

  constructor(limits: { readonly eventSize: number }) {
    this.#eventSize = limits.eventSize;
  }

  /** Every event that this chunk completes. The chunk's memory must not be reused by the caller. */
  push(chunk: Uint8Array): SseEvent[] {
    if (this.#fault !== undefined) throw this.#fault;
    let bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (this.#start !== undefined) {
      bytes = Buffer.concat([this.#start, bytes]);
      this.#start = undefined;
      if (bytes.length < BOM.length && bytes.equals(BOM.subarray(0, bytes.length))) {
        this.#start = bytes;
        return [];
      }
      this.#bom = bytes.subarray(0, BOM.length).equals(BOM);
    }
    return bytes.length === 0 ? [] : this.#cut(bytes);
  }

  #cut(bytes: Buffer): SseEvent[] {
    const events: SseEvent[] = [];
    // A byte order mark is part of the first line's bytes, but not of the line.
    const isFirst = this.#bom && this.#size === 0;
    let start = 0;
    let at = isFirst ? BOM.length : this.#afterCr && bytes[0] === LF ? 1 : 0;
    this.#afterCr = false;
    let lf = bytes.indexOf(LF, at);
    let cr = bytes.indexOf(CR, at);
    for (;;) {
      if (lf >= 0 && lf < at) lf = bytes.indexOf(LF, at);
      if (cr >= 0 && cr < at) cr = bytes.indexOf(CR, at);
      if (lf < 0 && cr < 0) break;
      const endsAtCr = lf < 0 || (cr >= 0 && cr < lf);
      const end = endsAtCr ? cr : lf;
      const isBlank = this.#atLineStart && end === at;
      at = endsAtCr && lf === cr + 1 ? end + 2 : end + 1;
      this.#afterCr = endsAtCr && at === bytes.length && lf !== cr + 1;
      this.#atLineStart = true;
      if (!isBlank) continue;
      events.push(this.#complete(bytes.subarray(start, at)));
      start = at;
    }
    if (at < bytes.length) this.#atLineStart = false;
    if (start < bytes.length) this.#keep(bytes.subarray(start));
    return events;
  }

  #complete(last: Buffer): SseEvent {
    let raw = last;
    if (this.#size > 0) {
      this.#keep(last);
      raw = this.#held.subarray(0, this.#size);
      this.#held = Buffer.alloc(0);
      this.#size = 0;
    } else if (raw.length > this.#eventSize) {
      this.#tooLarge();
    }
    if (!isUtf8(raw)) this.#fail('an event is not UTF-8');
    const text = raw.toString('utf8', this.#bom ? BOM.length : 0);
    this.#bom = false;
    return { raw, ...fieldsOf(text) };
  }

  #keep(piece: Buffer): void {
    const size = this.#size + piece.length;
    if (size > this.#eventSize) this.#tooLarge();
    if (size > this.#held.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(2 * this.#held.length, size));
      this.#held.copy(grown, 0, 0, this.#size);
      this.#held = grown;
    }
    piece.copy(this.#held, this.#size);
    this.#size = size;
  }

  #tooLarge(): never {
    this.#fail(`an event is larger than ${this.#eventSize} bytes`);
  }

  #fail(detail: string): never {
    this.#held = Buffer.alloc(0);
    this.#fault = new GatewayError('upstream_invalid', detail);
    throw this.#fault;
  }
}

// oxlint-disable-next-line no-control-regex -- line ends of lenient readers, which would see a data line within another field
const OTHER_LINE_ENDS = /[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]/;

function fieldsOf(text: string): SseFields & { data?: string; more?: true } {
  const fields: { event?: string; id?: string; retry?: string; data?: string; more?: true } = {};
  for (const line of text.includes('\r') ? text.split(/\r\n|\r|\n/) : text.split('\n')) {
    if (line === '') continue;
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line.charCodeAt(colon + 1) === 0x20 ? colon + 2 : colon + 1);
    if (name === 'data') {
      fields.data = fields.data === undefined ? value : `${fields.data}\n${value}`;
      continue;
    }
    if (OTHER_LINE_ENDS.test(value)) fields.more = true;
    if (name === 'event') fields.event = value;
    else if (name === 'id') {
      if (!value.includes('\0')) fields.id = value;
    } else if (name !== 'retry') fields.more = true;
    else if (/^[0-9]+$/.test(value)) fields.retry = value;
  }
  return fields;
}

/** Whether the value of a field is one line to every reader. */
export const isOneLine = (value: string | undefined): value is string =>
  value !== undefined && !OTHER_LINE_ENDS.test(value);

/** The message as one event with one data line, and the fields it came with. */
export function encodeEvent(frame: Frame, fields: SseFields): Buffer {
  let head = '';
  for (const name of ['event', 'id', 'retry'] as const) {
    const value = fields[name];
    if (value === undefined) continue;
    if (/[\r\n]/.test(value))
      throw new GatewayError('internal', '', { cause: new TypeError(`a line break in the ${name} field`) });
    head += `${name}: ${value}\n`;
  }
  // Line breaks in a JSON text can only stand between its tokens.
  const json = /[\r\n]/.test(frame.text) ? frame.text.replace(/[\r\n]+/g, ' ') : frame.text;
  return Buffer.from(`${head}data: ${json}\n\n`);
}
