import type { Member } from '../json/tree.ts';

/** Where in a JSON-RPC message a value stands; the further from the protocol's own members, the less is exempt from masking. */
export const MESSAGE = 0;
/** `params`, `result` and `error` themselves. */
export const HEAD = 1;
/** Objects that the protocol defines, such as content blocks and tools. */
export const DEFINED = 2;
/** `_meta` of `params` and `result`. */
export const META = 3;
/** Data of the server's own making: nothing in it is exempt. */
export const FREE = 4;

export type Zone = 0 | 1 | 2 | 3 | 4;

const HEADS = new Set(['params', 'result', 'error']);
const FREE_MEMBERS = new Set([
  'structuredContent',
  'arguments',
  'data',
  'inputSchema',
  'outputSchema',
  'requestedSchema',
  'metadata',
  'experimental',
  '_meta',
]);

const ENVELOPE = new Set(['jsonrpc', 'id']);
/** Names of methods; anything else after a known beginning is a text like any other. */
const METHOD = /^[A-Za-z_$/-]{1,128}$/;
// Not requestState: where it counts it never comes here, since it leaves sealed.
const OPAQUE = new Set(['protocolVersion', 'nextCursor', 'progressToken', 'requestId']);

// Words that the protocol itself writes: they tell nothing, and a client could not read the message without them.
const MEMBERS = new Set(
  (
    'jsonrpc id method params result error code message data _meta protocolVersion capabilities serverInfo clientInfo instructions ' +
    'name title version description websiteUrl icons src sizes mimeType theme tools inputSchema outputSchema annotations execution ' +
    'readOnlyHint destructiveHint idempotentHint openWorldHint audience priority lastModified content structuredContent isError type ' +
    'text blob uri size resource resources resourceTemplates uriTemplate contents prompts arguments required messages role ' +
    'model stopReason systemPrompt includeContext temperature maxTokens stopSequences metadata modelPreferences hints ' +
    'costPriority speedPriority intelligencePriority requestedSchema mode url elicitationId action completion values total hasMore ' +
    'nextCursor level logger progress progressToken requestId reason roots listChanged subscribe prompts logging completions ' +
    'sampling elicitation experimental extensions tasks task taskId status statusMessage createdAt lastUpdatedAt ttl ttlMs ' +
    'pollInterval pollIntervalMs resultType requestState inputRequests inputResponses cacheScope supportedVersions'
  ).split(' '),
);

const TYPES = new Set([
  'text',
  'image',
  'audio',
  'resource',
  'resource_link',
  'tool_use',
  'tool_result',
  'ref/prompt',
  'ref/resource',
]);
const ROLES = new Set(['user', 'assistant']);
const RESULT_TYPES = new Set(['complete', 'input_required', 'task']);

const MEDIA_TYPE =
  /^[a-z]{1,20}\/[A-Za-z][A-Za-z0-9+-]{0,60}(?:\.[A-Za-z][A-Za-z0-9+-]{0,60}){0,8}(?:; ?charset=[A-Za-z0-9-]{1,20})?$/;
const BASE64 = /^[A-Za-z0-9+/_=\r\n-]+$/;
// A shorter stretch could be a card number or a key as it stands.
const SHORTEST_PAYLOAD = 64;
// Characters that tell whether a payload is text.
const SAMPLE = 4096;

/** The zone of a member's value. */
export function zoneOf(parent: Zone, key: string): Zone {
  switch (parent) {
    case MESSAGE:
      return HEADS.has(key) ? HEAD : FREE;
    case HEAD:
      if (key === '_meta') return META;
      return FREE_MEMBERS.has(key) ? FREE : DEFINED;
    case DEFINED:
      return FREE_MEMBERS.has(key) ? FREE : DEFINED;
    default:
      return FREE;
  }
}

/** True when the key is one of the protocol's own words at a place where the protocol speaks. */
export const isProtocolMember = (zone: Zone, key: string): boolean => zone < META && MEMBERS.has(key);

/** True when a member's value must reach the other side as it stands, whatever it holds. */
export function isOpaque(zone: Zone, key: string): boolean {
  if (zone === MESSAGE) return ENVELOPE.has(key);
  if (zone === HEAD) return OPAQUE.has(key);
  return zone === META && key === 'progressToken';
}

const CONSTANTS = new Set(['type', 'role', 'resultType', 'mimeType', 'blob', 'data']);

/** False when `isConstant` would say no without looking at the string. */
export const mayBeConstant = (zone: Zone, key: string): boolean =>
  ((zone === HEAD || zone === DEFINED) && CONSTANTS.has(key)) || (zone === MESSAGE && key === 'method');

/** True when a string is what the protocol wants in its place and nothing else: a constant, a media type, a base64 payload. */
export function isConstant(
  zone: Zone,
  key: string,
  value: string,
  siblings: readonly Member[],
  typeOf: () => string,
): boolean {
  if (!mayBeConstant(zone, key)) return false;
  switch (key) {
    case 'method':
      return METHOD.test(value);
    case 'type':
      return TYPES.has(value);
    case 'role':
      return ROLES.has(value);
    case 'resultType':
      return RESULT_TYPES.has(value);
    case 'mimeType':
      return MEDIA_TYPE.test(value);
    case 'blob':
      return isPayload(value) && siblings.some((member) => member.key === 'uri');
    case 'data':
      return isPayload(value) && /^(?:image|audio)$/.test(typeOf());
    default:
      return false;
  }
}

const isPayload = (value: string): boolean =>
  value.length >= SHORTEST_PAYLOAD && BASE64.test(value) && !isText(Buffer.from(value.slice(0, SAMPLE), 'base64'));

/** Text called an image is read like any text. */
function isText(bytes: Buffer): boolean {
  let readable = 0;
  for (const byte of bytes) if ((byte >= 0x20 && byte < 0x7f) || (byte >= 0x09 && byte <= 0x0d)) readable += 1;
  return readable * 10 >= bytes.length * 9;
}
