import type { Denial, Json, JsonObject } from '../../policies/types.ts';
import { Abort } from '../abort.ts';
import { ERRORS } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { paramsText, UNKNOWN_TOOL } from '../identify.ts';
import { mayMean, resultHead } from '../modern/result.ts';
import type { Frame } from '../types.ts';
import { errorFrame, idKey, objectMember } from '../wire/frame.ts';
import { member } from '../wire/member.ts';
import { fold, PARAMS_NAMES } from '../wire/names.ts';

/** What the server asks of the client (sampling, elicitation, roots) is a Call too: the reason why it must not be asked. */
export function judgeQuestion(exchange: Exchange, method: string, params: Json, text: string): Denial | undefined {
  const { rules, principal, connection } = exchange.asked;
  if (mimics(params)) return refused(exchange, method, LOOKALIKE);
  const decision = rules.decide(
    {
      connection: connection.name,
      kind: 'server_request',
      method,
      name: method,
      arguments: params,
      text,
      annotations: UNKNOWN_TOOL,
    },
    principal,
    {},
  );
  exchange.findings.push(...decision.findings);
  if (decision.action === 'allow') return undefined;
  const denial =
    decision.action === 'deny' ? decision.denial : { ...NOBODY_APPROVES, rule: decision.requirements[0]!.rule };
  return refused(exchange, method, denial);
}

/** What another reader would take for another question cannot be judged (see `Names`). */
function mimics(params: Json): boolean {
  return typeof params === 'object' && params !== null && Object.keys(params).some((key) => PARAMS_NAMES.mimics(key));
}

function refused(exchange: Exchange, method: string, denial: Denial): Denial {
  exchange.findings.push({
    rule: denial.rule,
    policy: 'access',
    direction: 'output',
    action: 'block',
    path: '',
    entity: method,
    count: 1,
  });
  return denial;
}

const LOOKALIKE = {
  code: 'server_request_blocked',
  rule: 'protocol',
  reason: 'one of its members looks like another',
  remedy: '',
};
const NOBODY_APPROVES = { code: 'server_request_blocked', reason: 'requests of a server cannot be held', remedy: '' };

export const judgeRequest = (exchange: Exchange, frame: Frame): Denial | undefined =>
  judgeQuestion(exchange, frame.method!, member(frame.value, 'params') ?? {}, paramsText(frame));

/**
 * The links that an error of 2025-11-25 (-32042) sends the person to are elicitations like any other; the first that must not be
 * passed on. Goes by the list, not by the code: a number has many spellings, and a key has lookalikes.
 */
export function judgeUrlElicitations(exchange: Exchange, frame: Frame): Denial | undefined {
  if (frame.kind !== 'response' || resultHead(frame).size > 0) return undefined;
  if (!mayMean(frame.text, ELICITATIONS)) return undefined;
  for (const data of Object.values(objectMember(frame.value, 'error') ?? {})) {
    if (typeof data !== 'object' || data === null) continue;
    for (const [key, list] of Object.entries(data as JsonObject)) {
      if (fold(key) !== 'elicitations') continue;
      for (const each of Array.isArray(list) ? list : [list]) {
        const denial = judgeQuestion(exchange, 'elicitation/create', each, JSON.stringify(each));
        if (denial !== undefined) return denial;
      }
    }
  }
  return undefined;
}

const ELICITATIONS = /elicitation[s\u017f]/i;

/** Questions of one session that its client has not answered. */
const MOST_OPEN = 1_000;

/** The client is asked: its answer is awaited, and the time of the call stands still meanwhile. */
export function expectAnswer(exchange: Exchange, frame: Frame): void {
  const { session } = exchange.asked;
  if (session === undefined) return;
  const { questions } = session;
  const key = idKey(frame.id!);
  // One asked again stands for both; of more than a client would ever answer the oldest is given up.
  const over = questions.has(key) || questions.size < MOST_OPEN ? key : questions.keys().next().value!;
  questions.get(over)?.();
  questions.delete(over);
  exchange.questions += 1;
  questions.set(key, () => {
    exchange.questions -= 1;
  });
}

/** Tells the server in the client's place that it gets no answer, so that it does not wait for one. */
export async function decline(exchange: Exchange, frame: Frame, denial: Denial): Promise<undefined> {
  const { asked, gateway } = exchange;
  const { session, connection, arrival, principal, version } = asked;
  if (session === undefined) return undefined;
  expectAnswer(exchange, frame);
  const message = `the gateway in front of the client does not pass this on: ${denial.reason}`;
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-session-id': session.id,
    ...(version === undefined ? {} : { 'mcp-protocol-version': version }),
  };
  const replies = gateway.ask({
    credentials: { type: 'proven', principal, address: 'gateway' },
    httpMethod: 'POST',
    route: arrival.route,
    connection: connection.name,
    headers,
    rawHeaders: Object.entries(headers).flat(),
    body: errorFrame(frame.id!, { code: ERRORS.server_request_blocked.rpc, message }).bytes,
    gone: new Abort(),
  });
  for await (const reply of replies) void reply;
  return undefined;
}
