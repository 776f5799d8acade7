import { RE2JS } from 're2js';
import type { MaskingDocument, MaskingStrategy } from '../documents.ts';
import type { Edit } from '../json/splice.ts';
import type { TokenSource } from '../types.ts';
import type { Span } from './entities.ts';
import { namesOf } from './names.ts';

export type NumberWay = 'refuse' | 'string' | 'zero';

const SIGNIFICANT = /[\p{L}\p{N}]/u;
const REPLACE: MaskingStrategy = 'replace';
const STAR = '*';

/** What the rules of a connection put in the place of what is found, and what they let stand. */
export class Strategies {
  readonly #strategies = new Map<string, Readonly<Record<string, MaskingStrategy>>>();
  readonly #numbers = new Map<string, NumberWay>();
  readonly #exceptions: ReadonlyMap<string, readonly Exceptions[]>;

  constructor(rules: readonly MaskingDocument[]) {
    for (const { name, strategies, numbers } of rules) {
      if (strategies !== undefined) this.#strategies.set(name, strategies);
      if (numbers !== undefined) this.#numbers.set(name, numbers);
    }
    this.#exceptions = exceptionsOf(rules);
  }

  /** True for a text that every rule which hides the type lets stand. */
  allows(entity: string, text: string): boolean {
    return (
      this.#exceptions.get(entity)?.every(({ exact, patterns }) => exact.has(text) || fits(patterns, text)) === true
    );
  }

  numbers(rule: string): NumberWay {
    return this.#numbers.get(rule) ?? 'refuse';
  }

  /**
   * The edit that hides a stretch of a decoded text. Its new text needs no escapes in JSON. Without a source of tokens,
   * placeholders and digests become the mere type.
   */
  edit({ start, end, entity, rule }: Span, text: string, tokens: TokenSource | undefined): Edit {
    const of = this.#strategies.get(rule);
    const strategy = of === undefined ? REPLACE : (own(of, entity) ?? own(of, 'DEFAULT') ?? REPLACE);
    const way = typeof strategy === 'string' ? { type: strategy } : strategy;
    switch (way.type) {
      case 'mask':
        return { start, end, text: stars(text, start, end, way.character) };
      case 'partial': {
        const [from, to] = inner(text, start, end, way.keep_first ?? 0, way.keep_last ?? 0);
        return { start: from, end: to, text: stars(text, from, to, way.character) };
      }
      case 'hash':
        if (tokens === undefined) break;
        return { start, end, text: `<${entity}:${tokens.digest(entity, text.slice(start, end))}>` };
      case 'tokenize':
        if (tokens === undefined) break;
        return { start, end, text: tokens.placeholder(entity, text.slice(start, end)) };
      case 'replace':
        break;
      default:
        way.type satisfies never;
    }
    return { start, end, text: `<${entity}>` };
  }
}

interface Exceptions {
  readonly exact: ReadonlySet<string>;
  readonly patterns: readonly RE2JS[];
}

/** By type; only types of which each rule that names them has exceptions. */
function exceptionsOf(rules: readonly MaskingDocument[]): ReadonlyMap<string, readonly Exceptions[]> {
  const found = new Map<string, Exceptions[]>();
  const strict = new Set<string>();
  for (const rule of rules) {
    const list = rule.allow_list ?? [];
    const exceptions: Exceptions = {
      exact: new Set(list.filter((entry) => typeof entry === 'string')),
      patterns: list.flatMap((entry) => (typeof entry === 'string' ? [] : [RE2JS.compile(entry.regex)])),
    };
    for (const name of namesOf(rule)) {
      if (list.length === 0) strict.add(name);
      const known = found.get(name);
      if (known === undefined) found.set(name, [exceptions]);
      else known.push(exceptions);
    }
  }
  for (const name of strict) found.delete(name);
  return found;
}

const fits = (patterns: readonly RE2JS[], text: string): boolean =>
  patterns.some((pattern) => pattern.matcher(text).matches());

function own(of: Readonly<Record<string, MaskingStrategy>>, key: string): MaskingStrategy | undefined {
  return Object.hasOwn(of, key) ? of[key] : undefined;
}

/** One character for each of the stretch. */
function stars(text: string, start: number, end: number, character = STAR): string {
  let count = 0;
  for (let i = start; i < end; i += 1) if (!isTrail(text, i)) count += 1;
  return character.repeat(count);
}

/** The part of a stretch that is hidden when so many letters and digits at its ends are kept: never fewer than half of them. */
function inner(text: string, start: number, end: number, first: number, last: number): readonly [number, number] {
  let significant = 0;
  for (let i = start; i < end; i += width(text, i)) if (isSignificant(text, i)) significant += 1;
  const half = Math.floor(significant / 2);
  let tail = Math.min(last, half);
  let head = Math.min(first, half - tail);
  let from = start;
  for (; head > 0; from += width(text, from)) if (isSignificant(text, from)) head -= 1;
  let to = end;
  while (tail > 0) {
    to -= to - 2 >= from && isTrail(text, to - 1) ? 2 : 1;
    if (isSignificant(text, to)) tail -= 1;
  }
  return [from, to];
}

const width = (text: string, at: number): number => ((text.codePointAt(at) as number) > 0xffff ? 2 : 1);
const isSignificant = (text: string, at: number): boolean =>
  SIGNIFICANT.test(String.fromCodePoint(text.codePointAt(at) as number));

/** True for the second half of a surrogate pair. */
function isTrail(text: string, at: number): boolean {
  const c = text.charCodeAt(at);
  if (c < 0xdc00 || c > 0xdfff || at === 0) return false;
  const before = text.charCodeAt(at - 1);
  return before >= 0xd800 && before <= 0xdbff;
}
