import type { MaskingDocument } from '../documents.ts';
import { RuleFault } from '../fault.ts';
import type { Finding } from '../types.ts';
import { structuralFaults } from './check.ts';
import { Detector } from './detector.ts';
import { Gate } from './gate.ts';
import { walk } from './walk.ts';

export { checkMasking } from './check.ts';
export { BUILT_IN_TYPES } from './entities.ts';

/** The masking rules of one connection, compiled. */
export interface Masker {
  /** Names of the entity types that are looked for. */
  readonly types: readonly string[];
  /**
   * Masks one complete JSON-RPC message. Returns the very same string when nothing was found. Throws on any fault, and then nothing
   * of the message may be passed on.
   */
  mask(json: string): { readonly json: string; readonly findings: readonly Finding[] };
}

const NONE: readonly Finding[] = [];

/** Compiles the rules once. Throws a RuleFault when one of them is faulty. */
export function createMasker(rules: readonly MaskingDocument[]): Masker {
  for (const rule of rules) {
    const fault = structuralFaults(rule)[0];
    if (fault !== undefined) throw new RuleFault(`masking rule ${rule.name}: ${fault.path}: ${fault.message}`);
  }
  const detector = new Detector(rules);
  const lists = rules.flatMap((rule) => rule.custom_entity_types ?? []).flatMap((entity) => entity.deny_list ?? []);
  const gate = new Gate(detector, lists);
  const types = [...new Set([...detector.asks.keys(), ...detector.customs.map(({ entity }) => entity)])];
  if (types.length === 0) return { types, mask: (json) => ({ json, findings: NONE }) };
  return { types, mask: (json) => (gate.mayHold(json) ? walk(json, detector) : { json, findings: NONE }) };
}
