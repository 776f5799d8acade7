import type { MaskingDocument, MaskingStrategy } from '../documents.ts';
import { RuleFault } from '../fault.ts';
import { compilePattern } from '../pattern.ts';
import { namesOf, tokenized } from './names.ts';

type Report = (path: string, message: string) => void;

const WAYS: ReadonlySet<string> = new Set(['replace', 'mask', 'partial', 'hash', 'tokenize']);
const NUMBERS: ReadonlySet<string> = new Set(['refuse', 'string', 'zero']);
// One character that JSON takes as it is, and that reads as nothing else.
const CHARACTER = /^[^\p{C}\p{Z}\p{M}"\\<>]$/u;
const LIKE_NUMBERED = /_[0-9]+$/;

/** The mistakes in what a rule says of hiding, exceptions, numbers and restoring. */
export function checkStrategies(rule: MaskingDocument, report: Report): void {
  const names = namesOf(rule);
  for (const [name, strategy] of Object.entries(rule.strategies ?? {})) {
    const path = `strategies.${name}`;
    if (name !== 'DEFAULT' && !names.has(name)) report(path, `the rule hides no ${JSON.stringify(name.slice(0, 80))}`);
    checkStrategy(strategy, path, report);
  }
  for (const [index, entry] of (rule.allow_list ?? []).entries()) {
    const path = `allow_list[${index}]`;
    if (typeof entry === 'string') {
      if (entry.trim() === '') report(path, 'is empty');
    } else checkPattern(entry.regex, `${path}.regex`, report);
  }
  if (rule.numbers !== undefined && !NUMBERS.has(rule.numbers)) report('numbers', 'must be refuse, string or zero');
  const types = tokenized(rule);
  for (const [index, { name }] of (rule.custom_entity_types ?? []).entries()) {
    if (types.has(name) && LIKE_NUMBERED.test(name))
      report(
        `custom_entity_types[${index}].name`,
        'must not end in _ and digits where it is tokenized: it would read like a placeholder',
      );
  }
  if (rule.restore === undefined) return;
  if (types.size === 0) report('restore', 'needs a type with the strategy tokenize: nothing else can be restored');
  if (rule.restore.tools.length === 0) report('restore.tools', 'must have at least 1 entry');
  for (const [index, tool] of rule.restore.tools.entries())
    if (tool === '') report(`restore.tools[${index}]`, 'is empty');
}

function checkStrategy(strategy: MaskingStrategy, path: string, report: Report): void {
  const options = typeof strategy === 'string' ? { type: strategy } : strategy;
  const { type, character, keep_first: first, keep_last: last } = options;
  if (!WAYS.has(type)) {
    const at = typeof strategy === 'string' ? path : `${path}.type`;
    return report(at, 'must be replace, mask, partial, hash or tokenize');
  }
  if (character !== undefined) {
    if (type !== 'mask' && type !== 'partial') report(`${path}.character`, 'belongs to mask and partial');
    else if (!CHARACTER.test(character))
      report(`${path}.character`, 'must be one visible character, no quote, backslash, < or >');
  }
  for (const [key, count] of [
    ['keep_first', first],
    ['keep_last', last],
  ] as const) {
    if (count === undefined) continue;
    if (type !== 'partial') report(`${path}.${key}`, 'belongs to partial');
    else if (!Number.isInteger(count) || count < 0) report(`${path}.${key}`, 'must be a whole number from 0');
  }
  if (type === 'partial' && (first ?? 0) + (last ?? 0) === 0) report(path, 'partial needs keep_first or keep_last');
}

function checkPattern(regex: string, path: string, report: Report): void {
  if (regex === '') return report(path, 'is empty');
  try {
    compilePattern(regex);
  } catch (error) {
    if (!(error instanceof RuleFault)) throw error;
    report(path, error.message);
  }
}
