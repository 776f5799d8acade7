import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

// A fresh clone has neither tap's generated plugins nor the third-party programs that some tests run.
const root = join(import.meta.dirname, '..');
const run = (command: string, args: string[]): void => {
  execFileSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
};

if (!existsSync(join(root, '.tap/plugins'))) run('npx', ['tap', 'build']);
for (const [folder, what] of [
  ['tests/interop', 'the third-party MCP servers and clients'],
  ['tests/conformance', 'the official conformance suite'],
] as const) {
  if (existsSync(join(root, folder, 'node_modules'))) continue;
  console.log(`installing ${what} for ${folder}`);
  run('npm', ['ci', '--prefix', folder, '--no-audit', '--no-fund', '--ignore-scripts']);
}
