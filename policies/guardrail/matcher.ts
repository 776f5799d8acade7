import type { GuardrailEntry } from '../documents.ts';
import type { Node } from '../json/tree.ts';
import type { Call } from '../types.ts';

export type Direction = 'input' | 'output';

/** A stretch of a text, in UTF-16 units. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** One message, as a matcher of its structure reads it. */
export interface Subject {
  /** The JSON text of a call's params, or of a whole message to the client. */
  readonly json: string;
  /** The call that is judged, or whose answer is; absent where only texts are compared. */
  readonly call: Call | undefined;
  /** The JSON text as a tree, parsed once for all rules. */
  tree(): Node;
}

/** Looks for something in each text of a message: its strings, keys and name, in every form that `reading.ts` makes of them. */
export interface TextMatcher {
  readonly reads: 'text';
  /** Patterns of RE2 syntax: at least one of them matches in every text that the matcher matches. */
  readonly sources: readonly string[];
  /** True when the JSON text as a whole says nothing: only its strings are read. */
  readonly stringsOnly?: boolean;
  /** False only when no piece of the text, cut at line ends, matches. */
  mayMatch(text: string): boolean;
  matches(text: string): boolean;
  /** What matches, in any order; empty where that cannot be told. */
  spans(text: string): readonly Span[];
}

/** Looks at a message as a whole; asked for every message, so what does not concern it must cost little. */
export interface MessageMatcher {
  readonly reads: 'message';
  /** JSON Pointers of everything that breaks the rule; empty when nothing does. Pointers never repeat values. */
  hits(subject: Subject): readonly string[];
  /** What is wrong with a message that has hits, as a sentence that repeats nothing of it. */
  reason?(subject: Subject): string | undefined;
}

export type Matcher = TextMatcher | MessageMatcher;

/** Says what is wrong with one member of an entry, such as `words[0]`; the empty member is the entry itself. */
export type Complain = (member: string, message: string) => void;

/** One kind of guardrail entry: a row of the table in `kinds.ts`. */
export interface Kind {
  readonly type: GuardrailEntry['type'];
  /** Where entries of the kind may stand. */
  readonly directions: readonly Direction[];
  /** The members that the kind understands besides `type`, `name`, `message` and `action`. */
  readonly members: readonly (keyof GuardrailEntry)[];
  /** Whether the matches are stretches of text that can be replaced. */
  readonly redacts: boolean;
  /** Complains about what the schema cannot express; of an entry without complaints, `compile` does not throw. */
  check(entry: GuardrailEntry, direction: Direction, complain: Complain): void;
  compile(entry: GuardrailEntry, direction: Direction): Matcher;
}
