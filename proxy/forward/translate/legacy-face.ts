import { GatewayError } from '../../errors.ts';
import type { Frame } from '../../types.ts';
import { errorFrame, idKey, objectMember, resultFrame } from '../../wire/frame.ts';
import { UpstreamFault, type Outgoing, type Upstream, type UpstreamAnswer } from '../upstream.ts';
import { LegacyCall } from './legacy-call.ts';
import { discoverFrame, factsOf, initialized, servesModern } from './legacy-initialize.ts';
import { answers, isRefusal, readMessage, sendLeg, withoutMessage } from './legacy-leg.ts';
import { ListenStream } from './legacy-listen.ts';
import { modernHeaders } from './legacy-request.ts';
import { errorText, toLegacyError } from './legacy-result.ts';
import { LegacySessions, type LegacySession } from './legacy-session.ts';
import type { FaceOptions } from './options.ts';

const ACCEPTED: UpstreamAnswer = { status: 202, mode: 'empty' };
const UNKNOWN_SESSION: UpstreamAnswer = { status: 404, mode: 'empty' };

const MOST_SUBSCRIPTIONS = 1_000;
/** Characters that a client may say of itself: they come with each of its requests. */
const MOST_SAID = 32_768;

const LEVELS: ReadonlySet<string> = new Set('debug info notice warning error critical alert emergency'.split(' '));
/** Notifications that only a server with sessions has a use for. */
const LOCAL: ReadonlySet<string> = new Set([
  'notifications/initialized',
  'notifications/roots/list_changed',
  'notifications/progress',
  'notifications/tasks/status',
]);
/** Methods whose name stands for something else in each era, or that a session has no use for. */
const FOREIGN = /^(?:tasks\/|server\/discover$|subscriptions\/)/;

/**
 * A server of 2026-07-28 as clients with sessions (up to 2025-11-25) know one. It asks the server nothing but what a client
 * asked, said in the server's words, and answers by itself only what such a server has no words for: sessions, ping, the level
 * of the log, subscriptions. Closing it frees its sessions and leaves `inner` open.
 */
export function createLegacyFace(inner: Upstream, options: FaceOptions): Upstream {
  const sessions = new LegacySessions();
  return {
    async send(outgoing) {
      const { frame, upstreamSession: id } = outgoing;
      if (frame?.method === 'initialize') return initialize(frame, outgoing, inner, sessions, options);
      if (id === undefined) return withoutSession(frame);
      const session = sessions.find(id);
      if (session === undefined) return UNKNOWN_SESSION;
      if (frame === undefined) {
        if (outgoing.httpMethod === 'GET') return listen(session, outgoing, inner, options);
        sessions.end(id);
        return { status: 200, mode: 'empty' };
      }
      switch (frame.kind) {
        case 'response':
          session.questions.get(idKey(frame.id!))?.(frame);
          return ACCEPTED;
        case 'notification':
          return notify(frame, session, outgoing, inner);
        case 'request':
          return request(frame, session, outgoing, inner, options);
        default:
          return frame.kind satisfies never;
      }
    },
    async close() {
      sessions.close();
    },
  };
}

function withoutSession(frame: Frame | undefined): UpstreamAnswer {
  if (frame?.kind !== 'request') return { status: 400, mode: 'empty' };
  return json(errorText(frame, 'the Mcp-Session-Id header is missing', -32600), 400);
}

async function initialize(
  asked: Frame,
  outgoing: Outgoing,
  inner: Upstream,
  sessions: LegacySessions,
  options: FaceOptions,
): Promise<UpstreamAnswer> {
  const facts = factsOf(asked);
  if (facts.capabilities.length + (facts.clientInfo?.length ?? 0) > MOST_SAID) {
    return invalid(asked, 'capabilities and clientInfo are too long');
  }
  const frame = discoverFrame(asked, facts);
  const { headers, signal, caller } = outgoing;
  const answer = await sendLeg({ frame, headers, signal, caller, begun: false }, inner, options);
  if (isRefusal(answer.status)) return answer;
  const message = await lastMessage(answer, frame, options);
  if (message === undefined) return withoutMessage(answer);
  if (!answers(message, frame)) throw new GatewayError('upstream_invalid', 'an answer to another request');
  const error = objectMember(message.value, 'error');
  if (error === undefined ? !servesModern(message) : error['code'] === -32601 || error['code'] === -32022) {
    return json(errorText(asked, 'the server does not speak 2026-07-28, by which the gateway asks it'));
  }
  if (error !== undefined) return json(toLegacyError(message, asked));
  const { text, offers } = initialized(asked, message, facts);
  return { ...json(text), upstreamSession: sessions.open({ ...facts, offers }) };
}

