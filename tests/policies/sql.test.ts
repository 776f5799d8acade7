import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import t from 'tap';
import { compileGuardrails } from '../../policies/guardrail.ts';
import { checkGuardrail } from '../../policies/guardrail/check.ts';
import { DIALECTS, LEXIS } from '../../policies/sql/dialect.ts';
import type { Dialect } from '../../policies/sql/dialect.ts';
import { compileSqlJudge } from '../../policies/sql/judge.ts';
import type { SqlRules } from '../../policies/sql/judge.ts';
import { tokenise } from '../../policies/sql/lexer.ts';
import { outline, statementsOf } from '../../policies/sql/statement.ts';
import type { Call } from '../../policies/types.ts';

const [PG, MY, LITE, TS] = DIALECTS;
const ALL = DIALECTS;

/** Everything that changes anything is forbidden. */
const READ_ONLY: Omit<SqlRules, 'dialect'> = { allow: ['select', 'explain', 'show', 'transaction'] };

type Row = readonly [dialects: Dialect | readonly Dialect[], sql: string, classes: string, verdict: 'passes' | RegExp];
const NOT_ALLOWED = /^the SQL does what is not allowed: /;
const CANNOT = /^the SQL cannot be judged: /;
const REFUSED = /^the SQL /;

/** What a statement is, and what a rule that allows reading makes of it. */
const STATEMENTS: readonly Row[] = [
  [ALL, 'SELECT 1', 'select', 'passes'],
  [ALL, 'select a, b from t where c = 1 order by a desc', 'select', 'passes'],
  [ALL, 'select t.a from t join u on t.id = u.id', 'select', 'passes'],
  [ALL, "select 'drop table t'", 'select', 'passes'],
  [ALL, "select 'it''s; drop table t --' from t", 'select', 'passes'],
  [ALL, 'select 1 -- drop table t', 'select', 'passes'],
  [ALL, '/* drop table t */ select 1', 'select', 'passes'],
  [ALL, 'select 1;', 'select', 'passes'],
  [ALL, 'with q as (select 1) select * from q', 'select', 'passes'],
  [ALL, 'select a from t union all select b from u', 'select', 'passes'],
  [ALL, "select replace(a, 'x', 'y') from t", 'select', 'passes'],
  [ALL, 'select deleted_at, update_count from drops', 'select', 'passes'],
  [PG, 'select "drop", "delete" from "create"', 'select', 'passes'],
  [MY, 'select `drop` from `update`', 'select', 'passes'],
  [TS, 'select [drop] from [update]', 'select', 'passes'],
  [LITE, 'select [drop], `delete`, "alter" from t', 'select', 'passes'],
  [PG, "select a->>'x', b::int from t where c @> '{}' and d = $1", 'select', 'passes'],
  [TS, 'select top 5 * from dbo.t', 'select', 'passes'],
  [ALL, 'explain select 1', 'explain select', 'passes'],
  [PG, 'explain (analyze, buffers) select * from t', 'explain select', 'passes'],
  [LITE, 'explain query plan select * from t', 'explain select', 'passes'],
  [MY, 'select * from t for update', 'select', 'passes'],
  [[PG, MY, LITE], 'begin', 'transaction', 'passes'],
  [PG, 'show search_path', 'show', 'passes'],
  [MY, 'show create table t', 'show', 'passes'],
  [ALL, 'drop table t', 'drop', NOT_ALLOWED],
  [ALL, 'DrOp TaBlE t', 'drop', NOT_ALLOWED],
  [ALL, 'drop/**/table/**/t', 'drop', NOT_ALLOWED],
  [ALL, '  \n\t;; drop\ntable\nt', 'drop', NOT_ALLOWED],
  [ALL, 'select 1; drop table t', 'select+drop', NOT_ALLOWED],
  [ALL, "select 1;\n-- '\ndrop table t -- '", 'select+drop', NOT_ALLOWED],
  [ALL, 'truncate table t', 'truncate', NOT_ALLOWED],
  [ALL, 'alter table t drop column a', 'alter', NOT_ALLOWED],
  [ALL, 'delete from t', 'delete', NOT_ALLOWED],
  [ALL, 'update t set a = 1', 'update', NOT_ALLOWED],
  [ALL, 'insert into t (a) values (1)', 'insert', NOT_ALLOWED],
  [ALL, 'insert into t select * from u', 'insert', NOT_ALLOWED],
  [ALL, 'create table t (a int)', 'create', NOT_ALLOWED],
  [ALL, 'create table t as select 1', 'create', NOT_ALLOWED],
  [ALL, 'create view v as select 1', 'create', NOT_ALLOWED],
  [ALL, 'grant select on t to u', 'grant', NOT_ALLOWED],
  [ALL, 'revoke select on t from u', 'revoke', NOT_ALLOWED],
  [ALL, 'call f(1)', 'call', NOT_ALLOWED],
  [ALL, 'merge into t using u on t.a = u.a when matched then delete', 'merge delete', NOT_ALLOWED],
  [[MY, LITE], 'replace into t values (1)', 'replace', NOT_ALLOWED],
  [ALL, 'with gone as (delete from t returning *) select * from gone', 'select delete', NOT_ALLOWED],
  [ALL, 'with a as (select 1), b as (insert into t select 1) select * from a', 'select insert', NOT_ALLOWED],
  [ALL, 'with a as (select 1) delete from t', 'select delete', NOT_ALLOWED],
  [ALL, 'explain analyze delete from t', 'explain delete', NOT_ALLOWED],
  [PG, 'explain (analyze true) update t set a = 1', 'explain update', NOT_ALLOWED],
  [MY, 'explain format=json delete from t', 'explain delete', NOT_ALLOWED],
  [[PG, TS], 'select * into copy_of from t', 'select into', NOT_ALLOWED],
  [MY, "select a from t into outfile '/tmp/x'", 'select into copy', NOT_ALLOWED],
  [MY, "select a into dumpfile '/tmp/x' from t", 'select into copy', NOT_ALLOWED],
  [PG, 'do $$ begin drop table t; end $$', 'do', NOT_ALLOWED],
  [PG, 'do $x$ begin execute $$drop table t$$; end $x$', 'do', NOT_ALLOWED],
  [PG, 'prepare p as delete from t', 'prepare delete', NOT_ALLOWED],
  [PG, 'execute p', 'execute', NOT_ALLOWED],
  [MY, "prepare p from 'drop table t'", 'prepare', NOT_ALLOWED],
  [MY, "set @q = 'drop table t'", 'set', NOT_ALLOWED],
  [PG, "copy t to program 'curl'", 'copy', NOT_ALLOWED],
  [PG, "copy (select * from t) to '/tmp/x'", 'copy', NOT_ALLOWED],
  [MY, "load data infile '/etc/passwd' into table t", 'load', NOT_ALLOWED],
  [LITE, "attach '/etc/x.db' as x", 'attach', NOT_ALLOWED],
  [LITE, 'pragma writable_schema = on', 'pragma', NOT_ALLOWED],
  [TS, "exec xp_cmdshell 'dir'", 'execute', NOT_ALLOWED],
  [TS, "exec('drop table t')", 'execute', NOT_ALLOWED],
  [TS, 'select 1 drop table t', 'select drop', NOT_ALLOWED],
  [TS, 'if 1 = 1 drop table t', 'control drop', NOT_ALLOWED],
  [TS, 'begin drop table t end', 'transaction drop', NOT_ALLOWED],
  [TS, "waitfor delay '0:0:5'", 'admin', NOT_ALLOWED],
  [TS, 'select 1\nshutdown', 'select admin', NOT_ALLOWED],
  [TS, "backup database d to disk = 'x'", 'admin', NOT_ALLOWED],
  [PG, 'create function f() returns int as $$ select 1 $$ language sql', 'create routine', NOT_ALLOWED],
  [
    [PG, MY, LITE],
    'create trigger g after insert on t begin delete from u; end',
    'create delete routine+transaction',
    NOT_ALLOWED,
  ],
  [PG, 'vacuum full', 'maintenance', NOT_ALLOWED],
  [PG, "set role 'admin'", 'set', NOT_ALLOWED],
  [PG, 'insert into t (a) values (1) on conflict (a) do update set b = 2', 'insert update', NOT_ALLOWED],
  // What servers may read in another way than the parser.
  [ALL, '/*!50000 drop table t */', '-', CANNOT],
  [ALL, 'select 1 /*M! ; drop table t */', '-', CANNOT],
  [ALL, "select 'open", '-', CANNOT],
  [ALL, 'select 1 /* open', '-', CANNOT],
  [ALL, 'select "open', '-', CANNOT],
  [ALL, 'select 1 -- x\rdrop table t\n', '-', CANNOT],
  [ALL, 'select\u00a01', '-', CANNOT],
  [ALL, 'ｄｒｏｐ table t', '-', CANNOT],
  [ALL, 'dr\u200bop table t', '-', CANNOT],
  [ALL, 'select 1\u0000; drop table t', '-', CANNOT],
  [ALL, "xp_cmdshell 'dir'", '?', CANNOT],
  [ALL, '\\! rm -rf /', '-', CANNOT],
  [PG, 'select U&"d\\0072op"(1)', '-', CANNOT],
  [PG, "select U&'d\\0072op'", '-', CANNOT],
  [PG, "select 'a\\' ; drop table t; --'", '-', CANNOT],
  [PG, "select E'a\\' ; drop table t; --'", 'select', 'passes'],
  [MY, "select 'a\\'; drop table t; -- '", 'select', NOT_ALLOWED],
  [MY, "select 'it\\'s'", 'select', 'passes'],
  [MY, 'select 1 --1', 'select', 'passes'],
  [MY, 'select 1 # drop table t', 'select', 'passes'],
  [MY, '/* /* */ drop table t /* */', 'drop', NOT_ALLOWED],
  [PG, '/* /* */ drop table t */ select 1', 'select', 'passes'],
  [LITE, '/* /* */ drop table t /* */', 'drop', NOT_ALLOWED],
  [LITE, 'select 1 # comment', '-', CANNOT],
  [PG, 'select $$ ; drop table t; $$', 'select', 'passes'],
  [PG, 'select a$$ from t; drop table t --$$', 'select+drop', REFUSED],
  [ALL, 'select ((1)', 'select', CANNOT],
  [ALL, `select ${'('.repeat(70)}1${')'.repeat(70)}`, 'select', CANNOT],
  [ALL, 'select from where', 'select', CANNOT],
  [ALL, 'nonsense', '?', CANNOT],
];

