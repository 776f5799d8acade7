import type { Ajv } from 'ajv';
import { canonical } from '../json/canonical.ts';
import type { Json } from '../types.ts';
import type { Budget } from './budget.ts';

/** Characters of a compared item that count as one step. */
const CHARACTERS = 64;

/** The library compares each pair of items, and each item with each listed value; these look once, and count what they look at. */
export function replaceKeywords(ajv: Ajv, budget: Budget): void {
  ajv.removeKeyword('uniqueItems');
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    validate: (wanted: boolean, items: readonly Json[]) => !wanted || areDistinct(items, budget),
  });
  ajv.removeKeyword('enum');
  ajv.addKeyword({
    keyword: 'enum',
    schemaType: 'array',
    compile(values: readonly Json[]) {
      const plain = new Set(values.filter((value) => !isContainer(value)));
      const containers = values.filter(isContainer);
      return (value: Json): boolean => {
        budget.visit(value);
        if (!isContainer(value)) return plain.has(value);
        budget.spend(containers.length);
        return containers.some((each) => isEqual(each, value));
      };
    },
  });
}

const isContainer = (value: Json): boolean => value !== null && typeof value === 'object';

function areDistinct(items: readonly Json[], budget: Budget): boolean {
  budget.spend(items.length);
  const plain = new Set<Json>();
  const containers = new Set<string>();
  for (const item of items) {
    if (isContainer(item)) {
      const text = JSON.stringify(item);
      budget.spend(Math.floor(text.length / CHARACTERS));
      const key = canonical(text);
      if (containers.has(key)) return false;
      containers.add(key);
    } else {
      // Different numbers of this size may have become the same double.
      if (typeof item === 'number' && Math.abs(item) > Number.MAX_SAFE_INTEGER) continue;
      if (plain.has(item)) return false;
      plain.add(item);
    }
  }
  return true;
}

/** Takes no longer than the smaller of both is large. */
function isEqual(a: Json, b: Json): boolean {
  if (!isContainer(a) || !isContainer(b)) return a === b;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, at) => isEqual(item, b[at]!));
  }
  const left = a as Record<string, Json>;
  const right = b as Record<string, Json>;
  const keys = Object.keys(left);
  if (keys.length !== Object.keys(right).length) return false;
  return keys.every((key) => Object.hasOwn(right, key) && isEqual(left[key]!, right[key]!));
}
