import { memberSpan } from '../policies/json/member.ts';
import type { Denial } from '../policies/types.ts';
import type { Review } from '../recorder/types.ts';
import { toActor } from './actor.ts';
import { companionNames } from './companions.ts';
import { GatewayError, type ErrorCode } from './errors.ts';
import type { Claim, Exchange } from './exchange.ts';
import { fingerprint } from './fingerprint.ts';
import { gather } from './gather.ts';
import { newId } from './ids.ts';
import { scopeOf } from './placeholders.ts';
import type { Outbound, Reply } from './types.ts';
import { notificationFrame } from './wire/frame.ts';
import { member } from './wire/member.ts';
import { COMMENT } from './wire/sse.ts';

/** What may happen now: the call is sent, or the kept answer of its one execution is given. */
export type Admission = { readonly type: 'forward' } | { readonly type: 'kept'; readonly answer: Buffer };

const FORWARD: Admission = { type: 'forward' };
const ADMITTED: Reply = { status: 202, mode: 'empty', headers: {}, outbound: [] };

/** Nobody waits for an answer any more. */
export class Gone extends Error {}

/**
 * Lets an allowed call pass, refuses a denied one, and waits for people when a rule holds it: heartbeats until it is decided,
 * then the claim of its one execution, or the pending answer when the inline time is over.
 */
export async function* hold(exchange: Exchange): AsyncGenerator<Reply, Admission> {
  const { decision, asked } = exchange;
  // The POST of an HTTP+SSE client is answered now; what becomes of its message is told on the event stream.
  if (asked.arrival.carrier && asked.frame !== undefined) yield { ...ADMITTED, admitted: [asked.frame] };
  if (decision.action === 'deny') throw denied(decision.denial);
  if (decision.action === 'allow' && asked.arrival.review === undefined) return FORWARD;
  const { waiters, settings } = exchange.gateway;
  const who = JSON.stringify([asked.principal.issuer, asked.principal.subject]);
  if (!waiters.enter(who, settings().hold.maxPendingPerPrincipal)) throw new GatewayError('too_many_held');
  const startedAt = exchange.gateway.now();
  try {
    return yield* wait(exchange, await findReview(exchange), startedAt);
  } finally {
    waiters.leave(who);
    exchange.heldMs = exchange.gateway.now() - startedAt;
  }
}

function denied(denial: Denial): GatewayError {
  const { code, rule, reason, remedy, scopes, retryAfter } = denial;
  const wait = retryAfter === undefined ? {} : { retry_after: retryAfter };
  const data = { rule, ...wait, ...(scopes === undefined ? {} : { scopes }), ...(remedy === '' ? {} : { remedy }) };
  return new GatewayError(code as ErrorCode, reason, { data });
}

async function findReview(exchange: Exchange): Promise<Review> {
  const { asked, decision, gateway } = exchange;
  const { reviews } = gateway.recorder;
  const print = decision.action === 'hold' ? fingerprint(asked, decision.rulesHash) : undefined;
  if (asked.arrival.review !== undefined) {
    const review = await reviews.get(asked.arrival.review);
    if (review === undefined) throw new GatewayError('review_not_found');
    if (print !== undefined && print !== review.fingerprint) {
      throw new GatewayError('review_wrong_state', 'the tool or the rules changed since it was approved');
    }
    return review;
  }
  if (decision.action !== 'hold' || asked.frame === undefined) throw new GatewayError('internal');
  const { call, principal, rules } = asked;
  const { review } = await reviews.attach({
    id: newId('rev'),
    fingerprint: print!,
    owner: principal,
    connection: call.connection,
    kind: call.kind,
    method: call.method,
    name: call.name,
    preview: rules.redact(call.text),
    requirements: decision.requirements,
    session: exchange.session,
    exchange: exchange.id,
    expiresAt: gateway.now() + gateway.settings().hold.reviewExpiryMs,
    message: asked.frame.bytes,
  });
  if (asked.restored !== undefined) gateway.vault.lend(review.id, scopeOf(asked, gateway));
  return review;
}

async function* wait(exchange: Exchange, found: Review, startedAt: number): AsyncGenerator<Reply, Admission> {
  const { gateway, asked } = exchange;
  const { reviews } = gateway.recorder;
  const { inlineTimeoutMs, heartbeatMs } = asked.settings.hold;
  exchange.review = found.id;
  const listener = gateway.waiters.listen(found.id, exchange.signal, gateway.stopping);
  try {
    // Read again: what changed before the listener stood would be missed otherwise.
    let review = (await reviews.get(found.id)) ?? found;
    for (let beats = 0; ; review = (await reviews.get(found.id)) ?? review) {
      const admission = await settleWith(exchange, review);
      if (admission !== undefined) return admission;
      const waits = asked.arrival.review === undefined && !gateway.stopping.aborted;
      const left = waits ? startedAt + inlineTimeoutMs - gateway.now() : 0;
      if (left <= 0) throw pending(exchange, review);
      beats += 1;
      yield beat(exchange, beats);
      await listener.changed(Math.min(left, heartbeatMs));
      if (exchange.signal.aborted) throw new Gone();
    }
  } finally {
    listener.done();
  }
}

