import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import type { Signal } from '../abort.ts';
import type { Frame } from '../types.ts';
import { decodeFrame, idKey, type FrameLimits } from '../wire/frame.ts';
import { encodeEvent, type SseEvent } from '../wire/sse.ts';
import { UpstreamFault, type Outgoing, type Upstream, type UpstreamAnswer } from './upstream.ts';

export interface StdioUpstreamOptions {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly limits: FrameLimits;
  readonly messageSize: number;
  /** A line of the child's stderr. */
  readonly onStderr: (line: string) => void;
}

/** Of the gateway's own environment a child sees these only; secrets of the gateway are not among them. */
const INHERITED = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'USER', 'SHELL', 'TERM'];

/**
 * An MCP server as a child process, one per session: started by `initialize`, stopped by DELETE or close().
 * Legacy revisions only. A child that dies fails what is in flight and ends the session (404 afterwards).
 */
export function createStdioUpstream(options: StdioUpstreamOptions): Upstream {
  const children = new Map<string, Child>();
  return {
    async send(outgoing) {
      if (outgoing.frame?.method === 'initialize' && outgoing.upstreamSession === undefined) {
        const id = randomUUID();
        const child = new Child(options, () => children.delete(id));
        children.set(id, child);
        try {
          return { ...(await child.request(outgoing.frame, outgoing.signal)), upstreamSession: id };
        } catch (fault) {
          await child.stop();
          throw fault;
        }
      }
      const child = children.get(outgoing.upstreamSession ?? '');
      if (child === undefined) return { status: 404, mode: 'empty' };
      return speak(child, outgoing);
    },
    async close() {
      await Promise.all([...children.values()].map((child) => child.stop()));
    },
  };
}

async function speak(child: Child, outgoing: Outgoing): Promise<UpstreamAnswer> {
  if (outgoing.httpMethod === 'DELETE') {
    await child.stop();
    return { status: 200, mode: 'empty' };
  }
  if (outgoing.frame === undefined) return child.listen(outgoing.signal);
  if (outgoing.frame.kind === 'request') return child.request(outgoing.frame, outgoing.signal);
  await child.write(outgoing.frame);
  return { status: 202, mode: 'empty' };
}

/** One child process and who waits for what it says. */
class Child {
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #options: StdioUpstreamOptions;
  readonly #exited: Promise<void>;
  readonly #waiting = new Map<string, Inbox>();
  readonly #progress = new Map<string, Inbox>();
  #listener: Inbox | undefined;
  #fault: UpstreamFault | undefined;
  #tail: Buffer[] = [];
  #tailSize = 0;

