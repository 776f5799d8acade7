import type { WireSession } from './forward/sessions.ts';
import type { Gateway } from './gateway.ts';
import { scopeKey } from './vault.ts';

/** Why a session is over: its owner said so, nobody used it, the upstream no longer knew it, the gateway stops. */
export type Ending = 'deleted' | 'idle' | 'lost' | 'stopped';

/** Forgets a legacy session, cancels what it has in flight, and ends its recording. */
export async function endSession(session: WireSession, reason: Ending, gateway: Gateway): Promise<void> {
  gateway.sessions.close(session);
  gateway.vault.end(scopeKey(session.owner, session.id));
  const { recording } = session;
  session.recording = undefined;
  if (recording !== undefined) await endRecording(recording, reason, gateway);
}

export async function endRecording(id: string, reason: Ending | 'done', gateway: Gateway): Promise<void> {
  await gateway.recorder.append({ type: 'session.closed', at: gateway.now(), id, reason });
}
