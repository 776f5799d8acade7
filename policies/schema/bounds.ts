import type { Json } from '../types.ts';

/** A schema of an upstream that cannot be used; the message is for the log and says why. */
export class SchemaUnusable extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SchemaUnusable';
  }
}

const MOST_BYTES = 131_072;
const MOST_NODES = 1_500;
const DEEPEST = 64;

/** Throws SchemaUnusable for a schema that would take long to compile: upstreams write them, and what they write is not trusted. */
export function requireBounded(schema: Json): void {
  let nodes = 0;
  let size = 0;
  const visit = (value: Json, depth: number): void => {
    if (typeof value === 'string') size += value.length;
    size += 1;
    if (size > MOST_BYTES) throw new SchemaUnusable(`it is larger than ${MOST_BYTES} characters`);
    // `true` and `false` are schemas too.
    if (value === null || (typeof value !== 'object' && typeof value !== 'boolean')) return;
    nodes += 1;
    if (nodes > MOST_NODES) throw new SchemaUnusable(`it has more than ${MOST_NODES} parts`);
    if (typeof value === 'boolean') return;
    if (depth > DEEPEST) throw new SchemaUnusable(`it nests deeper than ${DEEPEST} levels`);
    for (const [key, item] of Object.entries(value)) {
      size += Array.isArray(value) ? 0 : key.length;
      visit(item, depth + 1);
    }
  };
  visit(schema, 0);
}

const MOST_PATTERN_COST = 300_000;

/** What the patterns of one schema may cost to compile: repetitions are written out by the engine. */
export class PatternCost {
  #spent = 0;

  add(source: string): void {
    const counts = [...source.matchAll(/\{(\d{1,6})(?:,(\d{0,6}))?\}/g)].map((match) => Number(match[2] || match[1]));
    this.#spent += source.length * Math.max(1, ...counts);
    if (this.#spent > MOST_PATTERN_COST) throw new SchemaUnusable('its patterns are too large');
  }
}
