import { createRequire } from 'node:module';

/** The version in package.json, beside the sources in a checkout and one folder up in a build. */
export function readVersion(): string {
  const require = createRequire(import.meta.url);
  const path = import.meta.url.endsWith('.ts') ? '../package.json' : '../../package.json';
  return (require(path) as { version: string }).version;
}
