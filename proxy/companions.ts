import { toolDefinition } from './admin/tool.ts';
import { findOperation } from './admin/operations.ts';
import type { Catalog } from './forward/catalog.ts';

/** Operations that an agent needs when its call is held, in the order of the pending answer's advice. */
const COMPANIONS = ['reviews_wait', 'reviews_execute', 'reviews_get', 'me_get'] as const;

/** The names they go by on this connection: if the upstream has one of them, all four take the prefix. */
export function companionNames(catalog: Catalog | undefined): readonly string[] {
  const clash = catalog !== undefined && COMPANIONS.some((name) => catalog.tools.has(name));
  return clash ? COMPANIONS.map((name) => `portcullis_${name}`) : COMPANIONS;
}

/** The operation behind a companion's name, if it is one. */
export function companionOf(name: string, names: readonly string[]): string | undefined {
  const index = names.indexOf(name);
  return index < 0 ? undefined : COMPANIONS[index];
}

/** Their tool definitions as JSON texts, for the end of the connection's list; none where the server offers no tools. */
export function companionTools(catalog: Catalog | undefined): readonly string[] {
  return companionNames(catalog).map((name, index) =>
    JSON.stringify(toolDefinition(findOperation(COMPANIONS[index]!)!, name)),
  );
}
