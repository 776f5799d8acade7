import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { ERRORS } from '../../proxy/errors.ts';
import { readErrorNotes } from '../../scripts/error-pages.ts';

const root = resolve(import.meta.dirname, '../..');
const codes = new Set(Object.keys(ERRORS));
const sources = ['policies', 'proxy', 'recorder'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && join(folder, name) !== join('proxy', 'errors.ts'))
    .map((name) => ({ path: join(folder, name), text: readFileSync(join(root, folder, name), 'utf8') })),
);

t.test(
  'every code that a refusal is made with is in the table, and every row is used [denial-codes-known]',
  async (t) => {
    const used = new Set<string>();
    for (const { path, text } of sources) {
      for (const [, quoted] of text.matchAll(/'([a-z]+(?:_[a-z]+)*)'/g)) if (codes.has(quoted!)) used.add(quoted!);
      // Codes of MCP revisions, of OAuth and of Node are written elsewhere; these are the places where refusals get theirs.
      const made = /new GatewayError\(\s*'([a-z_]+)'|\bdenied\(\s*'([a-z_]+)'|\bblocked\(\s*'([a-z_]+)'/g;
      for (const match of text.matchAll(made)) {
        const code = match[1] ?? match[2] ?? match[3]!;
        t.ok(codes.has(code), `${path}: ${code}`);
      }
      if (!path.startsWith('policies')) continue;
      for (const match of text.matchAll(/\bcode: '([a-z_]+)',\s*rule\b/g))
        t.ok(codes.has(match[1]!), `${path}: ${match[1]}`);
    }
    t.ok(used.size > 50);
    // The roles' codes are put together of the role's name.
    for (const code of ['admin_required', 'auditor_required']) used.add(code);
    t.same(
      [...codes].filter((code) => !used.has(code)),
      [],
    );
  },
);

t.test(
  'every code has notes, and a section of its own that says who sees it and what can be done [denial-codes-documented]',
  async (t) => {
    const notes = readErrorNotes();
    t.same(
      [...codes].filter((code) => !notes.has(code)),
      [],
      'add them to scripts/error-notes.yaml',
    );
    t.same(
      [...notes.keys()].filter((code) => !codes.has(code)),
      [],
      'no notes of codes that are gone',
    );
    for (const [code, note] of notes) {
      t.equal(note.length, 2, code);
      for (const sentence of note) t.match(sentence, /^[A-Z`].*\.$/s, code);
    }
    const page = readFileSync(join(root, 'docs/errors.md'), 'utf8');
    for (const [code, row] of Object.entries(ERRORS)) {
      const section = page.split(`\n## ${code}\n`)[1]?.split('\n## ')[0] ?? '';
      for (const part of [
        'Who sees it:',
        `JSON-RPC ${row.rpc}, HTTP ${row.http}.`,
        row.remedy,
        'What an operator can do:',
      ]) {
        t.ok(section.includes(part), `${code}: ${part}`);
      }
      t.ok(page.includes(`[\`${code}\`](#${code})`), `${code} is in the table`);
    }
  },
);
