import { createHash } from 'node:crypto';
import { digest } from './digest.ts';
import type { LimitDocument } from './documents.ts';
import { compileGlobs } from './glob.ts';
import type { Globs } from './glob.ts';
import { canonical } from './json/canonical.ts';
import { find, parseTree } from './json/tree.ts';
import type { Node } from './json/tree.ts';
import { fold } from './normalise.ts';
import type { Call, Principal } from './types.ts';
import { parseByteSize, parseTimeSpan } from './units.ts';

/** So much, in any span of this length. */
export interface Quota {
  readonly most: number;
  readonly withinMs: number;
  /** As it is told to people, such as `60 calls in 1m`. */
  readonly shown: string;
}

/** One limit, compiled. Immutable: what was counted under it is kept by its id elsewhere. */
export interface Limit {
  /** Name and content: counters live on for as long as both stay what they are. */
  readonly id: string;
  readonly name: string;
  readonly enforced: boolean;
  readonly calls?: Quota;
  readonly concurrent?: number;
  readonly resultBytes?: Quota;
  readonly session?: { readonly calls?: number; readonly bytes?: number };
  readonly repeats?: Quota;
  /** What is assumed of counters that could not be read after a restart. */
  readonly onLostState: 'half' | 'allow';
}

/** A limit that governs a call, and the counters in which there must be room: one key for each. */
export interface AppliedLimit {
  readonly limit: Limit;
  readonly keys: readonly string[];
}

/** The limits of one connection. */
export interface Limits {
  readonly empty: boolean;
  /** Those that govern this call of this caller. What the gateway asks for itself is never limited. */
  applying(call: Call, who: Principal): readonly AppliedLimit[];
}

interface Rule {
  readonly limit: Limit;
  readonly groups: readonly string[] | undefined;
  readonly tools: Globs | undefined;
  readonly per: NonNullable<LimitDocument['per']>;
}

const NONE: readonly AppliedLimit[] = [];

/** Opening, listing and listening: what every client does on its own, and what ends or follows a call that was counted. */
const HOUSEKEEPING: ReadonlySet<string> = new Set([
  'GET',
  'DELETE',
  'response',
  'initialize',
  'ping',
  'server/discover',
  'subscriptions/listen',
  'logging/setLevel',
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'tasks/list',
  'tasks/cancel',
  'tasks/update',
]);

/** They bring what a call that was counted has made. */
const ANSWERS: ReadonlySet<string> = new Set(['tasks/get', 'tasks/result']);

/** The documents must be those that apply to the connection, and without mistakes. */
export function compileLimits(documents: readonly LimitDocument[]): Limits {
  const rules = documents.map((document) => compileRule(document));
  if (rules.length === 0) return { empty: true, applying: () => NONE };
  return {
    empty: false,
    applying(call, who) {
      if (who.authenticatedBy === 'system' || !isGoverned(call)) return NONE;
      const applied: AppliedLimit[] = [];
      for (const rule of rules) {
        const keys = governs(rule, call, who) ? keysOf(rule, call, who) : NONE;
        if (keys.length > 0) applied.push({ limit: rule.limit, keys: keys as readonly string[] });
      }
      return applied;
    },
  };
}

/** Everything that asks the upstream to do something; methods nobody knows are no exception. */
function isGoverned({ kind, method }: Call): boolean {
  if (kind === 'server_request') return false;
  return kind !== 'protocol' || !(HOUSEKEEPING.has(method) || method.startsWith('notifications/'));
}

/** True for what only fetches the answer of an earlier call: its bytes are counted, but it is no call of its own. */
export const fetchesOnly = ({ kind, method }: Call): boolean => kind === 'protocol' && ANSWERS.has(method);

function governs({ groups, tools }: Rule, call: Call, who: Principal): boolean {
  if (groups !== undefined && !groups.some((group) => who.groups.includes(group))) return false;
  // A name that only looks like a limited one is limited too.
  return tools === undefined || (call.kind === 'tool' && tools.resembles(call.name));
}

