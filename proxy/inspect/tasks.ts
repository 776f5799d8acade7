import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { checkCreatedTask, filterTaskList } from '../modern/tasks.ts';
import type { Frame } from '../types.ts';

/** Remembers whose a new task is; a list of tasks is cut to the caller's own. */
export function governTasks(exchange: Exchange, frame: Frame): Frame {
  const { asked, gateway } = exchange;
  const { principal, connection, call, era } = asked;
  const fault = era === 'modern' && asked.frame !== undefined ? checkCreatedTask(frame, asked.frame) : undefined;
  if (fault !== undefined) throw new GatewayError('upstream_invalid', fault);
  // On a GET stream an answer to one of the session's own calls may come again.
  const method = call.method === 'GET' ? 'tools/call' : call.method;
  if (!gateway.tasks.learn(frame, method, connection.name, principal, gateway.now())) {
    throw new GatewayError('upstream_invalid', 'a task of somebody else');
  }
  if (call.method !== 'tasks/list' && call.method !== 'GET') return frame;
  return filterTaskList(frame, (id) => gateway.tasks.owns(connection.name, id, principal, gateway.now()));
}
