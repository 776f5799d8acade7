import { isDeepStrictEqual } from 'node:util';
import type { Check, Results } from './suite.ts';

/** Members that differ between any two runs: clocks, headers that are each hop's own, and how often something was polled. */
const VOLATILE: ReadonlySet<string> = new Set([
  'timestamp',
  'date',
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'user-agent',
  'accept-encoding',
  'accept-language',
  'sec-fetch-mode',
  'actualdelayms',
  'messagesvalidated',
]);

/** Members whose value is drawn anew in each run, so that only its being there can be compared. */
const RANDOM: ReadonlySet<string> = new Set(['taskid', 'requeststate', 'mcp-session-id', 'sessionid', 'sessionidsent']);

/** What a gateway may rightly say otherwise than the server behind it. */
export interface Allowed {
  /** Tools that it adds to lists. */
  readonly tools: ReadonlySet<string>;
}

/**
 * What the peer of the second run saw otherwise than that of the first, a sentence each: scenarios that ran on one side only, checks whose status or
 * number changed (from passed to skipped too), and checks whose recorded details are not the same. The words of a refusal are each server's
 * own, its code and status are not.
 */
export function differences(direct: Results, through: Results, allowed: Allowed): readonly string[] {
  const scenarios = [...new Set([...direct.keys(), ...through.keys()])];
  return scenarios.flatMap((scenario) => {
    const [one, other] = [direct.get(scenario), through.get(scenario)];
    if (one === undefined || other === undefined)
      return [`${scenario}: ran only ${one ? 'directly' : 'through the gateway'}`];
    const verdicts = compareVerdicts(one, other);
    return (verdicts.length > 0 ? verdicts : compareDetails(one, other, allowed)).map((text) => `${scenario}: ${text}`);
  });
}

function compareVerdicts(direct: readonly Check[], through: readonly Check[]): readonly string[] {
  const verdict = (check: Check): string => `${check.id} ${check.status}`;
  const times = (checks: readonly Check[], key: string): number =>
    checks.filter((check) => verdict(check) === key).length;
  return [...new Set([...direct, ...through].map(verdict))].flatMap((key) => {
    const [one, other] = [times(direct, key), times(through, key)];
    if (one === other) return [];
    const reason = through.find((check) => verdict(check) === key)?.message ?? '';
    return [`${key}: ${one} times directly, ${other} times through the gateway ${reason}`.trim()];
  });
}

/** In order of the checks' ids, and of time for those of one id. */
function compareDetails(direct: readonly Check[], through: readonly Check[], allowed: Allowed): readonly string[] {
  const sorted = (checks: readonly Check[]): readonly Check[] =>
    checks.toSorted((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  const others = sorted(through);
  return sorted(direct).flatMap((check, index) => {
    const [one, other] = sameRefusals(normal(check.details, allowed), normal(others[index]!.details, allowed));
    if (isDeepStrictEqual(one, other)) return [];
    return [`${check.id}: ${JSON.stringify(one)} directly, ${JSON.stringify(other)} through the gateway`];
  });
}

function normal(value: unknown, allowed: Allowed): unknown {
  if (typeof value === 'string') {
    const json = value.startsWith('{') ? parse(value) : undefined;
    if (json !== undefined) return normal(json, allowed);
    return value
      .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
      .replace(/[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/gi, '<uuid>')
      .replace(/(?:localhost|127\.0\.0\.1|\[::1\]):\d+/g, '<host>')
      .replace(/(?<!\d)\d{13}(?!\d)/g, '<ms>');
  }
  // Ids of requests that the suite makes from its clock.
  if (typeof value === 'number') return value > 1e12 ? '<ms>' : value;
  if (Array.isArray(value))
    return value.filter((item) => !isAllowed(item, allowed)).map((item) => normal(item, allowed));
  if (!isRecord(value)) return value;
  const members = Object.entries(value)
    .filter(([key]) => !VOLATILE.has(key.toLowerCase()) && !allowed.tools.has(key))
    .map(([key, member]) => {
      if (RANDOM.has(key.toLowerCase()) && typeof member === 'string') return [key, `<${key.toLowerCase()}>`];
      // The lists themselves are compared.
      return [key, key === 'toolCount' ? '<count>' : normal(member, allowed)];
    });
  return Object.fromEntries(members) as unknown;
}

function isAllowed(item: unknown, { tools }: Allowed): boolean {
  return tools.has(typeof item === 'string' ? item : isRecord(item) ? String(item['name']) : '');
}

/** Both values; wherever the second holds a refusal of the gateway's own (those name a remedy), without the words of either. */
function sameRefusals(direct: unknown, through: unknown): readonly [unknown, unknown] {
  if (!isRecord(direct) || !isRecord(through)) return [direct, through];
  if (isRecord(through['data']) && 'remedy' in through['data']) return [direct['code'], through['code']];
  const pairs = Object.keys(through).map((key) => [key, sameRefusals(direct[key], through[key])] as const);
  const others = Object.entries(direct).filter(([key]) => !(key in through));
  return [
    Object.fromEntries([...others, ...pairs.map(([key, [one]]) => [key, one])]),
    Object.fromEntries(pairs.map(([key, [, other]]) => [key, other])),
  ];
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
