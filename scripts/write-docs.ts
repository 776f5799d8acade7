import { readFileSync, writeFileSync } from 'node:fs';
import { renderConfiguration, renderMetrics } from './docs-pages.ts';
import { renderErrors } from './error-pages.ts';
import { withSentences } from './example-sentences.ts';

/** Files that are written from tables of the program: path from the repository's root, and what must stand in them. */
export function writtenFiles(root: URL): ReadonlyMap<string, string> {
  return new Map([
    ['docs/configuration.md', renderConfiguration()],
    ['docs/errors.md', renderErrors()],
    ['docs/metrics.md', renderMetrics()],
    ['config.example.yaml', withSentences(readFileSync(new URL('config.example.yaml', root), 'utf8'))],
  ]);
}

/** The paths of files that are not what they should be. */
export function staleFiles(root: URL): readonly string[] {
  return [...writtenFiles(root)].filter(([path, text]) => read(new URL(path, root)) !== text).map(([path]) => path);
}

function read(url: URL): string | undefined {
  try {
    return readFileSync(url, 'utf8');
  } catch {
    return undefined;
  }
}

if (import.meta.main) {
  const root = new URL('..', import.meta.url);
  const stale = staleFiles(root);
  if (process.argv.includes('--check')) {
    for (const path of stale) console.error(`${path} is stale: run node scripts/write-docs.ts`);
    process.exitCode = stale.length === 0 ? 0 : 1;
  } else {
    const files = writtenFiles(root);
    for (const path of stale) writeFileSync(new URL(path, root), files.get(path)!);
    console.log(stale.length === 0 ? 'nothing to write' : `written: ${stale.join(', ')}`);
  }
}
