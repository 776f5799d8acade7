import type { MaskingDocument } from '../documents.ts';
import { RuleFault } from '../fault.ts';
import { parseTree } from '../json/tree.ts';
import type { Finding, TokenSource } from '../types.ts';
import { structuralFaults } from './check.ts';
import { Detector } from './detector.ts';
import { mayHoldEncoded } from './encoded.ts';
import { Gate } from './gate.ts';
import { holdsSplit, mayHoldParts } from './joined.ts';
import { holdsNumber, mayHoldNumber } from './numbers.ts';
import { mayHoldPlaceholder } from './placeholder.ts';
import { Strategies } from './strategies.ts';
import { walk } from './walk.ts';
import type { Masked } from './walk.ts';

export { checkMasking } from './check.ts';
export { BUILT_IN_TYPES } from './entities.ts';

/** The masking rules of one connection, compiled. */
export interface Masker {
  /** Names of the entity types that are looked for. */
  readonly types: readonly string[];
  /**
   * Masks one complete JSON-RPC message. Returns the very same string when nothing was found, and `refused` when nothing of the
   * message may be passed on. Throws on any fault, and then nothing of it may be passed on either.
   */
  mask(json: string, tokens?: TokenSource): Masked;
  /** True when text of the message may read like a placeholder, and must not. */
  mayForge(json: string): boolean;
}

export interface MaskerOptions {
  /** Whether text of an upstream that reads like a placeholder is made to read otherwise. */
  readonly escapes?: boolean;
}

const NONE: readonly Finding[] = [];

/** Compiles the rules once. Throws a RuleFault when one of them is faulty. */
export function createMasker(rules: readonly MaskingDocument[], options: MaskerOptions = {}): Masker {
  for (const rule of rules) {
    const fault = structuralFaults(rule)[0];
    if (fault !== undefined) throw new RuleFault(`masking rule ${rule.name}: ${fault.path}: ${fault.message}`);
  }
  const { escapes = false } = options;
  const detector = new Detector(rules);
  const lists = rules.flatMap((rule) => rule.custom_entity_types ?? []).flatMap((entity) => entity.deny_list ?? []);
  const gate = new Gate(detector, lists);
  const strategies = new Strategies(rules);
  const types = [...new Set([...detector.asks.keys(), ...detector.customs.map(({ entity }) => entity)])];
  const mayForge = (json: string): boolean => escapes && mayHoldPlaceholder(json);
  const mayHold =
    types.length === 0
      ? mayForge
      : (json: string) => gate.mayHold(json) || mayForge(json) || mayHoldEncoded(json) || holds(json, detector);
  return {
    types,
    mayForge,
    mask: (json, tokens) =>
      mayHold(json) ? walk(json, detector, { strategies, tokens, escapes }) : { json, findings: NONE },
  };
}

/** What strings by themselves do not show: numbers, and entities that several texts of a list make together. */
function holds(json: string, detector: Detector): boolean {
  const numbers = mayHoldNumber(json, detector);
  const parts = mayHoldParts(json);
  if (!numbers && !parts) return false;
  const tree = parseTree(json);
  return (numbers && holdsNumber(json, tree, undefined, detector)) || (parts && holdsSplit(json, tree, detector));
}
