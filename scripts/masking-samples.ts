import { createHash } from 'node:crypto';
import { stdnum } from 'stdnum';
import type { BuiltInType } from '../policies/masking/entities.ts';

/** A source of numbers that gives the same ones for the same seed. */
export type Random = () => number;

/** Mulberry32. */
export function seeded(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;

const ALPHABETS: Readonly<Record<string, string>> = {
  '9': '0123456789',
  '8': '123456789',
  A: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ',
  a: 'abcdefghijklmnopqrstuvwxyz',
  h: '0123456789abcdef',
  '*': 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789',
};

/** Fills in a shape: 9 a digit, 8 one but 0, A and a a letter, h a hexadecimal digit, * any of them; `{x}` stands for x itself. */
export function fill(random: Random, shape: string): string {
  return shape.replaceAll(/\{([^}]*)\}|([98Aah*])/g, (_, literal: string | undefined, kind: string) =>
    literal === undefined ? pick(random, [...(ALPHABETS[kind] as string)]) : literal,
  );
}

/** Fills in one of the shapes again and again until the result is valid. */
function valid(random: Random, shapes: readonly string[], holds: (text: string) => boolean): string {
  for (let i = 0; i < 200_000; i += 1) {
    const text = fill(random, pick(random, shapes));
    if (holds(text)) return text;
  }
  throw new Error(`nothing valid of the shapes ${shapes.join(', ')}`);
}

const digitsOf = (text: string): number[] => Array.from(text.replaceAll(/\D/g, ''), Number);
const sum = (text: string, weights: readonly number[]): number =>
  weights.reduce((all, weight, i) => all + weight * (digitsOf(text)[i] as number), 0);
const last = (text: string): number => digitsOf(text).at(-1) as number;
const luhn = (text: string): boolean =>
  digitsOf(text)
    .toReversed()
    .reduce((all, digit, i) => all + (i % 2 === 0 ? digit : digit * 2 - (digit > 4 ? 9 : 0)), 0) %
    10 ===
  0;

/** What the public validator of a country's number says. */
export function known(country: string, number: string): (text: string) => boolean {
  const validator = stdnum[country]?.[number];
  if (validator === undefined) throw new Error(`stdnum knows no ${country} ${number}`);
  return (text) => validator.validate(text).isValid;
}

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();

function bitcoin(random: Random): string {
  const body = Buffer.from([pick(random, [0, 5]), ...Array.from({ length: 20 }, () => Math.floor(random() * 256))]);
  const bytes = Buffer.concat([body, sha256(sha256(body)).subarray(0, 4)]);
  let value = BigInt(`0x${bytes.toString('hex')}`);
  let text = '';
  for (; value > 0n; value /= 58n) text = (BASE58[Number(value % 58n)] as string) + text;
  return (body[0] === 0 ? '1' : '') + text;
}

function iban(random: Random): string {
  const [country, shape] = pick(random, [
    ['DE', '999999999999999999'],
    ['GB', 'AAAA99999999999999'],
    ['FR', '99999999999A99999999999'],
    ['NL', 'AAAA9999999999'],
    ['ES', '99999999999999999999'],
    ['PL', '999999999999999999999999'],
  ] as const);
  const body = fill(random, shape);
  const digits = Array.from(`${body}${country}00`, (char) => Number.parseInt(char, 36)).join('');
  const bare = `${country}${String(98n - (BigInt(digits) % 97n)).padStart(2, '0')}${body}`;
  return random() < 0.5 ? bare : (bare.match(/.{1,4}/g) as string[]).join(' ');
}

const segment = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const NAMES = ['jane.doe', 'bob', 'maria-lopez', 'o.brien', 'sales+eu', 'k_tanaka'];
const DOMAINS = ['example.com', 'example.co.uk', 'mail.example.org', 'example.com.br'];

