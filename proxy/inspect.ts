import type { Finding } from '../policies/types.ts';
import { GatewayError } from './errors.ts';
import { clientOf, type Exchange } from './exchange.ts';
import { explain } from './forward/forward.ts';
import type { UpstreamAnswer } from './forward/upstream.ts';
import { Gone } from './hold.ts';
import { governList } from './lists.ts';
import { offsetProgress } from './progress.ts';
import type { Frame, Outbound, Reply } from './types.ts';
import { decodeFrame, idKey, withText } from './wire/frame.ts';
import type { SseEvent } from './wire/sse.ts';

const STREAM_HEADERS = {};
// A key can also be spelt with escapes.
const MAY_SAY_ERROR = ['"isError"', '"error"', '\\u'];

/**
 * Judges every message that comes back, and closes the exchange before its final answer leaves. Nothing passes uninspected:
 * what cannot be read, judged or recorded ends the answer with an error.
 */
export async function* inspect(exchange: Exchange, answer: UpstreamAnswer): AsyncGenerator<Reply> {
  if (answer.mode === 'sse') yield* inspectStream(exchange, answer);
  else if (answer.mode === 'empty' || exchange.asked.frame?.kind !== 'request')
    yield await inspectEmpty(exchange, answer);
  else yield await inspectJson(exchange, answer);
}

/** What has no message as its answer: notifications, answers of the client, the ends of sessions. A body here is nobody's answer. */
async function inspectEmpty(exchange: Exchange, { status }: UpstreamAnswer): Promise<Reply> {
  const { asked, gateway } = exchange;
  refuseStatus(exchange, status);
  if (asked.frame?.kind === 'request' || status >= 500) {
    throw new GatewayError('upstream_invalid', `status ${status} without a message`);
  }
  if (asked.session !== undefined && asked.call.method === 'DELETE' && status < 300)
    gateway.sessions.close(asked.session);
  await exchange.close({ outcome: status < 400 ? 'answered' : 'failed', isError: status >= 400 });
  // A GET that is not answered by a stream has none (duty S-07).
  return {
    status: asked.call.method === 'GET' && status < 300 ? 405 : status,
    mode: 'empty',
    headers: {},
    outbound: [],
  };
}

/** Statuses that say something about the gateway's own credential, session or address, not about the call. */
function refuseStatus({ asked, gateway }: Exchange, status: number): void {
  if (status === 401 || status === 403) throw new GatewayError('upstream_refused', `status ${status}`);
  if (status >= 300 && status < 400) throw new GatewayError('upstream_refused', `a redirect (${status})`);
  if (status === 404 && asked.session !== undefined) {
    gateway.sessions.close(asked.session);
    throw new GatewayError('session_unknown');
  }
}

async function inspectJson(exchange: Exchange, answer: UpstreamAnswer): Promise<Reply> {
  const { status } = answer;
  refuseStatus(exchange, status);
  const frame = readFrame(exchange, answer.body!, status);
  if (!isFinal(exchange, frame)) throw new GatewayError('upstream_invalid', 'an answer to another request');
  const final = await conclude(exchange, judge(exchange, frame), answer);
  const outbound: Outbound[] = [{ frame: final.frame }];
  const confirm = exchange.claim !== undefined;
  if (exchange.streaming) return { status: 200, mode: 'sse', headers: {}, outbound, confirm };
  return { status: status >= 500 ? 200 : status, mode: 'json', headers: final.headers, outbound, confirm };
}

async function* inspectStream(exchange: Exchange, answer: UpstreamAnswer): AsyncGenerator<Reply> {
  const { asked } = exchange;
  let resumable = false;
  // A connection inspected whole passes nothing on before the answer is complete.
  const held: Outbound[] = [];
  let headers: Readonly<Record<string, string>> = STREAM_HEADERS;
  const listening = asked.frame === undefined || asked.call.method === 'subscriptions/listen';
  if (listening) {
    // It may be silent for ever: its client learns at once that it stands, and is kept warm (duty H-10).
    exchange.streaming = true;
    yield { status: 200, mode: 'sse', headers, outbound: [] };
  }
  try {
    for await (const events of answer.events!) {
      // A listening stream may outlive its token: then nothing more is told on it (duty A-13).
      if (listening) {
        const { credentials, route } = asked.arrival;
        await exchange.gateway.authenticate(credentials, route, exchange.gateway.now());
      }
      const outbound: Outbound[] = [];
      let done = false;
      for (const event of events) {
        resumable ||= event.id !== undefined;
        if (event.data === undefined || event.data === '') {
          outbound.push({ raw: event.raw });
          continue;
        }
        const frame = readFrame(exchange, event.data, 200);
        if (isFinal(exchange, frame)) {
          const final = await conclude(exchange, judge(exchange, frame), answer);
          headers = final.headers;
          outbound.push(toOutbound(final.frame, frame, event));
          done = true;
          break;
        }
        const passed = await passing(exchange, frame);
        if (passed !== undefined) outbound.push(toOutbound(passed, frame, event));
      }
      if (asked.connection.whole && !listening) {
        // A question of the server waits for its answer, so it cannot wait for the end.
        const questions = outbound.filter((out) => 'frame' in out && out.frame.kind === 'request');
        held.push(...outbound.filter((out) => !questions.includes(out)));
        outbound.splice(0, outbound.length, ...questions, ...(done ? held : []));
        if (outbound.length === 0) continue;
      }
      exchange.streaming = true;
      yield { status: 200, mode: 'sse', headers, outbound, confirm: done && exchange.claim !== undefined };
      if (done) return;
    }
  } catch (fault) {
    throw explain(fault, exchange, false);
  }
  if (exchange.signal.aborted) throw new Gone();
  // A legacy server may end a stream whose events have ids and finish on a later GET (duty S-11).
  if (asked.frame?.kind === 'request' && !(asked.era === 'legacy' && resumable))
    throw new GatewayError('upstream_lost');
  await exchange.close({ outcome: asked.frame === undefined ? 'answered' : 'disconnected', isError: false });
}

