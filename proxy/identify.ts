import type { ConnectionRules, Rulebook } from '../policies/rulebook.ts';
import type { Call, CallKind, Facts, Principal, ToolAnnotations } from '../policies/types.ts';
import type { SchemaCheck } from '../policies/schema/compile-schema.ts';
import { memberSpan } from '../policies/json/member.ts';
import { besideOf } from './beside.ts';
import { GatewayError } from './errors.ts';
import type { Connection } from './forward/connection.ts';
import type { WireSession } from './forward/sessions.ts';
import type { Gateway, Settings } from './gateway.ts';
import { toHttpCall } from './http-call.ts';
import type { Pinned } from './pins.ts';
import type { Arrival, Era, Frame } from './types.ts';
import { classify, knownMethod } from './wire/era.ts';
import { member } from './wire/member.ts';

/** A message whose meaning is known: what is asked, of whom, by whom, in which session. */
export interface Asked {
  readonly arrival: Arrival;
  readonly principal: Principal;
  /** Absent for the session operations GET and DELETE. */
  readonly frame: Frame | undefined;
  readonly era: Era;
  readonly version: string | undefined;
  readonly connection: Connection;
  readonly settings: Settings;
  readonly rulebook: Rulebook;
  readonly rules: ConnectionRules;
  readonly session: WireSession | undefined;
  readonly call: Call;
  readonly facts: Facts;
  /** The tool's input schema, where the connection's mode has arguments compared with it. */
  readonly input?: SchemaCheck;
  /** The tool's output schema, where the connection's mode has answers compared with it. */
  readonly output?: SchemaCheck;
  /** What the pins say of the tool; absent when nothing stands against it. */
  readonly pin?: Pinned | undefined;
  /** False when the method is neither of the revision nor configured: decided as a denial. */
  readonly methodKnown: boolean;
  /** True when the upstream is of the other era: it is spoken to through the connection's face. */
  readonly translated: boolean;
  /** The message as the upstream gets it, where that is not what the client sent. */
  readonly outgoing?: Frame;
  /** The call with the values behind its placeholders, as the upstream gets it; rules judge both. */
  readonly restored?: Call;
  /** Headers that repeat restored arguments, in the place of the client's own. */
  readonly mirrored?: Readonly<Record<string, string>>;
  /** For a call of a companion tool: the connection whose client made it. */
  readonly through: Connection | undefined;
}

/** A tool of which nothing is known may do anything. */
export const UNKNOWN_TOOL: ToolAnnotations = {
  readOnlyHint: false,
  destructiveHint: true,
  idempotentHint: false,
  openWorldHint: true,
};

const KINDS: ReadonlyMap<string, CallKind> = new Map([
  ['tools/call', 'tool'],
  ['prompts/get', 'prompt'],
  ['resources/read', 'resource'],
  ['resources/subscribe', 'resource'],
  ['resources/unsubscribe', 'resource'],
]);

/** Turns a message into a Call; throws when it belongs to no connection, session or era. */
export function identify(arrival: Arrival, principal: Principal, frame: Frame | undefined, gateway: Gateway): Asked {
  const settings = gateway.settings();
  const connection = gateway.connections.get(arrival.connection);
  const rules = settings.rulebook.connection(arrival.connection);
  if (connection === undefined || rules === undefined) throw new GatewayError('connection_unknown');
  try {
    return understand({ arrival, principal, frame, settings, connection, rules }, gateway);
  } catch (fault) {
    // Whoever may not see the connection learns nothing of it, not by what is wrong with his message either.
    if (rules.visible(principal)) throw fault;
    throw new GatewayError('connection_unknown', '', { cause: fault });
  }
}

type Given = Pick<Asked, 'arrival' | 'principal' | 'frame' | 'settings' | 'connection' | 'rules'>;