function classesOf(sql: string, dialect: Dialect): string {
  const tokens = tokenise(sql, LEXIS[dialect]);
  if ('unreadable' in tokens) return '-';
  return statementsOf(tokens)
    .map((statement) => {
      const { first, classes } = outline(statement, LEXIS[dialect]);
      return first === undefined ? '?' : [...classes].join(' ');
    })
    .join('+');
}

t.test('each statement has its class, and a rule that allows reading its verdict [sql-statements]', async (t) => {
  t.ok(STATEMENTS.length >= 60);
  for (const dialect of DIALECTS) {
    const judge = compileSqlJudge({ dialect, ...READ_ONLY });
    for (const [dialects, sql, classes, verdict] of STATEMENTS) {
      if (typeof dialects === 'string' ? dialects !== dialect : !dialects.includes(dialect)) continue;
      const name = `${dialect}: ${JSON.stringify(sql.slice(0, 70))}`;
      const found = classesOf(sql, dialect).split(/[ +]/).toSorted();
      const expected = classes.split(/[ +]/).toSorted();
      // Where statements need nothing between them, every word that begins one counts.
      if (dialect === TS)
        t.same(
          expected.filter((each) => !found.includes(each)),
          [],
          name,
        );
      else t.same(found, expected, name);
      if (verdict === 'passes') t.equal(judge(sql), undefined, name);
      else t.match(judge(sql), verdict, name);
    }
  }
});

