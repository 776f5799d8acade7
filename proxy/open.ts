import type { Decided } from './decide.ts';
import { Exchange } from './exchange.ts';
import type { Gateway } from './gateway.ts';
import type { Asked } from './identify.ts';
import type { Recording } from './recordings.ts';

/** Writes the intent; throws `record_unavailable` when it cannot be kept, and then nothing may leave. */
export async function open(asked: Asked, { decision, ticket }: Decided, gateway: Gateway): Promise<Exchange> {
  try {
    const exchange = new Exchange(asked, decision, recordingOf(asked, gateway), gateway);
    exchange.ticket = ticket;
    return await exchange.open();
  } catch (fault) {
    // It does not run, and nothing will close it.
    ticket?.release(0);
    throw fault;
  }
}

function recordingOf(asked: Asked, gateway: Gateway): Recording {
  const { session, principal, version, connection, arrival } = asked;
  const now = gateway.now();
  let recording: Recording;
  if (session?.recording !== undefined && asked.through === undefined) recording = { id: session.recording };
  else if (session !== undefined && asked.through === undefined) {
    // The session was opened by another process: what passes here is a recording of its own.
    recording = gateway.recordings.fresh(connection.name, principal, session.client, version, now);
    session.recording = recording.id;
  } else if (asked.frame?.method === 'initialize' || arrival.ownSession === true) {
    const fresh = gateway.recordings.fresh(connection.name, principal, clientOf(asked), version, now);
    recording = { ...fresh, single: true };
  } else recording = gateway.recordings.current(connection.name, principal, version, now);
  return recording;
}

/** What the client says it is: displayed, never decided on. */
export function clientOf(asked: Asked): string | undefined {
  const params = asked.frame?.value['params'] as
    | { clientInfo?: { name?: unknown; version?: unknown }; _meta?: Record<string, unknown> }
    | undefined;
  const info =
    params?.clientInfo ??
    (params?._meta?.['io.modelcontextprotocol/clientInfo'] as { name?: unknown; version?: unknown } | undefined);
  if (typeof info?.name !== 'string') return undefined;
  return `${info.name} ${typeof info.version === 'string' ? info.version : ''}`.trim().slice(0, 200);
}
