import t from 'tap';
import fc from 'fast-check';
import { canonical } from '../../policies/json/canonical.ts';
import { MAX_DEPTH } from '../../policies/json/lexeme.ts';
import { scan, scanMembers } from '../../policies/json/scan.ts';
import type { ScanLimits } from '../../policies/json/scan.ts';
import { splice } from '../../policies/json/splice.ts';
import { decodeString, find, parseTree } from '../../policies/json/tree.ts';
import type { Node } from '../../policies/json/tree.ts';

const WIDE: ScanLimits = { depth: MAX_DEPTH, arrayLength: 1e6, keyLength: 1e6, stringLength: 1e6, numberDigits: 1e6 };

const accepts = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

/** Scalars spelt as a serialiser would not spell them. */
const oddities = fc.constantFrom(
  '9007199254740993',
  '1.0',
  '1e400',
  '-0',
  '0.1E+2',
  '-12.50e-07',
  '"\\u0041"',
  '"\\ud83d\\ude00"',
  '"\\/\\b\\f\\n\\r\\t"',
  '"\\\\"',
  '"a\\\\"',
  '"\\""',
  '""',
  '"é漢😀"',
  '"\u007f\u2028"',
  'true',
  'false',
  'null',
);
const space = fc.constantFrom('', '', '', ' ', '\n', '\t', '\r\n', '  \n ');
const plain = fc.string({ unit: 'grapheme', maxLength: 12 }).map((value) => JSON.stringify(value));

/** JSON texts with distinct keys and free spelling. */
const { text: jsonText } = fc.letrec<{ text: string; array: string; object: string }>((tie) => ({
  text: fc.oneof({ maxDepth: 5, withCrossShrink: true }, oddities, plain, tie('array'), tie('object')),
  array: fc
    .array(fc.tuple(space, tie('text'), space), { maxLength: 5 })
    .map((items) => `[${items.map((parts) => parts.join('')).join(',')}]`),
  object: fc
    .tuple(
      space,
      fc.uniqueArray(fc.tuple(plain, space, tie('text'), space), { selector: ([key]) => key, maxLength: 20 }),
    )
    .map(([gap, items]) => `{${gap}${items.map(([k, a, v, b]) => `${k}${a}:${a}${v}${b}`).join(',')}}`),
}));

/** Any text near JSON: tokens in any order, or a JSON text with one unit replaced, dropped or added. */
const tokens = fc.constantFrom(
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"',
  '"a"',
  '"b":',
  '1',
  '-',
  '0',
  '01',
  '.',
  'e',
  '+',
  'true',
  'nul',
  'null',
  ' ',
  '\n',
  '\\',
  '\\u',
  '\\u00',
  '\\x',
  'NaN',
  'Infinity',
  '\u0000',
  '\u001f',
  '\u00a0',
  '\ufeff',
  "'",
  '/*',
  '//',
  '1.',
  '.5',
  '1e',
);
const soup = fc.array(tokens, { maxLength: 12 }).map((parts) => parts.join(''));
const damaged = fc
  .tuple(jsonText, fc.nat(), tokens, fc.constantFrom('replace', 'drop', 'add'))
  .map(([text, position, token, how]) => {
    const at = position % (text.length + 1);
    const rest = text.slice(how === 'add' ? at : at + 1);
    return text.slice(0, at) + (how === 'drop' ? '' : token) + rest;
  })
  .filter((text) => text.isWellFormed());

/** What JSON.parse would make of the node, rebuilt from the spans. */
function rebuild(text: string, node: Node): unknown {
  switch (node.type) {
    case 'object': {
      const value: Record<string, unknown> = Object.create(null);
      for (const member of node.members) {
        t.equal(decodeString(text, member.keyStart, member.keyEnd), member.key);
        value[member.key] = rebuild(text, member.value);
      }
      return value;
    }
    case 'array':
      return node.items.map((item) => rebuild(text, item));
    case 'string':
      return decodeString(text, node.start, node.end);
    default:
      return JSON.parse(text.slice(node.start, node.end));
  }
}

