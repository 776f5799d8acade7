import type { ReviewState } from './types.ts';

/** The one table of legal moves; a state without moves is final. */
export const MOVES: Readonly<Record<ReviewState, readonly ReviewState[]>> = {
  PENDING: ['APPROVED', 'REJECTED', 'EXPIRED'],
  APPROVED: ['PROCESSING', 'REVOKED', 'EXPIRED'],
  PROCESSING: ['EXECUTED', 'APPROVED'],
  REJECTED: [],
  REVOKED: [],
  EXECUTED: [],
  EXPIRED: [],
};

export const legal = (from: ReviewState, to: ReviewState): boolean => MOVES[from].includes(to);

export const final = (state: ReviewState): boolean => MOVES[state].length === 0;

/** Throws for a move that is not in the table. */
export function assertMove(from: ReviewState, to: ReviewState): void {
  if (!legal(from, to)) throw new Error(`a review cannot move from ${from} to ${to}`);
}