t.test(
  'what runs a text or something written elsewhere is refused unless a rule allows it [sql-statements]',
  async (t) => {
    const denies = compileSqlJudge({ dialect: PG, deny: ['drop'] });
    for (const sql of [
      'do $$ begin end $$',
      'call f()',
      'execute p',
      'create function f() returns int as $$ select 1 $$ language sql',
      "select query_to_xml('drop table t', true, true, '')",
      "select public.dblink_exec('drop table t')",
      "select * from dblink('x', 'drop table t') as u(a int)",
    ]) {
      t.match(denies(sql), CANNOT, sql);
    }
    const allows = compileSqlJudge({ dialect: PG, allow: ['select', 'call', 'do'] });
    t.equal(allows('call f()'), undefined);
    t.equal(allows('do $$ begin end $$'), undefined);
    t.match(allows('execute p'), NOT_ALLOWED);
  },
);

t.test('an UPDATE or DELETE needs a WHERE that chooses among the rows [sql-where]', async (t) => {
  const without = [
    'delete from t',
    'update t set a = 1',
    'delete from t where 1 = 1',
    'delete from t where 1',
    "delete from t where 'a' = 'a'",
    'delete from t where a = a',
    'delete from t where t.a = a',
    'delete from t where (a) = (a)',
    'delete from t where not (1 = 2)',
    'delete from t where a = 1 or 1 = 1',
    'delete from t where 1 = 1 or a = 1',
    'delete from t where a = 1 or (b = 2 or 2 > 1)',
    'delete from t where a is null or a is not null',
    'delete from t where a = 1 or a <> 1',
    'delete from t where not (a = 1 and 1 = 2)',
    "delete from t where a like '%'",
    'delete from t where a in (a)',
    'delete from t where a between a and a',
    'delete from t where exists (select 1)',
    'delete from t where 1 in (select 1 from u)',
    'update t set a = (select b from u where c = 1)',
    'select 1; delete from t',
  ];
  const within = [
    'delete from t where a = 1',
    'delete from t where a = 1 and 1 = 1',
    'update t set a = 1 where b in (1, 2)',
    'update t set a = 1 where not b = 2',
    'delete from t where a = 1 or b = 2',
    'delete from t where a in (select a from u where b = 1)',
    "delete from t where a like 'x%'",
    'delete from t where a between 1 and 5',
    'delete from t where a is null',
    'select a from t',
  ];
  for (const dialect of ALL) {
    const judge = compileSqlJudge({ dialect, require_where: true });
    for (const sql of without) t.match(judge(sql), /WHERE|cannot be judged/, `${dialect}: ${sql}`);
    for (const sql of within) t.equal(judge(sql), undefined, `${dialect}: ${sql}`);
  }
  const pg = compileSqlJudge({ dialect: PG, require_where: true });
  for (const sql of [
    'delete from t where true',
    'update t set a = 1 where a = 1 or true',
    'delete from t where (a = a) is true',
  ]) {
    t.match(pg(sql), /WHERE/, sql);
  }
  t.match(pg('with x as (delete from t returning *) select * from x'), CANNOT);
  t.match(compileSqlJudge({ dialect: MY, require_where: true })('begin not atomic delete from t; end'), CANNOT);
  t.equal(pg('insert into t (a) values (1) on conflict (a) do update set b = 2'), undefined, 'an upsert is no UPDATE');
});