t.test('a text passes the scan exactly when JSON.parse accepts it [json-grammar-whole]', async (t) => {
  fc.assert(
    fc.property(jsonText, (text) => scan(text, WIDE) === undefined && accepts(text)),
    { numRuns: 500 },
  );
  let refused = 0;
  fc.assert(
    fc.property(fc.oneof(soup, damaged), (text) => {
      const members: number[] = [];
      const fault = scanMembers(text, WIDE, members);
      if (fault?.type === 'grammar') refused += 1;
      // A duplicate key, or half of an escaped surrogate pair, is refused before the rest is read.
      return fault?.type === 'refused' || (fault === undefined) === accepts(text);
    }),
    { numRuns: 4000 },
  );
  t.ok(refused > 500, 'the texts were often not JSON');
  for (const text of [
    '',
    ' ',
    '{',
    '{"a"',
    '{"a":',
    '{"a":1,',
    '{"a":1,}',
    '[1,]',
    '[,1]',
    '{,}',
    '1 2',
    '{}{}',
    '"a',
    '"\\',
    '01',
    '-',
    '1.',
    '.1',
    '1e',
    '+1',
    'NaN',
    'tru',
    'truex',
    '\ufeff{}',
    '"\u0000"',
    '"\n"',
    '"\\u12g4"',
    '"\\u12',
    '\u00a01',
    "{'a':1}",
    '{a:1}',
    '[1 2]',
    '{"a" 1}',
    ']',
    '}',
    '[}',
    '{]',
    '{"a":1]',
  ]) {
    t.match(scan(text, WIDE), /^not JSON at position \d+$/, JSON.stringify(text));
    t.notOk(accepts(text), 'and JSON.parse agrees');
  }
});

t.test(
  'duplicate keys are refused at any depth, however they are spelt [J-09] [frame-no-duplicate-keys]',
  async (t) => {
    const wide = Array.from({ length: 40 }, (_, i) => `"k${i}":{"x":${i}}`).join(',');
    const doubles = [
      '{"a":1,"a":2}',
      '{"a":1,"\\u0061":2}',
      '{"\\u0061":1,"a":2}',
      '{"\\u006E":1,"\\u006e":2}',
      '{"a\\/b":1,"a/b":2}',
      '{"":1,"":2}',
      '[[{"b":{"c":[{"d":1,"e":{},"d":2}]}}]]',
      '{"a":{"b":1},"c":{"b":1,"b":1}}',
      '{"__proto__":1,"__proto__":2}',
      `{${wide},"k3":0}`,
      `{${wide},"\\u006b39":0}`,
      `{"\\u0062":{"b":{"b":1}},${wide},"b":0}`,
      '{"é":1,"\\u00e9":2}',
      '{"😀":1,"\\ud83d\\ude00":2}',
    ];
    for (const text of doubles) t.match(scan(text, WIDE), /^a duplicate key at position \d+$/, text);

    const distinct = [
      '{"a":{"a":{"a":1}},"b":{"a":1}}',
      '[{"a":1},{"a":1}]',
      '{"a":1,"A":2," a":3,"a ":4}',
      '{"\\u0061":{"\\u0061":{"a":1}},"b":{"a":{"\\u0061":1}}}',
      `{${wide},"z":{${wide}}}`,
      // Equal by the hash that the scan uses.
      '{"Aa":1,"BB":2,"AaAa":3,"BBBB":4,"AaBB":5}',
    ];
    for (const text of distinct) t.equal(scan(text, WIDE), undefined, text);

    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', 'b', '\\u0061', 'ab', '\\u0062', 'Aa', 'BB', ''), { maxLength: 6 }),
        fc.boolean(),
        (keys, inner) => {
          const object = `{${keys.map((key) => `"${key}":${inner ? '{"a":[],"b":{}}' : 1}`).join(',')}}`;
          const names = keys.map((key) => JSON.parse(`"${key}"`) as string);
          return (scan(object, WIDE) === undefined) === (new Set(names).size === names.length);
        },
      ),
    );
  },
);

