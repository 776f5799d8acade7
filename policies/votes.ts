import type { Requirement } from './types.ts';

/** A vote as it counts: who, in which groups when voting, what. */
export interface CountedVote {
  /** One key for one person, whatever group he votes for. */
  readonly person: string;
  readonly groups: readonly string[];
  readonly status: 'APPROVED' | 'REJECTED';
  readonly forced: boolean;
}

/**
 * Do the votes satisfy every requirement? The order of the votes is irrelevant, a person counts once, and whoever rejected does not
 * count at all. Without any requirement nothing is ever approved.
 */
export function tally(requirements: readonly Requirement[], votes: readonly CountedVote[]): 'approved' | 'pending' {
  const opposed = new Set(votes.filter(({ status }) => status === 'REJECTED').map(({ person }) => person));
  const approvals = votes.filter(({ status, person }) => status === 'APPROVED' && !opposed.has(person));
  return requirements.length > 0 && requirements.every((requirement) => isSatisfied(requirement, approvals))
    ? 'approved'
    : 'pending';
}

function isSatisfied(requirement: Requirement, approvals: readonly CountedVote[]): boolean {
  const { reviewersGroups, minApprovals, allGroupsMustApprove, forceApprovalGroups } = requirement;
  if (approvals.some(({ forced, groups }) => forced && shares(groups, forceApprovalGroups))) return true;
  const counted = approvals.filter(({ groups }) => shares(groups, reviewersGroups));
  const people = new Set(counted.map(({ person }) => person)).size;
  // An unreadable minimum is never reached.
  if (!(people >= Math.max(1, minApprovals))) return false;
  return (
    !allGroupsMustApprove || reviewersGroups.every((group) => counted.some(({ groups }) => groups.includes(group)))
  );
}

const shares = (left: readonly string[], right: readonly string[]): boolean =>
  left.some((group) => right.includes(group));
