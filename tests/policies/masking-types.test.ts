import fc from 'fast-check';
import t from 'tap';
import type { MaskingDocument } from '../../policies/documents.ts';
import { Detector } from '../../policies/masking/detector.ts';
import { RECORD_TYPES } from '../../policies/masking/entities.ts';
import type { BuiltInType } from '../../policies/masking/entities.ts';
import { BUILT_IN_TYPES, checkMasking, createMasker } from '../../policies/masking/masker.ts';
import { walk } from '../../policies/masking/walk.ts';
import { MAKE, known, seeded } from '../../scripts/masking-samples.ts';
import { ENTITIES } from './masking-entities.ts';

const rule = (...types: readonly string[]): MaskingDocument => ({
  name: 'pii',
  supported_entity_types: [{ name: 'ALL', entity_types: types }],
});
const masker = createMasker([rule(...RECORD_TYPES)]);
const everything = createMasker([rule(...BUILT_IN_TYPES)]);

/** What becomes of a text in a tool's answer. */
function masked(text: string, using = masker): string {
  const json = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text }] } });
  return JSON.parse(using.mask(json).json).result.content[0].text;
}

const KEY_BODY = 'MIIBOgIBAAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8Qu';
const AWS_SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'.replace('EXAMPLE', 'EX4MPLE');

