import { compileGlobs, matchGlob } from '../glob.ts';
import type { Globs } from '../glob.ts';
import { OPAQUE, RUNS_TEXT, SIMPLE } from './classes.ts';
import type { StatementClass } from './classes.ts';
import { LEXIS } from './dialect.ts';
import type { Dialect } from './dialect.ts';
import { tokenise } from './lexer.ts';
import type { Token, Unreadable } from './lexer.ts';
import { loadParser, stepsFor } from './parser.ts';
import type { Parsed, Steps } from './parser.ts';
import { spell } from './spelling.ts';
import { outline, statementsOf } from './statement.ts';
import type { Outline } from './statement.ts';
import { contentsOf } from './tree.ts';
import type { Contents } from './tree.ts';
import { chooses } from './where.ts';

/** What SQL may say. */
export interface SqlRules {
  readonly dialect: Dialect;
  readonly deny?: readonly StatementClass[];
  readonly allow?: readonly StatementClass[];
  readonly tables?: { readonly allow?: readonly string[]; readonly deny?: readonly string[] };
  readonly functions?: { readonly deny?: readonly string[] };
  readonly require_where?: boolean;
  readonly single_statement?: boolean;
  readonly max_length?: number;
}

interface Compiled extends SqlRules {
  readonly denied: Globs | undefined;
}

/** What is wrong with a text of SQL, as a sentence that repeats nothing of it; undefined when nothing is. */
export type SqlJudge = (sql: string) => string | undefined;

/** The longest text that is read when a rule does not say, in UTF-16 units. */
export const DEFAULT_MAX_LENGTH = 65_536;

const DEEPEST = 64;
// Schemas that a name without one is looked up in.
const OWN_SCHEMAS = new Set(['public', 'dbo', 'main']);

/**
 * Compiles rules about SQL; loads the dialect's parser. The judge takes time linear in the text, and calls whatever it cannot read for
 * certain dangerous.
 */
