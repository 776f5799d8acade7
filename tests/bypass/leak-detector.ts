/**
 * Reads a text as somebody would who looks for a secret in it: it has left when 60 % of its characters can be read one after the other
 * once the text is decoded. Written apart from policies/, and stricter where it can be.
 */
const SHARE = 0.6;
const DEPTH = 5;
const MOST_VIEWS = 4_000;

const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}\p{Mn}\p{Me}]/gu;
const LATIN: Readonly<Record<string, string>> = {
  а: 'a',
  е: 'e',
  о: 'o',
  р: 'p',
  с: 'c',
  х: 'x',
  і: 'i',
  ј: 'j',
  у: 'y',
  ο: 'o',
  α: 'a',
  ν: 'v',
};

const plainly = (text: string): string => {
  const lower = /^[\x20-\x7e]*$/.test(text) ? text : text.normalize('NFKC').replace(INVISIBLE, '').normalize('NFKC');
  return lower.toLowerCase().replace(/[а-јοαν]/g, (char) => LATIN[char] ?? char);
};

/** The stretch of one of the secrets that can be read in the text; undefined when there is none that long. */
export function readable(text: string, ...secrets: readonly string[]): string | undefined {
  const windows = secrets.flatMap((secret) => {
    const sought = plainly(secret);
    const length = Math.ceil(sought.length * SHARE);
    return Array.from({ length: sought.length - length + 1 }, (_, at) => sought.slice(at, at + length));
  });
  const seen = new Set<string>();
  let views = [text, ...joined(text)];
  for (let depth = 0; depth <= DEPTH && views.length > 0; depth += 1) {
    const next: string[] = [];
    for (const view of views) {
      if (seen.has(view) || seen.size > MOST_VIEWS) continue;
      seen.add(view);
      const plain = plainly(view);
      const found = windows.find((window) => plain.includes(window));
      if (found !== undefined) return found;
      if (depth === DEPTH) continue;
      next.push(...decoded(view));
      if (plain !== view.toLowerCase()) next.push(...decoded(view.normalize('NFKC').replace(INVISIBLE, '')));
    }
    views = next;
  }
  return undefined;
}

/** Everything that a text may stand for, one step further. */
function decoded(text: string): string[] {
  const out: string[] = [];
  if (text.includes('\\')) out.push(unescaped(text));
  if (text.includes('%')) out.push(fromPercent(text));
  if (text.includes('&#')) out.push(fromReferences(text));
  const tags = text.match(/[\u{e0020}-\u{e007e}]/gu);
  if (tags !== null) out.push(tags.map((tag) => String.fromCharCode(tag.codePointAt(0)! - 0xe0000)).join(''));
  const runs = new Set(text.match(/[A-Za-z0-9+/_-]{10,}/g));
  if (/\s/.test(text)) for (const run of text.replace(/\s/g, '').match(/[A-Za-z0-9+/_-]{10,}/g) ?? []) runs.add(run);
  for (const run of runs) {
    for (let skip = 0; skip < 4; skip += 1) out.push(...texts(Buffer.from(run.slice(skip), 'base64')));
    for (const digits of run.match(/[0-9a-fA-F]{10,}/g) ?? []) {
      for (let skip = 0; skip < 2; skip += 1) {
        const even = digits.slice(skip, digits.length - ((digits.length - skip) % 2));
        out.push(...texts(Buffer.from(even, 'hex')));
      }
    }
  }
  return out;
}

/** The bytes as texts, when enough of them could be text. */
function texts(bytes: Buffer): string[] {
  let letters = 0;
  for (const byte of bytes) if (byte === 9 || byte === 10 || byte === 13 || (byte >= 0x20 && byte < 0x7f)) letters += 1;
  if (letters >= bytes.length * 0.6) return [bytes.toString('latin1')];
  if (letters >= bytes.length * 0.4) return [bytes.toString('latin1'), bytes.toString('utf16le')];
  const utf8 = bytes.toString('utf8');
  return utf8.includes('\ufffd') ? [] : [utf8];
}

const fromPercent = (text: string): string =>
  text
    .replace(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString())
    .replace(/%u([0-9a-f]{4})/gi, (_, unit: string) => String.fromCharCode(Number.parseInt(unit, 16)));

const fromReferences = (text: string): string =>
  text.replace(/&#(?:x([0-9a-f]{1,6})|([0-9]{1,7}));?/gi, (whole, digits?: string, decimal?: string) => {
    const point = digits === undefined ? Number(decimal) : Number.parseInt(digits, 16);
    return point <= 0x10ffff ? String.fromCodePoint(point) : whole;
  });

const unescaped = (text: string): string =>
  text.replace(/\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))/gs, (_, unit?: string, byte?: string, char?: string) => {
    if (char === undefined) return String.fromCharCode(Number.parseInt(unit ?? byte ?? '0', 16));
    return { n: '\n', r: '\r', t: '\t' }[char] ?? char;
  });

const SILENT = new Set(['type', 'role', 'mimeType', 'jsonrpc', 'method', 'resultType']);

/** The strings of each JSON message behind each other, as a reader puts the pieces of one answer together: all, and by their keys. */
function joined(text: string): string[] {
  const out: string[] = [];
  for (const line of text.split('\n')) {
    const at = line.indexOf('{');
    if (at < 0) continue;
    try {
      const leaves: (readonly [string, string])[] = [];
      collect(JSON.parse(line.slice(at)), leaves);
      const byKey = Map.groupBy(leaves, ([key]) => key);
      for (const group of [leaves, ...byKey.values()]) {
        if (group.length < 2) continue;
        const values = group.map(([, value]) => value);
        out.push(values.join(''), values.join(' '));
      }
    } catch {
      // Not a message: the line is read as it stands.
      continue;
    }
  }
  return out;
}

function collect(value: unknown, leaves: (readonly [key: string, value: string])[], key = ''): void {
  if (typeof value === 'string') {
    if (!SILENT.has(key)) leaves.push([key, value]);
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, inner] of Object.entries(value)) collect(inner, leaves, name);
  }
}
