import type { JsonObject } from '../../../policies/types.ts';
import type { Frame } from '../../types.ts';
import { errorFrame } from '../../wire/frame.ts';
import { COMMENT, encodeEvent, type SseEvent } from '../../wire/sse.ts';
import type { UpstreamAnswer } from '../upstream.ts';
import { METHOD_NOT_FOUND } from './modern-result.ts';

/** An answer of one message. */
export function jsonAnswer(frame: Frame, status = 200): UpstreamAnswer {
  return { status, mode: 'json', body: frame.bytes };
}

/** An answer by which the face itself says no; an unknown method has the status that the modern wire wants (duty J-08). */
export function errorAnswer(id: string, code: number, message: string, data?: JsonObject): UpstreamAnswer {
  const status = code === METHOD_NOT_FOUND ? 404 : 200;
  return jsonAnswer(errorFrame(id, { code, message, ...(data === undefined ? {} : { data }) }), status);
}

const KEEP_ALIVE: readonly SseEvent[] = [{ raw: COMMENT }];

/** Messages as events of a modern stream: without ids, since nothing can be resumed there. None at all: a sign of life. */
export function eventsOf(frames: readonly Frame[]): readonly SseEvent[] {
  if (frames.length === 0) return KEEP_ALIVE;
  return frames.map((frame) => ({ raw: encodeEvent(frame, {}), data: frame.text }));
}

/** An HTTP error speaks by its status when its body is no JSON-RPC message, or it is about the gateway's own access. */
export function speaksByStatus({ status, mode, body }: UpstreamAnswer): boolean {
  const refused = status === 401 || status === 403 || (status >= 300 && status < 400);
  return mode === 'empty' || refused || (status >= 400 && body?.includes('"jsonrpc"') !== true);
}