t.test('tables are found wherever they stand [sql-tables]', async (t) => {
  const named = [
    'select * from secrets',
    'select * from s.secrets x',
    'select * from a join secrets on a.id = secrets.id',
    'select * from a, secrets',
    'select (select max(b) from secrets) from a',
    'select * from a where b in (select b from secrets)',
    'select * from (select * from (select * from secrets) x) y',
    'insert into a select * from secrets',
    'with q as (select * from secrets) select * from q',
    'select 1 union select b from secrets',
    'delete from secrets where a = 1',
    'update secrets set a = 1 where b = 1',
    'drop table secrets',
    'select * from SECRETS',
    'select * from secrets_2',
  ];
  for (const dialect of ALL) {
    const denies = compileSqlJudge({ dialect, tables: { deny: ['secrets*'] } });
    const allows = compileSqlJudge({ dialect, tables: { allow: ['a', 'orders', 'shop.*'] } });
    for (const sql of named) {
      t.match(denies(sql), REFUSED, `${dialect}: ${sql}`);
      t.match(allows(sql), REFUSED, `${dialect}: ${sql}`);
    }
    for (const sql of [
      'select secrets from a',
      "select 'secrets' from orders",
      'select * from shop.orders o',
      'with q as (select * from a) select * from q',
    ]) {
      t.equal(denies(sql), undefined, `${dialect}: ${sql}`);
      t.equal(allows(sql), undefined, `${dialect}: ${sql}`);
    }
    t.match(allows('select * from other.orders'), REFUSED, 'an allowed name means the default schema');
  }
  for (const dialect of [PG, MY]) {
    const judge = compileSqlJudge({ dialect, tables: { allow: ['a'] } });
    t.match(judge('with secrets as (select * from secrets) select * from secrets'), REFUSED, 'WITH hides no table');
    t.match(judge('with a as (select 1), b as (select * from c), c as (select 1) select * from b'), REFUSED);
  }
  const pg = compileSqlJudge({ dialect: PG, tables: { deny: ['secrets'] } });
  for (const sql of [
    'select * from "secrets"',
    'select * from only secrets',
    'table secrets',
    'copy secrets to stdout',
    'lock secrets',
  ]) {
    t.match(pg(sql), REFUSED, sql);
  }
  t.match(
    compileSqlJudge({ dialect: TS, tables: { deny: ['secrets'] } })('select * from srv.db.dbo.[secrets]'),
    REFUSED,
  );
  t.match(compileSqlJudge({ dialect: MY, tables: { deny: ['secrets'] } })('select * from db.`secrets`'), REFUSED);
});

