import { RE2JS, RE2JSException, RE2JSSyntaxException, RE2Set } from 're2js';
import { RuleFault } from './fault.ts';
import { withoutAnchors } from './pattern-source.ts';

/** Longest pattern accepted in a rule. */
export const MAX_PATTERN = 10_000;
// Instructions that are joined into one automaton: far below the engine's own limit.
const AUTOMATON_SIZE = 50_000;
// Sets note every pattern that matches, so that their states are many more: smaller ones, and without the largest patterns.
const SET_SIZE = 10_000;
const LARGE = 300;
// Fewer lists are as quickly asked one by one.
const FEW = 8;
const SAMPLE = '{"name":"x","arguments":{"text":"The quick brown fox, 0123456789 @#%"}}';

/** A compiled pattern of RE2 syntax. Every search takes time linear in the text, whatever the pattern. */
export interface Pattern {
  readonly source: string;
  /** Does the pattern match anywhere in the text? */
  search(text: string): boolean;
  /** Every match that is not empty, from left to right. */
  spans(text: string): readonly { readonly start: number; readonly end: number }[];
}

/** Throws a RuleFault with the position of what the linear-time engine does not take: look-around, back-references, faulty syntax. */
export function compilePattern(source: string): Pattern {
  if (source.length > MAX_PATTERN) throw new RuleFault(`the pattern is longer than ${MAX_PATTERN} characters`);
  const compiled = compile(source);
  return { source, search: (text) => compiled.test(text), spans: (text) => spansOf(compiled, text) };
}

function spansOf(compiled: RE2JS, text: string): { start: number; end: number }[] {
  const spans = [];
  const matcher = compiled.matcher(text);
  while (matcher.find())
    if (matcher.end() > matcher.start()) spans.push({ start: matcher.start(), end: matcher.end() });
  return spans;
}

/** One scan for many patterns. */
export interface Gate {
  /**
   * False only when no pattern matches any piece of the text that is bounded by quotes, line ends or the ends of the text. True says
   * nothing yet: each pattern must then be asked by itself.
   */
  mayMatch(text: string): boolean;
}

/** The sources must each have been accepted by `compilePattern`. */
export function compileGate(sources: readonly string[]): Gate {
  const automata: RE2JS[] = [];
  let group: string[] = [];
  let size = 0;
  const close = (): void => {
    if (group.length > 0) automata.push(RE2JS.compile(group.join('|')));
    group = [];
    size = 0;
  };
  for (const source of new Set(sources)) {
    const loose = `(?:${withoutAnchors(source)})`;
    const cost = RE2JS.compile(loose).programSize();
    if (size + cost > AUTOMATON_SIZE) close();
    group.push(loose);
    size += cost;
  }
  close();
  // An automaton builds itself on its first text; a call should not wait for that.
  for (const automaton of automata) automaton.test(SAMPLE);
  const only = automata[0];
  if (only !== undefined && automata.length === 1) return { mayMatch: (text) => only.test(text) };
  return { mayMatch: (text) => automata.some((automaton) => automaton.test(text)) };
}

/** Says in one scan which of many lists of patterns are worth asking. */
export interface Sorter {
  /** The numbers of lists that may match, as a gate says it; a list that is not among them does not. */
  candidates(text: string): ReadonlySet<number>;
}

/** The sources must each have been accepted by `compilePattern`. */
export function compileSorter(lists: readonly (readonly string[])[]): Sorter {
  if (lists.length <= FEW) return unsorted(lists.length);
  const sets: { readonly set: RE2Set; readonly owners: number[] }[] = [];
  const always: number[] = [];
  let size = 0;
  for (const [list, sources] of lists.entries()) {
    const loose = [...new Set(sources)].map((source) => `(?:${withoutAnchors(source)})`);
    const cost = loose.reduce((sum, source) => sum + RE2JS.compile(source).programSize(), 0);
    if (cost > LARGE || loose.length === 0) {
      always.push(list);
      continue;
    }
    let last = sets.at(-1);
    if (last === undefined || size + cost > SET_SIZE) {
      sets.push((last = { set: new RE2Set(), owners: [] }));
      size = 0;
    }
    size += cost;
    for (const source of loose) {
      last.set.add(source);
      last.owners.push(list);
    }
  }
  for (const { set } of sets) set.match(SAMPLE);
  return {
    candidates(text) {
      const found = new Set(always);
      for (const { set, owners } of sets) for (const at of set.match(text)) found.add(owners[at] as number);
      return found;
    },
  };
}

/** Every list is always worth asking. */
export function unsorted(count: number): Sorter {
  const every = new Set(Array.from({ length: count }, (_, list) => list));
  return { candidates: () => every };
}

/** A pattern source that matches exactly the given text. */
export const quote = (text: string): string => RE2JS.quote(text);

function compile(source: string): RE2JS {
  try {
    return RE2JS.compile(source);
  } catch (error) {
    if (error instanceof RE2JSException) throw fault(source, error);
    throw error;
  }
}

function fault(source: string, error: RE2JSException): RuleFault {
  if (!(error instanceof RE2JSSyntaxException)) return new RuleFault(`the pattern does not compile: ${error.message}`);
  const fragment = error.getPattern();
  const found = fragment === null ? -1 : source.indexOf(fragment);
  const position = found < 0 ? source.length : found;
  const hint = /Perl syntax|escape|named capture/.test(error.getDescription())
    ? '; patterns run in linear time (RE2 syntax), without look-around and back-references'
    : '';
  const what = fragment === null ? error.getDescription() : `${error.getDescription()} \`${fragment}\``;
  return new RuleFault(`${what} at position ${position}${hint}`, position);
}
