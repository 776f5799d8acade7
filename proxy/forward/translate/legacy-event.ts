import type { SseEvent } from '../../wire/sse.ts';

/** A message as an event of its own. */
export function messageEvent(text: string): SseEvent {
  // Line breaks in a JSON text can only stand between its tokens.
  const data = /[\r\n]/.test(text) ? text.replace(/[\r\n]+/g, ' ') : text;
  return { raw: Buffer.from(`event: message\ndata: ${data}\n\n`), event: 'message', data };
}
