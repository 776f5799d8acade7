import { Abort, type Signal } from '../../abort.ts';
import type { JsonObject } from '../../../policies/types.ts';
import { GatewayError } from '../../errors.ts';
import type { Frame } from '../../types.ts';
import { LEGACY_VERSIONS } from '../../wire/era.ts';
import { errorFrame, notificationFrame, objectMember, requestFrame, resultFrame } from '../../wire/frame.ts';
import type { FrameLimits } from '../../wire/frame.ts';
import { UpstreamFault, type Caller, type Outgoing, type Upstream, type UpstreamAnswer } from '../upstream.ts';
import { CallsInFlight } from './modern-in-flight.ts';
import { refusalOf } from './modern-inputs.ts';
import { LogLevels } from './modern-logs.ts';
import { METHOD_NOT_FOUND } from './modern-result.ts';
import { framesOf } from './modern-stream.ts';

export interface SessionDraft {
  readonly inner: Upstream;
  readonly limits: FrameLimits;
  readonly caller: Caller;
  /** As the legacy session declares them. */
  readonly capabilities: JsonObject;
  readonly clientInfo: JsonObject | undefined;
}

const TYPES = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' };
const SPOKEN: ReadonlySet<string> = new Set([...LEGACY_VERSIONS, '2024-11-05']);
/** For what the face itself asks of the server, or tells it at the end. */
const PATIENCE_MS = 30_000;
const LAST_PATIENCE_MS = 2_000;
const ASKING: readonly string[] = ['elicitation', 'sampling', 'roots'];
const GATEWAY = { name: 'portcullis', version: '1' };

/** One session with a legacy server, opened for one principal and never used for another. */
export class FaceSession {
  readonly #draft: SessionDraft;
  readonly logs: LogLevels;
  readonly calls = new CallsInFlight();
  /** Requests, suspended calls and listening streams that need it. */
  busy = 0;
  usedAt = 0;
  #next = 1;
  #upstreamSession: string | undefined;
  #version = LEGACY_VERSIONS[0]!;
  #initialized: Frame | undefined;
  readonly #ended = new Abort();

