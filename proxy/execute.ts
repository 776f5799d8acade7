import { Abort } from './abort.ts';
import { find, parseTree } from '../policies/json/tree.ts';
import type { JsonObject, Principal } from '../policies/types.ts';
import type { Execution } from './admin/operation.ts';
import { GatewayError } from './errors.ts';
import { InsideClient, type Ask } from './forward/client.ts';
import type { Gateway } from './gateway.ts';
import type { Frame } from './types.ts';
import { decodeFrame } from './wire/frame.ts';
import { member } from './wire/member.ts';
import { mirrorParams } from './wire/param-headers.ts';

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
    const answer = await client.repeat(frame, era, await mirroredOf(gateway, review.connection, frame));
    const settled = await reviews.get(id);
    return { session: settled?.executionSession ?? '', value: answer.frames.at(-1)?.value as JsonObject | undefined };
  } finally {
    await client.close();
  }
}

/** The headers that repeat arguments of the call, as its client had to send them (duty R-07). */
async function mirroredOf(gateway: Gateway, name: string, frame: Frame): Promise<Record<string, string>> {
  const connection = gateway.connections.get(name);
  const params = member(frame.value, 'params');
  const tool = member(params, 'name');
  if (frame.method !== 'tools/call' || connection === undefined || typeof tool !== 'string') return {};
  const asked = (await gateway.catalogs.get(connection))?.tools.get(tool)?.params ?? [];
  if (asked.length === 0) return {};
  const args = find(parseTree(frame.text), 'params', 'arguments');
  const text = args === undefined ? '{}' : frame.text.slice(args.start, args.end);
  return mirrorParams(member(params, 'arguments'), asked, text);
}
