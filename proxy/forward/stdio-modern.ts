import { randomUUID } from 'node:crypto';
import type { Frame } from '../types.ts';
import { SharedPeer } from './shared-peer.ts';
import type { Spawn } from './stdio-child.ts';
import { Kept, type Stoppable } from './stdio-kept.ts';
import { isErrorBody } from './letter.ts';
import type { Outgoing, UpstreamAnswer } from './upstream.ts';

interface Server extends Stoppable {
  readonly peer: SharedPeer;
  /** It answered something of this revision. */
  proven: boolean;
}

/**
 * Requests of 2026-07-28 to one child that everybody shares: stateless, so any number of callers may. What belongs to no request,
 * and requests of the server, which the revision forbids (duty E-05), go no further. A child that does not speak the revision answers
 * so, and is stopped again when that was all it was asked.
 */
export function createStateless(
  start: Spawn,
  { onStray }: { readonly onStray: (frame: Frame) => void },
): (outgoing: Outgoing) => Promise<UpstreamAnswer> {
  const kept = new Kept<Server>((gone) => {
    const peer = new SharedPeer((letter) => child.post(letter), onStray);
    const child = start({
      receive: (frame) => peer.receive(frame),
      room: () => undefined,
      gone(fault) {
        gone(fault);
        peer.fail(fault);
      },
    });
    return { peer, proven: false, stop: () => child.stop() };
  });

  return async ({ frame, signal }) => {
    // The revision has neither sessions nor answers of the client.
    if (frame === undefined || frame.kind === 'response') return { status: 405, mode: 'empty' };
    if (frame.kind === 'notification') {
      if (frame.method !== 'notifications/cancelled') await kept.get().peer.notify(frame, signal);
      return { status: 202, mode: 'empty' };
    }
    const server = kept.get();
    try {
      // Each request is a caller of its own: ids of different clients may be equal.
      const answer = await server.peer.request(frame, signal, randomUUID());
      server.proven ||= answer.body === undefined || !isErrorBody(answer.body);
      return answer;
    } finally {
      const idle = frame.method === 'server/discover' && !server.proven && server.peer.size === 0;
      if (idle) void kept.retire(server);
    }
  };
}
