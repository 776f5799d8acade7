import type { Json, JsonObject } from '../types.ts';
import { judgeChange, type DiffClass } from './change.ts';
import { makeVisible } from './visible.ts';

export type { DiffClass } from './change.ts';

export interface Change {
  /** JSON Pointer into the definition. */
  readonly path: string;
  readonly class: DiffClass;
  readonly why: readonly string[];
  /** What was there, with everything visible; absent where there was nothing. */
  readonly before?: string;
  readonly after?: string;
}

export interface Diff {
  /** The gravest of its changes; `cosmetic` when there is none. */
  readonly class: DiffClass;
  readonly changes: readonly Change[];
}

const GRAVITY: readonly DiffClass[] = ['cosmetic', 'behaviour', 'risky'];
const MOST_CHANGES = 200;
const MOST_TEXT = 600;

/** What is different between two definitions (JSON texts), path by path. Pure; the same texts give the same answer. */
export function diffDefinitions(before: string, after: string): Diff {
  const changes: Change[] = [];
  compare([], JSON.parse(before) as Json, JSON.parse(after) as Json, changes);
  // Their values are the same, so they differ in what JSON.parse does not keep, or in what the record masks.
  if (changes.length === 0 && before !== after)
    changes.push({ path: '', class: 'behaviour', why: [], before: clip(before, after), after: clip(after, before) });
  const gravest = changes.reduce((most, change) => Math.max(most, GRAVITY.indexOf(change.class)), 0);
  return { class: GRAVITY[gravest]!, changes: changes.slice(0, MOST_CHANGES) };
}

/** A diff as lines for people: everything that cannot be seen is written out as `[U+200B]`. */
export function renderDiff({ changes }: Diff): string {
  return changes
    .map(({ path, class: name, why, before, after }) =>
      [
        `${name} ${path === '' ? '/' : makeVisible(path)}${why.length === 0 ? '' : `: ${why.map(makeVisible).join('; ')}`}`,
        ...(before === undefined ? [] : [`- ${before}`]),
        ...(after === undefined ? [] : [`+ ${after}`]),
      ].join('\n'),
    )
    .join('\n');
}

function compare(path: readonly string[], before: Json | undefined, after: Json | undefined, into: Change[]): void {
  if (isObject(before) && isObject(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)]))
      compare([...path, key], own(before, key), own(after, key), into);
    return;
  }
  if (Array.isArray(before) && Array.isArray(after) && path.at(-1) !== 'required') {
    for (let index = 0; index < Math.max(before.length, after.length); index += 1)
      compare([...path, String(index)], before[index], after[index], into);
    return;
  }
  const [old, now] = [show(before), show(after)];
  if (old === now) return;
  const judged = judgeChange(path, before, after);
  into.push({
    path: path.map((step) => `/${step.replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''),
    ...judged,
    ...(old === undefined ? {} : { before: clip(old, now ?? '') }),
    ...(now === undefined ? {} : { after: clip(now, old ?? '') }),
  });
}

const show = (value: Json | undefined): string | undefined =>
  value === undefined || typeof value === 'string' ? value : JSON.stringify(value);

/** The part of a long text where it begins to differ from the other. */
function clip(text: string, other: string): string {
  if (text.length <= MOST_TEXT) return makeVisible(text);
  let same = 0;
  while (same < text.length && text[same] === other[same]) same += 1;
  const start = Math.max(0, Math.min(same - 80, text.length - MOST_TEXT));
  const end = start + MOST_TEXT;
  return `${start > 0 ? '...' : ''}${makeVisible(text.slice(start, end))}${end < text.length ? '...' : ''}`;
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const own = (value: JsonObject, key: string): Json | undefined => (Object.hasOwn(value, key) ? value[key] : undefined);
