import type { BuiltInType } from './entities.ts';

/** Bits of what words speak of; one integer holds them all. */
const PHONE = 1 << 0;
const CARD = 1 << 1;
const TAX = 1 << 2;
const AWS = 1 << 3;
export const VERSION_CONTEXT = 1 << 4;
const PASSPORT = 1 << 5;
const DRIVER = 1 << 6;
const BANK = 1 << 7;
const ROUTING = 1 << 8;
const MEDICAL = 1 << 9;
const NHS = 1 << 10;
const NINO = 1 << 11;
const TFN = 1 << 12;
const COMPANY = 1 << 13;
const MEDICARE = 1 << 14;
const AADHAAR = 1 << 15;
const PAN = 1 << 16;
const VEHICLE = 1 << 17;
const VOTER = 1 << 18;
const VAT = 1 << 19;
const IDENTITY = 1 << 20;
const SPAIN = 1 << 21;
const SINGAPORE = 1 << 22;
const CPF = 1 << 23;
const PIS = 1 << 24;
const RG = 1 << 25;
const PESEL = 1 << 26;
const KOREA = 1 << 27;
const FINLAND = 1 << 28;
const THAILAND = 1 << 29;
const SECRET = 1 << 30;
const PASSWORD = 1 << 31;

/** What may stand inside of a word as well: `cellphone`, `creditcard`. */
export const INSIDE = PHONE | CARD;

/** Bits of the words that speak for a type; 0 for types that need none. */
export const CONTEXT_OF: Readonly<Record<BuiltInType, number>> = {
  EMAIL_ADDRESS: 0,
  PHONE_NUMBER: PHONE,
  CREDIT_CARD: CARD,
  IBAN_CODE: 0,
  CRYPTO: 0,
  IP_ADDRESS: 0,
  MAC_ADDRESS: 0,
  URL: 0,
  DATE_TIME: 0,
  JWT: 0,
  PRIVATE_KEY: 0,
  AWS_ACCESS_KEY: AWS,
  API_KEY: 0,
  PASSWORD,
  GENERIC_SECRET: SECRET,
  US_SSN: TAX,
  US_ITIN: TAX,
  US_PASSPORT: PASSPORT,
  US_DRIVER_LICENSE: DRIVER,
  US_BANK_NUMBER: BANK,
  ABA_ROUTING: ROUTING,
  MEDICAL_LICENSE: MEDICAL,
  UK_NHS: NHS,
  UK_NINO: NINO,
  AU_TFN: TFN,
  AU_ABN: COMPANY,
  AU_ACN: COMPANY,
  AU_MEDICARE: MEDICARE,
  IN_AADHAAR: AADHAAR,
  IN_PAN: PAN,
  IN_PASSPORT: PASSPORT,
  IN_VEHICLE_REGISTRATION: VEHICLE,
  IN_VOTER: VOTER,
  IN_GSTIN: 0,
  IT_FISCAL_CODE: 0,
  IT_VAT_CODE: VAT,
  IT_IDENTITY_CARD: IDENTITY,
  IT_DRIVER_LICENSE: DRIVER,
  IT_PASSPORT: PASSPORT,
  ES_NIF: SPAIN,
  ES_NIE: SPAIN,
  SG_NRIC_FIN: SINGAPORE,
  SG_UEN: SINGAPORE,
  BR_CPF: CPF,
  BR_CNPJ: CPF,
  BR_RG: RG,
  BR_CNH: DRIVER,
  BR_PIS: PIS,
  PL_PESEL: PESEL,
  KR_RRN: KOREA,
  FI_PERSONAL_IDENTITY_CODE: FINLAND,
  TH_TNIN: THAILAND,
};

/** Whole words of ASCII letters, lower case. */
export const WORDS: readonly (readonly [bits: number, words: string])[] = [
  [
    PHONE,
    'tel fax sms cell call called contact contacts whatsapp telefon telefono telefone fono msisdn dial gsm rufnummer handynummer',
  ],
  [CARD, 'cc amex maestro'],
  [CARD | PAN, 'pan'],
  [TAX, 'ssn ssns tin tins itin itins'],
  [AWS, 'aws iam access accesskey'],
  [VERSION_CONTEXT, 'ver v'],
  [DRIVER, 'dl dln cnh guida conducir'],
  [BANK, 'bank acct checking savings ach'],
  [ROUTING, 'aba rtn routing transit fedwire'],
  [MEDICAL, 'dea npi physician doctor'],
  [NHS, 'nhs'],
  [NINO, 'nino ni nin'],
  [TFN, 'tfn'],
  [COMPANY, 'abn acn'],
  [MEDICARE, 'medicare irn'],
  [AADHAAR, 'uid uidai vid'],
  [PAN, 'gst'],
  [VEHICLE, 'rto plate plates car cars'],
  [VOTER, 'epic eci'],
  [VAT, 'iva piva vat'],
  [IDENTITY, 'cie carta'],
  [SPAIN, 'dni nif nie nies'],
  [SINGAPORE, 'nric fin uen acra wp'],
  [CPF, 'cpf cnpj contribuinte'],
  [PIS, 'pis pasep nis nit'],
  [RG, 'rg'],
  [PESEL, 'pesel'],
  [KOREA, 'rrn jumin'],
  [FINLAND, 'hetu'],
  [THAILAND, 'thai tnin'],
  [SECRET, 'api apikey bearer'],
  [PASSWORD, 'pwd senha'],
];

/** Beginnings of words, at least four letters each. */
export const BEGINNINGS: readonly (readonly [bits: number, beginnings: string])[] = [
  [PHONE, 'phon mobi celul telephon'],
  [CARD, 'card debi visa paym'],
  [CARD | AWS | SECRET, 'cred'],
  [TAX, 'soci taxp'],
  [AWS, 'amaz'],
  [AWS | SECRET, 'secr'],
  [VERSION_CONTEXT, 'vers rele buil firm'],
  [PASSPORT, 'passport passap pasapo reisep passepo'],
  [DRIVER, 'driv paten habilita condu'],
  [DRIVER | MEDICAL, 'licen'],
  [MEDICAL, 'medical prescri practit'],
  [NHS, 'patient'],
  [NINO, 'insur national'],
  [COMPANY, 'austral'],
  [AADHAAR, 'aadha adhaa'],
  [VEHICLE, 'vehic regis'],
  [VOTER, 'voter elect'],
  [VAT, 'partit'],
  [IDENTITY, 'identi'],
  [SPAIN, 'document'],
  [SINGAPORE, 'singap'],
  [RG, 'identid'],
  [KOREA, 'resident korea'],
  [FINLAND, 'henkil finnis'],
  [THAILAND, 'citizen'],
  [SECRET, 'token'],
  [PASSWORD, 'passwo passwd passph passco kennwor contras'],
];

/** Words of other scripts, and with letters beyond ASCII, found anywhere. */
export const FOREIGN: readonly (readonly [bits: number, words: string])[] = [
  [PHONE, '电话 電話 手机 携帯 전화 телефон тел. โทร'],
  [KOREA, '주민'],
  [THAILAND, 'ประชาชน ประจำตัว'],
  [PASSPORT, '护照 паспорт'],
];
