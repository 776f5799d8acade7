import type { Principal } from '../policies/types.ts';
import { Abort } from './abort.ts';
import { endRecording, endSession } from './ending.ts';
import type { WireSession } from './forward/sessions.ts';
import type { Ask } from './forward/client.ts';
import type { Gateway } from './gateway.ts';

const EVERY_MS = 1_000;

/** What must happen now and then: overdue reviews expire, idle sessions end. Answers a function that stops it. */
export function keepHouse(gateway: Gateway): () => void {
  const { recorder, sessions, recordings, metrics, log, now } = gateway;
  const stopCounting = recorder.reviews.onChange((review) => metrics.reviewChanged(review.state));
  let busy = false;
  const round = async (): Promise<void> => {
    await recorder.reviews.expire(now());
    await gateway.listeners.reviewAll(now());
    gateway.vault.expire(now());
    for (const session of sessions.idle(now())) {
      // Where several gateways serve one session, nobody knows that no other does: the upstream ends it by its own clock.
      const undertaker = sessions.retire(session);
      if (!gateway.replicas && !session.resumed) await tellUpstream(session, undertaker, gateway.ask);
      await endSession(session, 'idle', gateway);
    }
    for (const id of recordings.expire(now())) await endRecording(id, 'idle', gateway);
  };
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    round()
      .catch((fault: unknown) =>
        log.warn({ err: fault }, 'the upkeep of sessions and reviews failed; it is tried again'),
      )
      .finally(() => (busy = false));
  }, EVERY_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    stopCounting();
  };
}

/** Tells the upstream that an abandoned session is over, as its owner would have, so that it holds nothing for it any more. */
async function tellUpstream(session: WireSession, principal: Principal, ask: Ask): Promise<void> {
  const headers = { 'mcp-session-id': session.id, 'mcp-protocol-version': session.version };
  const replies = ask({
    credentials: { type: 'proven', principal, address: 'gateway' },
    httpMethod: 'DELETE',
    route: `/mcp/${session.connection}`,
    connection: session.connection,
    headers,
    rawHeaders: Object.entries(headers).flat(),
    body: Buffer.alloc(0),
    gone: new Abort(),
  });
  // Whatever is answered: the session is forgotten here.
  for await (const reply of replies) void reply;
}
