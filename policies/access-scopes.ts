import { spellings } from './access-target.ts';
import type { Target } from './access-target.ts';
import type { Globs } from './glob.ts';
import type { ListedKind } from './rulebook.ts';

interface ScopedRule {
  readonly name: string;
  /** True when the rule names anything; one that names nothing speaks of everything. */
  readonly narrows: boolean;
  readonly filters: Readonly<Record<ListedKind, { readonly allow?: Globs; readonly deny?: Globs }>>;
  readonly scopes: readonly string[];
}

export interface RequiredScope {
  readonly scope: string;
  readonly rule: string;
}

/** Every scope that rules ask for these targets, each once, with the first rule that asks. */
export function requiredScopes(rules: readonly ScopedRule[], targets: readonly Target[]): readonly RequiredScope[] {
  const required = new Map<string, RequiredScope>();
  for (const rule of rules) {
    if (rule.scopes.length === 0 || !targets.some((target) => covers(rule, target))) continue;
    for (const scope of rule.scopes) {
      if (!required.has(scope)) required.set(scope, { scope, rule: rule.name });
    }
  }
  return [...required.values()];
}

/** A rule asks for what its own allow list holds; without one for everything, unless it names only things of other kinds. */
function covers({ narrows, filters }: ScopedRule, { kind, name }: Target): boolean {
  const { allow, deny } = filters[kind];
  if (allow === undefined) return deny !== undefined || !narrows;
  const forms = kind === 'resource' ? spellings(name) : [name];
  return forms.some((form) => allow.resembles(form));
}
