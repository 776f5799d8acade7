import { decodeString } from '../json/tree.ts';
import type { Node } from '../json/tree.ts';
import { DEEPEST } from './depth.ts';
import type { Detector } from './detector.ts';
import type { Span } from './entities.ts';
import { innerJson } from './inner-json.ts';

/** Fewest digits of a number that may be an entity. */
const FEWEST = 7;
const FEWEST_CUSTOM = 4;
const MOST = 40;

// White space may be written out, in JSON inside of a string.
const LONG = /[:,[](?:\s|\\+[nrt])*-?(?:\d{7}|\d[\d.]*[eE])/;
const LONG_CUSTOM = /[:,[](?:\s|\\+[nrt])*-?(?:\d{4}|\d[\d.]*[eE])/;
const NUMBER = /^-?(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d{1,6}))?$/;

/** False is certain: no number of the JSON text can be an entity. */
export const mayHoldNumber = (json: string, detector: Detector): boolean =>
  (detector.customs.length > 0 ? LONG_CUSTOM : LONG).test(json);

/** The entity that a number is, read by its value: all of its digits, whatever its sign and its spelling. */
export function numberEntity(
  text: string,
  node: Node,
  key: string | undefined,
  detector: Detector,
): { readonly digits: string; readonly span: Span } | undefined {
  const least = detector.customs.length > 0 ? FEWEST_CUSTOM : FEWEST;
  if (node.end - node.start < 3) return undefined;
  const digits = integerDigits(text.slice(node.start, node.end));
  if (digits === undefined || digits.length < least) return undefined;
  const span = detector.spans(digits, key).find(({ start, end }) => start === 0 && end === digits.length);
  return span && { digits, span };
}

/** The digits of a whole number, also of one with a point or an exponent; undefined for all others and very long ones. */
function integerDigits(lexeme: string): string | undefined {
  const [, whole = '', fraction = '', exponent = '0'] = NUMBER.exec(lexeme) ?? [];
  if (whole === '') return undefined;
  const all = whole + fraction;
  const point = whole.length + Number(exponent);
  if (point <= 0 || point > MOST || all.length > MOST * 4) return undefined;
  if (/[^0]/.test(all.slice(point))) return undefined;
  return all
    .slice(0, point)
    .padEnd(point, '0')
    .replace(/^0+(?=\d)/, '');
}

/** Whether some number of the tree is an entity, also one of JSON inside of its strings. */
export function holdsNumber(text: string, node: Node, key: string | undefined, detector: Detector, depth = 0): boolean {
  switch (node.type) {
    case 'scalar':
      return numberEntity(text, node, key, detector) !== undefined;
    case 'array':
      return node.items.some((item) => holdsNumber(text, item, key, detector, depth));
    case 'object':
      return node.members.some(({ key: name, value }) => holdsNumber(text, value, name, detector, depth));
    case 'string': {
      if (depth >= DEEPEST || node.end - node.start < 9) return false;
      const value = decodeString(text, node.start, node.end);
      if (!mayHoldNumber(value, detector)) return false;
      const inner = innerJson(value);
      return inner !== undefined && holdsNumber(value, inner, key, detector, depth + 1);
    }
    default:
      return node satisfies never;
  }
}
