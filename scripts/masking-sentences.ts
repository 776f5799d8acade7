import { BUILT_IN_TYPES } from '../policies/masking/entities.ts';
import type { BuiltInType } from '../policies/masking/entities.ts';
import { MAKE, fill, pick, seeded } from './masking-samples.ts';
import type { Random } from './masking-samples.ts';

/** What a type is judged by: a checksum or a fixed shape, phone numbers, or the words beside it. */
export type Standard = 'shape' | 'phone' | 'words';

export interface Sample {
  /** A tool's answer, with the entities in it replaced by their types in `expected`. */
  readonly value: unknown;
  readonly expected: unknown;
  readonly types: readonly BuiltInType[];
}

interface Setting {
  /** Sentences around the entity, which is `{}`. */
  readonly says: readonly string[];
  /** Members that hold it. */
  readonly keys: readonly string[];
  readonly standard: Standard;
}

const setting = (standard: Standard, keys: string, ...says: readonly string[]): Setting => ({
  standard,
  keys: keys.split(' '),
  says,
});
const ANYWHERE = ['See {} for details.', 'The answer was {}, as expected.', 'Reported: {}'];

const SETTINGS: Readonly<Record<BuiltInType, Setting>> = {
  EMAIL_ADDRESS: setting('shape', 'email contact value', ...ANYWHERE, 'Write to {}.'),
  PHONE_NUMBER: setting(
    'phone',
    'phone mobile tel',
    'Call {} after six.',
    'Phone: {}',
    'Telefon {}, bitte',
    'My mobile is {}.',
  ),
  CREDIT_CARD: setting('shape', 'card cardNumber value', ...ANYWHERE, 'Paid by card {}.'),
  IBAN_CODE: setting('shape', 'iban account value', ...ANYWHERE, 'Überweisen Sie auf {}.'),
  CRYPTO: setting('shape', 'wallet address value', ...ANYWHERE, 'Send it to the wallet {}.'),
  IP_ADDRESS: setting('shape', 'ip client host', ...ANYWHERE, 'Connection from {} refused'),
  MAC_ADDRESS: setting('shape', 'mac device value', ...ANYWHERE, 'Device {} joined the network.'),
  URL: setting('shape', 'url link homepage', ...ANYWHERE, 'Read {} first.'),
  DATE_TIME: setting('shape', 'created born value', ...ANYWHERE, 'She was born on {}.'),
  JWT: setting('shape', 'token value session', ...ANYWHERE, 'Authorization: Bearer {}'),
  PRIVATE_KEY: setting('shape', 'key pem value', ...ANYWHERE),
  AWS_ACCESS_KEY: setting('shape', 'keyId aws value', ...ANYWHERE, 'export AWS_ACCESS_KEY_ID={}'),
  API_KEY: setting('shape', 'key github value', ...ANYWHERE, 'git clone with {}'),
  PASSWORD: setting(
    'words',
    'password pwd dbPassword',
    'password: {}',
    'PGPASSWORD={}',
    'Das Passwort: {}',
    'db_password="{}"',
  ),
  GENERIC_SECRET: setting(
    'words',
    'secret apiKey client_secret',
    'api_key={}',
    'CLIENT_SECRET="{}"',
    'access_token: {}',
  ),
  US_SSN: setting('shape', 'ssn value taxpayer', ...ANYWHERE, 'His social security number is {}.'),
  US_ITIN: setting('shape', 'itin value', ...ANYWHERE, 'ITIN {} on file'),
  US_PASSPORT: setting('words', 'passport passportNumber', 'US passport {} expires soon.', 'Passport number: {}'),
  US_DRIVER_LICENSE: setting(
    'words',
    'driverLicense driversLicence',
    "Driver's license {} was checked.",
    'DL {} issued in Ohio',
  ),
  US_BANK_NUMBER: setting('words', 'bankAccount bank_account', 'Bank account {} was credited.', 'checking account {}'),
  ABA_ROUTING: setting('shape', 'routingNumber aba', 'Routing number {} of the bank', 'ABA {}'),
  MEDICAL_LICENSE: setting('shape', 'dea deaNumber', 'DEA number {} of the physician', 'The prescriber, licence {}'),
  UK_NHS: setting('shape', 'nhsNumber nhs', 'NHS number {}', 'The patient with NHS no. {} was seen.'),
  UK_NINO: setting('shape', 'nino value', ...ANYWHERE, 'National Insurance number {}.'),
  AU_TFN: setting('shape', 'tfn taxFileTfn', 'TFN {} was declared.', 'His TFN: {}'),
  AU_ABN: setting('shape', 'abn companyAbn', 'ABN {}', 'Invoice of ABN {}.'),
  AU_ACN: setting('shape', 'acn companyAcn', 'ACN {}', 'The company, ACN {}, is registered.'),
  AU_MEDICARE: setting('shape', 'medicare medicareNumber', 'Medicare card {}', 'Medicare: {}'),
  IN_AADHAAR: setting('shape', 'aadhaar aadhaarNumber', 'Aadhaar {} is linked.', 'UIDAI number: {}'),
  IN_PAN: setting('shape', 'pan value', ...ANYWHERE, 'PAN {} of the taxpayer'),
  IN_PASSPORT: setting('words', 'passport passport_no', 'Indian passport {}', 'Passport no. {}'),
  IN_VEHICLE_REGISTRATION: setting(
    'words',
    'vehicle vehicleNumber',
    'The vehicle {} was parked.',
    'Registration {} of the car',
  ),
  IN_VOTER: setting('shape', 'voterId epic', 'Voter id {}', 'EPIC number {} in the roll'),
  IN_GSTIN: setting('shape', 'gstin value', ...ANYWHERE, 'GSTIN {}'),
  IT_FISCAL_CODE: setting('shape', 'codiceFiscale value', ...ANYWHERE, 'Il codice fiscale è {}.'),
  IT_VAT_CODE: setting('shape', 'partitaIva piva', 'Partita IVA {}', 'P. IVA: {}'),
  IT_IDENTITY_CARD: setting(
    'words',
    'cartaIdentita identityCard',
    "Carta d'identità {} rilasciata a Roma",
    'La CIE {} scade domani.',
  ),
  IT_DRIVER_LICENSE: setting('words', 'patente patenteGuida', 'Patente di guida {}', 'La patente: {}'),
  IT_PASSPORT: setting('words', 'passaporto numeroPassaporto', 'Passaporto {} rilasciato', 'Il passaporto: {}'),
  ES_NIF: setting('shape', 'dni nif value', ...ANYWHERE, 'El DNI {} es válido.'),
  ES_NIE: setting('shape', 'nie value', ...ANYWHERE, 'Su NIE: {}'),
  SG_NRIC_FIN: setting('shape', 'nric fin value', ...ANYWHERE, 'NRIC {} was scanned.'),
  SG_UEN: setting('shape', 'uen companyUen', 'UEN {}', 'Registered with ACRA as {}.'),
  BR_CPF: setting('shape', 'cpf clienteCpf', 'CPF {} do cliente', 'O CPF: {}'),
  BR_CNPJ: setting('shape', 'cnpj empresaCnpj', 'CNPJ {} da empresa', 'A empresa, CNPJ: {}'),
  BR_RG: setting('words', 'rg numeroRg', 'RG {} emitido', 'O RG: {}'),
  BR_CNH: setting('shape', 'cnh habilitacao', 'CNH {} do motorista', 'A habilitação: {}'),
  BR_PIS: setting('shape', 'pis pisPasep', 'PIS {} do trabalhador', 'PIS/PASEP: {}'),
  PL_PESEL: setting('shape', 'pesel numerPesel', 'PESEL {}', 'Jego numer PESEL: {}'),
  KR_RRN: setting('shape', 'rrn value', ...ANYWHERE, '주민등록번호 {}'),
  FI_PERSONAL_IDENTITY_CODE: setting('shape', 'hetu value', ...ANYWHERE, 'Henkilötunnus {}'),
  TH_TNIN: setting('shape', 'thaiId citizenId', 'เลขประจำตัวประชาชน {}', 'Thai citizen id {}'),
};

