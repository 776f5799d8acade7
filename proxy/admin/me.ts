import type { Operation } from './operation.ts';

const strings = { type: 'array', items: { type: 'string' } };

export const me: readonly Operation[] = [
  {
    name: 'me_get',
    sentence: 'Says who you are for this gateway: subject, groups and roles.',
    role: 'any',
    readOnly: true,
    destructive: false,
    rest: { method: 'GET', path: '/api/me' },
    input: { type: 'object', properties: {} },
    output: {
      type: 'object',
      properties: {
        user_id: { type: 'string' },
        user_email: { type: 'string' },
        user_name: { type: 'string' },
        issuer: { type: 'string' },
        groups: strings,
        is_admin: { type: 'boolean' },
        is_auditor: { type: 'boolean' },
        authenticated_by: { type: 'string' },
        user_status: { type: 'string' },
      },
      required: ['user_id', 'issuer', 'groups', 'is_admin', 'is_auditor', 'authenticated_by', 'user_status'],
    },
    async run(_args, { who }) {
      return {
        user_id: who.subject,
        user_email: who.email ?? '',
        user_name: who.name ?? '',
        issuer: who.issuer,
        groups: [...who.groups],
        is_admin: who.roles.includes('admin'),
        is_auditor: who.roles.includes('auditor'),
        authenticated_by: who.authenticatedBy,
        user_status: 'active',
      };
    },
  },
];
