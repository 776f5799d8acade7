import type { ListedKind } from '../../policies/rulebook.ts';
import type { Exchange } from '../exchange.ts';

/** The kinds of which the upstream offers something, and the caller may see nothing (duty V-02). */
export function hiddenKinds({ asked, gateway }: Exchange): { tools: boolean; prompts: boolean; resources: boolean } {
  const { rules, principal, connection } = asked;
  const catalog = rules.filters(principal) ? gateway.catalogs.get(connection) : undefined;
  if (catalog === undefined || catalog instanceof Promise) return { tools: false, prompts: false, resources: false };
  const hidden = (kind: ListedKind, ...lists: readonly Iterable<string>[]): boolean => {
    const names = lists.flatMap((list) => [...list]);
    return names.length > 0 && !names.some((name) => rules.sees(kind, name, principal));
  };
  return {
    tools: hidden('tool', catalog.tools.keys()),
    prompts: hidden('prompt', catalog.prompts),
    resources: hidden('resource', catalog.resources, catalog.templates),
  };
}
