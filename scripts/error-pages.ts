import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { ERRORS, type ErrorRow } from '../proxy/errors.ts';

const NOTE =
  '<!-- Written by scripts/write-docs.ts from proxy/errors.ts and scripts/error-notes.yaml; change these, not this page. -->';

/** Of each code: what it means, and what an operator can do. */
export function readErrorNotes(): ReadonlyMap<string, readonly [means: string, operator: string]> {
  const text = readFileSync(new URL('error-notes.yaml', import.meta.url), 'utf8');
  return new Map(Object.entries(parse(text) as Record<string, readonly [string, string]>));
}

/** docs/errors.md: every refusal a client can meet, each with a section of its own. */
export function renderErrors(): string {
  const notes = readErrorNotes();
  const rows = Object.entries<ErrorRow>(ERRORS);
  const lines = rows.map(([code, row]) => `| [\`${code}\`](#${code}) | ${row.rpc} | ${row.http} | ${sentence(row)} |`);
  return `# Errors

${NOTE}

Every refusal carries a stable code, the name of the rule that refuses, the exchange id, and what can be done next. A denied or held
tools/call is answered with a tool result whose \`isError\` is true, so that the model reads the sentence; the rest is in
\`_meta["portcullis/denial"]\`. Everything else is a JSON-RPC error with the same members in \`data\`. "…" stands for a detail that
depends on the case and never repeats a secret. Policy refusals have HTTP status 200, because another 4xx than 401 and 403 makes some
clients fall back to an older protocol. \`portcullis explain <exchange-id>\` prints how a refusal came about.

| code | JSON-RPC code | HTTP status | sentence |
|---|---|---|---|
${lines.join('\n')}

${rows.map(([code, row]) => section(code, row, notes.get(code))).join('\n')}`;
}

function section(code: string, row: ErrorRow, note: readonly [string, string] | undefined): string {
  return `## ${code}

> ${sentence(row)}

${note?.[0] ?? 'A refusal without further notes.'}

* **Who sees it:** ${seenBy(code, row)}
* **Codes:** JSON-RPC ${row.rpc}, HTTP ${row.http}.
* **What the agent can do:** ${row.remedy}.
* **What an operator can do:** ${note?.[1] ?? 'Read the exchange with `portcullis explain`.'}
`;
}

const sentence = (row: ErrorRow): string => row.sentence.replaceAll('%s', '…').replaceAll('|', '\\|');

/** Refusals that are told like the absence of the thing: without code, rule and exchange id. */
const BLIND: ReadonlySet<string> = new Set(['name_unknown', 'connection_unknown']);

function seenBy(code: string, { rpc, http }: ErrorRow): string {
  if (BLIND.has(code))
    return 'the caller, as for something that does not exist; code and rule stand in the record only.';
  if (rpc >= 1001 && rpc < 1200)
    return 'the caller, as a tool result for tools/call and as a JSON-RPC error for other methods; whoever may read the exchange.';
  if (http === 401 || code === 'scope_insufficient')
    return 'the caller, as an HTTP error with a `WWW-Authenticate` challenge, which clients answer by asking for a token.';
  if (http >= 400 && http < 500) return 'the caller, as an HTTP error with a JSON-RPC error as its body.';
  return 'the caller, as a JSON-RPC error; whoever may read the exchange, if it was opened.';
}
