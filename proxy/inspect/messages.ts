import { parseTree } from '../../policies/json/tree.ts';
import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import type { Asked } from '../identify.ts';
import type { Frame } from '../types.ts';
import { decodeFrame, decodeText, idKey } from '../wire/frame.ts';

/** The one revision in which a server may put several messages into one body or event. */
const BATCHING = '2025-03-26';
const STRICT = { fatal: true, ignoreBOM: true } as const;

/** The messages of one body or event, strictly read: one, or those of a batch where the revision knows batches (duty BT-01). */
export function readFrames(exchange: Exchange, bytes: Buffer | string, status: number): readonly Frame[] {
  const { frameLimits } = exchange.gateway;
  const read = (message: string): Frame => decodeText(message, frameLimits, 'server');
  try {
    if (exchange.asked.version !== BATCHING)
      return [typeof bytes === 'string' ? read(bytes) : decodeFrame(bytes, frameLimits, 'server')];
    const text = typeof bytes === 'string' ? bytes : new TextDecoder('utf-8', STRICT).decode(bytes);
    if (!/^[ \t\r\n]*\[/.test(text)) return [read(text)];
    const tree = parseTree(text);
    return tree.type === 'array' ? tree.items.map(({ start, end }) => read(text.slice(start, end))) : [];
  } catch (cause) {
    throw new GatewayError('upstream_invalid', `status ${status} with a body that is not a JSON-RPC message`, {
      cause,
    });
  }
}

/** Is this the answer to the exchange's own request? An error without an id answers it too. */
export function isFinal({ asked }: Exchange, frame: Frame): boolean {
  const { frame: request } = asked;
  if (frame.kind !== 'response' || request?.kind !== 'request') return false;
  return frame.id === undefined || idKey(frame.id) === idKey(request.id!);
}

/** A stream that may be silent for ever: the session's GET stream, and the modern one for subscriptions. */
export function listens({ frame, call }: Asked): boolean {
  return (frame === undefined && call.method === 'GET') || call.method === 'subscriptions/listen';
}
