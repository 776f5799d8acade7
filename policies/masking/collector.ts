import { CONTEXT_OF, VERSION_CONTEXT, mentions } from './context.ts';
import { BUILT_IN_TYPES, CONTEXT_BOOST } from './entities.ts';
import type { Ask, BuiltInType, Sink, Span } from './entities.ts';

const BEFORE = 64;
const AFTER = 24;
const VERSION_BEFORE = 16;

/** Takes what recognisers offer in one text, with the words around it and the key above it as context. */
export class Collector implements Sink {
  readonly #asks: ReadonlyMap<BuiltInType, readonly Ask[]>;
  readonly #highest: ReadonlyMap<BuiltInType, number>;
  #text = '';
  #key: string | undefined;
  #spans: Span[] = [];
  /** What the key and the words around one place speak of, of all that matters to the types asked for. */
  readonly #matters: number;
  #ofKey: number | undefined;
  #near = 0;
  #nearStart = -1;
  #nearEnd = -1;

  constructor(asks: ReadonlyMap<BuiltInType, readonly Ask[]>) {
    this.#asks = asks;
    this.#highest = new Map(
      BUILT_IN_TYPES.map((type) => [type, Math.max(0, ...(asks.get(type) ?? []).map(({ threshold }) => threshold))]),
    );
    this.#matters = [...asks.keys()].reduce((all, type) => all | CONTEXT_OF[type], 0);
  }

  /** Begins with a new text; returns the list that spans will be put into. */
  begin(text: string, key: string | undefined): Span[] {
    this.#text = text;
    this.#key = key;
    this.#spans = [];
    this.#ofKey = undefined;
    this.#nearStart = -1;
    return this.#spans;
  }

  wants(type: BuiltInType): boolean {
    return this.#asks.has(type);
  }

  offer(type: BuiltInType, start: number, end: number, score: number): boolean {
    const asks = this.#asks.get(type);
    if (asks === undefined) return false;
    const known = score < (this.#highest.get(type) as number) ? this.#withContext(type, start, end, score) : score;
    const ask = asks.find(({ threshold }) => known >= threshold);
    if (ask === undefined) return false;
    this.#spans.push({ start, end, score: known, entity: type, rule: ask.rule });
    return true;
  }

  speaksOfVersions(start: number): boolean {
    return this.#speaksOf(VERSION_CONTEXT, Math.max(0, start - VERSION_BEFORE), start);
  }

  #withContext(type: BuiltInType, start: number, end: number, score: number): number {
    const wanted = CONTEXT_OF[type];
    if (wanted === 0) return score;
    const near = (this.#around(start, end) & wanted) !== 0;
    return near ? Math.min(1, score + CONTEXT_BOOST) : score;
  }

  /** Several types are offered for one place: the words around it are read once. */
  #around(start: number, end: number): number {
    if (start === this.#nearStart && end === this.#nearEnd) return this.#near;
    const text = this.#text;
    const key = this.#key;
    this.#ofKey ??= key === undefined ? 0 : mentions(key, 0, key.length, this.#matters);
    this.#nearStart = start;
    this.#nearEnd = end;
    this.#near =
      this.#ofKey |
      mentions(text, Math.max(0, start - BEFORE), start, this.#matters) |
      mentions(text, end, Math.min(text.length, end + AFTER), this.#matters);
    return this.#near;
  }

  #speaksOf(wanted: number, from: number, to: number): boolean {
    if (mentions(this.#text, from, to, wanted) !== 0) return true;
    return this.#key !== undefined && mentions(this.#key, 0, this.#key.length, wanted) !== 0;
  }
}
