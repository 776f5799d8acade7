import type { Json, JsonObject } from '../types.ts';

// Deeper conditions count as if they held for every row.
const DEEPEST = 1000;
const COMPARES = new Set([
  '=',
  '==',
  '<=>',
  '>=',
  '<=',
  'LIKE',
  'ILIKE',
  'IS',
  'IN',
  'BETWEEN',
  'IS NOT DISTINCT FROM',
  'REGEXP',
  'RLIKE',
  '~',
]);
const LOGICAL = new Set(['AND', 'OR', 'XOR', '&&', '||']);
const RELATIONS = new Set([
  ...COMPARES,
  ...LOGICAL,
  '<',
  '>',
  '<>',
  '!=',
  'IS NOT',
  'NOT IN',
  'NOT LIKE',
  'NOT BETWEEN',
  '!<',
  '!>',
]);
const OPPOSITE: ReadonlyMap<string, string> = new Map([
  ['=', '<>'],
  ['<>', '='],
  ['!=', '='],
  ['IS', 'IS NOT'],
  ['IS NOT', 'IS'],
  ['<', '>='],
  ['>=', '<'],
  ['>', '<='],
  ['<=', '>'],
  ['IN', 'NOT IN'],
  ['NOT IN', 'IN'],
]);

/**
 * Does the condition choose among rows? False for one that is missing, that names no column, that compares something with itself,
 * and for what such parts make of it under AND, OR and NOT. What holds for every row by accident of the data is not known.
 */
export function chooses(condition: Json | undefined, negated = false, depth = 0): boolean {
  if (depth > DEEPEST || !isNode(condition)) return false;
  const inner = wrapped(condition);
  if (inner !== undefined) return chooses(inner.of, inner.negates ? !negated : negated, depth + 1);
  const operator = operatorOf(condition);
  const left = condition['left'];
  const right = condition['right'];
  if (LOGICAL.has(operator)) {
    const both = operator === 'XOR' || (operator === 'OR' || operator === '||') !== negated;
    if (!both) return chooses(left, negated, depth + 1) || chooses(right, negated, depth + 1);
    if (operator !== 'XOR' && opposes(left, right)) return false;
    return chooses(left, negated, depth + 1) && chooses(right, negated, depth + 1);
  }
  const subquery = existing(condition);
  if (subquery !== undefined) return chooses(subquery['where'], negated, depth + 1);
  if (condition['type'] !== 'binary_expr') return namesColumn(condition);
  if (comparesItself(operator, left, right)) return false;
  if ((operator === 'LIKE' || operator === 'ILIKE') && /^%+$/.test(textOf(right))) return false;
  // (x = x) IS TRUE: the comparison inside decides, whatever it is compared with.
  for (const side of [left, right]) {
    if (isRelation(side) && !(chooses(side, false, depth + 1) && chooses(side, true, depth + 1))) return false;
  }
  return namesColumn(condition);
}

const isNode = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function operatorOf(node: JsonObject): string {
  return node['type'] === 'binary_expr' && typeof node['operator'] === 'string' ? node['operator'].toUpperCase() : '';
}

const isRelation = (value: Json | undefined): value is JsonObject => isNode(value) && RELATIONS.has(operatorOf(value));

/** What stands in parentheses of its own, or behind NOT. */
function wrapped(node: JsonObject): { readonly of: Json | undefined; readonly negates: boolean } | undefined {
  if (node['type'] === 'unary_expr') {
    const operator = String(node['operator']).toUpperCase();
    if (operator === 'NOT' || operator === '!') return { of: node['expr'], negates: true };
  }
  const only = onlyArgument(node);
  if (only === undefined) return undefined;
  if (node['type'] === 'expr_list') return { of: only, negates: false };
  return functionName(node) === 'not' ? { of: only, negates: true } : undefined;
}

function onlyArgument(node: JsonObject): Json | undefined {
  const list = node['type'] === 'function' && isNode(node['args']) ? node['args'] : node;
  const values = list['type'] === 'expr_list' ? list['value'] : undefined;
  return Array.isArray(values) && values.length === 1 ? values[0] : undefined;
}

function functionName(node: JsonObject): string {
  const name = node['type'] === 'function' && isNode(node['name']) ? node['name']['name'] : node['name'];
  const last = Array.isArray(name) ? name.at(-1) : name;
  return String(isNode(last) ? last['value'] : last).toLowerCase();
}

/** The query of an EXISTS. */
function existing(node: JsonObject): JsonObject | undefined {
  const isExists =
    functionName(node) === 'exists' || /EXISTS$/i.test(String(node['type'] === 'unary_expr' ? node['operator'] : ''));
  if (!isExists) return undefined;
  const only = onlyArgument(node) ?? node['expr'] ?? null;
  const query = isNode(only) ? (only['ast'] ?? only) : {};
  return isNode(query) ? query : {};
}

function comparesItself(operator: string, left: Json | undefined, right: Json | undefined): boolean {
  if (!COMPARES.has(operator)) return false;
  if (same(left, right)) return true;
  const values = isNode(right) && right['type'] === 'expr_list' && Array.isArray(right['value']) ? right['value'] : [];
  return values.some((value) => same(left, value));
}

function opposes(left: Json | undefined, right: Json | undefined): boolean {
  if (!isRelation(left) || !isRelation(right) || OPPOSITE.get(operatorOf(left)) === undefined) return false;
  const opposite = operatorOf(right) === '!=' ? '<>' : operatorOf(right);
  return (
    OPPOSITE.get(operatorOf(left)) === opposite &&
    same(left['left'], right['left']) &&
    same(left['right'], right['right'])
  );
}

/** The same expression, apart from its place and its parentheses. */
function same(a: Json | undefined, b: Json | undefined, depth = 0): boolean {
  if (depth > DEEPEST) return true;
  if (typeof a === 'string' && typeof b === 'string') return a.toLowerCase() === b.toLowerCase();
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((value, index) => same(value, b[index], depth + 1));
  }
  if (!isNode(a) || !isNode(b)) return (a ?? null) === (b ?? null);
  const isColumn = a['type'] === 'column_ref' && b['type'] === 'column_ref';
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  for (const key of keys) {
    if (key === 'loc' || key === 'parentheses') continue;
    // A column with and without the name of its table may be the same.
    if (isColumn && key === 'table' && (a[key] ?? b[key] ?? null) !== null && (a[key] === null || b[key] === null))
      continue;
    if (isColumn && key === 'db') continue;
    if (!same(a[key], b[key], depth + 1)) return false;
  }
  return true;
}

function textOf(node: Json | undefined): string {
  return isNode(node) && typeof node['value'] === 'string' ? node['value'] : '';
}

/** A column outside of subqueries, or a subquery that chooses. */
function namesColumn(root: JsonObject): boolean {
  const open: Json[] = [root];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (typeof node !== 'object' || node === null) continue;
    if (!Array.isArray(node)) {
      if (node['type'] === 'column_ref') return true;
      if (node['type'] === 'select') {
        if (chooses(node['where'])) return true;
        continue;
      }
    }
    for (const value of Object.values(node)) if (typeof value === 'object' && value !== null) open.push(value);
  }
  return false;
}
