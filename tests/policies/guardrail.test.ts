import t from 'tap';
import type { GuardrailDocument, GuardrailEntry } from '../../policies/documents.ts';
import { compileGuardrails } from '../../policies/guardrail.ts';
import { pointerOf } from '../../policies/pointer.ts';

const words = (list: readonly string[], more: Partial<GuardrailEntry> = {}): GuardrailEntry => ({
  type: 'deny_words_list',
  words: list,
  ...more,
});
const pattern = (pattern_regex: string, more: Partial<GuardrailEntry> = {}): GuardrailEntry => ({
  type: 'pattern_match',
  pattern_regex,
  ...more,
});
const params = (args: unknown): string => JSON.stringify({ name: 'query', arguments: args });

t.test('words and patterns', (t) => {
  const cases: readonly (readonly [string, GuardrailEntry, unknown, boolean])[] = [
    ['a word', words(['secret']), { a: 'a secret b' }, true],
    ['a part of a word', words(['secret']), { a: 'secretary' }, true],
    ['a word in upper case', words(['secret']), { a: 'SECRET' }, true],
    ['an upper-case word', words(['SECRET']), { a: 'secret' }, true],
    ['a case-sensitive word', words(['Secret'], { case_sensitive: true }), { a: 'a Secret b' }, true],
    ['a case-sensitive word in another case', words(['Secret'], { case_sensitive: true }), { a: 'SECRET' }, false],
    ['case_sensitive: false', words(['Secret'], { case_sensitive: false }), { a: 'SECRET' }, true],
    ['no word', words(['secret']), { a: 'nothing' }, false],
    ['the second word', words(['x1', 'y2']), { a: 'a y2' }, true],
    ['a word with pattern characters', words(['a.b*(c)']), { a: 'xa.b*(c)x' }, true],
    ['a word is no pattern', words(['a.b']), { a: 'axb' }, false],
    ['a word with a quote', words(['say "hi"']), { a: 'I say "hi" to you' }, true],
    ['a word with a line end', words(['a\nb']), { a: 'xa\nbx' }, true],
    ['a word beyond ASCII', words(['Größe']), { a: 'GRÖSSE größe' }, true],
    ['a Greek word with a final sigma', words(['ΟΔΟΣ']), { a: 'οδος' }, true],
    ['a full-width word in the rule', words(['ｓｅｃｒｅｔ']), { a: 'secret' }, true],
    ['an empty word matches nothing', words(['']), { a: 'x' }, false],
    ['an unanchored pattern', pattern('b+c'), { a: 'abbbcd' }, true],
    ['a pattern heeds case', pattern('bc'), { a: 'BC' }, false],
    ['a pattern ignoring case', pattern('(?i)bc'), { a: 'BC' }, true],
    ['a pattern at the beginning of a string', pattern('^bc'), { a: 'x', b: 'bcd' }, true],
    ['a pattern at the beginning of no string', pattern('^bc'), { a: 'abc' }, false],
    ['a pattern at the end of a string', pattern('bc$'), { a: 'abc', b: 'x' }, true],
    ['a pattern for a whole string', pattern('^abc$'), { a: 'abc' }, true],
    ['a pattern over JSON itself', pattern('"force":\\s*true'), { force: true }, true],
    ['a pattern over a number', pattern('\\b4111111111111111\\b'), { a: 4111111111111111 }, true],
    ['a pattern over white space', pattern('(?i)drop\\s+table'), { a: 'drop\n\ttable' }, true],
    ['a pattern does not join strings', pattern('(?i)drop\\s+table'), { a: 'drop', b: 'table' }, false],
    ['a dot does not cross strings of several lines', pattern('a.b'), { a: 'a\nb' }, false],
    ['a key', pattern('^forbidden$'), { forbidden: 1 }, true],
    ['a nested value', words(['secret']), { a: [{ b: ['x', { c: 'secret' }] }] }, true],
    ['the name of the tool', words(['query']), {}, true],
    ['an emoji', words(['🔥']), { a: 'on 🔥' }, true],
    ['a pattern of a class with a dollar', pattern('[$]{2}x'), { a: 'a$$x' }, true],
    ['a quoted pattern', pattern('\\Q^a$'), { a: 'x^a$' }, true],
  ];
  for (const [title, entry, args, expected] of cases) {
    const rules = compileGuardrails([{ name: 'g', input: { rules: [entry] } }], 'input');
    t.equal(rules.judge(params(args), 'query').denial !== undefined, expected, title);
  }
  t.end();
});

