import { BY_FIRST_WORD, NESTED, SIMPLE } from './classes.ts';
import type { StatementClass } from './classes.ts';
import type { Lexis } from './dialect.ts';
import type { Token } from './lexer.ts';

/** What the tokens of one statement say, whatever a parser makes of them. Time linear in their number. */
export interface Outline {
  /** Undefined: its first word begins no statement that is known. */
  readonly first: StatementClass | undefined;
  readonly classes: ReadonlySet<StatementClass>;
  /** UPDATE and DELETE statements in it, itself included. */
  readonly writes: number;
  /** Names, small, that stand before a parenthesis or behind EXEC and CALL: alone and with what qualifies them. */
  readonly functions: ReadonlySet<string>;
  /** Names, small, that stand where tables do. */
  readonly tables: readonly (readonly string[])[];
  /** What the parser is to read: without EXPLAIN and its options. */
  readonly body: readonly Token[];
}

const BEFORE_NESTED = new Set([
  '(',
  ')',
  'as',
  'then',
  'else',
  'begin',
  'loop',
  'atomic',
  'explain',
  'analyze',
  'verbose',
  'plan',
]);
const BEFORE_TABLE = new Set([
  'from',
  'join',
  'into',
  'update',
  'table',
  'only',
  'using',
  'truncate',
  'copy',
  'describe',
  'desc',
]);
const ROUTINES = new Set(['function', 'procedure', 'proc', 'trigger', 'event', 'rule', 'package']);
const OBJECTS = new Set([
  ...'table view index database schema user role login sequence type domain extension server tablespace policy'.split(
    ' ',
  ),
  ...'publication subscription cast operator collation aggregate materialized unique fulltext spatial virtual'.split(
    ' ',
  ),
]);
const EXPLAINS = new Set(['explain', 'describe', 'desc']);
const BETWEEN = new Set(['if', 'not', 'exists', 'only', 'lateral', 'table', 'ignore', 'low_priority', 'concurrently']);
const CALLS = new Set(['exec', 'execute', 'call']);
const REFERENTIAL = new Set(['cascade', 'no', 'set', 'restrict']);
const COUNTED = new Set(['update', 'delete']);

/** The statements of a text, cut at semicolons; empty ones are left out. */
export function statementsOf(tokens: readonly Token[]): readonly (readonly Token[])[] {
  const all: Token[][] = [[]];
  for (const token of tokens) {
    if (token.kind === 'sign' && token.value === ';') all.push([]);
    else all.at(-1)?.push(token);
  }
  return all.filter((statement) => statement.length > 0);
}

export function outline(tokens: readonly Token[], lexis: Lexis): Outline {
  const body = withoutExplain(tokens);
  const explained = body !== tokens;
  const first = firstClass(body);
  const classes = new Set<StatementClass>(explained ? ['explain'] : []);
  if (first !== undefined) classes.add(first);
  // What the parser will not read is searched most carefully.
  const anywhere = lexis.bareSequences || (first !== undefined && SIMPLE.has(first));
  let writes = 0;
  for (const [at, token] of body.entries()) {
    if (token.kind !== 'word') continue;
    if (token.value === 'into') addInto(body, at, classes);
    if (token.value === 'select' && anywhere) classes.add('select');
    const nested = at === 0 ? undefined : nestedClass(body, at, anywhere);
    if (nested !== undefined) classes.add(nested);
    if ((at === 0 || nested !== undefined) && COUNTED.has(token.value) && !isUpsert(body, at)) writes += 1;
  }
  if ((first === 'create' || first === 'alter') && makesRoutine(body)) classes.add('routine');
  return {
    first,
    classes,
    writes,
    functions: functionsOf(body, first === 'execute' || first === 'call'),
    tables: tablesOf(tokens),
    body,
  };
}

const word = (token: Token | undefined): string => (token?.kind === 'word' ? token.value : '');
const sign = (token: Token | undefined): string => (token?.kind === 'sign' ? token.value : '');

function firstClass(body: readonly Token[]): StatementClass | undefined {
  const opening = body.find((token) => sign(token) !== '(');
  return BY_FIRST_WORD.get(word(opening));
}