export function compileSqlJudge(given: SqlRules): SqlJudge {
  const patterns = given.tables?.deny?.map((pattern) => pattern.toLowerCase());
  const rules: Compiled = { ...given, denied: patterns === undefined ? undefined : compileGlobs(patterns) };
  const parse = loadParser(rules.dialect);
  const maximum = rules.max_length ?? DEFAULT_MAX_LENGTH;
  const lexis = LEXIS[rules.dialect];
  return (sql) => {
    if (sql.length > maximum) return `the SQL is longer than ${maximum} characters`;
    const steps = stepsFor(sql.length);
    const wrong = judgeTokens(tokenise(sql, lexis), steps);
    if (wrong !== undefined || !lexis.backslash || !sql.includes('\\')) return wrong;
    // Servers may be told that a backslash in a text hides nothing; then the text must be whole and harmless in that reading, or nonsense.
    const other = tokenise(sql, { ...lexis, backslash: false });
    return 'unreadable' in other ? undefined : judgeTokens(other, steps);
  };

  function judgeTokens(tokens: readonly Token[] | Unreadable, steps: Steps): string | undefined {
    if ('unreadable' in tokens) return `the SQL cannot be judged: it ${tokens.unreadable}`;
    const shape = checkNesting(tokens);
    if (shape !== undefined) return shape;
    const statements = statementsOf(tokens);
    if (rules.single_statement === true && statements.length > 1) return SEVERAL;
    for (const statement of statements) {
      const wrong = judgeStatement(outline(statement, lexis), rules, (text) => parse(text, steps));
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }
}

const SEVERAL = 'the SQL holds more than one statement';
const UNPARSED = 'the SQL cannot be judged: it holds a statement that the parser does not understand';
const TABLE = 'the SQL names a table that is not allowed';

function checkNesting(tokens: readonly Token[]): string | undefined {
  let depth = 0;
  for (const { kind, value } of tokens) {
    if (kind !== 'sign') continue;
    if (value === '(') depth += 1;
    if (value === ')') depth -= 1;
    if (depth > DEEPEST) return `the SQL cannot be judged: it is nested more than ${DEEPEST} deep`;
    if (depth < 0) break;
  }
  return depth === 0 ? undefined : 'the SQL cannot be judged: its parentheses do not match';
}

function judgeStatement(
  seen: Outline,
  rules: Compiled,
  parse: (text: string) => Parsed | undefined,
): string | undefined {
  const { first } = seen;
  if (first === undefined) return 'the SQL cannot be judged: it begins with no statement that is known';
  const wrong = forbidden(seen.classes, rules) ?? calls(seen.functions, rules);
  if (wrong !== undefined) return wrong;
  if (seen.tables.some((table) => isDenied(table, rules))) return TABLE;

  const spelling = spell(seen.body);
  const parsed = parse(spelling.text);
  const contents = parsed === undefined ? undefined : allContents(parsed, rules.dialect);
  if (parsed === undefined || contents === undefined) {
    // A short statement is known by its words; so is one that the rule allows although it cannot be read.
    const simple = SIMPLE.has(first) && [...seen.classes].every((each) => each === first || each === 'explain');
    const known = simple || OPAQUE.has(first) || seen.classes.has('routine');
    return known && rules.tables === undefined ? undefined : UNPARSED;
  }
  if (rules.single_statement === true && contents.length > 1) return SEVERAL;
  const real = (name: string): string => spelling.names.get(name)?.toLowerCase() ?? name;
  for (const { classes, tables, defined } of contents) {
    const names = tables.map((table) => table.map((part) => real(part)));
    const found =
      forbidden(classes, rules) ??
      (defined.some((name) => isDenied([real(name)], rules)) || names.some((table) => isDenied(table, rules))
        ? TABLE
        : undefined) ??
      (names.every((table) => isAllowed(table, rules)) ? undefined : TABLE);
    if (found !== undefined) return found;
  }
  if (
    parsed.tables.some((entry) =>
      isDenied(
        tableOf(entry).map((part) => real(part)),
        rules,
      ),
    )
  )
    return TABLE;
  return rules.require_where === true ? withoutWhere(seen, contents) : undefined;
}

function allContents({ trees }: Parsed, dialect: Dialect): readonly Contents[] | undefined {
  const selfReference = dialect === 'sqlite' || dialect === 'transactsql';
  const all = trees.map((tree) => contentsOf(tree, selfReference));
  return all.length > 0 && all.every((contents) => contents !== undefined) ? all : undefined;
}

function forbidden(classes: ReadonlySet<StatementClass>, { allow, deny }: SqlRules): string | undefined {
  for (const found of classes) {
    if (deny?.includes(found) === true || allow?.includes(found) === false) {
      return `the SQL does what is not allowed: ${found}`;
    }
    if (OPAQUE.has(found) && allow === undefined) {
      return `the SQL cannot be judged: it runs what is written elsewhere or in a text (${found})`;
    }
  }
  return undefined;
}

function calls(names: ReadonlySet<string>, { functions, allow }: SqlRules): string | undefined {
  const denied = functions?.deny ?? [];
  for (const name of names) {
    if (denied.some((pattern) => matchGlob(pattern.toLowerCase(), name)))
      return 'the SQL calls a function that is not allowed';
    if (allow?.includes('execute') !== true && RUNS_TEXT.some((pattern) => matchGlob(pattern, name))) {
      return 'the SQL cannot be judged: it calls a function that runs a text as SQL';
    }
  }
  return undefined;
}

/** A pattern without a dot means a table of that name wherever it stands. */
function isDenied(table: readonly string[], { denied }: Compiled): boolean {
  return denied !== undefined && table.some((_, from) => denied.resembles(table.slice(from).join('.')));
}

/** A pattern without a dot means a table without a schema, or of the schema that such a name is looked up in. */
function isAllowed(table: readonly string[], { tables }: SqlRules): boolean {
  if (tables?.allow === undefined) return true;
  const name = table.join('.');
  const [schema = '', own = ''] = table;
  const bare = table.length === 2 && OWN_SCHEMAS.has(schema) ? own : name;
  return tables.allow.some((each) => {
    const pattern = each.toLowerCase();
    return pattern.includes('.') ? matchGlob(pattern, name) : !bare.includes('.') && matchGlob(pattern, bare);
  });
}

/** `operation::qualifier::table`, as the grammar notes it. */
function tableOf(entry: string): readonly string[] {
  const [, qualifier = '', ...name] = entry.toLowerCase().split('::');
  const around = qualifier === '' || qualifier === 'null' ? [] : qualifier.split('.');
  return [...around, name.join('::')];
}

function withoutWhere(seen: Outline, contents: readonly Contents[]): string | undefined {
  const conditions = contents.flatMap((each) => each.conditions);
  if (conditions.length < seen.writes) return UNPARSED;
  return conditions.every((condition) => chooses(condition))
    ? undefined
    : 'the SQL changes or deletes rows without a WHERE that chooses among them';
}
