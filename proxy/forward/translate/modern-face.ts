import type { Outgoing, Upstream, UpstreamAnswer } from '../upstream.ts';
import { errorAnswer, jsonAnswer } from './modern-answer.ts';
import { Call } from './modern-call.ts';
import { discovered } from './modern-discover.ts';
import { Listeners } from './modern-listen.ts';
import { ownerOf, patient, SessionPool } from './modern-pool.ts';
import { readRequest, type ModernRequest } from './modern-request.ts';
import { METHOD_NOT_FOUND } from './modern-result.ts';
import { Rounds } from './modern-rounds.ts';
import { FaceSession } from './modern-session.ts';
import type { FaceOptions } from './options.ts';

/** Of the session that the face itself keeps; and tasks, whose two protocols have nothing but the name in common. */
const UNSERVED: ReadonlySet<string> = new Set([
  'initialize',
  'ping',
  'logging/setLevel',
  'resources/subscribe',
  'resources/unsubscribe',
]);
const SWEEP_MS = 30_000;

/**
 * A server of sessions (up to 2025-11-25) as clients of 2026-07-28 know one: stateless, asking for input by its results. Keeps the
 * sessions, one for each principal and set of capabilities, and the calls that wait for input, in memory. Only restates: whatever
 * comes in was decided before, whatever goes out is inspected after. Closing it ends its sessions and leaves `inner` open.
 */
export function createModernFace(inner: Upstream, options: FaceOptions): Upstream {
  const pool = new SessionPool(inner, options);
  const rounds = new Rounds(options.now);
  const listeners = new WeakMap<FaceSession, Listeners>();
  const listening = new Set<Listeners>();
  const { limits } = options;
  let sweptAt = options.now();
  const sweep = (): void => {
    sweptAt = options.now();
    rounds.sweep();
    pool.sweep();
  };
  const timer = setInterval(sweep, SWEEP_MS).unref();

  const hubOf = (session: FaceSession): Listeners => {
    let hub = listeners.get(session);
    if (hub === undefined) {
      hub = new Listeners(session, limits, () => pool.forget(session));
      listeners.set(session, hub);
      const known = hub;
      listening.add(known);
      session.ended.on(() => listening.delete(known));
    }
    return hub;
  };

  /** Once more on a new session when the server has lost the one there was, which it says before it does anything. */
  const inSession = async (
    request: ModernRequest,
    outgoing: Outgoing,
    use: (session: FaceSession, over: () => void) => Promise<UpstreamAnswer | undefined>,
  ): Promise<UpstreamAnswer> => {
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const session = await pool.acquire(request, outgoing);
      if (!(session instanceof FaceSession)) return session;
      const answer = await use(session, () => pool.release(session));
      if (answer !== undefined) return answer;
      pool.forget(session);
    }
    return { status: 404, mode: 'empty' };
  };

  /** What the server asks outside of its calls' streams would be lost, and the call hang, if nobody listened before it is sent. */
  const hear = async (session: FaceSession, request: ModernRequest, { signal }: Outgoing): Promise<void> => {
    const open = hubOf(session).keepOpen();
    if (request.asks) await patient(open, signal);
  };

  const call = (request: ModernRequest, outgoing: Outgoing): Promise<UpstreamAnswer> => {
    const owner = ownerOf(outgoing.caller.principal);
    return inSession(request, outgoing, async (session, over) => {
      if (session.mayAsk) await hear(session, request, outgoing).catch(failed(over));
      return new Call(request, outgoing, {
        session,
        limits,
        channel: options.channel === true,
        over,
        suspend: (waiting, questions) => rounds.suspend(waiting, questions, owner),
        openUrls: (error, asked) => rounds.openUrls(error, asked, owner),
        distrust: () => pool.forget(session),
        publish: (notification) => listeners.get(session)?.publish(notification),
      }).begin(outgoing);
    });
  };

  return {
    async send(outgoing) {
      const { frame, httpMethod } = outgoing;
      if (httpMethod !== 'POST' || frame === undefined) return { status: 405, mode: 'empty' };
      // A modern client posts no answers, and says nothing that a legacy server would understand.
      if (frame.kind === 'response') return { status: 400, mode: 'empty' };
      if (frame.kind === 'notification') return { status: 202, mode: 'empty' };
      const request = readRequest(frame);
      const { id, method } = request;
      if (options.now() - sweptAt >= SWEEP_MS) sweep();
      if (UNSERVED.has(method) || method.startsWith('tasks/'))
        return errorAnswer(id, METHOD_NOT_FOUND, 'Method not found');
      if (method === 'server/discover') {
        return inSession(request, outgoing, async (session, over) => {
          over();
          return jsonAnswer(discovered(id, session.initialized));
        });
      }
      if (method === 'subscriptions/listen') {
        return inSession(request, outgoing, (session, over) => hubOf(session).listen(request, outgoing, over));
      }
      if (request.asks && Object.hasOwn(request.params, 'requestState')) {
        const answer = await rounds.retry(request, outgoing);
        if (answer !== undefined) return answer;
      }
      return call(request, outgoing);
    },
    async close() {
      clearInterval(timer);
      rounds.close();
      for (const hub of listening) hub.close();
      await pool.close();
    },
  };
}

const failed =
  (over: () => void) =>
  (fault: unknown): never => {
    over();
    throw fault;
  };
