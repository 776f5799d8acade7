// Runs a TypeScript file of this checkout, or says clearly that this Node cannot. Plain JavaScript, so that any Node can read it.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  console.error(`Portcullis needs Node.js 22.19 or newer; this is ${process.version}.`);
  console.error(
    'Run it through npm (npm start), which uses the Node 24 that npm ci installed on Linux x64, or install a newer Node.',
  );
  process.exit(1);
}
const [file] = process.argv.splice(2, 1);
await import(new URL(`../${file}`, import.meta.url).href);