t.test('functions are found under every spelling of their name [sql-functions]', async (t) => {
  const deny = ['pg_sleep*', 'pg_read_file', 'lo_*', 'load_extension', 'load_file', 'xp_*'];
  const rows: readonly (readonly [Dialect, string])[] = [
    [PG, 'select pg_sleep(10)'],
    [PG, 'select PG_SLEEP (10)'],
    [PG, 'select pg_sleep/**/(10)'],
    [PG, 'select pg_catalog.pg_sleep(10)'],
    [PG, 'select pg_catalog . "pg_sleep_for" (\'1 s\')'],
    [PG, "select * from pg_read_file('/etc/passwd')"],
    [PG, "select 1 where 1 = (select lo_import('/etc/passwd'))"],
    [LITE, "select load_extension('x')"],
    [LITE, "select [load_extension]('x')"],
    [MY, "select load_file('/etc/passwd')"],
    [TS, "exec master..xp_cmdshell 'dir'"],
    [TS, "declare @r int; exec @r = [xp_cmdshell] 'dir'"],
  ];
  for (const [dialect, sql] of rows) {
    const judge = compileSqlJudge({ dialect, allow: ['select', 'execute', 'declare'], functions: { deny } });
    t.match(judge(sql), /calls a function|cannot be judged/, `${dialect}: ${sql}`);
  }
  const judge = compileSqlJudge({ dialect: PG, functions: { deny } });
  for (const sql of ['select count(*) from t', 'select pg_sleep from t', "select 'pg_sleep(1)'"])
    t.equal(judge(sql), undefined, sql);
});

t.test('several statements, and texts that are too long, can be refused [sql-statements]', async (t) => {
  for (const dialect of ALL) {
    const judge = compileSqlJudge({ dialect, single_statement: true, max_length: 100 });
    t.match(judge('select 1; select 2'), /more than one/);
    t.equal(judge('select 1;;'), undefined);
    t.equal(judge("select ';'"), undefined);
    t.equal(judge('-- nothing'), undefined);
    const rows = `insert into t values ${"(1, 'a', null), ".repeat(3000)}(1, 'b', 2)`;
    t.equal(compileSqlJudge({ dialect, allow: ['insert'] })(rows), undefined, 'many rows of values are read quickly');
    t.match(compileSqlJudge({ dialect, allow: ['insert'] })(`${rows}; drop table t`), NOT_ALLOWED);
    t.match(judge(`select '${'x'.repeat(100)}'`), /longer than 100/);
  }
});

