import { isUtf8 } from 'node:buffer';

/** What a text holds that may hide other text; a set of bits. */
export const Trait = {
  /** Anything but printable ASCII, tab and line ends. */
  exotic: 1,
  backslash: 2,
  /** %XX or %uXXXX. */
  percent: 4,
  /** A numeric character reference, as in &#65; */
  reference: 8,
  /** A block comment's beginning. */
  block: 16,
  /** A line comment's beginning: harmless in a text without line ends. */
  line: 32,
  /** A run that may be base64 or hexadecimal. */
  run: 64,
} as const;

const OTHER = 0;
const LOWER = 1;
const UPPER = 2;
const DIGIT = 3;
const SPECIAL = 4;
const EXOTIC = 5;

const CLASS: Uint8Array = Uint8Array.from({ length: 128 }, (_, code) => {
  const char = String.fromCharCode(code);
  if (/[a-z]/.test(char)) return LOWER;
  if (/[A-Z]/.test(char)) return UPPER;
  if (/[0-9]/.test(char)) return DIGIT;
  if ('\\%&/-#='.includes(char)) return SPECIAL;
  return /[\t\n\r\x20-\x7e]/.test(char) ? OTHER : EXOTIC;
});

const MIN_RUN = 12;
const MIN_PADDED = 8;
const MIN_HEX = 16;
const MIN_JOINED = 24;

/** The traits of a text, in one pass. */
export function traitsOf(text: string): number {
  const { length } = text;
  let traits = 0;
  let start = 0;
  let upper = 0;
  let digit = 0;
  // The run with the joints in it.
  let joined = 0;
  let joinedUpper = 0;
  let joinedDigit = 0;
  // Not a character more: what charCodeAt says of the end would make every code of the loop a floating-point number.
  for (let i = 0; i < length; i += 1) {
    const code = text.charCodeAt(i);
    const kind = code < 128 ? (CLASS[code] as number) : EXOTIC;
    if (kind === LOWER) continue;
    if (kind === UPPER) {
      upper += 1;
      continue;
    }
    if (kind === DIGIT) {
      digit += 1;
      continue;
    }
    if (i - start >= MIN_PADDED && suspicious(text, start, i, upper, digit)) traits |= Trait.run;
    joinedUpper += upper;
    joinedDigit += digit;
    if (!isJoint(code)) {
      if (i - joined >= MIN_JOINED && joinedUpper > 1 && joinedDigit > 1) traits |= Trait.run;
      joined = i + 1;
      joinedUpper = 0;
      joinedDigit = 0;
    }
    start = i + 1;
    upper = 0;
    digit = 0;
    if (kind === SPECIAL) traits |= special(text, i, code);
    else if (kind === EXOTIC) traits |= Trait.exotic;
  }
  if (length - start >= MIN_PADDED && suspicious(text, start, length, upper, digit)) traits |= Trait.run;
  if (length - joined >= MIN_JOINED && joinedUpper + upper > 1 && joinedDigit + digit > 1) traits |= Trait.run;
  return traits;
}

/** Characters of base64 and base64url that join words and paths too. */
const isJoint = (code: number): boolean => code === 0x2d || code === 0x5f || code === 0x2f || code === 0x2b;

function special(text: string, at: number, code: number): number {
  const next = at + 1 < text.length ? text.charCodeAt(at + 1) : 0;
  switch (code) {
    case 0x5c: // \
      return Trait.backslash;
    case 0x25: // %
      return isHex(next) || next === 0x75 || next === 0x55 ? Trait.percent : 0;
    case 0x26: // &
      return next === 0x23 ? Trait.reference : 0;
    case 0x2f: // /
      return next === 0x2a ? Trait.block : 0;
    case 0x2d: // -
      return next === 0x2d ? Trait.line : 0;
    case 0x23: // #
      return Trait.line;
    default:
      return 0;
  }
}

/**
 * May this run of letters and digits be encoded text? Base64 of text that is long enough to be read has capital letters and digits
 * mixed in; hexadecimal text has a digit from 2 to 7 at most even places.
 */
function suspicious(text: string, start: number, end: number, upper: number, digit: number): boolean {
  const length = end - start;
  if (length >= MIN_RUN && (upper >= 3 || (upper > 0 && digit > 0))) return true;
  // Half of the digits of hexadecimal text are decimal.
  if (length >= MIN_HEX && digit >= MIN_HEX / 2 && hexTexts(text.slice(start, end)).length > 0) return true;
  return upper > 0 && text[end] === '=' && !/[\w.]/.test(text.charAt(end + 1));
}

