import type { Row } from './schema.ts';

/** `log`: what the gateway writes to its standard error. Calls are in the record, not here. */
export const LOG = {
  type: 'object',
  description: 'What the gateway writes to its standard error; calls are in the record, not here.',
  default: {},
  additionalProperties: false,
  properties: {
    level: {
      type: 'string',
      enum: ['debug', 'info', 'warn', 'error'],
      default: 'info',
      description: 'The least important lines that are written.',
    },
    format: {
      type: 'string',
      enum: ['json', 'text'],
      default: 'json',
      description: 'One JSON object a line, or plain text for a terminal.',
    },
  },
} as const satisfies Row;
