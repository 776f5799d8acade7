/**
 * An MCP server on standard input and output that does what the names of its tools say. Arguments: `legacy` and/or `modern`.
 */
import { spawn } from 'node:child_process';

interface Message {
  readonly id?: string | number;
  readonly method?: string;
  readonly params?: Record<string, unknown> & { _meta?: Record<string, unknown> };
  readonly result?: unknown;
  readonly error?: unknown;
}

const eras = process.argv.slice(2);
const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';
const received: string[] = [];
const asked = new Map<string, string | number>();
const listeners = new Set<string | number>();
let waiting: (string | number)[] = [];

const say = (message: object): void => void process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const answer = (id: string | number | undefined, text: unknown): void =>
  say({ id, result: { resultType: 'complete', content: [{ type: 'text', text: JSON.stringify(text) }] } });
const listen = (id: string | number): object => ({ _meta: { [SUBSCRIPTION]: id } });

const tools: Record<string, (message: Message, args: Record<string, unknown>) => void> = {
  /** Answers late, after progress, so that answers overtake each other. */
  echo({ id, params }, args) {
    const token = params?._meta?.['progressToken'];
    const ms = Math.floor(Math.random() * 20);
    setTimeout(() => {
      if (token !== undefined) {
        const note = { progressToken: token, progress: 1, message: String(args['who']) };
        say({ method: 'notifications/progress', params: note });
      }
      answer(id, { ...args, pid: process.pid });
    }, ms);
  },
  wait({ id }) {
    waiting.push(id!);
    process.stderr.write('waiting\n');
  },
  received: ({ id }) => answer(id, received),
  env: ({ id }) => answer(id, process.env),
  die: () => process.kill(process.pid, 'SIGKILL'),
  flood({ id }, { lines }) {
    process.stderr.write(Array.from({ length: Number(lines) }, (_, n) => `line ${n}\n`).join(''));
    process.stderr.write(`${'x'.repeat(1_000_000)}\n`, () => answer(id, 'done'));
  },
  /** Says what it should keep to itself, across the place where long lines are cut. */
  mutter({ id }) {
    process.stderr.write(`${'x'.repeat(4_090)}${process.env['KEY']}\n`);
    answer(id, 'done');
  },
  /** Much, at once. */
  torrent({ id, params }, { count, size }) {
    const progressToken = params?._meta?.['progressToken'];
    const message = 'x'.repeat(Number(size));
    for (let progress = 1; progress <= Number(count); progress += 1) {
      say({ method: 'notifications/progress', params: { progressToken, progress, message } });
    }
    answer(id, 'done');
  },
  ask({ id }) {
    asked.set('q1', id!);
    say({ id: 'q1', method: 'roots/list' });
  },
  ping({ id }) {
    asked.set('p1', id!);
    say({ id: 'p1', method: 'ping' });
  },
  /** Reads nothing any more. */
  deaf({ id }) {
    answer(id, 'deaf');
    process.stdin.pause();
    setInterval(() => undefined, 60_000);
  },
  /** Starts a process that outlives its parent unless somebody ends it. */
  grandchild({ id }) {
    const child = spawn(process.execPath, ['-e', 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)'], {
      stdio: 'inherit',
    });
    answer(id, { grandchild: child.pid, pid: process.pid });
  },
  /** Says what no client asked for. */
  say({ id }, { method, params }) {
    if (listeners.size === 0) say({ method, params });
    for (const each of listeners) say({ method, params: { ...(params as object), ...listen(each) } });
    answer(id, 'said');
  },
  banner({ id }) {
    process.stdout.write('Hello from a library that knows no better\n');
    answer(id, 'said');
  },
  garbage: () => void process.stdout.write('{"jsonrpc":"2.0","id":1,"id":2,"result":{}}\n'),
  huge: () => void process.stdout.write('{"jsonrpc":"2.0",'.padEnd(20_000_000, ' ')),
  /** Ends every listening stream: by a result, or, as the revision has it on stdio, by a cancellation. */
  end({ id }, { how }) {
    for (const each of listeners) {
      if (how === 'result') say({ id: each, result: { resultType: 'complete', ...listen(each) } });
      else say({ method: 'notifications/cancelled', params: { requestId: each } });
    }
    listeners.clear();
    answer(id, 'ended');
  },
};

function handle(message: Message): void {
  const { id, method, params } = message;
  if (method === undefined) {
    const call = asked.get(String(id));
    if (call !== undefined) answer(call, message.result ?? message.error);
    return;
  }
  received.push(id === undefined ? `${method} ${JSON.stringify(params ?? {})}` : method);
  if (method === 'notifications/cancelled') {
    waiting = waiting.filter((each) => each !== params?.['requestId']);
    listeners.delete(params?.['requestId'] as string | number);
    process.stderr.write(`cancelled, ${waiting.length} wait\n`);
    return;
  }
  if (id === undefined) return;
  if (method === 'initialize' && eras.includes('refusing')) {
    return say({ id, error: { code: -32000, message: 'no thanks' } });
  }
  const capabilities = { tools: { listChanged: true }, logging: {}, tasks: {}, resources: { subscribe: true } };
  if (method === 'initialize' && eras.includes('legacy')) {
    const result = { protocolVersion: '2025-06-18', capabilities, serverInfo: { name: 'scripted', version: '1' } };
    return say({ id, result });
  }
  if (method === 'server/discover' && eras.includes('modern')) {
    const result = { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} } };
    return say({ id, result: { ...result, ttlMs: 0, cacheScope: 'private' } });
  }
  if (method === 'server/discover' && eras.includes('silent')) return;
  if (method === 'tools/list') {
    const list = Object.keys(tools).map((name) => ({ name, inputSchema: { type: 'object' } }));
    return say({ id, result: { resultType: 'complete', tools: list, ttlMs: 0, cacheScope: 'private' } });
  }
  if (method === 'resources/list') return say({ id, result: { resources: [] } });
  if (method === 'resources/subscribe' || method === 'resources/unsubscribe' || method === 'ping') {
    return say({ id, result: {} });
  }
  if (method === 'subscriptions/listen') {
    listeners.add(id);
    const notifications = params?.['notifications'];
    return say({ method: 'notifications/subscriptions/acknowledged', params: { notifications, ...listen(id) } });
  }
  const tool = method === 'tools/call' ? tools[String(params?.['name'])] : undefined;
  if (tool === undefined) return say({ id, error: { code: -32601, message: `no ${method}` } });
  tool(message, (params?.['arguments'] ?? {}) as Record<string, unknown>);
}

let rest = '';
process.stdin.setEncoding('utf8').on('data', (chunk: string) => {
  const lines = (rest + chunk).split('\n');
  rest = lines.pop()!;
  for (const line of lines) handle(JSON.parse(line) as Message);
});
process.stdin.on('end', () => {
  if (!eras.includes('stubborn')) process.exit(0);
});
if (eras.includes('stubborn')) process.on('SIGTERM', () => undefined);
