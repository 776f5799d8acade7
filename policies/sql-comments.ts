/** How a dialect reads comments and quotes. */
interface Dialect {
  /** Quote characters inside which nothing is a comment. */
  readonly quotes: string;
  readonly backslash: boolean;
  readonly nested: boolean;
  readonly hash: boolean;
}

// No one reading is safe: each hides a comment trick that another one sees.
const DIALECTS: readonly Dialect[] = [
  { quotes: '', backslash: false, nested: false, hash: false },
  { quotes: `'"`, backslash: false, nested: true, hash: false },
  { quotes: `'"\``, backslash: true, nested: false, hash: true },
];

/** The text with its SQL comments as white space, once for each way of reading comments that makes a difference. */
export function withoutComments(text: string): string[] {
  if (!text.includes('/*') && !text.includes('--') && !text.includes('#')) return [];
  const forms = new Set(DIALECTS.map((dialect) => strip(text, dialect)));
  if (text.includes('/*')) forms.add(innermost(text));
  forms.delete(text);
  return [...forms];
}

function strip(text: string, dialect: Dialect): string {
  let out = '';
  let kept = 0;
  let i = 0;
  let quotes = dialect.quotes;
  let nested = dialect.nested;
  let blocks = true;
  const drop = (from: number, to: number): void => {
    out += `${text.slice(kept, from)} `;
    kept = to;
    i = to;
  };
  while (i < text.length) {
    const c = text.charAt(i);
    if (quotes.includes(c)) {
      const end = quoteEnd(text, i, dialect.backslash);
      // A quote that is never closed would hide the rest; nor need its like be looked for again.
      if (end < 0) quotes = quotes.replace(c, '');
      i = end < 0 ? i + 1 : end;
    } else if (c === '/' && text[i + 1] === '*') {
      const version = /^!\d*/.exec(text.slice(i + 2, i + 10));
      let end = -1;
      // What stands in an executable comment is run: only its brackets are comment.
      if (version !== null) end = i + 2 + version[0].length;
      else if (blocks) end = nested ? nestedEnd(text, i) : blockEnd(text, i);
      if (end >= 0) drop(i, end);
      else if (nested) nested = false;
      else {
        blocks = false;
        i += 2;
      }
    } else if (c === '*' && text[i + 1] === '/') {
      drop(i, i + 2);
    } else if ((c === '-' && text[i + 1] === '-') || (c === '#' && dialect.hash)) {
      drop(i, lineEnd(text, i));
    } else {
      i += 1;
    }
  }
  return out + text.slice(kept);
}

/** Only the shortest comments, each from the last opening before its end. */
function innermost(text: string): string {
  let out = '';
  let kept = 0;
  for (let end = text.indexOf('*/'); end >= 0; end = text.indexOf('*/', end + 2)) {
    const piece = text.slice(kept, end);
    const start = piece.lastIndexOf('/*');
    out += start < 0 ? `${piece}*/` : `${piece.slice(0, start)} `;
    kept = end + 2;
  }
  return withoutLines(out + text.slice(kept));
}

function withoutLines(text: string): string {
  let out = '';
  let kept = 0;
  for (let start = text.indexOf('--'); start >= 0; start = text.indexOf('--', kept)) {
    out += `${text.slice(kept, start)} `;
    kept = lineEnd(text, start);
  }
  return out + text.slice(kept);
}

function quoteEnd(text: string, start: number, backslash: boolean): number {
  const quote = text.charAt(start);
  for (let i = start + 1; i < text.length; i += 1) {
    if (backslash && text[i] === '\\') i += 1;
    else if (text[i] === quote) return i + 1;
  }
  return -1;
}

function blockEnd(text: string, start: number): number {
  const end = text.indexOf('*/', start + 2);
  return end < 0 ? -1 : end + 2;
}

function nestedEnd(text: string, start: number): number {
  let depth = 1;
  for (let i = start + 2; i < text.length; i += 1) {
    if (text[i] === '*' && text[i + 1] === '/') {
      depth -= 1;
      i += 1;
      if (depth === 0) return i + 1;
    } else if (text[i] === '/' && text[i + 1] === '*') {
      depth += 1;
      i += 1;
    }
  }
  return -1;
}

function lineEnd(text: string, start: number): number {
  for (let i = start; i < text.length; i += 1) if (text[i] === '\n' || text[i] === '\r') return i + 1;
  return text.length;
}
