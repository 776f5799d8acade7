import type { CustomEntity, MaskingDocument } from '../documents.ts';
import { RuleFault } from '../fault.ts';
import { compilePattern } from '../pattern.ts';
import { checkStrategies } from './check-strategies.ts';
import { BUILT_IN_TYPES, DEFAULT_THRESHOLD, builtInType } from './entities.ts';

export interface MaskingFault {
  /** Such as `custom_entity_types[0].regex`; empty for the document itself. */
  readonly path: string;
  readonly message: string;
}

const NAME = /^[A-Z][A-Z0-9_]{0,63}$/;
const LONGEST_WORD = 1000;

/** Every mistake in a masking rule, each with its place. */
export function checkMasking(document: MaskingDocument): readonly MaskingFault[] {
  const faults = [...structuralFaults(document)];
  const threshold = document.score_threshold ?? DEFAULT_THRESHOLD;
  for (const [c, { score = 1 }] of (document.custom_entity_types ?? []).entries()) {
    if (score >= threshold || !isScore(score)) continue;
    const message = `score ${score} is under the rule's threshold ${threshold}, so nothing would be masked`;
    faults.push({ path: `custom_entity_types[${c}].score`, message });
  }
  const types = document.supported_entity_types?.flatMap((group) => group.entity_types) ?? [];
  if (types.length + (document.custom_entity_types?.length ?? 0) === 0) {
    faults.push({ path: '', message: 'names no entity type: give supported_entity_types or custom_entity_types' });
  }
  return faults;
}

/** The mistakes that keep a rule from compiling. */
export function structuralFaults(document: MaskingDocument): readonly MaskingFault[] {
  const faults: MaskingFault[] = [];
  const threshold = document.score_threshold ?? DEFAULT_THRESHOLD;
  if (!isScore(threshold)) faults.push({ path: 'score_threshold', message: 'score threshold must be between 0 and 1' });
  const groups = document.supported_entity_types ?? [];
  for (const [g, { name, entity_types }] of groups.entries()) {
    const path = `supported_entity_types[${g}]`;
    checkName(name, `${path}.name`, faults);
    for (const [t, type] of entity_types.entries()) checkType(type, `${path}.entity_types[${t}]`, faults);
  }
  const customs = document.custom_entity_types ?? [];
  for (const [c, custom] of customs.entries()) checkCustom(custom, `custom_entity_types[${c}]`, faults);
  checkStrategies(document, (path, message) => void faults.push({ path, message }));
  return faults;
}

function checkName(name: string, path: string, faults: MaskingFault[]): void {
  if (name === '') faults.push({ path, message: 'missing name' });
  else if (!NAME.test(name)) {
    const message =
      name === name.toUpperCase() ? `name must be letters A-Z, digits and _, at most 64: ${quoted(name)}` : '';
    faults.push({ path, message: message || `entity type name must be uppercase: ${quoted(name)}` });
  }
}

function checkType(type: string, path: string, faults: MaskingFault[]): void {
  if (builtInType(type) !== undefined) return;
  const meant =
    builtInType(type.toUpperCase()) !== undefined ? `entity type name must be uppercase: ${quoted(type)}` : '';
  faults.push({
    path,
    message: meant || `unknown entity type ${quoted(type)}; known are ${BUILT_IN_TYPES.join(', ')}`,
  });
}

function checkCustom(custom: CustomEntity, path: string, faults: MaskingFault[]): void {
  checkName(custom.name, `${path}.name`, faults);
  const words = custom.deny_list ?? [];
  if (custom.regex === undefined && words.length === 0) {
    faults.push({ path, message: 'missing regex or deny_list: one of them says what the entity looks like' });
  }
  if (custom.regex !== undefined) checkRegex(custom.regex, `${path}.regex`, faults);
  for (const [w, word] of words.entries()) {
    if (word.trim() === '') faults.push({ path: `${path}.deny_list[${w}]`, message: 'is empty' });
    if (word.length > LONGEST_WORD)
      faults.push({ path: `${path}.deny_list[${w}]`, message: `is longer than ${LONGEST_WORD} characters` });
  }
  if (custom.score !== undefined && !isScore(custom.score))
    faults.push({ path: `${path}.score`, message: 'score must be between 0 and 1' });
}

function checkRegex(regex: string, path: string, faults: MaskingFault[]): void {
  if (regex === '') return void faults.push({ path, message: 'is empty' });
  try {
    compilePattern(regex);
  } catch (error) {
    if (!(error instanceof RuleFault)) throw error;
    faults.push({ path, message: error.message });
  }
}

const isScore = (value: number): boolean => typeof value === 'number' && value >= 0 && value <= 1;
const quoted = (name: string): string => JSON.stringify(name.slice(0, 80));
