import { createHash } from 'node:crypto';
import { canonical } from '../../policies/json/canonical.ts';
import { splice } from '../../policies/json/splice.ts';
import type { Edit } from '../../policies/json/splice.ts';
import { decodeString, find, parseTree } from '../../policies/json/tree.ts';
import type { Node, ObjectNode } from '../../policies/json/tree.ts';
import type { Principal } from '../../policies/types.ts';
import { GatewayError } from '../errors.ts';
import type { Seal } from '../seal.ts';
import type { Frame } from '../types.ts';
import { cutMembers } from '../wire/cut.ts';
import { withText } from '../wire/frame.ts';
import { REPEATABLE, mayHold, resultOfType } from './result.ts';

/** For whom and where a state is valid. */
export interface StateOwner {
  readonly principal: Pick<Principal, 'issuer' | 'subject'>;
  readonly connection: string;
}

/** Keys of input requests that the gateway itself makes; upstreams never see the answers to them (M-08). */
export const OWN_INPUTS = 'portcullis.';

const PREFIX = 'gw.';
const LIFE_MS = 60 * 60_000;
/** Longest state, as the client holds it. */
const LENGTH = 512 * 1024;
/** Members of params that a repeated request may bring anew (M-06). */
const FRESH: ReadonlySet<string> = new Set(['_meta', 'inputResponses', 'requestState']);

/**
 * The answer with the upstream's `requestState` sealed for its owner and for repetitions of `request`, which must be as
 * the client sent it (M-04, M-05). An answer without one gets none.
 */
export function wrapState(
  frame: Frame,
  { request, ...owner }: StateOwner & { readonly request: Frame },
  seal: Seal,
  now: number,
): Frame {
  const result = resultOfType(frame, 'input_required');
  const state = find(result, 'requestState');
  if (state === undefined) return frame;
  if (state.type !== 'string') throw new GatewayError('upstream_invalid', 'requestState is not a string');
  const token = frame.text.slice(state.start, state.end);
  const sealed = PREFIX + seal.seal({ state: token, expiresAt: now + LIFE_MS }, boundTo(owner, request));
  if (sealed.length > LENGTH) throw new GatewayError('upstream_invalid', 'requestState is too long');
  return withText(frame, splice(frame.text, [{ start: state.start, end: state.end, text: `"${sealed}"` }]));
}

/**
 * The request with the upstream's own state in its exact bytes (M-05), and without answers to the gateway's own questions
 * (M-08). Refuses a state that is expired or altered, or was not made for this owner, method and parameters (M-04).
 */
export function unwrapState(frame: Frame, owner: StateOwner, seal: Seal, now: number): Frame {
  if (frame.kind !== 'request' || !mayHold(frame.text, 'requestState')) return stripOwnInputs(frame);
  if (!REPEATABLE.has(frame.method as string)) return stripOwnInputs(frame);
  const params = find(parseTree(frame.text), 'params');
  const state = find(params, 'requestState');
  if (state === undefined) return stripOwnInputs(frame);
  const text = opened(frame, state, owner, seal, now);
  return stripOwnInputs(withText(frame, splice(frame.text, [{ start: state.start, end: state.end, text }])));
}

function opened(frame: Frame, state: Node, owner: StateOwner, seal: Seal, now: number): string {
  if (state.type !== 'string' || state.end - state.start > LENGTH + 2) throw new GatewayError('request_state_invalid');
  const wrapped = decodeString(frame.text, state.start, state.end);
  if (!wrapped.startsWith(PREFIX)) throw new GatewayError('request_state_invalid');
  const value = seal.open(wrapped.slice(PREFIX.length), boundTo(owner, frame)) as
    | { readonly state: string; readonly expiresAt: number }
    | undefined;
  if (value === undefined || value.expiresAt <= now) throw new GatewayError('request_state_invalid');
  return value.state;
}

/** What the seal authenticates beside the state: a state of anything else does not open. */
function boundTo({ principal, connection }: StateOwner, request: Frame): string {
  const params = find(parseTree(request.text), 'params');
  const members = params?.type === 'object' ? params.members : [];
  const salient = members
    .filter(({ key }) => !FRESH.has(key))
    .map(({ key, value }) => [key, canonical(request.text.slice(value.start, value.end))])
    .sort(([a], [b]) => (a! < b! ? -1 : 1));
  const digest = createHash('sha256').update(JSON.stringify(salient)).digest('hex');
  return JSON.stringify([principal.issuer, principal.subject, connection, request.method, digest]);
}

/** The request without the members of `inputResponses` that answer the gateway's own questions (M-08). */
export function stripOwnInputs(frame: Frame): Frame {
  if (!mayHold(frame.text, OWN_INPUTS)) return frame;
  const params = find(parseTree(frame.text), 'params');
  const responses = find(params, 'inputResponses');
  if (responses?.type !== 'object') return frame;
  const own = responses.members.filter(({ key }) => key.startsWith(OWN_INPUTS)).length;
  if (own === 0) return frame;
  const edits: readonly Edit[] =
    own === responses.members.length
      ? cutMembers(params as ObjectNode, ({ key }) => key !== 'inputResponses')
      : cutMembers(responses, ({ key }) => !key.startsWith(OWN_INPUTS));
  return withText(frame, splice(frame.text, edits));
}
