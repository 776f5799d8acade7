import { randomUUID } from 'node:crypto';
import { Abort } from '../abort.ts';
import type { Frame } from '../types.ts';
import { LEGACY_VERSIONS } from '../wire/era.ts';
import {
  decodeFrame,
  errorFrame,
  notificationFrame,
  requestFrame,
  resultFrame,
  type FrameLimits,
} from '../wire/frame.ts';
import { Channels } from './channels.ts';
import { SharedPeer } from './shared-peer.ts';
import { SharedSession } from './shared-session.ts';
import { readdress, spanAt, withoutMembers } from './spans.ts';
import { unlessAborted } from './given-up.ts';
import { isErrorBody } from './letter.ts';
import type { Spawn } from './stdio-child.ts';
import { Kept, type Stoppable } from './stdio-kept.ts';
import { UpstreamFault, type Outgoing, type UpstreamAnswer } from './upstream.ts';

export interface SharedOptions {
  readonly limits: FrameLimits;
  readonly onStray: (frame: Frame) => void;
}

interface Server extends Stoppable {
  readonly peer: SharedPeer;
  readonly sessions: Map<string, SharedSession>;
  /** What the server answered when the gateway initialized it. */
  readonly initialized: Promise<UpstreamAnswer>;
}

const CLIENT = { name: 'portcullis', version: '1' };
const PATIENCE_MS = 60_000;
/** What one server cannot do for several clients that know nothing of each other. */
const NOT_OFFERED: ReadonlySet<string> = new Set(['logging', 'tasks']);
const REFUSED = /^(?:logging|tasks)\//;
/** What only says something about a client; the server's client is the gateway, which has none of it. */
const ABSORBED: ReadonlySet<string> = new Set([
  'notifications/initialized',
  'notifications/roots/list_changed',
  'notifications/progress',
  'notifications/tasks/status',
]);

/**
 * One child for all legacy sessions. The gateway initializes it, without any client capability, so that it may ask nobody
 * anything; each client's initialize is answered from what the child negotiated then. A child that dies fails what is in flight
 * and ends all sessions (404 afterwards).
 */
export function createSharedSessions(
  start: Spawn,
  options: SharedOptions,
): (outgoing: Outgoing) => Promise<UpstreamAnswer> {
  const channels = new Channels<SharedSession>();
  const kept: Kept<Server> = new Kept((gone) => startServer(start, options, channels, gone));

  async function begin({ frame, signal }: Outgoing): Promise<UpstreamAnswer> {
    const server = kept.get();
    let answer: UpstreamAnswer;
    try {
      answer = await unlessAborted(server.initialized, signal);
    } catch (fault) {
      if (fault instanceof UpstreamFault && !signal.aborted) await kept.discard(server, fault);
      throw fault;
    }
    const own = readdress(decodeFrame(answer.body!, options.limits, 'server'), [[['id'], frame!.id!]]);
    if (isErrorBody(answer.body!)) {
      await kept.discard(server, new UpstreamFault('the upstream command refused to be initialized', false));
      return { status: 200, mode: 'json', body: own.bytes };
    }
    if (server.peer.over) throw new UpstreamFault('the upstream command ended', false);
    const session: SharedSession = new SharedSession({
      peer: server.peer,
      siblings: () => server.sessions.values(),
      onClose() {
        channels.delete(id);
        server.sessions.delete(id);
      },
    });
    const id = channels.add(session);
    server.sessions.set(id, session);
    const text = withoutMembers(own.text, ['result', 'capabilities'], NOT_OFFERED);
    return { status: 200, mode: 'json', body: Buffer.from(text), upstreamSession: id };
  }

  return async (outgoing) => {
    const { frame, upstreamSession, signal, httpMethod } = outgoing;
    if (frame?.method === 'initialize' && upstreamSession === undefined) return begin(outgoing);
    const session = channels.find(upstreamSession);
    if (session === undefined) return { status: 404, mode: 'empty' };
    if (httpMethod === 'DELETE') {
      await session.close();
      return { status: 200, mode: 'empty' };
    }
    if (frame === undefined) return session.listen(signal);
    if (frame.kind === 'request') {
      if (!REFUSED.test(frame.method!)) return session.request(frame, signal);
      const error = { code: -32601, message: 'not offered by a server that several clients share' };
      return { status: 200, mode: 'json', body: errorFrame(frame.id, error).bytes };
    }
    if (frame.method === 'notifications/cancelled') session.cancel(frame);
    else if (frame.kind === 'notification' && !ABSORBED.has(frame.method!)) await session.notify(frame, signal);
    return { status: 202, mode: 'empty' };
  };
}

function startServer(
  start: Spawn,
  { onStray }: SharedOptions,
  channels: Channels<SharedSession>,
  gone: (fault: UpstreamFault) => void,
): Server {
  const sessions = new Map<string, SharedSession>();
  const peer = new SharedPeer(
    (letter) => child.post(letter),
    (frame) => {
      if (frame.kind === 'request') peer.say(answerTo(frame));
      else if (!tell(sessions, frame)) onStray(frame);
    },
  );
  const child = start({
    receive: (frame) => peer.receive(frame),
    room: () => undefined,
    gone(fault) {
      gone(fault);
      peer.fail(fault);
      for (const [id, session] of sessions) {
        channels.delete(id);
        session.end();
      }
      sessions.clear();
    },
  });
  const initialized = initialize(peer);
  // Whoever asked for it may have left.
  initialized.catch(() => undefined);
  return { peer, sessions, initialized, stop: () => child.stop() };
}

async function initialize(peer: SharedPeer): Promise<UpstreamAnswer> {
  const params = { protocolVersion: LEGACY_VERSIONS[0]!, capabilities: {}, clientInfo: CLIENT };
  const patience = new Abort();
  const timer = setTimeout(() => patience.abort(), PATIENCE_MS).unref();
  try {
    const answer = await peer.request(requestFrame('1', 'initialize', params), patience, randomUUID());
    if (answer.body === undefined)
      throw new UpstreamFault('the upstream command answered initialize by a stream', false);
    if (!isErrorBody(answer.body)) peer.say(notificationFrame('notifications/initialized'));
    return answer;
  } finally {
    clearTimeout(timer);
  }
}

/** A client without capabilities answers pings and nothing else. */
function answerTo(frame: Frame): Frame {
  if (frame.method === 'ping') return resultFrame(frame.id!, '{}');
  return errorFrame(frame.id, { code: -32601, message: 'the client has no such capability' });
}

/** Tells the sessions that a notification is for; false when it cannot be said whose it is. */
function tell(sessions: ReadonlyMap<string, SharedSession>, frame: Frame): boolean {
  if (frame.method?.endsWith('/list_changed') === true) {
    for (const session of sessions.values()) session.hear(frame);
    return true;
  }
  if (frame.method !== 'notifications/resources/updated') return false;
  const span = spanAt(frame.text, ['params', 'uri']);
  const uri = span === undefined ? undefined : (JSON.parse(frame.text.slice(span.start, span.end)) as unknown);
  if (typeof uri !== 'string') return false;
  for (const session of sessions.values()) if (session.subscribed(uri)) session.hear(frame);
  return true;
}
