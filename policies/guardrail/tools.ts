import { compileGlobs } from '../glob.ts';
import type { Call, CallKind } from '../types.ts';

/**
 * Says which calls an entry concerns: those of tools whose names match, or only look like names that match, one of the globs; without
 * globs all calls of the given kinds. Where no call is known, every entry is concerned.
 */
export function compileTools(
  globs: readonly string[] | undefined,
  kinds: readonly CallKind[] | 'all',
): (call: Call | undefined) => boolean {
  if (globs === undefined) return (call) => call === undefined || kinds === 'all' || kinds.includes(call.kind);
  const tools = compileGlobs(globs);
  return (call) => call === undefined || (call.kind === 'tool' && tools.resembles(call.name));
}
