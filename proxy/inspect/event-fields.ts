import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import type { SseEvent } from '../wire/sse.ts';

/**
 * An event whose name and id output rules let pass: what they would withhold or change stays behind, and with an id the client's means
 * to resume after this event. The message itself is judged elsewhere.
 */
export function withFitFields(exchange: Exchange, event: SseEvent): SseEvent {
  const { rules, call, principal, facts } = exchange.asked;
  if (!rules.inspects || (event.event === undefined && event.id === undefined)) return event;
  const text = JSON.stringify({ fields: [event.event ?? '', event.id ?? ''] });
  let verdict;
  try {
    verdict = rules.inspect(text, call, principal, facts);
  } catch (cause) {
    throw new GatewayError('inspection_failed', '', { cause });
  }
  if (verdict.denial === undefined && verdict.json === text) return event;
  exchange.findings.push(...verdict.findings);
  const { event: _, id: __, ...rest } = event;
  return { ...rest, more: true };
}
