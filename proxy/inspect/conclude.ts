import type { Json } from '../../policies/types.ts';
import type { Exchange } from '../exchange.ts';
import { clientOf } from '../open.ts';
import type { WireSession } from '../forward/sessions.ts';
import type { UpstreamAnswer } from '../forward/upstream.ts';
import type { Asked } from '../identify.ts';
import { resultHead, resultOfType } from '../modern/result.ts';
import type { Frame } from '../types.ts';
import { notificationFrame } from '../wire/frame.ts';
import { member } from '../wire/member.ts';

const UNSUPPORTED_VERSION = -32022;

export interface Final {
  readonly frame: Frame;
  readonly headers: Readonly<Record<string, string>>;
}

/** Closes the exchange with its final answer; a legacy initialize opens its session. */
export async function conclude(exchange: Exchange, frame: Frame, answer: UpstreamAnswer): Promise<Final> {
  const { asked, gateway } = exchange;
  const result = opensSession(exchange, answer) ? member(frame.value, 'result') : undefined;
  // The session's recording goes on.
  if (result !== undefined) exchange.ends = undefined;
  const incomplete = asked.era === 'modern' && resultOfType(frame, 'input_required') !== undefined;
  const isError = saysError(frame);
  if (isError && refusesEra(frame, asked)) gateway.catalogs.reprobe(asked.connection.name);
  await exchange.close({ outcome: 'answered', isError, incomplete, frame });
  if (result === undefined) return { frame, headers: {} };
  const version = member(result, 'protocolVersion');
  const session = openSession(exchange, version, answer.upstreamSession!);
  session.listChanges = promisedChanges(member(result, 'capabilities'));
  return { frame, headers: { 'mcp-session-id': session.id } };
}

function promisedChanges(capabilities: Json | undefined): readonly Frame[] {
  return ['tools', 'prompts', 'resources']
    .filter((kind) => member(member(capabilities, kind), 'listChanged') === true)
    .map((kind) => notificationFrame(`notifications/${kind}/list_changed`));
}

function opensSession({ asked }: Exchange, { upstreamSession }: UpstreamAnswer): boolean {
  return asked.frame?.method === 'initialize' && asked.era === 'legacy' && upstreamSession !== undefined;
}

/** The version that the server chose decides batches, headers and streams from now on (duty S-13). */
function openSession({ asked, gateway, session }: Exchange, version: unknown, upstreamSession: string): WireSession {
  return gateway.sessions.open(
    {
      connection: asked.connection.name,
      principal: asked.principal,
      version: typeof version === 'string' ? version : '2025-03-26',
      client: clientOf(asked),
      upstreamSession,
      translated: asked.translated,
      recording: session,
    },
    gateway.now(),
  );
}

/** The server does not speak the era that it spoke when it was probed (duty V-07). */
function refusesEra(frame: Frame, { frame: request, translated, principal }: Asked): boolean {
  const error = member(frame.value, 'error');
  if (error === undefined || translated || principal.authenticatedBy === 'system') return false;
  return request?.method === 'initialize' || member(error, 'code') === UNSUPPORTED_VERSION;
}

/** Did the call fail? A result is not parsed to find out. */
function saysError(frame: Frame): boolean {
  const head = resultHead(frame);
  if (head.size === 0) return member(frame.value, 'result') === undefined;
  const flag = head.get('isError');
  return flag !== undefined && frame.text.slice(flag.start, flag.end) === 'true';
}
