import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import t from 'tap';
import { parseConfig } from '../proxy/config.ts';

const root = resolve(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`),
  'examples/shop/README.md',
].filter((path) => path.endsWith('.md'));

t.test('every relative link of the documentation leads to a file [docs-links-resolve]', async (t) => {
  t.ok(pages.length > 10);
  for (const page of pages) {
    for (const match of read(page).matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)/g)) {
      t.ok(existsSync(join(root, dirname(page), match[1]!)), `${page} -> ${match[1]}`);
    }
  }
});

t.test('every page is linked from the README', async (t) => {
  const readme = read('README.md');
  for (const page of pages.filter((path) => path.startsWith('docs/'))) t.ok(readme.includes(`(${page})`), page);
});

t.test('the configuration in the README is accepted as it stands [readme-config-works]', async (t) => {
  const yaml = /```yaml\n([\s\S]*?)```/.exec(read('README.md'))?.[1];
  t.ok(yaml);
  const config = parseConfig(yaml!, join(root, 'portcullis.yaml'), { UPSTREAM_TOKEN: 'fake-token' });
  t.equal(config.connections.length, 1);
  t.ok(config.rules.guardrails.length === 1 && config.rules.access_request_rules.length === 1);
});

t.test('README, AGENTS and scripts name only commands that exist', async (t) => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  for (const page of pages) {
    for (const match of read(page).matchAll(/npm run (?:-s )?([a-z-]+)/g))
      t.ok(Object.hasOwn(scripts, match[1]!), `${page}: npm run ${match[1]}`);
  }
});

t.test('the README is at most 120 lines, AGENTS too', async (t) => {
  for (const page of ['README.md', 'AGENTS.md']) t.ok(read(page).split('\n').length <= 121, page);
});
