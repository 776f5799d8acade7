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

  constructor(asks: ReadonlyMap<BuiltInType, readonly Ask[]>) {
    this.#asks = asks;
    this.#highest = new Map(
      BUILT_IN_TYPES.map((type) => [type, Math.max(0, ...(asks.get(type) ?? []).map(({ threshold }) => threshold))]),
    );
  }

  /** Begins with a new text; returns the list that spans will be put into. */
  begin(text: string, key: string | undefined): Span[] {
    this.#text = text;
    this.#key = key;
    this.#spans = [];
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
    const near =
      this.#speaksOf(wanted, Math.max(0, start - BEFORE), start) ||
      mentions(this.#text, end, Math.min(this.#text.length, end + AFTER), wanted) !== 0;
    return near ? Math.min(1, score + CONTEXT_BOOST) : score;
  }

  #speaksOf(wanted: number, from: number, to: number): boolean {
    if (mentions(this.#text, from, to, wanted) !== 0) return true;
    return this.#key !== undefined && mentions(this.#key, 0, this.#key.length, wanted) !== 0;
  }
}
