import { AUTH } from './auth.ts';
import { CONNECTIONS } from './connections.ts';
import { HOLD } from './hold.ts';
import { KEYS } from './keys.ts';
import { LOG } from './logging.ts';
import { RECORDER } from './recorder.ts';
import type { Resolved } from './resolved.ts';
import type { Row } from './schema.ts';
import { SERVER } from './server.ts';

/** Everything of the configuration but the rules. */
export const SETTINGS = {
  type: 'object',
  additionalProperties: false,
  required: ['connections'],
  properties: {
    server: SERVER,
    auth: AUTH,
    keys: KEYS,
    connections: CONNECTIONS,
    recorder: RECORDER,
    hold: HOLD,
    log: LOG,
  },
} as const satisfies Row;

export type Settings = Resolved<typeof SETTINGS>;
