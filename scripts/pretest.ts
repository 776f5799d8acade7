import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

// A fresh clone has neither tap's generated plugins nor the third-party servers and clients of the interop tests.
const root = join(import.meta.dirname, '..');
const run = (command: string, args: string[]): void => {
  execFileSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
};

if (!existsSync(join(root, '.tap/plugins'))) run('npx', ['tap', 'build']);
if (!existsSync(join(root, 'tests/interop/node_modules'))) {
  console.log('installing the third-party MCP servers and clients that tests/interop runs against');
  run('npm', ['ci', '--prefix', 'tests/interop', '--no-audit', '--no-fund', '--ignore-scripts']);
}