const POSITIVE: readonly (readonly [string, string])[] = [
  ['mail jane.doe+test@example.co.uk now', 'mail <EMAIL_ADDRESS> now'],
  ['<jane@example.com>, "Bob" <bob@example.org>.', '<<EMAIL_ADDRESS>>, "Bob" <<EMAIL_ADDRESS>>.'],
  ['jane@example.com.', '<EMAIL_ADDRESS>.'],
  ['jane@example.com_old and josé@exämple.de', '<EMAIL_ADDRESS>_old and <EMAIL_ADDRESS>'],
  ['"jane doe"@example.com', '<EMAIL_ADDRESS>'],
  ['邮箱jane@example.com，谢谢', '<EMAIL_ADDRESS>，谢谢'],
  ["o'brien@xn--bcher-kva.xn--p1ai", '<EMAIL_ADDRESS>'],
  ['call +1 (415) 555-2671 today', 'call <PHONE_NUMBER> today'],
  ['+14155552671', '<PHONE_NUMBER>'],
  ['(415) 555-2671', '<PHONE_NUMBER>'],
  ['415-555-2671 x5', '<PHONE_NUMBER> x5'],
  ['1-415-555-2671', '<PHONE_NUMBER>'],
  ['+44 20 7946 0958', '<PHONE_NUMBER>'],
  ['020 7946 0958', '<PHONE_NUMBER>'],
  ['06 12 34 56 78', '<PHONE_NUMBER>'],
  ['0176-12345678', '<PHONE_NUMBER>'],
  ['phone: 4155552671', 'phone: <PHONE_NUMBER>'],
  ['Card 4111 1111 1111 1111 exp 12/29', 'Card <CREDIT_CARD> exp 12/29'],
  ['4111-1111-1111-1111', '<CREDIT_CARD>'],
  ['4111111111111111', '<CREDIT_CARD>'],
  ['3782 822463 10005', '<CREDIT_CARD>'],
  ['pan=5555555555554444;', 'pan=<CREDIT_CARD>;'],
  ['PAN6011111111111117', 'PAN<CREDIT_CARD>'],
  ['2223003122003222', '<CREDIT_CARD>'],
  ['3056 930902 5904', '<CREDIT_CARD>'],
  ['4111111111111111.0', '<CREDIT_CARD>.0'],
  ['ssn 123-45-6789', 'ssn <US_SSN>'],
  ['SSN: 123456789', 'SSN: <US_SSN>'],
  ['123 45 6789', '<US_SSN>'],
  ['DE89 3704 0044 0532 0130 00', '<IBAN_CODE>'],
  ['GB82WEST12345698765432', '<IBAN_CODE>'],
  ['gb82west12345698765432', '<IBAN_CODE>'],
  ['iban NL91-ABNA-0417-1643-00.', 'iban <IBAN_CODE>.'],
  ['from 10.1.2.3:8080', 'from <IP_ADDRESS>:8080'],
  ['http://192.168.0.1/x', 'http://<IP_ADDRESS>/x'],
  ['[2001:db8::8a2e:370:7334]:443', '[<IP_ADDRESS>]:443'],
  ['addr:fe80::1ff:fe23:4567:890a%eth0', 'addr:<IP_ADDRESS>'],
  ['2001:0db8:85a3:0000:0000:8a2e:0370:7334', '<IP_ADDRESS>'],
  ['::ffff:192.0.2.128', '<IP_ADDRESS>'],
  ['Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl', 'Bearer <JWT>'],
  ['token=eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0In0.', 'token=<JWT>'],
  ['eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.OKOawDo13gRp.48V1_ALb6US0.5eym8TW_c8Su.XFBoMYUZodet', '<JWT>'],
  [`a\n-----BEGIN RSA PRIVATE KEY-----\n${KEY_BODY}\n-----END RSA PRIVATE KEY-----\nb`, 'a\n<PRIVATE_KEY>\nb'],
  [`k="-----BEGIN PRIVATE KEY-----\\n${KEY_BODY}\\n-----END PRIVATE KEY-----\\n"`, 'k="<PRIVATE_KEY>\\n"'],
  [`x -----BEGIN OPENSSH PRIVATE KEY-----\n${KEY_BODY}`, 'x <PRIVATE_KEY>'],
  [`${KEY_BODY}\n-----END EC PRIVATE KEY-----\nend`, '<PRIVATE_KEY>\nend'],
  ['AKIAIOSFODNN7EXAMPLE', '<AWS_ACCESS_KEY>'],
  ['id ASIAY34FZKBOKMUTVV7A,', 'id <AWS_ACCESS_KEY>,'],
  [`aws_secret_access_key = ${AWS_SECRET}`, 'aws_secret_access_key = <AWS_ACCESS_KEY>'],
  ['a\\nAKIAIOSFODNN7EXAMPLE', 'a\\n<AWS_ACCESS_KEY>'],
  // Hidden: zero-width characters, full-width forms, other digits, soft hyphens, marks, escapes spelt out.
  ['4111\u200b1111\u200b1111\u200b1111', '<CREDIT_CARD>'],
  ['４１１１ １１１１ １１１１ １１１１', '<CREDIT_CARD>'],
  ['٤١١١١١١١١١١١١١١١', '<CREDIT_CARD>'],
  ['4111–1111–1111–1111', '<CREDIT_CARD>'],
  ['4111\u00a01111\u00a01111\u00a01111', '<CREDIT_CARD>'],
  ['jane\u00ad@exam\u200bple.com', '<EMAIL_ADDRESS>'],
  ['ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ', '<EMAIL_ADDRESS>'],
  ['A\u2060KIAIOSFODNN7EXAMPLE', '<AWS_ACCESS_KEY>'],
  ['1\u{e0031}23-45-6\u202e789', '<US_SSN>'],
  ['4\u03361\u03361\u03361111111111111', '<CREDIT_CARD>'],
  ['log {"mail":"jane\\u0040example.com"}', 'log {"mail":"<EMAIL_ADDRESS>"}'],
];

t.test('entities of every type are masked, in the forms that people and programs write [masking-types]', async (t) => {
  for (const [text, expected] of POSITIVE) t.equal(masked(text), expected, JSON.stringify(text));
});

