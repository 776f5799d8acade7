import { GatewayError } from './errors.ts';
import type { Gateway } from './gateway.ts';
import { paramsText, type Asked } from './identify.ts';
import { shrinkListen } from './modern/listen.ts';
import { unwrapState } from './modern/request-state.ts';
import { requireTasks, taskIdOf } from './modern/tasks.ts';
import type { Frame } from './types.ts';
import { member } from './wire/member.ts';

/**
 * The request as its upstream gets it: with its own `requestState` in place of the sealed one, and without subscriptions to
 * what the caller may not see. Refuses states and tasks that are not the caller's own.
 */
export function restate(asked: Asked, gateway: Gateway): Asked {
  const { frame, era, call } = asked;
  if (frame?.kind !== 'request' || !asked.methodKnown) return asked;
  if (era === 'modern') requireTasks(frame);
  const task = taskIdOf(frame);
  if (task !== undefined && !ownsTask(asked, gateway, task)) throw new GatewayError('task_unknown');
  if (era === 'legacy') return asked;
  if (call.method !== 'subscriptions/listen') {
    const outgoing = unwrapState(
      frame,
      { principal: asked.principal, connection: asked.connection.name },
      gateway.stateSeal,
      gateway.now(),
    );
    return outgoing === frame ? asked : { ...asked, outgoing };
  }
  const outgoing = shrunk(asked, gateway, frame);
  if (outgoing === frame) return asked;
  // What was cut is not asked for, so that no rule refuses the rest because of it.
  const params = member(outgoing.value, 'params') ?? {};
  return { ...asked, outgoing, call: { ...call, arguments: params, text: paramsText(outgoing) } };
}

function shrunk(asked: Asked, gateway: Gateway, frame: Frame): Frame {
  return shrinkListen(
    frame,
    (uri) => seesResource(asked, uri),
    (task) => ownsTask(asked, gateway, task),
  );
}

export const seesResource = ({ rules, principal }: Asked, uri: string): boolean =>
  !rules.filters(principal) || rules.sees('resource', uri, principal);

export const ownsTask = ({ connection, principal }: Asked, gateway: Gateway, task: string): boolean =>
  gateway.tasks.owns(connection.name, task, principal, gateway.now());
