import { Abort } from './abort.ts';
import type { JsonObject, Principal } from '../policies/types.ts';
import type { Execution } from './admin/operation.ts';
import { GatewayError } from './errors.ts';
import { InsideClient, type Ask } from './forward/client.ts';
import type { Gateway } from './gateway.ts';
import { decodeFrame } from './wire/frame.ts';
import { member } from './wire/member.ts';

/** Runs the call of an approved review, exactly as it was asked, through the pipeline and in a session of its own. */
export async function execute(
  gateway: Gateway,
  ask: Ask,
  id: string,
  owner: Principal,
  address: string,
): Promise<Execution> {
  const { reviews } = gateway.recorder;
  const review = await reviews.get(id);
  if (review === undefined) throw new GatewayError('review_not_found');
  const frame = decodeFrame(await reviews.message(id), gateway.frameLimits);
  const meta = member(member(frame.value, 'params'), '_meta');
  const era = member(meta, 'io.modelcontextprotocol/protocolVersion') === undefined ? 'legacy' : 'modern';
  const client = new InsideClient({
    ask,
    connection: review.connection,
    principal: owner,
    address,
    signal: new Abort(),
    review: id,
  });
  if (era === 'legacy') await client.initialize();
  try {
    const answer = await client.repeat(frame, era);
    const settled = await reviews.get(id);
    return { session: settled?.executionSession ?? '', value: answer.frames.at(-1)?.value as JsonObject | undefined };
  } finally {
    await client.close();
  }
}