const NEGATIVE: readonly string[] = [
  'npm i @types/node@24.1.0 react@18.2.0-beta.one',
  'a @ b, @decorator, user@host, 5@6',
  'img/logo@2x.png',
  'order 4155552671',
  'ts 1700000000000 and 1700000000',
  'id 9007199254740993',
  '2024-01-02T03:04:05.123Z',
  '01-02-2024 12:30 until 2024-12-31 23:59:59',
  '20240102030405',
  'uuid 550e8400-e29b-41d4-a716-446655440000',
  'uuid 00848869-01ed-47ad-ac39-21c62fb81d35, dl b1234567-01ed-47ad-ac39-21c62fb81d35',
  'invoice INV-2024-0123-456789',
  '#0123 456 789',
  '4111 1111 1111 1112',
  '0000 0000 0000 0000',
  '9111 1111 1111 1111',
  'e4111111111111111b',
  'pi 3.4111111111111111',
  '41111111111111111111111',
  '000-12-3456 666-12-3456 900-12-3456',
  '123-00-4567 123-45-0000',
  '123456789',
  'DE88 3704 0044 0532 0130 00',
  'ZZ82WEST12345698765432',
  'DE8937040044053201300',
  '1.2.3.4.5 and v1.2.3 and v1.2.3.4',
  'version 1.2.3.4',
  'Mozilla/5.0 Chrome/120.0.0.0',
  '256.1.1.1 1.2.3',
  '12:30:45 00:1a:2b:3c:4d std::vector<a::b> x[::2]',
  'eyJ is how tokens begin, eyJhbGciOiJIUzI1NiJ9 alone is a header',
  'store the PRIVATE KEY safely',
  '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----',
  '-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----',
  'AKIA is a prefix, AKIAIOSFODNN7EXAMPL too short, XAKIAIOSFODNN7EXAMPLE',
  'commit 3f786850e387550fdab836ed7e6dc881de23001b',
  `aws sha1 3f786850e387550fdab836ed7e6dc881de23001b`,
  'ISBN 978-3-16-148410-0',
  '52.520008, 13.404954 and +37.7749 -122.4194',
  '1,234,567.89 USD; 12 34 56',
  'lorem – ipsum… dolor ½ ™ naïve 日本語：テスト（例）',
];

t.test('numbers, identifiers and code that only look like entities stay [masking-precision]', async (t) => {
  for (const text of NEGATIVE) t.equal(masked(text), text, JSON.stringify(text));
});

t.test('the member name is context for its value, also through arrays [masking-context]', async (t) => {
  const json =
    '{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"cellPhone":["4155552671"],"orders":["4155552671"],"version":"1.2.3.4"}}}';
  const out = JSON.parse(masker.mask(json).json).result.structuredContent;
  t.same(out, { cellPhone: ['<PHONE_NUMBER>'], orders: ['4155552671'], version: '1.2.3.4' });
});

t.test('a threshold decides how weak a candidate may be [masking-threshold]', async (t) => {
  const low = createMasker([{ ...rule('PHONE_NUMBER'), score_threshold: 0.1 }]);
  const high = createMasker([{ ...rule('PHONE_NUMBER'), score_threshold: 0.9 }]);
  t.equal(masked('order 4155552671', low), 'order <PHONE_NUMBER>');
  t.equal(masked('+14155552671', high), '+14155552671');
  t.equal(masked('phone +14155552671', high), 'phone <PHONE_NUMBER>');
});

t.test('only the types that a rule names are looked for', async (t) => {
  const one = createMasker([rule('US_SSN')]);
  t.same(one.types, ['US_SSN']);
  t.equal(masked('jane@example.com 123-45-6789', one), 'jane@example.com <US_SSN>');
});

t.test('custom entities are masked: linear expressions and words on word boundaries [masking-custom]', async (t) => {
  const custom = createMasker([
    {
      name: 'house',
      custom_entity_types: [
        { name: 'EMPLOYEE', regex: '\\bEMP-\\d{4}\\b' },
        { name: 'PROJECT', deny_list: ['Blue Moon', 'Blue', 'Größe', 'a/b', 'C++'] },
        { name: 'LINE', regex: '^secret:.*$' },
      ],
    },
  ]);
  t.same(custom.types, ['EMPLOYEE', 'PROJECT', 'LINE']);
  t.equal(masked('EMP-1234 and EMP-12345', custom), '<EMPLOYEE> and EMP-12345');
  t.equal(masked('BLUE MOON, blue mooning, bluebird', custom), '<PROJECT>, <PROJECT> mooning, bluebird');
  t.equal(masked('GRÖSSE größe Gro\u0308\u00dfe', custom), 'GRÖSSE <PROJECT> <PROJECT>');
  t.equal(masked('a/b c++ b\u200blue ｂｌｕｅ', custom), '<PROJECT> <PROJECT> <PROJECT> <PROJECT>');
  t.equal(masked('secret: x', custom), '<LINE>');
  t.equal(masked('no secret: x', custom), 'no secret: x');
});

