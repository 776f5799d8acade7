import type { Limits } from './limits.ts';
import type { SchemaMode } from './documents.ts';
import type { Call, Decision, Facts, Principal, Verdict } from './types.ts';

export type ListedKind = 'tool' | 'prompt' | 'resource';

/** All rules that govern one connection, compiled. Immutable; every method is synchronous and pure. */
export interface ConnectionRules {
  readonly name: string;
  /** True when some approval rule may hold a call of this connection. */
  readonly holds: boolean;
  /** True when a result rule (masking or an output guardrail) reads this connection's answers. */
  readonly inspects: boolean;
  /** What is made of arguments that do not fit the tool's input schema. */
  readonly schema: SchemaMode;
  /** True when an input guardrail reads this connection's calls. */
  readonly reads: boolean;
  /** How often, how many at once and how much; counted by whoever has a clock. */
  readonly limits: Limits;
  /** True when masking makes placeholders or digests: `Facts.tokens` is asked for then. */
  readonly needsTokens: boolean;
  /** The entity types whose placeholders are replaced by their values in the arguments of this tool. */
  restores(tool: string): ReadonlySet<string>;
  /** True when access control narrows what this caller may list: his unknown names are answered by the gateway. */
  filters(who: Principal): boolean;
  /** May this caller see the connection at all? */
  visible(who: Principal): boolean;
  /** May this caller list (and so call) the name? The same answer filters lists and judges calls. */
  sees(kind: ListedKind, name: string, who: Principal): boolean;
  /** The strictest opinion of access, guardrails and approval rules, with the findings of all of them. */
  decide(call: Call, who: Principal, facts: Facts): Decision;
  /** Output guardrails, then masking, over one complete JSON text that goes to the client. */
  inspect(json: string, call: Call, who: Principal, facts: Facts): Verdict;
  /** The form that may be stored: masked with every built-in entity type and the connection's own. */
  redact(json: string): string;
}

/** All rules of a moment. A reload compiles a new one; an exchange keeps the one it began with. */
export interface Rulebook {
  /** SHA-256 over the canonical rule documents, hex. */
  readonly revision: string;
  connection(name: string): ConnectionRules | undefined;
  /** Ids of all limits: what was counted under others may be forgotten. */
  readonly limits: ReadonlySet<string>;
}