/** The one message of a JSON answer, or the answer at the end of a stream. */
async function lastMessage(answer: UpstreamAnswer, frame: Frame, options: FaceOptions): Promise<Frame | undefined> {
  if (answer.events === undefined) return readMessage(answer.body, options.limits);
  for await (const events of answer.events) {
    for (const { data } of events) {
      const message = data === undefined || data === '' ? undefined : readMessage(data, options.limits);
      if (message !== undefined && answers(message, frame)) return message;
    }
  }
  throw new UpstreamFault('the stream ended before the answer', true);
}

async function listen(
  session: LegacySession,
  outgoing: Outgoing,
  inner: Upstream,
  options: FaceOptions,
): Promise<UpstreamAnswer> {
  if (session.listening !== undefined) return { status: 409, mode: 'empty' };
  const stream = new ListenStream(session, outgoing, inner, options);
  session.listening = stream;
  await stream.start();
  return { status: 200, mode: 'sse', events: stream.events() };
}

async function notify(
  frame: Frame,
  session: LegacySession,
  outgoing: Outgoing,
  inner: Upstream,
): Promise<UpstreamAnswer> {
  if (frame.method === 'notifications/cancelled') {
    const id = objectMember(frame.value, 'params')?.['requestId'];
    const giveUp = session.calls.get(idKey(JSON.stringify(id ?? null)));
    // After the pipeline has heard that the call is over, so that it takes its end for no failure of the server.
    if (giveUp !== undefined) setImmediate(giveUp);
    return ACCEPTED;
  }
  if (LOCAL.has(frame.method!)) return ACCEPTED;
  const { signal, caller, headers } = outgoing;
  const answer = await inner.send({
    httpMethod: 'POST',
    frame,
    headers: modernHeaders(headers, frame),
    signal,
    caller,
  });
  return answer.status === 404 ? { status: 400, mode: 'empty' } : answer;
}

async function request(
  frame: Frame,
  session: LegacySession,
  outgoing: Outgoing,
  inner: Upstream,
  options: FaceOptions,
): Promise<UpstreamAnswer> {
  const params = objectMember(frame.value, 'params');
  switch (frame.method) {
    case 'ping':
      return done(frame);
    case 'logging/setLevel': {
      const level = params?.['level'];
      if (typeof level !== 'string' || !LEVELS.has(level)) return invalid(frame, 'level must be a level of the log');
      session.logLevel = level;
      return done(frame);
    }
    case 'resources/subscribe':
    case 'resources/unsubscribe': {
      const uri = params?.['uri'];
      if (typeof uri !== 'string') return invalid(frame, 'uri must be a string');
      if (frame.method === 'resources/subscribe') return subscribe(uri, frame, session);
      session.subscriptions.delete(uri);
      // What is still told of it stops here, so the answer need not wait for the server.
      session.listening?.refit().catch(() => undefined);
      return done(frame);
    }
    default:
  }
  if (FOREIGN.test(frame.method!))
    return json(errorFrame(frame.id, { code: -32601, message: 'Method not found' }).text);
  return new LegacyCall(frame, outgoing, session, inner, options).run();
}

/** Answered when the server listens for the resource too; while no stream is open there is nobody to be told. */
async function subscribe(uri: string, frame: Frame, session: LegacySession): Promise<UpstreamAnswer> {
  if (!session.facts.offers.includes('subscribe')) {
    return json(errorFrame(frame.id, { code: -32601, message: 'the server offers no subscriptions' }).text);
  }
  if (session.subscriptions.has(uri)) return done(frame);
  if (session.subscriptions.size >= MOST_SUBSCRIPTIONS)
    return json(errorText(frame, 'there are too many subscriptions'));
  session.subscriptions.add(uri);
  const { listening } = session;
  if (listening === undefined) return done(frame);
  let sentence = 'the server does not tell of changes to this resource';
  try {
    await listening.refit();
    if (listening.hears(uri)) return done(frame);
  } catch (fault) {
    if (!(fault instanceof UpstreamFault) && !(fault instanceof GatewayError)) throw fault;
    sentence = 'the server could not be made to tell of changes to this resource';
  }
  session.subscriptions.delete(uri);
  return json(errorText(frame, sentence));
}

const done = (frame: Frame): UpstreamAnswer => json(resultFrame(frame.id!, '{}').text);
const invalid = (frame: Frame, sentence: string): UpstreamAnswer => json(errorText(frame, sentence, -32602));

const json = (text: string, status = 200): UpstreamAnswer => ({ status, mode: 'json', body: Buffer.from(text) });
