import { createHash } from 'node:crypto';
import { canonical } from './json/canonical.ts';

/** SHA-256, hex, of a value's canonical JSON: the same for values that differ only in the order of members. */
export function digest(value: unknown): string {
  return createHash('sha256')
    .update(canonical(JSON.stringify(value)))
    .digest('hex');
}
