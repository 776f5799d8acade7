import type { Signal } from '../abort.ts';
import type { Frame } from '../types.ts';
import { notificationFrame } from '../wire/frame.ts';
import { member } from '../wire/member.ts';
import type { UpstreamAnswer } from './upstream.ts';

/** One message on its way to a peer. */
export interface Letter {
  readonly frame: Frame;
  /** Headers for channels that have any. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Aborting takes back what was not written yet. Absent on what the gateway says by itself. */
  readonly signal?: Signal;
}

/** Hands a message to the peer; resolves when that has it, with an answer only when the peer refused to take it. */
export type Post = (letter: Letter) => Promise<UpstreamAnswer | undefined>;

/** The progress token of a request, as its JSON text. */
export function progressToken(frame: Frame): string | undefined {
  const token = member(member(member(frame.value, 'params'), '_meta'), 'progressToken');
  return token === undefined ? undefined : JSON.stringify(token);
}

/** A member of a message's params, as its JSON text. */
export function paramOf(frame: Frame, key: string): string | undefined {
  const value = member(member(frame.value, 'params'), key);
  return value === undefined ? undefined : JSON.stringify(value);
}

/** The word that a call is not wanted any more; `id` is a raw token. */
export const cancellation = (id: string): Frame =>
  notificationFrame('notifications/cancelled', `{"requestId":${id},"reason":"given up by the gateway"}`);

/** Whether the one message of an answer says that its request failed. */
export function isErrorBody(body: Buffer): boolean {
  return body.includes('error') && Object.hasOwn(JSON.parse(body.toString()) as object, 'error');
}
