import { isDay, isItalianVat } from './checksums.ts';

/** Checksums of numbers that hold letters. All take capital letters and digits, without separators, in the right shape. */

const SPANISH = 'TRWAGMYFPDXBNJZSQVHLCKE';

/** Eight digits and the letter of their rest by 23. */
export const isNif = (text: string): boolean => SPANISH[Number(text.slice(0, 8)) % 23] === text[8];

/** X, Y or Z stand for 0, 1 and 2. */
export const isNie = (text: string): boolean =>
  SPANISH[Number(`${'XYZ'.indexOf(text[0] as string)}${text.slice(1, 8)}`) % 23] === text[8];

function weighted(text: string, weights: readonly number[], from = 0): number {
  let sum = 0;
  for (let i = 0; i < weights.length; i += 1) sum += Number(text[from + i]) * (weights[i] as number);
  return sum;
}

/** Singapore's identity cards and foreign identification numbers. */
export function isNric(text: string): boolean {
  const series = text[0] as string;
  const offset = series === 'T' || series === 'G' ? 4 : series === 'M' ? 3 : 0;
  const rest = (weighted(text, [2, 7, 6, 5, 4, 3, 2], 1) + offset) % 11;
  if (series === 'M') return 'KLJNPQRTUWX'[10 - rest] === text[8];
  return (series === 'S' || series === 'T' ? 'JZIHGFEDCBA' : 'XWUTRQPNMLK')[rest] === text[8];
}

/** Businesses of Singapore: nine units. */
export const isUenBusiness = (text: string): boolean =>
  'XMKECAWLJDB'[weighted(text, [10, 4, 9, 3, 8, 2, 7, 1]) % 11] === text[8];

/** Local companies of Singapore: a year, five digits and a letter. */
export const isUenCompany = (text: string): boolean => {
  const year = Number(text.slice(0, 4));
  return year >= 1800 && year < 2100 && 'ZKCMDNERGWH'[weighted(text, [10, 8, 6, 4, 9, 7, 5, 3, 1]) % 11] === text[9];
};

const UEN = 'ABCDEFGHJKLMNPQRSTUVWX0123456789';
const UEN_WEIGHTS = [4, 3, 5, 3, 10, 2, 2, 5, 7];

/** Other entities of Singapore, such as T08LL0001A. */
export function isUenOther(text: string): boolean {
  let sum = 0;
  for (let i = 0; i < 9; i += 1) {
    const value = UEN.indexOf(text[i] as string);
    if (value < 0) return false;
    sum += value * (UEN_WEIGHTS[i] as number);
  }
  return UEN[(((sum - 5) % 11) + 11) % 11] === text[9];
}

const base36 = (char: string): number => Number.parseInt(char, 36);

/** India's goods and services tax number: state, PAN, entity, Z, checksum over base 36. */
export function isGstin(text: string): boolean {
  const state = Number(text.slice(0, 2));
  if (!((state >= 1 && state <= 38) || state === 97 || state === 99)) return false;
  let sum = 0;
  for (let i = 0; i < 14; i += 1) {
    const product = base36(text[i] as string) * (i % 2 === 0 ? 1 : 2);
    sum += Math.floor(product / 36) + (product % 36);
  }
  return (36 - (sum % 36)) % 36 === base36(text[14] as string);
}

const FISCAL = /^[A-Z]{6}[\dLMNP-V]{2}[A-EHLMPRST][\dLMNP-V]{2}[A-Z][\dLMNP-V]{3}[A-Z]$/;
const OMOCODE = 'LMNPQRSTUV';
const ODD = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];

/** Italy's fiscal code: its shape, a birth date, and the letter that checks it; letters may stand for digits. */
export function isFiscalCode(text: string): boolean {
  if (!FISCAL.test(text)) return false;
  const digit = (i: number): number => {
    const place = OMOCODE.indexOf(text[i] as string);
    return place < 0 ? Number(text[i]) : place;
  };
  const day = (digit(9) * 10 + digit(10)) % 40;
  if (day < 1 || day > 31) return false;
  let sum = 0;
  for (let i = 0; i < 15; i += 1) {
    const c = text.charCodeAt(i);
    const value = c < 0x41 ? c - 0x30 : c - 0x41;
    sum += i % 2 === 0 ? (ODD[value] as number) : value;
  }
  return text.charCodeAt(15) - 0x41 === sum % 26;
}

/** Finland's personal identity code: birth date, century sign, serial, rest by 31. */
export function isHetu(text: string): boolean {
  if (!isDay(Number(text.slice(2, 4)), Number(text.slice(0, 2)))) return false;
  const serial = text.slice(7, 10);
  if (Number(serial) < 2) return false;
  return '0123456789ABCDEFHJKLMNPRSTUVWXY'[Number(text.slice(0, 6) + serial) % 31] === text[10];
}

const STATES = new Set(
  'AN AP AR AS BH BR CG CH DD DL DN GA GJ HP HR JH JK KA KL LA LD MH ML MN MP MZ NL OD OR PB PY RJ SK TN TR TS UK UP WB'.split(
    ' ',
  ),
);

/** Registered in a state or territory of India. */
export const isIndianPlate = (text: string): boolean => STATES.has(text.slice(0, 2)) && !text.endsWith('0000');

/** `IT` and a valid Italian VAT number. */
export const isItalianVatToken = (text: string): boolean => isItalianVat(Array.from(text.slice(2), Number));
