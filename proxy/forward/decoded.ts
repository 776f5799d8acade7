import type { Transform } from 'node:stream';
import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
} from 'node:zlib';
import type { Flow } from './event-stream.ts';
import { unreadable, UpstreamFault } from './upstream.ts';

/** Who takes the decoded bytes, in order: data, then end or fail. */
export interface Sink {
  readonly data: (chunk: Buffer) => void;
  readonly end: () => void;
  readonly fail: (fault: UpstreamFault) => void;
}

// An event must come out when its last byte went in, whatever the coder would still wait for.
const SYNC = { flush: constants.Z_SYNC_FLUSH };
/** RFC 9659: no window of zstd over HTTP is larger than 8 MiB. */
const ZSTD = { params: { [constants.ZSTD_d_windowLogMax]: 23 } };

/** What each content coding needs; `first` is the first chunk of the body. */
const CODINGS: ReadonlyMap<string, (first: Buffer) => Transform> = new Map<string, (first: Buffer) => Transform>([
  ['gzip', () => createGunzip(SYNC)],
  ['x-gzip', () => createGunzip(SYNC)],
  // Some servers leave out the zlib header that the name promises.
  ['deflate', (first) => ((first[0]! & 0x0f) === 8 ? createInflate(SYNC) : createInflateRaw(SYNC))],
  ['br', () => createBrotliDecompress({ flush: constants.BROTLI_OPERATION_FLUSH })],
  ['zstd', () => createZstdDecompress(ZSTD)],
]);

/**
 * Takes a content coding off a body as it streams: what went in comes out at once, and back-pressure reaches the source. A
 * body that is not what its coding says, or is cut short, fails; its size is for the sink to limit.
 */
export class Decoder implements Flow {
  readonly #coding: string;
  readonly #source: Flow;
  readonly #sink: Sink;
  #stream: Transform | undefined;
  #over = false;
  #broken: UpstreamFault | undefined;

  constructor(coding: string, source: Flow, sink: Sink) {
    this.#coding = coding.trim().toLowerCase();
    this.#source = source;
    this.#sink = sink;
  }

  /** Whether a body needs a decoder, known or not. */
  static needed(coding: string): boolean {
    return coding.trim().toLowerCase() !== 'identity';
  }

  write(chunk: Buffer): void {
    if (this.#over || chunk.length === 0) return;
    this.#stream ??= this.#begin(chunk);
    if (this.#stream?.write(chunk) === false) this.#source.pause();
  }

  end(): void {
    if (this.#over) return;
    if (this.#stream === undefined) this.#finish();
    else this.#stream.end();
  }

  #begin(first: Buffer): Transform | undefined {
    const create = CODINGS.get(this.#coding);
    if (create === undefined) {
      const shown = this.#coding.slice(0, 64).replace(/[^\x20-\x7e]/g, '?');
      this.#fail(`the answer has a content coding that is not understood: ${shown}`);
      return undefined;
    }
    const stream = create(first);
    stream.on('data', this.#sink.data);
    stream.on('drain', () => this.#source.resume());
    stream.once('end', () => this.#finish());
    stream.once('error', (error) => {
      if (this.#broken !== undefined) this.#finish();
      else this.#fail(`the answer is not the ${this.#coding} that it says to be`, error);
    });
    return stream;
  }

  /** The source broke off: what it brought until then still comes out. */
  break(fault: UpstreamFault): void {
    this.#broken = fault;
    this.end();
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#broken === undefined) this.#sink.end();
    else this.#sink.fail(this.#broken);
  }

  #fail(reason: string, cause?: Error): void {
    this.abort(unreadable(reason, cause));
  }

  get paused(): boolean {
    return this.#stream?.isPaused() ?? false;
  }

  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  abort(reason: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.#stream?.destroy();
    this.#source.abort(reason);
    // The source may have ended long before the last of it was decoded.
    this.#sink.fail(reason instanceof UpstreamFault ? reason : new UpstreamFault(reason.message, true, reason));
  }
}
