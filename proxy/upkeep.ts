import { Abort } from './abort.ts';
import type { WireSession } from './forward/sessions.ts';
import type { Ask } from './forward/client.ts';
import type { Gateway } from './gateway.ts';

const EVERY_MS = 1_000;

/** What must happen now and then: overdue reviews expire, idle sessions end. Answers a function that stops it. */
export function keepHouse(gateway: Gateway, ask: Ask): () => void {
  const { recorder, sessions, recordings, metrics, log, now } = gateway;
  const stopCounting = recorder.reviews.onChange((review) => metrics.reviewChanged(review.state));
  let busy = false;
  const round = async (): Promise<void> => {
    await recorder.reviews.expire(now());
    for (const session of sessions.idle(now())) {
      await endSession(session, ask);
      sessions.close(session);
      await recorder.append({ type: 'session.closed', at: now(), id: session.recording, reason: 'idle' });
    }
    for (const id of recordings.expire(now())) {
      await recorder.append({ type: 'session.closed', at: now(), id, reason: 'idle' });
    }
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
async function endSession(session: WireSession, ask: Ask): Promise<void> {
  const headers = { 'mcp-session-id': session.id, 'mcp-protocol-version': session.version };
  const replies = ask({
    credentials: { type: 'proven', principal: session.owner, address: 'gateway' },
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
