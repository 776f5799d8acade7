import { BINDING, DESCRIPTION, NAME } from './schemas.ts';

interface Schema {
  readonly [key: string]: unknown;
}

const count = (description: string): Schema => ({ type: 'integer', minimum: 1, description });
const size = (description: string): Schema => ({ type: 'string', format: 'byte-size', description });
const span = (description: string): Schema => ({ type: 'string', format: 'time-span', description });
const object = (description: string, required: readonly string[], properties: Schema): Schema => ({
  type: 'object',
  description,
  additionalProperties: false,
  required,
  properties,
});
const names = (description: string): Schema => ({
  type: 'array',
  description,
  items: { type: 'string', minLength: 1 },
  minItems: 1,
});

const WITHIN = span('The span of time, 1s to 24d, which slides: no such span ever sees more.');

/** Schema of a limit. */
export const LIMIT_SCHEMA: Schema = {
  title: 'Limit',
  description: 'Bounds how often, how many at once and how much.',
  type: 'object',
  additionalProperties: false,
  required: ['name'],
  properties: {
    name: NAME,
    description: DESCRIPTION,
    ...BINDING,
    mode: {
      enum: ['enforce', 'observe'],
      description: '`observe` records what the limit would have done and never refuses.',
      default: 'enforce',
    },
    groups: names('Groups whose members the limit governs; when absent, everybody, admins too.'),
    tools: names(
      'Tools whose calls the limit governs; `*` is any text, `?` any character. When absent, all calls: of tools, prompts, resources, completions, routes and further methods.',
    ),
    per: {
      enum: ['principal', 'group', 'tool', 'connection'],
      description:
        'What is counted together: the calls of one caller, of each of the groups, of one tool of a connection, or of a connection.',
      default: 'principal',
    },
    calls: object('How many calls.', ['most', 'within'], { most: count('The number of calls.'), within: WITHIN }),
    concurrent: count('How many calls may run at the upstream at the same time.'),
    result_bytes: object('How much the answers may hold together.', ['most', 'within'], {
      most: size('The size; the answer that goes beyond it is still given, the next call is refused.'),
      within: WITHIN,
    }),
    session: object('What one session may use, whatever `per` says.', [], {
      calls: count('The number of calls in a session.'),
      bytes: size('The size of all answers in a session; the answer that goes beyond it is still given.'),
    }),
    repeats: object(
      'How often one caller may make the very same call: same tool, same arguments. What a limit refused counts too.',
      ['most', 'within'],
      { most: count('The number of identical calls.'), within: WITHIN },
    ),
    on_lost_state: {
      enum: ['half', 'allow'],
      description:
        'When the counts from before a restart cannot be read: `half` takes every counter for half used, `allow` for unused.',
      default: 'half',
    },
  },
};
