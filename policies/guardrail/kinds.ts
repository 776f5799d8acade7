import type { GuardrailEntry } from '../documents.ts';
import { ARGUMENT_MATCH } from './argument-match.ts';
import type { Kind } from './matcher.ts';
import { PROMPT_INJECTION } from './prompt-injection.ts';
import { RESULT_SIZE } from './result-size.ts';
import { SQL_STATEMENT } from '../sql/sql-statement.ts';
import { DENY_WORDS_LIST, PATTERN_MATCH } from './texts.ts';

/** Every kind of guardrail entry. A new one is a row here, its members in documents.ts and schemas.ts, and a section in docs/policies.md. */
export const KINDS: readonly Kind[] = [
  DENY_WORDS_LIST,
  PATTERN_MATCH,
  ARGUMENT_MATCH,
  RESULT_SIZE,
  PROMPT_INJECTION,
  SQL_STATEMENT,
];

const BY_TYPE: ReadonlyMap<string, Kind> = new Map(KINDS.map((kind) => [kind.type, kind]));

/** The kind of an entry; undefined only for an entry that its schema refuses. */
export const kindOf = (entry: GuardrailEntry): Kind | undefined => BY_TYPE.get(entry.type);