t.test(
  'lone surrogates are refused, in keys and strings, escaped or raw [J-07] [frame-no-lone-surrogates]',
  async (t) => {
    for (const text of [
      '"\\ud800"',
      '"\\udc00"',
      '"\\ud83dx"',
      '"\\ud83d\\n"',
      '"\\ude00\\ud83d"',
      '"\\uD83D\\u0041"',
      '{"\\ud800":1}',
      '["a\\n",{"b":"x\\\\\\udfff"}]',
      '"\ud800"',
      '{"\udc00":1}',
    ]) {
      t.match(scan(text, WIDE), /^a lone surrogate at position \d+$/, JSON.stringify(text));
    }
    for (const text of [
      '"\\ud83d\\ude00"',
      '"\\uD83D\\uDE00\\ud83d\\ude00"',
      '"\\\\ud800"',
      '"😀"',
      '{"\\ud83d\\ude00":"\\n"}',
    ]) {
      t.equal(scan(text, WIDE), undefined, text);
    }
  },
);

t.test('each limit of the scan is exact [J-06] [frame-bounded]', async (t) => {
  const limits: ScanLimits = { depth: 3, arrayLength: 4, keyLength: 5, stringLength: 6, numberDigits: 7 };
  const edges: [string, string, RegExp][] = [
    ['[[[]]]', '[[[[]]]]', /^nested deeper than 3 levels/],
    ['{"a":{"b":{}}}', '{"a":{"b":{"c":{}}}}', /^nested deeper than 3 levels/],
    ['[1,2,3,4]', '[1,2,3,4,5]', /^an array is longer than 4/],
    ['[[],[],[],[]]', '[[],[],[],[],[]]', /^an array is longer than 4/],
    ['{"abcde":1}', '{"abcdef":1}', /^a key is longer than 5/],
    ['"abcdef"', '"abcdefg"', /^a string is longer than 6/],
    ['"\\u0041"', '"\\u0041b"', /^a string is longer than 6/],
    ['1234567', '12345678', /^a number is longer than 7/],
    ['-0.1e10', '-0.11e10', /^a number is longer than 7/],
  ];
  for (const [fits, over, sentence] of edges) {
    t.equal(scan(fits, limits), undefined, fits);
    t.match(scan(over, limits), sentence, over);
  }
  t.match(
    scan('['.repeat(5_000_000), { ...WIDE, depth: 1e9 }),
    /^nested deeper than 512 levels/,
    'a bomb of brackets is cut off',
  );
  t.notOk(scan('{"a":"secret', WIDE)?.includes('secret'), 'a fault never quotes the text');
});

t.test('the members of the outermost object are found by their spans', async (t) => {
  fc.assert(
    fc.property(
      fc.dictionary(
        plain.map((key) => JSON.parse(key) as string),
        fc.jsonValue(),
        { maxKeys: 20 },
      ),
      fc.boolean(),
      (value, pretty) => {
        const text = JSON.stringify(value, null, pretty ? 2 : 0);
        const spans: number[] = [];
        t.equal(scanMembers(text, WIDE, spans), undefined);
        const found = [];
        for (let i = 0; i < spans.length; i += 4) {
          found.push([
            JSON.parse(text.slice(spans[i], spans[i + 1])),
            JSON.parse(text.slice(spans[i + 2], spans[i + 3])),
          ]);
        }
        t.same(found, Object.entries(JSON.parse(text)));
      },
    ),
    { numRuns: 50 },
  );
  const none: number[] = [];
  scanMembers('[{"a":1}]', WIDE, none);
  t.same(none, [], 'an array has no members');
});

t.test('the spans of a tree hold the values that JSON.parse sees', async (t) => {
  fc.assert(
    fc.property(jsonText, (text) => {
      const node = parseTree(text);
      t.same(rebuild(text, node), JSON.parse(text));
      t.equal(text.slice(node.start, node.end), text.trim());
    }),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.oneof(soup, damaged), (text) => {
      let parsed = true;
      try {
        parseTree(text);
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
        parsed = false;
      }
      return parsed === accepts(text);
    }),
    { numRuns: 3000 },
  );
  t.throws(() => parseTree('['.repeat(MAX_DEPTH + 1) + ']'.repeat(MAX_DEPTH + 1)), SyntaxError);
  t.throws(() => parseTree('{"a":'.repeat(MAX_DEPTH + 1) + '1' + '}'.repeat(MAX_DEPTH + 1)), SyntaxError);
  t.equal(parseTree('['.repeat(MAX_DEPTH) + ']'.repeat(MAX_DEPTH)).end, 2 * MAX_DEPTH);
});

