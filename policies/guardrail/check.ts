import type { GuardrailDocument, GuardrailEntry } from '../documents.ts';
import { KINDS, kindOf } from './kinds.ts';
import type { Complain, Direction } from './matcher.ts';

const ACTIONS = new Set(['block', 'hold', 'warn', 'redact']);

/** Complains about everything in a guardrail that its schema cannot express. Places are relative to the document. */
export function checkGuardrail(document: GuardrailDocument, complain: Complain): void {
  const input = document.input?.rules ?? [];
  const output = document.output?.rules ?? [];
  if (input.length + output.length === 0) complain('', 'input or output must have at least 1 rule');
  for (const [direction, entries] of [
    ['input', input],
    ['output', output],
  ] as const) {
    for (const [index, entry] of entries.entries()) {
      const at = `${direction}.rules[${index}]`;
      checkEntry(entry, direction, (member, message) => complain(member === '' ? at : `${at}.${member}`, message));
    }
  }
  const holding = [...input.keys()].filter((index) => input[index]?.action === 'hold');
  if (document.review === undefined) {
    for (const index of holding) {
      complain(`input.rules[${index}].action`, 'hold needs the review of the guardrail, which says who may approve');
    }
  } else if (holding.length === 0) {
    complain('review', 'is of no use: no entry of input has action hold');
  }
  if (document.review?.reviewers_groups.length === 0) {
    complain('review.reviewers_groups', 'must have at least 1 entry');
  }
  const minimum = document.review?.min_approvals ?? 1;
  if (!Number.isInteger(minimum) || minimum < 1) complain('review.min_approvals', 'must be at least 1');
}

function checkEntry(entry: GuardrailEntry, direction: Direction, complain: Complain): void {
  const kind = kindOf(entry);
  if (kind === undefined) {
    complain('type', `must be one of ${KINDS.map(({ type }) => type).join(', ')}`);
    return;
  }
  if (!kind.directions.includes(direction)) {
    complain(
      'type',
      `${kind.type} reads ${direction === 'input' ? 'answers: it belongs' : 'calls: it belongs'} under ${kind.directions.join(' or ')}`,
    );
  }
  const { action } = entry;
  if (action !== undefined && !ACTIONS.has(action)) complain('action', 'must be block, hold, warn or redact');
  if (action === 'hold' && direction === 'output') complain('action', 'an answer cannot be held: hold is for input');
  if (action === 'redact' && direction === 'input') complain('action', 'a call is not changed: redact is for output');
  if (action === 'redact' && direction === 'output' && !kind.redacts) {
    complain('action', `${kind.type} finds no text that could be replaced`);
  }
  for (const member of new Set(KINDS.flatMap(({ members }) => members))) {
    if (entry[member] === undefined || kind.members.includes(member)) continue;
    const owners = KINDS.filter(({ members }) => members.includes(member)).map(({ type }) => type);
    const hint =
      member === 'case_sensitive' && kind.members.includes('pattern_regex')
        ? '; begin the pattern with (?i) to ignore case'
        : '';
    complain(member, `belongs to ${owners.join(' and ')}${hint}`);
  }
  kind.check(entry, direction, complain);
}
