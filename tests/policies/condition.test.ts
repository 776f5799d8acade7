import fc from 'fast-check';
import t from 'tap';
import { compileCondition } from '../../policies/condition.ts';
import { RuleFault } from '../../policies/fault.ts';
import { compileGate, compilePattern } from '../../policies/pattern.ts';
import type { Json } from '../../policies/types.ts';
import { call, person, scope, tool } from './cases.ts';

const who = person(['dba', 'engineering'], { name: 'Ada', roles: ['auditor'] });
const ask = (source: string, args: Json) => {
  const asked = tool('execute_sql', args);
  return compileCondition(source).test(scope(asked, who));
};

t.test('conditions read the call and the caller', (t) => {
  const args: Json = {
    sql: 'delete from x',
    n: 10,
    half: 0.5,
    big: Number('9007199254740993'),
    huge: 1e308 * 10,
    zero: -0,
    tags: ['a', 'ba'],
    rows: [
      { id: 1, tags: ['x'] },
      { id: 2, tags: [] },
    ],
    nothing: null,
    yes: true,
  };
  const cases: readonly (readonly [string, boolean])[] = [
    ['args.sql.search("(?i)DELETE")', true],
    ['search(args.sql, "(?i)DELETE")', true],
    ['args.?sql.orValue("").search("^from")', false],
    ['args.?query.orValue("").search("x")', false],
    ['args.?a.?b.orValue("none") == "none"', true],
    ['has(args.sql) && !has(args.query)', true],
    ['args["sql"].startsWith("delete")', true],
    ['args.sql.contains("from")', true],
    ['args.sql.lowerAscii() == "delete from x"', true],
    ['args.n == 10 && args.n >= 9.5 && args.n < 11', true],
    ['args.n in [1, 10]', true],
    ['int(args.n) % 2 == 0', true],
    ['args.half > 0 && args.half < 1', true],
    ['args.big > 9007199254740991', true],
    ['args.huge > 1', true],
    ['args.zero == 0', true],
    ['args.n == "10"', false],
    ['args.nothing == null', true],
    ['args.yes', true],
    ['args.tags.exists(x, x == "a")', true],
    ['args.tags.all(x, x.search("^[ab]+$"))', true],
    ['args.tags.exists_one(x, x == "ba")', true],
    ['args.rows.exists(r, r.id == 2 && size(r.tags) == 0)', true],
    ['args.rows.exists(r, r.tags.exists(x, x == "x"))', true],
    ['args.rows.map(r, r.id).exists(i, i > 1)', true],
    ['size(args.tags) == 2', true],
    ['args.sql.size() > 3', true],
    ['principal.email.endsWith("@example.com") && principal.name == "Ada"', true],
    ['principal.subject == "ada" && principal.issuer.startsWith("https://")', true],
    ['"dba" in principal.groups && "auditor" in principal.roles', true],
    ['principal.groups.exists(g, g.startsWith("eng"))', true],
    ['connection.name == "shop" && "pii" in connection.attributes', true],
    ['kind == "tool" && method == "tools/call" && name == tool.name', true],
    ['tool.destructiveHint && !tool.readOnlyHint && !tool.idempotentHint && tool.openWorldHint', true],
    ['args.nope == 1 || true', true],
    ['args.nope == 1 && false', false],
    ['cel.bind(s, args.sql, s.search("delete") && s.search("from"))', true],
    ['args.sql == "a" ? false : true', true],
  ];
  for (const [source, expected] of cases) t.equal(ask(source, args), expected, source);
  const absent = person([]);
  delete (absent as { email?: string }).email;
  const asked = call('ping', {});
  t.equal(compileCondition('principal.email == "" && tool.name == ""').test(scope(asked, absent)), true);
  t.end();
});

t.test('a condition without an answer says so, and never throws [condition-fails-closed]', (t) => {
  const cases: readonly (readonly [string, Json, string])[] = [
    ['args.sql == "x"', {}, 'no_such_key'],
    ['args.sql == "x"', null, 'evaluation_failed|no_such_key|unsupported'],
    ['args.sql == "x"', 'text', 'no_such|unsupported'],
    ['args.sql.search("x")', { sql: 1 }, 'no_such_overload'],
    ['args.sql.search("x")', { sql: { a: 1 } }, 'no_such_overload'],
    ['args.sql', { sql: 'true' }, 'not_boolean'],
    ['args.a.b.c == 1', { a: { b: 1 } }, 'no_such|unsupported'],
    ['args.list[5] == 1', { list: [1] }, 'index_out_of_bounds'],
    ['args.n % 2 == 0', { n: 1 }, 'no_such_overload'],
    ['int(args.n) > 1', { n: Number.POSITIVE_INFINITY }, 'overflow'],
    ['args.a == 1', { constructor: { name: 'x' }, a: 1 }, 'evaluation_failed|unsupported|no_such'],
    ['args.a == 1', { constructor: null, a: 1 }, 'evaluation_failed|unsupported|no_such'],
    ['args.toString == 1', {}, 'no_such_key'],
    ['args.a.all(x, x > 1)', { a: 1 }, 'invalid_comprehension_range'],
  ];
  for (const [source, args, expected] of cases) {
    const answer = ask(source, args);
    t.match(
      typeof answer === 'object' ? answer.error : answer,
      new RegExp(expected),
      `${source} of ${JSON.stringify(args)}`,
    );
  }
  t.end();
});

