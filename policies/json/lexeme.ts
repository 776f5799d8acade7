/** Deepest nesting that any reader of JSON here accepts, so that walks over a tree can recurse safely. */
export const MAX_DEPTH = 512;

/** Index behind the whitespace that begins at `at`. */
export function skipSpace(text: string, at: number): number {
  let i = at;
  for (;;) {
    const c = text.charCodeAt(i);
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return i;
    i += 1;
  }
}

/** Index behind the string whose opening quote is at `start`; -1 when it is not a JSON string. */
export function stringEnd(text: string, start: number): number {
  let i = start + 1;
  for (;;) {
    const c = text.charCodeAt(i);
    if (c > 0x22) {
      i = c === 0x5c ? escapeEnd(text, i) : i + 1;
      if (i < 0) return -1;
    } else if (c === 0x22) {
      return i + 1;
    } else if (c >= 0x20) {
      i += 1;
    } else {
      // A control character, or NaN behind the end of the text.
      return -1;
    }
  }
}

/** Index behind the escape whose backslash is at `at`; -1 when there is no such escape. */
export function escapeEnd(text: string, at: number): number {
  switch (text.charCodeAt(at + 1)) {
    case 0x22: // "
    case 0x5c: // \
    case 0x2f: // /
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return at + 2;
    case 0x75: // u
      return hexUnit(text, at + 2) < 0 ? -1 : at + 6;
    default:
      return -1;
  }
}

/** The UTF-16 unit that four hexadecimal digits at `at` stand for; -1 when they are not four such digits. */
function hexUnit(text: string, at: number): number {
  let unit = 0;
  for (let i = at; i < at + 4; i += 1) {
    const c = text.charCodeAt(i);
    let digit: number;
    if (c >= 0x30 && c <= 0x39) digit = c - 0x30;
    else if (c >= 0x41 && c <= 0x46) digit = c - 0x37;
    else if (c >= 0x61 && c <= 0x66) digit = c - 0x57;
    else return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

/** Whether a grammatical string span spells a surrogate without its partner. The text itself must be well-formed. */
export function hasLoneSurrogate(text: string, start: number, end: number): boolean {
  for (let i = text.indexOf('\\', start); i >= 0 && i < end; i = text.indexOf('\\', i)) {
    if (text.charCodeAt(i + 1) !== 0x75) {
      i += 2;
      continue;
    }
    const unit = hexUnit(text, i + 2);
    i += 6;
    if (unit < 0xd800 || unit > 0xdfff) continue;
    if (unit > 0xdbff || text.charCodeAt(i) !== 0x5c || text.charCodeAt(i + 1) !== 0x75) return true;
    const low = hexUnit(text, i + 2);
    if (low < 0xdc00 || low > 0xdfff) return true;
    i += 6;
  }
  return false;
}

/** Index behind the number that begins at `start`; -1 when it is not a JSON number. */
export function numberEnd(text: string, start: number): number {
  let i = start;
  let c = text.charCodeAt(i);
  if (c === 0x2d) c = text.charCodeAt((i += 1));
  if (c === 0x30) {
    i += 1;
  } else {
    const end = digitsEnd(text, i);
    if (end === i) return -1;
    i = end;
  }
  if (text.charCodeAt(i) === 0x2e) {
    const end = digitsEnd(text, i + 1);
    if (end === i + 1) return -1;
    i = end;
  }
  c = text.charCodeAt(i);
  if (c === 0x65 || c === 0x45) {
    c = text.charCodeAt((i += 1));
    if (c === 0x2b || c === 0x2d) i += 1;
    const end = digitsEnd(text, i);
    if (end === i) return -1;
    i = end;
  }
  return i;
}

function digitsEnd(text: string, at: number): number {
  let i = at;
  for (;;) {
    const c = text.charCodeAt(i);
    if (!(c >= 0x30 && c <= 0x39)) return i;
    i += 1;
  }
}

/** Index behind the number, `true`, `false` or `null` that begins at `start`; -1 when there is none. */
export function scalarEnd(text: string, start: number): number {
  switch (text.charCodeAt(start)) {
    case 0x74:
      return text.startsWith('true', start) ? start + 4 : -1;
    case 0x66:
      return text.startsWith('false', start) ? start + 5 : -1;
    case 0x6e:
      return text.startsWith('null', start) ? start + 4 : -1;
    default:
      return numberEnd(text, start);
  }
}
