import { isUpper, joinedBefore } from '../characters.ts';
import type { DigitGroups } from '../digits.ts';
import type { BuiltInType, Sink } from '../entities.ts';
import { isFiscalCode, isHetu, isIndianPlate, isNie, isNif } from '../letter-checksums.ts';

interface Form {
  readonly type: BuiltInType;
  readonly score: number;
  /** Size of the group of digits at which the form is tried. */
  readonly size: number;
  /** What must stand directly behind that group. */
  readonly after: string;
  /** How far before that group the form begins, the longest first. */
  readonly before: readonly number[];
  /** Sticky, of bounded length, ending at a word's end. */
  readonly pattern: RegExp;
  readonly holds?: (compact: string) => boolean;
}

/** Identifiers of letters and digits that are written with separators. */
const FORMS: readonly Form[] = [
  {
    type: 'UK_NINO',
    score: 0.65,
    size: 2,
    before: [3],
    after: ' -',
    pattern:
      /(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]([ -])\d\d\1\d\d\1\d\d\1?[A-D](?![0-9A-Za-z])/y,
  },
  {
    type: 'IN_VEHICLE_REGISTRATION',
    score: 0.45,
    size: 2,
    before: [3, 2],
    after: ' -ABCDEFGHIJKLMNOPQRSTUVWXYZ',
    pattern: /[A-Z]{2}[ -]?\d\d[ -]?[A-Z]{1,3}[ -]?\d{4}(?![0-9A-Za-z])/y,
    holds: isIndianPlate,
  },
  {
    type: 'FI_PERSONAL_IDENTITY_CODE',
    score: 0.75,
    size: 6,
    before: [0],
    after: '+-',
    pattern: /\d{6}[-+]\d{3}[0-9A-FHJ-NPR-Y](?![0-9A-Za-z])/y,
    holds: (compact) => isHetu(`${compact.slice(0, 6)}-${compact.slice(-4)}`),
  },
  {
    type: 'ES_NIF',
    score: 0.7,
    size: 8,
    before: [0],
    after: ' -',
    pattern: /\d{8}[ -][A-HJ-NP-TV-Z](?![0-9A-Za-z])/y,
    holds: isNif,
  },
  {
    type: 'ES_NIF',
    score: 0.75,
    size: 2,
    before: [0],
    after: '.',
    pattern: /\d{2}\.\d{3}\.\d{3}[ -]?[A-HJ-NP-TV-Z](?![0-9A-Za-z])/y,
    holds: isNif,
  },
  {
    type: 'ES_NIE',
    score: 0.75,
    size: 7,
    before: [2, 1],
    after: ' -ABCDEFGHJKLMNPQRSTUVWXYZ',
    pattern: /[XYZ][ -]?\d{7}[ -]?[A-HJ-NP-TV-Z](?![0-9A-Za-z])/y,
    holds: isNie,
  },
  {
    type: 'BR_RG',
    score: 0.42,
    size: 2,
    before: [0],
    after: '.',
    pattern: /\d{2}\.\d{3}\.\d{3}-X(?![0-9A-Za-z])/y,
  },
  {
    type: 'IT_FISCAL_CODE',
    score: 0.9,
    size: 2,
    before: [8],
    after: 'ABCDEHLMPRST',
    pattern: /[A-Z]{3} [A-Z]{3} \d\d[A-EHLMPRST]\d\d [A-Z]\d{3}[A-Z](?![0-9A-Za-z])/y,
    holds: isFiscalCode,
  },
];
const SEPARATORS = /[^0-9A-Z]/g;

/** Offers identifiers whose separators split them into several words. */
export type LetteredForms = (text: string, groups: DigitGroups, sink: Sink) => void;

/** The forms of the types asked for; undefined when there are none. */
export function compileLetteredForms(wants: (type: BuiltInType) => boolean): LetteredForms | undefined {
  const bySize: (readonly Form[] | undefined)[] = [];
  for (const form of FORMS) if (wants(form.type)) bySize[form.size] = [...(bySize[form.size] ?? []), form];
  if (bySize.length === 0) return undefined;
  return (text, groups, sink) => {
    for (let g = 0; g < groups.count; g += 1) {
      const forms = bySize[groups.size(g)];
      if (forms === undefined) continue;
      const after = text.charAt(groups.end(g));
      for (const form of forms)
        if (after !== '' && form.after.includes(after)) offer(text, groups.start(g), form, sink);
    }
  };
}

function offer(text: string, at: number, { type, score, before, pattern, holds }: Form, sink: Sink): void {
  for (const back of before) {
    const start = at - back;
    if (start < 0 || (back > 0 && !isUpper(text.charCodeAt(start))) || joinedBefore(text, start)) continue;
    pattern.lastIndex = start;
    const found = pattern.exec(text)?.[0];
    if (found === undefined || holds?.(found.replaceAll(SEPARATORS, '')) === false) continue;
    sink.offer(type, start, start + found.length, score);
    return;
  }
}
