import { splice } from '../../policies/json/splice.ts';
import type { Edit } from '../../policies/json/splice.ts';
import { decodeString, find, parseTree } from '../../policies/json/tree.ts';
import type { Node, ObjectNode } from '../../policies/json/tree.ts';
import { GatewayError } from '../errors.ts';
import type { Frame } from '../types.ts';
import { cutItems } from '../wire/cut.ts';
import { idKey, notificationFrame, resultFrame, withText } from '../wire/frame.ts';
import { stringAt } from './result.ts';

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';

/** The member of the filter that asks for each notification. */
const CHANGES: ReadonlyMap<string, string> = new Map([
  ['notifications/tools/list_changed', 'toolsListChanged'],
  ['notifications/prompts/list_changed', 'promptsListChanged'],
  ['notifications/resources/list_changed', 'resourcesListChanged'],
]);
const LISTS = ['resourceSubscriptions', 'taskIds'] as const;

/**
 * The listen request without the resources and tasks that the caller may not see (L-03); everything else keeps its bytes.
 * Refuses one whose filter cannot be read.
 */
export function shrinkListen(
  frame: Frame,
  sees: (uri: string) => boolean,
  ownsTask: (taskId: string) => boolean,
): Frame {
  const { text } = frame;
  const filter = filterOf(frame);
  if (typeof filter === 'string') throw new GatewayError('params_invalid', filter);
  const edits: Edit[] = [];
  for (const name of LISTS) {
    const list = find(filter, name);
    if (list?.type !== 'array') continue;
    const admits = name === 'taskIds' ? ownsTask : sees;
    edits.push(...cutItems(list, (item) => admits(decodeString(text, item.start, item.end))));
  }
  return withText(frame, splice(text, edits));
}

/** The filter of a listen request or its acknowledgement, or in a sentence what is wrong with it. */
function filterOf({ text }: Frame): ObjectNode | string {
  const filter = find(parseTree(text), 'params', 'notifications');
  if (filter?.type !== 'object') return 'notifications must be an object';
  for (const name of CHANGES.values()) {
    const flag = find(filter, name);
    if (flag !== undefined && !isFlag(text, flag)) return `notifications.${name} must be true or false`;
  }
  for (const name of LISTS) {
    const list = find(filter, name);
    if (list === undefined) continue;
    if (list.type !== 'array' || list.items.some((item) => item.type !== 'string'))
      return `notifications.${name} must be a list of strings`;
  }
  return filter;
}

const isFlag = (text: string, node: Node): boolean => ['true', 'false'].includes(text.slice(node.start, node.end));

/** What a filter asks for. */
interface Asked {
  readonly flags: ReadonlySet<string>;
  readonly resourceSubscriptions: ReadonlySet<string>;
  readonly taskIds: ReadonlySet<string>;
  readonly others: ReadonlySet<string>;
}

const KNOWN: ReadonlySet<string> = new Set([...CHANGES.values(), ...LISTS]);

function askedBy(text: string, filter: ObjectNode): Asked {
  const strings = (name: string): Set<string> => {
    const list = find(filter, name);
    return new Set(list?.type === 'array' ? list.items.map(({ start, end }) => decodeString(text, start, end)) : []);
  };
  const flags = [...CHANGES.values()].filter((name) => {
    const flag = find(filter, name);
    return flag !== undefined && text.startsWith('true', flag.start);
  });
  return {
    flags: new Set(flags),
    resourceSubscriptions: strings('resourceSubscriptions'),
    taskIds: strings('taskIds'),
    others: new Set(filter.members.map(({ key }) => key).filter((key) => !KNOWN.has(key))),
  };
}

/** Judges, in their order, the messages that an upstream sends on a listen stream (L-01, L-02, L-05, E-05). */
export class ListenGate {
  readonly #id: string;
  readonly #asked: Asked;
  readonly #sees: (uri: string) => boolean;
  #acknowledged = false;
  #honoured: ReadonlySet<string> = new Set();

  /**
   * `request` as it went to the upstream, after `shrinkListen`. `sees` judges each resource that is told about: one below
   * those that were asked for, too.
   */
  constructor(request: Frame, sees: (uri: string) => boolean) {
    const filter = filterOf(request);
    if (typeof filter === 'string') throw new GatewayError('params_invalid', filter);
    this.#id = idKey(request.id as string);
    this.#asked = askedBy(request.text, filter);
    this.#sees = sees;
  }

