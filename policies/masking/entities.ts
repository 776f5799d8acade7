/** The entity types that are recognised without a definition of their own, by the names rules use. */
export const BUILT_IN_TYPES = [
  'EMAIL_ADDRESS',
  'PHONE_NUMBER',
  'CREDIT_CARD',
  'US_SSN',
  'IBAN_CODE',
  'IP_ADDRESS',
  'JWT',
  'PRIVATE_KEY',
  'AWS_ACCESS_KEY',
] as const satisfies readonly string[];

export type BuiltInType = (typeof BUILT_IN_TYPES)[number];

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