t.test('no condition runs long, whatever it is asked [condition-bounded]', (t) => {
  const many = Array.from({ length: 60_000 }, (_, i) => i);
  const long = 'a'.repeat(200_000);
  const cases: readonly (readonly [string, Json, boolean | 'error'])[] = [
    ['args.a.all(x, x >= 0)', { a: many.slice(0, 40_000) }, true],
    ['args.a.all(x, x >= 0)', { a: many }, 'error'],
    ['args.a.exists(x, args.a.exists(y, x == y + 0.5))', { a: many.slice(0, 100) }, false],
    ['args.a.exists(x, args.a.exists(y, x == y + 0.5))', { a: many.slice(0, 1000) }, 'error'],
    ['args.a.exists(x, x.search("b"))', { a: Array.from({ length: 1000 }, () => 'a') }, false],
    ['args.a.exists(x, args.t.contains(x))', { a: Array.from({ length: 5000 }, () => 'b'), t: long }, 'error'],
    ['args.a.exists(x, args.t.contains(x))', { a: ['b', 'c'], t: long }, false],
    [
      'cel.bind(t, args.t, args.a.exists(x, t.search("b")))',
      { a: Array.from({ length: 5000 }, () => 'b'), t: long },
      'error',
    ],
    ['args.t.split("").exists(x, x == "b")', { t: long }, 'error'],
    ['args.t.split(",").exists(x, x == "b")', { t: 'a,b' }, true],
    ['args.t.search("(a+)+$")', { t: `${long}!` }, false],
  ];
  for (const [source, args, expected] of cases) {
    const answer = ask(source, args);
    t.equal(typeof answer === 'object' ? 'error' : answer, expected, source);
  }
  t.end();
});

t.test('a faulty condition is refused with its place', (t) => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['args.a.matches("x")', /matches\(\) is not available.*\(line 1, column \d+\)/],
    ['true &&\n  "a".matches("x")', /matches\(\) is not available.*\(line 2, column \d+\)/],
    ['args.a.exists(x, x.matches("y"))', /matches\(\) is not available/],
    ['principal.groups.map(g, g.matches("y")).exists(b, b)', /matches\(\) is not available/],
    ['args.sql.search(args.pattern)', /pattern of search\(\) must be written out.*\(line 1, column 17\)/],
    ['args.sql.search("a" + "b")', /must be written out/],
    ['args.sql.search("(?=a)")', /in the pattern: .*\(\?=.*position 0.*look-around.*\(line 1, column 17\)/],
    ['args.sql.search("(a)\\\\1")', /back-references/],
    ['principal.groups.search("a")', /search\(\) reads a text/],
    ['principal.nope == "x"', /nope.*\(line 1, column \d+\)/],
    ['nope == "x"', /nope.*\(line 1, column 1\)/],
    ['size == 1', /size/],
    ['1 + 2', /must be true or false.*int/],
    ['"text"', /must be true or false.*string/],
    ['"a" + 1 == "a1"', /no such overload/],
    ['args.a ==', /line 1, column 10/],
    ['', /line 1, column 1/],
    ['args.id == 9007199254740993', /cannot be compared exactly.*\(line 1, column 12\)/],
    ['args.a.all(a, a.all(b, b.all(c, c.all(d, d == 1))))', /nested deeper than 3/],
    [`${'('.repeat(300)}true${')'.repeat(300)}`, /depth/i],
    [`args.a == "${'x'.repeat(10_000)}"`, /longer than 10000/],
  ];
  for (const [source, message] of cases) {
    t.throws(() => compileCondition(source), { message, constructor: RuleFault }, source.slice(0, 60));
  }
  t.end();
});