const PIECES = [
  `select from where delete drop table t a 1 ( ) , ; . * = ' " \` [ ] /* */ -- # \\ $$ $a$ E' U&" @ || case when cast( as int not`,
  'with union explain exec é \u200b 😀 /*! go begin end in and or - %',
]
  .flatMap((pieces) => pieces.split(' '))
  .concat('\n', ' ');

t.test('whatever the text, the answer is a verdict that repeats nothing of it [sql-bounded]', async (t) => {
  const judges = ALL.map((dialect) =>
    compileSqlJudge({ dialect, deny: ['drop'], require_where: true, tables: { deny: ['x'] } }),
  );
  const hostile = fc.array(fc.constantFrom(...PIECES), { maxLength: 60 }).map((pieces) => pieces.join(' '));
  const tight = fc.array(fc.constantFrom(...PIECES), { maxLength: 60 }).map((pieces) => pieces.join(''));
  fc.assert(
    fc.property(fc.oneof(hostile, tight, fc.string({ unit: 'binary' })), (sql) => {
      for (const judge of judges) {
        const verdict = judge(`${sql} zebrafish`);
        if (verdict?.includes('zebrafish') === true || (verdict !== undefined && !verdict.startsWith('the SQL ')))
          return false;
      }
      return true;
    }),
    { numRuns: 400 },
  );
  t.pass('no text made a judge throw or repeat it');
});

t.test('a DROP is refused wherever it stands among other statements [sql-bounded]', async (t) => {
  const quiet = [
    'select 1',
    "select ';--'",
    'select "a" from t',
    '/* x */',
    '-- y\n',
    '',
    'select (1)',
    "select '/*'",
    'explain select 1',
  ];
  for (const dialect of ALL) {
    const judge = compileSqlJudge({ dialect, deny: ['drop'] });
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...quiet)), fc.array(fc.constantFrom(...quiet)), (before, after) => {
        return judge([...before, 'drop table t', ...after].join('\n;\n')) !== undefined;
      }),
      { numRuns: 60 },
    );
  }
  t.pass('none got through');
});

t.test('reading takes a bounded number of steps, however a grammar backtracks [sql-bounded]', async (t) => {
  const wrap = (open: string, inner: string, close: string, count: number): string =>
    `select ${open.repeat(count)}${inner}${close.repeat(count)}`;
  const hostile = [
    wrap('(', '1 @@@ 2', ')', 60),
    wrap('cast(', '1', ' as int)', 60),
    wrap('f(', '1 1', ')', 60),
    wrap('case when a then ', '1', ' end', 200),
    wrap('not ', 'a', '', 800),
    wrap('- ', '1', '', 800),
    `select * from t where ${'a = 1 and '.repeat(800)}b = 2`,
    `select * from t where ${'a = 1 or '.repeat(800)}b = 2`,
    `select * from t where a in (${'1,'.repeat(10_000)}1)`,
    'select cast(cast(cast(cast(cast(cast(1 as int) as int) as int) as int) as int) as int);'.repeat(60),
    '/*'.repeat(30_000),
    "'".repeat(60_001),
    '$a$'.repeat(20_001),
    `with ${Array.from({ length: 600 }, (_, at) => `q${at} as (select 1)`).join(',')} select 1`,
    ';'.repeat(60_000),
  ];
  for (const dialect of ALL) {
    const judge = compileSqlJudge({ dialect, allow: ['select'], require_where: true, tables: { allow: ['t'] } });
    for (const sql of hostile) {
      const verdict = judge(sql);
      t.ok(verdict === undefined || verdict.startsWith('the SQL '), `${dialect}: ${sql.slice(0, 40)}: ${verdict}`);
    }
  }
});

function callOf(args: unknown, name = 'execute_sql'): Call {
  const text = JSON.stringify({ name, arguments: args });
  const annotations = { readOnlyHint: true, destructiveHint: false, idempotentHint: false, openWorldHint: false };
  return {
    connection: 'c',
    kind: 'tool',
    method: 'tools/call',
    name,
    arguments: args as Call['arguments'],
    text,
    annotations,
  };
}

