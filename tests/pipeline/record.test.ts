import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { loadConfig } from '../../proxy/config.ts';
import { loadMasterKey } from '../../proxy/config/master-key.ts';
import { verify } from '../../recorder/verify.ts';
import { startUpstream } from '../fixture/upstream.ts';
import { callTool, startGateway } from '../gateway.ts';

t.test(
  'the record of real traffic verifies, and verify names what was changed, removed or cut back [verify-names-record]',
  async (t) => {
    const upstream = await startUpstream();
    t.teardown(() => upstream.close());
    const gateway = await startGateway(t, {
      connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng'] } }],
    });
    const token = await gateway.person('erin', ['eng']);
    const path = join(gateway.folder, 'portcullis.db');
    for (let i = 0; i < 5; i += 1) await callTool(`${gateway.url}/mcp`, token, 'echo', { i });
    const [first] = (await gateway.exchanges()).filter((it) => it.name === 'echo');
    // A copy of the database as it is now, before the newest rows.
    await gateway.portcullis.gateway.recorder.settled();
    const early = join(gateway.folder, 'early.db');
    new Database(path, { readonly: true }).prepare('VACUUM INTO ?').run(early);
    for (let i = 5; i < 10; i += 1) await callTool(`${gateway.url}/mcp`, token, 'echo', { i });
    await gateway.close();

    const masterKey = loadMasterKey({
      keys: { master: { file: join(gateway.folder, 'key') }, previous: [] },
      file: '',
    }).master;
    const intact = await verify({ path, masterKey });
    t.same(intact.problems, []);
    t.ok(intact.ok && intact.entries > 20 && intact.signatures > 0, `${intact.entries} entries`);

    const tampered = (name: string, change: (db: Database.Database) => void): string => {
      const copy = join(gateway.folder, `${name}.db`);
      copyFileSync(path, copy);
      copyFileSync(`${path}.head`, `${copy}.head`);
      const db = new Database(copy);
      change(db);
      db.close();
      return copy;
    };
    const altered = await verify({
      path: tampered('altered', (db) => db.prepare("UPDATE exchanges SET name = 'ecHo' WHERE id = ?").run(first!.id)),
      masterKey,
    });
    t.notOk(altered.ok);
    t.match(altered.problems[0], { kind: 'altered', record: new RegExp(first!.id) }, 'one byte of a stored row');

    const removed = await verify({
      path: tampered('removed', (db) => db.prepare('DELETE FROM exchanges WHERE id = ?').run(first!.id)),
      masterKey,
    });
    t.match(removed.problems[0], { kind: 'missing', record: new RegExp(first!.id) }, 'a row was deleted');

    copyFileSync(`${path}.head`, `${early}.head`);
    const cut = await verify({ path: early, masterKey });
    t.match(cut.problems[0]?.kind, 'cut', 'the newest rows were cut back past the last checkpoint');
  },
);

interface Served {
  readonly child: ChildProcess;
  readonly url: string;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** A gateway in a process of its own, which answers when this resolves. */
async function serve(t: Test, folder: string, config: JsonObject): Promise<Served> {
  const port = await freePort();
  const file = join(folder, 'portcullis.yaml');
  const whole = {
    server: { listen: `127.0.0.1:${port}` },
    keys: { master: { file: './key' } },
    recorder: { path: './portcullis.db' },
    ...config,
  };
  writeFileSync(file, JSON.stringify(whole));
  const child = spawn(process.execPath, ['proxy/cli.ts', '-c', file, 'serve'], { stdio: ['ignore', 'ignore', 'pipe'] });
  t.teardown(() => child.kill('SIGKILL'));
  let said = '';
  for await (const chunk of child.stderr!) {
    said += String(chunk);
    if (said.includes('Portcullis is serving')) break;
  }
  if (child.exitCode !== null) throw new Error(said);
  return { child, url: `http://127.0.0.1:${port}` };
}

t.test(
  'no call is forwarded when its intent cannot be written; nothing is lost, and it recovers by itself [disk-full-refuses-calls]',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'portcullis-full-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const upstream = await startUpstream();
    t.teardown(() => upstream.close());
    const { child, url } = await serve(t, folder, {
      auth: { anonymous: { enabled: true, groups: ['eng'] } },
      connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng'] } }],
      log: { level: 'info' },
    });
    const limit = (size: string): unknown =>
      execFileSync('prlimit', ['--pid', String(child.pid), `--fsize=${size}:unlimited`]);
    const call = async (): Promise<string> => {
      const answer = await callTool(`${url}/mcp`, undefined, 'echo', { padding: 'x'.repeat(500) });
      const error = answer.json['error'] as { data: { code: string } } | undefined;
      return error?.data.code ?? 'answered';
    };
    t.equal(await call(), 'answered');
    // From here on no file of the gateway may grow beyond what it is: what a full disk does.
    limit('1');
    const before = upstream.received('echo').length;
    t.equal(await call(), 'record_unavailable');
    t.equal(await call(), 'record_unavailable');
    t.equal(upstream.received('echo').length, before, 'nothing reached the upstream');
    limit('unlimited');
    t.equal(await call(), 'answered', 'space is back, and so is the gateway');

    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    const [code] = await exited;
    t.equal(code, 0);
    const config = loadConfig(join(folder, 'portcullis.yaml'), {});
    const report = await verify({ path: config.recorder.path, masterKey: loadMasterKey(config).master });
    t.same(report.problems, []);
    const db = new Database(config.recorder.path, { readonly: true });
    const { count } = db.prepare("SELECT count(*) AS count FROM exchanges WHERE name = 'echo'").get() as {
      count: number;
    };
    t.equal(count, 2, 'what was answered is on record');
  },
);

t.test(
  'a kill at any moment leaves a record that verifies, with an intent for every call that reached the upstream [intent-before-forward]',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'portcullis-kill-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const upstream = await startUpstream();
    t.teardown(() => upstream.close());
    const config = {
      auth: { anonymous: { enabled: true, groups: ['eng'] } },
      connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng'] } }],
    };
    const seen = new Set<string>();
    for (let round = 0; round < 3; round += 1) {
      const { child, url } = await serve(t, folder, config);
      // Each lane calls until the gateway is killed under it.
      const load = Promise.allSettled(
        Array.from({ length: 8 }, async (_, lane) => {
          for (let i = 0; ; i += 1) await callTool(`${url}/mcp`, undefined, 'echo', { tag: `r${round}-l${lane}-${i}` });
        }),
      );
      await upstream.arrival((request) => request.name === 'echo', (round + 1) * 100);
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
      await load;
    }
    for (const request of upstream.received('echo'))
      seen.add((request.json as { params: { arguments: { tag: string } } }).params.arguments.tag);
    const { child } = await serve(t, folder, config);
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
    const loaded = loadConfig(join(folder, 'portcullis.yaml'), {});
    const report = await verify({ path: loaded.recorder.path, masterKey: loadMasterKey(loaded).master });
    t.same(report.problems, []);
    t.ok(existsSync(loaded.recorder.path) && readFileSync(`${loaded.recorder.path}.head`).length > 0);
    const copy = join(folder, 'read.db');
    cpSync(loaded.recorder.path, copy);
    const db = new Database(copy, { readonly: true });
    const bodies = db.prepare('SELECT body FROM bodies').all() as { body: Buffer }[];
    const recorded = bodies.map(({ body }) => body.toString()).join('\n');
    const lost = [...seen].filter((tag) => !recorded.includes(`"${tag}"`));
    t.same(lost, [], `${seen.size} calls reached the upstream, each has its intent`);
  },
);
