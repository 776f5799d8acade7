import { spawn } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { Test } from 'tap';

const modules = join(import.meta.dirname, 'node_modules');

/** Start files of the programs under test, none of which we wrote. */
export const PROGRAMS = {
  everything: join(modules, '@modelcontextprotocol/server-everything/dist/index.js'),
  filesystem: join(modules, '@modelcontextprotocol/server-filesystem/dist/index.js'),
  dbhub: join(modules, '@bytebase/dbhub/dist/index.js'),
  inspector: join(modules, '@modelcontextprotocol/inspector/clients/launcher/build/index.js'),
} as const;

/** A folder of the test's own, under its real name (the filesystem server compares names). */
export function temporaryFolder(t: Test): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'portcullis-interop-')));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The reference server with everything in it, over Streamable HTTP. */
export async function startEverything(t: Test): Promise<string> {
  const port = await freePort();
  await run(t, [PROGRAMS.everything, 'streamableHttp'], /listening on port (\d+)/, { PORT: String(port) });
  return `http://127.0.0.1:${port}/mcp`;
}

/** DBHub on a SQLite file with people in it, over Streamable HTTP. */
export async function startDbhub(t: Test, folder: string): Promise<string> {
  const file = join(folder, 'people.db');
  const db = new Database(file);
  db.exec('CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, email TEXT)');
  const insert = db.prepare('INSERT INTO people (name, email) VALUES (?, ?)');
  insert.run('Ada', 'ada.lovelace@example.com');
  insert.run('Grace', 'grace.hopper@example.com');
  db.close();
  const options = ['--transport', 'http', '--host', '127.0.0.1', '--port', '0', '--dsn', `sqlite://${file}`];
  const [, port] = await run(t, [PROGRAMS.dbhub, ...options], /HTTP server listening on 127\.0\.0\.1:(\d+)/);
  return `http://127.0.0.1:${port}/mcp`;
}

/** A folder for the filesystem server, and the file with a secret in it. */
export function letters(folder: string): string {
  const file = join(folder, 'letter.txt');
  writeFileSync(file, 'Dear Ada, write to ada.lovelace@example.com.\n');
  return file;
}

/** Runs a Node program until the end of the test; resolves with the line by which it says that it is ready. */
async function run(
  t: Test,
  args: readonly string[],
  ready: RegExp,
  env: Record<string, string> = {},
): Promise<RegExpExecArray> {
  const child = spawn(process.execPath, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return new Promise((resolve, reject) => {
    let said = '';
    const listen = (chunk: Buffer): void => {
      said += chunk.toString();
      const match = ready.exec(said);
      if (match !== null) resolve(match);
    };
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
    child.once('close', (code) => reject(new Error(`${args[0]} ended with ${code}: ${said}`)));
  });
}

/** For programs that cannot tell which port they got. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
