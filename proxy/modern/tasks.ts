import { find, parseTree } from '../../policies/json/tree.ts';
import { splice } from '../../policies/json/splice.ts';
import type { JsonObject, Principal } from '../../policies/types.ts';
import { GatewayError } from '../errors.ts';
import type { Frame } from '../types.ts';
import { cutItems } from '../wire/cut.ts';
import { objectMember, withText } from '../wire/frame.ts';
import { member } from '../wire/member.ts';
import { TASKS_EXTENSION, declaresTasks } from './envelope.ts';
import { resultHead, resultOfType, stringAt } from './result.ts';

type Owner = Pick<Principal, 'issuer' | 'subject'>;

interface Owned extends Owner {
  readonly since: number;
  expiresAt: number;
}

const DAY_MS = 24 * 60 * 60_000;
const ID_LENGTH = 256;

/**
 * Whose each task of each upstream is, for as long as the upstream keeps it, otherwise a day. A task that is not
 * remembered is nobody's: after a restart its results stay with the upstream, as nothing proves who may read them.
 */
export class TaskOwners {
  readonly #most: number;
  /** In the order in which they were made. */
  readonly #tasks = new Map<string, Owned>();

  constructor(most = 100_000) {
    this.#most = most;
  }

  /**
   * Notes the task that an answer to `method` makes, or how long a polled one lives on. False when the task belongs to
   * somebody else, or cannot be remembered: then the answer must not be delivered.
   */
  learn(frame: Frame, method: string, connection: string, principal: Owner, now: number): boolean {
    const task = taskIn(frame, method);
    const id = task && member(task, 'taskId');
    if (task === undefined || typeof id !== 'string') return true;
    if (id === '' || id.length > ID_LENGTH) return false;
    const key = keyOf(connection, id);
    const known = this.#live(key, now);
    if (known !== undefined && !same(known, principal)) return false;
    if (known !== undefined) {
      known.expiresAt = known.since + lifeOf(task);
      return true;
    }
    // What another request learns of a task is no proof that it was made for this principal.
    if (method !== 'tools/call') return true;
    this.#tasks.set(key, {
      issuer: principal.issuer,
      subject: principal.subject,
      since: now,
      expiresAt: now + lifeOf(task),
    });
    if (this.#tasks.size > this.#most) this.#tasks.delete(this.#tasks.keys().next().value as string);
    return true;
  }

  /** Whether the task was made by a call of this principal and is still remembered. */
  owns(connection: string, taskId: string, principal: Owner, now: number): boolean {
    const known = this.#live(keyOf(connection, taskId), now);
    return known !== undefined && same(known, principal);
  }

  #live(key: string, now: number): Owned | undefined {
    const known = this.#tasks.get(key);
    if (known === undefined || now < known.expiresAt) return known;
    this.#tasks.delete(key);
    return undefined;
  }
}

const keyOf = (connection: string, taskId: string): string => JSON.stringify([connection, taskId]);
const same = (a: Owner, b: Owner): boolean => a.issuer === b.issuer && a.subject === b.subject;

/** 2026-07-28: flat, by its type. 2025-11-25: under `task`. A polled task is flat in both. */
function taskIn(frame: Frame, method: string): JsonObject | undefined {
  const head = resultHead(frame);
  // Most answers make no task, and are not read any further.
  if (!head.has('taskId') && !head.has('task')) return undefined;
  const result = objectMember(frame.value, 'result');
  if (method === 'tasks/get') return result;
  if (method !== 'tools/call' || result === undefined) return undefined;
  return member(result, 'resultType') === 'task' ? result : objectMember(result, 'task');
}

function lifeOf(task: JsonObject): number {
  const life = member(task, 'ttlMs') ?? member(task, 'ttl');
  return typeof life === 'number' && life >= 0 ? life : DAY_MS;
}

/**
 * The task that a request or notification of either revision is about, undefined for other methods. One that names it by
 * anything but a string is about `''`, which nobody owns: a lenient upstream might read a list of one id as that id.
 */
export function taskIdOf(frame: Frame): string | undefined {
  const { method } = frame;
  const about = method?.startsWith('tasks/') === true || method?.startsWith('notifications/tasks') === true;
  if (!about || method === 'tasks/list') return undefined;
  const id = member(objectMember(frame.value, 'params'), 'taskId');
  return typeof id === 'string' ? id : '';
}

/** The answer to a tasks/list of 2025-11-25 with the caller's own tasks only; everything else keeps its bytes. */
export function filterTaskList(frame: Frame, owns: (taskId: string) => boolean): Frame {
  if (frame.kind !== 'response') return frame;
  const { text } = frame;
  const tasks = find(parseTree(text), 'result', 'tasks');
  if (tasks === undefined) return frame;
  if (tasks.type !== 'array') throw new GatewayError('upstream_invalid', 'tasks is not a list');
  const edits = cutItems(tasks, (task) => {
    const id = stringAt(text, task, 'taskId');
    return id !== undefined && owns(id);
  });
  return withText(frame, splice(text, edits));
}

/** What is wrong with an answer of 2026-07-28 that makes a task; undefined when nothing is or it makes none. */
export function checkCreatedTask(frame: Frame, request: Frame): string | undefined {
  const result = resultOfType(frame, 'task');
  if (result === undefined) return undefined;
  if (request.method !== 'tools/call') return `${request.method} was answered with a task`;
  if (!declaresTasks(request)) return 'a task was made for a request that does not declare the tasks extension';
  if (find(result, 'requestState') !== undefined) return 'a task came with a requestState';
  const id = stringAt(frame.text, result, 'taskId');
  return id === undefined || id === '' || id.length > ID_LENGTH ? 'a task came without a usable taskId' : undefined;
}

/** Refuses a modern request about tasks that does not declare the tasks extension. */
export function requireTasks(request: Frame): void {
  const { method } = request;
  const filter = objectMember(objectMember(request.value, 'params'), 'notifications');
  const about =
    method === 'subscriptions/listen'
      ? filter !== undefined && Object.hasOwn(filter, 'taskIds')
      : method?.startsWith('tasks/') === true;
  if (!about || declaresTasks(request)) return;
  throw new GatewayError('capability_missing', `extensions["${TASKS_EXTENSION}"]`, {
    data: { requiredCapabilities: { extensions: { [TASKS_EXTENSION]: {} } } },
  });
}
