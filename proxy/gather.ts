import { find, parseTree } from '../policies/json/tree.ts';
import type { Facts } from '../policies/types.ts';
import { compareArguments, type Compared } from './arguments-schema.ts';
import { companionNames, companionOf } from './companions.ts';
import { GatewayError } from './errors.ts';
import type { Catalog } from './forward/catalog.ts';
import type { Gateway } from './gateway.ts';
import { UNKNOWN_TOOL, type Asked } from './identify.ts';
import { restate } from './outgoing.ts';
import { pinnedWithin, withPin } from './pinned.ts';
import { restore } from './placeholders.ts';
import { LEGACY_VERSIONS } from './wire/era.ts';
import { checkParamHeaders } from './wire/param-headers.ts';

/** A tool list that is older is read again before a call is refused because of it. */
const TRUSTED_MS = 5_000;

/**
 * Adds what must be known of the upstream: its eras, the tool's definition, the names on offer. A call of a companion tool
 * becomes a call to the connection `gateway`. Returns at once when all of it is known or not needed.
 */
export function gather(asked: Asked, gateway: Gateway): Asked | Promise<Asked> {
  const gathered = collect(asked, gateway);
  return gathered instanceof Promise ? gathered.then((known) => withPin(known, gateway)) : withPin(gathered, gateway);
}

function collect(asked: Asked, gateway: Gateway): Asked | Promise<Asked> {
  if (!asksUpstream(asked)) return asked;
  const spoken = needsEra(asked) ? gateway.catalogs.speaks(asked.connection, asked.era) : undefined;
  return spoken instanceof Promise
    ? spoken.then((known) => together(asked, known, gateway))
    : together(asked, spoken, gateway);
}

function together(asked: Asked, spoken: boolean | undefined, gateway: Gateway): Asked | Promise<Asked> {
  const known = withCatalog(restate(meet(asked, spoken), gateway), gateway);
  return known instanceof Promise ? known.then((each) => restore(each, gateway)) : restore(known, gateway);
}

/** What is known of an upstream is made of the system's own calls; the gateway knows itself. */
function asksUpstream({ principal, connection, rules, frame, call }: Asked): boolean {
  if (principal.authenticatedBy === 'system' || connection.transport === 'gateway') return false;
  return frame !== undefined && call.kind !== 'http' && rules.visible(principal);
}

function needsEra({ era, connection, call }: Asked): boolean {
  return era === 'modern' || (connection.era !== 'passthrough' && call.method === 'initialize');
}

/** Brings client and upstream together (docs/protocol.md, Eras). */
function meet(asked: Asked, spoken: boolean | undefined): Asked {
  if (spoken !== false) return asked;
  const { era } = asked.connection;
  if (asked.era === 'legacy' ? era !== 'passthrough' : era === 'translate') return { ...asked, translated: true };
  if (asked.era === 'legacy') return asked;
  // A legacy upstream might run a modern request under legacy semantics: dual-era clients fall back on this answer.
  const requested = asked.version;
  throw new GatewayError('version_unsupported', String(requested), {
    data: { supported: LEGACY_VERSIONS, requested },
  });
}

function withCatalog(asked: Asked, gateway: Gateway): Asked | Promise<Asked> {
  const within = pinnedWithin(asked);
  if (within === undefined && !needsCatalog(asked)) return asked;
  const { catalogs } = gateway;
  const catalog = within === undefined ? catalogs.get(asked.connection) : catalogs.newer(asked.connection, within);
  return catalog instanceof Promise
    ? catalog.then((known) => enrich(asked, known, gateway))
    : enrich(asked, catalog, gateway);
}

function needsCatalog({ era, rules, principal, call }: Asked): boolean {
  const tool = call.kind === 'tool' && (era === 'modern' || rules.schema !== 'off');
  return tool || rules.holds || rules.filters(principal);
}

function enrich(asked: Asked, catalog: Catalog | undefined, gateway: Gateway): Asked | Promise<Asked> {
  const checked = checkMirrored(asked, catalog, gateway);
  return checked instanceof Promise
    ? checked.then((newer) => withSchema(asked, newer, gateway))
    : withSchema(asked, checked, gateway);
}

function withSchema(asked: Asked, catalog: Catalog | undefined, gateway: Gateway): Asked | Promise<Asked> {
  const add = (compared: Compared): Asked => withFacts(compared.asked, compared.catalog, gateway);
  const compared = compareArguments(asked, catalog, gateway, TRUSTED_MS);
  return compared instanceof Promise ? compared.then(add) : add(compared);
}

/** Header and body of a tool call must agree (duty R-07); a mismatch with a list that may be stale is looked at once more. */
function checkMirrored(
  asked: Asked,
  catalog: Catalog | undefined,
  gateway: Gateway,
): Catalog | undefined | Promise<Catalog | undefined> {
  if (asked.era !== 'modern' || asked.translated || asked.call.kind !== 'tool' || catalog === undefined) return catalog;
  try {
    compareMirrored(asked, catalog);
    return catalog;
  } catch (mismatch) {
    if (gateway.now() - catalog.readAt <= TRUSTED_MS) throw mismatch;
    return gateway.catalogs.newer(asked.connection, TRUSTED_MS).then((newer) => {
      compareMirrored(asked, newer ?? catalog);
      return newer;
    });
  }
}

function compareMirrored({ call, arrival, rules, principal }: Asked, catalog: Catalog): void {
  const params = catalog.tools.get(call.name)?.params ?? [];
  // Of a tool that the caller may not see, nothing tells that it exists.
  if (params.length === 0 || (rules.filters(principal) && !rules.sees('tool', call.name, principal))) return;
  const span = find(parseTree(call.text), 'arguments');
  const text = span === undefined ? '{}' : call.text.slice(span.start, span.end);
  checkParamHeaders(call.arguments, text, arrival.headers, params);
}

function withFacts(asked: Asked, catalog: Catalog | undefined, gateway: Gateway): Asked {
  const { call, rules } = asked;
  if (!rules.holds && !rules.filters(asked.principal)) return asked;
  if (call.kind === 'tool' && rules.holds) {
    const operation = companionOf(call.name, companionNames(catalog));
    const gatewayRules = asked.rulebook.connection('gateway');
    const connection = gateway.connections.get('gateway');
    if (operation !== undefined && gatewayRules !== undefined && connection !== undefined) {
      const redirected = { ...call, connection: 'gateway', name: operation, annotations: UNKNOWN_TOOL };
      return {
        ...asked,
        connection,
        rules: gatewayRules,
        call: redirected,
        through: asked.connection,
        translated: false,
      };
    }
  }
  const tool = call.kind === 'tool' ? catalog?.tools.get(call.name) : undefined;
  const names = catalog === undefined ? undefined : namesOf(catalog, call.kind);
  const facts: Facts = names === undefined ? asked.facts : { ...asked.facts, catalog: names };
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