function understand(given: Given, gateway: Gateway): Asked {
  const { arrival, principal, frame, settings, connection, rules } = given;
  const { era, version } =
    frame === undefined
      ? ({ era: 'legacy', version: undefined } as const)
      : classify(frame, arrival.headers, arrival.rawHeaders);
  if (arrival.carrier !== undefined && era === 'modern')
    throw new GatewayError('invalid_request', `messages of ${version} are answered on their own POST`);
  const session =
    era === 'legacy' && arrival.pass === undefined
      ? findSession(arrival, principal, frame, connection, gateway)
      : undefined;
  const methodKnown =
    frame === undefined ||
    frame.kind === 'response' ||
    knownMethod(era, frame) ||
    connection.methods.includes(frame.method ?? '');
  return {
    arrival,
    principal,
    frame,
    era,
    version: version ?? session?.version,
    connection,
    settings,
    rulebook: settings.rulebook,
    rules,
    session,
    translated: session?.translated ?? false,
    call:
      arrival.pass === undefined
        ? toCall(connection.name, arrival, frame, methodKnown, rules.reads)
        : toHttpCall(connection, arrival, UNKNOWN_TOOL),
    facts: {},
    methodKnown,
    through: undefined,
  };
}

/** The legacy session of a message that is none of `initialize`: its header's, or that of the event stream it came for. */
export function findSession(
  arrival: Arrival,
  principal: Principal,
  frame: Frame | undefined,
  connection: Connection,
  gateway: Gateway,
): WireSession | undefined {
  const { carrier } = arrival;
  // It opens an event stream, on which the session begins later.
  if (carrier === '') return undefined;
  const own = carrier === undefined ? undefined : gateway.carriers.find(carrier, connection.name, principal);
  const ended = own?.finishing === true && frame?.kind !== 'response' && frame?.kind !== 'notification';
  if (carrier !== undefined && (own === undefined || ended)) throw new GatewayError('session_unknown');
  if (own?.full === true) throw new GatewayError('too_busy');
  const id = own === undefined ? arrival.headers['mcp-session-id'] : own.session;
  if (frame?.method === 'initialize') {
    if (own?.session !== undefined) throw new GatewayError('invalid_request', 'its session is open already');
    if (gateway.sessions.full(principal)) throw new GatewayError('too_many_sessions');
    return undefined;
  }
  if (typeof id !== 'string') {
    // An upstream without sessions says itself what it serves without one.
    const always = connection.transport === 'stdio' || !connection.eras.includes('modern');
    if (always) throw new GatewayError('session_missing');
    return undefined;
  }
  const session = gateway.sessions.find(id, connection.name, principal, gateway.now());
  if (session === undefined) throw new GatewayError('session_unknown');
  return session;
}

function toCall(connection: string, arrival: Arrival, frame: Frame | undefined, known: boolean, read: boolean): Call {
  const method = frame === undefined ? arrival.httpMethod : (frame.method ?? 'response');
  const params = member(frame?.value, frame?.kind === 'response' ? 'result' : 'params');
  const kind = (known ? KINDS.get(method) : undefined) ?? 'protocol';
  const nameMember = kind === 'resource' ? 'uri' : 'name';
  const name = kind === 'protocol' ? '' : member(params, nameMember);
  if (typeof name !== 'string') throw new GatewayError('arguments_invalid', `params.${nameMember} must be a string`);
  const args = kind === 'tool' || kind === 'prompt' ? member(params, 'arguments') : params;
  const beside = read ? besideOf(arrival, frame) : undefined;
  return {
    connection,
    kind,
    method,
    name,
    arguments: args ?? {},
    text: frame === undefined ? '{}' : paramsText(frame),
    ...(beside === undefined ? {} : { beside }),
    annotations: UNKNOWN_TOOL,
  };
}

/** What a rule reads of a message: its params; of an answer the whole text. */
export function paramsText(frame: Frame): string {
  if (frame.kind === 'response') return frame.text;
  const span = memberSpan(frame.text, 0, 'params');
  if (span !== undefined) return frame.text.slice(span.start, span.end);
  // Params spelt with escapes: nothing may be overlooked, so everything is read.
  return Object.hasOwn(frame.value, 'params') ? frame.text : '{}';
}