t.test('overlapping entities are replaced as one stretch, named after the surest [masking-overlap]', async (t) => {
  const both = createMasker([
    { name: 'a', supported_entity_types: [{ name: 'A', entity_types: ['EMAIL_ADDRESS'] }] },
    { name: 'b', custom_entity_types: [{ name: 'HOST', regex: 'example\\.com/[a-z]+', score: 0.6 }] },
  ]);
  t.equal(masked('see jane@example.com/path now', both), 'see <EMAIL_ADDRESS> now');
  t.equal(masked('jane@example.com,bob@example.com', both), '<EMAIL_ADDRESS>,<EMAIL_ADDRESS>');
});

const FAULTS: readonly (readonly [Partial<MaskingDocument>, string, RegExp])[] = [
  [{}, '', /names no entity type/],
  [
    { supported_entity_types: [{ name: 'X', entity_types: ['EMAIL'] }] },
    'supported_entity_types[0].entity_types[0]',
    /unknown entity type "EMAIL"; known are EMAIL_ADDRESS/,
  ],
  [
    { supported_entity_types: [{ name: 'X', entity_types: ['jwt'] }] },
    'supported_entity_types[0].entity_types[0]',
    /must be uppercase: "jwt"/,
  ],
  [
    { supported_entity_types: [{ name: 'contact', entity_types: ['JWT'] }] },
    'supported_entity_types[0].name',
    /must be uppercase: "contact"/,
  ],
  [{ ...rule('JWT'), score_threshold: 1.5 }, 'score_threshold', /between 0 and 1/],
  [{ custom_entity_types: [{ name: 'A' }] }, 'custom_entity_types[0]', /missing regex or deny_list/],
  [{ custom_entity_types: [{ name: 'A', regex: '(?=a)b' }] }, 'custom_entity_types[0].regex', /position 0/],
  [{ custom_entity_types: [{ name: 'A', regex: 'ab(c' }] }, 'custom_entity_types[0].regex', /missing closing \)/],
  [{ custom_entity_types: [{ name: 'A', deny_list: ['x', ' '] }] }, 'custom_entity_types[0].deny_list[1]', /is empty/],
  [{ custom_entity_types: [{ name: 'A', regex: 'a', score: 2 }] }, 'custom_entity_types[0].score', /between 0 and 1/],
  [
    { custom_entity_types: [{ name: 'A', regex: 'a', score: 0.2 }] },
    'custom_entity_types[0].score',
    /nothing would be masked/,
  ],
  [{ custom_entity_types: [{ name: 'A"B', regex: 'a' }] }, 'custom_entity_types[0].name', /letters A-Z/],
  [{ custom_entity_types: [{ name: '', regex: 'a' }] }, 'custom_entity_types[0].name', /missing name/],
];

t.test('every mistake in a rule is reported with its place [masking-check]', async (t) => {
  for (const [part, path, message] of FAULTS) {
    const faults = checkMasking({ name: 'x', ...part });
    t.equal(faults.length, 1, JSON.stringify(part));
    t.equal(faults[0]?.path, path);
    t.match(faults[0]?.message, message);
  }
  t.same(checkMasking(rule(...BUILT_IN_TYPES, 'SG_FIN')), []);
  t.throws(
    () => createMasker([{ name: 'x', custom_entity_types: [{ name: 'A', regex: '(' }] }]),
    /custom_entity_types\[0\]\.regex/,
  );
});