function keysOf({ per, groups }: Rule, call: Call, who: Principal): readonly string[] {
  switch (per) {
    case 'principal':
      return [callerKey(who)];
    case 'group':
      return (groups ?? []).filter((group) => who.groups.includes(group)).map((group) => JSON.stringify([group]));
    case 'connection':
      return [JSON.stringify([call.connection])];
    case 'tool':
      return [JSON.stringify([call.connection, call.kind, bounded(call.kind === 'tool' ? fold(call.name) : '')])];
    default:
      return per satisfies never;
  }
}

/** One key for one person or workload. */
export const callerKey = (who: Principal): string => JSON.stringify([who.issuer, who.subject]);

const LONGEST_NAME = 200;

const bounded = (name: string): string => (name.length <= LONGEST_NAME ? name : hash(name));

const hash = (text: string): string => createHash('sha256').update(text).digest('base64url');

/**
 * The same for calls that only repeat each other: same caller, connection, name and arguments, however the arguments are spelt. A later
 * round of one call brings its state and answers, so it repeats nothing.
 */
export function identityOf(call: Call, who: Principal): string {
  const tree = parseTree(call.text);
  const parts = [callerKey(who), call.connection, call.kind, call.method, call.name, argumentsOf(call, tree)];
  for (const round of ['requestState', 'inputResponses']) {
    const found = find(tree, round);
    parts.push(found === undefined ? '' : spell(call.text, found));
  }
  return hash(JSON.stringify(parts));
}

function argumentsOf(call: Call, tree: Node): string {
  const isNamed = call.kind === 'tool' || call.kind === 'prompt';
  const found = isNamed ? find(tree, 'arguments') : undefined;
  if (found !== undefined) return spell(call.text, found);
  if (isNamed || typeof call.arguments !== 'object' || call.arguments === null || Array.isArray(call.arguments))
    return canonical(JSON.stringify(call.arguments));
  const { _meta, ...rest } = call.arguments;
  return canonical(JSON.stringify(rest));
}

const spell = (text: string, { start, end }: Node): string => canonical(text.slice(start, end));

/** The name under which a limit's counts live on: trying a limit out and then enforcing it is one and the same limit. */
export function limitId(document: LimitDocument): string {
  const { mode: _, description: __, ...content } = document;
  return digest(content);
}

function compileRule(document: LimitDocument): Rule {
  const { name, mode, groups, tools, per = 'principal', session, concurrent } = document;
  const { calls, result_bytes: bytes, repeats, on_lost_state: lost = 'half' } = document;
  const limit: Limit = {
    id: limitId(document),
    name,
    enforced: mode !== 'observe',
    onLostState: lost,
    ...(calls === undefined ? {} : { calls: quota(calls.most, calls.within, plural(calls.most, 'call')) }),
    ...(concurrent === undefined ? {} : { concurrent }),
    ...(bytes === undefined
      ? {}
      : { resultBytes: quota(parseByteSize(bytes.most)!, bytes.within, `answers of ${bytes.most}`) }),
    ...(session === undefined ? {} : { session: sessionOf(session) }),
    ...(repeats === undefined
      ? {}
      : { repeats: quota(repeats.most, repeats.within, `the same call ${plural(repeats.most, 'time')}`) }),
  };
  return { limit, groups, tools: tools === undefined ? undefined : compileGlobs(tools), per };
}

const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;

const quota = (most: number, within: string, what: string): Quota => ({
  most,
  withinMs: parseTimeSpan(within)!,
  shown: `${what} in ${within}`,
});

function sessionOf({ calls, bytes }: NonNullable<LimitDocument['session']>): NonNullable<Limit['session']> {
  return {
    ...(calls === undefined ? {} : { calls }),
    ...(bytes === undefined ? {} : { bytes: parseByteSize(bytes)! }),
  };
}