const HEX_DIGITS = /[0-9A-Fa-f]{16,}/g;

/** The texts that hexadecimal digits of a run stand for, whatever stands around them: a prefix, or one digit too many. */
function hexTexts(run: string): readonly string[] {
  const texts: string[] = [];
  for (const [digits] of run.matchAll(HEX_DIGITS)) {
    for (const skip of [0, 1]) {
      const end = digits.length - ((digits.length - skip) % 2);
      if (end - skip < MIN_HEX) continue;
      const bytes = Buffer.from(digits.slice(skip, end), 'hex');
      // Random bytes of this length are hardly ever UTF-8.
      if (isText(bytes)) texts.push(bytes.toString('utf8'));
    }
  }
  return texts;
}

const isHex = (code: number): boolean =>
  (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x46) || (code >= 0x61 && code <= 0x66);

const RUN = /[A-Za-z0-9+/_-]{8,}={0,2}/g;
const NOT_WRAPPED = /[^A-Za-z0-9+/_\s=-]/;

// Longer runs are not cut at their slashes and dashes, which in binary data are everywhere.
const LONG_RUN = 4096;

/** The texts that base64, base64url and hexadecimal runs of a text decode to; what decodes to something other than text is left out. */
export function decodedRuns(text: string): string[] {
  const runs = new Set<string>();
  for (const [run] of text.matchAll(RUN))
    for (const piece of piecesOf(run)) if (piece.length >= MIN_PADDED) runs.add(piece);
  if (text.includes('\n') && !NOT_WRAPPED.test(text)) runs.add(text.replace(/[\s=]+/g, ''));
  const decoded: string[] = [];
  for (const run of runs) {
    const bytes = Buffer.from(run, 'base64');
    if (isText(bytes)) decoded.push(bytes.toString('utf8'));
    decoded.push(...hexTexts(run));
  }
  return decoded;
}

function piecesOf(padded: string): string[] {
  const run = padded.replace(/=+$/, '');
  // Letters may stand right before it.
  const aligned = [run, run.slice(1), run.slice(2), run.slice(3)];
  return run.length > LONG_RUN ? aligned : [...aligned, ...run.split(/[/+]/), ...run.split(/[-_]/)];
}

function isText(bytes: Buffer): boolean {
  if (isUtf8(bytes)) return true;
  let readable = 0;
  for (const byte of bytes)
    if ((byte >= 0x20 && byte < 0x7f) || byte === 0x0a || byte === 0x0d || byte === 0x09) readable += 1;
  return readable * 4 >= bytes.length * 3;
}

const ESCAPES = /(?:%[0-9A-Fa-f]{2})+|%u([0-9A-Fa-f]{4})/gi;

/** URL-encoding undone, leniently: whatever is not an escape stays. */
export function percentDecoded(text: string): string {
  return text.replace(ESCAPES, (escape, unit: string | undefined) =>
    unit === undefined
      ? Buffer.from(escape.replaceAll('%', ''), 'hex').toString('utf8')
      : String.fromCharCode(Number.parseInt(unit, 16)),
  );
}

const REFERENCE = /&#(?:[xX]([0-9A-Fa-f]{1,6})|([0-9]{1,7}));?/g;

/** Numeric character references of HTML undone. */
export function referencesDecoded(text: string): string {
  return text.replace(REFERENCE, (whole, hex: string | undefined, decimal: string | undefined) => {
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

const BACKSLASHED = /\\(?:u\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([^ux]))/g;
const NAMED: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['b', '\b'],
  ['f', '\f'],
  ['v', '\v'],
  ['0', '\0'],
]);

/** Backslash escapes of JSON and its kin undone, leniently: works on fragments of JSON too. */
export function unescaped(text: string): string {
  return text.replace(
    BACKSLASHED,
    (
      whole,
      point: string | undefined,
      unit: string | undefined,
      byte: string | undefined,
      char: string | undefined,
    ) => {
      if (char !== undefined) return NAMED.get(char) ?? char;
      const code = Number.parseInt(point ?? unit ?? byte ?? '', 16);
      return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    },
  );
}
