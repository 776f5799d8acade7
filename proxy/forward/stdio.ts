import type { Frame } from '../types.ts';
import { member } from '../wire/member.ts';
import { Channels, type Channel } from './channels.ts';
import { Peer } from './peer.ts';
import { isErrorBody } from './letter.ts';
import { Child, type ChildOptions, type Spawn } from './stdio-child.ts';
import { createStateless } from './stdio-modern.ts';
import { createSharedSessions } from './stdio-shared.ts';
import { UpstreamFault, type Outgoing, type Upstream, type UpstreamAnswer } from './upstream.ts';

export interface StdioUpstreamOptions extends ChildOptions {
  /** Whether each legacy session has a child of its own, or all share one. */
  readonly process: 'session' | 'shared';
  /** What a shared child says that belongs to no call and no session. */
  readonly onStray: (frame: Frame) => void;
}

/**
 * An MCP server as child processes. Legacy sessions have a child each, or share one; requests of 2026-07-28 share another, since a
 * server may take the first message it gets for the era of the whole connection.
 */
export function createStdioUpstream(options: StdioUpstreamOptions): Upstream {
  const alive = new Set<Child>();
  let closed = false;
  const start: Spawn = (ears) => {
    if (closed) throw new UpstreamFault('the gateway stops', false);
    const child = new Child(options, ears);
    alive.add(child);
    void child.exited.then(() => alive.delete(child));
    return child;
  };
  const sessions = options.process === 'shared' ? createSharedSessions(start, options) : createOwnSessions(start);
  const stateless = createStateless(start, options);
  return {
    send: async (outgoing) => (isModern(outgoing) ? stateless(outgoing) : sessions(outgoing)),
    async close() {
      closed = true;
      await Promise.all([...alive].map((child) => child.stop()));
    },
  };
}

/** On stdio the envelope alone says it; whoever asked may speak the other era, through a translation. */
function isModern({ frame }: Outgoing): boolean {
  const meta = member(member(frame?.value, 'params'), '_meta');
  return member(meta, 'io.modelcontextprotocol/protocolVersion') !== undefined;
}

interface Session extends Channel {
  readonly peer: Peer;
}

/**
 * A child for each legacy session: started by initialize, stopped by DELETE. One that dies fails what is in flight and ends the
 * session (404 afterwards).
 */
function createOwnSessions(start: Spawn): (outgoing: Outgoing) => Promise<UpstreamAnswer> {
  const sessions = new Channels<Session>();
  return async (outgoing) => {
    const { frame, upstreamSession, signal, httpMethod } = outgoing;
    if (frame?.method === 'initialize' && upstreamSession === undefined) return begin(outgoing);
    const session = sessions.find(upstreamSession);
    if (session === undefined) return { status: 404, mode: 'empty' };
    if (httpMethod === 'DELETE') {
      await session.close();
      return { status: 200, mode: 'empty' };
    }
    if (frame === undefined) return session.peer.listen(signal);
    return frame.kind === 'request'
      ? session.peer.request({ frame, signal }, signal)
      : session.peer.notify({ frame, signal });
  };

  async function begin({ frame, signal }: Outgoing): Promise<UpstreamAnswer> {
    let id: string | undefined;
    const peer = new Peer((letter) => child.post(letter));
    const child = start({
      receive: (message) => peer.receive(message),
      room: () => peer.room(),
      gone(fault) {
        peer.fail(fault);
        if (id !== undefined) sessions.delete(id);
      },
    });
    try {
      const answer = await peer.request({ frame: frame!, signal }, signal);
      if (answer.body !== undefined && isErrorBody(answer.body)) {
        void child.stop();
        return answer;
      }
      if (peer.over) throw new UpstreamFault('the upstream command ended', true);
      id = sessions.add({ peer, close: () => child.stop() });
      return { ...answer, upstreamSession: id };
    } catch (fault) {
      void child.stop();
      throw fault;
    }
  }
}
