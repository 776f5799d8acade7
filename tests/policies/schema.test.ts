import t from 'tap';
import { compileSchema, lazySchema } from '../../policies/schema/compile-schema.ts';
import { judgeArguments, outputFindings } from '../../policies/schema/judge.ts';
import type { Json, JsonObject } from '../../policies/types.ts';

const DRAFT_07 = 'http://json-schema.org/draft-07/schema#';
const LATEST = 'https://json-schema.org/draft/2020-12/schema';
const query: JsonObject = {
  type: 'object',
  additionalProperties: false,
  required: ['sql'],
  properties: {
    sql: { type: 'string', minLength: 1, maxLength: 20 },
    limit: { type: 'integer', minimum: 1, maximum: 1000 },
    mode: { enum: ['read', 'write', { deep: [1] }] },
    tags: { type: 'array', uniqueItems: true, items: { type: 'string', pattern: '^[a-z]+$' } },
    rows: { type: 'array', items: { type: 'object', required: ['id'], properties: { id: { type: 'integer' } } } },
  },
};
const tree: JsonObject = { type: 'object', properties: { next: { $ref: '#' }, value: { type: 'string' } } };

const conditional = JSON.parse('{"if":{"required":["a"]},"then":{"required":["b"]}}') as Json;

/** Schema, JSON text of the arguments, and the places that do not fit. */
const CASES: readonly (readonly [string, Json, string, readonly string[]])[] = [
  ['what fits', query, '{"sql":"x","limit":5}', []],
  ['a missing member', query, '{}', ['/sql required']],
  ['a wrong type', query, '{"sql":1}', ['/sql type']],
  ['a text that is too short', query, '{"sql":""}', ['/sql minLength']],
  ['a text that is too long', query, '{"sql":"123456789012345678901"}', ['/sql maxLength']],
  ['letters beyond the basic plane count once', { maxLength: 2 }, '"🦊🦊"', []],
  ['an unknown member', query, '{"sql":"x","extra":1}', ['/* additionalProperties']],
  ['an unknown member whose name may be data', query, '{"sql":"x","4111 1111":1}', ['/* additionalProperties']],
  ['an unknown member whose name is a number', query, '{"sql":"x","4111111111111111":1}', ['/* additionalProperties']],
  ['a number below', query, '{"sql":"x","limit":0}', ['/limit minimum']],
  ['a number above', query, '{"sql":"x","limit":1001}', ['/limit maximum']],
  ['a fraction', query, '{"sql":"x","limit":1.5}', ['/limit type']],
  ['an integer written as a fraction', query, '{"sql":"x","limit":1.0}', []],
  ['an integer written with an exponent', query, '{"sql":"x","limit":1e2}', []],
  ['a number as text', query, '{"sql":"x","limit":"5"}', ['/limit type']],
  ['null is not absent', query, '{"sql":"x","limit":null}', ['/limit type']],
  ['a listed value', query, '{"sql":"x","mode":"read"}', []],
  ['a listed object', query, '{"sql":"x","mode":{"deep":[1.0]}}', []],
  ['a value that is not listed', query, '{"sql":"x","mode":"READ"}', ['/mode enum']],
  ['an object that is not listed', query, '{"sql":"x","mode":{"deep":[2]}}', ['/mode enum']],
  ['items of which two are equal', query, '{"sql":"x","tags":["a","a"]}', ['/tags uniqueItems']],
  ['objects of which two are equal', { uniqueItems: true }, '[{"a":1,"b":2},{"b":2,"a":1}]', [' uniqueItems']],
  ['values that only look equal', { uniqueItems: true }, '[1,"1",true,null,[1],["1"]]', []],
  ['an item that does not match', query, '{"sql":"x","tags":["a","B"]}', ['/tags/1 pattern']],
  ['a member of an item', query, '{"sql":"x","rows":[{"id":1},{}]}', ['/rows/1/id required']],
  ['arguments that are no object', query, '[]', [' type']],
  ['names of the prototype are not there', { required: ['toString'] }, '{}', ['/toString required']],
  ['a member called __proto__', query, '{"sql":"x","__proto__":1}', ['/* additionalProperties']],
  ['a large identifier', { properties: { id: { type: 'integer' } } }, '{"id":9007199254740993}', []],
  ['a huge number', { type: 'integer' }, '1e400', []],
  ['a large number at a bound that it may keep', { exclusiveMaximum: 2 ** 53 }, '9007199254740992', []],
  ['large numbers that differ in their last digit', { uniqueItems: true }, '[9007199254740993,9007199254740992]', []],
  ['a large number in one of two forms', { anyOf: [{ const: 1 }, { type: 'string' }] }, '9007199254740993', []],
  ['a multiple of a decimal', { multipleOf: 0.01 }, '19.99', []],
  ['no multiple of a decimal', { multipleOf: 0.01 }, '19.995', [' multipleOf']],
  ['one of two forms', { oneOf: [{ type: 'string' }, { type: 'number' }] }, 'true', [' oneOf', ' type']],
  ['a form that is forbidden', { not: { required: ['a'] } }, '{"a":1}', [' not']],
  ['if and then', conditional, '{"a":1}', ['/b required', ' if']],
  ['a schema that refers to itself', tree, '{"next":{"next":{"value":1}}}', ['/next/next/value type']],
  ['a definition', { $defs: { a: { minimum: 3 } }, items: { $ref: '#/$defs/a' } }, '[3,2]', ['/1 minimum']],
  ['a definition by its anchor', { $defs: { a: { $anchor: 'x', minimum: 3 } }, $ref: '#x' }, '2', [' minimum']],
  ['2020-12: prefixItems', { $schema: LATEST, prefixItems: [{ type: 'string' }], items: false }, '["a",1]', [' items']],
  [
    '2020-12: unevaluated',
    { allOf: [{ properties: { a: {} } }], unevaluatedProperties: false },
    '{"a":1,"b":1}',
    ['/* unevaluatedProperties'],
  ],
  ['2020-12: dependentRequired', { dependentRequired: { a: ['b'] } }, '{"a":1}', ['/b dependentRequired']],
  ['draft-07: a tuple', { $schema: DRAFT_07, items: [{ type: 'string' }], additionalItems: false }, '[1]', ['/0 type']],
  [
    'draft-07: definitions',
    { $schema: DRAFT_07, definitions: { a: { minimum: 3 } }, $ref: '#/definitions/a' },
    '2',
    [' minimum'],
  ],
  [
    'draft-07: what stands beside $ref does not count',
    { $schema: DRAFT_07, definitions: { a: {} }, properties: { b: { $ref: '#/definitions/a', type: 'string' } } },
    '{"b":1}',
    [],
  ],
  ['no draft named: a tuple as older drafts write it', { items: [{ type: 'string' }] }, '[1]', ['/0 type']],
  ['a format is a comment', { format: 'email' }, '"nobody"', []],
  ['a pattern of a name', { patternProperties: { '^x-': { type: 'string' } } }, '{"x-a":1}', ['/x-a type']],
  [
    'a pattern with escapes of ECMAScript',
    { pattern: '^\\u0041\\u{42}\\\\u0041\\d\\/$' },
    String.raw`"AB\\u00411/"`,
    [],
  ],
  ['unknown keywords are left alone', { 'x-vendor': { type: 7 }, type: 'string' }, '1', [' type']],
  ['the schema true', { properties: { a: true } }, '{"a":1}', []],
  ['the schema false', { properties: { a: false } }, '{"a":1}', ['/a false schema']],
];

