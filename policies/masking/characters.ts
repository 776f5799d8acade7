export const isDigit = (c: number): boolean => c >= 0x30 && c <= 0x39;
export const isLower = (c: number): boolean => c >= 0x61 && c <= 0x7a;
export const isUpper = (c: number): boolean => c >= 0x41 && c <= 0x5a;
export const isLetter = (c: number): boolean => isLower(c | 0x20);
export const isAlnum = (c: number): boolean => isDigit(c) || isLetter(c);
export const isHex = (c: number): boolean => isDigit(c) || ((c | 0x20) >= 0x61 && (c | 0x20) <= 0x66);
/** A digit or letter of base64, in the standard or the URL alphabet. */
export const isBase64 = (c: number): boolean => isAlnum(c) || c === 0x2b || c === 0x2f || c === 0x2d || c === 0x5f;
export const isBase64Url = (c: number): boolean => isAlnum(c) || c === 0x2d || c === 0x5f;

const BACKSLASH = 0x5c;

/** True when the unit at `at` is the letter of an escape such as `\n`, written out as text. */
export function isEscapeLetter(text: string, at: number): boolean {
  if (text.charCodeAt(at - 1) !== BACKSLASH) return false;
  const c = text.charCodeAt(at);
  return c === 0x6e || c === 0x72 || c === 0x74 || c === 0x62 || c === 0x66;
}

/** True when an ASCII letter or digit precedes `at`, so that what begins there is only part of a word. */
export function joinedBefore(text: string, at: number): boolean {
  return isAlnum(text.charCodeAt(at - 1)) && !isEscapeLetter(text, at - 1);
}

/** As `joinedBefore`, for numbers: letters that are no hexadecimal digits do not join. */
export function inHexBefore(text: string, at: number): boolean {
  return isHex(text.charCodeAt(at - 1)) && !isEscapeLetter(text, at - 1);
}
