import { splice } from '../../policies/json/splice.ts';
import { find } from '../../policies/json/tree.ts';
import type { Denial, Finding } from '../../policies/types.ts';
import { observeOutput } from '../arguments-schema.ts';
import { GatewayError, type ErrorCode } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { governList } from '../lists.ts';
import { governCapabilities } from '../modern/capabilities.ts';
import { checkInputRequired, inputRequestsOf } from '../modern/input-required.ts';
import { wrapState } from '../modern/request-state.ts';
import { resultOfType } from '../modern/result.ts';
import { governServer } from '../pinned.ts';
import { tokenFacts } from '../placeholders.ts';
import type { Frame } from '../types.ts';
import { withText } from '../wire/frame.ts';
import { judgeQuestion, judgeUrlElicitations } from './questions.ts';
import { governTasks } from './tasks.ts';
import { hiddenKinds } from './visible.ts';

/** Output rules over one message: the frame to deliver, or the reason it must not leave. */
export function judge(exchange: Exchange, frame: Frame): Frame {
  const { asked } = exchange;
  const scrubbed = asked.connection.scrub(frame.text);
  const governed = governList(exchange, scrubbed === frame.text ? frame : withText(frame, scrubbed));
  if (!asked.rules.inspects) return governed;
  let verdict;
  try {
    verdict = asked.rules.inspect(governed.text, asked.call, asked.principal, tokenFacts(asked, exchange.gateway));
  } catch (cause) {
    throw new GatewayError('inspection_failed', '', { cause });
  }
  exchange.findings.push(...(verdict.findings as Finding[]));
  if (verdict.denial !== undefined) throw blocked('output_blocked', verdict.denial);
  if (verdict.clean === true) exchange.noteClean(governed);
  return verdict.json === governed.text ? governed : withText(governed, verdict.json);
}

/** The answer of a call: judged like every message, and for what only an answer can be. */
export function judgeFinal(exchange: Exchange, frame: Frame): Frame {
  const { asked } = exchange;
  const questions = asked.era === 'modern' ? judgeQuestions(exchange, frame) : undefined;
  if (questions === 'input_required') return judgeWithState(exchange, frame);
  const denial = judgeUrlElicitations(exchange, frame);
  if (denial !== undefined) throw blocked('server_request_blocked', denial);
  observeOutput(exchange, frame);
  const { method } = asked.call;
  const opening = method === 'initialize' || method === 'server/discover';
  const judged = judge(exchange, governTasks(exchange, opening ? governServer(exchange, frame) : frame));
  return opening ? governCapabilities(judged, hiddenKinds(exchange)) : judged;
}

/** An answer that a resumed stream brings: the session's own, but not known to which of its requests (duty S-10). */
export function judgeReplayed(exchange: Exchange, frame: Frame): Frame {
  const denial = judgeUrlElicitations(exchange, frame);
  if (denial !== undefined) throw blocked('server_request_blocked', denial);
  return judge(exchange, governTasks(exchange, frame));
}

/** What is asked of the client inside an answer or a task: each a request of the server (duties M-01 to M-03). */
export function judgeQuestions(exchange: Exchange, frame: Frame): 'input_required' | undefined {
  const fault = checkInputRequired(frame, exchange.asked.frame!);
  if (fault !== undefined) throw new GatewayError('upstream_invalid', fault);
  for (const { method, params, text } of inputRequestsOf(frame)) {
    const denial = judgeQuestion(exchange, method, params, text);
    if (denial !== undefined) throw blocked('server_request_blocked', denial);
  }
  return resultOfType(frame, 'input_required') === undefined ? undefined : 'input_required';
}

/** The state is its upstream's alone: no rule reads or changes it, and it leaves sealed (duties M-04, M-05). */
function judgeWithState(exchange: Exchange, frame: Frame): Frame {
  const { asked, gateway } = exchange;
  const state = stateOf(frame);
  if (state === undefined) return judge(exchange, frame);
  const judged = judge(exchange, withText(frame, splice(frame.text, [{ ...state, text: '""' }])));
  const place = stateOf(judged);
  if (place === undefined) throw new GatewayError('inspection_failed');
  const whole = splice(judged.text, [{ ...place, text: frame.text.slice(state.start, state.end) }]);
  const owner = { principal: asked.principal, connection: asked.connection.name, request: asked.frame! };
  return wrapState(withText(judged, whole), owner, gateway.stateSeal, gateway.now());
}

function stateOf(frame: Frame): { readonly start: number; readonly end: number } | undefined {
  const state = find(resultOfType(frame, 'input_required'), 'requestState');
  return state && { start: state.start, end: state.end };
}

function blocked(code: ErrorCode, { reason, rule, remedy }: Denial): GatewayError {
  return new GatewayError(code, reason, { data: { rule, ...(remedy === '' ? {} : { remedy }) } });
}
