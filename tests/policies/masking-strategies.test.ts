import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import type { MaskingDocument, MaskingStrategy } from '../../policies/documents.ts';
import { placeholders } from '../../policies/masking/placeholder.ts';
import { Detector } from '../../policies/masking/detector.ts';
import { encodedSpans } from '../../policies/masking/encoded.ts';
import { checkMasking, createMasker } from '../../policies/masking/masker.ts';
import type { TokenSource } from '../../policies/types.ts';

const TYPES = ['EMAIL_ADDRESS', 'CREDIT_CARD', 'US_SSN', 'IBAN_CODE', 'PHONE_NUMBER', 'PRIVATE_KEY'];
const rule = (more: Partial<MaskingDocument> = {}): MaskingDocument => ({
  name: 'r',
  supported_entity_types: [{ name: 'ALL', entity_types: TYPES }],
  ...more,
});
const all = (strategy: MaskingStrategy): MaskingDocument => rule({ strategies: { DEFAULT: strategy } });

/** A vault and a key as the gateway has them, for one session. */
function source(): TokenSource {
  const known = new Map<string, string>();
  return {
    placeholder(type, value) {
      const key = `${type} ${value}`;
      if (!known.has(key)) known.set(key, `<${type}_${known.size + 1}>`);
      return known.get(key)!;
    },
    digest: (type, value) => createHmac('sha256', 'fake').update(`${type}\0${value}`).digest('hex').slice(0, 16),
  };
}

const reply = (result: string): string => `{"jsonrpc":"2.0","id":1,"result":${result}}`;
const inText = (text: string): string => reply(JSON.stringify({ text }));
const MAIL = 'jane.doe@example.com';
const CARD = '4111 1111 1111 1111';

const TEXTS: readonly (readonly [title: string, MaskingDocument, text: string, expected: string])[] = [
  ['replace is the default', rule(), `to ${MAIL}!`, 'to <EMAIL_ADDRESS>!'],
  ['replace by name', all('replace'), `to ${MAIL}!`, 'to <EMAIL_ADDRESS>!'],
  ['mask has the length of what it hides', all('mask'), `to ${MAIL}!`, `to ${'*'.repeat(20)}!`],
  ['mask with a character of its own', all({ type: 'mask', character: '•' }), `to ${MAIL}!`, `to ${'•'.repeat(20)}!`],
  ['mask with a character outside of the BMP', all({ type: 'mask', character: '😀' }), CARD, '😀'.repeat(19)],
  ['partial keeps the last four', all({ type: 'partial', keep_last: 4 }), CARD, '***************1111'],
  ['partial keeps the first', all({ type: 'partial', keep_first: 1 }), MAIL, `j${'*'.repeat(19)}`],
  ['partial keeps both ends', all({ type: 'partial', keep_first: 2, keep_last: 3 }), MAIL, `ja${'*'.repeat(15)}com`],
  ['partial never keeps more than half', all({ type: 'partial', keep_last: 100 }), '123-45-6789', '*******6789'],
  [
    'partial shares the half, the end first',
    all({ type: 'partial', keep_first: 8, keep_last: 6 }),
    CARD,
    `41${'*'.repeat(10)}11 1111`,
  ],
  ['hash names the type', all('hash'), MAIL, `<EMAIL_ADDRESS:${source().digest('EMAIL_ADDRESS', MAIL)}>`],
  [
    'tokenize numbers the values',
    all('tokenize'),
    `${MAIL} x@example.com ${MAIL}`,
    '<EMAIL_ADDRESS_1> <EMAIL_ADDRESS_2> <EMAIL_ADDRESS_1>',
  ],
  [
    'a type has its own strategy before the default',
    rule({ strategies: { DEFAULT: 'mask', EMAIL_ADDRESS: 'replace' } }),
    `${MAIL} 123-45-6789`,
    '<EMAIL_ADDRESS> ***********',
  ],
  [
    'types without a strategy are replaced',
    rule({ strategies: { EMAIL_ADDRESS: 'mask' } }),
    'ssn 123-45-6789',
    'ssn <US_SSN>',
  ],
  [
    'an exact exception stays',
    rule({ allow_list: [MAIL] }),
    `${MAIL} and x@example.com`,
    `${MAIL} and <EMAIL_ADDRESS>`,
  ],
  ['an exception is the whole entity, not a part', rule({ allow_list: ['doe@example.com'] }), MAIL, '<EMAIL_ADDRESS>'],
  ['an exception compares letter for letter', rule({ allow_list: [MAIL.toUpperCase()] }), MAIL, '<EMAIL_ADDRESS>'],
  [
    'a pattern of exceptions',
    rule({ allow_list: [{ regex: '[a-z.]+@example\\.com' }] }),
    `${MAIL} a@example.org`,
    `${MAIL} <EMAIL_ADDRESS>`,
  ],
  ['a pattern must fit the whole entity', rule({ allow_list: [{ regex: 'jane' }] }), MAIL, '<EMAIL_ADDRESS>'],
  [
    'exceptions in JSON inside of a string',
    rule({ allow_list: [MAIL] }),
    JSON.stringify({ a: MAIL, b: 'x@example.com' }),
    JSON.stringify({ a: MAIL, b: '<EMAIL_ADDRESS>' }),
  ],
  [
    'JSON inside of a string is masked with its escapes',
    all({ type: 'mask', character: '#' }),
    JSON.stringify({ a: `"${MAIL}"` }),
    JSON.stringify({ a: `"${'#'.repeat(20)}"` }),
  ],
  [
    'numbers in JSON inside of a string become texts',
    rule(),
    '{"card":4111111111111111,"n":1.0}',
    '{"card":"<CREDIT_CARD>","n":1.0}',
  ],
  [
    'so do they with a strategy',
    all({ type: 'partial', keep_last: 4 }),
    '{"card": 4111111111111111}',
    '{"card": "************1111"}',
  ],
  ['and on lines of their own', rule(), '{"cards": [\n  4111111111111111\n]}', '{"cards": [\n  "<CREDIT_CARD>"\n]}'],
];

