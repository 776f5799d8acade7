import { CLASSES } from '../sql/classes.ts';
import { DIALECTS } from '../sql/dialect.ts';

interface Schema {
  readonly [key: string]: unknown;
}

const text = (description: string, more: Schema = {}): Schema => ({ type: 'string', description, ...more });
const texts = (description: string, more: Schema = {}): Schema => ({
  type: 'array',
  description,
  items: { type: 'string', minLength: 1 },
  ...more,
});
const classes = (description: string): Schema => ({
  type: 'array',
  minItems: 1,
  description,
  items: { enum: [...CLASSES], description: 'What a statement does.' },
});
const count = (description: string): Schema => ({ type: 'integer', minimum: 0, description });

const BOTH: Schema = {
  name: text('Name of the entry; it appears in findings.', { minLength: 1, maxLength: 200 }),
  words: texts('The words of a `deny_words_list`.', { minItems: 1 }),
  case_sensitive: {
    type: 'boolean',
    description: 'Whether the words of a `deny_words_list` must match in upper and lower case.',
    default: false,
  },
  pattern_regex: text('The forbidden pattern, in RE2 syntax: linear time, no look-around, no back-references.', {
    minLength: 1,
    maxLength: 10_000,
  }),
  tools: texts('Globs of the tools whose calls and answers the entry reads; without it, all.', { minItems: 1 }),
  threshold: {
    type: 'number',
    minimum: 0,
    maximum: 1,
    description: 'The score from which a `prompt_injection` matches.',
    default: 0.5,
  },
  message: text('What the caller is told when the entry blocks; without it a sentence that names the guardrail.', {
    minLength: 1,
    maxLength: 1000,
  }),
};

const IN_CALLS: Schema = {
  path: text(
    'JSON path into the arguments that an `argument_match` looks at, such as `$.filters[*].table` or `$..limit`.',
    {
      minLength: 1,
      maxLength: 1000,
    },
  ),
  required: {
    type: 'boolean',
    description: 'Whether a call without the argument breaks the rule too.',
    default: false,
  },
  enum: texts('The only values that the argument may have; numbers and booleans are written as texts.', {
    minItems: 1,
  }),
  not_in: texts('Values that the argument must not have; numbers and booleans are written as texts.', {
    minItems: 1,
  }),
  minimum: { type: 'number', description: 'The least value of the argument.' },
  maximum: { type: 'number', description: 'The greatest value of the argument.' },
  value_type: {
    enum: ['string', 'number', 'integer', 'boolean', 'null', 'array', 'object'],
    description: 'The JSON type that the argument must have.',
  },
  argument: text('The name of the argument that holds SQL, at any depth; without it `sql`, `query` and `statement`.', {
    minLength: 1,
    maxLength: 200,
  }),
  dialect: { enum: [...DIALECTS], description: 'The dialect in which a `sql_statement` reads SQL.' },
  deny: classes('What SQL must not do.'),
  allow: classes('All that SQL may do; whatever else it does is refused.'),
  tables: {
    type: 'object',
    description:
      'Globs of tables that SQL may and must not name. Without a dot, denied ones are meant in every schema, allowed ones in the default schema.',
    additionalProperties: false,
    properties: { allow: texts('Only these.', { minItems: 1 }), deny: texts('None of these.', { minItems: 1 }) },
  },
  functions: {
    type: 'object',
    description: 'Globs of functions that SQL must not call.',
    additionalProperties: false,
    required: ['deny'],
    properties: { deny: texts('None of these.', { minItems: 1 }) },
  },
  require_where: {
    type: 'boolean',
    description: 'Whether UPDATE and DELETE need a WHERE that chooses among the rows.',
    default: false,
  },
  single_statement: {
    type: 'boolean',
    description: 'Whether a text may hold one statement only.',
    default: false,
  },
  max_length: {
    type: 'integer',
    minimum: 1,
    maximum: 1_048_576,
    description: 'The most characters of SQL that one call may hold.',
    default: 65_536,
  },
};

const IN_ANSWERS: Schema = {
  path: text('JSON path into the result, such as `$.structuredContent.rows`: to arrays whose items are counted.', {
    minLength: 1,
    maxLength: 1000,
  }),
  max_bytes: count('The most bytes, in UTF-8, that one message of an answer may have.'),
  max_items: count('The most items that an array at `path` may have; without `path`, the most blocks of `content`.'),
};

function entry(type: Schema, action: Schema, own: Schema): Schema {
  return {
    type: 'object',
    description: 'One thing to look for.',
    additionalProperties: false,
    required: ['type'],
    properties: { type, ...BOTH, ...own, action: { ...action, default: 'block' } },
  };
}

/** JSON Schema of an entry that reads calls; which members belong to which type is checked by `checkGuardrail`. */
export const INPUT_ENTRY: Schema = entry(
  {
    enum: ['deny_words_list', 'pattern_match', 'argument_match', 'prompt_injection', 'sql_statement'],
    description:
      '`deny_words_list` looks for words as parts of a text, `pattern_match` for a pattern anywhere in it, `argument_match` at one argument, `prompt_injection` for texts that speak to the model, `sql_statement` at what SQL in an argument does.',
  },
  {
    enum: ['block', 'hold', 'warn'],
    description:
      '`block` refuses the call, `hold` lets people approve it first, `warn` only records that the entry matched.',
  },
  IN_CALLS,
);

/** JSON Schema of an entry that reads what goes to the client. */
export const OUTPUT_ENTRY: Schema = entry(
  {
    enum: ['deny_words_list', 'pattern_match', 'result_size', 'prompt_injection'],
    description:
      '`deny_words_list` looks for words as parts of a text, `pattern_match` for a pattern anywhere in it, `result_size` at the size of an answer, `prompt_injection` for texts that speak to the model.',
  },
  {
    enum: ['block', 'redact', 'warn'],
    description:
      '`block` withholds the answer, `redact` replaces what matched in it, `warn` only records that the entry matched.',
  },
  IN_ANSWERS,
);

/** JSON Schema of a guardrail's `review`. */
export const REVIEW: Schema = {
  type: 'object',
  description: 'Who approves the calls that entries with `action: hold` have held.',
  additionalProperties: false,
  required: ['reviewers_groups'],
  properties: {
    reviewers_groups: texts('Groups whose members may approve.', { minItems: 1 }),
    min_approvals: { type: 'integer', minimum: 1, description: 'How many different people must approve.', default: 1 },
  },
};
