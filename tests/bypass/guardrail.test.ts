import fc from 'fast-check';
import t from 'tap';
import { compileGuardrails } from '../../policies/guardrail.ts';
import type { Guardrails } from '../../policies/guardrail.ts';

const sql: Guardrails = compileGuardrails(
  [
    {
      name: 'no-drops',
      input: {
        rules: [{ type: 'pattern_match', pattern_regex: '(?i)\\bdrop\\s+table\\b', message: 'DDL is not allowed' }],
      },
    },
    { name: 'no-words', input: { rules: [{ type: 'deny_words_list', words: ['Project Nightjar', 'süßwasser'] }] } },
    { name: 'anchored', input: { rules: [{ type: 'pattern_match', pattern_regex: '^(?i)shutdown\\b' }] } },
  ],
  'input',
);

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const hex = (text: string): string => Buffer.from(text).toString('hex');
const percent = (text: string): string =>
  [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
const wide = (text: string): string =>
  text.replace(/[!-~]/g, (char) => String.fromCharCode(char.charCodeAt(0) + 0xfee0));
const tags = (text: string): string =>
  [...text].map((char) => String.fromCodePoint(0xe0000 + char.charCodeAt(0))).join('');
const spread = (text: string, between: string): string => [...text].join(between);
const params = (value: unknown): string => JSON.stringify({ name: 'execute_sql', arguments: { sql: value } });
const escapeAll = (text: string): string =>
  [...text].map((char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
const utf16 = (text: string): string => Buffer.from(text, 'utf16le').toString('base64');

const DROP = 'drop table customers';

/** name, JSON text of the params, the call's name when it is not in them. */
const EVASIONS: readonly (readonly [string, string, string?])[] = [
  ['as it is', params(DROP)],
  ['upper case', params('DROP TABLE customers')],
  ['mixed case', params('DrOp TaBlE customers')],
  ['in the middle of a long text', params(`${'select 1; '.repeat(500)}${DROP}${' -- x'.repeat(500)}`)],
  ['a tab and a line end as white space', params('drop\n\ttable customers')],
  ['many line ends', params(`drop${'\r\n'.repeat(50)}table customers`)],
  ['a vertical tab', params('drop\vtable customers')],
  ['a no-break space', params('drop\u00a0table customers')],
  ['an ideographic space', params('drop\u3000table customers')],
  ['a line separator', params('drop\u2028table customers')],
  ['a zero-width space inside a word', params('dr\u200bop table customers')],
  ['zero-width joiners everywhere', params(spread(DROP, '\u200d'))],
  ['soft hyphens', params('dr\u00adop ta\u00adble customers')],
  ['bidi overrides', params('\u202edrop\u202c \u2066table\u2069 customers')],
  ['a byte order mark inside a word', params('dr\ufeffop table customers')],
  ['variation selectors', params('dr\ufe0fop table customers')],
  ['a combining grapheme joiner', params('dr\u034fop table customers')],
  ['struck-out letters', params(spread('drop table', '\u0336'))],
  ['NUL characters inside a word', params('dr\u0000op table customers')],
  ['full-width letters', params(wide(DROP))],
  ['mathematical bold letters', params('𝐝𝐫𝐨𝐩 𝐭𝐚𝐛𝐥𝐞 customers')],
  ['circled letters', params('ⓓⓡⓞⓟ ⓣⓐⓑⓛⓔ customers')],
  ['Cyrillic lookalikes', params('drоp tаblе customers')],
  ['Greek lookalikes', params('drοp table customers')],
  ['tag characters, invisible to people', params(`hello${tags(DROP)}`)],
  ['JSON escapes of every letter', `{"name":"execute_sql","arguments":{"sql":"${escapeAll(DROP)}"}}`],
  ['JSON escapes of one letter', '{"name":"execute_sql","arguments":{"sql":"\\u0064rop table customers"}}'],
  ['an escaped slash beside it', '{"name":"execute_sql","arguments":{"sql":"a\\/b; drop table customers"}}'],
  ['escapes in a key', `{"name":"x","arguments":{"${escapeAll(DROP)}":1}}`],
  ['JSON in a string', params(JSON.stringify({ query: DROP }))],
  ['escaped JSON in a string', params(`{"query":"${escapeAll(DROP)}"}`)],
  ['JSON in JSON in a string', params(JSON.stringify(JSON.stringify({ query: 'drop\ntable customers' })))],
  ['JSON with escapes after other text', params(`payload: {"query":"${escapeAll(DROP)}"}`)],
  ['JavaScript escapes', params('"\\x64rop\\u{20}table customers"')],
  ['base64', params(base64(DROP))],
  ['base64 without padding', params(base64(DROP).replace(/=+$/, ''))],
  ['base64url', params(Buffer.from(`${DROP} ?>?>?>`).toString('base64url'))],
  ['base64 inside other text', params(`run base64:${base64(DROP)} now`)],
  ['base64 behind a path', params(`https://a.example/q/${base64(DROP)}`)],
  ['base64 of base64', params(base64(base64(DROP)))],
  ['base64 of base64 of base64', params(base64(base64(base64(DROP))))],
  ['base64 of JSON with escapes', params(base64(`{"q":"${escapeAll(DROP)}"}`))],
  ['base64 of upper case', params(base64('DROP TABLE customers'))],
  [
    'base64 with bytes that are no text around',
    params(Buffer.from(`\u00ff${DROP} and then some more`, 'latin1').toString('base64')),
  ],
  ['base64 in lines', params(base64(`select 1; ${DROP}; select 2 from a_longer_table`).replace(/.{20}/g, '$&\n'))],
  ['base64 of UTF-16, as PowerShell takes it', params(utf16(DROP))],
  ['a data URI', params(`data:text/plain;base64,${base64(DROP)}`)],
  ['hexadecimal', params(hex(DROP))],
  ['hexadecimal with a prefix', params(`0x ${hex(DROP).toUpperCase()}`)],
  ['URL-encoding', params(percent(DROP))],
  ['URL-encoding twice', params(percent(percent(DROP)))],
  ['URL-encoding with plus signs', params('drop+table+customers%3B')],
  ['URL-encoding of one letter', params('%64rop table customers')],
  ['%u escapes', params('%u0064rop table customers')],
  ['numeric character references', params('&#100;rop&#x20;table customers')],
  ['base64 of URL-encoding', params(base64(percent(DROP)))],
  ['a block comment as white space', params('drop/**/table customers')],
  ['a block comment with text', params('drop /* hello */ table customers')],
  ['two block comments', params('drop/**//**/table customers')],
  ['nested block comments', params('drop/* a /* b */ c */table customers')],
  ['a line comment as white space', params('drop--x\ntable customers')],
  ['a hash comment as white space', params('drop#x\ntable customers')],
  ['an executable comment', params('/*!50000drop*/ /*!table*/ customers')],
  ['a comment opened inside a quoted text', params("select '/*'; drop/**/table customers")],
  ['a line comment inside a quoted text', params("select '--'; drop/**/table customers")],
  ['a comment opened in a text with an escaped quote', params("select '\\'/*'; drop/* */table customers")],
  ['a comment with full-width characters', params(`drop${wide('/**/')}table customers`)],
  ['a block comment with zero-width characters', params('drop/\u200b**/table customers')],
  ['a key instead of a value', JSON.stringify({ name: 'x', arguments: { [DROP]: 1 } })],
  ['a nested array', params([[[[[DROP]]]]])],
  ['a deep object', params({ a: { b: [{ c: { d: DROP } }] } })],
  ['beside the arguments', JSON.stringify({ name: 'x', arguments: {}, _meta: { note: DROP } })],
  ['the name field', JSON.stringify({ name: DROP, arguments: {} })],
  ['a name that stands only in a header', '{}', 'file:///drop table'],
  ['an encoded name', '{}', `file:///${percent(DROP)}`],
  ['a word in another case', params('about PROJECT NIGHTJAR please')],
  ['a word with zero-width characters', params('project night\u200bjar')],
  ['a word in full-width letters', params(wide('Project').concat(' ', wide('Nightjar')))],
  ['a word in base64', params(base64('tell me about Project Nightjar'))],
  ['a word beyond ASCII in another case', params('SÜßWASSER')],
  ['a word beyond ASCII, decomposed', params('süßwasser'.normalize('NFD'))],
  ['a word beyond ASCII, escaped', `{"name":"x","arguments":{"q":"s\\u00fc\\u00DFwasser"}}`],
  ['an anchored pattern in a value', params('shutdown now')],
  ['an anchored pattern in JSON in a string', params('{"cmd":"Shutdown now"}')],
  ['an anchored pattern in a key', JSON.stringify({ name: 'x', arguments: { 'shutdown now': 1 } })],
];

t.test('no evasion passes a guardrail [guardrail-normalised]', (t) => {
  for (const [title, json, name] of EVASIONS) {
    const { denial, findings } = sql.judge(json, name ?? 'execute_sql');
    t.equal(denial?.code, 'guardrail_blocked', title);
    t.equal(findings[0]?.action, 'block', `${title}: a finding`);
    t.notMatch(denial?.reason, /drop\s+table|nightjar|\\b/i, `${title}: the sentence repeats nothing`);
  }
  t.end();
});

t.test('what only resembles the forbidden is let through', (t) => {
  const harmless = [
    params('select * from customers'),
    params('a drop in the table'),
    params('raindrop tables'),
    params('backdrop  tablecloth'),
    JSON.stringify({ name: 'x', arguments: { a: 'drop', b: 'table' } }),
    params(['drop', 'table']),
    params('project\nnightjar'),
    params('please do not shutdown'),
    params(base64('select * from customers where id = 1')),
    params('4bf92f3577b34da6a3ce929d0e0e4736'),
    params('/var/lib/data/reports/2024-01-01.csv'),
    params('100% of the cases, 5%de'),
    params(
      `data:image/png;base64,${Buffer.from(Array.from({ length: 600 }, (_, i) => (i * 7919) % 251)).toString('base64')}`,
    ),
    params('größe süß wasser'),
    params('select 1 -- drop the tables later'),
    '{}',
  ];
  for (const json of harmless) t.strictSame(sql.judge(json, 'execute_sql'), { findings: [] }, json.slice(0, 80));
  t.end();
});

t.test('the quick answer is the careful answer, for any text and any wrapping [guardrail-gate-sound]', (t) => {
  const patterns = [
    '^ab',
    'ab$',
    '\\bab\\b',
    '\\Bab',
    'a\\z',
    '\\Ab+',
    '(?i)a\\s+b',
    '^$',
    '[^a]b',
    '(?m)^b$',
    '\\Qa.b',
    '(?P<x>a)b',
    '[$^]a',
    'a.b',
    '(?s)a.b',
  ];
  const alphabet = fc.constantFrom(
    'a',
    'b',
    'A',
    'B',
    ' ',
    '\n',
    '.',
    '$',
    '^',
    '"',
    '\\',
    '/',
    '*',
    '-',
    'é',
    '\u200b',
    '%',
    '6',
    '1',
  );
  const text = fc.array(alphabet, { maxLength: 8 }).map((chars) => chars.join(''));
  const all = patterns.map((pattern_regex, index) =>
    compileGuardrails([{ name: `p${index}`, input: { rules: [{ type: 'pattern_match', pattern_regex }] } }], 'input'),
  );
  const together = compileGuardrails(
    patterns.map((pattern_regex, index) => ({
      name: `p${index}`,
      input: { rules: [{ type: 'pattern_match', pattern_regex }] },
    })),
    'input',
  );
  const native = patterns.map((pattern) =>
    pattern === '\\Qa.b'
      ? /a\.b/
      : new RegExp(
          pattern
            .replace(/^\(\?([ims])\)/, '')
            .replace('(?P<', '(?<')
            .replace('\\A', '^')
            .replace('\\z', '$'),
          /^\(\?([ims])\)/.exec(pattern)?.[1] ?? '',
        ),
  );
  fc.assert(
    fc.property(fc.array(text, { maxLength: 4 }), (texts) => {
      const json = JSON.stringify({ texts });
      const hits = new Set(together.judge(json, '').findings.map(({ rule }) => rule));
      for (const [index, rule] of all.entries()) {
        const alone = rule.judge(json, '').denial !== undefined;
        if (alone !== hits.has(`p${index}`)) return false;
        // At the least, whatever a plain search finds in a string is found.
        if (texts.some((value) => (native[index] as RegExp).test(value)) && !alone) return false;
      }
      return true;
    }),
    { numRuns: 400 },
  );
  t.end();
});

t.test('no text makes a guardrail crash, whatever its encodings', (t) => {
  const piece = fc.constantFrom(
    '%',
    '%4',
    '%41',
    '\\u',
    '\\u00',
    '&#',
    '&#x41;',
    '&#9999999;',
    '/*',
    '*/',
    '--',
    "'",
    '"',
    '`',
    '#',
    '\n',
    'QUJDREVGR0g=',
    '\ud83d\ude00',
    '\u{e0041}',
    '{',
    '[',
    '\\',
    '=',
    '/*!5',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(piece, fc.string({ unit: 'grapheme' })), { maxLength: 30 }), (pieces) => {
      const json = JSON.stringify({ name: 'x', arguments: { sql: pieces.join('') } });
      const { denial } = sql.judge(json, 'x');
      return denial === undefined || denial.code === 'guardrail_blocked';
    }),
    { numRuns: 1000 },
  );
  t.end();
});

t.test('a text with more encodings than are undone is refused, not passed unread [guardrail-fails-closed]', (t) => {
  // Each character reference grows back into text that is encoded again.
  const bomb = Array.from({ length: 3 }).reduce<string>(
    (text) => JSON.stringify([text, percent(text.slice(0, 40_000)), base64(text)]),
    `é/**/--${'%41&#65;\\u0041'.repeat(3000)}`,
  );
  const words = compileGuardrails(
    [{ name: 'w', input: { rules: [{ type: 'deny_words_list', words: ['nightjar'] }] } }],
    'input',
  );
  const { denial } = words.judge(JSON.stringify({ name: 'x', arguments: { a: bomb } }), 'x');
  t.equal(denial?.code, 'guardrail_blocked');
  t.match(denial?.reason, /encoded/);
  t.end();
});
