import type { JsonObject } from '../../policies/types.ts';
import { safe, type Style } from './terminal.ts';

/** An explained exchange for people: who asked what, then one line for each step of its decision. Never a value. */
export function explanation(it: JsonObject, style: Style): string {
  const who = it['who'] as JsonObject;
  const email = text(who['user_email']);
  const asked = [text(it['method']), text(it['name'])].filter((part) => part !== '').join(' ');
  const lines = (it['steps'] as JsonObject[]).map((step) => {
    const label = text(step['step']).padEnd(8);
    return `  ${style.dim(label)} ${coloured(text(step['why']), text(step['action']), style)}`;
  });
  return [
    style.bold(`exchange ${text(it['id'])}`),
    `${text(who['user_id'])}${email === '' ? '' : ` <${email}>`} asked ${text(it['connection'])} for ${asked} at ${text(it['at'])}`,
    `session ${text(it['session_id'])}, rules ${text(it['rulebook']).slice(0, 12)}`,
    '',
    ...lines,
  ].join('\n');
}

function coloured(why: string, action: string, style: Style): string {
  if (action === 'deny' || action === 'block' || action === 'denied') return style.bad(why);
  return action === 'allow' || action === 'answered' ? style.good(why) : why;
}

const text = (value: unknown): string => safe(value === undefined || value === null ? '' : String(value));
