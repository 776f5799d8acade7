import { decodeString, find, parseTree, type ArrayNode, type Node } from '../policies/json/tree.ts';
import { splice, type Edit } from '../policies/json/splice.ts';
import type { ListedKind } from '../policies/rulebook.ts';
import { companionTools } from './companions.ts';
import { GatewayError } from './errors.ts';
import type { Exchange } from './exchange.ts';
import type { Catalog } from './forward/catalog.ts';
import { pinSettings, refusedTools } from './pinned.ts';
import type { Frame } from './types.ts';
import { withText } from './wire/frame.ts';

interface List {
  readonly member: string;
  readonly kind: ListedKind;
  /** The member of an item that names it. */
  readonly name: string;
}

const LISTS: Readonly<Record<string, List>> = {
  'tools/list': { member: 'tools', kind: 'tool', name: 'name' },
  'prompts/list': { member: 'prompts', kind: 'prompt', name: 'name' },
  'resources/list': { member: 'resources', kind: 'resource', name: 'uri' },
  'resources/templates/list': { member: 'resourceTemplates', kind: 'resource', name: 'uriTemplate' },
};

/**
 * Makes a list what its caller may see: hidden items are cut out, companion tools added at the end of the last page, and a
 * list that depends on the caller is private to caches (duty K-03). Everything else keeps its bytes.
 */
export function governList(exchange: Exchange, frame: Frame): Frame {
  const { asked } = exchange;
  const { rules, principal, connection, call } = asked;
  if (frame.kind !== 'response') return frame;
  const lists = listsOf(call.method);
  const pins = lists.some(({ kind }) => kind === 'tool') ? pinSettings(asked) : undefined;
  const system = principal.authenticatedBy === 'system';
  if (system && pins === undefined) return frame;
  const filters = rules.filters(principal);
  const personal = filters || rules.holds || rules.inspects;
  if (pins === undefined && (!personal || (lists.length === 0 && asked.era !== 'modern'))) return frame;
  const { text } = frame;
  const result = find(parseTree(text), 'result');
  const edits: Edit[] = [];
  for (const list of lists) {
    const items = find(result, list.member);
    if (items === undefined) continue;
    if (items.type !== 'array') {
      if (system || (!personal && pins?.mode !== 'block')) continue;
      throw new GatewayError('upstream_invalid', `${list.member} is not a list`);
    }
    const refused = pins !== undefined && list.kind === 'tool' ? refusedTools(exchange, text, items) : undefined;
    if (system) continue;
    const kept =
      filters || refused !== undefined
        ? items.items.filter(
            (item) =>
              refused?.has(item) !== true && (!filters || rules.sees(list.kind, nameOf(text, item, list), principal)),
          )
        : items.items;
    const added =
      list.kind === 'tool' &&
      rules.holds &&
      connection.transport !== 'gateway' &&
      find(result, 'nextCursor') === undefined
        ? companionTools(catalogNow(exchange))
        : [];
    if (kept.length !== items.items.length || added.length > 0) edits.push(rewrite(text, items, kept, added));
  }
  const scope = personal && !system ? find(result, 'cacheScope') : undefined;
  if (scope !== undefined) edits.push({ start: scope.start, end: scope.end, text: '"private"' });
  return edits.length === 0 ? frame : withText(frame, splice(text, edits));
}

/** A GET stream may repeat the answer to any request of its session (Last-Event-ID): there every list is one. */
function listsOf(method: string): readonly List[] {
  if (method === 'GET') return Object.values(LISTS);
  return Object.hasOwn(LISTS, method) ? [LISTS[method]!] : [];
}

function catalogNow(exchange: Exchange): Catalog | undefined {
  const catalog = exchange.gateway.catalogs.get(exchange.asked.connection);
  return catalog instanceof Promise ? undefined : catalog;
}

/** An item without a readable name cannot be called by name: it counts as named '' and the rules decide. */
function nameOf(text: string, item: Node, list: List): string {
  const name = find(item, list.name);
  return name?.type === 'string' ? decodeString(text, name.start, name.end) : '';
}

function rewrite(text: string, array: ArrayNode, kept: readonly Node[], added: readonly string[]): Edit {
  const items = [...kept.map((item) => text.slice(item.start, item.end)), ...added];
  return { start: array.start, end: array.end, text: `[${items.join(',')}]` };
}
