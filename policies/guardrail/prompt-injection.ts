import { compileGate, compilePattern } from '../pattern.ts';
import type { Pattern } from '../pattern.ts';
import { SIGNALS } from './injection-signals.ts';
import type { Kind } from './matcher.ts';

export const DEFAULT_THRESHOLD = 0.5;

/**
 * Texts that speak to the model: hidden characters, orders, fake roles and markup, requests to send secrets away. It reads every text
 * of a message, so also descriptions of tools, prompts and a server's instructions.
 */
export const PROMPT_INJECTION: Kind = {
  type: 'prompt_injection',
  directions: ['input', 'output'],
  members: ['threshold'],
  redacts: true,
  check({ threshold = DEFAULT_THRESHOLD }, _, complain) {
    if (!(threshold >= 0 && threshold <= 1)) complain('threshold', 'must be a number from 0 to 1');
  },
  compile({ threshold = DEFAULT_THRESHOLD }) {
    const { sources, groups, mayMatch } = (shared ??= compileSignals());
    return {
      reads: 'text',
      sources,
      // Signs in different strings say nothing together.
      stringsOnly: true,
      mayMatch,
      matches: (text) => reaches(threshold, groups, text),
      spans: (text) => groups.flatMap(({ signals }) => signals.flatMap(({ pattern }) => [...pattern.spans(text)])),
    };
  },
};

/** A few signs, and one scan that says whether any of them is there. */
interface Group {
  readonly signals: readonly { readonly pattern: Pattern; readonly score: number }[];
  mayMatch(text: string): boolean;
}

interface Compiled {
  readonly sources: readonly string[];
  readonly groups: readonly Group[];
  mayMatch(text: string): boolean;
}

// About as many groups as signs in one: a text with few signs is scanned least often.
const GROUP = 6;

// The signs are the same for every rule, and many to compile.
let shared: Compiled | undefined;

function compileSignals(): Compiled {
  const sources = SIGNALS.map(({ source }) => source);
  const groups: Group[] = [];
  for (let at = 0; at < SIGNALS.length; at += GROUP) {
    const few = SIGNALS.slice(at, at + GROUP);
    const { mayMatch } = compileGate(few.map(({ source }) => source));
    groups.push({ mayMatch, signals: few.map(({ source, score }) => ({ pattern: compilePattern(source), score })) });
  }
  return { sources, groups, mayMatch: compileGate(sources).mayMatch };
}

/** Is it likely enough that one of the signs is meant, were they independent? */
function reaches(threshold: number, groups: readonly Group[], text: string): boolean {
  let innocent = 1;
  for (const { signals, mayMatch } of groups) {
    if (!mayMatch(text)) continue;
    for (const { pattern, score } of signals) {
      if (!pattern.search(text)) continue;
      innocent *= 1 - score;
      // Rounded, so that a single sign of 0.8 reaches a threshold of 0.8.
      if (Math.round((1 - innocent) * 1000) / 1000 >= threshold) return true;
    }
  }
  return false;
}
