import t from 'tap';
import { DIALECTS } from '../../policies/sql/dialect.ts';
import type { Dialect } from '../../policies/sql/dialect.ts';
import type { JsonObject } from '../../policies/types.ts';
import { startUpstream } from '../fixture/upstream.ts';
import { callTool, send, startGateway } from '../gateway.ts';
import { openSession } from '../session.ts';

const hex = (text: string): string => Buffer.from(text).toString('hex');
const wide = (text: string): string =>
  text.replace(/[!-~]/g, (char) => String.fromCharCode(char.charCodeAt(0) + 0xfee0));
const spread = (text: string, between: string): string => [...text].join(between);

const DROP = 'DROP TABLE customers';

/** A DROP that some server of the dialect would run, or might. */
const HIDDEN: readonly (readonly [name: string, sql: string, dialects?: readonly Dialect[]])[] = [
  ['as it is', DROP],
  ['small letters', 'drop table customers'],
  ['mixed letters', 'dRoP tAbLe customers'],
  ['behind white space', `\n\t\r\n \f${DROP}`],
  ['behind empty statements', `;;; ; ${DROP}`],
  ['line ends between the words', 'DROP\n\n\nTABLE\r\ncustomers'],
  ['comments between the words', 'DROP/* a */TABLE/**/customers'],
  ['line comments between the words', 'DROP -- a\nTABLE -- b\ncustomers'],
  ['a comment before it', `/* SELECT 1 */ ${DROP}`],
  ['a line comment before it', `-- SELECT 1\n${DROP}`],
  ['a hash comment before it', `# SELECT 1\n${DROP}`, ['mysql']],
  ['a nested comment that ends early', `/* /* */ ${DROP} -- */ */`, ['mysql', 'sqlite']],
  ['a comment nested for some servers', `/* /* */ */ ${DROP}`],
  ['an executable comment', `/*! ${DROP} */`],
  ['an executable comment with a version', `/*!50001 ${DROP} */`],
  ['an executable comment of MariaDB', `/*M!100100 ${DROP} */`],
  ['an executable comment inside of a word', 'DR/*!00000OP*/ TABLE customers'],
  ['a line comment that ends at a carriage return', `SELECT 1 -- x\r${DROP}`],
  ['dashes that are no comment', `SELECT 1 --1; ${DROP}`, ['mysql']],
  ['a second statement', `SELECT 1; ${DROP}`],
  ['the last of many statements', `${'SELECT 1;'.repeat(50)}${DROP}`],
  ['behind a text with a semicolon', `SELECT ';'; ${DROP}`],
  ['behind a text with a comment', `SELECT '/*'; ${DROP} -- '*/'`],
  ['behind a text with doubled quotes', `SELECT 'a''b'; ${DROP}; SELECT '''`],
  ['behind a name with a quote', `SELECT 1 AS "a'b"; ${DROP} -- '"`],
  ['behind a name with a tick', `SELECT 1 AS \`a'b\`; ${DROP} -- '`, ['mysql', 'sqlite']],
  ['behind a name in brackets', `SELECT 1 AS [a'b]; ${DROP} -- '`, ['sqlite', 'transactsql']],
  ['behind a backslash that hides nothing', `SELECT 'a\\'; ${DROP}; -- '`],
  ['behind a backslash that hides a quote', `SELECT 'a\\'', '; ${DROP}; -- '`, ['mysql']],
  ['behind an escape string', `SELECT E'a\\''; ${DROP}; --'`, ['postgresql']],
  ['behind a dollar-quoted text', `SELECT $$a$$; ${DROP}; --$$`, ['postgresql']],
  ['behind a name that ends in dollars', `SELECT a$$ FROM t; ${DROP}; --$$`, ['postgresql']],
  ['in a DO block', `DO $$ BEGIN ${DROP}; END $$`, ['postgresql']],
  ['in a text of a DO block', "DO $$ BEGIN EXECUTE 'DR' || 'OP TABLE customers'; END $$", ['postgresql']],
  ['in a prepared statement', `PREPARE p AS ${DROP}`, ['postgresql']],
  ['in a prepared text', `PREPARE p FROM '${DROP}'`, ['mysql']],
  ['in a prepared variable', `SET @q = '${DROP}'; PREPARE p FROM @q; EXECUTE p`, ['mysql']],
  ['in a hexadecimal text that is run', `SET @q = 0x${hex(DROP)}; PREPARE p FROM @q; EXECUTE p`, ['mysql']],
  ['in EXEC of a text', `EXEC('${DROP}')`, ['transactsql']],
  ['in EXEC of joined texts', "EXEC('DR' + 'OP TABLE customers')", ['transactsql']],
  ['in sp_executesql', `EXEC sp_executesql N'${DROP}'`, ['transactsql']],
  ['in a variable that is run', `DECLARE @q varchar(99) = 0x${hex(DROP)}; EXEC(@q)`, ['transactsql']],
  ['in a function that runs text', `SELECT dblink_exec('dbname=shop', '${DROP}')`, ['postgresql']],
  ['in a query that is turned to XML', `SELECT query_to_xml('${DROP}', true, true, '')`, ['postgresql']],
  ['in OPENROWSET', `SELECT * FROM OPENROWSET('x', 'y', '${DROP}')`, ['transactsql']],
  ['in a new function', `CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ ${DROP} $$`, ['postgresql']],
  ['in a trigger', `CREATE TRIGGER g AFTER INSERT ON t BEGIN ${DROP}; END`],
  ['in an event', `CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO ${DROP}`, ['mysql']],
  ['in a procedure that is called', 'CALL drop_customers()'],
  ['in a compound statement', `BEGIN NOT ATOMIC ${DROP}; END`, ['mysql']],
  ['in a block', `BEGIN ${DROP} END`, ['transactsql']],
  ['in IF', `IF 1 = 1 ${DROP}`, ['transactsql']],
  ['in WHILE', `WHILE 1 = 1 ${DROP}`, ['transactsql']],
  ['in TRY', `BEGIN TRY ${DROP} END TRY BEGIN CATCH END CATCH`, ['transactsql']],
  ['without a semicolon', `SELECT 1 ${DROP}`, ['transactsql']],
  ['behind GO', `SELECT 1\nGO\n${DROP}`, ['transactsql']],
  ['behind SET without a semicolon', `SET NOCOUNT ON ${DROP}`, ['transactsql']],
  ['behind EXPLAIN ANALYZE', `EXPLAIN ANALYZE ${DROP}`],
  ['behind EXPLAIN with options', `EXPLAIN (ANALYZE, COSTS off) ${DROP}`, ['postgresql']],
  ['behind a transaction', `BEGIN; ${DROP}; COMMIT`],
  ['as another object', 'DROP VIEW IF EXISTS customers CASCADE'],
  ['as a database', 'DROP DATABASE shop'],
  ['with a quoted name', 'DROP TABLE "customers"'],
  ['with a qualified name', 'DROP TABLE public . customers'],
  ['with a no-break space', 'DROP\u00a0TABLE customers'],
  ['with an ideographic space', 'DROP\u3000TABLE customers'],
  ['with a line separator', 'DROP\u2028TABLE customers'],
  ['with a vertical tab', 'DROP\vTABLE customers'],
  ['with zero-width characters', spread(DROP, '\u200b')],
  ['with soft hyphens', 'DR\u00adOP TABLE customers'],
  ['with a byte order mark', `\ufeff${DROP}`],
  ['with NUL', `\u0000${DROP}`],
  ['with NUL inside of a word', 'DR\u0000OP TABLE customers'],
  ['with control characters as white space', 'DROP\u0001TABLE\u001fcustomers'],
  ['in full-width letters', wide(DROP)],
  ['in mathematical letters', '𝐃𝐑𝐎𝐏 𝐓𝐀𝐁𝐋𝐄 customers'],
  ['with Cyrillic letters', 'DRОP ТАBLE customers'],
  ['with the long s, which some servers take for s', 'DROP TABLE cuſtomerſ; DROP ſCHEMA public'],
  ['percent-encoded', DROP.replaceAll(' ', '%20')],
  ['with character references', DROP.replaceAll('O', '&#79;')],
  ['with JSON escapes inside of the text', 'DR\\u004fP TABLE customers'],
  ['as JSON in the text', JSON.stringify({ sql: DROP })],
  ['in base64', Buffer.from(DROP).toString('base64')],
  ['in hexadecimal', hex(DROP)],
  ['in Unicode escapes of a name', `SELECT U&"\\0064rop"; ${DROP}`, ['postgresql']],
  ['behind an open text', `SELECT 'a; ${DROP}`],
  ['behind an open comment', `SELECT 1 /* a; ${DROP}`],
  ['behind an open name', `SELECT "a; ${DROP}`],
  ['behind a client command', `\\! true\n${DROP}`],
  ['behind a DELIMITER of the client', `DELIMITER //\n${DROP} //`, ['mysql']],
  ['behind nonsense', `SELEC 1; ${DROP}`],
  ['in deep parentheses', `${'('.repeat(200)}${DROP}${')'.repeat(200)}`],
  ['behind a very long text', `SELECT '${'x'.repeat(70_000)}'; ${DROP}`],
  ['behind a statement that takes long to read', `SELECT ${'cast('.repeat(40)}1${' as int)'.repeat(40)}; ${DROP}`],
  ['behind many parentheses that lead nowhere', `SELECT ${'('.repeat(40)}1 @@ 2${')'.repeat(40)}; ${DROP}`],
];

