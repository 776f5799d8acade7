import { RuleFault } from './fault.ts';
import type { Scope } from './condition-scope.ts';
import type { Json } from './types.ts';

/** A node of a parsed condition, as far as it matters here. */
export interface Syntax {
  readonly op: string;
  readonly args: unknown;
  readonly start: number;
}

/** How the time of a condition grows with its input. */
export interface Cost {
  /** Macros inside macros; 0: no loop at all. */
  readonly depth: number;
  /** A loop's body reads more than its own element, so each round may read the whole call. */
  readonly wide: boolean;
  /** Makes lists out of texts, so the call's arrays say nothing of the rounds. */
  readonly splits: boolean;
}

const LOOPS: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);
const SMALL: ReadonlySet<string> = new Set(['principal', 'connection', 'tool', 'kind', 'method', 'name']);
const SPLITS: ReadonlySet<string> = new Set(['split', 'json']);
const MAX_DEPTH = 3;
const MAX_ROUNDS = 50_000;
const MAX_READ = 20_000_000;

/** Throws a RuleFault for what no condition may hold. */
export function costOf(root: Syntax): Cost {
  let depth = 0;
  let wide = false;
  let splits = false;

  const visit = (node: Syntax, loops: readonly string[]): void => {
    refuse(node);
    if (node.op === 'id' && loops.length > 0) {
      const name = node.args as string;
      if (name !== loops.at(-1) && !SMALL.has(name)) wide = true;
    }
    if (node.op === 'rcall') {
      const [method, receiver, args] = node.args as [string, Syntax, Syntax[]];
      if (SPLITS.has(method)) splits = true;
      const variable = args[0];
      if (LOOPS.has(method) && args.length > 1 && variable?.op === 'id') {
        if (loops.length === MAX_DEPTH) throw new RuleFault(`loops are nested deeper than ${MAX_DEPTH}`, node.start);
        depth = Math.max(depth, loops.length + 1);
        visit(receiver, loops);
        for (const body of args.slice(1)) visit(body, [...loops, variable.args as string]);
        return;
      }
    }
    for (const child of children(node.args)) visit(child, loops);
  };

  visit(root, []);
  return { depth, wide, splits };
}

/** May the condition be evaluated on this call without holding everybody up? */
export function affordable(cost: Cost, scope: Scope): boolean {
  if (cost.depth === 0) return true;
  const few = scope.principal.groups.length + scope.connection.attributes.length;
  const fits = (elements: number): boolean => {
    const rounds = (elements + few) ** cost.depth;
    return rounds <= MAX_ROUNDS && (!cost.wide || rounds * scope.size <= MAX_READ);
  };
  return fits(scope.size) || (!cost.splits && fits(elementsOf(scope.args)));
}

function elementsOf(root: Json): number {
  let count = 0;
  const open: Json[] = [root];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (value === null || typeof value !== 'object') continue;
    const items = Array.isArray(value) ? value : Object.values(value);
    count += items.length;
    if (count > MAX_ROUNDS) return count;
    for (const item of items) if (item !== null && typeof item === 'object') open.push(item);
  }
  return count;
}

function refuse(node: Syntax): void {
  if (node.op === 'value' && typeof node.args === 'bigint' && !Number.isSafeInteger(Number(node.args))) {
    const sentence = 'whole numbers beyond 9007199254740991 cannot be compared exactly with the numbers of JSON';
    throw new RuleFault(`${sentence}; send and compare them as text`, node.start);
  }
  if ((node.op === 'rcall' || node.op === 'call') && (node.args as unknown[])[0] === 'matches') {
    throw new RuleFault('matches() is not available: its time has no bound; use search() (RE2 syntax)', node.start);
  }
}

function children(value: unknown): Syntax[] {
  if (Array.isArray(value)) return value.flatMap((item) => children(item));
  return typeof value === 'object' && value !== null && 'op' in value ? [value as Syntax] : [];
}
