import type { JsonObject } from '../../policies/types.ts';
import { tally } from '../../policies/votes.ts';
import type { Review, ReviewState, Vote } from '../../recorder/types.ts';
import { GatewayError } from '../errors.ts';
import { toActor } from '../actor.ts';
import { executionEnvelope } from './execution.ts';
import type { Operation, OperationContext } from './operation.ts';
import { isOwner, maySee, mayReview, reviewObject, REVIEW_SCHEMA } from './review-object.ts';

const ID = {
  type: 'string',
  minLength: 1,
  maxLength: 128,
  description: 'The review id, or a session id that has exactly one review.',
};
const FINAL: ReadonlySet<ReviewState> = new Set(['APPROVED', 'REJECTED', 'REVOKED', 'EXECUTED', 'EXPIRED']);

async function findVisible(id: string, { who, parts }: OperationContext): Promise<Review> {
  const { reviews } = parts.recorder;
  const review = (await reviews.get(id)) ?? (await reviews.ofSession(id));
  if (review === undefined || !maySee(review, who)) throw new GatewayError('review_not_found');
  return review;
}

async function approve(review: Review, args: JsonObject, context: OperationContext): Promise<Review> {
  const { who, parts, address } = context;
  if (isOwner(review, who)) throw new GatewayError('review_self_approval');
  if (!mayReview(review, who)) throw new GatewayError('review_not_eligible');
  const { reviews } = parts.recorder;
  const forceGroups = review.requirements.flatMap((requirement) => requirement.forceApprovalGroups);
  const forced = args['force_review'] === true;
  if (forced && !forceGroups.some((group) => who.groups.includes(group))) throw new GatewayError('review_not_eligible');
  const by = toActor(who, address);
  const vote: Vote = { by, groups: [...who.groups], status: 'APPROVED', at: parts.now(), forced };
  const voted = await reviews.vote(review.id, vote);
  if (voted === undefined) throw await wrongState(review.id, context);
  if (voted.state !== 'PENDING' || tally(voted.requirements, voted.votes.map(counted)) !== 'approved') return voted;
  // Two last voters may both see enough votes: one of them moves it.
  return (await reviews.move(review.id, 'PENDING', 'APPROVED', { by })) ?? findVisible(review.id, context);
}

/** One person is one key, whatever name or mail the token carries. */
const counted = (vote: Vote): Vote & { person: string } => ({
  ...vote,
  person: JSON.stringify([vote.by.issuer, vote.by.subject]),
});

async function reject(review: Review, args: JsonObject, context: OperationContext): Promise<Review> {
  const { who, parts, address } = context;
  if (!isOwner(review, who) && !mayReview(review, who)) throw new GatewayError('review_not_eligible');
  const reason = typeof args['rejection_reason'] === 'string' ? { reason: args['rejection_reason'] } : {};
  const by = toActor(who, address);
  const vote: Vote = { by, groups: [...who.groups], status: 'REJECTED', at: parts.now(), forced: false, ...reason };
  const moved = await parts.recorder.reviews.move(review.id, 'PENDING', 'REJECTED', { by, vote, ...reason });
  if (moved === undefined) throw await wrongState(review.id, context);
  return moved;
}

async function revoke(review: Review, context: OperationContext): Promise<Review> {
  const { who, parts, address } = context;
  if (!isOwner(review, who) && !mayReview(review, who)) throw new GatewayError('review_not_eligible');
  const moved = await parts.recorder.reviews.move(review.id, 'APPROVED', 'REVOKED', { by: toActor(who, address) });
  if (moved === undefined) throw await wrongState(review.id, context);
  return moved;
}

async function wrongState(id: string, { who, parts }: OperationContext): Promise<GatewayError> {
  const review = await parts.recorder.reviews.get(id);
  const voted = review?.votes.some((vote) => vote.by.issuer === who.issuer && vote.by.subject === who.subject);
  const detail = review?.state === 'PENDING' && voted === true ? 'you have voted already' : (review?.state ?? 'gone');
  return new GatewayError('review_wrong_state', detail);
}

