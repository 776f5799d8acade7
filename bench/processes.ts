import { execFileSync, spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';

const STOP_MS = 5000;

/** One started program; `stop` ends it for certain. */
export class Program {
  readonly #child: ChildProcess;
  readonly #name: string;
  #tail = '';

  private constructor(name: string, child: ChildProcess) {
    this.#name = name;
    this.#child = child;
    const keep = (text: Buffer): void => {
      this.#tail = (this.#tail + text.toString()).slice(-2000);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    child.on('error', (fault) => keep(Buffer.from(fault.message)));
  }

  /** Starts a program, on one core where `core` names it. `talks`: it is one of ours and sends messages. */
  static start(
    name: string,
    command: readonly string[],
    options: { core: number | undefined; talks: boolean },
  ): Program {
    const pinned = options.core === undefined ? command : ['taskset', '-c', String(options.core), ...command];
    const stdio: StdioOptions = options.talks ? ['ignore', 'pipe', 'pipe', 'ipc'] : ['ignore', 'pipe', 'pipe'];
    return new Program(name, spawn(pinned[0]!, pinned.slice(1), { stdio }));
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined;
  }

  /** The program's next message; throws when it ends instead. */
  async next<T>(): Promise<T> {
    if (this.ended) throw this.failure();
    const over = new AbortController();
    try {
      return await Promise.race([
        once(this.#child, 'message', { signal: over.signal }).then(([message]) => message as T),
        once(this.#child, 'exit', { signal: over.signal }).then(() => Promise.reject(this.failure())),
      ]);
    } finally {
      over.abort();
    }
  }

  send(message: object): void {
    this.#child.send(message);
  }

  /** What to throw when the program ended before its time: its last words. */
  failure(): Error {
    return new Error(`${this.#name} ended with ${this.#child.signalCode ?? this.#child.exitCode}\n${this.#tail}`);
  }

  async stop(): Promise<void> {
    if (this.ended) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const late = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    await gone;
    clearTimeout(late);
  }
}

/** The cores for the load, for the upstream and for what is measured; undefined where programs cannot be pinned. */
export interface Cores {
  readonly load: number;
  readonly upstream: number;
  readonly measured: number;
}

export function cores(): Cores | undefined {
  try {
    const list =
      /: *(\S+)\s*$/.exec(execFileSync('taskset', ['-cp', String(process.pid)], { encoding: 'utf8' }))?.[1] ?? '';
    const allowed = list.split(',').flatMap((range) => {
      const [from, to = from] = range.split('-').map(Number);
      return Array.from({ length: to! - from! + 1 }, (_, offset) => from! + offset);
    });
    if (allowed.length < 2) return undefined;
    return { load: allowed[0]!, upstream: allowed.length > 2 ? allowed[1]! : allowed[0]!, measured: allowed.at(-1)! };
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fault;
  }
}

export interface Usage {
  /** User and system time of the process, all its threads and all its descendants. */
  readonly cpuMicros: number;
  readonly rssBytes: number;
}

let ticksPerSecond: number | undefined;

/** What a process and its descendants have used so far; undefined where there is no /proc. */
export function usage(pid: number): Usage | undefined {
  if (process.platform !== 'linux') return undefined;
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  const stats = new Map<number, readonly string[]>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'latin1');
      // The name before the last bracket may hold spaces and brackets of its own.
      stats.set(Number(entry), stat.slice(stat.lastIndexOf(')') + 2).split(' '));
    } catch (fault) {
      if (!['ENOENT', 'ESRCH'].includes((fault as NodeJS.ErrnoException).code ?? '')) throw fault;
    }
  }
  let ticks = 0;
  let pages = 0;
  const family = [pid];
  for (const member of family) {
    const fields = stats.get(member);
    if (fields === undefined) continue;
    ticks += Number(fields[11]) + Number(fields[12]);
    pages += Number(fields[21]);
    for (const [other, [, parent]] of stats) if (Number(parent) === member) family.push(other);
  }
  return { cpuMicros: (ticks * 1e6) / ticksPerSecond, rssBytes: pages * 4096 };
}

const LOOK_MS = 20;

/** Watches the resident memory of one process until it is told to stop; then answers the most that it saw. */
export function watchMemory(pid: number): () => number | undefined {
  if (process.platform !== 'linux') return () => undefined;
  let most = 0;
  const look = (): void => {
    try {
      most = Math.max(most, Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]) * 4096);
    } catch (fault) {
      if (!['ENOENT', 'ESRCH'].includes((fault as NodeJS.ErrnoException).code ?? '')) throw fault;
    }
  };
  // Nothing waits for it when a run is broken off.
  const timer = setInterval(look, LOOK_MS).unref();
  return () => {
    clearInterval(timer);
    look();
    return most;
  };
}

const QUIET_MS = 200;
const MOST_QUIETING_MS = 20_000;

/** Waits until a process uses no time any more, so that work it put off is counted too, and answers its usage then. */
export async function settled(pid: number): Promise<Usage | undefined> {
  let last = usage(pid);
  for (let waited = 0; waited < MOST_QUIETING_MS; waited += QUIET_MS) {
    await pause(QUIET_MS);
    const now = usage(pid);
    if (now === undefined || last === undefined || now.cpuMicros - last.cpuMicros < 10_001) return now;
    last = now;
  }
  return last;
}
