import type { GuardrailEntry } from '../documents.ts';
import { traitsOf } from '../encoding.ts';
import { decodeString, find } from '../json/tree.ts';
import type { Node } from '../json/tree.ts';
import { fold, normalise } from '../normalise.ts';
import { compilePattern } from '../pattern.ts';
import { WHOLE, read } from '../reading.ts';
import { complainUnlessCompiles } from './complain.ts';
import { compareDecimals, isWhole, parseDecimal } from './decimal.ts';
import type { Decimal } from './decimal.ts';
import { opened, parsePath, places } from './json-path.ts';
import type { Place } from './json-path.ts';
import type { Complain, Kind, MessageMatcher } from './matcher.ts';
import { compileTools } from './tools.ts';

/** Does this value break the rule? */
type Test = (place: Place) => boolean;

/** One argument of a call against a pattern, a list, a range or a type. */
export const ARGUMENT_MATCH: Kind = {
  type: 'argument_match',
  directions: ['input'],
  members: ['tools', 'path', 'required', 'pattern_regex', 'enum', 'not_in', 'minimum', 'maximum', 'value_type'],
  redacts: false,
  check,
  compile(entry): MessageMatcher {
    const path = parsePath(entry.path ?? '$');
    const test = compileTest(entry);
    const concerns = compileTools(entry.tools, ['tool', 'prompt']);
    return {
      reads: 'message',
      hits(subject) {
        if (!concerns(subject.call)) return [];
        const root = find(subject.tree(), 'arguments');
        const found = root === undefined ? [] : places(path, subject.json, root, '/arguments');
        const broken = found.filter((place) => test(place)).map(({ pointer }) => pointer);
        const missing = entry.required === true && !found.some(({ exact }) => exact);
        return missing ? [...broken, '/arguments'] : broken;
      },
    };
  },
};

function check(entry: GuardrailEntry, _: unknown, complain: Complain): void {
  if (entry.path === undefined) complain('path', 'must lead to an argument, as in $.limit');
  else complainUnlessCompiles('path', entry.path, parsePath, complain);
  const range = entry.minimum ?? entry.maximum;
  const tests = [entry.pattern_regex, entry.enum, entry.not_in, range, entry.value_type];
  if (tests.filter((test) => test !== undefined).length !== 1) {
    complain('', 'must have exactly one of pattern_regex, enum, not_in, minimum and maximum, value_type');
  }
  if (entry.pattern_regex !== undefined) {
    complainUnlessCompiles('pattern_regex', entry.pattern_regex, compilePattern, complain);
  }
  for (const bound of ['minimum', 'maximum'] as const) {
    const value = entry[bound];
    if (value === undefined) continue;
    const exact = Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
    if (!exact) complain(bound, 'must be a number that can be written exactly: whole ones up to 9007199254740991');
  }
  if (entry.minimum !== undefined && entry.maximum !== undefined && entry.minimum > entry.maximum) {
    complain('maximum', 'must not be less than minimum');
  }
}

function compileTest(entry: GuardrailEntry): Test {
  if (entry.pattern_regex !== undefined) {
    const pattern = compilePattern(entry.pattern_regex);
    return (place) => someText(place, (text) => pattern.search(text));
  }
  if (entry.enum !== undefined) return notOneOf(entry.enum);
  if (entry.not_in !== undefined) return oneOf(entry.not_in);
  if (entry.value_type !== undefined) {
    const wanted = entry.value_type;
    return ({ text, node }) => !hasType(text, node, wanted);
  }
  return outside(bound(entry.minimum), bound(entry.maximum));
}

const bound = (value: number | undefined): Decimal | undefined =>
  value === undefined ? undefined : parseDecimal(String(value));

/** An allow list: compared exactly, numbers by their value; a list or an object is none of its values. */
function notOneOf(allowed: readonly string[]): Test {
  const texts = new Set(allowed);
  const numbers = allowed.flatMap((value) => parseDecimal(value) ?? []);
  return ({ text, node }) => {
    if (node.type === 'array' || node.type === 'object') return true;
    if (node.type === 'string') return !texts.has(decodeString(text, node.start, node.end));
    const literal = text.slice(node.start, node.end);
    if (texts.has(literal)) return false;
    const value = parseDecimal(literal);
    return value === undefined || !numbers.some((number) => compareDecimals(number, value) === 0);
  };
}

/** A deny list: whatever looks like one of its values, in any form, anywhere in the argument. */
function oneOf(denied: readonly string[]): Test {
  const texts = new Set(denied.map((value) => fold(value).trim()));
  const numbers = denied.flatMap((value) => parseDecimal(value) ?? []);
  const isDenied = (text: string): boolean => {
    const folded = fold(text).trim();
    if (texts.has(folded)) return true;
    const value = numbers.length > 0 ? parseDecimal(folded) : undefined;
    return value !== undefined && numbers.some((number) => compareDecimals(number, value) === 0);
  };
  return (place) => someText(place, isDenied);
}

/** What is no number, nor a text that programs take for one, lies in no range. */
function outside(minimum: Decimal | undefined, maximum: Decimal | undefined): Test {
  return ({ text, node }) => {
    if (node.type === 'array' || node.type === 'object') return true;
    const written =
      node.type === 'string'
        ? normalise(decodeString(text, node.start, node.end)).trim()
        : text.slice(node.start, node.end);
    const value = parseDecimal(written);
    if (value === undefined) return true;
    if (minimum !== undefined && compareDecimals(value, minimum) < 0) return true;
    return maximum !== undefined && compareDecimals(value, maximum) > 0;
  };
}

function hasType(text: string, node: Node, wanted: string): boolean {
  if (node.type !== 'scalar') return node.type === wanted;
  const literal = text.slice(node.start, node.end);
  if (literal === 'null') return wanted === 'null';
  if (literal === 'true' || literal === 'false') return wanted === 'boolean';
  if (wanted === 'number') return true;
  const value = wanted === 'integer' ? parseDecimal(literal) : undefined;
  return value !== undefined && isWhole(value);
}

/** Asks of each key, string (in every form) and literal in a value; what cannot be read whole counts as yes. */
function someText(place: Place, test: (text: string) => boolean): boolean {
  const { text, node } = place;
  if (node.type === 'scalar') return test(text.slice(node.start, node.end));
  const json = text.slice(node.start, node.end);
  const reading = read(json, traitsOf(json), '', 'all');
  if (!reading.complete) return true;
  if (reading.forms.some(({ token, text: form }) => token !== WHOLE && test(form))) return true;
  return literals(opened(place)).some((literal) => test(literal));
}

/** The numbers, `true`, `false` and `null` in a value. */
function literals({ text, node }: Place): readonly string[] {
  const found: string[] = [];
  const visit = (inner: Node): void => {
    if (inner.type === 'scalar') found.push(text.slice(inner.start, inner.end));
    else if (inner.type === 'array') for (const item of inner.items) visit(item);
    else if (inner.type === 'object') for (const { value } of inner.members) visit(value);
  };
  visit(node);
  return found;
}
