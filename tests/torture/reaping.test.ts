import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { startUpstream, type Received } from '../fixture/upstream.ts';
import { send, type Answer } from '../gateway.ts';
import { inTurns } from './in-turns.ts';
import { inSession } from './reading.ts';
import type { Memory, Order } from './sessions-process.ts';

/** A call of `echo` on a session. */
function echo(url: string, session: string, args: { readonly [key: string]: string | number }): Promise<Answer> {
  const { body, headers } = inSession(session, {
    id: 1,
    method: 'tools/call',
    params: { name: 'echo', arguments: args },
  });
  return send(url, undefined, body, { ...headers });
}

t.test(
  '2,000 abandoned sessions end at their upstream, and the memory they took is given back [sessions-reaped]',
  { skip: process.platform !== 'linux' && 'needs /proc' },
  async (t) => {
    const SESSIONS = 2000;
    const upstream = await startUpstream();
    t.teardown(() => upstream.close());
    const folder = mkdtempSync(join(tmpdir(), 'portcullis-sessions-'));
    const config = {
      server: { listen: '127.0.0.1:0', public_url: 'http://127.0.0.1:8800' },
      auth: { anonymous: { enabled: true, groups: ['eng'] } },
      keys: { master: { file: join(folder, 'key') } },
      recorder: { path: join(folder, 'portcullis.db') },
      connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng'] } }],
    };
    const child = fork(
      join(import.meta.dirname, 'sessions-process.ts'),
      [JSON.stringify(config), join(folder, 'config.yaml')],
      // Fewer arenas of the allocator, whose leftovers would be measured too.
      { execArgv: ['--expose-gc'], env: { ...process.env, NODE_OPTIONS: '', MALLOC_ARENA_MAX: '2' } },
    );
    t.teardown(async () => {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      rmSync(folder, { recursive: true, force: true });
    });
    const { url } = await word<{ url: string }>(child);
    const mcp = `${url}/mcp`;
    const clientInfo = { name: 'torture', version: '1' };
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
    const initialize = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params });
    const visit = async (n: number, bytes: number): Promise<string> => {
      const session = (await send(mcp, undefined, initialize)).headers.get('mcp-session-id')!;
      await echo(mcp, session, { n, text: 'x'.repeat(bytes) });
      return session;
    };
    const memory = async (): Promise<Memory> => {
      child.send({ type: 'memory' } satisfies Order);
      return word<Memory>(child);
    };
    // The gateway may have sessions of its own, for what it asks itself.
    const used = (): Set<string> => new Set(upstream.received('echo').map((request) => request.session!));
    const ends = (request: Received): boolean => request.method === 'DELETE' && users.has(request.session!);
    let users = new Set<string>();
    const abandon = async (count: number, bytes: number): Promise<string[]> => {
      const sessions = await inTurns(
        Array.from({ length: count }, (_, n) => n),
        20,
        (n) => visit(n, bytes),
      );
      users = used();
      child.send({ type: 'later', ms: 31 * 60_000 } satisfies Order);
      await upstream.arrival(ends, users.size);
      return sessions;
    };
    // Code, pools and the page cache of the store, 32 MB for each of its connections, are part of the start: sessions
    // come and go until they are filled.
    await abandon(SESSIONS / 2, 20_000);
    const before = await settledMemory(memory);
    t.equal(before.sessions, 0);
    const sessions = await abandon(SESSIONS, 1000);
    const after = await settledMemory(memory);
    t.equal(after.sessions, 0, 'no session is left');
    const mb = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
    t.ok(after.rss <= before.rss * 1.2, `RSS ${mb(before.rss)} -> ${mb(after.rss)} MB`);
    t.ok(after.heap <= before.heap * 1.2, `heap ${mb(before.heap)} -> ${mb(after.heap)} MB`);
    t.comment(`RSS ${mb(before.rss)} -> ${mb(after.rss)} MB, heap ${mb(before.heap)} -> ${mb(after.heap)} MB`);
    t.equal((await echo(mcp, sessions[7]!, {})).status, 404, 'an abandoned id is unknown');
    t.equal(users.size, 1.5 * SESSIONS);
    t.equal(upstream.received(ends).length, 1.5 * SESSIONS, 'each session ended once, by its own name');
  },
);

async function word<T>(child: ChildProcess): Promise<T> {
  const [message] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`the gateway ended with ${String(code)}`))),
  ])) as [T];
  return message;
}

/** The memory once sessions are gone and collecting gives no more back; at most so many looks. */
async function settledMemory(look: () => Promise<Memory>): Promise<Memory> {
  let last = await look();
  for (let looks = 0; looks < 400; looks += 1) {
    const now = await look();
    if (now.sessions === 0 && looks > 20 && now.rss >= last.rss) return now;
    last = now;
  }
  return last;
}
