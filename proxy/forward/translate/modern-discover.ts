import { splice } from '../../../policies/json/splice.ts';
import { find, parseTree } from '../../../policies/json/tree.ts';
import type { Frame } from '../../types.ts';
import { MODERN_VERSIONS } from '../../wire/era.ts';
import { resultFrame } from '../../wire/frame.ts';
import { objectNode, setMembers, textAt } from './modern-edit.ts';

const TASKS: ReadonlySet<string> = new Set(['tasks', 'io.modelcontextprotocol/tasks']);

/** The answer to `server/discover` that a legacy server's answer to `initialize` amounts to. Tasks of 2025-11-25 have no modern form. */
export function discovered(id: string, initialized: Frame): Frame {
  const { text } = initialized;
  const result = find(parseTree(text), 'result');
  const instructions = find(result, 'instructions');
  const serverInfo = find(result, 'serverInfo');
  const members = [
    '"resultType":"complete"',
    `"supportedVersions":${JSON.stringify(MODERN_VERSIONS)}`,
    `"capabilities":${capabilities(text, initialized)}`,
    ...(instructions?.type === 'string' ? [`"instructions":${textAt(text, instructions)}`] : []),
    '"ttlMs":0,"cacheScope":"private"',
    ...(serverInfo?.type === 'object'
      ? [`"_meta":{"io.modelcontextprotocol/serverInfo":${textAt(text, serverInfo)}}`]
      : []),
  ];
  return resultFrame(id, `{${members.join(',')}}`);
}

function capabilities(text: string, initialized: Frame): string {
  const node = objectNode(find(parseTree(initialized.text), 'result', 'capabilities'));
  if (node === undefined) return '{}';
  const edits = setMembers(node, {}, (key) => TASKS.has(key));
  const extensions = objectNode(find(node, 'extensions'));
  if (extensions !== undefined) edits.push(...setMembers(extensions, {}, (key) => TASKS.has(key)));
  const whole = splice(text, edits);
  // Nothing before the object was changed.
  return whole.slice(node.start, whole.length - (text.length - node.end));
}