  constructor(draft: SessionDraft) {
    const { principal, arrival, era, call } = draft.caller;
    // What the first request held beside its caller's name is not kept as long as the session.
    const bare = { ...arrival, body: Buffer.alloc(0), gone: new Abort() };
    this.#draft = { ...draft, caller: { principal, era, call, arrival: bare } };
    this.logs = new LogLevels(async (level) => {
      return !this.offers('logging') || (await this.ask('logging/setLevel', { level }, this.#ended)) !== undefined;
    });
  }

  /** Aborts when the server has forgotten the session, or the gateway is done with it. */
  get ended(): Signal {
    return this.#ended;
  }

  /** Whether the server knows the session by an id, so that it can lose it. */
  get named(): boolean {
    return this.#upstreamSession !== undefined;
  }

  /** Whether its server may ask the client something, and could say on a GET stream of whom. */
  get mayAsk(): boolean {
    return this.named && ASKING.some((capability) => Object.hasOwn(this.#draft.capabilities, capability));
  }

  /** The server's answer to initialize. */
  get initialized(): Frame {
    return this.#initialized!;
  }

  /** A number that no other request or progress token of this session has. */
  nextId(): number {
    return this.#next++;
  }

  offers(capability: string, feature?: string): boolean {
    const capabilities = objectMember(objectMember(this.initialized.value, 'result'), 'capabilities');
    if (capabilities === undefined || !Object.hasOwn(capabilities, capability)) return false;
    return feature === undefined || objectMember(capabilities, capability)?.[feature] === true;
  }

  /**
   * Opens the session. Anything but undefined is the server's refusal, an answer without a message that stands for the call's own.
   * Nothing of any call was sent when this fails.
   */
  async open(signal: Signal): Promise<UpstreamAnswer | undefined> {
    const { capabilities, clientInfo } = this.#draft;
    const params = { protocolVersion: LEGACY_VERSIONS[0]!, capabilities, clientInfo: clientInfo ?? GATEWAY };
    const id = this.nextId();
    try {
      const answer = await this.send(requestFrame(String(id), 'initialize', params), signal);
      this.#upstreamSession = answer.upstreamSession;
      if (answer.status >= 300) return { status: answer.status, mode: 'empty' };
      const frame = await this.#final(id, answer, signal);
      const version = objectMember(frame.value, 'result')?.['protocolVersion'];
      if (typeof version !== 'string' || !SPOKEN.has(version))
        throw new GatewayError('upstream_invalid', 'initialize was not answered with a revision that has sessions');
      this.#version = version;
      this.#initialized = frame;
      await this.tell(notificationFrame('notifications/initialized'), signal);
      return undefined;
    } catch (fault) {
      if (fault instanceof UpstreamFault) throw new UpstreamFault(fault.message, false, fault);
      throw fault;
    }
  }

  /** Sends a message on this session, or listens when there is none. `by`: the call whose trace and caller it has. */
  send(frame: Frame | undefined, signal: Signal, by?: Pick<Outgoing, 'headers' | 'caller'>): Promise<UpstreamAnswer> {
    return this.#send(frame === undefined ? 'GET' : 'POST', frame, signal, by);
  }

  /** A message that has no answer; throws when the server did not take it. */
  async tell(frame: Frame, signal: Signal): Promise<void> {
    const { status, events } = await this.send(frame, signal);
    await events?.[Symbol.asyncIterator]().return?.();
    if (status >= 300) throw new UpstreamFault(`the server refused a ${frame.method ?? 'response'} (${status})`, true);
  }

  /** A request of the gateway's own; resolves with the final answer, result or error, or nothing: the session is lost. */
  async ask(method: string, params: JsonObject, signal: Signal): Promise<Frame | undefined> {
    const id = this.nextId();
    return within(PATIENCE_MS, signal, async (limited) => {
      const answer = await this.send(requestFrame(String(id), method, params), limited);
      return this.isLost(answer) ? undefined : this.#final(id, answer, limited);
    });
  }

  /** Says this answer that the server does not know the session any more? Then nothing was executed. */
  isLost({ status }: UpstreamAnswer): boolean {
    return status === 404 && this.named;
  }

  /** Tells the server that nobody waits for this request any more; nothing depends on whether it hears it. */
  cancel(id: number): void {
    const params = { requestId: id, reason: 'the client went away' };
    const frame = notificationFrame('notifications/cancelled', params);
    void within(PATIENCE_MS, new Abort(), (limited) => this.tell(frame, limited)).catch(() => undefined);
  }

  /**
   * A request of the server that belongs to no call that could ask it: the newest call in flight that may ask puts it to its
   * client. Refused when the client has no such capability, or there is no call.
   */
  async question(request: Frame, signal: Signal): Promise<void> {
    const refusal = refusalOf(request, this.#draft.capabilities);
    if (refusal === undefined && this.mayAsk && this.calls.put(request)) return;
    await this.decline(request, signal, refusal);
  }

  /** Answers a request that the server may not or need not ask a client; nothing depends on whether it hears it. */
  async decline(request: Frame, signal: Signal, refusal?: { code: number; message: string }): Promise<void> {
    const unserved = { code: METHOD_NOT_FOUND, message: `${request.method} is not served here` };
    const frame =
      request.method === 'ping' ? resultFrame(request.id!, '{}') : errorFrame(request.id, refusal ?? unserved);
    await within(PATIENCE_MS, signal, (limited) => this.tell(frame, limited)).catch(() => undefined);
  }

  /** Takes up a stream of this session behind the event with this id. */
  resume(lastEventId: string, signal: Signal): Promise<UpstreamAnswer> {
    const { caller } = this.#draft;
    return this.send(undefined, signal, { caller, headers: { 'last-event-id': lastEventId } });
  }

  /** The session is over; with `tellServer` the server is told, as its owner would have. */
  async end(tellServer: boolean): Promise<void> {
    if (this.#ended.aborted) return;
    this.#ended.abort();
    if (!tellServer || !this.named) return;
    const told = within(LAST_PATIENCE_MS, new Abort(), (limited) => this.#send('DELETE', undefined, limited));
    await told.catch(() => undefined);
  }

  #send(
    httpMethod: Outgoing['httpMethod'],
    frame: Frame | undefined,
    signal: Signal,
    by: Pick<Outgoing, 'headers' | 'caller'> = { headers: {}, caller: this.#draft.caller },
  ): Promise<UpstreamAnswer> {
    // Headers that repeat a modern body say nothing here.
    const headers = Object.fromEntries(Object.entries(by.headers).filter(([name]) => !name.startsWith('mcp-')));
    const version: Record<string, string> =
      frame?.method === 'initialize' ? {} : { 'mcp-protocol-version': this.#version };
    return this.#draft.inner.send({
      httpMethod,
      headers: { ...headers, ...TYPES, ...version },
      signal,
      caller: by.caller,
      ...(frame === undefined ? {} : { frame }),
      ...(this.#upstreamSession === undefined ? {} : { upstreamSession: this.#upstreamSession }),
    });
  }

  async #final(id: number, answer: UpstreamAnswer, signal: Signal): Promise<Frame> {
    const stream = framesOf(answer, this.#draft.limits, signal, (last) => this.resume(last, signal));
    for await (const frames of stream) {
      for (const frame of frames) {
        if (frame.kind === 'request') await this.question(frame, signal);
        if (frame.kind === 'response' && (frame.id === undefined || frame.id === String(id))) return frame;
      }
    }
    throw new UpstreamFault(`the server did not answer (${answer.status})`, true);
  }
}

/** Gives up when the time is over, or when `signal` says so. */
async function within<T>(ms: number, signal: Signal, act: (limited: Signal) => Promise<T>): Promise<T> {
  const limited = new Abort();
  const giveUp = (): void => limited.abort();
  if (signal.aborted) giveUp();
  else signal.on(giveUp);
  const timer = setTimeout(giveUp, ms).unref();
  try {
    return await act(limited);
  } finally {
    clearTimeout(timer);
    signal.off(giveUp);
  }
}