  constructor(options: StdioUpstreamOptions, onExit: () => void) {
    this.#options = options;
    const env: Record<string, string> = {};
    for (const name of INHERITED) {
      const value = process.env[name];
      if (value !== undefined) env[name] = value;
    }
    const [command, ...args] = options.command;
    this.#process = spawn(command!, args, {
      env: { ...env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    this.#exited = new Promise((resolve) => {
      const gone = (reason: string, sent: boolean): void => {
        this.#fail(new UpstreamFault(reason, sent));
        onExit();
        resolve();
      };
      this.#process.once('error', (error) =>
        gone(`the upstream command could not be started: ${error.message}`, false),
      );
      this.#process.once('close', (code, signal) => gone(`the upstream command ended (${signal ?? code})`, true));
    });
    this.#process.stdin.on('error', (error) => this.#fail(new UpstreamFault(error.message, true, error)));
    this.#process.stdout.on('data', (chunk: Buffer) => this.#read(chunk));
    let text = '';
    this.#process.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (text + chunk).split('\n');
      text = lines.pop()!.slice(-4096);
      for (const line of lines) options.onStderr(line.slice(0, 4096));
    });
  }

  async write(frame: Frame): Promise<void> {
    if (this.#fault !== undefined) throw this.#fault;
    const { stdin } = this.#process;
    // Newline-delimited: the JSON itself may hold line breaks between tokens, which are insignificant there.
    const line = /[\r\n]/.test(frame.text) ? Buffer.from(frame.text.replaceAll(/[\r\n]/g, ' ')) : frame.bytes;
    stdin.write(line);
    if (!stdin.write('\n')) await new Promise<void>((resolve) => stdin.once('drain', resolve).once('close', resolve));
  }

  async request(frame: Frame, signal: Signal): Promise<UpstreamAnswer> {
    const key = idKey(frame.id!);
    const token = progressToken(frame);
    const inbox = new Inbox(() => {
      this.#waiting.delete(key);
      if (token !== undefined) this.#progress.delete(token);
    }, signal);
    this.#waiting.set(key, inbox);
    if (token !== undefined) this.#progress.set(token, inbox);
    await this.write(frame);
    const first = await inbox.first();
    // A lone answer is JSON; an answer that something precedes is a stream.
    if (first.kind === 'response') {
      inbox.close();
      return { status: 200, mode: 'json', body: first.bytes };
    }
    return { status: 200, mode: 'sse', events: inbox.events() };
  }

  listen(signal: Signal): UpstreamAnswer {
    if (this.#listener !== undefined) return { status: 409, mode: 'empty' };
    const inbox = new Inbox(() => {
      this.#listener = undefined;
    }, signal);
    this.#listener = inbox;
    return { status: 200, mode: 'sse', events: inbox.events() };
  }

  async stop(): Promise<void> {
    this.#process.stdin.end();
    this.#process.kill('SIGTERM');
    const hard = setTimeout(() => this.#process.kill('SIGKILL'), 1_000);
    await this.#exited;
    clearTimeout(hard);
  }

  #read(chunk: Buffer): void {
    let rest = chunk;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      this.#tail.push(rest.subarray(0, end));
      const line = Buffer.concat(this.#tail);
      this.#tail = [];
      this.#tailSize = 0;
      rest = rest.subarray(end + 1);
      if (line.length > 0 && !(line.length === 1 && line[0] === 13)) this.#deliver(line);
    }
    if (rest.length === 0) return;
    this.#tailSize += rest.length;
    if (this.#tailSize > this.#options.messageSize) {
      this.#fail(new UpstreamFault('a message is larger than server.message_size', true));
      this.#process.kill('SIGKILL');
      return;
    }
    this.#tail.push(rest);
  }

  #deliver(line: Buffer): void {
    let frame: Frame;
    try {
      frame = decodeFrame(line, this.#options.limits, 'server');
    } catch (fault) {
      this.#fail(new UpstreamFault('the upstream command wrote a line that is not a JSON-RPC message', true, fault));
      this.#process.kill('SIGKILL');
      return;
    }
    this.#recipient(frame)?.push(frame);
  }

  /** Answers go to their request, progress to the request of its token, all else to the GET stream or the newest open request. */
  #recipient(frame: Frame): Inbox | undefined {
    // An error without an id answers nobody in particular.
    if (frame.kind === 'response') return frame.id === undefined ? undefined : this.#waiting.get(idKey(frame.id));
    if (frame.method === 'notifications/progress') {
      const token = (frame.value['params'] as { progressToken?: unknown } | undefined)?.progressToken;
      const inbox = this.#progress.get(JSON.stringify(token));
      if (inbox !== undefined) return inbox;
    }
    if (this.#listener !== undefined && frame.kind === 'notification') return this.#listener;
    return [...this.#waiting.values()].at(-1) ?? this.#listener;
  }

  #fail(fault: UpstreamFault): void {
    if (this.#fault !== undefined) return;
    this.#fault = fault;
    for (const inbox of this.#waiting.values()) inbox.fail(fault);
    this.#listener?.end();
  }
}

/** Messages for one waiting request or stream, in order. */
class Inbox {
  #frames: Frame[] = [];
  #fault: Error | undefined;
  #ended = false;
  #wake: (() => void) | undefined;
  readonly #onClose: () => void;
  readonly #signal: Signal;
  readonly #onAbort = (): void => this.fail(new UpstreamFault('given up by the gateway', true));

  constructor(onClose: () => void, signal: Signal) {
    this.#onClose = onClose;
    this.#signal = signal;
    if (signal.aborted) this.fail(new UpstreamFault('given up by the gateway', false));
    else signal.on(this.#onAbort);
  }

  push(frame: Frame): void {
    this.#frames.push(frame);
    this.#notify();
  }

  end(): void {
    this.#ended = true;
    this.#notify();
  }

  fail(fault: Error): void {
    this.#fault ??= fault;
    this.close();
    this.#notify();
  }

  close(): void {
    this.#signal.off(this.#onAbort);
    this.#onClose();
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  async first(): Promise<Frame> {
    await this.#arrival();
    if (this.#frames.length === 0) throw this.#fault ?? new UpstreamFault('the upstream command ended', true);
    return this.#frames[0]!;
  }

  async #arrival(): Promise<void> {
    while (this.#frames.length === 0 && this.#fault === undefined && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async *events(): AsyncGenerator<readonly SseEvent[]> {
    try {
      for (;;) {
        await this.#arrival();
        const batch = this.#frames;
        this.#frames = [];
        if (batch.length > 0) yield batch.map((frame) => ({ raw: encodeEvent(frame, {}), data: frame.text }));
        if (batch.some((frame) => frame.kind === 'response')) return;
        if (this.#frames.length > 0) continue;
        if (this.#fault !== undefined) throw this.#fault;
        if (this.#ended) return;
      }
    } finally {
      this.close();
    }
  }
}

function progressToken(frame: Frame): string | undefined {
  const params = frame.value['params'] as { _meta?: { progressToken?: unknown } } | undefined;
  const token = params?._meta?.progressToken;
  return token === undefined ? undefined : JSON.stringify(token);
}
