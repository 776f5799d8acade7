import { splice } from '../../policies/json/splice.ts';
import { find, parseTree } from '../../policies/json/tree.ts';
import type { Frame } from '../types.ts';
import { cutMembers } from '../wire/cut.ts';
import { withText } from '../wire/frame.ts';

/** Kinds of which a caller may see nothing. */
export interface Hidden {
  readonly tools: boolean;
  readonly prompts: boolean;
  readonly resources: boolean;
}

/**
 * The answer to initialize or server/discover without the capabilities of hidden kinds (V-02); everything else keeps its
 * bytes.
 */
export function governCapabilities(frame: Frame, hidden: Hidden): Frame {
  if (frame.kind !== 'response' || !(hidden.tools || hidden.prompts || hidden.resources)) return frame;
  const capabilities = find(parseTree(frame.text), 'result', 'capabilities');
  if (capabilities?.type !== 'object') return frame;
  const edits = cutMembers(capabilities, ({ key }) => !(Object.hasOwn(hidden, key) && hidden[key as keyof Hidden]));
  return withText(frame, splice(frame.text, edits));
}