t.test('what is found, said and denied [guardrail-says-nothing]', (t) => {
  const documents: readonly GuardrailDocument[] = [
    { name: 'quiet', mode: 'observe', input: { rules: [words(['alpha'])] } },
    { name: 'warns', input: { rules: [words(['beta'], { action: 'warn' }), words(['gamma'])] } },
    { name: 'blocks', input: { rules: [pattern('delta|epsilon', { message: 'no Greek, please' }), words(['delta'])] } },
    { name: 'plain', input: { rules: [words(['epsilon'])] }, output: { rules: [words(['omega'])] } },
  ];
  const input = compileGuardrails(documents, 'input');
  const finding = (rule: string, action: string, path: string, entity: string, count = 1) => ({
    rule,
    policy: 'guardrail',
    direction: 'input',
    action,
    path,
    entity,
    count,
  });
  t.strictSame(input.judge(params({ a: 'nothing' }), 'query'), { findings: [] });
  t.strictSame(input.judge(params({ a: 'alpha' }), 'query'), {
    findings: [{ ...finding('quiet', 'block', '/arguments/a', 'deny_words_list'), observed: true }],
  });
  t.strictSame(input.judge(params({ a: 'beta' }), 'query'), {
    findings: [finding('warns', 'warn', '/arguments/a', 'deny_words_list')],
  });
  t.match(
    input.judge(params({ a: 'beta gamma' }), 'query'),
    { denial: { rule: 'warns' }, findings: [{ action: 'warn' }, { action: 'block' }] },
    'a warning does not shield what a later entry blocks',
  );
  t.strictSame(input.judge(params({ x: ['alpha', 'delta', 'epsilon delta'] }), 'query'), {
    findings: [
      { ...finding('quiet', 'block', '/arguments/x/0', 'deny_words_list'), observed: true },
      finding('blocks', 'block', '/arguments/x/1', 'pattern_match', 2),
      finding('plain', 'block', '/arguments/x/2', 'deny_words_list'),
    ],
    denial: {
      code: 'guardrail_blocked',
      rule: 'blocks',
      reason: 'no Greek, please',
      remedy: 'change the call so that it no longer breaks the rule; do not try to evade it',
    },
  });
  t.match(input.judge(params({ a: 'epsilon' }), 'query').findings, [{ rule: 'blocks' }, { rule: 'plain' }]);
  const output = compileGuardrails(documents, 'output');
  t.match(output.judge('{"result":{"content":[{"type":"text","text":"Omega"}]}}', ''), {
    denial: { code: 'output_blocked', rule: 'plain', reason: 'the guardrail plain forbids this answer' },
    findings: [{ direction: 'output', path: '/result/content/0/text' }],
  });
  t.equal(output.judge(params({ a: 'alpha delta' }), '').denial, undefined, 'each direction has its own rules');
  t.equal(compileGuardrails([], 'input').empty, true);
  t.equal(compileGuardrails([{ name: 'x', output: { rules: [words(['a'])] } }], 'input').empty, true);
  t.end();
});

t.test('a finding points at the string without repeating keys that may be data', (t) => {
  const json = JSON.stringify({
    name: 'q',
    arguments: { 'a key': { b: ['x', 'y'] }, ok_key: { 'ada@example.com': 'z' } },
  });
  const pointers = Array.from({ length: 12 }, (_, token) => pointerOf(json, token));
  t.strictSame(pointers, [
    '/*',
    '/name',
    '/*',
    '/arguments/*',
    '/arguments/*/*',
    '/arguments/*/b/0',
    '/arguments/*/b/1',
    '/arguments/*',
    '/arguments/ok_key/*',
    '/arguments/ok_key/*',
    '',
    '',
  ]);
  t.equal(pointerOf(json, -1), '');
  t.end();
});

t.test('a text that is not JSON is not judged', (t) => {
  const rules = compileGuardrails([{ name: 'g', input: { rules: [words(['secret'])] } }], 'input');
  t.throws(() => rules.judge('{"a":"secret" "b"', 'x'), SyntaxError);
  t.end();
});
