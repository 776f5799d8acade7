/** A number as its digits say, which no floating-point number can: 0.`digits` times ten to the power of `magnitude`. */
export interface Decimal {
  readonly negative: boolean;
  /** Without zeros at either end; empty for zero. */
  readonly digits: string;
  readonly magnitude: bigint;
}

const NUMBER = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/;
const LONGEST = 4096;

/** Reads a number of JSON, and what programs take for one in a text (`+5`, `.5`, `007`); undefined for anything else or too long. */
export function parseDecimal(text: string): Decimal | undefined {
  const match = text.length <= LONGEST ? NUMBER.exec(text) : null;
  if (match === null) return undefined;
  const [, sign, whole = '', fraction = '', exponent = '0'] = match;
  if (whole + fraction === '') return undefined;
  const digits = (whole + fraction).replace(/^0+/, '');
  const leading = (whole + fraction).length - digits.length;
  const significant = withoutZerosAtEnd(digits);
  if (significant === '') return { negative: false, digits: '', magnitude: 0n };
  return {
    negative: sign === '-',
    digits: significant,
    magnitude: BigInt(whole.length - leading) + BigInt(exponent.replace('+', '')),
  };
}

/** Less than zero when the first number is less than the second, more when it is greater. */
export function compareDecimals(a: Decimal, b: Decimal): number {
  if (a.digits === '' || b.digits === '') return signOf(a) - signOf(b);
  if (a.negative !== b.negative) return signOf(a) - signOf(b);
  const size = compareSizes(a, b);
  return a.negative ? -size : size;
}

/** Whether the number has no fraction: `1.0` and `1e2` have none. */
export const isWhole = ({ digits, magnitude }: Decimal): boolean => BigInt(digits.length) <= magnitude || digits === '';

function compareSizes(a: Decimal, b: Decimal): number {
  if (a.magnitude !== b.magnitude) return a.magnitude < b.magnitude ? -1 : 1;
  // Both begin with a digit that is not zero, so that they compare as texts do.
  return a.digits < b.digits ? -1 : a.digits > b.digits ? 1 : 0;
}

const signOf = ({ digits, negative }: Decimal): number => (digits === '' ? 0 : negative ? -1 : 1);

function withoutZerosAtEnd(digits: string): string {
  let end = digits.length;
  while (digits[end - 1] === '0') end -= 1;
  return digits.slice(0, end);
}
