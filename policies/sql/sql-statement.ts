import type { GuardrailEntry } from '../documents.ts';
import type { Complain, Kind, MessageMatcher, Subject } from '../guardrail/matcher.ts';
import { compileTools } from '../guardrail/tools.ts';
import { decodeString, find } from '../json/tree.ts';
import type { Node } from '../json/tree.ts';
import { fold } from '../normalise.ts';
import { stepOf } from '../pointer.ts';
import { CLASSES } from './classes.ts';
import { DIALECTS } from './dialect.ts';
import { DEFAULT_MAX_LENGTH, compileSqlJudge } from './judge.ts';

const ARGUMENTS = ['sql', 'query', 'statement'];

/** One text of SQL in a call. */
interface Place {
  readonly pointer: string;
  readonly sql: string;
}

interface Fault {
  readonly pointer: string;
  readonly why: string;
}

/** SQL in the arguments of tools: what its statements do, to which tables, by which functions. */
export const SQL_STATEMENT: Kind = {
  type: 'sql_statement',
  directions: ['input'],
  members: [
    'tools',
    'argument',
    'dialect',
    'deny',
    'allow',
    'tables',
    'functions',
    'require_where',
    'single_statement',
    'max_length',
  ],
  redacts: false,
  check,
  compile: compileSqlStatement,
};

function check(entry: GuardrailEntry, _: unknown, complain: Complain): void {
  const { dialect, deny, allow, tables, functions } = entry;
  if (dialect === undefined || !DIALECTS.includes(dialect))
    complain('dialect', `must be one of ${DIALECTS.join(', ')}`);
  const rules = [deny, allow, tables?.deny, tables?.allow, functions?.deny];
  const flags = [entry.require_where, entry.single_statement];
  if (rules.every((rule) => rule === undefined) && !flags.includes(true)) {
    complain('', 'must have at least one of deny, allow, tables, functions, require_where, single_statement');
  }
  for (const member of ['deny', 'allow'] as const) {
    for (const [index, name] of (entry[member] ?? []).entries()) {
      if (!CLASSES.includes(name)) complain(`${member}[${index}]`, `must be one of ${CLASSES.join(', ')}`);
    }
  }
  const both = (deny ?? []).findIndex((name) => allow?.includes(name) === true);
  if (both >= 0) complain(`deny[${both}]`, 'is allowed and denied, expected one of them');
}

/** Compiles an entry; the parser of its dialect is loaded now. Of an entry without complaints it does not throw. */
export function compileSqlStatement(entry: GuardrailEntry): MessageMatcher {
  const { dialect = 'postgresql', deny, allow, tables, functions, require_where, single_statement, max_length } = entry;
  const judge = compileSqlJudge({
    dialect,
    ...(deny === undefined ? {} : { deny }),
    ...(allow === undefined ? {} : { allow }),
    ...(tables === undefined ? {} : { tables }),
    ...(functions === undefined ? {} : { functions }),
    ...(require_where === undefined ? {} : { require_where }),
    ...(single_statement === undefined ? {} : { single_statement }),
    ...(max_length === undefined ? {} : { max_length }),
  });
  const maximum = max_length ?? DEFAULT_MAX_LENGTH;
  const named = new Set((entry.argument === undefined ? ARGUMENTS : [entry.argument]).map((name) => fold(name)));
  const concerns = compileTools(entry.tools, ['tool']);

  const known = new WeakMap<Subject, readonly Fault[]>();
  const judgeCall = (subject: Subject): readonly Fault[] => {
    if (!concerns(subject.call)) return [];
    const root = find(subject.tree(), 'arguments');
    const places = root === undefined ? [] : placesOf(subject.json, root, named);
    const found: Fault[] = [];
    let length = 0;
    for (const { pointer, sql } of places) {
      length += sql.length;
      // Many texts may not take longer than one.
      const why = length > maximum ? `the SQL is longer than ${maximum} characters` : judge(sql);
      if (why !== undefined) found.push({ pointer, why });
    }
    return found;
  };
  // Asked twice: what breaks the rule, and then why.
  const faults = (subject: Subject): readonly Fault[] => {
    const found = known.get(subject) ?? judgeCall(subject);
    known.set(subject, found);
    return found;
  };
  return {
    reads: 'message',
    hits: (subject) => faults(subject).map(({ pointer }) => pointer),
    reason: (subject) => faults(subject)[0]?.why,
  };
}

/** Every text that is a value of one of these names, or stands anywhere in one. */
function placesOf(json: string, root: Node, named: ReadonlySet<string>): readonly Place[] {
  const places: Place[] = [];
  const visit = (node: Node, pointer: string, inside: boolean): void => {
    if (node.type === 'string' && inside) {
      places.push({ pointer, sql: decodeString(json, node.start, node.end) });
    } else if (node.type === 'array') {
      for (const [index, item] of node.items.entries()) visit(item, `${pointer}/${index}`, inside);
    } else if (node.type === 'object') {
      for (const { key, value } of node.members)
        visit(value, `${pointer}/${stepOf(key)}`, inside || named.has(fold(key)));
    }
  };
  visit(root, '/arguments', false);
  return places;
}
