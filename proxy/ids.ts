import { randomUUID } from 'node:crypto';

export type IdPrefix = 'exc' | 'ses' | 'rev' | 'tok';

/** A new unguessable id such as `exc_1b4e28ba-...`; ids are names, never credentials. */
export function newId(prefix: IdPrefix): string {
  return `${prefix}_${randomUUID()}`;
}
