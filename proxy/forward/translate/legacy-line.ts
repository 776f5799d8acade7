import { randomUUID } from 'node:crypto';
import { find, parseTree, type ObjectNode } from '../../../policies/json/tree.ts';
import { splice } from '../../../policies/json/splice.ts';
import { Abort, type Signal } from '../../abort.ts';
import type { Frame } from '../../types.ts';
import { objectMember, requestFrame } from '../../wire/frame.ts';
import type { SseEvent } from '../../wire/sse.ts';
import { UpstreamFault, type Outgoing, type Upstream, type UpstreamAnswer } from '../upstream.ts';
import { messageEvent } from './legacy-event.ts';
import { readMessage } from './legacy-leg.ts';
import { envelopeOf, modernHeaders, modernParams } from './legacy-request.ts';
import type { LegacySession } from './legacy-session.ts';
import { setMembers, objectNode } from './modern-edit.ts';
import type { FaceOptions } from './options.ts';

/** The `notifications` member of subscriptions/listen. */
export interface Filter {
  readonly toolsListChanged?: boolean;
  readonly promptsListChanged?: boolean;
  readonly resourcesListChanged?: boolean;
  readonly resourceSubscriptions?: readonly string[];
}

/** A listening stream that the server has acknowledged. */
export interface Line {
  /** URIs whose changes the server said it will tell. */
  readonly resources: ReadonlySet<string>;
  /** What it tells, as a client with a session may hear it. */
  readonly events: AsyncIterable<readonly SseEvent[]>;
  close(): void;
}

/** The server has no listening streams: asking again is no use. */
export class NotServed extends UpstreamFault {
  constructor() {
    super('the server does not serve subscriptions/listen', true);
    this.name = 'NotServed';
  }
}

type Batches = AsyncIterator<readonly SseEvent[]>;

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';
const ACKNOWLEDGED = 'notifications/subscriptions/acknowledged';
const UPDATED = 'notifications/resources/updated';
/** How long a server may take to say that it listens. */
const PATIENCE_MS = 10_000;

const LISTS: ReadonlyMap<string, keyof Filter> = new Map([
  ['notifications/tools/list_changed', 'toolsListChanged'],
  ['notifications/prompts/list_changed', 'promptsListChanged'],
  ['notifications/resources/list_changed', 'resourcesListChanged'],
]);

/** Opens a listening stream and resolves once the server has acknowledged it; throws when it does not. */
export async function openLine(
  filter: Filter,
  session: LegacySession,
  { headers, caller }: Outgoing,
  inner: Upstream,
  options: FaceOptions,
  closing: Signal,
): Promise<Line> {
  const abort = new Abort();
  const close = (): void => {
    closing.off(close);
    abort.abort();
  };
  closing.on(close);
  const timer = setTimeout(close, PATIENCE_MS);
  try {
    const asked = JSON.stringify({ notifications: filter });
    const params = modernParams(asked, parseTree(asked), envelopeOf(session.facts, undefined), undefined);
    const frame = requestFrame(JSON.stringify(`portcullis:${randomUUID()}`), 'subscriptions/listen', params);
    const answer = await inner.send({
      httpMethod: 'POST',
      frame,
      headers: modernHeaders(headers, frame),
      signal: abort,
      caller,
    });
    if (answer.events === undefined) throw refusal(answer, options);
    const batches = answer.events[Symbol.asyncIterator]();
    const { resources, rest } = await acknowledged(batches, options);
    const line = { id: frame.id!, filter, session, options };
    return { resources, close, events: told(line, rest, batches) };
  } catch (fault) {
    close();
    throw fault;
  } finally {
    clearTimeout(timer);
  }
}

function refusal(answer: UpstreamAnswer, options: FaceOptions): Error {
  const message = readMessage(answer.body, options.limits);
  const code = message === undefined ? undefined : objectMember(message.value, 'error')?.['code'];
  return answer.status === 404 || code === -32601
    ? new NotServed()
    : new UpstreamFault(`status ${answer.status}`, true);
}

/** Reads up to the acknowledgement, which is the first message of a listening stream (L-01). */
async function acknowledged(
  batches: Batches,
  options: FaceOptions,
): Promise<{ readonly resources: ReadonlySet<string>; readonly rest: readonly SseEvent[] }> {
  for (;;) {
    const { done, value } = await batches.next();
    if (done === true) throw new UpstreamFault('the listening stream ended before it was acknowledged', true);
    for (const [position, { data }] of value.entries()) {
      if (data === undefined || data === '') continue;
      const message = readMessage(data, options.limits);
      if (message?.method !== ACKNOWLEDGED) throw new UpstreamFault('the listening stream was not acknowledged', true);
      const honoured = objectMember(objectMember(message.value, 'params'), 'notifications')?.['resourceSubscriptions'];
      const uris = Array.isArray(honoured) ? honoured.filter((uri) => typeof uri === 'string') : [];
      return { resources: new Set(uris), rest: value.slice(position + 1) };
    }
  }
}

interface Context {
  readonly id: string;
  readonly filter: Filter;
  readonly session: LegacySession;
  readonly options: FaceOptions;
}

async function* told(
  line: Context,
  rest: readonly SseEvent[],
  batches: Batches,
): AsyncGenerator<readonly SseEvent[], void> {
  let events: readonly SseEvent[] = rest;
  for (;;) {
    const passed: SseEvent[] = [];
    for (const { data } of events) {
      const message = data === undefined || data === '' ? undefined : readMessage(data, line.options.limits);
      // Its result ends the stream in good order (L-04).
      if (message?.kind === 'response') return;
      if (message !== undefined && isWanted(message, line)) passed.push(messageEvent(untagged(message)));
    }
    if (passed.length > 0) yield passed;
    const next = await batches.next();
    if (next.done === true) return;
    events = next.value;
  }
}

/** A server tells on a line only what it was asked for there; anything more stops here (L-02, L-05). */
function isWanted(message: Frame, { id, filter, session }: Context): boolean {
  if (message.kind !== 'notification') return false;
  const params = objectMember(message.value, 'params');
  const tag = objectMember(params, '_meta')?.[SUBSCRIPTION];
  if (tag !== undefined && JSON.stringify(tag) !== id) return false;
  const list = LISTS.get(message.method!);
  if (list !== undefined) return filter[list] === true;
  const uri = params?.['uri'];
  if (message.method !== UPDATED || typeof uri !== 'string') return false;
  // A server may name the part of a resource that changed.
  return [...session.subscriptions].some((wanted) => uri === wanted || uri.startsWith(`${wanted}/`));
}

/** The notification without the name of the line it came by. */
function untagged({ text }: Frame): string {
  const params = find(parseTree(text), 'params');
  const meta: ObjectNode | undefined = objectNode(find(params, '_meta'));
  if (params?.type !== 'object' || meta === undefined) return text;
  const others = meta.members.some(({ key }) => key !== SUBSCRIPTION);
  const edits = others
    ? setMembers(meta, {}, (key) => key === SUBSCRIPTION)
    : setMembers(params, {}, (key) => key === '_meta');
  return splice(text, edits);
}
