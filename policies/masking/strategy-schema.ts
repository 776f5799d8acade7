const WAYS = ['replace', 'mask', 'partial', 'hash', 'tokenize'];

const OPTIONS = {
  type: 'object',
  additionalProperties: false,
  required: ['type'],
  properties: {
    type: { enum: WAYS },
    character: { type: 'string', minLength: 1, maxLength: 2 },
    keep_first: { type: 'integer', minimum: 0, maximum: 100 },
    keep_last: { type: 'integer', minimum: 0, maximum: 100 },
  },
};

/** Members of the schema of a masking rule: how what is found is hidden, what is not, and what comes back. */
export const MASKING_STRATEGIES = {
  strategies: {
    type: 'object',
    description:
      'What is put in the place of an entity, by type; `DEFAULT` is for all others. `replace` writes the type, `mask` a character for each, `partial` leaves `keep_first` and `keep_last` letters and digits (never more than half), `hash` a keyed digest, `tokenize` a placeholder that lasts for the session. With options: `{type: partial, keep_last: 4, character: "*"}`.',
    default: {},
    additionalProperties: { oneOf: [{ enum: WAYS }, OPTIONS] },
  },
  allow_list: {
    type: 'array',
    description: 'Texts that are left alone when they are the whole entity; `{regex: ...}` is a pattern of such texts.',
    default: [],
    items: {
      oneOf: [
        { type: 'string', minLength: 1 },
        {
          type: 'object',
          additionalProperties: false,
          required: ['regex'],
          properties: {
            regex: {
              type: 'string',
              minLength: 1,
              maxLength: 10_000,
              description: 'A pattern in RE2 syntax that fits the whole text.',
            },
          },
        },
      ],
    },
  },
  numbers: {
    enum: ['refuse', 'string', 'zero'],
    description:
      'What becomes of a JSON number that is an entity: `refuse` withholds the answer, `string` writes a text in its place, `zero` the number 0.',
    default: 'refuse',
  },
  restore: {
    type: 'object',
    description: 'Which tools get the values behind the placeholders of `tokenize`.',
    additionalProperties: false,
    required: ['tools'],
    properties: {
      tools: {
        type: 'array',
        description: 'Names of tools; `*` is any text, `?` any character.',
        minItems: 1,
        items: { type: 'string', minLength: 1 },
      },
    },
  },
};
