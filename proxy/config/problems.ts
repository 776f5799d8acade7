import { printable } from './printable.ts';

/** Keys and indexes from the top of the document to a value. */
export type Path = readonly (string | number)[];

/** What is wrong at a path; `at: key` points at the key itself instead of its value. */
export interface Mistake {
  readonly path: Path;
  readonly message: string;
  readonly at?: 'key';
}

/** A mistake with its place in the file. Line and column count from 1; both are 0 when the file could not be read at all. */
export interface Problem {
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** A configuration that must not be used. Carries every mistake found, in the order of the file, and no secret. */
export class ConfigFault extends Error {
  readonly file: string;
  readonly problems: readonly Problem[];

  constructor(file: string, problems: readonly Problem[]) {
    super(problems.map((problem) => showProblem(file, problem)).join('\n'));
    this.name = 'ConfigFault';
    this.file = file;
    this.problems = problems;
  }
}

function showProblem(file: string, problem: Problem): string {
  const place = problem.line === 0 ? file : `${file}:${problem.line}:${problem.column}`;
  return printable(
    problem.path === '' ? `${place}: ${problem.message}` : `${place}: ${problem.path}: ${problem.message}`,
  );
}

/** `connections[0].upstream.url`; a key that is no plain word stands in brackets and quotes. */
export function showPath(path: Path): string {
  let shown = '';
  for (const step of path) {
    if (typeof step === 'number') shown += `[${step}]`;
    else if (/^[A-Za-z_][A-Za-z0-9_-]*$/.test(step)) shown += shown === '' ? step : `.${step}`;
    else shown += `[${quote(step)}]`;
  }
  return shown;
}

/** A key from the file as it may be printed: quoted and bounded. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}...` : text);
}

/** Is `path` the given one, or below it? */
export function isWithin(path: Path, above: Path): boolean {
  return above.every((step, index) => path[index] === step);
}

/** The candidate that a mistyped word most likely meant, if one is near. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const steps = distance(word.toLowerCase(), candidate.toLowerCase());
    if (steps < least) [best, least] = [candidate, steps];
  }
  return best;
}

/** Letters to insert, drop, change or swap with their neighbour. */
function distance(from: string, to: string): number {
  if (Math.abs(from.length - to.length) > 20 || from.length > 60) return Infinity;
  const rows: number[][] = [Array.from({ length: to.length + 1 }, (_, column) => column)];
  for (let i = 1; i <= from.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const change = from[i - 1] === to[j - 1] ? 0 : 1;
      let steps = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + change);
      if (from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1])
        steps = Math.min(steps, (rows[i - 2]?.[j - 2] ?? Infinity) + 1);
      row.push(steps);
    }
    rows.push(row);
  }
  return rows[from.length]![to.length]!;
}
