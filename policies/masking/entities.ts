/** The entity types that are recognised without a definition of their own, by the names rules use. */
export const BUILT_IN_TYPES = [
  'EMAIL_ADDRESS',
  'PHONE_NUMBER',
  'CREDIT_CARD',
  'IBAN_CODE',
  'CRYPTO',
  'IP_ADDRESS',
  'MAC_ADDRESS',
  'URL',
  'DATE_TIME',
  'JWT',
  'PRIVATE_KEY',
  'AWS_ACCESS_KEY',
  'API_KEY',
  'PASSWORD',
  'GENERIC_SECRET',
  'US_SSN',
  'US_ITIN',
  'US_PASSPORT',
  'US_DRIVER_LICENSE',
  'US_BANK_NUMBER',
  'ABA_ROUTING',
  'MEDICAL_LICENSE',
  'UK_NHS',
  'UK_NINO',
  'AU_TFN',
  'AU_ABN',
  'AU_ACN',
  'AU_MEDICARE',
  'IN_AADHAAR',
  'IN_PAN',
  'IN_PASSPORT',
  'IN_VEHICLE_REGISTRATION',
  'IN_VOTER',
  'IN_GSTIN',
  'IT_FISCAL_CODE',
  'IT_VAT_CODE',
  'IT_IDENTITY_CARD',
  'IT_DRIVER_LICENSE',
  'IT_PASSPORT',
  'ES_NIF',
  'ES_NIE',
  'SG_NRIC_FIN',
  'SG_UEN',
  'BR_CPF',
  'BR_CNPJ',
  'BR_RG',
  'BR_CNH',
  'BR_PIS',
  'PL_PESEL',
  'KR_RRN',
  'FI_PERSONAL_IDENTITY_CODE',
  'TH_TNIN',
] as const satisfies readonly string[];

export type BuiltInType = (typeof BUILT_IN_TYPES)[number];

/**
 * The types that no record holds, whatever the rules say: all but times and addresses of pages, which a record is of no use without.
 * What has no checksum and no shape of its own counts only beside a word that names it.
 */
export const RECORD_TYPES: readonly BuiltInType[] = BUILT_IN_TYPES.filter(
  (type) => type !== 'DATE_TIME' && type !== 'URL',
);

/** Other names of the same types, as other products call them. */
const ALIASES: ReadonlyMap<string, BuiltInType> = new Map([
  ['SG_FIN', 'SG_NRIC_FIN'],
  ['US_ABA_ROUTING', 'ABA_ROUTING'],
]);
const BUILT_IN: ReadonlySet<string> = new Set(BUILT_IN_TYPES);

/** The type that a rule names, by its own name or an alias; undefined when there is none. */
export const builtInType = (name: string): BuiltInType | undefined =>
  BUILT_IN.has(name) ? (name as BuiltInType) : ALIASES.get(name);

/** What a word nearby ("phone", "ssn") adds to the score of a candidate of its type. */
export const CONTEXT_BOOST = 0.35;

export const DEFAULT_THRESHOLD = 0.5;

/** A recognised stretch of a text. `entity` and `rule` say what it becomes and who asked for it. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly score: number;
  readonly entity: string;
  readonly rule: string;
}

/** A rule that asks for a type, and the score it asks for. */
export interface Ask {
  readonly rule: string;
  readonly threshold: number;
}

/** Where recognisers put what they saw; the sink applies context words and thresholds. */
export interface Sink {
  /** True when some rule asks for the type. */
  wants(type: BuiltInType): boolean;
  /** True when the stretch was taken. */
  offer(type: BuiltInType, start: number, end: number, score: number): boolean;
  /** True when words before the position speak of version numbers. */
  speaksOfVersions(start: number): boolean;
}

/** Spans in order, none overlapping: of those that overlap the highest score names the whole stretch they cover, then the longest. */
export function withoutOverlaps(spans: Span[]): readonly Span[] {
  if (spans.length < 2) return spans;
  spans.sort((a, b) => a.start - b.start || a.end - b.end);
  const out: Span[] = [];
  let open = spans[0] as Span;
  let best = open;
  const close = (end: number): void => {
    out.push({ ...best, start: open.start, end });
  };
  let end = open.end;
  for (let i = 1; i < spans.length; i += 1) {
    const span = spans[i] as Span;
    if (span.start < end) {
      if (stronger(span, best)) best = span;
      if (span.end > end) end = span.end;
    } else {
      close(end);
      open = best = span;
      end = span.end;
    }
  }
  close(end);
  return out;
}

const stronger = (a: Span, b: Span): boolean =>
  a.score > b.score || (a.score === b.score && a.end - a.start > b.end - b.start);
