import { find, parseTree } from '../../policies/json/tree.ts';
import type { Exchange } from '../exchange.ts';
import { ListenGate } from '../modern/listen.ts';
import { stringAt } from '../modern/result.ts';
import { StreamGate } from '../modern/stream-gate.ts';
import { taskIdOf } from '../modern/tasks.ts';
import { ownsTask, seesResource } from '../outgoing.ts';
import { offsetProgress } from '../progress.ts';
import type { Frame } from '../types.ts';
import { notificationFrame } from '../wire/frame.ts';
import { judge, judgeQuestions, judgeReplayed } from './judge.ts';
import { decline, expectAnswer, judgeRequest } from './questions.ts';

/** Says what has no place on the stream of an exchange (duty E-05). */
export interface Gate {
  fault(frame: Frame): string | undefined;
  /** What tells a listening client that its lists changed. */
  listChanges?(): readonly Frame[];
}

const OPEN: Gate = { fault: () => undefined };

export function gateOf(exchange: Exchange): Gate {
  const { asked } = exchange;
  const { frame, era, call, session } = asked;
  if (frame?.kind !== 'request')
    return session === undefined ? OPEN : { ...OPEN, listChanges: () => session.listChanges };
  if (call.method !== 'subscriptions/listen') return new StreamGate(frame, era);
  return new ListenGate(asked.outgoing ?? frame, (uri) => seesResource(exchange.asked, uri));
}

/**
 * A message before the final answer: the frame to deliver, or undefined when it goes no further. `record` puts each of them
 * down; whoever calls waits for that before anything leaves. Waits itself only where the upstream must hear of a refusal.
 */
export function passing(
  exchange: Exchange,
  frame: Frame,
  gate: Gate,
  record: (frame: Frame) => void,
): Frame | undefined | Promise<undefined> {
  const { asked, gateway } = exchange;
  // A GET stream brings answers only when it resumes the stream of a request (duty S-08).
  const resumes = asked.frame === undefined && asked.arrival.headers['last-event-id'] !== undefined;
  const stray = frame.kind === 'response' && !resumes;
  if (stray || gate.fault(frame) !== undefined || isForeign(exchange, frame)) {
    exchange.findings.push({
      rule: 'protocol',
      policy: 'access',
      direction: 'output',
      action: 'block',
      path: '',
      entity: plainName(frame),
      count: 1,
    });
    record(storable(exchange, frame));
    return undefined;
  }
  if (frame.method?.endsWith('/list_changed') === true) gateway.catalogs.forget(asked.connection.name);
  if (frame.kind === 'request') {
    const denial = judgeRequest(exchange, frame);
    if (denial !== undefined) {
      // What output rules withhold is not stored either, but that it was asked.
      record(denial.code === 'output_blocked' ? notificationFrame(frame.method!) : frame);
      return decline(exchange, frame, denial);
    }
  }
  if (frame.method === 'notifications/tasks') judgeQuestions(exchange, frame);
  const judged = frame.kind === 'response' ? judgeReplayed(exchange, frame) : judge(exchange, frame);
  const passed = offsetProgress(judged, exchange.progressOffset);
  if (frame.kind === 'request') expectAnswer(exchange, frame);
  record(passed);
  return passed;
}

/** What goes no further is stored as it could be shown: of what output rules withhold only what it is. */
function storable({ asked }: Exchange, frame: Frame): Frame {
  const { rules, call, principal, facts } = asked;
  if (!rules.inspects || rules.inspect(frame.text, call, principal, facts).denial === undefined) return frame;
  return notificationFrame(plainName(frame));
}

/** Does a notification tell of a resource that is hidden from its reader, or of somebody else's task? */
function isForeign(exchange: Exchange, frame: Frame): boolean {
  const { asked, gateway } = exchange;
  switch (frame.kind === 'notification' ? frame.method : undefined) {
    case 'notifications/resources/updated': {
      const uri = stringAt(frame.text, find(parseTree(frame.text), 'params'), 'uri');
      return uri === undefined ? asked.rules.filters(asked.principal) : !seesResource(asked, uri);
    }
    case 'notifications/tasks/status':
      return !ownsTask(asked, gateway, taskIdOf(frame) ?? '');
    case 'notifications/tasks':
      return asked.era === 'legacy';
    default:
      return false;
  }
}

/** The method of a message as findings may repeat it: a made-up one could say anything. */
const plainName = ({ method, kind }: Frame): string =>
  method !== undefined && /^[A-Za-z_/]{1,64}$/.test(method) ? method : kind;
