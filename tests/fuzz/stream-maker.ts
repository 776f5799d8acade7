import type { Random } from './random.ts';

export const SECRET = 'ada@example.com';
const WORDS = [
  '',
  ' ',
  '  x',
  '{"a":1}',
  'é漢😀',
  '\ufeff',
  '\0',
  '42',
  '4 2',
  ':',
  'data',
  '\u2028',
  '\u0085',
  SECRET,
  '\u000b',
];
const FIELDS = ['data', 'data', 'data', 'event', 'id', 'retry', 'Data', 'data ', '\ufeffdata', 'x', ''];
const BROKEN = [[0xc3], [0xff], [0xed, 0xa0, 0x80], [0xf0, 0x9f], [0xc0, 0x8a], [0xc0, 0x8d]];

/** Bytes of an event stream with any line ends, fields, comments and byte order marks; a few are not UTF-8. */
export function makeStream(random: Random, messages: readonly string[] = []): Buffer {
  const parts: Buffer[] = [];
  const put = (text: string): void => void parts.push(Buffer.from(text));
  const usual = random.pick(['\n', '\n', '\r\n', '\r']);
  const end = (): string => (random.chance(5) ? random.pick(['\n', '\r\n', '\r']) : usual);
  if (random.chance(10)) put(random.pick(['\ufeff', '\ufeff\ufeff']));
  const left = [...messages];
  const lines = random.int(random.pick([4, 12, 40])) + 4 * left.length;
  for (let line = 0; line < lines; line += 1) {
    if (left.length > 0 && random.chance(30)) {
      put(end());
      put(event(random, left.shift()!, end));
      continue;
    }
    switch (random.int(10)) {
      case 0:
      case 1:
        put(end());
        break;
      case 2:
        put(`:${random.pick(WORDS)}${end()}`);
        break;
      case 3:
        put(`${random.pick(['data', 'id', 'event', 'retry'])}${end()}`);
        break;
      case 4:
        if (random.chance(5)) parts.push(Buffer.from(random.pick(BROKEN)));
        break;
      default:
        // A stream that is meant to be read to its end says nothing by itself that is no message.
        put(
          `${messages.length > 0 ? random.pick(['event', 'id', 'retry', 'x', '']) : random.pick(FIELDS)}${random.pick([':', ': ', ''])}${random.pick(WORDS)}${end()}`,
        );
    }
  }
  for (const message of left) put(end() + event(random, message, end));
  if (random.chance(20)) put(random.pick(['data: cut', 'd', 'data: {"jsonrpc"', `: ${SECRET}`]));
  return Buffer.concat(parts);
}

/** The message as one event; its line breaks, which stand between JSON tokens, make it several data lines. */
function event(random: Random, message: string, end: () => string): string {
  const head = random.chance(30) ? `id: ${random.int(1000)}${end()}` : '';
  const lines = message.split('\n').map((line) => `data:${random.pick(['', ' '])}${line}${end()}`);
  return `${head}${lines.join('')}${random.chance(10) ? `: note${end()}` : ''}${end()}`;
}
