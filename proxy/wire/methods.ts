import type { Era, Frame } from '../types.ts';

interface Methods {
  readonly requests: ReadonlySet<string>;
  readonly notifications: ReadonlySet<string>;
}

const TASKS_2025 = ['tasks/get', 'tasks/result', 'tasks/list', 'tasks/cancel'];
const SERVED = [
  'tools/list',
  'tools/call',
  'prompts/list',
  'prompts/get',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'completion/complete',
];
const CHANGES = [
  'notifications/tools/list_changed',
  'notifications/prompts/list_changed',
  'notifications/resources/list_changed',
  'notifications/resources/updated',
];
const RUNNING = ['notifications/cancelled', 'notifications/progress'];

/** Every method that a revision defines, by who sends it. Names are compared exactly. */
const METHODS: Readonly<Record<Era, Readonly<Record<'client' | 'server', Methods>>>> = {
  legacy: {
    client: {
      requests: new Set([
        'initialize',
        'ping',
        'resources/subscribe',
        'resources/unsubscribe',
        'logging/setLevel',
        ...SERVED,
        ...TASKS_2025,
      ]),
      notifications: new Set([
        'notifications/initialized',
        'notifications/roots/list_changed',
        'notifications/tasks/status',
        ...RUNNING,
      ]),
    },
    server: {
      requests: new Set(['ping', 'sampling/createMessage', 'roots/list', 'elicitation/create', ...TASKS_2025]),
      notifications: new Set([
        'notifications/message',
        'notifications/elicitation/complete',
        'notifications/tasks/status',
        ...RUNNING,
        ...CHANGES,
      ]),
    },
  },
  modern: {
    client: {
      requests: new Set([
        'server/discover',
        'subscriptions/listen',
        'tasks/get',
        'tasks/update',
        'tasks/cancel',
        ...SERVED,
      ]),
      notifications: new Set(['notifications/cancelled']),
    },
    server: {
      requests: new Set(),
      notifications: new Set([
        'notifications/message',
        'notifications/subscriptions/acknowledged',
        'notifications/tasks',
        ...RUNNING,
        ...CHANGES,
      ]),
    },
  },
};

const REQUESTS: ReadonlySet<string> = new Set(
  [METHODS.legacy, METHODS.modern].flatMap(({ client, server }) => [...client.requests, ...server.requests]),
);

/** Whether some revision defines the method as a request, so that it may never come without an id. */
export const isRequestMethod = (method: string): boolean => REQUESTS.has(method);

/**
 * Whether the era defines the message's method for this sender, as this kind of message (J-08). Responses have no
 * method.
 */
export function knownMethod(era: Era, frame: Frame, sender: 'client' | 'server' = 'client'): boolean {
  if (frame.kind === 'response' || frame.method === undefined) return frame.kind === 'response';
  const { requests, notifications } = METHODS[era][sender];
  return (frame.kind === 'request' ? requests : notifications).has(frame.method);
}