function addInto(body: readonly Token[], at: number, classes: Set<StatementClass>): void {
  if (['insert', 'replace', 'merge'].includes(word(body[at - 1]))) return;
  // The first one of an INSERT is its own, and no target of a SELECT.
  if (
    ['insert', 'replace', 'load', 'merge'].includes(word(body[0])) &&
    body.findIndex((token) => word(token) === 'into') === at
  )
    return;
  classes.add('into');
  if (['outfile', 'dumpfile'].includes(word(body[at + 1]))) classes.add('copy');
}

function nestedClass(body: readonly Token[], at: number, anywhere: boolean): StatementClass | undefined {
  const found = NESTED.get(word(body[at]));
  if (found === undefined) return undefined;
  if (isUpsert(body, at)) return 'update';
  if (found === 'do' && ['update', 'nothing'].includes(word(body[at + 1]))) return undefined;
  const before = body[at - 1];
  const next = body[at + 1];
  if (sign(before) === '.' || sign(next) === '(' || sign(before) === '@' || word(before) === 'show') return undefined;
  if (word(before) === 'on' && REFERENTIAL.has(word(next))) return undefined;
  return anywhere || BEFORE_NESTED.has(word(before) || sign(before)) ? found : undefined;
}

const isUpsert = (body: readonly Token[], at: number): boolean =>
  at > 0 && word(body[at]) === 'update' && ['do', 'key'].includes(word(body[at - 1]));

function makesRoutine(body: readonly Token[]): boolean {
  for (const token of body) {
    if (ROUTINES.has(word(token))) return true;
    if (OBJECTS.has(word(token)) || sign(token) === '(') return false;
  }
  return false;
}

function withoutExplain(tokens: readonly Token[]): readonly Token[] {
  if (!EXPLAINS.has(word(tokens[0]))) return tokens;
  let at = 1;
  if (sign(tokens[at]) === '(' && !['select', 'with', 'values'].includes(word(tokens[at + 1]))) {
    at = tokens.findIndex((token) => sign(token) === ')') + 1;
    if (at === 0) return tokens;
  }
  while (isOption(tokens, at)) at += word(tokens[at]) === 'format' ? 3 : 1;
  // EXPLAIN of a table, not of a statement.
  return firstClass(tokens.slice(at)) === undefined ? tokens : tokens.slice(at);
}

function isOption(tokens: readonly Token[], at: number): boolean {
  const option = word(tokens[at]);
  if (option === 'format') return sign(tokens[at + 1]) === '=';
  return ['analyze', 'analyse', 'verbose', 'query', 'plan', 'extended', 'partitions'].includes(option);
}

function functionsOf(body: readonly Token[], all: boolean): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [at, token] of body.entries()) {
    if (token.kind === 'number' || token.kind === 'sign') continue;
    const called = sign(body[at + 1]) === '(';
    if (!called && !all && !CALLS.has(word(body[at - 1]))) continue;
    const chain = called ? chainBefore(body, at) : chainFrom(body, at);
    names.add(chain.at(-1) ?? '');
    names.add(chain.join('.'));
  }
  return names;
}

function tablesOf(tokens: readonly Token[]): readonly (readonly string[])[] {
  const names: (readonly string[])[] = [];
  for (const [before, token] of tokens.entries()) {
    if (!BEFORE_TABLE.has(word(token))) continue;
    let at = before + 1;
    while (BETWEEN.has(word(tokens[at]))) at += 1;
    const named = tokens[at];
    if (named !== undefined && named.kind !== 'sign' && named.kind !== 'number') names.push(chainFrom(tokens, at));
  }
  return names;
}

function chainFrom(body: readonly Token[], start: number): readonly string[] {
  const chain = [small(body[start])];
  for (let at = start + 1; sign(body[at]) === '.'; at += 1) {
    if (sign(body[at + 1]) === '.') continue;
    chain.push(small(body[at + 1]));
    at += 1;
  }
  return chain;
}

function chainBefore(body: readonly Token[], end: number): readonly string[] {
  const chain = [small(body[end])];
  for (let at = end - 1; sign(body[at]) === '.' && chain.length < 5; at -= 2) chain.unshift(small(body[at - 1]));
  return chain;
}

const small = (token: Token | undefined): string => token?.value.toLowerCase() ?? '';