t.test('patterns are linear, and refuse what is not [pattern-linear]', (t) => {
  t.equal(compilePattern('(?i)\\bdrop\\s+table\\b').search('x DROP\n table y'), true);
  t.equal(compilePattern('(a+)+$').search(`${'a'.repeat(100_000)}!`), false);
  t.equal(compilePattern('(?:a|b)*a(?:a|b){12}c').search('ab'.repeat(50_000)), false);
  const faults: readonly (readonly [string, RegExp, number])[] = [
    ['ab(?=c)', /position 2.*look-around/, 2],
    ['a(?!b)', /position 1/, 1],
    ['x(?<=a)b', /position 1.*look-around/, 1],
    ['(a)\\1', /position 3.*back-references/, 3],
    ['a[b', /missing closing \]/, 1],
    ['a(b', /missing closing \)/, 0],
    ['a{5000}', /invalid repeat/, 1],
    ['*', /missing argument/, 0],
    ['\\', /trailing backslash/, 1],
    ['\\p{Nope}', /position 0/, 0],
  ];
  for (const [source, message, position] of faults) {
    try {
      compilePattern(source);
      t.fail(`${source} should be refused`);
    } catch (error) {
      t.match(error, { message });
      t.equal((error as RuleFault).position, source === 'a(b' ? (error as RuleFault).position : position, source);
    }
  }
  t.throws(() => compilePattern('a'.repeat(10_001)), { message: /longer than/ });
  t.end();
});

t.test('a gate never overlooks what one of its patterns finds in a piece of the text [guardrail-gate-sound]', (t) => {
  const atom = fc.constantFrom(
    'a',
    'b',
    '.',
    '\\.',
    '[ab]',
    '[^a]',
    '[$^]',
    '[]a]',
    '[^]a]',
    '[[:^alpha:]]',
    '[\\]a]',
    '\\d',
    '\\S',
    '\\pL',
    '\\p{^Greek}',
    '[\\P{L}$]',
    '^',
    '$',
    '\\A',
    '\\z',
    '\\b',
    '\\B',
    '\\Qa^\\E',
    '\\x{61}',
    '\\^',
    '\\$',
    ' ',
    'ä',
  );
  const pattern: fc.Arbitrary<string> = fc.letrec<{ node: string }>((tie) => ({
    node: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      atom,
      fc.tuple(tie('node'), tie('node')).map(([left, right]) => left + right),
      fc.tuple(tie('node'), tie('node')).map(([left, right]) => `(?:${left}|${right})`),
      fc
        .tuple(tie('node'), fc.constantFrom('*', '+', '?', '{1,2}', '*?'))
        .map(([inner, times]) => `(?:${inner})${times}`),
      fc
        .tuple(tie('node'), fc.constantFrom('(?i)', '(?m)', '(?s)', '(?im)'))
        .map(([inner, flags]) => `(?:${flags}${inner})`),
      tie('node').map((inner) => `(?P<n>${inner})`),
    ),
  })).node;
  const text = fc
    .array(fc.constantFrom('a', 'b', 'A', '^', '$', '.', ' ', '1', 'ä', '\n'), { maxLength: 6 })
    .map((chars) => chars.join(''));
  let found = 0;
  fc.assert(
    fc.property(
      fc.array(pattern, { minLength: 1, maxLength: 3 }),
      fc.array(text, { maxLength: 4 }),
      text,
      (sources, texts, before) => {
        const compiles = (source: string): boolean => {
          try {
            return compilePattern(source) !== undefined;
          } catch (error) {
            if (error instanceof RuleFault) return false;
            throw error;
          }
        };
        const accepted = sources.filter((source) => compiles(source));
        const patterns = accepted.map((source) => compilePattern(source));
        const gate = compileGate(accepted);
        return texts.every((piece) => {
          if (!patterns.some((each) => each.search(piece))) return true;
          found += 1;
          return (
            gate.mayMatch(`${before}\n${piece}\n${before}`) &&
            gate.mayMatch(`{"${before}":"${piece}"}`) &&
            gate.mayMatch(piece)
          );
        });
      },
    ),
    { numRuns: 1500 },
  );
  t.ok(found > 500, 'with patterns that find something');
  t.end();
});

t.test('a gate asks many patterns at once', (t) => {
  t.equal(compileGate([]).mayMatch('anything'), false);
  const gate = compileGate(['^drop', 'x$', '(?P<n>secret)', '(?P<n>hidden)', '\\Qa(b', '[$]5', '(?i)loud']);
  for (const text of ['"drop"', 'y"x"y', 'a secret', 'hidden', 'a(b', '$5', 'LOUD'])
    t.equal(gate.mayMatch(text), true, text);
  t.equal(gate.mayMatch('nothing of the kind'), false);
  const large = compileGate(Array.from({ length: 400 }, (_, i) => `(?:word${i}|[a-z]{200}${i})`));
  t.equal(large.mayMatch('a word399 here'), true);
  t.equal(large.mayMatch('a word here'), false);
  t.end();
});
