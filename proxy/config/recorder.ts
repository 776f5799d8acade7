import type { Row } from './schema.ts';

/** `recorder`: where and how calls are recorded. */
export const RECORDER = {
  type: 'object',
  description: 'Where and how calls are recorded.',
  default: {},
  additionalProperties: false,
  properties: {
    path: {
      type: 'string',
      format: 'path',
      default: './data/portcullis.db',
      description: 'The SQLite database; the journal and the head of the last checkpoint lie beside it.',
    },
    store: {
      type: 'string',
      enum: ['masked'],
      default: 'masked',
      description: 'Which form of requests and answers is kept.',
    },
    durability: {
      type: 'string',
      enum: ['group', 'call'],
      default: 'group',
      description:
        'With group an entry survives the death of the gateway, with call (one fsync for all waiting calls) also the loss of power.',
    },
    journal_limit: {
      type: 'string',
      format: 'byte-size',
      least: '1MB',
      default: '256MB',
      description: 'How large the journal may grow while the database cannot be written; beyond it calls are refused.',
    },
  },
} as const satisfies Row;
