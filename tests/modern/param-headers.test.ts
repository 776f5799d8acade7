import t from 'tap';
import fc from 'fast-check';
import type { Json, JsonObject } from '../../policies/types.ts';
import { GatewayError } from '../../proxy/errors.ts';
import { sameNumber } from '../../proxy/wire/decimal.ts';
import { checkParamHeaders, mirrorParams, paramHeadersOf } from '../../proxy/wire/param-headers.ts';
import type { ParamHeader } from '../../proxy/wire/param-headers.ts';

const tool = (properties: JsonObject, rest: JsonObject = {}): JsonObject => ({
  name: 'query',
  inputSchema: { type: 'object', properties, ...rest },
});
const asked = (name: Json, type: Json = 'string'): JsonObject => ({ type, 'x-mcp-header': name });

/** The detail of the refusal; undefined when the call is admitted. */
function refusal(
  argsText: string,
  headers: Record<string, string>,
  params: readonly ParamHeader[],
): string | undefined {
  try {
    checkParamHeaders(JSON.parse(argsText) as Json, argsText, headers, params);
    return undefined;
  } catch (error) {
    if (!(error instanceof GatewayError) || error.row.rpc !== -32020 || error.row.http !== 400) throw error;
    return error.message;
  }
}

t.test('annotations are read at any depth below properties alone [R-07]', async (t) => {
  const { params, fault } = paramHeadersOf(
    tool({
      region: asked('Region'),
      'x-mcp-header': { type: 'string' },
      deep: { type: 'object', properties: { count: asked('X-Count', 'integer'), on: asked('on', 'boolean') } },
      ['__proto__']: { type: 'object', properties: { constructor: asked('proto') } },
    }),
  );
  t.equal(fault, undefined);
  t.strictSame(
    params.map(({ header, path, type }) => [header, path.join('/'), type]),
    [
      ['mcp-param-region', 'region', 'string'],
      ['mcp-param-x-count', 'deep/count', 'integer'],
      ['mcp-param-on', 'deep/on', 'boolean'],
      ['mcp-param-proto', '__proto__/constructor', 'string'],
    ],
  );
  t.strictSame(paramHeadersOf({ name: 'none' }), { params: [] });
  t.strictSame(paramHeadersOf({ name: 'odd', inputSchema: true }), { params: [] });
});