t.test('each strategy writes what it says [mask-strategies]', async (t) => {
  for (const [title, document, text, expected] of TEXTS) {
    t.same(checkMasking(document), [], `${title}: the rule is sound`);
    const out = createMasker([document]).mask(inText(text), source());
    t.equal((JSON.parse(out.json) as { result: { text: string } }).result.text, expected, title);
  }
});

t.test('without a source of tokens, placeholders and digests are the mere type [mask-strategies]', async (t) => {
  for (const way of ['hash', 'tokenize'] as const)
    t.equal(createMasker([all(way)]).mask(inText(MAIL)).json, inText('<EMAIL_ADDRESS>'), way);
});

t.test('an exception holds only where every rule that hides the type makes it [mask-exceptions]', async (t) => {
  const lax = rule({ name: 'lax', allow_list: [MAIL] });
  t.equal(createMasker([lax]).mask(inText(MAIL)).json, inText(MAIL));
  t.equal(createMasker([lax, rule({ name: 'strict' })]).mask(inText(MAIL)).json, inText('<EMAIL_ADDRESS>'));
  t.equal(createMasker([lax, { ...lax, name: 'also' }]).mask(inText(MAIL)).json, inText(MAIL));
  const found = createMasker([lax]).mask(inText(`${MAIL} ${MAIL} a@example.org`)).findings;
  t.match(found, [{ count: 1, entity: 'EMAIL_ADDRESS' }], 'and is no finding');
});

const NUMBERS: readonly (readonly [string, string, string | undefined, string | undefined, string])[] = [
  // value; with string; with zero; where it is refused
  ['a card', '{"pan":4111111111111111}', '{"pan":"<CREDIT_CARD>"}', '{"pan":0}', '/result/pan'],
  ['a card with a sign', '{"pan":-4111111111111111}', '{"pan":"<CREDIT_CARD>"}', '{"pan":0}', '/result/pan'],
  ['a card with an exponent', '{"pan":4.111111111111111e15}', '{"pan":"<CREDIT_CARD>"}', '{"pan":0}', '/result/pan'],
  ['a card with a point', '{"pan":4111111111111111.00}', '{"pan":"<CREDIT_CARD>"}', '{"pan":0}', '/result/pan'],
  [
    'a card in a list',
    '{"cards":[1,[ 4111111111111111]]}',
    '{"cards":[1,[ "<CREDIT_CARD>"]]}',
    '{"cards":[1,[ 0]]}',
    '/result/cards/1/0',
  ],
  ['an SSN that its key tells', '{"ssn":123456789}', '{"ssn":"<US_SSN>"}', '{"ssn":0}', '/result/ssn'],
  [
    'a phone number that its key tells',
    '{"phone":4155552671}',
    '{"phone":"<PHONE_NUMBER>"}',
    '{"phone":0}',
    '/result/phone',
  ],
  [
    'a member of the protocol stays a number',
    '{"content":[],"ttl":4111111111111111}',
    '{"content":[],"ttl":0}',
    '{"content":[],"ttl":0}',
    '/result/ttl',
  ],
];

