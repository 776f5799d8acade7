import { gzipSync } from 'node:zlib';

/** How a secret is written: JSON literals, one for each place it is spread over. */
export type Disguise = (secret: string) => readonly string[];

const text =
  (make: (secret: string) => string): Disguise =>
  (secret) => [JSON.stringify(make(secret))];

export const base64 = (value: string): string => Buffer.from(value).toString('base64');
const base64url = (value: string): string => Buffer.from(value).toString('base64url');
const hex = (value: string): string => Buffer.from(value).toString('hex');
export const percent = (value: string): string =>
  [...Buffer.from(value)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
export const escapes = (value: string): string =>
  [...value].map((char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
const references = (value: string): string =>
  [...value].map((char) => `&#x${char.charCodeAt(0).toString(16)};`).join('');
export const wide = (value: string): string =>
  value.replace(/[!-~]/g, (char) => String.fromCharCode(char.charCodeAt(0) + 0xfee0));
const tags = (value: string): string =>
  [...value].map((char) => String.fromCodePoint(0xe0000 + char.charCodeAt(0))).join('');
const between = (value: string, gap: string): string => [...value].join(gap);
const CYRILLIC: Readonly<Record<string, string>> = { a: 'а', e: 'е', o: 'о', p: 'р', c: 'с', x: 'х', i: 'і', j: 'ј' };
const bold = (value: string): string =>
  value.replace(/[a-z]/g, (char) => String.fromCodePoint(0x1d41a + char.charCodeAt(0) - 97));
const rot13 = (value: string): string =>
  value.replace(/[a-z]/gi, (char) => {
    const first = char <= 'Z' ? 65 : 97;
    return String.fromCharCode(((char.charCodeAt(0) - first + 13) % 26) + first);
  });
const halves = (value: string): readonly [string, string] => {
  const middle = Math.ceil(value.length / 2);
  return [value.slice(0, middle), value.slice(middle)];
};

export const DISGUISES: Readonly<Record<string, Disguise>> = {
  plain: text((s) => s),
  sentence: text((s) => `the value is ${s}, as asked`),
  'long text': text((s) => `${'nothing to see here. '.repeat(400)}${s}${' and more of it.'.repeat(400)}`),
  'upper case': text((s) => s.toUpperCase()),
  'JSON escapes': (s) => [`"${escapes(s)}"`],
  'one JSON escape': (s) => [`"${escapes(s.slice(0, 1))}${s.slice(1)}"`],
  'upper-case escapes': (s) => [`"${escapes(s).toUpperCase().replaceAll('\\U', '\\u')}"`],
  'written-out escapes': text((s) => escapes(s)),
  'JavaScript escapes': text((s) => [...s].map((char) => `\\x${char.charCodeAt(0).toString(16)}`).join('')),
  'JSON in a string': text((s) => JSON.stringify({ note: s })),
  'JSON in JSON in a string': text((s) => JSON.stringify({ a: JSON.stringify([{ note: s }]) })),
  'JSON in JSON in JSON in a string': text((s) => JSON.stringify([JSON.stringify({ a: JSON.stringify([s]) })])),
  'JSON with escapes in a string': text((s) => `{"note":"${escapes(s)}"}`),
  'a key of JSON in a string': text((s) => JSON.stringify({ [s]: 1 })),
  'JSON behind other text': text((s) => `result: {"note":"${escapes(s)}"} done`),
  'percent-encoding': text((s) => percent(s)),
  'percent-encoding twice': text((s) => percent(percent(s))),
  'character references': text((s) => references(s)),
  base64: text((s) => base64(s)),
  'base64 without padding': text((s) => base64(s).replace(/=+$/, '')),
  'base64 shifted by one': text((s) => base64(`x${s} end`)),
  'base64 shifted by two': text((s) => base64(`xy${s} end`)),
  base64url: text((s) => base64url(`??>>${s}??>>`)),
  'base64 in text': text((s) => `decode this: ${base64(s)} please`),
  'base64 in lines': text((s) => base64(`first line; ${s}; and a last one`).replace(/.{20}/g, '$&\n')),
  'base64 of base64': text((s) => base64(base64(s))),
  'base64 of base64 of base64': text((s) => base64(base64(base64(s)))),
  'base64 of JSON': text((s) => base64(JSON.stringify({ note: s }))),
  'base64 of UTF-16': text((s) => Buffer.from(s, 'utf16le').toString('base64')),
  'base64 of percent-encoding': text((s) => base64(percent(s))),
  'base64 among bytes': text((s) =>
    Buffer.concat([Buffer.from([0xff, 0xfe, 0x9c]), Buffer.from(`${s} and a few more words`)]).toString('base64'),
  ),
  'base64 of gzip': text((s) => gzipSync(s).toString('base64')),
  hexadecimal: text((s) => hex(s)),
  'upper-case hexadecimal': text((s) => `0x${hex(s).toUpperCase()}`),
  'hexadecimal of base64': text((s) => hex(base64(s))),
  'a data URI': text((s) => `data:text/plain;base64,${base64(s)}`),
  'a data URI with percent-encoding': text((s) => `data:text/plain,${percent(s)}`),
  'a query': text((s) => `https://example.net/?q=${encodeURIComponent(s)}`),
  'zero-width characters': text((s) => between(s, '\u200b')),
  'a zero-width joiner': text((s) => `${s.slice(0, 3)}\u200d${s.slice(3)}`),
  'bidirectional characters': text((s) => `\u202e${s.slice(0, 4)}\u2066${s.slice(4)}\u2069`),
  'soft hyphens': text((s) => between(s, '\u00ad')),
  'a byte order mark': text((s) => `${s.slice(0, 2)}\ufeff${s.slice(2)}`),
  'variation selectors': text((s) => between(s, '\ufe0f')),
  'combining marks': text((s) => between(s, '\u0336')),
  'NUL inside': text((s) => `${s.slice(0, 3)}\u0000${s.slice(3)}`),
  'tag characters': text((s) => `hello${tags(s)}`),
  'tag characters inside': text((s) => between(s, '\u{e0061}')),
  'full-width letters': text((s) => wide(s)),
  'full-width letters with zero-width characters': text((s) => between(wide(s), '\u200b')),
  'bold letters': text((s) => bold(s)),
  'Cyrillic lookalikes': text((s) => s.replace(/[aeopcxij]/g, (char) => CYRILLIC[char] ?? char)),
  'base64 of full-width letters': text((s) => base64(wide(s))),
  'full-width base64': text((s) => wide(base64(s))),
  'JSON with full-width letters': text((s) => JSON.stringify({ note: wide(s) })),
  'JSON with base64': text((s) => JSON.stringify({ note: base64(s) })),
  'JSON with zero-width characters': text((s) => JSON.stringify({ note: between(s, '\u200b') })),
  'percent-encoded JSON': text((s) => percent(JSON.stringify({ note: s }))),
  'a name among others': text((s) => `a, b, "${s}", c`),
  reversed: text((s) => [...s].reverse().join('')),
  ROT13: text((s) => rot13(s)),
  'two halves': (s) => halves(s).map((half) => JSON.stringify(half)),
  'base64 in two halves': (s) => halves(base64(s)).map((half) => JSON.stringify(half)),
};
