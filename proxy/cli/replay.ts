import type { Json, JsonObject } from '../../policies/types.ts';
import { safe, shorten, type Style } from './terminal.ts';

const MOST = 600;

/** A recorded session as a readable timeline: who asked what, what was decided, what came back. Masked, as it is stored. */
export function timeline(content: JsonObject, style: Style): string {
  const session = content['session'] as JsonObject;
  const exchanges = content['exchanges'] as JsonObject[];
  const lines = [
    style.bold(`session ${text(session['id'])}`),
    `${text(session['user_id'])} ${text(session['user_email'])} on ${text(session['connection'])}, ${text(session['client']) || 'unknown client'}, ${text(session['created_at'])}`,
    '',
  ];
  const startedAt = Date.parse(String(session['created_at']));
  for (const exchange of exchanges) lines.push(...exchangeLines(exchange, startedAt, style), '');
  return lines.join('\n');
}

function exchangeLines(exchange: JsonObject, startedAt: number, style: Style): string[] {
  const decision = exchange['decision'] as JsonObject;
  const action = String(decision['action']);
  const outcome = String(exchange['outcome']);
  const rules = (decision['rules'] as Json[]).map(text).join(', ');
  const mark = action === 'allow' ? style.good('allow') : action === 'hold' ? style.bold('hold') : style.bad('deny');
  const lines = [
    `${style.dim(at(exchange['at'], startedAt))} ${mark} ${text(exchange['method'])} ${style.bold(text(exchange['name']))}${rules === '' ? '' : ` by ${rules}`}`,
  ];
  const request = paramsOf(exchange['request']);
  if (request !== '') lines.push(`          > ${shorten(request, MOST)}`);
  for (const message of exchange['messages'] as JsonObject[]) {
    const arrow = message['direction'] === 'to_upstream' ? '>' : '<';
    lines.push(style.dim(`${at(message['at'], startedAt)}   ${arrow} ${shorten(text(message['body']), MOST)}`));
  }
  const response = resultOf(exchange['response']);
  const bad = exchange['is_error'] === true;
  if (response !== '') lines.push(`          < ${bad ? style.bad(shorten(response, MOST)) : shorten(response, MOST)}`);
  const held = Number(exchange['held_ms']) > 0 ? `, held ${String(exchange['held_ms'])} ms` : '';
  const findings = (exchange['findings'] as JsonObject[]).map(
    (it) => `${text(it['entity'])} x${text(it['count'])} at ${text(it['path'])}`,
  );
  lines.push(
    style.dim(
      `          ${outcome} in ${String(exchange['total_ms'])} ms${held}${findings.length === 0 ? '' : `; ${findings.join(', ')}`}`,
    ),
  );
  return lines;
}

function at(moment: Json | undefined, startedAt: number): string {
  const seconds = (Date.parse(String(moment)) - startedAt) / 1000;
  return `+${seconds.toFixed(3)}s`.padStart(9);
}

function paramsOf(body: Json | undefined): string {
  const params = parsed(body)?.['params'] as JsonObject | undefined;
  if (params === undefined) return '';
  const { _meta, ...rest } = params;
  return safe(JSON.stringify(rest['arguments'] ?? rest));
}

function resultOf(body: Json | undefined): string {
  const value = parsed(body);
  if (value === undefined) return text(body);
  const error = value['error'] as JsonObject | undefined;
  if (error !== undefined) return text(error['message']);
  const result = value['result'] as JsonObject | undefined;
  const content = result?.['content'];
  if (!Array.isArray(content)) return safe(JSON.stringify(result ?? value));
  return content.map((block) => text((block as JsonObject)['text'] ?? JSON.stringify(block))).join(' ');
}

function parsed(body: Json | undefined): JsonObject | undefined {
  if (typeof body !== 'string' || body === '') return undefined;
  try {
    return JSON.parse(body) as JsonObject;
  } catch {
    // A pruned or cut body is shown as it is.
    return undefined;
  }
}

const text = (value: Json | undefined): string => safe(value === undefined || value === null ? '' : String(value));