t.test('numbers that are entities withhold the answer, or become what the rule says [mask-numbers]', async (t) => {
  for (const [title, value, text, zero, path] of NUMBERS) {
    const refused = createMasker([rule()]).mask(reply(value));
    t.match(refused, { json: 'null', refused: { rule: 'r', path }, findings: [{ action: 'error', path }] }, title);
    t.equal(createMasker([rule({ numbers: 'string' })]).mask(reply(value)).json, reply(text!), `${title}: string`);
    t.equal(createMasker([rule({ numbers: 'zero' })]).mask(reply(value)).json, reply(zero!), `${title}: zero`);
    const other = createMasker([rule({ supported_entity_types: [{ name: 'X', entity_types: ['EMAIL_ADDRESS'] }] })]);
    t.equal(other.mask(reply(value)).json, reply(value), `${title}: not asked for`);
  }
});

t.test('other numbers keep their digits [numbers-digit-for-digit]', async (t) => {
  const value =
    '{"n":[9007199254740993,1.0,1e400,-0,0.10,1700000000000,123456789,4155552671,1e-7,4111111111111112],"id":4111111111}';
  for (const numbers of ['refuse', 'string', 'zero'] as const)
    t.equal(createMasker([rule({ numbers })]).mask(reply(value)).json, reply(value), numbers);
  const custom = rule({ custom_entity_types: [{ name: 'BADGE', regex: '^77\\d{3}$' }], numbers: 'string' });
  t.equal(createMasker([custom]).mask(reply('[77123,87123,771234]')).json, reply('["<BADGE>",87123,771234]'));
  const allowed = rule({ allow_list: ['4111111111111111'] });
  t.equal(createMasker([allowed]).mask(reply('[4111111111111111]')).json, reply('[4111111111111111]'));
});

const block = (text: string): object => ({ type: 'text', text });
const SPLIT: readonly (readonly [string, object, object])[] = [
  [
    'an address over two blocks',
    { content: [block('to jane@exa'), block('mple.com now')] },
    { content: [block('to <EMAIL_ADDRESS>'), block(' now')] },
  ],
  [
    'a card over three blocks',
    { content: [block('4111 11'), block('11 1111'), block(' 1111 ok')] },
    { content: [block('<CREDIT_CARD>'), block(''), block(' ok')] },
  ],
  [
    'a block between them that has no text',
    { content: [block('jane@exa'), { type: 'image', data: '' }, block('mple.com')] },
    { content: [block('<EMAIL_ADDRESS>'), { type: 'image', data: '' }, block('')] },
  ],
  [
    'messages of a prompt',
    {
      messages: [
        { role: 'user', content: block('GB82 WEST 1234') },
        { role: 'user', content: block(' 5698 7654 32') },
      ],
    },
    {
      messages: [
        { role: 'user', content: block('<IBAN_CODE>') },
        { role: 'user', content: block('') },
      ],
    },
  ],
  [
    'contents of a resource',
    {
      contents: [
        { uri: 'a:/', text: 'jane@exa' },
        { uri: 'b:/', text: 'mple.com' },
      ],
    },
    {
      contents: [
        { uri: 'a:/', text: '<EMAIL_ADDRESS>' },
        { uri: 'b:/', text: '' },
      ],
    },
  ],
  [
    'an address that ends with its block',
    { content: [block(`to ${MAIL}`), block('Hello')] },
    { content: [block('to <EMAIL_ADDRESS>'), block('Hello')] },
  ],
  [
    'rows with nothing to hide',
    { content: [block('order 41'), block('total 7')] },
    { content: [block('order 41'), block('total 7')] },
  ],
];

