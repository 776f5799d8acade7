import type { Json, JsonObject } from '../types.ts';
import { BY_NODE } from './classes.ts';
import type { StatementClass } from './classes.ts';

/** What the tree of one statement says. */
export interface Contents {
  readonly classes: ReadonlySet<StatementClass>;
  /** Each with what qualifies it; without those that the statement itself defines by WITH. */
  readonly tables: readonly (readonly string[])[];
  /** Names that WITH defines. */
  readonly defined: readonly string[];
  /** The conditions of its UPDATE and DELETE statements. */
  readonly conditions: readonly (Json | undefined)[];
}

// More are not written by hand, and each looks through those before it.
const MOST_DEFINED = 200;

interface Scope {
  readonly name: string;
  readonly outer: Scope | undefined;
}

interface Visit {
  readonly node: Json;
  readonly scope: Scope | undefined;
}

/** Undefined when the tree is of no kind that is known, or defines too much. `selfReference`: WITH sees itself without RECURSIVE. */
export function contentsOf(root: Json, selfReference: boolean): Contents | undefined {
  if (!isNode(root) || classOf(root) === undefined) return undefined;
  const classes = new Set<StatementClass>();
  const tables: (readonly string[])[] = [];
  const defined: string[] = [];
  const conditions: (Json | undefined)[] = [];
  const open: Visit[] = [{ node: root, scope: undefined }];
  for (let visit = open.pop(); visit !== undefined; visit = open.pop()) {
    const { node } = visit;
    let { scope } = visit;
    if (Array.isArray(node)) {
      for (const item of node) if (typeof item === 'object' && item !== null) open.push({ node: item, scope });
      continue;
    }
    if (!isNode(node)) continue;
    const found = classOf(node);
    if (found !== undefined && (found !== 'comment' || node === root)) classes.add(found);
    if (found === 'update' || found === 'delete') conditions.push(node['where'] ?? undefined);
    const into = node['into'];
    if (isNode(into) && Object.values(into).some((value) => value !== null)) {
      classes.add('into');
      if (typeof into['expr'] === 'string') tables.push([into['expr'].toLowerCase()]);
    }
    const own = tableOf(node);
    if (own !== undefined && !(own.length === 1 && sees(scope, own[0] as string))) tables.push(own);
    const queries = node['with'];
    if (Array.isArray(queries)) {
      const recursive = selfReference || queries.some((query) => isNode(query) && query['recursive'] === true);
      for (const query of queries) {
        if (!isNode(query)) continue;
        const name = definedName(query);
        if (defined.push(name) > MOST_DEFINED) return undefined;
        const extended: Scope = { name, outer: scope };
        open.push({ node: query, scope: recursive ? extended : scope });
        scope = extended;
      }
    }
    const aliases = found === 'update' || found === 'delete' ? aliasesOf(node['from']) : undefined;
    for (const [key, value] of Object.entries(node)) {
      if (key === 'with' || typeof value !== 'object' || value === null) continue;
      // What an upsert changes, it changes of the row that was to be inserted.
      if (key === 'conflict' && isNode(value)) {
        classes.add('update');
        open.push({ node: upserted(value), scope });
      } else if (key === 'table' && aliases !== undefined && Array.isArray(value)) {
        open.push({ node: value.filter((each) => !isAlias(each, aliases)), scope });
      } else {
        open.push({ node: value, scope });
      }
    }
  }
  return { classes, tables, defined, conditions };
}

const isNode = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const classOf = (node: JsonObject): StatementClass | undefined =>
  typeof node['type'] === 'string' ? BY_NODE.get(node['type']) : undefined;

function sees(scope: Scope | undefined, name: string): boolean {
  for (let at = scope; at !== undefined; at = at.outer) if (at.name === name) return true;
  return false;
}

function tableOf(node: JsonObject): readonly string[] | undefined {
  const { table } = node;
  if (typeof table !== 'string' || node['type'] === 'column_ref' || Object.hasOwn(node, 'column')) return undefined;
  const around = [node['server'], node['db'], node['schema']].filter((each) => typeof each === 'string' && each !== '');
  return [...around, table].map((each) => String(each).toLowerCase());
}

function definedName(query: JsonObject): string {
  const { name } = query;
  const value = isNode(name) ? name['value'] : name;
  return typeof value === 'string' ? value.toLowerCase() : '';
}

function aliasesOf(from: Json | undefined): ReadonlySet<string> {
  const names = Array.isArray(from) ? from.map((each) => (isNode(each) ? each['as'] : null)) : [];
  return new Set(names.flatMap((name) => (typeof name === 'string' ? [name.toLowerCase()] : [])));
}

function isAlias(node: Json, aliases: ReadonlySet<string>): boolean {
  if (!isNode(node) || typeof node['table'] !== 'string') return false;
  return (node['db'] ?? null) === null && aliases.has(node['table'].toLowerCase());
}

/** The action of an upsert, not as an UPDATE of its own. */
function upserted(conflict: JsonObject): Json {
  const action = conflict['action'];
  const expression = isNode(action) ? action['expr'] : undefined;
  return isNode(expression) ? { ...expression, type: 'upsert' } : {};
}
