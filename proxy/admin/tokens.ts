import type { JsonObject } from '../../policies/types.ts';
import type { TokenRecord } from '../../recorder/types.ts';
import { GatewayError } from '../errors.ts';
import { toActor } from '../actor.ts';
import { mintToken } from '../identity/tokens.ts';
import type { Operation } from './operation.ts';

const TOKEN: JsonObject = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    name: { type: 'string' },
    subject: { type: 'string' },
    groups: { type: 'array', items: { type: 'string' } },
    status: { type: 'string' },
  },
  required: ['id', 'name', 'subject', 'groups', 'status'],
};
const NAME = { type: 'string', minLength: 1, maxLength: 200 };

function tokenObject(token: TokenRecord, now: number): JsonObject {
  const expired = token.expiresAt !== undefined && token.expiresAt <= now;
  return {
    id: token.id,
    name: token.name,
    subject: token.subject,
    email: token.email ?? '',
    groups: [...token.groups],
    status: token.revokedAt !== undefined ? 'revoked' : expired ? 'expired' : 'active',
    created_at: new Date(token.createdAt).toISOString(),
    ...(token.expiresAt === undefined ? {} : { expires_at: new Date(token.expiresAt).toISOString() }),
  };
}

export const tokens: readonly Operation[] = [
  {
    name: 'tokens_create',
    sentence: 'Creates a gateway token for a person or workload; the token itself is shown this once.',
    role: 'admin',
    readOnly: false,
    destructive: false,
    rest: { method: 'POST', path: '/api/tokens' },
    input: {
      type: 'object',
      properties: {
        name: { ...NAME, description: 'What the token is for.' },
        subject: { ...NAME, description: 'Who it speaks for; the name by default.' },
        email: { type: 'string', maxLength: 320, description: 'E-mail address of the subject.' },
        groups: {
          type: 'array',
          maxItems: 100,
          items: NAME,
          default: [],
          description: 'Groups the token is a member of.',
        },
        expires_in_seconds: {
          type: 'integer',
          minimum: 60,
          maximum: 31_536_000,
          description: 'Seconds until it expires; never when absent.',
        },
      },
      required: ['name'],
    },
    output: { ...TOKEN, required: ['id', 'token'] },
    async run(args, { who, address, parts }) {
      const { token, id, hash } = mintToken();
      const now = parts.now();
      const name = args['name'] as string;
      const expires = args['expires_in_seconds'];
      const record: TokenRecord = {
        id,
        hash,
        name,
        subject: typeof args['subject'] === 'string' ? args['subject'] : name,
        groups: (args['groups'] as string[] | undefined) ?? [],
        createdAt: now,
        ...(typeof args['email'] === 'string' ? { email: args['email'] } : {}),
        ...(typeof expires === 'number' ? { expiresAt: now + expires * 1000 } : {}),
      };
      await parts.recorder.tokens.create(record, toActor(who, address));
      return { ...tokenObject(record, now), token };
    },
  },
  {
    name: 'tokens_list',
    sentence: 'Lists gateway tokens; never the tokens themselves.',
    role: 'auditor',
    readOnly: true,
    destructive: false,
    rest: { method: 'GET', path: '/api/tokens' },
    input: { type: 'object', properties: {} },
    output: { type: 'object', properties: { items: { type: 'array', items: TOKEN } }, required: ['items'] },
    async run(_args, { parts }) {
      const list = await parts.recorder.tokens.list();
      return { items: list.map((token) => tokenObject(token, parts.now())) };
    },
  },
  {
    name: 'tokens_revoke',
    sentence: 'Revokes a gateway token at once.',
    role: 'admin',
    readOnly: false,
    destructive: true,
    rest: { method: 'DELETE', path: '/api/tokens/:id' },
    input: { type: 'object', properties: { id: { ...NAME, description: 'The token id.' } }, required: ['id'] },
    output: TOKEN,
    async run(args, { who, address, parts }) {
      const revoked = await parts.recorder.tokens.revoke(args['id'] as string, toActor(who, address));
      if (revoked === undefined) throw new GatewayError('not_found', 'token');
      return tokenObject(revoked, parts.now());
    },
  },
];
