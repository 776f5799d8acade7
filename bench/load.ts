import { connect, type Socket } from 'node:net';
import { AnswerReader } from './answer-reader.ts';

/** One block of load: each connection sends its next request when the answer to the last one is complete. */
export interface Block {
  readonly port: number;
  /** base64 */
  readonly request: string;
  readonly connections: number;
  readonly seconds: number;
  readonly mostCalls: number;
  /** Count the answers that were under way when the time was up, and the time until the last: for answers so slow that few fit. */
  readonly toTheEnd?: boolean;
  readonly length: number;
  /** base64: what every answer must begin with. */
  readonly prefix: string;
}

export interface Outcome {
  /** Every answered call, those after the time was up included. */
  readonly calls: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly errors: number;
  /** What was wrong first. */
  readonly fault?: string;
}

// A target that fails is not worth loading further, and no loop may run without an end.
const MOST_ERRORS = 100;
const PATIENCE_MS = 10_000;

class Load {
  readonly #block: Block;
  readonly #request: Buffer;
  readonly #prefix: Buffer;
  readonly #sockets = new Set<Socket>();
  #latencies = new Float64Array(1 << 16);
  #counted = 0;
  #calls = 0;
  #errors = 0;
  #fault: string | undefined;
  #until = 0;
  #lastAt = 0;
  #over = false;

  constructor(block: Block) {
    this.#block = block;
    this.#request = Buffer.from(block.request, 'base64');
    this.#prefix = Buffer.from(block.prefix, 'base64');
  }

  async run(): Promise<Outcome> {
    const start = performance.now();
    this.#until = start + this.#block.seconds * 1000;
    const patience = setTimeout(
      () => {
        this.#wrong('no answer in time');
        for (const socket of this.#sockets) socket.destroy();
      },
      this.#block.seconds * 1000 + PATIENCE_MS,
    );
    await Promise.all(Array.from({ length: this.#block.connections }, () => this.#converse()));
    clearTimeout(patience);
    const end = this.#block.toTheEnd === true ? this.#lastAt : Math.min(performance.now(), this.#until);
    const seconds = Math.max(end - start, 1) / 1000;
    const sorted = this.#latencies.subarray(0, this.#counted).sort();
    const at = (share: number): number => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
    return {
      calls: this.#calls,
      perSecond: this.#counted / seconds,
      p50: at(0.5) * 1000,
      p99: at(0.99) * 1000,
      errors: this.#errors,
      ...(this.#fault === undefined ? {} : { fault: this.#fault }),
    };
  }

  /** One connection from its first request to its last answer. */
  #converse(): Promise<void> {
    return new Promise((done) => {
      const socket = connect({ port: this.#block.port, host: '127.0.0.1', noDelay: true });
      const reader = new AnswerReader(this.#prefix);
      let sentAt = 0;
      let waiting = false;
      const next = (): void => {
        if (performance.now() >= this.#until || this.#calls >= this.#block.mostCalls || this.#over) {
          socket.end();
          return;
        }
        sentAt = performance.now();
        waiting = true;
        socket.write(this.#request);
      };
      this.#sockets.add(socket);
      socket.on('connect', next);
      socket.on('data', (chunk: Buffer) => {
        try {
          if (!reader.push(chunk)) return;
        } catch (fault) {
          waiting = false;
          this.#wrong((fault as Error).message);
          socket.destroy();
          return;
        }
        waiting = false;
        this.#answered(reader, sentAt);
        next();
      });
      socket.on('error', (fault) => {
        waiting = false;
        this.#wrong(fault.message);
      });
      socket.on('close', () => {
        if (waiting) this.#wrong('the connection was closed before the answer');
        this.#sockets.delete(socket);
        done();
      });
    });
  }

  #answered(reader: AnswerReader, sentAt: number): void {
    const now = performance.now();
    this.#calls += 1;
    if (reader.status !== 200) this.#wrong(`status ${reader.status}`);
    else if (reader.length !== this.#block.length)
      this.#wrong(`${reader.length} bytes instead of ${this.#block.length}`);
    else if (!reader.expected) this.#wrong('another answer than expected');
    else if (now <= this.#until || this.#block.toTheEnd === true) {
      this.#lastAt = now;
      if (this.#counted === this.#latencies.length) {
        const larger = new Float64Array(this.#latencies.length * 2);
        larger.set(this.#latencies);
        this.#latencies = larger;
      }
      this.#latencies[this.#counted++] = now - sentAt;
    }
  }

  #wrong(fault: string): void {
    this.#errors += 1;
    this.#fault ??= fault;
    if (this.#errors >= MOST_ERRORS) this.#over = true;
  }
}

process.on('message', (block: Block) => {
  void new Load(block).run().then((outcome) => process.send!(outcome));
});
process.on('disconnect', () => process.exit());
// A terminal sends Ctrl-C to all; the parent ends this process in its turn.
process.on('SIGINT', () => undefined);
process.send!('ready');
