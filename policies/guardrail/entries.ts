import { digest } from '../digest.ts';
import type { GuardrailDocument, GuardrailEntry } from '../documents.ts';
import type { Requirement } from '../types.ts';
import { kindOf } from './kinds.ts';
import type { Direction, Matcher } from './matcher.ts';

export type Action = 'block' | 'hold' | 'warn' | 'redact';

/** One entry of a guardrail, compiled. */
export interface Entry {
  readonly type: GuardrailEntry['type'];
  readonly name: string | undefined;
  readonly action: Action;
  readonly message: string;
  readonly matcher: Matcher;
  /** The author wrote no message: the matcher may say more than that something is forbidden. */
  readonly generic: boolean;
}

/** One guardrail of one direction, compiled. */
export interface Rule {
  readonly name: string;
  /** Nothing it finds changes an answer. */
  readonly observes: boolean;
  readonly entries: readonly Entry[];
  /** What approval it asks for where an entry holds a call. */
  readonly requirement: Requirement;
  /** Hash of the document: part of the fingerprint of what it holds. */
  readonly digest: string;
}

/** The guardrails with entries of that direction. Throws a RuleFault when one does not compile. */
export function compileRules(documents: readonly GuardrailDocument[], direction: Direction): readonly Rule[] {
  return documents.flatMap((document) => {
    const entries = (document[direction]?.rules ?? []).flatMap((entry) => compileEntry(document, direction, entry));
    if (entries.length === 0) return [];
    const requirement: Requirement = {
      rule: document.name,
      // Without reviewers nobody can approve: what is held by a faulty document stays held.
      reviewersGroups: document.review?.reviewers_groups ?? [],
      minApprovals: document.review?.min_approvals ?? 1,
      allGroupsMustApprove: false,
      forceApprovalGroups: [],
    };
    return {
      name: document.name,
      observes: document.mode === 'observe',
      entries,
      requirement,
      digest: digest({ ...document, description: undefined }),
    };
  });
}

function compileEntry({ name: guardrail }: GuardrailDocument, direction: Direction, entry: GuardrailEntry): Entry[] {
  const matcher = kindOf(entry)?.compile(entry, direction);
  if (matcher === undefined) return [];
  const { type, name, action = 'block' } = entry;
  const message =
    entry.message ?? `the guardrail ${guardrail} forbids this ${direction === 'input' ? 'call' : 'answer'}`;
  return [{ type, name, action: possible(action, direction), message, matcher, generic: entry.message === undefined }];
}

/** An action that has no place in that direction blocks; `checkGuardrail` has complained about it. */
function possible(action: Action, direction: Direction): Action {
  if (action === 'warn') return action;
  return (action === 'hold') === (direction === 'input') && action !== 'block' ? action : 'block';
}