t.test(
  'SQL is read in the arguments that hold it, at any depth, of the tools that the entry names [sql-arguments]',
  async (t) => {
    const judge = (entry: object, call: Call): string | undefined => {
      const rule = {
        name: 'g',
        input: { rules: [{ type: 'sql_statement', dialect: 'postgresql', deny: ['drop'], ...entry }] },
      };
      return compileGuardrails([rule as never], 'input').judge(call.text, call.name, call).denial?.reason;
    };
    const drop = 'drop table t';
    for (const args of [
      { sql: drop },
      { SQL: drop },
      { query: drop },
      { statement: drop },
      { options: { sql: drop } },
      { batch: [{ sql: 'select 1' }, { sql: drop }] },
      { sql: [drop] },
      { query: { text: drop } },
      { ｓql: drop },
    ]) {
      t.match(
        judge({}, callOf(args)),
        /forbids this call: the SQL does what is not allowed: drop/,
        JSON.stringify(args),
      );
    }
    t.equal(judge({}, callOf({ text: drop })), undefined, 'other arguments are not SQL');
    t.match(judge({ argument: 'text' }, callOf({ text: drop })), /drop/);
    t.equal(judge({ argument: 'text' }, callOf({ sql: drop })), undefined);
    t.equal(judge({ tools: ['query'] }, callOf({ sql: drop })), undefined);
    t.match(judge({ tools: ['exec*'] }, callOf({ sql: drop })), /drop/);
    t.equal(judge({ message: 'ask the DBA' }, callOf({ sql: drop })), 'ask the DBA');
    t.equal(judge({}, callOf({ sql: 'select 1' })), undefined);
    t.equal(judge({}, callOf({ sql: 5 })), undefined);
    const long = `select '${'x'.repeat(40_000)}'`;
    t.match(judge({}, callOf({ a: { sql: long }, b: { sql: long } })), /longer than/, 'many texts count as one');
  },
);

t.test('mistakes in an entry are named [sql-arguments]', async (t) => {
  const mistakes = (entry: object, where = 'input'): string[] => {
    const found: string[] = [];
    const rule = { name: 'g', [where]: { rules: [{ type: 'sql_statement', ...entry }] } };
    checkGuardrail(rule as never, (member, message) => void found.push(`${member}: ${message}`));
    return found;
  };
  t.same(mistakes({ dialect: 'mysql', deny: ['drop'] }), []);
  t.match(mistakes({ deny: ['drop'] }), [/dialect: must be one of/]);
  t.match(mistakes({ dialect: 'oracle', deny: ['drop'] }), [/dialect: must be one of/]);
  t.match(mistakes({ dialect: 'mysql' }), [/must have at least one of/]);
  t.match(mistakes({ dialect: 'mysql', deny: ['dropp'] }), [/deny\[0\]: must be one of/]);
  t.match(mistakes({ dialect: 'mysql', deny: ['drop'], allow: ['drop'] }), [/allowed and denied/]);
  t.match(mistakes({ dialect: 'mysql', deny: ['drop'] }, 'output'), [/belongs under input/]);
});

t.test(
  'importing the rules reads no grammar: a dialect is loaded with the first rule that needs it [sql-lazy]',
  async (t) => {
    const program = `
    import { compileRulebook } from './policies/compile.ts';
    import { createRequire } from 'node:module';
    const loaded = () => Object.keys(createRequire(import.meta.url).cache).filter((path) => path.includes('node-sql-parser')).map((path) => path.split('/').at(-1));
    const before = loaded();
    const { compileSqlJudge } = await import('./policies/sql/judge.ts');
    const between = loaded();
    compileSqlJudge({ dialect: 'sqlite', deny: ['drop'] });
    console.log(JSON.stringify([typeof compileRulebook, before, between, loaded()]));`;
    const cwd = new URL('../..', import.meta.url).pathname;
    const out = execFileSync(process.execPath, ['--input-type=module', '-e', program], { cwd, encoding: 'utf8' });
    t.same(JSON.parse(out), ['function', [], [], ['sqlite.js']]);
  },
);
