import { fold } from './normalise.ts';

/** Names and patterns with `*` (any characters) and `?` (one character), compared with exact names. */
export interface Globs {
  matches(name: string): boolean;
  /** As `matches`, but also names that only look like, or differ in case from, what the patterns say. */
  resembles(name: string): boolean;
  /** The patterns without wildcards. */
  readonly exact: ReadonlySet<string>;
}

export function compileGlobs(patterns: readonly string[]): Globs {
  const isWild = (pattern: string): boolean => pattern.includes('*') || pattern.includes('?');
  const wild = patterns.filter((pattern) => isWild(pattern));
  const exact = new Set(patterns.filter((pattern) => !isWild(pattern)));
  const foldedWild = wild.map((pattern) => fold(pattern));
  const foldedExact = new Set([...exact].map((name) => fold(name)));
  const matches = (name: string): boolean => exact.has(name) || wild.some((pattern) => matchGlob(pattern, name));
  const resembles = (name: string): boolean => {
    if (matches(name)) return true;
    const folded = fold(name);
    return foldedExact.has(folded) || foldedWild.some((pattern) => matchGlob(pattern, folded));
  };
  return { matches, resembles, exact };
}

/** Time at most the product of both lengths: a star is only ever tried further from the last one. */
export function matchGlob(pattern: string, name: string): boolean {
  let p = 0;
  let n = 0;
  let star = -1;
  let resume = 0;
  while (n < name.length) {
    const c = pattern[p];
    if (c === '*') {
      star = p;
      p += 1;
      resume = n;
    } else if (c !== undefined && (c === '?' || c === name[n])) {
      p += 1;
      n += 1;
    } else if (star >= 0) {
      p = star + 1;
      resume += 1;
      n = resume;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p += 1;
  return p === pattern.length;
}
