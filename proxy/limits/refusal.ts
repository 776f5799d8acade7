import type { Limit } from '../../policies/limits.ts';
import type { Denial, Finding } from '../../policies/types.ts';
import { showByteSize } from '../../policies/units.ts';
import type { Fault } from './tally.ts';

/** What a limit saw: never who else used it, or what for. */
export function findingOf({ name, enforced }: Limit, { of }: Fault): Finding {
  return {
    rule: name,
    policy: 'limit',
    direction: 'input',
    action: 'block',
    path: '',
    entity: of,
    count: 1,
    ...(enforced ? {} : { observed: true }),
  };
}

/** The refusal: which limit, what it allows, and when or how the call may pass. */
export function denialOf(limit: Limit, fault: Fault): Denial {
  const { code, reason, remedy } = wordsOf(limit, fault);
  const { retryAfter } = fault;
  return { code, rule: limit.name, reason, remedy, ...(retryAfter === undefined ? {} : { retryAfter }) };
}

function wordsOf(limit: Limit, { of, retryAfter = 0 }: Fault): Pick<Denial, 'code' | 'reason' | 'remedy'> {
  const allows = (what: string): string => `the limit ${limit.name} allows ${what}, and no more`;
  const wait = `wait ${retryAfter} s, then repeat the call`;
  switch (of) {
    case 'calls':
      return { code: 'rate_limited', reason: allows(limit.calls!.shown), remedy: wait };
    case 'concurrent':
      return {
        code: 'concurrency_limited',
        reason: allows(`${limit.concurrent!} at the same time`),
        remedy: 'wait until a call that runs has ended, then repeat the call',
      };
    case 'result_bytes':
      return {
        code: 'budget_spent',
        reason: allows(limit.resultBytes!.shown),
        remedy: `${wait}; ask for less at once`,
      };
    case 'session_calls': {
      const most = limit.session!.calls!;
      const calls = `${most} call${most === 1 ? '' : 's'} in a session`;
      return { code: 'budget_spent', reason: allows(calls), remedy: SESSION };
    }
    case 'session_bytes': {
      const size = showByteSize(limit.session!.bytes!);
      return { code: 'budget_spent', reason: allows(`answers of ${size} in a session`), remedy: SESSION };
    }
    case 'repeats':
      return {
        code: 'loop_detected',
        reason: allows(limit.repeats!.shown),
        remedy: 'do not repeat this call: use the answers it had, change it, or tell the user that it leads nowhere',
      };
    default:
      return of satisfies never;
  }
}

const SESSION = 'end the work of this session, and tell the user that its budget is spent';