export const standardOf = (type: BuiltInType): Standard => SETTINGS[type].standard;

/** Shapes of what is no entity, filled in as `fill` does. */
const HARMLESS = [
  'order 9999999999',
  'Order number: 899999999',
  'ORD-{2024}-999999',
  'invoice INV-{2024}-9999-999999',
  'PO 8999999 shipped',
  'ticket JIRA-9999',
  'SKU AA-9999-AA',
  'part 9999-999-99',
  'id hhhhhhhh-hhhh-{4}hhh-{a}hhh-hhhhhhhhhhhh',
  `commit ${'h'.repeat(40)}`,
  'merged hhhhhhh into main',
  `sha256:${'h'.repeat(64)}`,
  `md5 ${'h'.repeat(32)}`,
  'etag "hhhhhhhhhhhhhhhh"',
  'at {17}99999999 seconds',
  'ts={17}99999999999',
  'took 9999.999 ms',
  'uptime 99999999 s',
  'version {1}.9.99',
  'v9.9.9-rc.9',
  'Release {2}.9.9.9 is out',
  'node/v{24}.9.9',
  'react@{18}.9.9',
  'USD 9,999.99',
  '€ 8.999,99',
  'total 999999.99',
  '99 % of 99,999,999',
  'ISBN {978}-9-{16}-999999-9',
  'ISBN {3}-{16}-999999-9',
  '{52}.999999, {13}.999999',
  '-{33}.9999 {151}.9999',
  'row 99999999 of 999999999',
  'offset 8999999999 bytes',
  'pid 99999, port {8}999',
  '{0x}hhhhhhhh',
  'colour #hhhhhh',
  'pod web-hhhhhhhhhh-aaaaa',
  'image app@sha256:' + 'h'.repeat(64),
  'tracking {1Z}999AA9999999999',
  'flight AA 999, seat 99A',
  'page 99-999',
  'rows 899 999 999 scanned',
  '9 9 9 9 9 9 9 9 9',
  '9x9x9',
  'range 9999-9999',
  'checksum 9999999999999999999999',
  'line 99:',
  'serial AA9999AA9999',
  'model XY-999-Z9',
].map((shape) => shape.replaceAll(/[a-zA-Z][a-zA-Z0-9]*/g, literally));

