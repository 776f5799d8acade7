import type { JsonObject, Principal } from '../../policies/types.ts';
import type { Review } from '../../recorder/types.ts';

/** A review as the interface shows it: masked, with who must still say yes. */
export function reviewObject(review: Review, publicUrl: string): JsonObject {
  return {
    id: review.id,
    session: review.session,
    type: 'onetime',
    status: review.state,
    created_at: new Date(review.createdAt).toISOString(),
    expires_at: new Date(review.expiresAt).toISOString(),
    review_url: `${publicUrl}/reviews/${review.id}`,
    connection_name: review.connection,
    kind: review.kind,
    method: review.method,
    name: review.name,
    input: review.preview,
    owner: review.owner.subject,
    owner_email: review.owner.email ?? '',
    fingerprint: review.fingerprint,
    rules: review.requirements.map((requirement) => ({
      access_request_rule_name: requirement.rule,
      reviewers_groups: [...requirement.reviewersGroups],
      min_approvals: requirement.minApprovals,
      all_groups_must_approve: requirement.allGroupsMustApprove,
      force_approval_groups: [...requirement.forceApprovalGroups],
    })),
    votes: review.votes.map((vote) => ({
      status: vote.status,
      reviewed_by: { id: vote.by.subject, email: vote.by.email ?? '' },
      groups: [...vote.groups],
      review_date: new Date(vote.at).toISOString(),
      forced_review: vote.forced,
      ...(vote.reason === undefined ? {} : { reason: vote.reason }),
    })),
    ...(review.outcome === undefined ? {} : { outcome: review.outcome }),
    ...(review.executionSession === undefined ? {} : { execution_session: review.executionSession }),
  };
}

export const REVIEW_SCHEMA: JsonObject = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    session: { type: 'string' },
    status: { enum: ['PENDING', 'APPROVED', 'REJECTED', 'REVOKED', 'PROCESSING', 'EXECUTED', 'EXPIRED'] },
    review_url: { type: 'string' },
    connection_name: { type: 'string' },
    name: { type: 'string' },
    input: { type: 'string' },
    timed_out: { type: 'boolean' },
    waited_seconds: { type: 'number' },
  },
  required: ['id', 'status', 'review_url'],
};

export const isOwner = (review: Review, who: Principal): boolean =>
  review.owner.issuer === who.issuer && review.owner.subject === who.subject;

export const mayReview = (review: Review, who: Principal): boolean =>
  review.requirements.some((requirement) =>
    [...requirement.reviewersGroups, ...requirement.forceApprovalGroups].some((group) => who.groups.includes(group)),
  );

/** Owner, reviewers, admins and auditors see a review; to others it does not exist. */
export const maySee = (review: Review, who: Principal): boolean =>
  isOwner(review, who) || mayReview(review, who) || who.roles.length > 0;