export const reviews: readonly Operation[] = [
  {
    name: 'reviews_list',
    sentence: 'Lists the reviews you asked for or may decide, newest first.',
    role: 'any',
    readOnly: true,
    destructive: false,
    rest: { method: 'GET', path: '/api/reviews' },
    input: {
      type: 'object',
      properties: {
        status: {
          type: 'string',
          enum: ['PENDING', 'APPROVED', 'REJECTED', 'REVOKED', 'PROCESSING', 'EXECUTED', 'EXPIRED'],
          description: 'Only reviews in this state.',
        },
        limit: { type: 'integer', minimum: 1, maximum: 100, default: 20, description: 'Most reviews to answer.' },
      },
    },
    output: { type: 'object', properties: { items: { type: 'array', items: REVIEW_SCHEMA } }, required: ['items'] },
    async run(args, { who, parts }) {
      const limit = typeof args['limit'] === 'number' ? args['limit'] : 20;
      const states = typeof args['status'] === 'string' ? { states: [args['status'] as ReviewState] } : {};
      const found = await parts.recorder.reviews.list({ ...states, limit: 1_000 });
      const visible = found.filter((review) => maySee(review, who)).slice(0, limit);
      return { items: visible.map((review) => reviewObject(review, parts.publicUrl)) };
    },
  },
  {
    name: 'reviews_get',
    sentence: 'Shows one review: what is asked, by whom, under which rules, and the votes so far.',
    role: 'any',
    readOnly: true,
    destructive: false,
    rest: { method: 'GET', path: '/api/reviews/:id' },
    input: { type: 'object', properties: { id: ID }, required: ['id'] },
    output: REVIEW_SCHEMA,
    async run(args, context) {
      return reviewObject(await findVisible(args['id'] as string, context), context.parts.publicUrl);
    },
  },
  {
    name: 'reviews_update',
    sentence: 'Approves, rejects or revokes a review. Nobody approves their own request.',
    role: 'any',
    readOnly: false,
    destructive: true,
    rest: { method: 'PUT', path: '/api/reviews/:id' },
    input: {
      type: 'object',
      properties: {
        id: ID,
        status: {
          type: 'string',
          pattern:
            '^(?:[Aa][Pp][Pp][Rr][Oo][Vv][Ee][Dd]|[Rr][Ee][Jj][Ee][Cc][Tt][Ee][Dd]|[Rr][Ee][Vv][Oo][Kk][Ee][Dd])$',
          description: 'APPROVED, REJECTED or REVOKED.',
        },
        rejection_reason: { type: 'string', maxLength: 1000, description: 'Why it is rejected; the agent reads it.' },
        force_review: {
          type: 'boolean',
          default: false,
          description: 'Decide alone, as a member of a force approval group.',
        },
      },
      required: ['id', 'status'],
    },
    output: REVIEW_SCHEMA,
    async run(args, context) {
      const review = await findVisible(args['id'] as string, context);
      const status = (args['status'] as string).toUpperCase();
      const changed =
        status === 'APPROVED'
          ? await approve(review, args, context)
          : status === 'REJECTED'
            ? await reject(review, args, context)
            : await revoke(review, context);
      return reviewObject(changed, context.parts.publicUrl);
    },
  },
  {
    name: 'reviews_wait',
    sentence: 'Waits until a review is decided, at most 300 seconds; answers its state and whether the time was over.',
    role: 'any',
    readOnly: true,
    destructive: false,
    rest: { method: 'GET', path: '/api/reviews/:id/wait' },
    input: {
      type: 'object',
      properties: {
        id: ID,
        timeout_seconds: { type: 'integer', minimum: 1, maximum: 300, default: 60, description: 'How long to wait.' },
      },
      required: ['id'],
    },
    output: REVIEW_SCHEMA,
    async run(args, context) {
      const { parts, signal, progress } = context;
      const first = await findVisible(args['id'] as string, context);
      const seconds = typeof args['timeout_seconds'] === 'number' ? args['timeout_seconds'] : 60;
      const startedAt = parts.now();
      const listener = parts.waiters.listen(first.id, signal);
      try {
        for (;;) {
          const review = (await parts.recorder.reviews.get(first.id)) ?? first;
          const waited = (parts.now() - startedAt) / 1000;
          const over = FINAL.has(review.state);
          if (over || waited >= seconds || signal.aborted) {
            return { ...reviewObject(review, parts.publicUrl), timed_out: !over, waited_seconds: Math.round(waited) };
          }
          await listener.changed(Math.min(parts.hold().heartbeatMs, (seconds - waited) * 1000));
          progress(Math.max((parts.now() - startedAt) / 1000, 0.001), seconds, 'waiting for approval');
        }
      } finally {
        listener.done();
      }
    },
  },
  {
    name: 'reviews_execute',
    sentence: 'Runs the approved call of a review exactly as it was asked, once, and answers its masked result.',
    role: 'any',
    readOnly: false,
    destructive: true,
    rest: { method: 'POST', path: '/api/reviews/:id/execute' },
    input: { type: 'object', properties: { id: ID }, required: ['id'] },
    output: {
      type: 'object',
      properties: {
        status: { enum: ['completed', 'failed', 'running'] },
        session_id: { type: 'string' },
        review_id: { type: 'string' },
        output: { type: 'string' },
      },
      required: ['status', 'review_id'],
    },
    async run(args, context) {
      const review = await findVisible(args['id'] as string, context);
      if (!isOwner(review, context.who)) throw new GatewayError('review_not_eligible');
      if (review.state !== 'APPROVED') throw new GatewayError('review_wrong_state', review.state);
      return executionEnvelope(review, context);
    },
  },
];
