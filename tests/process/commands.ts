import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import type { Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import type { Upstream } from '../fixture/types.ts';
import { startUpstream, type Script } from '../fixture/upstream.ts';
import { send } from '../gateway.ts';

export const root = resolve(import.meta.dirname, '../..');
const CLI = join(root, 'proxy/cli.ts');

/** A child that hangs fails its test after this long, instead of the whole run. */
const PATIENCE_MS = 20_000;

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process of the test's own; killed at the end of the test if it is still there. */
export class Program {
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #group: boolean;
  readonly #ended: Promise<Ended>;
  readonly #watchers = new Set<() => void>();
  #stdout = '';
  #stderr = '';

  constructor(
    t: Test,
    command: string,
    args: readonly string[],
    options: { env?: Record<string, string>; group?: boolean } = {},
  ) {
    this.#group = options.group === true;
    // Without what the test runner adds for its own children.
    const { NODE_OPTIONS: _, ...inherited } = process.env;
    const env = { ...inherited, NO_COLOR: '1', ...options.env };
    this.#child = spawn(command, args, { cwd: root, env, detached: this.#group, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => this.#said(() => (this.#stdout += text)));
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => this.#said(() => (this.#stderr += text)));
    this.#ended = once(this.#child, 'close').then(([code]) => ({
      code: code as number | null,
      stdout: this.#stdout,
      stderr: this.#stderr,
    }));
    void this.#ended.then(() => this.#said(() => undefined));
    t.teardown(async () => {
      if (this.#child.exitCode === null && this.#child.signalCode === null) this.signal('SIGKILL');
      await this.#ended;
    });
  }

  #said(keep: () => void): void {
    keep();
    for (const look of this.#watchers) look();
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** The first match in what it says, as soon as it is said; rejects when it ends first. */
  says(pattern: RegExp): Promise<RegExpExecArray> {
    return inTime(
      new Promise((resolve, reject) => {
        const look = (): void => {
          const match = pattern.exec(this.#stdout) ?? pattern.exec(this.#stderr);
          const gone = this.#child.exitCode !== null || this.#child.signalCode !== null;
          if (match === null && !gone) return;
          this.#watchers.delete(look);
          if (match !== null) resolve(match);
          else reject(new Error(`it ended without saying ${String(pattern)}: ${this.#stdout}${this.#stderr}`));
        };
        this.#watchers.add(look);
        look();
      }),
      `saying ${String(pattern)}`,
    );
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#group) process.kill(-this.#child.pid!, signal);
    else this.#child.kill(signal);
  }

  /** Its end; a child that does not end in time fails the test. */
  end(): Promise<Ended> {
    return inTime(this.#ended, 'ending');
  }
}

function inTime<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it took too long: ${what}`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Asks again and again until the answer is there; gives up when it stays away. */
export async function until<T>(ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error('what was waited for did not come');
  }
}

/** A folder with a configuration file, and the commands that a person would type in it. */
export class Workplace {
  readonly folder = mkdtempSync(join(tmpdir(), 'portcullis-process-'));
  readonly file = join(this.folder, 'portcullis.yaml');
  readonly database = join(this.folder, 'portcullis.db');
  readonly #t: Test;

  constructor(t: Test) {
    this.#t = t;
    t.teardown(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  write(config: JsonObject | string): void {
    writeFileSync(this.file, typeof config === 'string' ? config : JSON.stringify(config, null, 2));
  }

  /** Runs one command to its end. */
  async cli(...args: readonly string[]): Promise<Ended> {
    return new Program(this.#t, process.execPath, [CLI, '--config', this.file, ...args]).end();
  }

  /** What a command that must succeed prints. */
  async ok(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.cli(...args);
    this.#t.equal(code, 0, `${args.join(' ')} succeeds ${stderr}`);
    return stdout;
  }

  /** The token of an administrator, made with the command: the first one of a store can come from nowhere else. */
  async admin(): Promise<string> {
    return this.token('ada', 'admin');
  }

  async token(name: string, ...groups: readonly string[]): Promise<string> {
    const printed = await this.ok('token', 'create', name, ...groups.flatMap((group) => ['--group', group]));
    return printed.split('\n')[0]!;
  }

  /** Starts the gateway; resolves when it serves. */
  async serve(): Promise<{ readonly program: Program; readonly url: string }> {
    const program = new Program(this.#t, process.execPath, [CLI, '--config', this.file, 'serve']);
    const [, url] = await program.says(/"url":"([^"]+)".*Portcullis is serving/);
    return { program, url: url! };
  }
}

/** A token that the administrator makes at the running gateway. */
export async function person(
  url: string,
  admin: string,
  subject: string,
  ...groups: readonly string[]
): Promise<string> {
  const answer = await send(`${url}/api/tokens`, admin, JSON.stringify({ name: subject, groups }));
  return String(answer.json['token']);
}

/** An upstream with one tool that changes things. */
export async function startDatabase(t: Test, execute_sql?: Script): Promise<Upstream> {
  const upstream = await startUpstream({
    list: [{ name: 'execute_sql', description: 'Runs SQL.', inputSchema: { type: 'object' } }],
    tools: {
      execute_sql:
        execute_sql ??
        ((request) => ({
          result: { ...request.complete, content: [{ type: 'text', text: 'rows: 1 for ada@example.com' }] },
        })),
    },
  });
  t.teardown(() => upstream.close());
  return upstream;
}

/** A configuration in front of that upstream: deletes need a DBA, addresses are masked, drops are blocked. */
export function configFor(upstream: Upstream, place: Workplace, sections: JsonObject = {}): JsonObject {
  return {
    server: { listen: '127.0.0.1:0', public_url: 'http://127.0.0.1:8800', grace: '1s' },
    keys: { master: { file: join(place.folder, 'key') } },
    recorder: { path: place.database },
    log: { level: 'info', format: 'json' },
    hold: { inline_timeout: '20s' },
    connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng', 'dba'] } }],
    datamasking_rules: [
      { name: 'pii', supported_entity_types: [{ name: 'CONTACT', entity_types: ['EMAIL_ADDRESS'] }] },
    ],
    guardrails: [
      {
        name: 'no-drops',
        connections: ['default'],
        input: { rules: [{ type: 'deny_words_list', words: ['drop table'] }] },
      },
    ],
    access_request_rules: [
      {
        name: 'writes',
        connections: ['default'],
        access_type: 'command',
        when: 'args.?sql.orValue("").search("(?i)\\\\bdelete\\\\b")',
        reviewers_groups: ['dba'],
      },
    ],
    ...sections,
  };
}