t.test('each type is found in its forms, and not in what only looks like it [masking-every-type]', async (t) => {
  t.same(ENTITIES.map(([type]) => type).toSorted(), [...BUILT_IN_TYPES].toSorted());
  for (const [type, says, listed, not] of ENTITIES) {
    const random = seeded(type.length);
    const found = listed.length > 0 ? listed : Array.from({ length: 6 }, () => MAKE[type](random));
    t.ok(found.length >= 6 && not.length >= 6, type);
    const only = createMasker([rule(type)]);
    for (const entity of found) {
      const text = says.replace('{}', () => entity);
      t.equal(masked(text, everything), says.replace('{}', `<${type}>`), text);
      t.equal(masked(text, only), says.replace('{}', `<${type}>`), text);
    }
    for (const text of not) t.equal(masked(text, only), text, `${type}: ${text}`);
  }
});

/** Types of which a public validator knows the checksum, with the word that they may need. */
const ORACLES: readonly (readonly [type: BuiltInType, country: string, number: string, word: string])[] = [
  ['AU_ABN', 'AU', 'abn', 'ABN'],
  ['AU_ACN', 'AU', 'acn', 'ACN'],
  ['AU_TFN', 'AU', 'tfn', 'TFN'],
  ['BR_CPF', 'BR', 'cpf', 'CPF'],
  ['BR_CNPJ', 'BR', 'cnpj', 'CNPJ'],
  ['ES_NIF', 'ES', 'dni', 'DNI'],
  ['ES_NIE', 'ES', 'nie', 'NIE'],
  ['FI_PERSONAL_IDENTITY_CODE', 'FI', 'hetu', 'hetu'],
  ['IN_AADHAAR', 'IN', 'aadhaar', 'Aadhaar'],
  ['IN_GSTIN', 'IN', 'gstin', 'GSTIN'],
  ['IN_VOTER', 'IN', 'epic', 'voter'],
  ['IT_FISCAL_CODE', 'IT', 'codicefiscale', 'codice fiscale'],
  ['IT_VAT_CODE', 'IT', 'iva', 'partita IVA'],
  ['PL_PESEL', 'PL', 'pesel', 'PESEL'],
  ['SG_UEN', 'SG', 'uen', 'UEN'],
  ['TH_TNIN', 'TH', 'idnr', 'Thai id'],
];

t.test('what public validators accept is found, and with one digit changed it is not [masking-oracle]', async (t) => {
  for (const [type, country, number, word] of ORACLES) {
    const accepts = known(country, number);
    const only = createMasker([rule(type)]);
    const random = seeded(type.charCodeAt(0) * 31 + type.length);
    let corrupted = 0;
    for (let i = 0; i < 60; i += 1) {
      const entity = MAKE[type](random);
      t.ok(accepts(entity), `${type} ${entity}`);
      t.equal(masked(`${word} ${entity}`, only), `${word} <${type}>`, `${type} ${entity}`);
      const digits = [...entity.matchAll(/\d/g)].map(({ index }) => index);
      const at = digits[Math.floor(random() * digits.length)] as number;
      const changed = `${entity.slice(0, at)}${(Number(entity[at]) + 1 + Math.floor(random() * 8)) % 10}${entity.slice(at + 1)}`;
      if (changed === entity || accepts(changed)) continue;
      corrupted += 1;
      t.equal(masked(`${word} ${changed}`, only), `${word} ${changed}`, `${type} ${changed}`);
    }
    t.ok(corrupted > 30, `${type}: ${corrupted} corruptions`);
  }
});

t.test(
  'an alias names the same type, the record takes all types but times and web addresses [masking-alias]',
  async (t) => {
    const alias = createMasker([rule('SG_FIN')]);
    t.same(alias.types, ['SG_NRIC_FIN']);
    t.equal(masked('see T0727468D', alias), 'see <SG_NRIC_FIN>');
    t.same(
      BUILT_IN_TYPES.filter((type) => !RECORD_TYPES.includes(type)),
      ['URL', 'DATE_TIME'],
    );
    const text = 'at 2024-01-02T03:04:05Z see https://example.com/a';
    t.equal(masked(text), text);
    t.equal(masked(text, everything), 'at <DATE_TIME> see <URL>');
  },
);

