import type { ServerResponse } from 'node:http';
import type { Abort } from '../abort.ts';
import type { Delivery } from '../carrier.ts';
import type { Carriers } from '../carriers.ts';
import type { Reply } from '../types.ts';
import { finish } from './deliver.ts';

export interface Carrying {
  readonly carriers: Carriers;
  readonly id: string;
  /** Aborts for the message when its client cannot be answered any more. */
  readonly gone: Abort;
}

/**
 * Answers a POST of an HTTP+SSE client: 202 once its message was admitted, otherwise why not; all that follows goes on the
 * event stream, with its back-pressure. A refusal is never 2xx, since such a client reads no body of those.
 */
export async function carry(
  replies: AsyncGenerator<Reply>,
  res: ServerResponse,
  { carriers, id, gone }: Carrying,
): Promise<void> {
  let delivery: Delivery | undefined;
  try {
    for await (const reply of replies) {
      if (reply.admitted !== undefined && delivery === undefined) {
        delivery = carriers.deliver(id, reply.admitted, gone);
        await finish(res, reply);
      } else if (delivery === undefined) {
        await finish(res, reply.status < 400 ? { ...reply, status: 400 } : reply);
      } else if (!(await delivery.take(reply)) && reply.confirm === true) {
        return;
      }
    }
  } finally {
    await delivery?.done();
  }
}
