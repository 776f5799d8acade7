import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import type { Signal } from '../abort.ts';
import type { Frame } from '../types.ts';
import { decodeFrame, type FrameLimits } from '../wire/frame.ts';
import type { Letter } from './letter.ts';
import { endGroup, guardGroup, HAS_GROUPS, signalGroup } from './stdio-group.ts';
import { ErrorLines } from './stdio-lines.ts';
import { unreadable, UpstreamFault } from './upstream.ts';

export interface ChildOptions {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly limits: FrameLimits;
  readonly messageSize: number;
  /** Takes the connection's secrets out of what the child writes to its standard error. */
  readonly scrub: (text: string) => string;
  /** A line of the child's standard error. */
  readonly onStderr: (line: string) => void;
  /** A child ended that nobody stopped, and why. */
  readonly onEnd: (reason: string) => void;
}

/** Who hears what the child says. */
export interface Ears {
  readonly receive: (frame: Frame) => void;
  /** A promise while nothing more should be read. */
  readonly room: () => Promise<void> | undefined;
  /** The child is over: called once, before it is all cleaned up. */
  readonly gone: (fault: UpstreamFault) => void;
}

/** Starts a child that ends with its upstream at the latest. */
export type Spawn = (ears: Ears) => Child;

interface Queued {
  readonly line: string | Buffer;
  readonly done: () => void;
  readonly fail: (fault: UpstreamFault) => void;
}

/** Of the gateway's own environment a child sees these only; secrets of the gateway are not among them. */
const INHERITED = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'USER', 'SHELL', 'TERM'];
const PATIENCE_MS = 1_000;

/**
 * A child process that speaks MCP on its standard input and output. It dies with its whole process group; what it does not
 * read is not piled up in memory, and what it does not say in JSON-RPC reaches nobody.
 */
export class Child {
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #options: ChildOptions;
  readonly #ears: Ears;
  readonly #lines: ErrorLines;
  #queue: Queued[] = [];
  #fault: UpstreamFault | undefined;
  #tail: Buffer[] = [];
  #tailSize = 0;
  #exited = false;
  #stopping = false;
  /** Resolves when the child and its group are gone. */
  readonly exited: Promise<void>;