/** How one entity of each type is made. What the public validators know is checked by them, not by the recognisers under test. */
export const MAKE: Readonly<Record<BuiltInType, (random: Random) => string>> = {
  EMAIL_ADDRESS: (r) => `${pick(r, NAMES)}${fill(r, pick(r, ['', '9', '99']))}@${pick(r, DOMAINS)}`,
  PHONE_NUMBER: (r) => fill(r, pick(r, PHONES)),
  CREDIT_CARD: (r) =>
    valid(
      r,
      [
        '4999999999999999',
        '{5}{1}99 9999 9999 9999',
        '4999-9999-9999-9999',
        '{37}99 999999 99999',
        '{6011}999999999999',
      ],
      luhn,
    ),
  IBAN_CODE: iban,
  CRYPTO: (r) => (r() < 0.7 ? bitcoin(r) : fill(r, `{0x}${'h'.repeat(40)}`)),
  IP_ADDRESS: (r) =>
    r() < 0.7
      ? [10 + Math.floor(r() * 200), ...[1, 2, 3].map(() => Math.floor(r() * 256))].join('.')
      : fill(r, '{2001:db8}:hhhh:hhhh::hhhh:hhhh'),
  MAC_ADDRESS: (r) => {
    const separator = pick(r, [':', '-']);
    return ['{0a}', 'hh', 'hh', 'hh', 'hh', 'hh'].map((pair) => fill(r, pair)).join(separator);
  },
  URL: (r) =>
    `${pick(r, ['https://', 'http://', 'ftp://', 'https://www.', 'www.'])}${pick(r, DOMAINS)}${pick(r, ['', '/a/b', '/x?y=1&z=2', '/path/#top'])}`,
  DATE_TIME: (r) => {
    const [day, month] = [1 + Math.floor(r() * 28), 1 + Math.floor(r() * 12)].map((n) => String(n).padStart(2, '0'));
    const year = 1950 + Math.floor(r() * 90);
    const name = pick(r, ['January', 'March', 'May', 'Juli', 'octobre', 'septiembre', 'Dec']);
    return pick(r, [
      `${year}-${month}-${day}`,
      `${year}-${month}-${day}T10:${day}:59Z`,
      `${day}/${month}/${year}`,
      `${day}.${month}.${year}`,
      `${Number(day)} ${name} ${year}`,
      `${name} ${Number(day)}, ${year}`,
    ]);
  },
  JWT: (r) =>
    `${segment({ alg: 'HS256', typ: 'JWT' })}.${segment({ sub: fill(r, '999999') })}.${fill(r, '*'.repeat(43))}`,
  PRIVATE_KEY: (r) =>
    `-----BEGIN PRIVATE KEY-----\n${fill(r, '*'.repeat(64))}\n${fill(r, '*'.repeat(40))}\n-----END PRIVATE KEY-----`,
  AWS_ACCESS_KEY: (r) => fill(r, pick(r, ['{AKIA}', '{ASIA}'])) + fill(r, 'AAAA9AAAA9AAAA99'),
  API_KEY: (r) =>
    pick(r, ['ghp_', 'gho_', 'npm_']) === 'npm_'
      ? `npm_${fill(r, '*'.repeat(36))}`
      : pick(r, [
          `ghp_${fill(r, '*'.repeat(36))}`,
          `github_pat_${fill(r, '*'.repeat(22))}_${fill(r, '*'.repeat(59))}`,
          `glpat-${fill(r, '*'.repeat(20))}`,
          `xoxb-${fill(r, '99999999999-99999999999-')}${fill(r, '*'.repeat(24))}`,
          `sk_live_${fill(r, '*'.repeat(24))}`,
          `sk-proj-${fill(r, '*'.repeat(48))}`,
          `sk-ant-api03-${fill(r, '*'.repeat(60))}`,
          `AIza${fill(r, '*'.repeat(35))}`,
        ]),
  PASSWORD: (r) => fill(r, pick(r, ['aaaa99aaA', 'Aaaaaa9999{!}', '*9a**A****'])),
  GENERIC_SECRET: (r) => fill(r, pick(r, [`9a${'*'.repeat(30)}`, 'h9hah9h9hah9hhh9hahhh9hhh9hhhhhh'])),
  US_SSN: (r) => valid(r, ['999-99-9999'], known('US', 'ssn')),
  US_ITIN: (r) => fill(r, '{9}99-{7}9-9999').replace(/-79-/, '-78-'),
  US_PASSPORT: (r) => fill(r, pick(r, ['899999999', 'A99999999'])),
  US_DRIVER_LICENSE: (r) => fill(r, pick(r, ['A9999999', 'A99999999', 'A999999999999', 'A99999999999999'])),
  US_BANK_NUMBER: (r) => fill(r, pick(r, ['8999999999', '899999999999', '89999999999'])),
  ABA_ROUTING: (r) =>
    valid(r, ['{0}99999999', '{1}{1}9999999'], (text) => sum(text, [3, 7, 1, 3, 7, 1, 3, 7, 1]) % 10 === 0),
  MEDICAL_LICENSE: (r) =>
    valid(
      r,
      ['{A}A9999999', '{B}A9999999', '{M}A9999999'],
      (text) => (sum(text, [1, 2, 1, 2, 1, 2]) - last(text)) % 10 === 0,
    ),
  UK_NHS: (r) =>
    valid(
      r,
      ['499 999 9999', '6999999999', '799 999 9999'],
      (text) => sum(text, [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]) % 11 === 0,
    ),
  UK_NINO: (r) =>
    valid(
      r,
      ['AA999999A', 'AA 99 99 99 A'],
      (text) => known('GB', 'nino')(text) && /^(?!BG|GB|KN|NK|NT|TN|ZZ)[^DFIQUV][^DFIOQUV].*[A-D]$/.test(text),
    ),
  AU_TFN: (r) => valid(r, ['899 999 999', '899999999'], known('AU', 'tfn')),
  AU_ABN: (r) => valid(r, ['89 999 999 999', '89999999999'], known('AU', 'abn')),
  AU_ACN: (r) => valid(r, ['999 999 999', '999999999'], known('AU', 'acn')),
  AU_MEDICARE: (r) =>
    valid(
      r,
      ['{2}999 99999 8', '{4}999999998', '{5}999 99999 8'],
      (text) => sum(text, [1, 3, 7, 9, 1, 3, 7, 9]) % 10 === digitsOf(text)[8],
    ),
  IN_AADHAAR: (r) => valid(r, ['8999 9999 9999', '899999999999', '8999-9999-9999'], known('IN', 'aadhaar')),
  IN_PAN: (r) => valid(r, ['AAAAA9999A'], known('IN', 'pan')),
  IN_PASSPORT: (r) => `${pick(r, ['K', 'M', 'P', 'T', 'Z'].slice(0, 4))}${fill(r, '8999998')}`,
  IN_VEHICLE_REGISTRATION: (r) =>
    `${pick(r, ['MH', 'KA', 'DL', 'TN'])}${fill(r, pick(r, ['99AA8999', ' 99 AA 8999', '-99-AA-8999']))}`,
  IN_VOTER: (r) => valid(r, ['AAA9999999'], known('IN', 'epic')),
  IN_GSTIN: (r) =>
    valid(
      r,
      ['{2}9AAA{P}A9999A{1Z}*', '{0}8AAA{C}A9999A{1Z}9'],
      (text) => text === text.toUpperCase() && known('IN', 'gstin')(text),
    ),
  IT_FISCAL_CODE: (r) => valid(r, ['AAAAAA99{A}{1}9A999A', 'AAAAAA99{T}{4}8A999A'], known('IT', 'codicefiscale')),
  IT_VAT_CODE: (r) => valid(r, ['89999990999', '{IT}89999990999'], known('IT', 'iva')),
  IT_IDENTITY_CARD: (r) => fill(r, pick(r, ['{CA}99999AA', 'AA9999999'])),
  IT_DRIVER_LICENSE: (r) => fill(r, pick(r, ['{U1}9A9999*A'.replace('*', '9'), 'A{V}9999999A'])),
  IT_PASSPORT: (r) => fill(r, '{Y}A9999999'),
  ES_NIF: (r) => valid(r, ['99999999A', '99999999-A', '99.999.999-A'], known('ES', 'dni')),
  ES_NIE: (r) => valid(r, ['{X}9999999A', '{Y}-9999999-A', '{Z}9999999A'], known('ES', 'nie')),
  SG_NRIC_FIN: (r) =>
    valid(r, ['{S}9999999A', '{T}9999999A', '{F}9999999A', '{G}9999999A'], (text) => {
      const rest = (sum(text, [2, 7, 6, 5, 4, 3, 2]) + (/^[TG]/.test(text) ? 4 : 0)) % 11;
      return text[8] === (/^[ST]/.test(text) ? 'JZIHGFEDCBA' : 'XWUTRQPNMLK')[rest];
    }),
  SG_UEN: (r) => valid(r, ['99999999A', '{2}{0}{0}999999A', '{T}{0}9AA9999A'], known('SG', 'uen')),
  BR_CPF: (r) => valid(r, ['999.999.999-99', '99999999999'], known('BR', 'cpf')),
  BR_CNPJ: (r) => valid(r, ['99.999.999/{0001}-99', '99999999{0001}99'], known('BR', 'cnpj')),
  BR_RG: (r) => fill(r, pick(r, ['89.999.999-9', '899999999', '89.999.999-{X}'])),
  BR_CNH: (r) => {
    const body = fill(r, '099999999');
    const first = sum(body, [9, 8, 7, 6, 5, 4, 3, 2, 1]) % 11;
    const second = (sum(body, [1, 2, 3, 4, 5, 6, 7, 8, 9]) % 11) - (first === 10 ? 2 : 0);
    const check = second < 0 ? second + 11 : second;
    return `${body}${first % 10}${check > 9 ? 0 : check}`;
  },
  BR_PIS: (r) =>
    valid(
      r,
      ['999.99999.99-9', '99999999999'],
      (text) => ((sum(text, [3, 2, 9, 8, 7, 6, 5, 4, 3, 2]) * 10) % 11) % 10 === last(text),
    ),
  PL_PESEL: (r) => valid(r, ['999{1}{2}999999', '89{0}{5}{1}999999'], known('PL', 'pesel')),
  KR_RRN: (r) => valid(r, ['99{0}8{1}8-{1}999999', '99{0}8{2}8-{2}999999'], known('KR', 'rrn')),
  FI_PERSONAL_IDENTITY_CODE: (r) =>
    valid(r, ['{1}8{0}899-999A', '{2}8{0}8{0}9A999A', '{1}8{0}899-9999'], known('FI', 'hetu')),
  TH_TNIN: (r) => valid(r, ['{1}-9999-99999-99-9', '{3}999999999999'], known('TH', 'idnr')),
};

/** Of twelve countries, as they are written at home and abroad. */
const PHONES = [
  '{+1} {4}15-{5}55-9999',
  '({4}15) {5}55-9999',
  '{4}15-{5}55-9999',
  '{+44} {20} 7999 9999',
  '{020} 7999 9999',
  '{07}999 999999',
  '{+49} {30} 89999999',
  '{030} 89999999',
  '{0151}-89999999',
  '{+33} {6} 99 99 99 99',
  '{06} 99 99 99 99',
  '{+34} {6}99 999 999',
  '{+39} {347} 9999999',
  '{06} 8999 9999',
  '{+55} ({11}) {9}9999-9999',
  '({11}) {9}9999-9999',
  '{+91} {9}9999 99999',
  '{+61} {4}99 999 999',
  '{04}99 999 999',
  '{+81} {90}-9999-9999',
  '{090}-9999-9999',
  '{+86} {138} 9999 9999',
  '{+48} {5}99 999 999',
  '{+31} {6} 89999999',
  '{06}-89999999',
];
