import { isAlnum, joinedBefore } from '../characters.ts';
import * as sums from '../checksums.ts';
import type { Digits } from '../checksums.ts';
import { DASH, DOT, SPACE } from '../digits.ts';
import type { DigitGroups } from '../digits.ts';
import type { BuiltInType, Sink } from '../entities.ts';

const MOST_DIGITS = 17;
const MOST_GROUPS = 5;
const SLASH = 0x2f;

interface Form {
  readonly type: BuiltInType;
  readonly score: number;
  readonly holds?: (digits: Digits) => boolean;
  /** The separators between the groups, in order; any single one of space, hyphen and full stop without. */
  readonly gaps?: string;
}

/** Sizes of groups to what such groups may be: `9` is nine bare digits. A checksum of one digit lets every tenth number pass, so bare ones need a word nearby. */
const FORMS: readonly (readonly [sizes: readonly number[], ...forms: readonly Form[]])[] = [
  [[8], { type: 'AU_TFN', score: 0.2, holds: sums.isOldTfn }],
  [
    [9],
    { type: 'ABA_ROUTING', score: 0.3, holds: sums.isAbaRouting },
    { type: 'AU_TFN', score: 0.3, holds: sums.isTfn },
    { type: 'AU_ACN', score: 0.3, holds: sums.isAcn },
    { type: 'US_ITIN', score: 0.25, holds: sums.isItin },
    { type: 'US_PASSPORT', score: 0.2 },
    { type: 'US_DRIVER_LICENSE', score: 0.15 },
    { type: 'BR_RG', score: 0.2 },
  ],
  [
    [10],
    { type: 'UK_NHS', score: 0.3, holds: sums.isNhs },
    { type: 'AU_MEDICARE', score: 0.3, holds: sums.isMedicare },
  ],
  [
    [11],
    { type: 'BR_CPF', score: 0.4, holds: sums.isCpf },
    { type: 'AU_ABN', score: 0.4, holds: sums.isAbn },
    { type: 'PL_PESEL', score: 0.4, holds: sums.isPesel },
    { type: 'BR_CNH', score: 0.35, holds: sums.isCnh },
    { type: 'BR_PIS', score: 0.3, holds: sums.isPis },
    { type: 'IT_VAT_CODE', score: 0.3, holds: sums.isItalianVat },
  ],
  [[12], { type: 'IN_AADHAAR', score: 0.35, holds: sums.isAadhaar }],
  [
    [13],
    { type: 'TH_TNIN', score: 0.35, holds: sums.isThai },
    { type: 'KR_RRN', score: 0.35, holds: sums.isCheckedKorean },
    { type: 'KR_RRN', score: 0.2, holds: sums.isKorean },
  ],
  [[14], { type: 'BR_CNPJ', score: 0.4, holds: sums.isCnpj }],
  [
    [3, 2, 4],
    { type: 'US_ITIN', score: 0.65, holds: sums.isItin, gaps: '--' },
    { type: 'US_ITIN', score: 0.5, holds: sums.isItin },
  ],
  [[3, 3, 3], { type: 'AU_TFN', score: 0.4, holds: sums.isTfn }, { type: 'AU_ACN', score: 0.4, holds: sums.isAcn }],
  [
    [3, 3, 4],
    { type: 'UK_NHS', score: 0.5, holds: sums.isNhs, gaps: '  ' },
    { type: 'UK_NHS', score: 0.4, holds: sums.isNhs },
  ],
  [[4, 5, 1], { type: 'AU_MEDICARE', score: 0.6, holds: sums.isMedicare }],
  [[2, 3, 3, 3], { type: 'AU_ABN', score: 0.65, holds: sums.isAbn }],
  [[4, 4, 4], { type: 'IN_AADHAAR', score: 0.55, holds: sums.isAadhaar }],
  [
    [3, 3, 3, 2],
    { type: 'BR_CPF', score: 0.85, holds: sums.isCpf, gaps: '..-' },
    { type: 'BR_CPF', score: 0.55, holds: sums.isCpf },
  ],
  [[9, 2], { type: 'BR_CPF', score: 0.6, holds: sums.isCpf, gaps: '-' }],
  [[3, 5, 2, 1], { type: 'BR_PIS', score: 0.75, holds: sums.isPis }],
  [[2, 3, 3, 1], { type: 'BR_RG', score: 0.4, gaps: '..-' }],
  [
    [6, 7],
    { type: 'KR_RRN', score: 0.92, holds: sums.isCheckedKorean, gaps: '-' },
    { type: 'KR_RRN', score: 0.5, holds: sums.isKorean, gaps: '-' },
  ],
  [[1, 4, 5, 2, 1], { type: 'TH_TNIN', score: 0.75, holds: sums.isThai }],
];
const BANK_SIZES = [8, 9, 10, 11, 12, 13, 14, 15, 16, 17];

