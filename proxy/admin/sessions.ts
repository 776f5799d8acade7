import type { JsonObject, Principal } from '../../policies/types.ts';
import type { ExchangeRecord, SessionSummary } from '../../recorder/types.ts';
import { GatewayError } from '../errors.ts';
import type { Operation, OperationContext } from './operation.ts';

const ID = { type: 'string', minLength: 1, maxLength: 128, description: 'The session id.' };
const SESSION: JsonObject = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    connection: { type: 'string' },
    user_id: { type: 'string' },
    created_at: { type: 'string' },
  },
  required: ['id', 'connection', 'user_id', 'created_at'],
};
const sees = (who: Principal, session: SessionSummary): boolean =>
  who.roles.length > 0 || (session.principal.issuer === who.issuer && session.principal.subject === who.subject);

function sessionObject(session: SessionSummary): JsonObject {
  return {
    id: session.id,
    connection: session.connection,
    user_id: session.principal.subject,
    user_email: session.principal.email ?? '',
    client: session.client ?? '',
    protocol: session.protocol ?? '',
    status: session.closedAt === undefined ? 'open' : 'done',
    created_at: new Date(session.openedAt).toISOString(),
    exchanges: session.exchanges,
    ...(session.closedAt === undefined ? {} : { ended_at: new Date(session.closedAt).toISOString() }),
  };
}

function exchangeObject(exchange: ExchangeRecord): JsonObject {
  const { decision } = exchange;
  return {
    id: exchange.id,
    at: new Date(exchange.openedAt).toISOString(),
    kind: exchange.kind,
    method: exchange.method,
    name: exchange.name,
    decision: {
      action: decision.action,
      rules: [...decision.rules],
      ...(decision.code === undefined ? {} : { code: decision.code }),
      ...(decision.reason === undefined ? {} : { reason: decision.reason }),
    },
    rulebook: exchange.rulebook,
    findings: [...decision.findings, ...exchange.findings].map((finding) => ({ ...finding })),
    outcome: exchange.outcome ?? 'open',
    is_error: exchange.isError ?? false,
    code: exchange.code ?? '',
    held_ms: exchange.heldMs ?? 0,
    upstream_ms: exchange.upstreamMs ?? 0,
    total_ms: exchange.totalMs ?? 0,
    request: exchange.request ?? '',
    response: exchange.response ?? '',
    messages: exchange.messages.map((message) => ({ ...message, at: new Date(message.at).toISOString() })),
  };
}

async function findVisible(id: string, { who, parts }: OperationContext): Promise<SessionSummary> {
  await parts.recorder.settled();
  const session = await parts.recorder.sessions.get(id);
  if (session === undefined || !sees(who, session)) throw new GatewayError('not_found', 'session');
  return session;
}

export const sessions: readonly Operation[] = [
  {
    name: 'sessions_list',
    sentence: 'Lists recorded sessions, newest first: your own, or all for admins and auditors.',
    role: 'any',
    readOnly: true,
    destructive: false,
    rest: { method: 'GET', path: '/api/sessions' },
    input: {
      type: 'object',
      properties: {
        connection: { type: 'string', description: 'Only sessions of this connection.' },
        limit: { type: 'integer', minimum: 1, maximum: 100, default: 20, description: 'Most sessions to answer.' },
        offset: { type: 'integer', minimum: 0, maximum: 10_000, default: 0, description: 'How many to pass over.' },
      },
    },
    output: {
      type: 'object',
      properties: {
        total: { type: 'integer' },
        has_next_page: { type: 'boolean' },
        items: { type: 'array', items: SESSION },
      },
      required: ['total', 'has_next_page', 'items'],
    },
    async run(args, { who, parts }) {
      await parts.recorder.settled();
      const limit = typeof args['limit'] === 'number' ? args['limit'] : 20;
      const offset = typeof args['offset'] === 'number' ? args['offset'] : 0;
      const owner = who.roles.length > 0 ? {} : { owner: { issuer: who.issuer, subject: who.subject } };
      const connection = typeof args['connection'] === 'string' ? { connection: args['connection'] } : {};
      const { total, items } = await parts.recorder.sessions.list({ ...owner, ...connection, limit, offset });
      return { total, has_next_page: offset + items.length < total, items: items.map(sessionObject) };
    },
  },
  {
    name: 'sessions_get',
    sentence: 'Shows one recorded session.',
    role: 'any',
    readOnly: true,
    destructive: false,
    rest: { method: 'GET', path: '/api/sessions/:id' },
    input: { type: 'object', properties: { id: ID }, required: ['id'] },
    output: SESSION,
    async run(args, context) {
      return sessionObject(await findVisible(args['id'] as string, context));
    },
  },
  {
    name: 'sessions_get_content',
    sentence: 'Replays a recorded session: its exchanges in order, masked, with decisions, findings and timings.',
    role: 'any',
    readOnly: true,
    destructive: false,
    rest: { method: 'GET', path: '/api/sessions/:id/content' },
    input: { type: 'object', properties: { id: ID }, required: ['id'] },
    output: {
      type: 'object',
      properties: { session: SESSION, exchanges: { type: 'array', items: { type: 'object' } } },
      required: ['session', 'exchanges'],
    },
    async run(args, context) {
      const session = await findVisible(args['id'] as string, context);
      const exchanges = await context.parts.recorder.sessions.exchanges(session.id);
      return { session: sessionObject(session), exchanges: exchanges.map(exchangeObject) };
    },
  },
];