t.test(
  'arguments are compared with the schema of the tool, whatever its draft [schema-judges-arguments]',
  async (t) => {
    t.ok(CASES.length >= 50);
    for (const [name, schema, text, expected] of CASES) {
      const report = compileSchema(schema)(JSON.parse(text) as Json);
      t.equal(report.unusable, undefined, name);
      t.same(
        report.faults.map(({ path, keyword }) => `${path} ${keyword}`).toSorted(),
        expected.toSorted(),
        `${name}: ${text}`,
      );
    }
  },
);

const nested = (depth: number, inner: Json): Json => {
  let schema = inner;
  for (let level = 0; level < depth; level += 1) schema = { items: schema };
  return schema;
};

/** A schema of some kilobytes that takes 2 to the power of 60 steps to compare anything with. */
const doubling = (): JsonObject => {
  const $defs: JsonObject = { d60: { type: 'string' } };
  for (let at = 0; at < 60; at += 1) {
    const twice = { $ref: `#/$defs/d${at + 1}` };
    $defs[`d${at}`] = { allOf: [twice, twice] };
  }
  return { $defs, $ref: '#/$defs/d0' };
};

const many = <T>(count: number, make: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at));
const numbers: Json = many(50_000, (at) => at);
const members: Json = Object.fromEntries(many(20_000, (at) => [`k${at}`, at]));

