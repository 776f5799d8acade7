import type { GuardrailDocument, GuardrailEntry } from './documents.ts';
import { traitsOf } from './encoding.ts';
import { lower, normalise } from './normalise.ts';
import { compileGate, compilePattern, quote } from './pattern.ts';
import type { Gate } from './pattern.ts';
import { pointerOf } from './pointer.ts';
import { isPlain, read } from './reading.ts';
import type { Form, Reading } from './reading.ts';
import type { Denial, Finding } from './types.ts';

export type Direction = 'input' | 'output';

/** What all guardrails of one direction make of a text. */
export interface Judgement {
  readonly findings: readonly Finding[];
  readonly denial?: Denial;
}

/** Guardrails of one connection and direction, compiled. */
export interface Guardrails {
  /** True when there is nothing to match. */
  readonly empty: boolean;
  /** Judges a complete JSON text; `name` is read too (of a call, its name; otherwise empty). */
  judge(json: string, name: string): Judgement;
}

interface Entry {
  readonly type: GuardrailEntry['type'];
  readonly blocks: boolean;
  readonly message: string;
  /** False only when no piece of the text, cut at line ends, matches. */
  mayMatch(text: string): boolean;
  matches(text: string): boolean;
}

interface Rule {
  readonly name: string;
  readonly entries: readonly Entry[];
}

const CLEAN: Judgement = { findings: [] };
const REMEDY: Readonly<Record<Direction, string>> = {
  input: 'change the call so that it no longer breaks the rule; do not try to evade it',
  output: 'narrow the call so that the answer no longer holds what the rule forbids',
};
// Forms are joined up to this length for one scan.
const BATCH = 65_536;

/** Throws a RuleFault when a pattern does not compile. */
export function compileGuardrails(documents: readonly GuardrailDocument[], direction: Direction): Guardrails {
  const sources: string[] = [];
  const rules: Rule[] = [];
  for (const document of documents) {
    const entries = (document[direction]?.rules ?? []).map((entry) =>
      compileEntry(document, direction, entry, sources),
    );
    if (entries.length > 0) rules.push({ name: document.name, entries });
  }
  if (rules.length === 0) return { empty: true, judge: () => CLEAN };
  const gate = compileGate(sources);

  const judge = (json: string, name: string): Judgement => {
    const traits = traitsOf(json);
    const named = name === '' || json.includes(name);
    if (isPlain(traits) && (named || isPlain(traitsOf(name)))) {
      if (!gate.mayMatch(json) && (named || !gate.mayMatch(name))) return CLEAN;
    } else {
      const glance = read(json, traits, name, 'fresh');
      // What is refused for its encodings is not unfolded a second time.
      if (!glance.complete) return judgeForms(rules, glance, json, direction);
      if (!mayMatch(gate, glance)) return CLEAN;
    }
    return judgeForms(rules, read(json, traits, name, 'all'), json, direction);
  };
  return { empty: false, judge };
}

function judgeForms(rules: readonly Rule[], reading: Reading, json: string, direction: Direction): Judgement {
  const findings: Finding[] = [];
  let denial: Denial | undefined;
  const deny = (rule: string, reason: string): void => {
    const code = direction === 'input' ? 'guardrail_blocked' : 'output_blocked';
    denial ??= { code, rule, reason, remedy: REMEDY[direction] };
  };
  for (const rule of rules) {
    for (const entry of rule.entries) {
      const hits = matchingTokens(entry, reading.forms);
      const first = hits[0];
      if (first === undefined) continue;
      const action = entry.blocks ? 'block' : 'warn';
      const path = pointerOf(json, first);
      findings.push({
        rule: rule.name,
        policy: 'guardrail',
        direction,
        action,
        path,
        entity: entry.type,
        count: hits.length,
      });
      if (!entry.blocks) continue;
      deny(rule.name, entry.message);
      break;
    }
  }
  const enforcing = rules.find((rule) => rule.entries.some((entry) => entry.blocks));
  if (!reading.complete && denial === undefined && enforcing !== undefined) {
    const entity = 'encoding';
    findings.push({
      rule: enforcing.name,
      policy: 'guardrail',
      direction,
      action: 'block',
      path: '',
      entity,
      count: 1,
    });
    deny(enforcing.name, 'the text is encoded in too many ways to be inspected');
  }
  return denial === undefined ? { findings } : { findings, denial };
}

function mayMatch(gate: Gate, { forms, exotic }: Reading): boolean {
  for (const { text } of batches(forms)) {
    // Words are compared in lower case, which is more than a pattern that ignores case does.
    if (gate.mayMatch(text) || (exotic && gate.mayMatch(lower(text)))) return true;
  }
  return false;
}

/** The strings in which the entry matches; the whole text or the name only if no string does. */
function matchingTokens(entry: Entry, forms: readonly Form[]): number[] {
  const hits = new Set<number>();
  for (const batch of batches(forms)) {
    if (!entry.mayMatch(batch.text)) continue;
    for (const form of batch.forms) if (!hits.has(form.token) && entry.matches(form.text)) hits.add(form.token);
  }
  const inside = [...hits].filter((token) => token >= 0);
  return inside.length > 0 ? inside : [...hits];
}

function* batches(forms: readonly Form[]): Generator<{ readonly text: string; readonly forms: readonly Form[] }> {
  let from = 0;
  let text = '';
  for (const [position, form] of forms.entries()) {
    text = position === from ? form.text : `${text}\n${form.text}`;
    if (text.length < BATCH && position < forms.length - 1) continue;
    yield { text, forms: forms.slice(from, position + 1) };
    from = position + 1;
  }
}

function compileEntry(
  document: GuardrailDocument,
  direction: Direction,
  entry: GuardrailEntry,
  sources: string[],
): Entry {
  const enforced = document.mode !== 'observe';
  const rule = {
    type: entry.type,
    blocks: enforced && entry.action !== 'warn',
    message:
      entry.message ?? `the guardrail ${document.name} forbids this ${direction === 'input' ? 'call' : 'answer'}`,
  };
  if (entry.type === 'pattern_match') {
    const pattern = compilePattern(entry.pattern_regex ?? '');
    sources.push(pattern.source);
    const { mayMatch } = compileGate([pattern.source]);
    return { ...rule, mayMatch, matches: (text) => pattern.search(text) };
  }
  const words = (entry.words ?? []).filter((word) => word !== '');
  if (entry.case_sensitive === true) {
    const forms = [...new Set(words.flatMap((word) => [word, normalise(word)]))];
    sources.push(...forms.map((word) => quote(word)));
    const matches = (text: string): boolean => forms.some((word) => text.includes(word));
    return { ...rule, mayMatch: matches, matches };
  }
  const forms = [...new Set(words.flatMap((word) => [lower(word), lower(normalise(word))]))];
  sources.push(...forms.map((word) => `(?i:${quote(word)})`));
  const matches = (text: string): boolean => {
    const small = lower(text);
    return forms.some((word) => small.includes(word));
  };
  return { ...rule, mayMatch: matches, matches };
}
