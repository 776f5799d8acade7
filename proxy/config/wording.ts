import type { ErrorObject } from 'ajv/dist/2020.js';
import { FORMATS, type FormatName } from './formats.ts';
import { nearest, quote } from './problems.ts';
import { isRecord } from './resolve.ts';
import type { Row } from './schema.ts';

const TYPES = {
  object: 'a mapping',
  array: 'a list',
  string: 'a text',
  boolean: 'true or false',
  integer: 'a whole number',
  number: 'a number',
} as const;

/** What a row asks for, in words that follow "expected". Never speaks of the value that was met. */
export function expectedOf(row: Row | undefined): string {
  if (row === undefined) return 'a value';
  if (row.expected !== undefined) return row.expected;
  if (row.const !== undefined) return quote(row.const);
  if (row.enum !== undefined) return `one of ${row.enum.join(', ')}`;
  if (row.format !== undefined && Object.hasOwn(FORMATS, row.format)) return FORMATS[row.format as FormatName].expected;
  if (row.pattern !== undefined) return `a text that matches ${row.pattern}`;
  const branches = row.oneOf;
  if (branches !== undefined) return choice([...new Set(branches.map(branchWords))]);
  if (row.type === 'object' && (row.required?.length ?? 0) > 0) return branchWords(row);
  return row.type === undefined ? 'a value' : TYPES[row.type];
}

function branchWords(branch: Row): string {
  if (branch.type !== 'object') return expectedOf(branch);
  const keys = (branch.required ?? []).map((key) => {
    const only = branch.properties?.[key]?.const;
    return only === undefined ? key : `${key}: ${only}`;
  });
  return keys.length === 0 ? 'a mapping' : `a mapping with ${keys.join(' and ')}`;
}

function choice(words: readonly string[]): string {
  return words.length < 2 ? (words[0] ?? 'a value') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** The sentence for a mistake the validator found: what is wrong, what was expected; no value, because it may be a secret. */
export function explain(error: ErrorObject): string {
  const row = (error.parentSchema ?? {}) as Row;
  switch (error.keyword) {
    case 'type':
      return `is ${typeOf(error.data)}, expected ${expectedOf(row)}`;
    case 'oneOf':
    case 'anyOf':
      return isRecord(error.data)
        ? `fits no form of this value, expected ${expectedOf(row)}`
        : `is ${typeOf(error.data)}, expected ${expectedOf(row)}`;
    case 'additionalProperties':
    case 'unevaluatedProperties':
      return unknownKey(error, row);
    case 'beside':
      return `cannot stand beside ${String(error.params['beside'])}, expected one of the two`;
    case 'minLength':
    case 'minItems':
      return error.params['limit'] === 1
        ? 'is empty, expected at least one'
        : `is too short, expected at least ${error.params['limit']}`;
    case 'maxLength':
    case 'maxItems':
      return `is too long, expected at most ${error.params['limit']}`;
    case 'minProperties':
      return 'has too few keys, expected at least one';
    case 'minimum':
      return `is too small, expected at least ${error.params['limit']}`;
    case 'maximum':
      return `is too large, expected at most ${error.params['limit']}`;
    case 'least':
      return `is too small, expected at least ${row.least}`;
    case 'uniqueItems':
      return `repeats item ${Math.min(Number(error.params['i']), Number(error.params['j'])) + 1}, expected each once`;
    case 'enum':
    case 'const':
    case 'format':
    case 'pattern':
      return `is not accepted, expected ${expectedOf(row)}`;
    default:
      return `${error.message ?? 'is not accepted'}`;
  }
}

function unknownKey(error: ErrorObject, row: Row): string {
  const key = unknownKeyOf(error);
  const known = Object.keys(row.properties ?? {});
  const near = nearest(key, known);
  if (near !== undefined) return `unknown key ${quote(key)}, did you mean ${quote(near)}?`;
  const present = isRecord(error.data) ? Object.keys(error.data).filter((each) => known.includes(each)) : [];
  const open = known.filter((each) => !present.includes(each));
  return open.length === 0
    ? `unknown key ${quote(key)}, expected no further key`
    : `unknown key ${quote(key)}, expected one of ${open.join(', ')}`;
}

export function unknownKeyOf(error: ErrorObject): string {
  return String(error.params['additionalProperty'] ?? error.params['unevaluatedProperty']);
}

function typeOf(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value === 'string') return 'a text';
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  return 'a number';
}
