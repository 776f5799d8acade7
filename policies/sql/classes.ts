/** What a statement does, by the names that rules use. */
export const CLASSES = [
  'select',
  'into',
  'insert',
  'update',
  'delete',
  'merge',
  'replace',
  'create',
  'alter',
  'drop',
  'truncate',
  'grant',
  'revoke',
  'copy',
  'load',
  'call',
  'execute',
  'prepare',
  'do',
  'routine',
  'declare',
  'cursor',
  'explain',
  'show',
  'set',
  'use',
  'transaction',
  'lock',
  'maintenance',
  'attach',
  'pragma',
  'notify',
  'comment',
  'control',
  'admin',
] as const;

export type StatementClass = (typeof CLASSES)[number];

function table(entries: Readonly<Partial<Record<StatementClass, string>>>): ReadonlyMap<string, StatementClass> {
  return new Map(
    Object.entries(entries).flatMap(([name, words]) =>
      words.split(' ').map((word): [string, StatementClass] => [word, name as StatementClass]),
    ),
  );
}

/** The classes of statements by their first word. */
export const BY_FIRST_WORD: ReadonlyMap<string, StatementClass> = table({
  select: 'select values table with',
  insert: 'insert',
  update: 'update',
  delete: 'delete',
  merge: 'merge',
  replace: 'replace',
  create: 'create import',
  alter: 'alter rename security',
  drop: 'drop',
  truncate: 'truncate',
  grant: 'grant',
  revoke: 'revoke deny',
  copy: 'copy unload',
  load: 'load bulk',
  call: 'call',
  execute: 'execute exec',
  prepare: 'prepare deallocate',
  do: 'do',
  declare: 'declare',
  cursor: 'open fetch close move handler',
  explain: 'explain describe desc',
  show: 'show print help',
  set: 'set reset discard',
  use: 'use',
  transaction: 'begin start commit rollback savepoint release end abort save xa',
  lock: 'lock unlock',
  maintenance: 'vacuum analyze analyse reindex cluster refresh optimize check checksum repair checkpoint',
  attach: 'attach detach',
  pragma: 'pragma',
  notify: 'listen notify unlisten',
  comment: 'comment',
  control: 'if while return throw raiserror goto try',
  admin:
    'backup restore shutdown kill dbcc reconfigure waitfor install uninstall flush purge change stop reassign binlog deny reassign restart clone cache enable disable add revert',
});

/** The classes of the nodes of the parser's trees. Nodes of other types say nothing about the class of a statement. */
export const BY_NODE: ReadonlyMap<string, StatementClass> = table({
  select: 'select',
  insert: 'insert',
  replace: 'replace',
  update: 'update',
  delete: 'delete',
  drop: 'drop',
  truncate: 'truncate',
  alter: 'alter rename',
  create: 'create',
  grant: 'grant',
  revoke: 'revoke',
  call: 'call',
  execute: 'exec execute',
  load: 'load_data',
  show: 'show',
  explain: 'explain desc',
  set: 'set',
  use: 'use',
  lock: 'lock unlock',
  transaction: 'transaction',
  declare: 'declare',
  control: 'if',
  comment: 'comment',
  prepare: 'deallocate',
});

/** Words that begin a statement inside of another one, and wherever they stand in a dialect without separators. */
export const NESTED: ReadonlyMap<string, StatementClass> = new Map(
  [
    'insert update delete merge replace drop truncate alter create grant revoke deny copy',
    'call exec execute prepare do load bulk backup restore shutdown kill dbcc reconfigure waitfor attach detach',
  ]
    .flatMap((words) => words.split(' '))
    .map((word) => [word, BY_FIRST_WORD.get(word) ?? 'admin']),
);

/** Run what is written elsewhere or in a text that is not read: they cannot be judged by what they say. */
export const OPAQUE: ReadonlySet<StatementClass> = new Set(['call', 'execute', 'prepare', 'do', 'routine']);

/** Short statements that the parser need not understand: they hold no tables and no statements of their own. */
export const SIMPLE: ReadonlySet<StatementClass> = new Set([
  'transaction',
  'show',
  'set',
  'use',
  'maintenance',
  'pragma',
  'notify',
  'explain',
]);

/** Functions that run a text as SQL, under any name with these endings. */
export const RUNS_TEXT: readonly string[] = [
  'dblink*',
  'query_to_xml*',
  'query_to_json*',
  'cursor_to_xml*',
  'table_to_xml*',
  'sp_executesql',
  'sp_execute_external_script',
  'openquery',
  'openrowset',
  'opendatasource',
  'sys_exec',
  'sys_eval',
  'eval',
];
