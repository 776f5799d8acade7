const HEAD_END = Buffer.from('\r\n\r\n');
const LONGEST_HEAD = 65_536;

type Step = 'head' | 'fixed' | 'size' | 'data' | 'data-end' | 'trailer';

/** Reads one HTTP/1.1 answer after another off a keep-alive socket, keeping only what is needed to judge them. */
export class AnswerReader {
  /** Of the answer read last. */
  status = 0;
  length = 0;
  /** False when the body did not begin with the expected bytes. */
  expected = true;
  readonly #prefix: Buffer;
  #step: Step = 'head';
  #kept: Buffer | undefined;
  #left = 0;
  #line = '';

  constructor(prefix: Buffer) {
    this.#prefix = prefix;
  }

  /** Takes the next bytes; true when they end an answer. Throws when more follow it, for nothing was asked, or when it is no HTTP. */
  push(chunk: Buffer): boolean {
    let at = 0;
    if (this.#step === 'head') {
      const bytes = this.#kept === undefined ? chunk : Buffer.concat([this.#kept, chunk]);
      const end = bytes.indexOf(HEAD_END);
      if (end < 0) {
        if (bytes.length > LONGEST_HEAD) throw new Error('the head of an answer does not end');
        this.#kept = bytes;
        return false;
      }
      this.#kept = undefined;
      this.#begin(bytes.toString('latin1', 0, end));
      chunk = bytes;
      at = end + HEAD_END.length;
    }
    if (this.#step === 'fixed') {
      at += this.#body(chunk, at);
      return this.#left === 0 && this.#finish(chunk, at);
    }
    while (at < chunk.length) {
      if (this.#step === 'data') {
        at += this.#body(chunk, at);
        if (this.#left === 0) this.#step = 'data-end';
        continue;
      }
      const byte = chunk[at++]!;
      if (byte !== 10) {
        if (byte !== 13) this.#line += String.fromCharCode(byte);
        continue;
      }
      if (this.#endLine()) return this.#finish(chunk, at);
    }
    return false;
  }

  #begin(head: string): void {
    this.status = Number(head.slice(9, 12));
    this.length = 0;
    this.expected = true;
    this.#line = '';
    const length = /\r\ncontent-length: *(\d+)/i.exec(head);
    if (length !== null) {
      this.#left = Number(length[1]);
      this.#step = 'fixed';
    } else if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
      this.#step = 'size';
    } else {
      throw new Error(`an answer without a length, status ${this.status}`);
    }
  }

  /** Counts what `chunk` holds of the body from `at` on and compares its beginning. */
  #body(chunk: Buffer, at: number): number {
    const taken = Math.min(this.#left, chunk.length - at);
    const compared = Math.min(taken, this.#prefix.length - this.length);
    if (compared > 0 && chunk.compare(this.#prefix, this.length, this.length + compared, at, at + compared) !== 0) {
      this.expected = false;
    }
    this.#left -= taken;
    this.length += taken;
    return taken;
  }

  /** True when the line was the last of a chunked body. */
  #endLine(): boolean {
    const line = this.#line;
    this.#line = '';
    if (this.#step === 'data-end') this.#step = 'size';
    else if (this.#step === 'trailer') return line === '';
    else {
      this.#left = Number.parseInt(line, 16);
      if (Number.isNaN(this.#left)) throw new Error('a chunk without a size');
      this.#step = this.#left === 0 ? 'trailer' : 'data';
    }
    return false;
  }

  #finish(chunk: Buffer, at: number): true {
    if (at !== chunk.length) throw new Error('bytes after the end of an answer');
    this.#step = 'head';
    return true;
  }
}
