import { createHash } from 'node:crypto';
import { canonical } from '../policies/json/canonical.ts';
import { find, parseTree } from '../policies/json/tree.ts';
import type { Asked } from './identify.ts';

const META = new Set(['_meta']);
/** What a later round of the same call brings: its state was sealed for these very parameters (duty M-07). */
const LATER_ROUND = new Set(['_meta', 'requestState', 'inputResponses']);

/**
 * What an approval binds: principal, connection, kind, name, every parameter but `_meta` in canonical form with its digits,
 * the tool's definition, and the rules that hold it. Any change makes another fingerprint.
 */
export function fingerprint(asked: Asked, rulesHash: string): string {
  const { principal, call, frame, outgoing, restored } = asked;
  // The values are what is approved, not the placeholders that stand for them today.
  const text = (restored === undefined ? frame : outgoing)?.text ?? '{}';
  const params = find(parseTree(text), 'params');
  const goesOn = asked.era === 'modern' && outgoing !== undefined && find(params, 'requestState') !== undefined;
  const left = goesOn ? LATER_ROUND : META;
  const members = params?.type === 'object' ? params.members.filter(({ key }) => !left.has(key)) : [];
  const parts = members.map(({ key, value }) => [key, canonical(text.slice(value.start, value.end))]);
  parts.sort(([a], [b]) => (a! < b! ? -1 : 1));
  const bound = [
    principal.issuer,
    principal.subject,
    call.connection,
    call.kind,
    call.method,
    call.name,
    parts,
    call.definition ?? null,
    rulesHash,
  ];
  return createHash('sha256').update(JSON.stringify(bound)).digest('hex');
}
