import { INPUT_ENTRY, OUTPUT_ENTRY, REVIEW } from './guardrail/entry-schema.ts';

import { MASKING_STRATEGIES } from './masking/strategy-schema.ts';

/** JSON Schemas (draft 2020-12) of the rule documents. They say what has the right shape; `checkRules` says what makes sense. */

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

function document(title: string, description: string, required: readonly string[], properties: Schema): Schema {
  return {
    title,
    description,
    type: 'object',
    additionalProperties: false,
    required,
    properties,
  };
}

export const NAME = text('Name of the rule, unique among rules of its kind; it appears in denials and in the record.', {
  minLength: 1,
  maxLength: 200,
});
export const DESCRIPTION = text('What the rule is for, for the people who read the rules.', { default: '' });

export const BINDING: Schema = {
  connections: texts('Names of the connections that the rule applies to. `gateway` is reached only by its name.', {
    default: [],
  }),
  attributes: texts(
    'Attributes: the rule applies to every connection that has one of them. A rule with neither connections nor attributes applies to every connection except `gateway`.',
    { default: [] },
  ),
};

const direction = (description: string, entry: object): Schema => ({
  type: 'object',
  description,
  additionalProperties: false,
  required: ['rules'],
  properties: {
    rules: {
      type: 'array',
      description: 'Tried in order; the first one that blocks ends the guardrail.',
      items: entry,
    },
  },
});

export const GUARDRAIL_SCHEMA = document('Guardrail', 'Refuses calls and answers by what they say.', ['name'], {
  name: NAME,
  description: DESCRIPTION,
  ...BINDING,
  mode: {
    enum: ['enforce', 'observe'],
    description: '`observe` records what the guardrail would have done and never blocks.',
    default: 'enforce',
  },
  review: REVIEW,
  input: direction(
    'What is looked for in calls: names, arguments and everything else in their parameters.',
    INPUT_ENTRY,
  ),
  output: direction('What is looked for in answers and in every other message to the client.', OUTPUT_ENTRY),
});

export const MASKING_SCHEMA = document(
  'Data masking rule',
  'Hides data in everything that goes to the client.',
  ['name'],
  {
    name: NAME,
    description: DESCRIPTION,
    ...BINDING,
    supported_entity_types: {
      type: 'array',
      description: 'Built-in entity types to hide, in named groups.',
      default: [],
      items: {
        type: 'object',
        description: 'A group of entity types.',
        additionalProperties: false,
        required: ['name', 'entity_types'],
        properties: {
          name: text('Name of the group, in upper case.', { pattern: '^[A-Z0-9_]+$' }),
          entity_types: texts('Built-in entity types, such as EMAIL_ADDRESS.', { minItems: 1 }),
        },
      },
    },
    custom_entity_types: {
      type: 'array',
      description: 'Entity types of your own: by a pattern, by a list of texts, or both.',
      default: [],
      items: {
        type: 'object',
        description: 'An entity type of your own.',
        additionalProperties: false,
        required: ['name'],
        properties: {
          name: text('Name of the entity type, in upper case.', { pattern: '^[A-Z0-9_]+$' }),
          regex: text('A pattern in RE2 syntax; what it matches is hidden.', { minLength: 1, maxLength: 10_000 }),
          deny_list: texts('Texts to hide.', { minItems: 1 }),
          score: { type: 'number', minimum: 0, maximum: 1, description: 'How certain a match is.', default: 1 },
        },
      },
    },
    score_threshold: {
      type: 'number',
      minimum: 0,
      maximum: 1,
      description: 'Matches that are less certain than this are left alone.',
      default: 0.5,
    },
    ...MASKING_STRATEGIES,
  },
);

export const ACCESS_REQUEST_SCHEMA = document(
  'Access request rule',
  'Holds calls until people have approved them. Every rule that matches a call must be satisfied.',
  ['name', 'access_type', 'reviewers_groups'],
  {
    name: NAME,
    description: DESCRIPTION,
    ...BINDING,
    access_type: { enum: ['command'], description: '`command`: one approval lets one call run once.' },
    when: text('CEL condition on the call; without it every tool call of the connection is held.', {
      minLength: 1,
      maxLength: 10_000,
    }),
    approval_required_groups: texts('Groups whose calls need approval; empty means everyone.', { default: [] }),
    skip_review_groups: texts('Groups whose calls need none; only with empty approval_required_groups.', {
      default: [],
    }),
    reviewers_groups: texts('Groups whose members may approve.', { minItems: 1 }),
    min_approvals: { type: 'integer', minimum: 1, description: 'How many different people must approve.', default: 1 },
    all_groups_must_approve: {
      type: 'boolean',
      description: 'Whether each of the reviewers groups must approve, by at least one member.',
      default: false,
    },
    force_approval_groups: texts('Groups whose members may approve alone, by force.', { default: [] }),
  },
);

const filter = (what: string, description = `Which ${what} the groups may list and call.`): Schema => ({
  type: 'object',
  description: `${description} Patterns compare with exact names; \`*\` is any text, \`?\` any character.`,
  additionalProperties: false,
  default: {},
  properties: {
    allow: texts(`When present, only ${what} that match one of these.`),
    deny: texts(`Never ${what} that match one of these; stronger than allow.`, { default: [] }),
  },
});

export const ACCESS_CONTROL_SCHEMA = document(
  'Access control rule',
  'Narrows what members of some groups may list and call; it never widens, and never touches anybody else.',
  ['name', 'groups'],
  {
    name: NAME,
    description: DESCRIPTION,
    ...BINDING,
    groups: texts('Groups whose members the rule governs.', { minItems: 1 }),
    tools: filter('tools'),
    resources: filter('resources'),
    prompts: filter('prompts'),
    server_requests: filter(
      'requests',
      "Which requests of servers reach the groups' clients, by method: elicitation/create, sampling/createMessage, roots/list; ping always does.",
    ),
    required_scopes: texts(
      'Scopes that the access token of a caller must have for the tools, prompts and resources that the rule allows; gateway tokens have none.',
      { default: [] },
    ),
    when: text('CEL condition; a call for which it is not true is denied.', { minLength: 1, maxLength: 10_000 }),
  },
);