t.test('an annotation that breaks a rule is named, and its tool is not checked at all [R-12]', async (t) => {
  const wrong: readonly [string, JsonObject][] = [
    ['empty', tool({ a: asked('') })],
    ['not a string', tool({ a: asked(7) })],
    ['a space', tool({ a: asked('two words') })],
    ['a colon', tool({ a: asked('a:b') })],
    ['a line break', tool({ a: asked('a\r\nb') })],
    ['not ASCII', tool({ a: asked('größe') })],
    ['twice, by case', tool({ a: asked('Region'), b: asked('rEGION') })],
    ['on an object', tool({ a: asked('a', 'object') })],
    ['on an array', tool({ a: asked('a', 'array') })],
    ['on several types', tool({ a: asked('a', ['string', 'null']) })],
    ['without a type', tool({ a: { 'x-mcp-header': 'a' } })],
    ['at the root', tool({}, { 'x-mcp-header': 'a', type: 'string' })],
    ['under items', tool({ a: { type: 'array', items: asked('a') } })],
    ['under items as a list', tool({ a: { type: 'array', items: [asked('a')] } })],
    ['under properties of items', tool({ a: { type: 'array', items: { properties: { b: asked('b') } } } })],
    ...['oneOf', 'anyOf', 'allOf', 'prefixItems'].map((key): [string, JsonObject] => [
      `under ${key}`,
      tool({}, { [key]: [{ properties: { a: asked('a') } }] }),
    ]),
    ...['not', 'if', 'then', 'else', 'additionalProperties', 'contains'].map((key): [string, JsonObject] => [
      `under ${key}`,
      tool({}, { [key]: { properties: { a: asked('a') } } }),
    ]),
    ...['$defs', 'definitions', 'patternProperties', 'dependentSchemas'].map((key): [string, JsonObject] => [
      `under ${key}`,
      tool({ a: { $ref: '#/$defs/a' } }, { [key]: { a: asked('a') } }),
    ]),
  ];
  for (const [name, definition] of wrong) {
    const read = paramHeadersOf(definition);
    t.strictSame(read.params, [], name);
    t.match(read.fault, /^x-mcp-header of "/, name);
  }
  const onNumber = paramHeadersOf(tool({ a: asked('a', 'number'), b: asked('b') }));
  t.match(onNumber.fault, /number/);
  t.equal(onNumber.params.length, 2, 'where number is all that is wrong, servers still compare');
});

const PARAMS = paramHeadersOf(
  tool({
    region: asked('Region'),
    count: asked('Count', 'integer'),
    dry: asked('Dry', 'boolean'),
    in: { type: 'object', properties: { deep: asked('Deep') } },
  }),
).params;

t.test('headers must repeat the arguments, and only those that exist [R-07] [R-10]', async (t) => {
  const cases: readonly [string, Record<string, string>, boolean][] = [
    ['{"region":"eu"}', { 'mcp-param-region': 'eu' }, true],
    ['{"region":"eu"}', { 'mcp-param-region': '  eu\t' }, true],
    ['{"region":"eu"}', { 'mcp-param-region': 'EU' }, false],
    ['{"region":"eu"}', {}, false],
    ['{"region":"eu"}', { 'mcp-param-region': 'eu, eu' }, false],
    ['{"region":null}', {}, true],
    ['{"region":null}', { 'mcp-param-region': 'null' }, false],
    ['{}', {}, true],
    ['{}', { 'mcp-param-region': 'eu' }, false],
    ['{}', { 'mcp-param-region': '' }, false],
    ['[]', { 'mcp-param-region': 'eu' }, false],
    ['{"region":""}', { 'mcp-param-region': '' }, true],
    ['{"region":""}', { 'mcp-param-region': '=?base64??=' }, true],
    ['{"region":"Hello"}', { 'mcp-param-region': '=?base64?SGVsbG8=?=' }, true],
    ['{"region":"Hello"}', { 'mcp-param-region': '=?base64?SGVsbG8?=' }, false],
    ['{"region":"Hello"}', { 'mcp-param-region': '=?base64?SGVs!!!bG8=?=' }, false],
    ['{"region":"Hello"}', { 'mcp-param-region': '=?BASE64?SGVsbG8=?=' }, false],
    ['{"region":"SGVsbG8="}', { 'mcp-param-region': 'SGVsbG8=' }, true],
    ['{"region":"=?base64?SGVsbG8="}', { 'mcp-param-region': '=?base64?SGVsbG8=' }, true],
    ['{"region":"=?base64?SGVsbG8=?="}', { 'mcp-param-region': '=?base64?SGVsbG8=?=' }, false],
    ['{"region":"gr\\u00f6"}', { 'mcp-param-region': '=?base64?Z3LDtg==?=' }, true],
    ['{"region":"gr\\u00f6"}', { 'mcp-param-region': 'grö' }, false],
    ['{"region":{"a":1}}', {}, true],
    ['{"region":{"a":1}}', { 'mcp-param-region': '[object Object]' }, false],
    ['{"dry":true}', { 'mcp-param-dry': 'true' }, true],
    ['{"dry":true}', { 'mcp-param-dry': 'True' }, false],
    ['{"dry":false}', {}, false],
    ['{"in":{"deep":"x"}}', { 'mcp-param-deep': 'x' }, true],
    ['{"in":{"deep":"x"}}', { 'mcp-param-deep': 'y' }, false],
    ['{"in":["x"]}', {}, true],
    ['{"count":0}', { 'mcp-param-count': '0' }, true],
    ['{"count":42}', { 'mcp-param-count': '42.0' }, true],
    ['{"count":42.0}', { 'mcp-param-count': '42' }, true],
    ['{"count":4.2e1}', { 'mcp-param-count': '42' }, true],
    ['{"count":-0}', { 'mcp-param-count': '0' }, true],
    ['{"count":42}', { 'mcp-param-count': '43' }, false],
    ['{"count":42}', { 'mcp-param-count': '-42' }, false],
    ['{"count":42}', { 'mcp-param-count': '0x2a' }, false],
    ['{"count":42}', { 'mcp-param-count': '' }, false],
    ['{"count":"42"}', { 'mcp-param-count': '42' }, true],
    ['{"count":"42"}', { 'mcp-param-count': '42.0' }, false],
    ['{"count":9007199254740993}', { 'mcp-param-count': '9007199254740993' }, true],
    ['{"count":9007199254740993}', { 'mcp-param-count': '9007199254740992' }, false],
    ['{"count":9007199254740993}', {}, false],
    ['{"count":1e400}', { 'mcp-param-count': '1e400' }, true],
    ['{"count":1e400}', { 'mcp-param-count': '1e401' }, false],
    ['{"co\\u0075nt":7}', { 'mcp-param-count': '7' }, true],
  ];
  for (const [args, headers, admitted] of cases) {
    const detail = refusal(args, headers, PARAMS);
    t.equal(detail === undefined, admitted, `${args} ${JSON.stringify(headers)} ${detail ?? ''}`);
  }
  const inList = [{ header: 'mcp-param-first', path: ['list', '0'], type: 'string' }] as const;
  t.equal(refusal('{"list":["x"]}', {}, inList), undefined, 'positions of an array are no members');
  t.equal(refusal('{"list":{"0":"x"}}', { 'mcp-param-first': 'x' }, inList), undefined);
  t.throws(() => checkParamHeaders(undefined, '', { 'mcp-param-region': 'eu' }, PARAMS), { code: 'header_mismatch' });
  t.throws(
    () => checkParamHeaders({ region: 'x' }, '{"region":"x"}', { 'mcp-param-region': 'x\u0000' }, PARAMS),
    { code: 'header_mismatch' },
    'characters that no header holds',
  );
  const long = 'x'.repeat(8193);
  t.match(refusal(`{"region":"${long}"}`, { 'mcp-param-region': long }, PARAMS), /too long/, 'before it is decoded');
});

t.test('headers that no parameter asks for are ignored [R-08]', async (t) => {
  t.equal(refusal('{"other":"x"}', { 'mcp-param-other': 'y', 'mcp-param-': 'z' }, PARAMS), undefined);
  t.equal(refusal('{"region":"x"}', { 'mcp-param-region': 'anything' }, []), undefined);
});

t.test('what the gateway mirrors is what it would admit [R-07] [R-11]', async (t) => {
  const values = fc.record(
    {
      region: fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom(' padded ', '=?base64?x?=', 'a\nb', '', '=?')),
      count: fc.oneof(fc.maxSafeInteger(), fc.constantFrom(-0, 1e21, 4.5)),
      dry: fc.boolean(),
      in: fc.oneof(fc.record({ deep: fc.string() }, { requiredKeys: [] }), fc.constant(null)),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(values, (args) => {
      const text = JSON.stringify(args);
      const parsed = JSON.parse(text) as JsonObject;
      const headers = mirrorParams(parsed, PARAMS, text);
      for (const value of Object.values(headers)) t.match(value, /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/);
      t.equal(refusal(text, headers, PARAMS), undefined, text);
    }),
  );
  const big = '{"count":9007199254740993}';
  t.strictSame(mirrorParams(JSON.parse(big) as Json, PARAMS, big), { 'mcp-param-count': '9007199254740993' });
  t.strictSame(mirrorParams(JSON.parse(big) as Json, PARAMS), {}, 'never with other digits');
  t.strictSame(mirrorParams({ region: null, in: ['x'] }, PARAMS), {});
  t.strictSame(mirrorParams(undefined, PARAMS), {});
});

t.test('numbers are the same by their digits, however they are written', async (t) => {
  fc.assert(
    fc.property(fc.bigInt(), fc.nat({ max: 30 }), fc.bigInt({ min: 1n, max: 9n }), (number, zeros, other) => {
      const text = String(number);
      t.ok(sameNumber(text, `${text}.${'0'.repeat(zeros + 1)}`));
      t.ok(sameNumber(`${text}${'0'.repeat(zeros)}`, `${text}e${zeros}`));
      t.notOk(sameNumber(text, String(number + other)));
    }),
  );
  for (const odd of ['', '-', '.5', '5.', '1e', 'NaN', 'Infinity', '1 ', '0x1', '1e9999999999'])
    t.notOk(sameNumber(odd, odd), odd);
});
