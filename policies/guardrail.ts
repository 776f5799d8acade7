import { digest } from './digest.ts';
import type { GuardrailDocument } from './documents.ts';
import { traitsOf } from './encoding.ts';
import { compileRules } from './guardrail/entries.ts';
import type { Action, Entry, Rule } from './guardrail/entries.ts';
import { batches, finderOf, findsIn, matchingTokens, withoutMatches } from './guardrail/find.ts';
import type { Direction, Matcher, Subject, TextMatcher } from './guardrail/matcher.ts';
import { joinedTexts } from './guardrail/seams.ts';
import { parseTree } from './json/tree.ts';
import type { Node } from './json/tree.ts';
import { lower } from './normalise.ts';
import { compileGate } from './pattern.ts';
import type { Gate } from './pattern.ts';
import { pointerOf } from './pointer.ts';
import { WHOLE, isPlain, read } from './reading.ts';
import type { Reading } from './reading.ts';
import type { Call, Denial, Finding, Requirement } from './types.ts';

export type { Direction } from './guardrail/matcher.ts';

/** What all guardrails of one direction make of a message. */
export interface Judgement {
  readonly findings: readonly Finding[];
  readonly denial?: Denial;
  /** What people must approve first; a message that cannot wait for people is denied with `otherwise`. */
  readonly held?: {
    readonly requirements: readonly Requirement[];
    readonly rulesHash: string;
    readonly otherwise: Denial;
  };
  /** The JSON text to go on with, where entries that redact have changed it. */
  readonly json?: string;
}

/** Guardrails of one connection and direction, compiled. */
export interface Guardrails {
  /** True when there is nothing to match. */
  readonly empty: boolean;
  /** True when some entry may hold a call. */
  readonly holds: boolean;
  /**
   * Judges a complete JSON text; `name` is read too (of a call, its name; otherwise empty). `call` is the call itself, or the one
   * that is answered: rules about arguments and results need it.
   */
  judge(json: string, name: string, call?: Call): Judgement;
}

const CLEAN: Judgement = { findings: [] };
const REMEDY: Readonly<Record<Direction, string>> = {
  input: 'change the call so that it no longer breaks the rule; do not try to evade it',
  output: 'narrow the call so that the answer no longer holds what the rule forbids',
};

/** Throws a RuleFault when an entry does not compile. */
export function compileGuardrails(documents: readonly GuardrailDocument[], direction: Direction): Guardrails {
  const rules = compileRules(documents, direction);
  if (rules.length === 0) return { empty: true, holds: false, judge: () => CLEAN };
  const matchers = rules.flatMap(({ entries }) => entries.map(({ matcher }) => matcher));
  const finder = finderOf(matchers.filter((matcher) => matcher.reads === 'text'));
  const sources = finder.matchers.flatMap((matcher) => matcher.sources);
  const gate = sources.length > 0 ? compileGate(sources) : undefined;
  const structured = matchers.some(({ reads }) => reads === 'message');
  const holds = rules.some((rule) => !rule.observes && rule.entries.some(({ action }) => action === 'hold'));

  const judge = (json: string, name: string, call?: Call): Judgement => {
    const reading = gate === undefined ? undefined : suspicious(gate, json, name);
    const joined = gate === undefined || direction === 'input' ? undefined : joinedReading(gate, json);
    if (reading === undefined && joined === undefined && !structured) return CLEAN;
    const tokens = reading === undefined ? finder.matchers.map(() => []) : matchingTokens(finder, reading);
    const together = joined === undefined ? [] : matchingTokens(finder, joined);
    const found = new Map(
      tokens.map((own, index) => {
        const isSplit = own.length === 0 && together[index]?.some((token) => token >= 0) === true;
        return [finder.matchers[index], isSplit ? [WHOLE] : own];
      }),
    );
    const readings = [reading, joined].filter((each) => each !== undefined);
    const isClean = (text: string, matchers: readonly TextMatcher[]): boolean => {
      const again = gate === undefined ? undefined : joinedReading(gate, text);
      if (again === undefined) return true;
      return again.complete && !findsIn(matchers, again);
    };
    return conclude(rules, { reading, readings, found, isClean, subject: subjectOf(json, call) }, direction);
  };
  return { empty: false, holds, judge };
}

/** The texts of an answer as one text, when something may match there: what is split over several blocks. */
function joinedReading(gate: Gate, json: string): Reading | undefined {
  const text = joinedTexts(json);
  return text === undefined ? undefined : suspicious(gate, JSON.stringify([text]), '');
}

/** A message as far as it was read. */
interface Read {
  /** Absent when no entry that reads texts can match in one of the strings. */
  readonly reading: Reading | undefined;
  /** That one, and the reading of all texts as one. */
  readonly readings: readonly Reading[];
  /** The strings in which each matcher of texts matches. */
  readonly found: ReadonlyMap<Matcher | undefined, readonly number[]>;
  /** Whether the matchers find nothing in the texts of a message when these are read as one. */
  isClean(json: string, matchers: readonly TextMatcher[]): boolean;
  readonly subject: Subject;
}

