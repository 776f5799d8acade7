import { Trait, decodedRuns, percentDecoded, referencesDecoded, traitsOf, unescaped } from './encoding.ts';
import { decodeString } from './json/tree.ts';
import { hiddenText, normalise, withoutLookalikes } from './normalise.ts';
import { withoutComments } from './sql-comments.ts';

/** How often encodings inside encodings are undone. */
const MAX_UNFOLDING = 3;
// Characters that all forms of a text may have together: a few times its length, and much more only for what is short.
const ALLOWANCE = 1_048_576;
const GROWTH = 4;
const EXTRA = 12;
const MAX_EXTRA = 8_388_608;

export const WHOLE = -1;
export const NAME = -2;

/** One text that a rule reads. */
export interface Form {
  /** The strings and keys of the JSON text are numbered in their order; WHOLE is the text itself, NAME the call's name. */
  readonly token: number;
  readonly text: string;
  /** False when the same characters stand in an earlier form. */
  readonly fresh: boolean;
}

/** Everything that the rules read of one JSON text. */
export interface Reading {
  readonly forms: readonly Form[];
  /** False when the text holds more encodings than are undone: whatever else it says has not been read. */
  readonly complete: boolean;
  /** Some form holds more than printable ASCII. */
  readonly exotic: boolean;
}

// A line comment needs a line end, which a JSON text without escapes cannot hold in a string.
const OPEN = ~Trait.line;

/** True when every form of the text's strings stands in the text as it is, so that one scan of the text sees them all. */
export const isPlain = (traits: number): boolean => (traits & OPEN) === 0;

/**
 * The JSON text itself, each of its strings and keys, the name, and the forms that each may be hiding. `traits` are the text's.
 * With `fresh`, only what does not stand in the text anyway: enough to know that a pattern without anchors matches nowhere.
 */
export function read(json: string, traits: number, name: string, extent: 'fresh' | 'all'): Reading {
  const length = json.length + name.length;
  const budget = ALLOWANCE + GROWTH * length + Math.min(EXTRA * length, MAX_EXTRA);
  const collector = new Collector(budget, extent === 'all');
  collector.add(WHOLE, json, true);
  collector.exotic = (traits & Trait.exotic) !== 0;
  // Nothing but escapes: a string that has none of them is as it stands.
  const bland = (traits & OPEN & ~Trait.backslash) === 0;
  let token = 0;
  for (const [start, end] of tokens(json)) {
    const text = decodeString(json, start, end);
    const fresh = text.length !== end - start - 2;
    if (bland && !fresh) collector.add(token, text, false);
    else collector.unfold(token, text, fresh, 0);
    token += 1;
  }
  if (name !== '') collector.unfold(NAME, name, true, 0);
  const { forms, complete, exotic } = collector;
  return { forms, complete, exotic };
}

class Collector {
  readonly forms: Form[] = [];
  complete = true;
  exotic = false;
  readonly #all: boolean;
  #budget: number;

  constructor(budget: number, all: boolean) {
    this.#budget = budget;
    this.#all = all;
  }

  add(token: number, text: string, fresh: boolean): void {
    if (!fresh && !this.#all) return;
    this.#budget -= text.length;
    if (this.#budget < 0) this.complete = false;
    else this.forms.push({ token, text, fresh });
  }

  unfold(token: number, text: string, fresh: boolean, depth: number): void {
    if (!this.complete) return;
    this.add(token, text, fresh);
    const traits = traitsOf(text);
    if ((traits & Trait.exotic) !== 0) this.exotic = true;
    const plain = (traits & Trait.exotic) === 0 ? text : this.#normal(token, text);
    if (plain !== text || (traits & (Trait.block | Trait.line)) !== 0) {
      for (const form of withoutComments(plain)) this.add(token, form, true);
    }
    if (depth === MAX_UNFOLDING) return;
    const inner = this.#encoded(text, traits);
    if (plain !== text) {
      inner.set(hiddenText(text), true);
      for (const [form, isFresh] of this.#encoded(plain, traitsOf(plain))) inner.set(form, isFresh);
    }
    for (const known of ['', text, plain]) inner.delete(known);
    for (const [form, isFresh] of inner) this.unfold(token, form, isFresh, depth + 1);
  }

  #normal(token: number, text: string): string {
    const plain = normalise(text);
    if (plain !== text) this.add(token, plain, true);
    const latin = withoutLookalikes(plain);
    if (latin !== plain) this.add(token, latin, true);
    return plain;
  }

  /** What the text's encodings stand for, and whether that is more than a piece of the text. */
  #encoded(text: string, traits: number): Map<string, boolean> {
    const inner = new Map<string, boolean>();
    if ((this.#all || traits !== 0) && STARTS_JSON.test(text)) {
      const bland = (traits & ~Trait.backslash) === 0;
      for (const [start, end] of tokens(text)) {
        const raw = text.slice(start + 1, end - 1);
        const escaped = (traits & Trait.backslash) !== 0 && raw.includes('\\');
        if (escaped || this.#all || !bland) inner.set(escaped ? unescaped(raw) : raw, escaped);
      }
    }
    if ((traits & Trait.backslash) !== 0) inner.set(unescaped(text), true);
    if ((traits & Trait.percent) !== 0) {
      inner.set(percentDecoded(text), true);
      if (text.includes('+')) inner.set(percentDecoded(text.replaceAll('+', ' ')), true);
    }
    if ((traits & Trait.reference) !== 0) inner.set(referencesDecoded(text), true);
    if ((traits & Trait.run) !== 0) for (const run of decodedRuns(text)) inner.set(run, true);
    return inner;
  }
}

const STARTS_JSON = /^\s*[[{"]/;

/** The spans of a JSON text's strings and keys, quotes included, in their order. */
function* tokens(json: string): Generator<readonly [start: number, end: number]> {
  let start = json.indexOf('"');
  while (start >= 0) {
    let end = json.indexOf('"', start + 1);
    while (end >= 0 && isEscaped(json, end)) end = json.indexOf('"', end + 1);
    if (end < 0) return;
    yield [start, end + 1];
    start = json.indexOf('"', end + 1);
  }
}

function isEscaped(json: string, at: number): boolean {
  let backslashes = 0;
  for (let i = at - 1; json[i] === '\\'; i -= 1) backslashes += 1;
  return backslashes % 2 === 1;
}
