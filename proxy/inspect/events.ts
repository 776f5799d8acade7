import type { Frame, Outbound, SseFields } from '../types.ts';
import { COMMENT, isOneLine, type SseEvent } from '../wire/sse.ts';

/** Unchanged events keep their bytes; a changed one keeps its fields (duty E-03). */
export function toOutbound(delivered: Frame, original: Frame, event: SseEvent, inspected: boolean): Outbound {
  if (delivered === original && !(inspected && event.more === true)) return { frame: delivered, raw: event.raw };
  return { frame: delivered, event: fieldsOf(event) };
}

/** An event without a message (a priming event, a comment). Where answers are inspected, its comments stay behind: nobody judged them. */
export function bare(event: SseEvent, inspected: boolean): Outbound {
  if (!inspected || event.more !== true) return { raw: event.raw };
  const fields = Object.entries(fieldsOf(event)).map(([name, value]) => `${name}: ${value}\n`);
  if (fields.length === 0) return { raw: COMMENT };
  return { raw: Buffer.from(`${fields.join('')}${event.data === undefined ? '' : 'data:\n'}\n`) };
}

function fieldsOf({ event, id, retry }: SseEvent): SseFields {
  return {
    ...(isOneLine(event) ? { event } : {}),
    ...(isOneLine(id) ? { id } : {}),
    ...(retry === undefined ? {} : { retry }),
  };
}
