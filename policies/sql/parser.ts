import { createRequire } from 'node:module';
import type { Json } from '../types.ts';
import type { Dialect } from './dialect.ts';

/** A text as a grammar's tree, with the tables that the grammar met, as `operation::qualifier::table`. */
export interface Parsed {
  readonly trees: readonly Json[];
  readonly tables: readonly string[];
}

/** How often the characters of a text may still be looked at. */
export interface Steps {
  left: number;
}

/** Undefined: the text is not in the grammar, or reading it takes more steps than are left. */
export type Parse = (text: string, steps: Steps) => Parsed | undefined;

interface Grammar {
  parse(text: string, options: object): { readonly ast: Json; readonly tableList: readonly string[] };
}

// A grammar that backtracks looks at each character some sixty times; hostile texts make it look exponentially often.
const STEPS = 100_000;
const STEPS_PER_CHARACTER = 300;
const MOST_STEPS = 2_000_000;

/** The steps that a text of this length may take, whatever it holds. */
export function stepsFor(length: number): Steps {
  return { left: Math.min(STEPS + STEPS_PER_CHARACTER * length, MOST_STEPS) };
}

class OutOfSteps extends Error {}

/** A text that counts how often it is read; it has all that the grammars ask of one. */
class CountedText {
  readonly length: number;
  readonly #text: string;
  readonly #steps: Steps;

  constructor(text: string, steps: Steps) {
    this.length = text.length;
    this.#text = text;
    this.#steps = steps;
  }

  charCodeAt(index: number): number {
    this.#step();
    return this.#text.charCodeAt(index);
  }

  charAt(index: number): string {
    this.#step();
    return this.#text.charAt(index);
  }

  substr(from: number, length: number): string {
    this.#step();
    return this.#text.slice(from, from + length);
  }

  substring(from: number, to?: number): string {
    this.#step();
    return this.#text.substring(from, to);
  }

  #step(): void {
    this.#steps.left -= 1;
    if (this.#steps.left < 0) throw new OutOfSteps('the statement takes too long to read');
  }
}

/** The parser of a dialect. Its grammar is loaded with the first rule that needs it, never with this file. */
export function loadParser(dialect: Dialect): Parse {
  const load = createRequire(import.meta.url);
  const { Parser } = load(`node-sql-parser/build/${dialect}.js`) as { readonly Parser: new () => Grammar };
  const grammar = new Parser();
  const parse: Parse = (text, steps) => {
    try {
      const options = { database: dialect, trimQuery: false };
      const { ast, tableList } = grammar.parse(new CountedText(text, steps) as unknown as string, options);
      return { trees: Array.isArray(ast) ? ast : [ast], tables: tableList };
    } catch {
      // Whatever went wrong in the grammar (it also throws plain errors): what it cannot read is refused.
      return undefined;
    }
  };
  // The first text is slow to read; a call should not wait for that.
  parse('SELECT a, count(*) FROM t WHERE b = 1', stepsFor(0));
  return parse;
}
