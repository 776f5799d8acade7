import type { Frame, Outbound, SseFields } from '../types.ts';
import { COMMENT, type SseEvent } from '../wire/sse.ts';

/** Line ends of lenient readers, which would see another line, a data line perhaps, within a field. */
// oxlint-disable-next-line no-control-regex -- names exactly these characters
const OTHER_LINE_ENDS = /[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]/;
const FIELDS = /^(?:data|event|id|retry)(?::|$)/;

/** Unchanged events keep their bytes; a changed one keeps its fields (duty E-03). */
export function toOutbound(delivered: Frame, original: Frame, event: SseEvent, inspected: boolean): Outbound {
  if (delivered === original && !(inspected && saysMore(event))) return { frame: delivered, raw: event.raw };
  return { frame: delivered, event: fieldsOf(event) };
}

/** An event without a message (a priming event, a comment). Where answers are inspected, its comments stay behind: nobody judged them. */
export function bare(event: SseEvent, inspected: boolean): Outbound {
  if (!inspected || !saysMore(event)) return { raw: event.raw };
  const fields = Object.entries(fieldsOf(event)).map(([name, value]) => `${name}: ${value}\n`);
  if (fields.length === 0) return { raw: COMMENT };
  return { raw: Buffer.from(`${fields.join('')}${event.data === undefined ? '' : 'data:\n'}\n`) };
}

/** Does it hold lines that are no field of the grammar, such as comments, or that others may read as several? */
function saysMore({ raw }: SseEvent): boolean {
  return raw
    .toString()
    .replace(/^\ufeff/, '')
    .split(/\r\n|\r|\n/)
    .some((line) => line !== '' && (!FIELDS.test(line) || (!line.startsWith('data') && OTHER_LINE_ENDS.test(line))));
}

function fieldsOf({ event, id, retry }: SseEvent): SseFields {
  return {
    ...(isPlain(event) ? { event } : {}),
    ...(isPlain(id) ? { id } : {}),
    ...(retry === undefined ? {} : { retry }),
  };
}

const isPlain = (value: string | undefined): value is string => value !== undefined && !OTHER_LINE_ENDS.test(value);
