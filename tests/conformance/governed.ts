import type { JsonObject } from '../../policies/types.ts';

/** The groups of the person whose token the suite uses. */
export const GROUPS = ['engineering'];

/** Tools that a connection under an approval rule has besides those of its server. */
export const COMPANIONS: ReadonlySet<string> = new Set(['reviews_wait', 'reviews_execute', 'reviews_get', 'me_get']);

/** Found in nothing that the suite, its server or its client says. */
const UNHEARD_OF = 'unheard-of-[0-9]{12}';

/**
 * A gateway with everything switched on and nothing that matches: it records, limits, guards, masks, holds and narrows, so that whatever differs
 * from a direct connection is its doing.
 */
export function governed(upstream: string, server: JsonObject = {}): JsonObject {
  const search = { rules: [{ type: 'pattern_match', pattern_regex: UNHEARD_OF, action: 'block' }] };
  return {
    server: {
      listen: '127.0.0.1:0',
      message_size: '1MB',
      max_in_flight: 100,
      body_timeout: '10s',
      ...server,
    },
    connections: [{ name: 'default', upstream: { url: upstream }, access: { groups: GROUPS }, timeout: '30s' }],
    guardrails: [{ name: 'guard', input: search, output: search }],
    datamasking_rules: [
      {
        name: 'mask',
        supported_entity_types: [{ name: 'PAYMENT', entity_types: ['CREDIT_CARD', 'IBAN_CODE'] }],
        custom_entity_types: [{ name: 'UNHEARD_OF', regex: UNHEARD_OF, score: 1 }],
      },
    ],
    access_request_rules: [
      {
        name: 'hold',
        connections: ['default'],
        access_type: 'command',
        when: 'tool.name == "drop_everything"',
        reviewers_groups: ['dba'],
      },
    ],
    access_control: [
      {
        name: 'narrow',
        groups: GROUPS,
        tools: { allow: ['*'], deny: ['drop_everything'] },
        resources: { allow: ['*'] },
        prompts: { allow: ['*'] },
      },
    ],
  };
}
