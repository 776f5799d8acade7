import type { Row } from './schema.ts';

const GROUP = { type: 'string', minLength: 1, maxLength: 200 } as const;

const OIDC = {
  type: 'object',
  description: 'Access tokens of an OpenID Connect provider; without this section no such token is accepted.',
  additionalProperties: false,
  required: ['issuer'],
  properties: {
    issuer: {
      type: 'string',
      format: 'issuer',
      description: 'The issuer exactly as it stands in the iss claim; its keys are found by discovery.',
    },
    audience: {
      type: 'object',
      propertyNames: {
        type: 'string',
        pattern: '^/(api/mcp|api|mcp(/[a-z0-9][a-z0-9-]{0,62})?)$',
        expected: 'a route: /mcp, /mcp/<connection>, /api/mcp or /api',
      },
      additionalProperties: { type: 'array', items: { type: 'string', minLength: 1 }, minItems: 1, uniqueItems: true },
      default: {},
      description: 'Values of the aud claim that a route accepts besides its own public URL, by route.',
    },
    client_id: {
      type: 'string',
      minLength: 1,
      description:
        'A client id that is accepted in aud, azp or client_id, for providers that cannot name a resource as audience.',
    },
    groups_claim: {
      type: 'string',
      minLength: 1,
      default: 'groups',
      description: "The claim that holds the caller's groups: a name, or a path with dots, of a string or a list.",
    },
    required_scopes: {
      type: 'array',
      items: {
        type: 'string',
        pattern: '^[!#-\\[\\]-~]+$',
        expected: 'one scope without spaces, quotes and backslashes',
      },
      uniqueItems: true,
      default: [],
      description: 'Scopes that every token must have; a token without one is answered with insufficient_scope.',
    },
    clock_tolerance: {
      type: 'string',
      format: 'time-span',
      default: '30s',
      description: 'How far the clocks of provider and gateway may differ when exp and nbf are checked.',
    },
    token_types: {
      type: 'array',
      items: {
        type: 'string',
        pattern: '^[A-Za-z0-9.+/-]+$',
        expected: 'a media type or its short form, such as at+jwt',
      },
      minItems: 1,
      uniqueItems: true,
      default: ['at+jwt'],
      description: 'Values of the typ header that access tokens have; add JWT for providers that do not write at+jwt.',
    },
    jwks_refresh: {
      type: 'string',
      format: 'time-span',
      least: '10s',
      default: '10m',
      description: "How often the provider's keys are fetched anew in the background.",
    },
  },
} as const satisfies Row;

/** `auth`: how callers prove who they are, and which groups have a role. */
export const AUTH = {
  type: 'object',
  description: 'How callers prove who they are, and which groups have a role.',
  default: {},
  additionalProperties: false,
  properties: {
    oidc: OIDC,
    tokens: {
      type: 'object',
      description: 'Gateway tokens, minted by an administrator with portcullis token create.',
      default: {},
      additionalProperties: false,
      properties: {
        enabled: { type: 'boolean', default: true, description: 'Whether gateway tokens are accepted.' },
      },
    },
    anonymous: {
      type: 'object',
      description: 'Callers without a token; possible on a loopback listen address only, and never with a role.',
      default: {},
      additionalProperties: false,
      properties: {
        enabled: { type: 'boolean', default: false, description: 'Whether callers without a token are let in.' },
        groups: {
          type: 'array',
          items: GROUP,
          uniqueItems: true,
          default: [],
          description: 'The groups of a caller without a token; none of them may be an admin or auditor group.',
        },
      },
    },
    admin_groups: {
      type: 'array',
      items: GROUP,
      uniqueItems: true,
      default: ['admin'],
      description: 'Groups whose members are administrators and always reach the gateway connection.',
    },
    auditor_groups: {
      type: 'array',
      items: GROUP,
      uniqueItems: true,
      default: ['auditor'],
      description: 'Groups whose members may read every session and review.',
    },
  },
} as const satisfies Row;
