import { outputFindings } from '../policies/schema/judge.ts';
import type { JsonObject, SchemaReport } from '../policies/types.ts';
import { companionNames, companionOf } from './companions.ts';
import type { Exchange } from './exchange.ts';
import type { Catalog } from './forward/catalog.ts';
import type { Gateway } from './gateway.ts';
import type { Asked } from './identify.ts';
import { resultHead } from './modern/result.ts';
import type { Frame } from './types.ts';
import { member } from './wire/member.ts';

/** A call, and the tools of its upstream as they were read last. */
export interface Compared {
  readonly asked: Asked;
  readonly catalog: Catalog | undefined;
}

const UNKNOWN_CATALOG: SchemaReport = { unusable: 'the tools of the server are not known', faults: [] };
const UNKNOWN_TOOL: SchemaReport = { unusable: 'the server does not list the tool', faults: [] };

/**
 * Compares a call's arguments with the tool's input schema, for the rules to judge. Before a call can be refused by a list that is
 * older than `trustedMs`, the list is read again. Of a tool that the caller may not see nothing is compared.
 */
export function compareArguments(
  asked: Asked,
  catalog: Catalog | undefined,
  gateway: Gateway,
  trustedMs: number,
): Compared | Promise<Compared> {
  const { rules, call, principal } = asked;
  if (rules.schema === 'off' || call.kind !== 'tool') return { asked, catalog };
  if (rules.filters(principal) && !rules.sees('tool', call.name, principal)) return { asked, catalog };
  if (rules.holds && companionOf(call.name, companionNames(catalog)) !== undefined) return { asked, catalog };
  const compared = withReport(asked, catalog, gateway);
  const { unusable, faults } = compared.asked.facts.schema!;
  const fits = unusable === undefined && faults.length === 0;
  const fresh = catalog !== undefined && gateway.now() - catalog.readAt <= trustedMs;
  if (fits || fresh || rules.schema === 'observe') return compared;
  return gateway.catalogs
    .newer(asked.connection, trustedMs)
    .then((newer) => (newer === undefined || newer === catalog ? compared : withReport(asked, newer, gateway)));
}

/** Catalog entries of which the log was told already. */
const TOLD = new WeakSet<object>();

function withReport(asked: Asked, catalog: Catalog | undefined, gateway: Gateway): Compared {
  const { call, connection } = asked;
  const tool = catalog?.tools.get(call.name);
  if (tool === undefined) {
    const schema = catalog === undefined ? UNKNOWN_CATALOG : UNKNOWN_TOOL;
    return { asked: { ...asked, facts: { ...asked.facts, schema } }, catalog };
  }
  const schema = tool.input(call.arguments);
  if (schema.unusable !== undefined && !TOLD.has(tool)) {
    TOLD.add(tool);
    gateway.log.warn(
      { connection: connection.name, tool: call.name, reason: schema.unusable },
      'arguments cannot be compared with the input schema of a tool',
    );
  }
  const output = tool.output === undefined ? {} : { output: tool.output };
  return { asked: { ...asked, input: tool.input, ...output, facts: { ...asked.facts, schema } }, catalog };
}

/** What was found of the arguments as the upstream gets them: values behind placeholders are what its schema speaks of. */
export function reportOf({ facts, input, restored }: Asked): SchemaReport | undefined {
  return restored === undefined || input === undefined ? facts.schema : input(restored.arguments);
}

/** Records where a tool's structured content does not fit its output schema. Changes and refuses nothing. */
export function observeOutput(exchange: Exchange, frame: Frame): void {
  const { output } = exchange.asked;
  if (output === undefined || !resultHead(frame).has('structuredContent')) return;
  const result = member(frame.value, 'result') as JsonObject;
  if (result['isError'] === true) return;
  exchange.findings.push(...outputFindings(output(result['structuredContent']!)));
}
