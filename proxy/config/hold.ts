import type { Row } from './schema.ts';

/** `hold`: how calls wait for people. */
export const HOLD = {
  type: 'object',
  description: 'How calls wait for people.',
  default: {},
  live: true,
  additionalProperties: false,
  properties: {
    inline_timeout: {
      type: 'string',
      format: 'time-span',
      default: '50s',
      description: 'How long a held call is kept open before it is answered as pending.',
    },
    review_expiry: {
      type: 'string',
      format: 'time-span',
      least: '1s',
      default: '24h',
      description: 'How long a review may stay without an approval, or an approval without its call.',
    },
    heartbeat: {
      type: 'string',
      format: 'time-span',
      least: '1s',
      default: '10s',
      description: 'How often a sign of life goes to the client of a held call.',
    },
    max_pending_per_principal: {
      type: 'integer',
      minimum: 1,
      maximum: 100_000,
      default: 20,
      description: 'How many calls of one caller may be held open at once; further ones are refused.',
    },
  },
} as const satisfies Row;
