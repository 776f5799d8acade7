import type { MaskingDocument, MaskingStrategy } from '../documents.ts';

/** The entity types that a rule hides. */
export function namesOf(rule: MaskingDocument): ReadonlySet<string> {
  return new Set([
    ...(rule.supported_entity_types ?? []).flatMap((group) => group.entity_types),
    ...(rule.custom_entity_types ?? []).map(({ name }) => name),
  ]);
}

const kind = (strategy: MaskingStrategy): string => (typeof strategy === 'string' ? strategy : strategy.type);

/** True when something of the rule is replaced by what only the gateway's state or key can make. */
export const needsTokens = (rule: MaskingDocument): boolean =>
  Object.values(rule.strategies ?? {}).some((strategy) => kind(strategy) === 'tokenize' || kind(strategy) === 'hash');

/** The types for which the rule hands out placeholders. */
export function tokenized(rule: MaskingDocument): ReadonlySet<string> {
  const strategies = new Map(Object.entries(rule.strategies ?? {}));
  const strategyOf = (name: string): MaskingStrategy => strategies.get(name) ?? strategies.get('DEFAULT') ?? 'replace';
  return new Set([...namesOf(rule)].filter((name) => kind(strategyOf(name)) === 'tokenize'));
}
