import { readFileSync, readdirSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import t from 'tap';

const root = resolve(import.meta.dirname, '..');
const FOLDERS = ['policies', 'recorder', 'proxy'];

interface Source {
  readonly path: string;
  readonly text: string;
  /** Paths of our own files that it imports. */
  readonly imports: readonly string[];
  readonly libraries: readonly string[];
}

function sources(): readonly Source[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  )
    .filter((path) => path.endsWith('.ts'))
    .map((path) => {
      const text = readFileSync(join(root, path), 'utf8');
      const specifiers = [
        ...text.matchAll(
          /(?:^|\n)(?:import|export)\s[^;]*?from\s+'([^']+)'|\bimport\('([^']+)'\)|^import\s+'([^']+)'/gm,
        ),
      ].map((match) => match[1] ?? match[2] ?? match[3]!);
      return {
        path,
        text,
        imports: specifiers
          .filter((it) => it.startsWith('.'))
          .map((it) => relative(root, resolve(root, dirname(path), it))),
        libraries: specifiers.filter((it) => !it.startsWith('.')),
      };
    });
}

const all = sources();

t.test('imports point one way: proxy, recorder, policies [imports-one-way]', async (t) => {
  t.ok(all.length > 50, 'the sources were found');
  const level = (path: string): number => FOLDERS.indexOf(path.split('/')[0]!);
  for (const { path, imports } of all) {
    for (const target of imports) {
      t.ok(level(target) >= 0 && level(target) <= level(path), `${path} may import ${target}`);
    }
  }
});

t.test('policies do no I/O: no socket, file, clock, environment, web framework [policies-pure]', async (t) => {
  const allowed = new Set([
    'node:crypto',
    'node:buffer',
    'node:module',
    're2js',
    '@marcbachmann/cel-js',
    'ibantools',
    'ajv',
  ]);
  for (const { path, libraries, text } of all.filter((source) => source.path.startsWith('policies/'))) {
    for (const library of libraries)
      t.ok(allowed.has(library) || library.startsWith('ajv/'), `${path} may import ${library}`);
    t.notMatch(
      text,
      /\bprocess\.|\bDate\.now\(|\bnew Date\(|\bfetch\(|\bsetTimeout\(|\bMath\.random\(|\brandom(?:Bytes|UUID)\(/,
      `${path} is pure`,
    );
  }
});

t.test('files are small and named for what they do [files-small]', async (t) => {
  for (const { path, text } of all) {
    const lines = text.split('\n').length - 1;
    t.ok(lines <= (path === 'proxy/pipeline.ts' ? 80 : 300), `${path} has ${lines} lines`);
    t.notMatch(basename(path), /^(?:utils?|helpers?|common|manager|misc)\b/, `${path} has a name`);
    t.match(basename(path), /^[a-z0-9]+(?:-[a-z0-9]+)*\.ts$/, `${path} is in kebab case`);
  }
});

t.test('there are no import cycles [no-cycles]', async (t) => {
  const imports = new Map(all.map((source) => [source.path, source.imports]));
  const done = new Set<string>();
  const visit = (path: string, way: readonly string[]): string | undefined => {
    if (way.includes(path)) return [...way.slice(way.indexOf(path)), path].join(' -> ');
    if (done.has(path)) return undefined;
    for (const next of imports.get(path) ?? []) {
      const cycle = visit(next, [...way, path]);
      if (cycle !== undefined) return cycle;
    }
    done.add(path);
    return undefined;
  };
  const cycles = [...imports.keys()].map((path) => visit(path, [])).filter((cycle) => cycle !== undefined);
  t.same(cycles, []);
});

t.test('only the pipeline calls forward, and only forward calls an upstream [one-pipeline]', async (t) => {
  const callers = all.filter(({ text }) => /(?<!function )\bforward\(/.test(text)).map(({ path }) => path);
  t.same(callers, ['proxy/pipeline.ts']);
  const senders = all.filter(({ text }) => /\bupstream\.send\(/.test(text)).map(({ path }) => path);
  t.same(senders, ['proxy/forward/forward.ts']);
});

t.test('nothing enforces anything in a hook of the web framework [one-pipeline]', async (t) => {
  for (const { path, text } of all) {
    t.notMatch(text, /addHook\('(?:onRequest|preParsing|preValidation|preHandler)'/, `${path} has no such hook`);
  }
});

t.test(
  'importing a file does nothing: work at the top level is for main.ts and cli.ts [imports-do-nothing]',
  async (t) => {
    const mayWork = new Set(['proxy/main.ts', 'proxy/cli.ts', 'recorder/writer-thread.ts']);
    for (const { path, text } of all) {
      if (mayWork.has(path)) continue;
      t.notMatch(text, /^await\b|^(?:const|let)\s[^=]*=\s*await\b/m, `${path} does not wait at the top level`);
      t.notMatch(text, /^[a-zA-Z.]+\([^)]*\)[^;]*;$/m, `${path} calls nothing at the top level`);
    }
  },
);