function readFrame(exchange: Exchange, bytes: Buffer | string, status: number): Frame {
  try {
    return decodeFrame(typeof bytes === 'string' ? Buffer.from(bytes) : bytes, exchange.gateway.frameLimits, 'server');
  } catch (cause) {
    throw new GatewayError('upstream_invalid', `status ${status} with a body that is not a JSON-RPC message`, {
      cause,
    });
  }
}

/** Is this the answer to the exchange's own request? An error without an id answers it too. */
function isFinal(exchange: Exchange, frame: Frame): boolean {
  const { frame: request } = exchange.asked;
  if (frame.kind !== 'response' || request?.kind !== 'request') return false;
  return frame.id === undefined || idKey(frame.id) === idKey(request.id!);
}

/** Output rules over one message: the frame to deliver, or the reason it must not leave. */
function judge(exchange: Exchange, frame: Frame): Frame {
  const { asked } = exchange;
  const scrubbed = asked.connection.scrub(frame.text);
  const governed = governList(exchange, scrubbed === frame.text ? frame : withText(frame, scrubbed));
  if (!asked.rules.inspects) return governed;
  let verdict;
  try {
    verdict = asked.rules.inspect(governed.text, asked.call, asked.principal, asked.facts);
  } catch (cause) {
    throw new GatewayError('inspection_failed', '', { cause });
  }
  exchange.findings.push(...(verdict.findings as Finding[]));
  if (verdict.denial !== undefined) {
    const { reason, rule, remedy } = verdict.denial;
    throw new GatewayError('output_blocked', reason, { data: { rule, ...(remedy === '' ? {} : { remedy }) } });
  }
  return verdict.json === governed.text ? governed : withText(governed, verdict.json);
}

/** A message before the final answer. Undefined: it is illegal on this wire and goes no further. */
async function passing(exchange: Exchange, frame: Frame): Promise<Frame | undefined> {
  const { asked, gateway } = exchange;
  const illegal =
    (frame.kind === 'request' && asked.era === 'modern') ||
    (frame.kind === 'response' && asked.frame?.kind === 'request');
  if (illegal) {
    await exchange.message(frame, 'to_client');
    exchange.findings.push({
      rule: 'protocol',
      policy: 'access',
      direction: 'output',
      action: 'block',
      path: '',
      entity: frame.method ?? 'response',
      count: 1,
    });
    return undefined;
  }
  if (frame.method?.endsWith('/list_changed') === true) gateway.catalogs.forget(asked.connection.name);
  const passed = offsetProgress(judge(exchange, frame), exchange.progressOffset);
  if (frame.kind === 'request') asked.session?.serverRequests.add(idKey(frame.id!));
  await exchange.message(passed, 'to_client');
  return passed;
}

/** Closes the exchange with its final answer; a legacy initialize opens its session. */
async function conclude(
  exchange: Exchange,
  frame: Frame,
  answer: UpstreamAnswer,
): Promise<{ frame: Frame; headers: Readonly<Record<string, string>> }> {
  const { asked, gateway } = exchange;
  await exchange.close({ outcome: 'answered', isError: saysError(frame), frame });
  if (asked.frame?.method !== 'initialize' || answer.upstreamSession === undefined) return { frame, headers: {} };
  const result = frame.value['result'] as { protocolVersion?: unknown } | undefined;
  if (result === undefined) return { frame, headers: {} };
  const session = gateway.sessions.open(
    {
      connection: asked.connection.name,
      principal: asked.principal,
      version: typeof result.protocolVersion === 'string' ? result.protocolVersion : '2025-03-26',
      client: clientOf(asked),
      upstreamSession: answer.upstreamSession,
      recording: exchange.session,
    },
    gateway.now(),
  );
  return { frame, headers: { 'mcp-session-id': session.id } };
}

/** Did the call fail? An answer in which neither word can stand is not parsed to find out. */
function saysError(frame: Frame): boolean {
  if (!MAY_SAY_ERROR.some((word) => frame.text.includes(word))) return false;
  const result = frame.value['result'] as { isError?: unknown } | undefined;
  return result === undefined || result.isError === true;
}

/** Unchanged events keep their bytes; a changed one keeps its fields. */
function toOutbound(delivered: Frame, original: Frame, event: SseEvent): Outbound {
  if (delivered === original) return { frame: delivered, raw: event.raw };
  const { event: type, id, retry } = event;
  return {
    frame: delivered,
    event: {
      ...(type === undefined ? {} : { event: type }),
      ...(id === undefined ? {} : { id }),
      ...(retry === undefined ? {} : { retry }),
    },
  };
}
