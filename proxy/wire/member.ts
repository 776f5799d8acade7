import type { Json } from '../../policies/types.ts';

/** The own member of that name, when the value is an object; never one of the prototype's. */
export function member(value: Json | undefined, key: string): Json | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, key) ? value[key] : undefined;
}