/** Acts on a review's state: claims an approved one, refuses a decided one; undefined while people are still deciding. */
async function settleWith(exchange: Exchange, review: Review): Promise<Admission | undefined> {
  const { reviews } = exchange.gateway.recorder;
  switch (review.state) {
    case 'APPROVED': {
      await reconsider(exchange);
      enter(exchange);
      const by = toActor(exchange.asked.principal, exchange.asked.arrival.credentials.address);
      const claimed = await reviews.move(review.id, 'APPROVED', 'PROCESSING', {
        by,
        executionSession: exchange.session,
      });
      if (claimed === undefined) {
        exchange.ticket?.leave();
        return undefined;
      }
      exchange.claim = claimOf(exchange, review.id);
      return FORWARD;
    }
    case 'REJECTED': {
      const reason = review.votes.findLast((vote) => vote.status === 'REJECTED')?.reason;
      const rules = review.requirements.map((requirement) => requirement.rule).join(', ');
      throw new GatewayError('review_rejected', reason === undefined ? '' : `: ${reason}`, {
        data: { rule: rules, review_id: review.id },
      });
    }
    case 'REVOKED':
    case 'EXPIRED':
      throw new GatewayError('review_expired', '', { data: { review_id: review.id } });
    case 'EXECUTED': {
      const answer = await reviews.takeResult(review.id);
      if (answer !== undefined) return { type: 'kept', answer };
      throw new GatewayError('review_spent', '', {
        data: { review_id: review.id, outcome: review.outcome ?? 'unknown' },
      });
    }
    case 'PENDING':
    case 'PROCESSING':
      return undefined;
    default:
      return review.state satisfies never;
  }
}

/**
 * Before an approved call runs: the token must still hold, the tool must be the one that was approved, and the rules of now may
 * deny. They do not ask again, but an approval given under other approval rules is none.
 */
async function reconsider(exchange: Exchange): Promise<void> {
  const { gateway, asked } = exchange;
  const { arrival, call, principal, facts } = asked;
  await gateway.authenticate(arrival.credentials, arrival.route, gateway.now());
  const { call: current, pin } = await gather(asked, gateway);
  if (pin?.denial !== undefined) throw denied(pin.denial);
  if (current.definition !== call.definition)
    throw new GatewayError('review_wrong_state', 'the tool changed meanwhile');
  const decision = gateway
    .settings()
    .rulebook.connection(call.connection)
    ?.decide(asked.restored ?? call, principal, facts);
  if (decision === undefined) throw new GatewayError('connection_unknown');
  if (decision.action === 'deny') throw denied(decision.denial);
  const held = exchange.decision.action === 'hold' ? exchange.decision.rulesHash : undefined;
  if (decision.action === 'hold' && decision.rulesHash !== held) {
    throw new GatewayError('review_wrong_state', 'the approval rules changed meanwhile');
  }
}

/** An approved call takes its place among those that run; when there is none it may be tried again on the same approval. */
function enter(exchange: Exchange): void {
  const entered = exchange.ticket?.enter();
  exchange.findings.push(...(entered?.findings ?? []));
  if (entered?.denial !== undefined) throw denied(entered.denial);
}

function claimOf(exchange: Exchange, id: string): Claim {
  const { reviews } = exchange.gateway.recorder;
  return {
    async settle({ outcome, frame, incomplete }) {
      // Only a call of which no byte was written may be tried again on the same approval; one that asks for input goes on with it.
      if (outcome === 'unreachable' || !exchange.sent || incomplete === true)
        await reviews.move(id, 'PROCESSING', 'APPROVED', {});
      else
        await reviews.move(id, 'PROCESSING', 'EXECUTED', {
          outcome,
          ...(frame === undefined ? {} : { result: frame.bytes }),
        });
    },
    async delivered() {
      await reviews.takeResult(id);
    },
  };
}

/** The pending envelope: what a client that waits no longer needs to come back. */
function pending(exchange: Exchange, review: Review): GatewayError {
  const { asked, gateway } = exchange;
  if (asked.arrival.review !== undefined) throw new GatewayError('review_wrong_state', review.state);
  const catalog = gateway.catalogs.get(asked.connection);
  const [wait, execute] = companionNames(catalog instanceof Promise ? undefined : catalog);
  return new GatewayError('review_pending', '', {
    data: {
      status: 'pending_approval',
      review_id: review.id,
      review_url: `${gateway.publicUrl}/reviews/${review.id}`,
      session_id: exchange.session,
      message: 'Approval required before this execution can run',
      next_step: `Tell the user that approval is needed. Then call ${wait} with id "${review.id}", and when it is APPROVED call ${execute} with the same id, or simply repeat the identical call.`,
    },
  });
}

/** Keeps the stream warm: a progress notification when the caller gave a token, a comment otherwise. */
function beat(exchange: Exchange, beats: number): Reply {
  exchange.streaming = true;
  const token = member(member(member(exchange.asked.frame?.value, 'params'), '_meta'), 'progressToken');
  let out: Outbound = { raw: COMMENT };
  if (typeof token === 'string' || typeof token === 'number') {
    exchange.progressOffset = beats;
    const raw = rawToken(exchange.asked.frame!.text) ?? JSON.stringify(token);
    out = {
      frame: notificationFrame(
        'notifications/progress',
        `{"progressToken":${raw},"progress":${beats},"message":"waiting for approval"}`,
      ),
    };
  }
  return { status: 200, mode: 'sse', headers: {}, outbound: [out] };
}

/** The token's own digits: a number beyond 2^53 must come back as it was. */
function rawToken(text: string): string | undefined {
  const params = memberSpan(text, 0, 'params');
  const meta = params && memberSpan(text, params.start, '_meta');
  const token = meta && memberSpan(text, meta.start, 'progressToken');
  return token && text.slice(token.start, token.end);
}
