import { RuleFault } from '../fault.ts';
import type { Complain } from './matcher.ts';

/** Complains in the compiler's own words when a member does not compile. */
export function complainUnlessCompiles(
  member: string,
  source: string,
  compile: (source: string) => unknown,
  complain: Complain,
): void {
  try {
    compile(source);
  } catch (error) {
    if (!(error instanceof RuleFault)) throw error;
    complain(member, error.message);
  }
}
