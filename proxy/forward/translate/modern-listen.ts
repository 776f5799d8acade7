import { splice } from '../../../policies/json/splice.ts';
import { find, parseTree } from '../../../policies/json/tree.ts';
import type { JsonObject } from '../../../policies/types.ts';
import type { Frame } from '../../types.ts';
import { notificationFrame, objectMember, resultFrame, withText, type FrameLimits } from '../../wire/frame.ts';
import type { SseEvent } from '../../wire/sse.ts';
import { UpstreamFault, type Outgoing, type UpstreamAnswer } from '../upstream.ts';
import { eventsOf } from './modern-answer.ts';
import { objectNode, setMembers } from './modern-edit.ts';
import { Listener } from './modern-listener.ts';
import type { ModernRequest } from './modern-request.ts';
import { patient } from './modern-pool.ts';
import { ServerStream } from './modern-server-stream.ts';
import type { FaceSession } from './modern-session.ts';

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';
const KINDS = [
  ['toolsListChanged', 'tools', 'notifications/tools/list_changed'],
  ['promptsListChanged', 'prompts', 'notifications/prompts/list_changed'],
  ['resourcesListChanged', 'resources', 'notifications/resources/list_changed'],
] as const;
const UPDATED = 'notifications/resources/updated';
const MOST_URIS = 1_000;

/** Who listens to one session: fed by its one GET stream, which is open while there is anybody, or from the first call on. */
export class Listeners {
  readonly #session: FaceSession;
  readonly #lost: () => void;
  readonly #all = new Set<Listener>();
  readonly #subscribed = new Map<string, number>();
  readonly #stream: ServerStream;
  #kept = false;

