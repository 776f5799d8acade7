import { splice } from '../policies/json/splice.ts';
import { decodeString, find, parseTree, type ArrayNode, type Node } from '../policies/json/tree.ts';
import type { Denial, Finding } from '../policies/types.ts';
import type { Exchange } from './exchange.ts';
import type { Gateway } from './gateway.ts';
import type { Asked } from './identify.ts';
import { resultHead } from './modern/result.ts';
import type { Objection, PinSettings } from './pins.ts';
import type { Frame } from './types.ts';
import { cutMembers } from './wire/cut.ts';
import { withText } from './wire/frame.ts';

const REMEDY = 'ask an administrator to review the tool with pins_get and pins_accept';

/** The settings of a connection whose tools are compared at all. */
export function pinSettings({ settings, connection }: Asked): PinSettings | undefined {
  const pins = settings.pins.get(connection.name);
  return pins === undefined || pins.mode === 'off' ? undefined : pins;
}

/** How old the tool list may be by which the call is judged; undefined when pins do not refuse calls here. */
export function pinnedWithin(asked: Asked): number | undefined {
  const pins = asked.call.kind === 'tool' ? pinSettings(asked) : undefined;
  return pins?.mode === 'block' || pins?.firstSight === 'require_review' ? pins.maxAgeMs : undefined;
}

/** The call with what the pins say of its tool. */
export function withPin(asked: Asked, gateway: Gateway): Asked {
  const { call, connection, principal } = asked;
  if (call.kind !== 'tool' || principal.authenticatedBy === 'system') return asked;
  const pins = pinSettings(asked);
  if (pins === undefined) return asked.pin === undefined ? asked : { ...asked, pin: undefined };
  const server = gateway.pins.server(connection.name, pins);
  const tool = gateway.pins.tool(connection.name, call.name, pins);
  const against = tool?.refused === true || server === undefined ? tool : server;
  if (against === undefined) return asked.pin === undefined ? asked : { ...asked, pin: undefined };
  const finding = findingOf(against, 'input', 1);
  if (!against.refused) return { ...asked, pin: { finding } };
  const denial: Denial = { code: against.code, rule: 'pins', reason: '', remedy: REMEDY };
  return { ...asked, pin: { finding, denial } };
}

/** Compares a list of tools that passes with the pins; answers which of its items may not leave. */
export function refusedTools(exchange: Exchange, text: string, items: ArrayNode): ReadonlySet<Node> | undefined {
  const { asked, gateway } = exchange;
  const pins = pinSettings(asked);
  if (pins === undefined) return undefined;
  const connection = asked.connection.name;
  const list = text.slice(items.start, items.end);
  if (gateway.pins.isClean(connection, list, pins)) return undefined;
  const shown = items.items.flatMap((item) => {
    const name = item.type === 'object' ? find(item, 'name') : undefined;
    if (name?.type !== 'string') return [];
    return { item, name: decodeString(text, name.start, name.end), text: text.slice(item.start, item.end) };
  });
  // A list made for the other era is not the server's own text.
  if (!asked.translated || asked.era === 'legacy') {
    const known = shown.filter((item) => !isWithheld(asked, item.text));
    gateway.pins.see(connection, 'tool', known, pins, asked.rules.redact);
  }
  const against = shown.flatMap(({ item, name }) => {
    const objection = gateway.pins.tool(connection, name, pins);
    return objection === undefined ? [] : { item, objection };
  });
  if (against.length === 0) {
    gateway.pins.noteClean(connection, list, pins);
    return undefined;
  }
  for (const kind of new Set(against.map(({ objection }) => `${objection.code} ${objection.refused}`))) {
    const same = against.filter(({ objection }) => `${objection.code} ${objection.refused}` === kind);
    exchange.findings.push(findingOf(same[0]!.objection, 'output', same.length));
  }
  return new Set(against.flatMap(({ item, objection }) => (objection.refused ? item : [])));
}

/** Compares what a server says of itself with its pin; instructions that are not trusted do not leave where pins refuse. */
export function governServer(exchange: Exchange, frame: Frame): Frame {
  const { asked, gateway } = exchange;
  const { method } = asked.call;
  const pins = asked.connection.transport === 'gateway' ? undefined : pinSettings(asked);
  if (pins === undefined || resultHead(frame).size === 0) return frame;
  const text = asked.connection.scrub(identityOf(frame));
  if (isWithheld(asked, text)) return frame;
  gateway.pins.see(asked.connection.name, 'server', [{ name: method, text }], pins, asked.rules.redact);
  const objection = gateway.pins.said(asked.connection.name, method, pins);
  if (objection === undefined) return frame;
  exchange.findings.push(findingOf(objection, 'output', 1));
  if (!objection.refused) return frame;
  const result = find(parseTree(frame.text), 'result');
  if (result?.type !== 'object') return frame;
  return withText(
    frame,
    splice(
      frame.text,
      cutMembers(result, ({ key }) => key !== 'instructions'),
    ),
  );
}

/** What output rules withhold reaches no client, and so no pin either: pins would keep its text. */
function isWithheld({ rules, call, principal, facts }: Asked, text: string): boolean {
  return rules.inspects && rules.inspect(text, call, principal, facts).denial !== undefined;
}

/** Who the server is and how it wants to be used, as one JSON text. */
function identityOf(frame: Frame): string {
  const head = resultHead(frame);
  const slice = (span: { start: number; end: number } | undefined): string =>
    span === undefined ? 'null' : frame.text.slice(span.start, span.end);
  const meta = head.get('_meta');
  const metaText = meta === undefined ? '{}' : slice(meta);
  const info = find(parseTree(metaText), 'io.modelcontextprotocol/serverInfo');
  const modern = info === undefined ? 'null' : metaText.slice(info.start, info.end);
  const server = head.has('serverInfo') ? slice(head.get('serverInfo')) : modern;
  return `{"serverInfo":${server},"instructions":${slice(head.get('instructions'))}}`;
}

function findingOf({ code, refused }: Objection, direction: 'input' | 'output', count: number): Finding {
  return { rule: 'pins', policy: 'pin', direction, action: refused ? 'block' : 'warn', path: '', entity: code, count };
}
