import { GATEWAY } from '../binding.ts';
import type { MaskingDocument } from '../documents.ts';
import { compileGlobs } from '../glob.ts';
import type { Denial } from '../types.ts';
import { needsTokens, tokenized } from './names.ts';
import type { Refused } from './walk.ts';

/** What the rules of one connection say of placeholders. */
export interface TokenRules {
  /** True when something is replaced by a placeholder or a digest. */
  readonly needed: boolean;
  /** True when text of the upstream must not read like a placeholder: some connection may put a value in its place. */
  readonly escapes: boolean;
  /** The types whose placeholders become values in the arguments of a tool. */
  restores(tool: string): ReadonlySet<string>;
}

const NO_TYPES: ReadonlySet<string> = new Set();

/** `rules` are those of the connection, `all` those of every connection. */
export function compileTokens(
  connection: string,
  rules: readonly MaskingDocument[],
  all: readonly MaskingDocument[],
): TokenRules {
  const restoring = rules
    .filter(({ restore }) => restore !== undefined)
    .map((rule) => ({ tools: compileGlobs(rule.restore!.tools), types: tokenized(rule) }));
  return {
    needed: rules.some(needsTokens),
    escapes: connection !== GATEWAY && all.some((rule) => tokenized(rule).size > 0),
    restores(tool) {
      const types = restoring.flatMap((rule) => (rule.tools.matches(tool) ? [...rule.types] : []));
      return types.length === 0 ? NO_TYPES : new Set(types);
    },
  };
}

/** The rule as the record's own: all that it names is hidden, by its type alone. */
export function recordForm(rule: MaskingDocument): MaskingDocument {
  const { strategies: _strategies, allow_list: _list, restore: _restore, ...kept } = rule;
  return { ...kept, numbers: 'string' };
}

/** Why an answer is withheld that has an entity where only a number may stand. */
export const numberDenial = ({ rule, entity, path }: Refused): Denial => ({
  code: 'output_blocked',
  rule,
  reason: `the number at ${path} is of the type ${entity}, which is hidden here, and a text in its place would break the schema of the answer`,
  remedy:
    'ask for the answer without this number; an administrator can set numbers: string or numbers: zero in the rule',
});