t.test('a path finds its node, and nothing where there is none', async (t) => {
  const text = '{"a":[1,{"b":"x"}],"__proto__":{"c":2},"d":1,"d":2}';
  const tree = parseTree(text);
  const at = (...path: (string | number)[]) => {
    const node = find(tree, ...path);
    return node && text.slice(node.start, node.end);
  };
  t.equal(at(), text);
  t.equal(at('a', 1, 'b'), '"x"');
  t.equal(at('__proto__', 'c'), '2');
  t.equal(at('d'), '2', 'of duplicate keys the last, as JSON.parse has it');
  for (const path of [['x'], ['a', 2], ['a', 'length'], ['a', -1], ['constructor'], ['a', 0, 'b'], [0]])
    t.equal(at(...path), undefined);
  t.equal(find(undefined, 'a'), undefined);
});

t.test('a splice changes its spans and no other unit [json-splice-exact]', async (t) => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      fc.array(fc.tuple(fc.nat(), fc.string({ maxLength: 4 })), { maxLength: 8 }),
      (text, cuts) => {
        const points = [...new Set(cuts.map(([at]) => at % (text.length + 1)))].toSorted((a, b) => a - b);
        const edits = points.slice(1).map((end, i) => ({ start: points[i] as number, end, text: cuts[i]?.[1] ?? '' }));
        const same = edits.map((edit) => ({ ...edit, text: text.slice(edit.start, edit.end) }));
        let expected = text;
        for (const edit of edits.toReversed())
          expected = expected.slice(0, edit.start) + edit.text + expected.slice(edit.end);
        return (
          splice(text, edits.toReversed()) === expected && splice(text, same) === text && splice(text, []) === text
        );
      },
    ),
  );
  t.equal(
    splice('abc', [
      { start: 3, end: 3, text: 'd' },
      { start: 0, end: 0, text: '_' },
    ]),
    '_abcd',
    'insertions',
  );
  t.throws(
    () =>
      splice('abcd', [
        { start: 0, end: 2, text: '' },
        { start: 1, end: 3, text: '' },
      ]),
    RangeError,
  );
  t.throws(() => splice('abcd', [{ start: 3, end: 5, text: '' }]), RangeError);
  t.throws(() => splice('abcd', [{ start: 2, end: 1, text: '' }]), RangeError);
  t.throws(() => splice('abcd', [{ start: Number.NaN, end: 1, text: '' }]), RangeError);

  const text = '{"big":9007199254740993,"f":1.0,"huge":1e400,"z":-0,"s":"a"}';
  const node = find(parseTree(text), 's');
  t.equal(
    splice(text, [{ start: node!.start, end: node!.end, text: '"***"' }]),
    '{"big":9007199254740993,"f":1.0,"huge":1e400,"z":-0,"s":"***"}',
    'numbers keep their digits',
  );
});

t.test('the canonical text depends on neither whitespace nor order nor escapes [json-canonical-stable]', async (t) => {
  const respell = (text: string): string => {
    const node = parseTree(text);
    const write = (at: Node): string => {
      switch (at.type) {
        case 'object':
          return `{ ${at.members
            .toReversed()
            .map(
              (m) =>
                `"${[...m.key].map((c) => ([...c].length === 1 && c.length === 1 ? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}` : c)).join('')}" :\n${write(m.value)}`,
            )
            .join(' ,\t')} }`;
        case 'array':
          return `[ ${at.items.map(write).join(' , ')} ]`;
        default:
          return text.slice(at.start, at.end);
      }
    };
    return write(node);
  };
  fc.assert(
    fc.property(jsonText, (text) => {
      const once = canonical(text);
      return canonical(once) === once && canonical(respell(text)) === once && accepts(once);
    }),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      t.same(JSON.parse(canonical(JSON.stringify(value))), JSON.parse(JSON.stringify(value)));
    }),
    { numRuns: 100 },
  );
  t.equal(
    canonical(' {"b" : [1.0, 9007199254740993,1e400 ,-0], "a":"\\u00e9\\/", "B":null} '),
    '{"B":null,"a":"é/","b":[1.0,9007199254740993,1e400,-0]}',
  );
  t.not(canonical('1'), canonical('1.0'), 'different lexemes stay different');
  t.throws(() => canonical('{"a":1,}'), SyntaxError);
});