t.test('what begins in one text of a list and ends in the next is found [mask-split]', async (t) => {
  const masker = createMasker([rule()]);
  for (const [title, result, expected] of SPLIT) {
    t.equal(masker.mask(reply(JSON.stringify(result))).json, reply(JSON.stringify(expected)), title);
  }
  const partial = createMasker([all({ type: 'partial', keep_last: 4 })]);
  const out = partial.mask(reply(JSON.stringify({ content: [block('4111 11'), block('11 1111 1111')] })));
  t.notMatch(out.json, '1111', 'nothing is kept of what is split');
  const long = 'x '.repeat(10_000);
  const far = masker.mask(reply(JSON.stringify({ content: [block(`${long}jane@exa`), block(`mple.com ${long}`)] })));
  t.notMatch(far.json, /jane|mple/, 'also at the ends of long texts');
  const middle = 'MIIBOgIBAAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8Qu';
  const pem = masker.mask(
    reply(
      JSON.stringify({
        content: [block('-----BEGIN PRIVATE KEY-----\n'), block(`${middle}\n`), block('-----END PRIVATE KEY-----')],
      }),
    ),
  );
  t.notMatch(pem.json, middle.slice(8, 40), 'the middle of a key');
});

const base64 = (text: string | Buffer): string => Buffer.from(text).toString('base64');
const percent = (text: string): string =>
  [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
const ENCODED: readonly (readonly [string, string, string])[] = [
  ['base64', `x ${base64(MAIL)} y`, 'x <EMAIL_ADDRESS> y'],
  ['base64 in lines', base64(`first line; ${MAIL}; the end`).replace(/.{20}/g, '$&\n'), '<EMAIL_ADDRESS>'],
  ['base64 with letters before it', `z${base64(`to ${MAIL}`)}`, '<EMAIL_ADDRESS>'],
  ['base64 of UTF-16', base64(Buffer.from(MAIL, 'utf16le')), '<EMAIL_ADDRESS>'],
  ['base64 of UTF-16, the other way', base64(Buffer.from(MAIL, 'utf16le').swap16()), '<EMAIL_ADDRESS>'],
  ['base64 among bytes', base64(Buffer.concat([Buffer.from([255, 254, 156]), Buffer.from(MAIL)])), '<EMAIL_ADDRESS>'],
  ['base64 three times', base64(base64(base64(MAIL))), '<EMAIL_ADDRESS>'],
  ['base64 of percent-encoding', base64(percent(MAIL)), '<EMAIL_ADDRESS>'],
  ['hexadecimal', `0x${Buffer.from(MAIL).toString('hex')}`, '<EMAIL_ADDRESS>'],
  ['percent-encoding', `?q=${percent(MAIL)}&r=1`, '?q=<EMAIL_ADDRESS>&r=1'],
  [
    'one escape of percent-encoding',
    'https://h.example/?q=jane%40example.com&r=1',
    'https://h.example/?q=<EMAIL_ADDRESS>&r=1',
  ],
  ['percent-encoding twice', percent(percent(MAIL)), '<EMAIL_ADDRESS>'],
  ['pluses of a query', 'card=4111+1111+1111+1111&n=%20', 'card=<CREDIT_CARD>&n=%20'],
  ['character references', 'to jane&#64;example&#x2e;com!', 'to <EMAIL_ADDRESS>!'],
  ['escapes of JavaScript', 'to jane\\x40example\\u{2e}com!', 'to <EMAIL_ADDRESS>!'],
  [
    'tag characters',
    `- ${[...MAIL].map((c) => String.fromCodePoint(0xe0000 + c.charCodeAt(0))).join('')} -`,
    '- <EMAIL_ADDRESS> -',
  ],
  [
    'nothing in it',
    `${base64('nothing to see here')} %20 &#65; 0x6e6f7468696e6720686572`,
    `${base64('nothing to see here')} %20 &#65; 0x6e6f7468696e6720686572`,
  ],
];

t.test('entities in encodings are hidden, one encoding in another too [mask-encoded]', async (t) => {
  const masker = createMasker([all('tokenize')]);
  for (const [title, text, expected] of ENCODED)
    t.equal(masker.mask(inText(text), source()).json, inText(expected), title);
  const key = masker.mask(reply(JSON.stringify({ [base64(MAIL)]: 1 })), source());
  t.equal(key.json, reply('{"<EMAIL_ADDRESS>":1}'), 'a key');
  const unknown = masker.mask(`{"jsonrpc":"2.0","method":"notifications/${MAIL}"}`);
  t.equal(unknown.json, '{"jsonrpc":"2.0","method":"notifications/<EMAIL_ADDRESS>"}', 'a method that is none');
  const allowed = createMasker([rule({ allow_list: [MAIL] })]);
  t.equal(allowed.mask(inText(base64(MAIL))).json, inText(base64(MAIL)), 'an exception counts here too');
  const picture = base64(Buffer.from(Array.from({ length: 200 }, (_, at) => (at * 7) % 256)));
  const image = reply(JSON.stringify({ content: [{ type: 'image', data: picture, mimeType: 'image/png' }] }));
  t.equal(masker.mask(image).json, image, 'a picture stays');
  const page = base64(`a page of text that was called a picture, written by ${MAIL} on a day in May`);
  const called = reply(JSON.stringify({ content: [{ type: 'image', data: page }] }));
  t.equal(masker.mask(called).json, called.replace(page, '<EMAIL_ADDRESS>'), 'a text called a picture does not');
});

t.test('undoing encodings takes time in step with the text [mask-encoded]', async (t) => {
  let spans = 0;
  class Counting extends Detector {
    override spans(text: string, key: string | undefined): ReturnType<Detector['spans']> {
      spans += text.length;
      return super.spans(text, key);
    }
  }
  const detector = new Counting([rule()]);
  const work = (text: string): number => {
    spans = 0;
    encodedSpans(text, undefined, detector, () => false);
    return spans;
  };
  for (const piece of [
    'aA1',
    'QUFB',
    'QUFB\n',
    '%41',
    '%2541',
    '&#65;',
    '\\x41',
    '41',
    'A',
    'Zm9v/Zm9v-',
    '\u{e0041}',
    'ＱＵ',
  ]) {
    const once = work(piece.repeat(1000));
    t.ok(work(piece.repeat(2000)) <= once * 2.3 + 1000, `${JSON.stringify(piece)}: ${once}`);
  }
  let nested = 'jane at example';
  for (let i = 0; i < 8; i += 1) nested = base64(nested);
  t.ok(work(nested) < nested.length * 60, 'nor does nesting multiply it');
});

t.test('text of an upstream that reads like a placeholder is made to read otherwise [tokenize-forgery]', async (t) => {
  const masker = createMasker([all('tokenize')], { escapes: true });
  const forge = (text: string): string => masker.mask(inText(text), source()).json;
  t.equal(forge('<EMAIL_ADDRESS_1>'), inText('&lt;EMAIL_ADDRESS_1>'));
  t.equal(forge(`<X_9> ${MAIL}`), inText('&lt;X_9> <EMAIL_ADDRESS_1>'));
  t.equal(forge(JSON.stringify(['<EMAIL_ADDRESS_1>'])), inText(JSON.stringify(['&lt;EMAIL_ADDRESS_1>'])));
  t.equal(masker.mask(reply('{"\\u003cA_1>":"\\u003cA_1\\u003e"}')).json, reply('{"&lt;A_1>":"&lt;A_1\\u003e"}'));
  t.equal(
    forge('<EMAIL_ADDRESS> <b_1> <A_0> <A_01>'),
    inText('<EMAIL_ADDRESS> <b_1> <A_0> <A_01>'),
    'what is none stays',
  );
  t.equal(
    createMasker([], { escapes: true }).mask(inText('<A_1>')).json,
    inText('&lt;A_1>'),
    'without rules of its own',
  );
});

const FAULTS: readonly (readonly [Partial<MaskingDocument>, string])[] = [
  [{ strategies: { PERSON_X: 'mask' } }, 'strategies.PERSON_X'],
  [{ strategies: { DEFAULT: 'blur' as 'mask' } }, 'strategies.DEFAULT'],
  [{ strategies: { DEFAULT: { type: 'blur' as 'mask' } } }, 'strategies.DEFAULT.type'],
  [{ strategies: { DEFAULT: { type: 'mask', character: '"' } } }, 'strategies.DEFAULT.character'],
  [{ strategies: { DEFAULT: { type: 'mask', character: '\\' } } }, 'strategies.DEFAULT.character'],
  [{ strategies: { DEFAULT: { type: 'mask', character: 'ab' } } }, 'strategies.DEFAULT.character'],
  [{ strategies: { DEFAULT: { type: 'mask', character: '\u200b' } } }, 'strategies.DEFAULT.character'],
  [{ strategies: { DEFAULT: { type: 'hash', character: '*' } } }, 'strategies.DEFAULT.character'],
  [{ strategies: { DEFAULT: { type: 'mask', keep_last: 4 } } }, 'strategies.DEFAULT.keep_last'],
  [{ strategies: { DEFAULT: { type: 'partial', keep_first: -1, keep_last: 2 } } }, 'strategies.DEFAULT.keep_first'],
  [{ strategies: { DEFAULT: 'partial' } }, 'strategies.DEFAULT'],
  [{ allow_list: ['ok', ' '] }, 'allow_list[1]'],
  [{ allow_list: [{ regex: '(?=x)' }] }, 'allow_list[0].regex'],
  [{ numbers: 'keep' as 'zero' }, 'numbers'],
  [{ restore: { tools: ['x'] } }, 'restore'],
  [{ strategies: { DEFAULT: 'tokenize' }, restore: { tools: [] } }, 'restore.tools'],
  [{ strategies: { DEFAULT: 'tokenize' }, restore: { tools: ['x', ''] } }, 'restore.tools[1]'],
  [
    { strategies: { DEFAULT: 'tokenize' }, custom_entity_types: [{ name: 'ROOM_1', regex: 'x' }] },
    'custom_entity_types[0].name',
  ],
];

t.test('mistakes are reported with their place [mask-strategies]', async (t) => {
  for (const [more, path] of FAULTS)
    t.same(
      checkMasking(rule(more)).map((fault) => fault.path),
      [path],
      path,
    );
});

const SECRETS = [MAIL, CARD, '123-45-6789', 'GB82 WEST 1234 5698 7654 32', '+14155552671'];
const strategy: fc.Arbitrary<MaskingStrategy> = fc.oneof(
  fc.constantFrom<MaskingStrategy>('replace', 'mask', 'hash', 'tokenize'),
  fc.constantFrom('*', '#', '•', 'x').map((character): MaskingStrategy => ({ type: 'mask', character })),
  fc
    .tuple(fc.nat(30), fc.integer({ min: 1, max: 30 }))
    .map(([keep_first, keep_last]): MaskingStrategy => ({ type: 'partial', keep_first, keep_last })),
);

/** The longest stretch of letters and digits of the secret that can be read in the text. */
function readable(secret: string, text: string): number {
  const letters = (all: string): string => all.replaceAll(/[^\p{L}\p{N}]/gu, '').toLowerCase();
  const wanted = letters(secret);
  const seen = letters(text);
  let longest = 0;
  for (let from = 0; from < wanted.length; from += 1)
    while (seen.includes(wanted.slice(from, from + longest + 1)) && from + longest < wanted.length) longest += 1;
  return longest / wanted.length;
}

const noise = fc.constantFrom('', ' ', 'see: ', '"q" ', '\\', '\n', '日本 ', '😀 ', '(', '{', '<b> ');

t.test(
  'whatever the strategy, the secret stays, JSON is valid, and all other bytes are the same [mask-strategies-safe]',
  async (t) => {
    fc.assert(
      fc.property(
        fc.constantFrom(...SECRETS),
        strategy,
        noise,
        noise,
        fc.integer({ min: 0, max: 3 }),
        fc.boolean(),
        (secret, way, before, after, depth, split) => {
          let text = `${before} ${secret} ${after}`;
          for (let i = 0; i < depth; i += 1) text = JSON.stringify({ a: [text], n: i });
          const at = Math.floor(text.length / 2);
          const parts = split && depth === 0 ? [text.slice(0, at), text.slice(at)] : [text];
          if (!parts.every((part) => part.isWellFormed())) return true;
          const blocks = parts.map((part) => `{ "type":"text","text": ${JSON.stringify(part)} }`).join(' , ');
          const head = '{"jsonrpc":"2.0" ,"id":1,"result":{"x":[1.0,9007199254740993,-0],"\\u0061":"\\/é","content":[';
          const json = `${head}${blocks}]}}`;
          const out = createMasker([all(way)], { escapes: true }).mask(json, source());
          if (!out.json.startsWith(head) || out.findings.length === 0) return false;
          const value = JSON.parse(out.json) as { result: { content: { text: string }[] } };
          if (value.result.content.length !== parts.length) return false;
          const left = value.result.content.map((each) => each.text).join('');
          const kept = typeof way === 'object' && way.type === 'partial' ? 0.51 : 0.4;
          return readable(secret, left.replaceAll(/<[A-Z_]+(?::[0-9a-f]{16}|_\d+)?>/g, '')) < kept;
        },
      ),
      { numRuns: 3000 },
    );
    t.pass();
  },
);

t.test('a placeholder that masking made is read back as one', async (t) => {
  const out = createMasker([all('tokenize')], { escapes: true }).mask(inText(`a ${MAIL} b`), source());
  const { text } = (JSON.parse(out.json) as { result: { text: string } }).result;
  t.same(placeholders(text), [{ start: 2, end: 19, type: 'EMAIL_ADDRESS' }]);
});
