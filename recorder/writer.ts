import { Worker } from 'node:worker_threads';
import { RecordUnavailable } from './journal.ts';
import type { Answer, Arguments, Operation, Report, Request } from './operations.ts';
import type { Shared } from './shared.ts';
import type { WriterData } from './writer-loop.ts';

type Listener = (report: Extract<Report, { kind: 'review' | 'tokens' | 'pins' }>) => void;

/** How long a clean stop may take before the thread is ended: what it did not move stays in the journal. */
const CLOSE_MS = 1500;

/** The main thread's end of the writer thread. */
export class Writer {
  readonly #worker: Worker;
  readonly #shared: Shared;
  readonly #listener: Listener;
  readonly #calls = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #ready = Promise.withResolvers<number>();
  #next = 1;
  #trouble: string | undefined;
  #dead: Error | undefined;

  constructor(data: Omit<WriterData, 'shared'>, shared: Shared, listener: Listener) {
    this.#shared = shared;
    this.#listener = listener;
    // The compiler rewrites imports, not this string: dist holds the same file as JavaScript.
    const file = import.meta.url.endsWith('.ts') ? './writer-thread.ts' : './writer-thread.js';
    const workerData: WriterData = { ...data, shared: shared.memory };
    this.#worker = new Worker(new URL(file, import.meta.url), { workerData, execArgv: [], name: 'recorder' });
    this.#worker.on('message', (report: Report) => this.#take(report));
    this.#worker.on('error', (error) => this.#end(error as Error));
    this.#worker.on('exit', () => this.#end(new Error('the writer thread has ended')));
  }

  /** Position in the journal up to which the store has everything; rejects when the store cannot be opened. */
  async ready(): Promise<number> {
    const position = await this.#ready.promise;
    this.#worker.unref();
    return position;
  }

  /** Why the store takes no entries at the moment, if so. */
  trouble(): string | undefined {
    return this.#dead?.message ?? this.#trouble;
  }

  call<K extends Operation>(operation: K, ...args: Arguments<K>): Promise<Answer<K>> {
    return this.#ask({ call: this.#next++, operation, args }) as Promise<Answer<K>>;
  }

  /** Resolves when the store has everything before the position. */
  async settle(position: number): Promise<void> {
    await this.#ask({ call: this.#next++, operation: 'settle', position });
  }

  /** Lets the thread finish its work and end; ends it when it cannot. */
  async close(): Promise<void> {
    if (this.#dead !== undefined) return;
    const timer = setTimeout(() => void this.#worker.terminate(), CLOSE_MS);
    try {
      await this.#ask({ call: this.#next++, operation: 'close' });
    } finally {
      clearTimeout(timer);
      await this.#worker.terminate();
    }
  }

  #ask(request: Request): Promise<unknown> {
    if (this.#dead !== undefined) return Promise.reject(new RecordUnavailable(this.#dead.message));
    const waiting = Promise.withResolvers<unknown>();
    // A process that only waits for an answer must not end before it comes.
    if (this.#calls.size === 0) this.#worker.ref();
    this.#calls.set(request.call, waiting);
    this.#worker.postMessage(request);
    this.#shared.wake(true);
    return waiting.promise;
  }

  #take(report: Report): void {
    switch (report.kind) {
      case 'ready':
        this.#ready.resolve(report.position);
        break;
      case 'failed':
        this.#ready.reject(new Error(report.reason));
        break;
      case 'answer':
        this.#settled(report.call)?.resolve(report.value);
        break;
      case 'error':
        this.#settled(report.call)?.reject(
          report.unavailable ? new RecordUnavailable(report.reason) : new Error(report.reason),
        );
        break;
      case 'trouble':
        this.#trouble = report.reason;
        break;
      default:
        this.#listener(report);
    }
  }

  #settled(call: number): PromiseWithResolvers<unknown> | undefined {
    const waiting = this.#calls.get(call);
    this.#calls.delete(call);
    if (this.#calls.size === 0) this.#worker.unref();
    return waiting;
  }

  #end(error: Error): void {
    this.#dead ??= error;
    this.#ready.reject(this.#dead);
    for (const waiting of this.#calls.values()) waiting.reject(new RecordUnavailable(this.#dead.message));
    this.#calls.clear();
  }
}