/** Words of a template stay as they are: only its runs of one placeholder are filled. */
function literally(word: string): string {
  return /^(?:h+|A+|a+|\d+[A-Z]?|A+\d+A*\d*|Z\d)$/.test(word) && word !== 'a'
    ? word
    : word.replaceAll(/[A9a8h]/g, (char) => `{${char}}`);
}

const PADDING = ['', 'Hello. ', 'Note: ', 'On Monday, ', 'status ok; '];

/** The same samples for the same seed: `each` of every type, half in sentences and half in records, and harmless ones. */
export function samples(seed: number, each: number, harmless: number): readonly Sample[] {
  const random = seeded(seed);
  const out: Sample[] = [];
  for (const type of BUILT_IN_TYPES) for (let i = 0; i < each; i += 1) out.push(sampleOf(type, random, i));
  for (let i = 0; i < harmless; i += 1) {
    const text = pick(random, PADDING) + fill(random, HARMLESS[i % HARMLESS.length] as string);
    const value = i % 3 === 0 ? { rows: [{ value: text, n: Math.floor(random() * 1e6) }] } : text;
    out.push({ value, expected: value, types: [] });
  }
  return out;
}

function sampleOf(type: BuiltInType, random: Random, i: number): Sample {
  const entity = MAKE[type](random);
  const { says, keys } = SETTINGS[type];
  const place = (text: string): unknown => {
    if (i % 2 === 0) return text;
    return { id: i, rows: [{ [keys[(i >> 1) % keys.length] as string]: text, state: 'ok', n: 12.5 }] };
  };
  // A record's value is the entity alone.
  const frame = i % 2 === 0 ? pick(random, PADDING) + (says[(i >> 1) % says.length] as string) : '{}';
  return {
    value: place(frame.replace('{}', () => entity)),
    expected: place(frame.replace('{}', `<${type}>`)),
    types: [type],
  };
}