  constructor(options: ChildOptions, ears: Ears) {
    this.#options = options;
    this.#ears = ears;
    this.#lines = new ErrorLines(options.scrub, options.onStderr);
    const [command, ...args] = options.command;
    this.#process = spawn(command!, args, {
      env: { ...inherited(), ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: HAS_GROUPS,
      windowsHide: true,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const { pid, stdin, stdout, stderr } = this.#process;
    if (pid !== undefined) guardGroup(pid);
    this.exited = this.#life();
    stdin.on('error', (error) => this.#fail(new UpstreamFault(error.message, true, error)));
    stdin.on('drain', () => this.#drain());
    stdout.on('data', (chunk: Buffer) => this.#read(chunk));
    stderr.setEncoding('utf8').on('data', (chunk: string) => this.#lines.push(chunk));
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  async #life(): Promise<void> {
    const child = this.#process;
    const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const exited = new Promise<string>((resolve) => child.once('exit', (code, signal) => resolve(signal ?? `${code}`)));
    const failed = new Promise<Error>((resolve) => child.once('error', resolve));
    child.once('exit', () => (this.#exited = true));
    const end = await Promise.race([exited, failed]);
    if (typeof end !== 'string') {
      this.#fail(new UpstreamFault(`the upstream command could not be started: ${end.message}`, false, end));
    } else {
      // What it started and left behind ends with it, or it could hold the pipes open for ever.
      await endGroup(child.pid!, PATIENCE_MS);
      const held = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, PATIENCE_MS);
      await closed;
      clearTimeout(held);
      this.#fail(new UpstreamFault(`the upstream command ended (${end})`, true));
    }
    this.#lines.end();
  }

  /** Resolves when the child's pipe has taken the message; waits for its turn while the pipe is full. */
  post({ frame, signal }: Letter): Promise<undefined> {
    // Newline-delimited: the JSON itself may hold line breaks between tokens, which are insignificant there.
    const line = /[\r\n]/.test(frame.text) ? frame.text.replaceAll(/[\r\n]/g, ' ') : frame.bytes;
    return new Promise((resolve, reject) => {
      if (this.#fault !== undefined) return reject(this.#fault);
      if (signal?.aborted === true) return reject(new UpstreamFault('given up by the gateway', false));
      if (this.#exited || this.#stopping) return reject(new UpstreamFault('the upstream command ended', false));
      if (this.#queue.length === 0 && !this.#process.stdin.writableNeedDrain) {
        this.#write(line);
        return resolve(undefined);
      }
      this.#wait(line, signal, () => resolve(undefined), reject);
    });
  }

  #write(line: string | Buffer): void {
    const { stdin } = this.#process;
    stdin.cork();
    stdin.write(line);
    stdin.write('\n');
    stdin.uncork();
  }

  #wait(
    line: string | Buffer,
    signal: Signal | undefined,
    resolve: () => void,
    reject: (fault: UpstreamFault) => void,
  ): void {
    const onAbort = (): void => {
      this.#queue = this.#queue.filter((other) => other !== queued);
      reject(new UpstreamFault('the upstream command reads nothing', false));
    };
    const queued: Queued = {
      line,
      done() {
        signal?.off(onAbort);
        resolve();
      },
      fail(fault) {
        signal?.off(onAbort);
        reject(fault);
      },
    };
    signal?.on(onAbort);
    this.#queue.push(queued);
  }

  #drain(): void {
    while (this.#queue.length > 0 && !this.#process.stdin.writableNeedDrain) {
      const queued = this.#queue.shift()!;
      this.#write(queued.line);
      queued.done();
    }
  }

  /** Asks the child and its group to end, makes them after a second; resolves when they are gone. */
  async stop(): Promise<void> {
    if (!this.#stopping) {
      this.#stopping = true;
      this.#process.stdin.end();
      this.#kill('SIGTERM');
      const hard = setTimeout(() => this.#kill('SIGKILL'), PATIENCE_MS);
      void this.exited.then(() => clearTimeout(hard));
    }
    await this.exited;
  }

  #kill(signal: NodeJS.Signals): void {
    const { pid, exitCode, signalCode } = this.#process;
    if (pid !== undefined && exitCode === null && signalCode === null) signalGroup(pid, signal);
  }

  #read(chunk: Buffer): void {
    let rest = chunk;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      const last = rest.subarray(0, end);
      const line = this.#tail.length === 0 ? last : Buffer.concat([...this.#tail, last]);
      this.#tail = [];
      this.#tailSize = 0;
      rest = rest.subarray(end + 1);
      this.#deliver(line);
    }
    if (rest.length > 0) {
      this.#tailSize += rest.length;
      if (this.#tailSize > this.#options.messageSize) {
        this.#break(unreadable('a message is larger than server.message_size'));
        return;
      }
      this.#tail.push(rest);
    }
    const room = this.#ears.room();
    if (room === undefined) return;
    this.#process.stdout.pause();
    void room.then(() => this.#process.stdout.resume());
  }

  #deliver(line: Buffer): void {
    if (this.#fault !== undefined) return;
    const first = line.find((byte) => byte !== 0x20 && byte !== 0x09 && byte !== 0x0d);
    if (first === undefined) return;
    if (first !== 0x7b && first !== 0x5b) {
      // A greeting that belongs on standard error; it is no message, so nobody misses it.
      this.#lines.say(line.subarray(0, 8192).toString());
      return;
    }
    let frame: Frame;
    try {
      frame = decodeFrame(line, this.#options.limits, 'server');
    } catch (fault) {
      this.#break(unreadable('a line that is not a JSON-RPC message', fault));
      return;
    }
    this.#ears.receive(frame);
  }

  #break(fault: UpstreamFault): void {
    this.#fail(fault);
    this.#kill('SIGKILL');
  }

  #fail(fault: UpstreamFault): void {
    if (this.#fault !== undefined) return;
    this.#fault = fault;
    const unsent = new UpstreamFault(fault.message, false, fault.cause);
    for (const queued of this.#queue.splice(0)) queued.fail(unsent);
    if (!this.#stopping) this.#options.onEnd(fault.message);
    this.#ears.gone(fault);
  }
}

function inherited(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of INHERITED) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}
