import type { Facts } from '../policies/types.ts';
import { companionNames, companionOf } from './companions.ts';
import { GatewayError } from './errors.ts';
import type { Catalog } from './forward/catalog.ts';
import type { Gateway } from './gateway.ts';
import { UNKNOWN_TOOL, type Asked } from './identify.ts';
import { LEGACY_VERSIONS } from './wire/era.ts';

/**
 * Adds what the rules in play need to know of the upstream: its eras, the tool's definition, the names on offer. A call of a
 * companion tool becomes a call to the connection `gateway`. Returns at once when the catalog is fresh or not needed.
 */
export function gather(asked: Asked, gateway: Gateway): Asked | Promise<Asked> {
  if (!needsCatalog(asked)) return asked;
  const catalog = gateway.catalogs.get(asked.connection);
  return catalog instanceof Promise
    ? catalog.then((it) => enrich(asked, it, gateway))
    : enrich(asked, catalog, gateway);
}

function needsCatalog(asked: Asked): boolean {
  const { principal, connection, rules, era, frame } = asked;
  // The catalog is made of the system's own calls.
  if (principal.authenticatedBy === 'system' || connection.transport === 'gateway' || frame === undefined) return false;
  if (!rules.visible(principal)) return false;
  return era === 'modern' || rules.holds || rules.filters(principal);
}

function enrich(asked: Asked, catalog: Catalog | undefined, gateway: Gateway): Asked {
  if (asked.era === 'modern' && catalog !== undefined && !catalog.eras.has('modern')) {
    // A legacy upstream might run a modern request under legacy semantics: dual-era clients fall back on this answer.
    const requested = asked.version;
    throw new GatewayError('version_unsupported', String(requested), {
      data: { supported: LEGACY_VERSIONS, requested },
    });
  }
  const { call, rules } = asked;
  if (!rules.holds && !rules.filters(asked.principal)) return asked;
  if (call.kind === 'tool' && rules.holds) {
    const operation = companionOf(call.name, companionNames(catalog));
    const gatewayRules = asked.rulebook.connection('gateway');
    const connection = gateway.connections.get('gateway');
    if (operation !== undefined && gatewayRules !== undefined && connection !== undefined) {
      const redirected = { ...call, connection: 'gateway', name: operation, annotations: UNKNOWN_TOOL };
      return { ...asked, connection, rules: gatewayRules, call: redirected, through: asked.connection };
    }
  }
  const tool = call.kind === 'tool' ? catalog?.tools.get(call.name) : undefined;
  const names = catalog === undefined ? undefined : namesOf(catalog, call.kind);
  const facts: Facts = names === undefined ? {} : { catalog: names };
  if (tool === undefined) return { ...asked, facts };
  return { ...asked, facts, call: { ...call, annotations: tool.annotations, definition: tool.definition } };
}

const NAMES = new WeakMap<Catalog, ReadonlySet<string>>();

/** Resources have templates, so their list says nothing about what can be read. */
function namesOf(catalog: Catalog, kind: string): ReadonlySet<string> | undefined {
  if (kind === 'prompt') return catalog.prompts;
  if (kind !== 'tool') return undefined;
  let names = NAMES.get(catalog);
  if (names === undefined) NAMES.set(catalog, (names = new Set(catalog.tools.keys())));
  return names;
}
