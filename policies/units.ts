export type TimeSpanText = `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`;
export type ByteSizeText = `${number}${'B' | 'KB' | 'MB' | 'GB' | 'KiB' | 'MiB' | 'GiB'}`;

const MILLISECONDS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

const BYTES: ReadonlyMap<string, number> = new Map([
  ['B', 1],
  ['KB', 1000],
  ['MB', 1000 ** 2],
  ['GB', 1000 ** 3],
  ['KiB', 1024],
  ['MiB', 1024 ** 2],
  ['GiB', 1024 ** 3],
]);

// A timer of Node holds 2^31 - 1 ms; a longer one fires at once.
const LONGEST = 24 * 86_400_000;

/** Milliseconds of `250ms`, `50s`, `10m`, `24h`, `7d`; undefined for anything else and for more than 24 days. */
export function parseTimeSpan(text: string): number | undefined {
  const span = measure(text, MILLISECONDS);
  return span !== undefined && span <= LONGEST ? span : undefined;
}

/** Bytes of `512B`, `64KB`, `16MB`, `1GB` (powers of 1000) and `KiB`, `MiB`, `GiB` (powers of 1024); undefined for anything else. */
export function parseByteSize(text: string): number | undefined {
  return measure(text, BYTES);
}

function measure(text: string, units: ReadonlyMap<string, number>): number | undefined {
  const match = /^(\d{1,10})([A-Za-z]{1,3})$/.exec(text);
  const unit = units.get(match?.[2] ?? '');
  if (match === null || unit === undefined) return undefined;
  const value = Number(match[1]) * unit;
  return Number.isSafeInteger(value) ? value : undefined;
}

/** The shortest exact way to write milliseconds, such as `90s` or `24h`. */
export function showTimeSpan(milliseconds: number): string {
  return show(milliseconds, MILLISECONDS);
}

/** The shortest exact way to write bytes, such as `16MB`. */
export function showByteSize(bytes: number): string {
  return show(bytes, new Map([...BYTES].filter(([unit]) => !unit.includes('i'))));
}

function show(value: number, units: ReadonlyMap<string, number>): string {
  let shown = '';
  for (const [unit, factor] of units)
    if (shown === '' || (value !== 0 && value % factor === 0)) shown = `${value / factor}${unit}`;
  return shown;
}