const PIECES: readonly string[] = [
  ...ENTITIES.flatMap(([, , found, not]) => [...found.slice(0, 3), ...not.slice(0, 3)]),
  ...ENTITIES.map(([type]) => MAKE[type](seeded(3))),
  'password',
  'api_key=',
  'PASSWORD: ',
  'bearer ',
  'www.',
  'https://',
  'NHS ',
  'passport',
  'bank ',
  'vehicle',
  'sk-',
  'ghp_',
  '12/',
  'May 1',
  '주민 ',
];
const BETWEEN = [
  '',
  ' ',
  '-',
  '.',
  ':',
  '/',
  '=',
  '"',
  "'",
  '\\',
  '\n',
  '\\n',
  '\t',
  '\u200b',
  '\u2010',
  '：',
  '＝',
  '＂',
  '！',
  'n',
  'é',
  '日',
  '!',
  ', ',
];
const texts = fc
  .array(fc.tuple(fc.constantFrom(...BETWEEN), fc.constantFrom(...PIECES), fc.constantFrom(...BETWEEN)), {
    minLength: 1,
    maxLength: 4,
  })
  .map((parts) => parts.flat().join(''));
const slashed = (json: string, on: boolean): string => (on ? json.replaceAll('/', '\\/') : json);
const messages = fc
  .tuple(fc.dictionary(fc.constantFrom(...PIECES, 'a'), texts, { maxKeys: 3 }), fc.boolean(), fc.boolean())
  .map(([value, nested, slashes]) => {
    const content = nested ? { text: slashed(JSON.stringify(value), slashes) } : value;
    return slashed(JSON.stringify({ jsonrpc: '2.0', id: 1, result: { structuredContent: content } }), slashes);
  });

t.test('the first pass misses nothing of any type that a closer look finds [masking-gate-exact]', async (t) => {
  const low = [{ ...rule(...BUILT_IN_TYPES), score_threshold: 0.2 }];
  const one = BUILT_IN_TYPES.map((type) => [rule(type)]);
  for (const [i, rules] of [[rule(...BUILT_IN_TYPES)], [rule(...RECORD_TYPES)], low, ...one].entries()) {
    const gated = createMasker(rules);
    const detector = new Detector(rules);
    fc.assert(
      fc.property(messages, (json) => gated.mask(json).json === walk(json, detector).json),
      { numRuns: Number(process.env['MASKING_RUNS'] ?? (i < 3 ? 400 : 60)) },
    );
  }
  t.pass();
});

const HOSTILE = [
  'a1',
  '1a',
  'a1 ',
  'sk-',
  'ghp_',
  'github_pat_',
  'xoxb-',
  'http://',
  'www.',
  'a-',
  'aa-',
  'aa:',
  '1/',
  '1:',
  'May 1',
  '12 34 56 ',
  '12.345.678/',
  'AB 12 ',
  'password=',
  'password="',
  '!a1',
  '= ',
  ':"',
  'api_key=a1',
  'é1a',
  '2024-',
  '123 ',
];

t.test('the work grows in step with the text, whatever types are asked for [masking-linear]', async (t) => {
  const detector = new Detector([{ ...rule(...BUILT_IN_TYPES), score_threshold: 1 }, rule(...BUILT_IN_TYPES)]);
  const original = String.prototype.charCodeAt;
  const work = (text: string): number => {
    const json = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { text } });
    let reads = 0;
    String.prototype.charCodeAt = function (this: string, at: number): number {
      reads += 1;
      return original.call(this, at);
    };
    try {
      walk(json, detector);
    } finally {
      String.prototype.charCodeAt = original;
    }
    return reads;
  };
  for (const piece of HOSTILE) {
    const once = work(piece.repeat(1500));
    const twice = work(piece.repeat(3000));
    t.ok(twice < once * 2.2 + 2000, `${JSON.stringify(piece)}: ${once}, then ${twice}`);
    t.ok(twice < 3000 * (piece.length + 20) * 100, `${JSON.stringify(piece)}: ${twice} in all`);
  }
});
