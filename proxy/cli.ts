#!/usr/bin/env node
// Said before anything is loaded that an older Node could not even read.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  console.error(`Portcullis needs Node.js 22.19 or newer; this is ${process.version}.`);
  process.exitCode = 1;
} else {
  const { runCli } = await import('./cli/program.ts');
  process.exitCode = await runCli(process.argv.slice(2));
}

export {};
