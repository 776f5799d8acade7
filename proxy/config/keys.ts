import { FILE, type Row } from './schema.ts';

/** `keys`: the master key, from which every other key is derived. */
export const KEYS = {
  type: 'object',
  description: 'The master key, from which every other key is derived.',
  default: {},
  additionalProperties: false,
  properties: {
    master: {
      ...FILE,
      default: { file: './data/portcullis.key' },
      description:
        'A file with 32 bytes in base64 or hex, made with mode 0600 when absent; keep a copy, a lost key stops the start.',
    },
    previous: {
      type: 'array',
      items: FILE,
      default: [],
      description: 'Files of earlier master keys, so that what they sealed can still be read.',
    },
  },
} as const satisfies Row;
