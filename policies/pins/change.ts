import { fold } from '../normalise.ts';
import type { Json } from '../types.ts';
import { addedSuspicions } from './suspicion.ts';

/** `cosmetic`: what people see of a tool; `behaviour`: what it says or takes; `risky`: what an attack would change. */
export type DiffClass = 'cosmetic' | 'behaviour' | 'risky';

export interface Judged {
  readonly class: DiffClass;
  /** Why a change is risky, one phrase each. */
  readonly why: readonly string[];
}

/** Members whose keys are names that the server chose, not words of JSON Schema. */
const NAME_MAPS: ReadonlySet<string> = new Set([
  'properties',
  'patternProperties',
  '$defs',
  'definitions',
  'dependentSchemas',
]);
const SCHEMAS: ReadonlySet<string | undefined> = new Set(['inputSchema', 'outputSchema']);
/** What a server says of itself that is only shown. */
const SHOWN: ReadonlySet<string | undefined> = new Set(['icons', 'websiteUrl', 'version']);
/** Texts in which white space means nothing. */
const PROSE: ReadonlySet<string> = new Set(['description', 'title', 'instructions', '$comment']);

/** Which value each hint has when it is absent, and which one promises less. */
const HINTS: ReadonlyMap<string, { readonly absent: boolean; readonly unsafe: boolean }> = new Map([
  ['readOnlyHint', { absent: false, unsafe: false }],
  ['destructiveHint', { absent: true, unsafe: true }],
  ['idempotentHint', { absent: false, unsafe: false }],
  ['openWorldHint', { absent: true, unsafe: true }],
]);

/** The class of one difference: the value at `path` was `before` and is `after`, undefined where there is none. Pure. */
export function judgeChange(path: readonly string[], before: Json | undefined, after: Json | undefined): Judged {
  const why = [...reasonsOf(path, before, after), ...textReasons(path, before, after)];
  if (why.length > 0) return { class: 'risky', why: [...new Set(why)] };
  return { class: isCosmetic(path, before, after) ? 'cosmetic' : 'behaviour', why: [] };
}

function reasonsOf(path: readonly string[], before: Json | undefined, after: Json | undefined): string[] {
  if (path[0] === 'annotations') return hintReasons(path, before, after);
  if (!SCHEMAS.has(path[0])) return [];
  const word = keyword(path);
  if (word === 'x-mcp-header' && after !== undefined) return ['an argument is to be repeated in a header'];
  if (after !== undefined && hasKey(after, 'x-mcp-header') && !hasKey(before, 'x-mcp-header'))
    return ['an argument is to be repeated in a header'];
  if (path[0] === 'inputSchema' && word === 'required') {
    const added = listOf(after).filter((name) => !listOf(before).includes(name));
    if (added.length > 0) return ['arguments became required'];
  }
  if (path[0] === 'inputSchema' && path.length === 1 && listOf(memberOf(after, 'required')).length > 0)
    if (listOf(memberOf(before, 'required')).length === 0) return ['arguments became required'];
  return [];
}

function hintReasons([, hint]: readonly string[], before: Json | undefined, after: Json | undefined): string[] {
  // All annotations came or went at once: each hint is looked at by itself.
  if (hint === undefined)
    return [...HINTS.keys()].flatMap((name) =>
      hintReasons(['annotations', name], memberOf(before, name), memberOf(after, name)),
    );
  const known = HINTS.get(hint);
  if (known === undefined) return [];
  const effective = (value: Json | undefined): boolean => (typeof value === 'boolean' ? value : known.absent);
  if (effective(before) === effective(after)) return [];
  if (effective(after) === known.unsafe) return [`${hint} promises less than before`];
  // Clients ask people less about tools that call themselves harmless.
  return hint === 'readOnlyHint' || hint === 'destructiveHint' ? [`${hint} promises more than before`] : [];
}

function textReasons(path: readonly string[], before: Json | undefined, after: Json | undefined): string[] {
  if (after === undefined) return [];
  // The name of what is new is new too.
  const name = before === undefined ? `${path.at(-1) ?? ''}\n` : '';
  const reasons = addedSuspicions(textOf(before), name + textOf(after)).filter(
    (reason) => !(isShown(path) && /^(?:names the address|holds a long)/.test(reason)),
  );
  if (typeof before === 'string' && typeof after === 'string' && isLookalike(before, after))
    reasons.push('letters were replaced by others that look alike');
  return reasons;
}

/** Addresses in it are where pictures and home pages are. */
const isShown = ([first, second]: readonly string[]): boolean =>
  first === 'icons' || (first === 'serverInfo' && SHOWN.has(second));

function isLookalike(before: string, after: string): boolean {
  const plain = (text: string): string => text.replace(/\s+/g, '').toLowerCase();
  return plain(before) !== plain(after) && fold(plain(before)) === fold(plain(after));
}

function isCosmetic(path: readonly string[], before: Json | undefined, after: Json | undefined): boolean {
  const word = keyword(path);
  if (word === undefined) return false;
  const inData = SCHEMAS.has(path[0]) && path.some((step) => step === 'default' || step === 'const' || step === 'enum');
  if (inData || path[0] === '_meta') return false;
  if (word === 'title' || isShown(path)) return true;
  if (!PROSE.has(word) || typeof before !== 'string' || typeof after !== 'string') return false;
  return words(before) === words(after);
}

const words = (text: string): string => text.replace(/\s+/g, ' ').trim();

/** The last step of a path when it is a word of the format, not a name that the server chose. */
function keyword(path: readonly string[]): string | undefined {
  let named = false;
  let last: string | undefined;
  for (const step of path) {
    last = named ? undefined : step;
    named = !named && SCHEMAS.has(path[0]) && NAME_MAPS.has(step);
  }
  return last;
}

/** All keys and texts of a value, one on each line. */
function textOf(value: Json | undefined): string {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return '';
  if (Array.isArray(value)) return value.map(textOf).join('\n');
  return Object.entries(value)
    .map(([key, each]) => `${key}\n${textOf(each)}`)
    .join('\n');
}

function hasKey(value: Json | undefined, key: string): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return value.some((each) => hasKey(each, key));
  return Object.entries(value).some(([name, each]) => name === key || hasKey(each, key));
}

function memberOf(value: Json | undefined, key: string): Json | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

const listOf = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? value : []);