/** Every form of the texts, when some entry that reads texts may match or they could not all be read. */
function suspicious(gate: Gate, json: string, name: string): Reading | undefined {
  const traits = traitsOf(json);
  const named = name === '' || json.includes(name);
  if (isPlain(traits) && (named || isPlain(traitsOf(name)))) {
    if (!gate.mayMatch(json) && (named || !gate.mayMatch(name))) return undefined;
  } else {
    const glance = read(json, traits, name, 'fresh');
    // What is refused for its encodings is not unfolded a second time.
    if (!glance.complete) return glance;
    if (!mayMatch(gate, glance)) return undefined;
  }
  return read(json, traits, name, 'all');
}

function mayMatch(gate: Gate, { forms, exotic }: Reading): boolean {
  for (const { text } of batches(forms)) {
    // Words are compared in lower case, which is more than a pattern that ignores case does.
    if (gate.mayMatch(text) || (exotic && gate.mayMatch(lower(text)))) return true;
  }
  return false;
}

function subjectOf(json: string, call: Call | undefined): Subject {
  let tree: Node | undefined;
  return { json, call, tree: () => (tree ??= parseTree(json)) };
}

function conclude(rules: readonly Rule[], seen: Read, direction: Direction): Judgement {
  const { reading, subject } = seen;
  const findings: Finding[] = [];
  const held = new Set<Rule>();
  const redacting: { readonly rule: Rule; readonly entry: Entry; readonly matcher: TextMatcher }[] = [];
  let denial: Denial | undefined;
  let otherwise: Denial | undefined;
  const note = (rule: Rule, action: Action, entity: string, paths: readonly string[], entry?: string): void => {
    const [path = ''] = paths;
    const about = {
      rule: rule.name,
      policy: 'guardrail',
      direction,
      action,
      path,
      entity,
      count: paths.length,
    } as const;
    const named = entry === undefined ? about : { ...about, entry };
    findings.push(rule.observes ? { ...named, observed: true } : named);
  };
  const deny = (rule: Rule, reason: string): Denial => {
    const code = direction === 'input' ? 'guardrail_blocked' : 'output_blocked';
    return { code, rule: rule.name, reason, remedy: REMEDY[direction] };
  };

  for (const rule of rules) {
    for (const entry of rule.entries) {
      const paths = matches(entry, seen);
      if (paths.length === 0) continue;
      note(rule, entry.action, entry.type, paths, entry.name);
      const { action, matcher } = entry;
      if (!rule.observes) {
        if (action === 'block') denial ??= deny(rule, sentence(entry, subject));
        if (action === 'hold') held.add(rule);
        if (action === 'hold') otherwise ??= deny(rule, sentence(entry, subject));
        if (action === 'redact' && matcher.reads === 'text') redacting.push({ rule, entry, matcher });
      }
      if (action === 'block') break;
    }
  }

  if (denial === undefined && seen.readings.some(({ complete }) => !complete)) {
    const reason = 'the text is encoded in too many ways to be inspected';
    const strict = rules.find((rule) => readsAnd(rule, ['block', 'redact']));
    const asking = strict === undefined ? rules.filter((rule) => readsAnd(rule, ['hold'])) : [strict];
    for (const rule of asking) {
      note(rule, strict === undefined ? 'hold' : 'block', 'encoding', ['']);
      if (strict === undefined) held.add(rule);
      otherwise ??= deny(rule, reason);
    }
    if (strict !== undefined) denial = deny(strict, reason);
  }

  const first = redacting[0];
  let json: string | undefined;
  if (denial === undefined && first !== undefined) {
    const matchers = redacting.map(({ matcher }) => matcher);
    json = reading === undefined ? undefined : withoutMatches(subject.json, reading, matchers);
    if (json !== undefined && !seen.isClean(json, matchers)) json = undefined;
    if (json === undefined) {
      // What cannot be replaced must not leave.
      note(first.rule, 'block', first.entry.type, [''], first.entry.name);
      denial = deny(first.rule, first.entry.message);
    }
  }
  if (denial !== undefined) return { findings, denial };
  if (otherwise !== undefined) {
    const requirements = [...held].map(({ requirement }) => requirement);
    const rulesHash = digest([...held].map((rule) => rule.digest).toSorted());
    return { findings, held: { requirements, rulesHash, otherwise } };
  }
  return json === undefined ? { findings } : { findings, json };
}

/** The author's sentence, or the matcher's own. */
function sentence({ message, matcher, generic }: Entry, subject: Subject): string {
  const reason = generic && matcher.reads === 'message' ? matcher.reason?.(subject) : undefined;
  return reason === undefined ? message : `${message}: ${reason}`;
}

/** JSON Pointers of what an entry matches: one real pointer, which costs a walk, and blanks for the count. */
function matches({ matcher }: Entry, { found, subject }: Read): readonly string[] {
  if (matcher.reads === 'message') return matcher.hits(subject);
  const tokens = found.get(matcher) ?? [];
  return tokens.map((token, index) => (index === 0 ? pointerOf(subject.json, token) : ''));
}

/** Does the rule enforce one of the actions by reading texts? */
const readsAnd = (rule: Rule, actions: readonly Action[]): boolean =>
  !rule.observes && rule.entries.some(({ matcher, action }) => matcher.reads === 'text' && actions.includes(action));
