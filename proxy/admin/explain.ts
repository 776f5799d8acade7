import type { Finding, JsonObject } from '../../policies/types.ts';
import type { ExchangeRecord, Review, Reviews } from '../../recorder/types.ts';
import { ERRORS, GatewayError } from '../errors.ts';
import type { Operation } from './operation.ts';

const MOST_REVIEWS = 1000;

const STEP: JsonObject = {
  type: 'object',
  properties: {
    step: { type: 'string', enum: ['rule', 'decision', 'review', 'answer', 'outcome'] },
    rule: { type: 'string' },
    policy: { type: 'string' },
    action: { type: 'string' },
    path: { type: 'string' },
    saw: { type: 'string' },
    why: { type: 'string' },
  },
  required: ['step', 'why'],
};

/** The path of a decision, in the order in which it was taken: what rules saw, what was decided, what people said, how it ended. */
export function explained(exchange: ExchangeRecord, review: Review | undefined): JsonObject {
  const { decision } = exchange;
  // The record of the end repeats nothing of the beginning: those are the findings in the answer.
  const answered = exchange.closedAt === undefined ? [] : exchange.findings;
  return {
    id: exchange.id,
    session_id: exchange.session,
    at: new Date(exchange.openedAt).toISOString(),
    connection: exchange.connection,
    kind: exchange.kind,
    method: exchange.method,
    name: exchange.name,
    rulebook: exchange.rulebook,
    decision: decision.action,
    outcome: exchange.outcome ?? 'open',
    code: exchange.code ?? decision.code ?? '',
    steps: [
      ...decision.findings.map((finding) => findingStep(finding, 'rule')),
      decisionStep(exchange),
      ...(review === undefined ? [] : reviewSteps(review)),
      ...answered.map((finding) => findingStep(finding, 'answer')),
      outcomeStep(exchange),
    ],
  };
}

function findingStep(
  { rule, policy, direction, action, path, entity, count, observed }: Finding,
  step: string,
): JsonObject {
  const did = observed === true ? `would ${action} (it only observes)` : action;
  const where = direction === 'input' ? 'the call' : 'the answer';
  const times = count === 1 ? '' : ` ${count} times`;
  return {
    step,
    rule,
    policy,
    action: observed === true ? 'observe' : action,
    path,
    saw: entity,
    why: `${policy} rule ${rule} saw ${entity} in ${where} at ${path === '' ? '/' : path}${times}: ${did}`,
  };
}

/** Codes whose reason is the name that the caller sent. */
const NAMING: ReadonlySet<string> = new Set(['name_unknown', 'method_unknown']);

function decisionStep({ decision }: ExchangeRecord): JsonObject {
  const { action, rules, reason = '', code = '' } = decision;
  const by = rules.filter((rule) => rule !== '').join(', ');
  const said = reason === '' || NAMING.has(code) ? '' : `: ${reason}`;
  const why = {
    allow: 'no rule stood against the call',
    hold: `held until people approve it, by ${by}`,
    deny: `denied${by === '' ? '' : ` by ${by}`}${code === '' ? '' : ` with ${code}`}${said}`,
  }[action];
  return { step: 'decision', action, ...(by === '' ? {} : { rule: by }), why };
}

function reviewSteps(review: Review): JsonObject[] {
  const votes = review.votes.map((vote) => ({
    step: 'review',
    action: vote.status,
    why: `${vote.by.subject} ${vote.forced ? 'forced' : 'voted'} ${vote.status} at ${new Date(vote.at).toISOString()}`,
  }));
  return [...votes, { step: 'review', action: review.state, why: `review ${review.id} is ${review.state}` }];
}

function outcomeStep({ outcome, code, heldMs, totalMs }: ExchangeRecord): JsonObject {
  if (outcome === undefined) return { step: 'outcome', why: 'it has not ended' };
  const remedy = code !== undefined && Object.hasOwn(ERRORS, code) ? ERRORS[code as keyof typeof ERRORS].remedy : '';
  const held = heldMs === undefined || heldMs === 0 ? '' : `, of which ${heldMs} ms held`;
  const said = code === undefined ? '' : `; the caller was told ${code}${remedy === '' ? '' : ` (${remedy})`}`;
  return { step: 'outcome', action: outcome, why: `${outcome} after ${totalMs ?? 0} ms${held}${said}` };
}

export const explain: readonly Operation[] = [
  {
    name: 'sessions_explain',
    sentence:
      'Explains one recorded exchange: each rule that spoke and where, what was decided, who approved, how it ended.',
    role: 'any',
    readOnly: true,
    destructive: false,
    rest: { method: 'GET', path: '/api/exchanges/:id' },
    input: {
      type: 'object',
      properties: { id: { type: 'string', minLength: 1, maxLength: 128, description: 'The exchange id.' } },
      required: ['id'],
    },
    output: {
      type: 'object',
      properties: {
        id: { type: 'string' },
        session_id: { type: 'string' },
        who: { type: 'object' },
        connection: { type: 'string' },
        method: { type: 'string' },
        name: { type: 'string' },
        decision: { type: 'string' },
        outcome: { type: 'string' },
        steps: { type: 'array', items: STEP },
      },
      required: ['id', 'session_id', 'who', 'connection', 'method', 'name', 'decision', 'outcome', 'steps'],
    },
    async run(args, { who, parts: { recorder } }) {
      await recorder.settled();
      const own = who.roles.length > 0 ? undefined : { issuer: who.issuer, subject: who.subject };
      const exchange = await recorder.sessions.exchange(args['id'] as string, own);
      const session = exchange && (await recorder.sessions.get(exchange.session));
      if (exchange === undefined || session === undefined) throw new GatewayError('not_found', 'exchange');
      const { subject, issuer, email } = session.principal;
      const owner = { user_id: subject, issuer, user_email: email ?? '' };
      return { ...explained(exchange, await reviewOf(exchange, { issuer, subject }, recorder)), who: owner };
    },
  },
];

/** The review that this exchange asked for, or whose approval it ran with. */
async function reviewOf(
  { id, session, decision }: ExchangeRecord,
  owner: { readonly issuer: string; readonly subject: string },
  { reviews }: { readonly reviews: Reviews },
): Promise<Review | undefined> {
  const run = await reviews.ofSession(session);
  if (run?.exchange === id || run?.executionSession === session) return run;
  if (decision.action !== 'hold') return undefined;
  return (await reviews.list({ owner, limit: MOST_REVIEWS })).find((review) => review.exchange === id);
}