const UNUSABLE: readonly (readonly [string, Json, Json, RegExp])[] = [
  ['no object', 'string', {}, /not an object/],
  ['nothing', null, {}, /not an object/],
  ['an unknown type', { type: 'strin' }, {}, /not a valid schema/],
  ['a keyword of the wrong kind', { minimum: 'process.exit()' }, {}, /not a valid schema/],
  ['an unknown dialect', { $schema: 'http://json-schema.org/draft-04/schema#' }, {}, /\$schema/],
  ['a reference into the network', { $ref: 'https://schemas.example.com/a.json' }, {}, /resolve reference/],
  ['a reference to a file', { $ref: 'file:///etc/passwd' }, {}, /resolve reference/],
  ['a reference to nothing', { $ref: '#/$defs/none' }, {}, /resolve reference/],
  ['look-ahead in a pattern', { pattern: '^(?!a)' }, 'b', /linear time/],
  ['a back-reference in a pattern', { pattern: '(a)\\1' }, 'aa', /linear time/],
  ['a promise instead of an answer', { $async: true, type: 'string' }, 1, /asynchronous/],
  ['too deep', nested(70, {}), [], /deeper/],
  ['too many parts', { allOf: many(1600, () => ({})) }, {}, /parts/],
  ['too many schemas that are false', { anyOf: many(1600, () => false) }, {}, /parts/],
  [
    'too many large patterns',
    { allOf: many(300, (at) => ({ pattern: `(a{1,500}b{1,500})${at}` })) },
    'x',
    /patterns are too large/,
  ],
  ['too large', { description: 'x'.repeat(200_000) }, {}, /larger/],
  ['references that double', doubling(), {}, /too long/],
  ['a reference to itself', { $ref: '#' }, {}, /too long/],
  [
    'references that double with each level of the value',
    { items: { allOf: [{ $ref: '#' }, { $ref: '#' }] } },
    JSON.parse('['.repeat(40) + ']'.repeat(40)) as Json,
    /too long/,
  ],
  ['many looks at many items', { allOf: many(400, () => ({ items: { type: 'integer' } })) }, numbers, /too long/],
  ['many looks at many members', { allOf: many(400, () => ({ additionalProperties: {} })) }, members, /too long/],
  [
    'many patterns for many names',
    { patternProperties: Object.fromEntries(many(400, (at) => [`^x${at}`, {}])) },
    members,
    /too long/,
  ],
  [
    'many patterns for a long text',
    { allOf: many(400, (at) => ({ pattern: `(a|aa)+b${at}` })) },
    'a'.repeat(500_000),
    /too long/,
  ],
  ['many comparisons of items', { allOf: many(400, () => ({ uniqueItems: true })) }, numbers, /too long/],
];

t.test('a schema of an upstream cannot keep the gateway busy, reach out or run code [schema-bounded]', async (t) => {
  for (const [name, schema, value, reason] of UNUSABLE) {
    const report = lazySchema(schema)(value);
    t.match(report.unusable, reason, name);
    t.same(report.faults, [], name);
  }
});

t.test('a pattern of a schema takes linear time in what it reads', async (t) => {
  const check = compileSchema({ pattern: '^(([a-z])+.)+[A-Z]([a-z])+$' });
  t.same(check('a'.repeat(100_000)).faults, [{ path: '', keyword: 'pattern' }]);
});

t.test('what was judged before does not count for the next value', async (t) => {
  const check = lazySchema({ items: { type: 'integer' } });
  for (let round = 0; round < 10; round += 1) t.same(check(numbers), { faults: [] });
  t.equal(check(['x']).faults.length, 1);
  t.same(check([1]), { faults: [] });
});

t.test('the mode says what becomes of arguments that do not fit [schema-modes]', async (t) => {
  const report = { faults: many(7, (at) => ({ path: `/rows/${at}`, keyword: 'type' })) };
  const enforced = judgeArguments('enforce', report);
  t.match(enforced.denial, { code: 'arguments_schema', rule: 'schema_validation' });
  t.equal(
    enforced.denial?.reason,
    '/rows/0 (type), /rows/1 (type), /rows/2 (type), /rows/3 (type), /rows/4 (type) and 2 more',
  );
  t.equal(enforced.findings.length, 5);
  t.ok(enforced.findings.every(({ observed, action }) => observed === undefined && action === 'block'));
  const observed = judgeArguments('observe', report);
  t.equal(observed.denial, undefined);
  t.ok(observed.findings.every((finding) => finding.observed === true && finding.action === 'block'));
  t.same(judgeArguments('off', report), { findings: [] });
  t.same(judgeArguments('enforce', undefined), { findings: [] });
  t.same(judgeArguments('enforce', { faults: [] }), { findings: [] });
  t.match(judgeArguments('enforce', { unusable: 'secret text', faults: [] }).denial, { code: 'schema_unusable' });
  t.notMatch(JSON.stringify(judgeArguments('enforce', { unusable: 'secret text', faults: [] })), /secret text/);
  t.match(judgeArguments('observe', { unusable: 'x', faults: [] }), { findings: [{ entity: 'schema_unusable' }] });
  t.match(outputFindings(report)[0], { direction: 'output', action: 'warn', path: '/result/structuredContent/rows/0' });
});