  /** `lost` is called when the server does not know the session any more; it must end it. */
  constructor(session: FaceSession, limits: FrameLimits, lost: () => void) {
    this.#session = session;
    this.#lost = lost;
    this.#stream = new ServerStream({
      session,
      limits,
      onNotification: (notification) => this.publish(notification),
      onLost: lost,
    });
    session.ended.on(() => this.#fail());
  }

  /** Keeps the session's stream open as long as the session, for what its server asks outside of its calls' own streams. */
  keepOpen(): Promise<void> {
    this.#kept = true;
    return this.#stream.open();
  }

  /** Listens until the client leaves. First comes what is honoured of its filter; undefined when the session is lost. */
  async listen(request: ModernRequest, outgoing: Outgoing, over: () => void): Promise<UpstreamAnswer | undefined> {
    const wanted = objectMember(request.params, 'notifications') ?? {};
    const methods = KINDS.filter(([key, of]) => wanted[key] === true && this.#session.offers(of, 'listChanged'));
    const uris = new Set<string>();
    const listener = new Listener(new Set(methods.map(([, , method]) => method)), uris);
    let left = false;
    const leave = (): void => {
      if (left) return;
      left = true;
      this.#leave(listener);
      over();
    };
    outgoing.signal.on(() => {
      listener.fail(new UpstreamFault('given up by the gateway', true));
      leave();
    });
    this.#all.add(listener);
    try {
      await patient(this.#stream.open(), outgoing.signal);
      for (const uri of this.#session.offers('resources', 'subscribe') ? urisOf(wanted) : []) {
        const subscribed = this.#subscribe(uri).then((took) => {
          if (took === undefined) this.#lost();
          else if (took && left) this.#unsubscribe(uri);
          else if (took) uris.add(uri);
        });
        await patient(subscribed, outgoing.signal);
      }
    } catch (fault) {
      leave();
      throw fault instanceof UpstreamFault ? new UpstreamFault(fault.message, false, fault) : fault;
    }
    if (listener.failed) {
      leave();
      if (outgoing.signal.aborted) throw new UpstreamFault('given up by the gateway', false);
      return undefined;
    }
    const honoured: JsonObject = Object.fromEntries(methods.map(([key]) => [key, true]));
    if (uris.size > 0) honoured['resourceSubscriptions'] = [...uris];
    const first = notificationFrame('notifications/subscriptions/acknowledged', { notifications: honoured });
    const told = Object.assign(events(listener, first, request.id, leave), { ready: true });
    return { status: 200, mode: 'sse', events: told };
  }

  /** Something the server said about the session. */
  publish(notification: Frame): void {
    const uri = notification.method === UPDATED ? objectMember(notification.value, 'params')?.['uri'] : undefined;
    for (const listener of this.#all) {
      const hears = typeof uri === 'string' ? covers(listener.uris, uri) : listener.methods.has(notification.method!);
      if (hears) listener.push(notification);
    }
  }

  /** Ends every listening stream in good order. */
  close(): void {
    for (const listener of this.#all) listener.end();
  }

  #fail(): void {
    for (const listener of this.#all) listener.fail(new UpstreamFault('the session with the server has ended', true));
  }

  #leave(listener: Listener): void {
    if (!this.#all.delete(listener)) return;
    for (const uri of listener.uris) this.#unsubscribe(uri);
    if (this.#all.size === 0 && !this.#kept) this.#stream.close();
  }

  /** True when the server took it, undefined when it has lost the session. */
  async #subscribe(uri: string): Promise<boolean | undefined> {
    const others = this.#subscribed.get(uri) ?? 0;
    this.#subscribed.set(uri, others + 1);
    if (others > 0) return true;
    const answer = await this.#session.ask('resources/subscribe', { uri }, this.#session.ended);
    if (answer !== undefined && Object.hasOwn(answer.value, 'result')) return true;
    this.#subscribed.delete(uri);
    return answer === undefined ? undefined : false;
  }

  #unsubscribe(uri: string): void {
    const others = (this.#subscribed.get(uri) ?? 1) - 1;
    if (others > 0) {
      this.#subscribed.set(uri, others);
      return;
    }
    this.#subscribed.delete(uri);
    if (this.#session.ended.aborted) return;
    // Nothing depends on whether the server hears it: what it still sends reaches nobody.
    void this.#session.ask('resources/unsubscribe', { uri }, this.#session.ended).catch(() => undefined);
  }
}

async function* events(
  listener: Listener,
  first: Frame,
  id: string,
  leave: () => void,
): AsyncGenerator<readonly SseEvent[]> {
  try {
    yield eventsOf([tagged(first, id)]);
    for await (const frames of listener) yield eventsOf(frames.map((frame) => tagged(frame, id)));
    yield eventsOf([resultFrame(id, `{"resultType":"complete","_meta":{"${SUBSCRIPTION}":${id}}}`)]);
  } finally {
    leave();
  }
}

/** The message with the id of the listen request, of its own JSON type (duty L-01). */
function tagged(frame: Frame, id: string): Frame {
  const { text } = frame;
  const root = objectNode(parseTree(text))!;
  const params = objectNode(find(root, 'params'));
  const meta = objectNode(find(params, '_meta'));
  const tag = { [SUBSCRIPTION]: id };
  const fresh = `{"${SUBSCRIPTION}":${id}}`;
  const edits =
    params === undefined
      ? setMembers(root, { params: `{"_meta":${fresh}}` })
      : meta === undefined
        ? setMembers(params, { _meta: fresh })
        : setMembers(meta, tag);
  return withText(frame, splice(text, edits));
}

function urisOf(wanted: JsonObject): readonly string[] {
  const list = wanted['resourceSubscriptions'];
  if (!Array.isArray(list)) return [];
  return [...new Set(list.filter((uri): uri is string => typeof uri === 'string'))].slice(0, MOST_URIS);
}

/** The resource itself, or one below it. */
function covers(uris: ReadonlySet<string>, uri: string): boolean {
  if (uris.has(uri)) return true;
  for (const known of uris) if (uri.startsWith(known.endsWith('/') ? known : `${known}/`)) return true;
  return false;
}
