import { find, parseTree, type ObjectNode } from '../../../policies/json/tree.ts';
import type { JsonObject } from '../../../policies/types.ts';
import type { Frame } from '../../types.ts';
import { MODERN_VERSIONS } from '../../wire/era.ts';
import { objectMember, requestFrame, resultFrame } from '../../wire/frame.ts';
import { envelopeOf, modernParams } from './legacy-request.ts';
import type { Offer, SessionFacts } from './legacy-session.ts';
import { setMembers, objectNode, textAt } from './modern-edit.ts';
import { spliceNode } from './splice-node.ts';

/** Newest first; the first is offered to clients of revisions that are not known. */
const KNOWN: readonly string[] = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'];
const NEUTRAL = '{"name":"mcp-server","version":"unknown"}';

/** The initialize request as a question to a server that needs none: who it is and what it can do. */
export function discoverFrame(asked: Frame, facts: SessionFacts): Frame {
  const { text } = asked;
  const meta = objectNode(find(parseTree(text), 'params', '_meta'));
  const own = `{"_meta":${meta === undefined ? '{}' : textAt(text, meta)}}`;
  const params = modernParams(own, parseTree(own), envelopeOf(facts, undefined), undefined);
  return requestFrame(asked.id!, 'server/discover', params);
}

/** What the client says of itself, without what the server behind could only misunderstand. */
export function factsOf(asked: Frame): SessionFacts {
  const { text } = asked;
  const params = objectMember(asked.value, 'params');
  const wanted = params?.['protocolVersion'];
  const version = typeof wanted === 'string' && KNOWN.includes(wanted) ? wanted : KNOWN[0]!;
  const root = find(parseTree(text), 'params');
  const info = objectNode(find(root, 'clientInfo'));
  const capabilities = objectNode(find(root, 'capabilities'));
  return {
    version,
    capabilities: capabilities === undefined ? '{}' : capabilitiesText(text, capabilities, version),
    clientInfo: info === undefined ? undefined : textAt(text, info),
    offers: [],
  };
}

/** Tasks and extensions are other protocols in each revision; elicitation came with 2025-06-18, its URLs with 2025-11-25. */
function capabilitiesText(text: string, capabilities: ObjectNode, version: string): string {
  const gone = new Set(['tasks', 'extensions', ...(version < '2025-06-18' ? ['elicitation'] : [])]);
  const edits = setMembers(capabilities, {}, (key) => gone.has(key));
  const elicitation = objectNode(find(capabilities, 'elicitation'));
  if (version === '2025-06-18' && elicitation !== undefined) {
    edits.push(...setMembers(elicitation, {}, (key) => key === 'url'));
  }
  return spliceNode(text, capabilities, edits);
}

/** Whether the answer to server/discover is that of a server which serves the revision of the gateway's questions. */
export function servesModern(discovered: Frame): boolean {
  const versions = objectMember(discovered.value, 'result')?.['supportedVersions'];
  return Array.isArray(versions) && versions.some((version) => version === MODERN_VERSIONS[0]);
}

/** The InitializeResult that says what the server said of itself, and which of it a session can hear of. */
export function initialized(
  asked: Frame,
  discovered: Frame,
  facts: SessionFacts,
): { readonly text: string; readonly offers: readonly Offer[] } {
  const { text } = discovered;
  const result = find(parseTree(text), 'result');
  const capabilities = objectNode(find(result, 'capabilities'));
  const info = objectNode(find(result, '_meta', 'io.modelcontextprotocol/serverInfo'));
  const instructions = find(result, 'instructions');
  const members = [
    `"protocolVersion":"${facts.version}"`,
    `"capabilities":${capabilities === undefined ? '{}' : serverCapabilities(text, capabilities)}`,
    `"serverInfo":${info !== undefined && isWhole(info) ? textAt(text, info) : NEUTRAL}`,
    ...(instructions?.type === 'string' ? [`"instructions":${textAt(text, instructions)}`] : []),
  ];
  return { text: resultFrame(asked.id!, `{${members.join(',')}}`).text, offers: offersOf(discovered) };
}

function serverCapabilities(text: string, capabilities: ObjectNode): string {
  const edits = setMembers(capabilities, {}, (key) => key === 'tasks' || key === 'extensions');
  return spliceNode(text, capabilities, edits);
}

function offersOf(discovered: Frame): readonly Offer[] {
  const capabilities = objectMember(objectMember(discovered.value, 'result'), 'capabilities');
  const says = (name: string, flag: string): boolean => {
    const member: JsonObject | undefined = objectMember(capabilities, name);
    return member !== undefined && Object.hasOwn(member, flag) && member[flag] === true;
  };
  const offers: Offer[] = [];
  for (const name of ['tools', 'prompts', 'resources'] as const) if (says(name, 'listChanged')) offers.push(name);
  if (says('resources', 'subscribe')) offers.push('subscribe');
  return offers;
}

/** Clients with sessions refuse a server without name and version. */
const isWhole = (info: ObjectNode): boolean =>
  find(info, 'name')?.type === 'string' && find(info, 'version')?.type === 'string';
