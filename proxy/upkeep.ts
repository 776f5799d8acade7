import type { Gateway } from './gateway.ts';

const EVERY_MS = 1_000;

/** What must happen now and then: overdue reviews expire, idle sessions end. Answers a function that stops it. */
export function keepHouse(gateway: Gateway): () => void {
  const { recorder, sessions, recordings, metrics, log, now } = gateway;
  const stopCounting = recorder.reviews.onChange((review) => metrics.reviewChanged(review.state));
  let busy = false;
  const round = async (): Promise<void> => {
    await recorder.reviews.expire(now());
    for (const session of sessions.idle(now())) {
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
