const CAPTURE_NAME = /\(\?P?<\w+>/y;
const PROPERTY = /\\[pP]\{[^}]*\}/y;

/**
 * A pattern that matches somewhere in a text whenever the given one matches any piece of it: assertions of the beginning and the end
 * are left out, since a piece has other ends than its text. Names of captures go too, so that such patterns can be joined.
 * The source must be one that the engine accepts.
 */
export function withoutAnchors(source: string): string {
  let out = '';
  let i = 0;
  while (i < source.length) {
    const c = source[i] as string;
    if (c === '\\') {
      const next = source[i + 1];
      if (next === 'Q') {
        const close = source.indexOf('\\E', i + 2);
        out += close < 0 ? `${source.slice(i)}\\E` : source.slice(i, close + 2);
        i = close < 0 ? source.length : close + 2;
      } else {
        const escape = at(PROPERTY, source, i) ?? source.slice(i, i + 2);
        out += next === 'A' || next === 'z' ? '(?:)' : escape;
        i += escape.length;
      }
    } else if (c === '[') {
      const end = classEnd(source, i);
      out += source.slice(i, end);
      i = end;
    } else if (c === '^' || c === '$') {
      out += '(?:)';
      i += 1;
    } else {
      const name = c === '(' ? at(CAPTURE_NAME, source, i) : undefined;
      out += c;
      i += name?.length ?? 1;
    }
  }
  return out;
}

/** Index behind the character class that opens at `start`. */
function classEnd(source: string, start: number): number {
  let i = start + 1;
  if (source[i] === '^') i += 1;
  if (source[i] === ']') i += 1;
  while (i < source.length && source[i] !== ']') {
    if (source[i] === '\\') {
      i += 2;
    } else if (source.startsWith('[:', i) && source.includes(':]', i)) {
      i = source.indexOf(':]', i) + 2;
    } else {
      i += 1;
    }
  }
  return i + 1;
}

/** What a sticky expression matches at a place. */
function at(expression: RegExp, source: string, place: number): string | undefined {
  expression.lastIndex = place;
  return expression.exec(source)?.[0];
}