/** Offers the numbers of a country's people and companies in groups of digits. */
export type NationalNumbers = (text: string, groups: DigitGroups, sink: Sink) => void;

/** One table by the sizes of groups for all types asked for; undefined when there are none. */
export function compileNationalNumbers(wants: (type: BuiltInType) => boolean): NationalNumbers | undefined {
  const table = new Map<number, readonly Form[]>();
  for (const [sizes, ...forms] of FORMS)
    add(
      table,
      sizes,
      forms.filter(({ type }) => wants(type)),
    );
  if (wants('US_BANK_NUMBER'))
    for (const size of BANK_SIZES) add(table, [size], [{ type: 'US_BANK_NUMBER', score: 0.18 }]);
  const cnpj = wants('BR_CNPJ');
  if (table.size === 0) return undefined;
  const digits = new Uint8Array(MOST_DIGITS);
  return (text, groups, sink) => {
    for (let first = 0; first < groups.count; first += 1) {
      if (joinedBefore(text, groups.start(first))) continue;
      let code = 0;
      let count = 0;
      for (let last = first; last < groups.count && last - first < MOST_GROUPS; last += 1) {
        const size = groups.size(last);
        count += size;
        if (count > MOST_DIGITS) break;
        code = code * 32 + size;
        const forms = table.get(code);
        if (forms !== undefined && fill(digits, text, groups, first, last))
          judge(forms, digits, text, groups, first, last, sink);
      }
      if (cnpj && groups.size(first) === 2 && groups.count - first === 3) company(digits, text, groups, first, sink);
    }
  };
}

function add(table: Map<number, readonly Form[]>, sizes: readonly number[], forms: readonly Form[]): void {
  if (forms.length === 0) return;
  const code = sizes.reduce((sum, size) => sum * 32 + size, 0);
  table.set(code, [...(table.get(code) ?? []), ...forms]);
}

/** The digits of some groups; false when they are but part of a longer word or of a longer chain of groups. */
function fill(digits: Uint8Array, text: string, groups: DigitGroups, first: number, last: number): boolean {
  const after = text.charCodeAt(groups.end(last));
  if (isAlnum(after)) return false;
  const gap = groups.gap(text, last > first ? first + 1 : last);
  if (first !== last && (chained(text, groups, first, gap) || chained(text, groups, last + 1, gap))) return false;
  let n = 0;
  for (let g = first; g <= last; g += 1) {
    for (let i = groups.start(g); i < groups.end(g); i += 1) digits[n++] = text.charCodeAt(i) - 0x30;
  }
  return true;
}

/** True when the same separator ties on one more group, as in a card number. */
const chained = (text: string, groups: DigitGroups, group: number, gap: number): boolean =>
  gap !== 0 && groups.gap(text, group) === gap;

function judge(
  forms: readonly Form[],
  digits: Digits,
  text: string,
  groups: DigitGroups,
  first: number,
  last: number,
  sink: Sink,
): void {
  // Digits behind a full stop or a hyphen are part of something else: a fraction, an order number.
  const before = text.charCodeAt(groups.start(first) - 1);
  const part = (before === DOT || before === DASH || before === SLASH) && joinedBefore(text, groups.start(first) - 1);
  for (const { type, score, holds, gaps } of forms) {
    if (!separated(text, groups, first, last, gaps) || holds?.(digits) === false) continue;
    sink.offer(type, groups.start(first), groups.end(last), part ? Math.min(score, 0.2) : score);
  }
}

function separated(text: string, groups: DigitGroups, first: number, last: number, gaps: string | undefined): boolean {
  for (let g = first + 1; g <= last; g += 1) {
    const gap = groups.gap(text, g);
    if (gaps === undefined ? gap !== SPACE && gap !== DASH && gap !== DOT : gap !== gaps.charCodeAt(g - first - 1)) {
      return false;
    }
  }
  return true;
}

const COMPANY = /\d{2}\.\d{3}\.\d{3}\\{0,40}\/\d{4}-\d{2}(?![0-9A-Za-z])/y;

/** A Brazilian company, written 12.345.678/0001-95. */
function company(digits: Uint8Array, text: string, groups: DigitGroups, first: number, sink: Sink): void {
  COMPANY.lastIndex = groups.start(first);
  const found = COMPANY.exec(text)?.[0];
  if (found === undefined) return;
  let n = 0;
  for (const char of found) if (char >= '0' && char <= '9') digits[n++] = Number(char);
  if (sums.isCnpj(digits)) sink.offer('BR_CNPJ', COMPANY.lastIndex - found.length, COMPANY.lastIndex, 0.9);
}