  /** What is wrong with the next message; undefined when it may be delivered. */
  fault(frame: Frame): string | undefined {
    if (frame.kind === 'request') return 'a request came on a listen stream';
    if (frame.kind === 'response') return this.#faultOfEnd(frame);
    // Tolerated in place of the result, although over HTTP the end of the stream says it all (C-04).
    if (frame.method === 'notifications/cancelled')
      return this.#isOurs(frame, 'params', 'requestId') ? undefined : 'the cancellation of another request';
    if (!this.#isOurs(frame, 'params', '_meta', SUBSCRIPTION)) return 'a message without the id of its subscription';
    if (frame.method === 'notifications/subscriptions/acknowledged') return this.#faultOfAcknowledgement(frame);
    if (!this.#acknowledged) return 'a message came before the acknowledgement';
    return this.#faultOfNotification(frame);
  }

  #faultOfEnd(frame: Frame): string | undefined {
    if (frame.id !== undefined && idKey(frame.id) !== this.#id) return 'the answer to another request';
    if (find(parseTree(frame.text), 'result') === undefined) return undefined;
    if (!this.#acknowledged) return 'the stream ended before the acknowledgement';
    return this.#isOurs(frame, 'result', '_meta', SUBSCRIPTION)
      ? undefined
      : 'a result without the id of its subscription';
  }

  #faultOfAcknowledgement(frame: Frame): string | undefined {
    if (this.#acknowledged) return 'a second acknowledgement';
    const filter = filterOf(frame);
    if (typeof filter === 'string') return filter;
    const honoured = askedBy(frame.text, filter);
    for (const part of ['flags', 'resourceSubscriptions', 'taskIds', 'others'] as const) {
      if ([...honoured[part]].some((name) => !this.#asked[part].has(name)))
        return 'the acknowledgement names what was not asked for';
    }
    this.#acknowledged = true;
    this.#honoured = honoured.flags;
    return undefined;
  }

  /** The notifications by which the lists that this stream follows are told to have changed. */
  listChanges(): readonly Frame[] {
    const params = `{"_meta":{"${SUBSCRIPTION}":${this.#id}}}`;
    return [...CHANGES]
      .filter(([, flag]) => this.#honoured.has(flag))
      .map(([method]) => notificationFrame(method, params));
  }

  #faultOfNotification(frame: Frame): string | undefined {
    const unasked = `${frame.method} was not asked for`;
    const flag = CHANGES.get(frame.method as string);
    if (flag !== undefined) return this.#asked.flags.has(flag) ? undefined : unasked;
    const params = find(parseTree(frame.text), 'params');
    switch (frame.method) {
      case 'notifications/resources/updated': {
        const uri = stringAt(frame.text, params, 'uri');
        return uri !== undefined && this.#follows(uri) ? undefined : unasked;
      }
      case 'notifications/tasks': {
        const id = stringAt(frame.text, params, 'taskId');
        return id !== undefined && this.#asked.taskIds.has(id) ? undefined : unasked;
      }
      default:
        return `${frame.method} has no place on a listen stream`;
    }
  }

  #follows(uri: string): boolean {
    const { resourceSubscriptions } = this.#asked;
    // Rules may have changed since the stream began.
    if (!this.#sees(uri)) return false;
    if (resourceSubscriptions.has(uri)) return true;
    // A way back up would leave the resource that was asked for.
    if (/(?:[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?:[/\\?#]|%2f|%5c|$)/i.test(uri)) return false;
    return [...resourceSubscriptions].some((asked) => isBelow(uri, asked));
  }

  /** Ids are compared with their JSON type: 1 is not "1". */
  #isOurs({ text }: Frame, ...path: readonly string[]): boolean {
    const id = find(parseTree(text), ...path);
    return (id?.type === 'string' || id?.type === 'scalar') && idKey(text.slice(id.start, id.end)) === this.#id;
  }
}

const isBelow = (uri: string, asked: string): boolean =>
  uri.startsWith(asked) && (asked.endsWith('/') || ['/', '#', '?'].includes(uri.charAt(asked.length)));

/** The result that ends a listen stream on purpose (L-04): never to be sent for an upstream that broke off. */
export function closing(id: string): Frame {
  return resultFrame(id, `{"resultType":"complete","_meta":{"${SUBSCRIPTION}":${id}}}`);
}