/** Ways to put SQL into a call. */
const CARRIERS: readonly (readonly [string, (sql: string) => JsonObject])[] = [
  ['sql', (sql) => ({ sql })],
  ['SQL', (sql) => ({ SQL: sql })],
  ['query', (sql) => ({ query: sql })],
  ['statement', (sql) => ({ statement: sql })],
  ['deep inside', (sql) => ({ options: { steps: [{ sql: 'SELECT 1' }, { sql }] } })],
  ['a list', (sql) => ({ sql: ['SELECT 1', sql] })],
  ['a mapping', (sql) => ({ query: { text: sql, values: [] } })],
  ['a key in full-width letters', (sql) => ({ ｓｑｌ: sql })],
];

t.test('a DROP never reaches the upstream, however it is hidden [sql-no-drop]', async (t) => {
  const upstream = await startUpstream();
  t.teardown(() => upstream.close());
  const access = { groups: ['eng'] };
  const gateway = await startGateway(t, {
    connections: ['default', ...DIALECTS].map((name) => ({ name, upstream: { url: upstream.url }, access })),
    guardrails: DIALECTS.map((dialect) => ({
      name: dialect,
      connections: [dialect],
      input: { rules: [{ type: 'sql_statement', dialect, deny: ['drop'] }] },
    })),
  });
  const token = await gateway.person('erin', ['eng']);
  const reached = (): number => upstream.received('tools/call').length;

  for (const dialect of DIALECTS) {
    const url = `${gateway.url}/mcp/${dialect}`;
    const before = reached();
    const fine = await callTool(url, token, 'execute_sql', { sql: "SELECT id FROM customers WHERE name = 'drop'" });
    t.notMatch(fine.text, /guardrail/, `${dialect}: what is harmless passes`);
    t.equal(reached(), before + 1);
    for (const [name, sql, dialects] of HIDDEN) {
      if (dialects !== undefined && !dialects.includes(dialect)) continue;
      const answer = await callTool(url, token, 'execute_sql', { sql });
      t.match(answer.text, /guardrail_blocked|guardrail/, `${dialect}: ${name}`);
      t.equal(reached(), before + 1, `${dialect}: ${name} does not reach the upstream`);
    }
    for (const [name, carry] of CARRIERS) {
      await callTool(url, token, 'execute_sql', carry(DROP));
      t.equal(reached(), before + 1, `${dialect}: ${name} does not reach the upstream`);
    }
  }

  // The same by a session, with every letter escaped, and with the member given twice.
  const url = `${gateway.url}/mcp/postgresql`;
  const session = await openSession(url, token);
  const escaped = [...DROP].map((char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
  const before = reached();
  for (const args of [
    `{"sql":"${escaped}"}`,
    `{"s\\u0071l":"${DROP}"}`,
    `{"sql":"SELECT 1","sql":"${DROP}"}`,
    `{"sql":"${DROP}","sql":"SELECT 1"}`,
  ]) {
    const call = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"execute_sql","arguments":${args}}}`;
    await send(url, token, call, { 'mcp-session-id': session.id, 'mcp-protocol-version': '2025-11-25' });
    t.equal(reached(), before, args);
  }
  const recorded = JSON.stringify(await gateway.exchanges());
  t.match(recorded, /"entity":"sql_statement"/, 'the record says what spoke');
});
