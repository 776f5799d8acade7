import { diffDefinitions, renderDiff } from '../../policies/pins/diff.ts';
import type { Pin } from '../../policies/pins/pin.ts';
import { makeVisible } from '../../policies/pins/visible.ts';
import type { JsonObject } from '../../policies/types.ts';
import { toActor } from '../actor.ts';
import { GatewayError } from '../errors.ts';
import type { Operation, OperationContext } from './operation.ts';

const TEXT = { type: 'string' };
const PIN: JsonObject = {
  type: 'object',
  properties: {
    id: TEXT,
    connection: TEXT,
    kind: TEXT,
    name: TEXT,
    state: TEXT,
    fingerprint: TEXT,
    trusted_fingerprint: TEXT,
  },
  required: ['id', 'connection', 'kind', 'name', 'state', 'fingerprint'],
};
const ID: JsonObject = { type: 'string', minLength: 1, maxLength: 200, description: 'The pin id.' };
const FINGERPRINT: JsonObject = {
  type: 'string',
  pattern: '^[0-9a-f]{64}$',
  description: 'The fingerprint of the definition that was looked at; another one is not decided about.',
};

/** A pin as people see it: everything in it is visible, and nothing of it is a text of the server alone. */
function pinObject(pin: Pin): JsonObject {
  return {
    id: pin.id,
    connection: pin.connection,
    kind: pin.kind,
    name: makeVisible(pin.name),
    state: pin.state,
    fingerprint: (pin.candidate ?? pin.trusted)?.fingerprint ?? '',
    ...(pin.trusted === undefined ? {} : { trusted_fingerprint: pin.trusted.fingerprint }),
    ...(pin.class === undefined ? {} : { class: pin.class }),
    ...(pin.note === undefined ? {} : { note: makeVisible(pin.note) }),
    first_seen: new Date(pin.firstSeen).toISOString(),
    seen_at: new Date(pin.seenAt).toISOString(),
    ...(pin.decidedAt === undefined ? {} : { decided_at: new Date(pin.decidedAt).toISOString() }),
    ...(pin.decidedBy === undefined ? {} : { decided_by: pin.decidedBy }),
  };
}

function withDiff(pin: Pin): JsonObject {
  const { trusted, candidate } = pin;
  const definition = makeVisible((candidate ?? trusted)?.text ?? '');
  if (trusted === undefined || candidate === undefined) return { ...pinObject(pin), definition, changes: [], diff: '' };
  const diff = diffDefinitions(trusted.text, candidate.text);
  const changes = diff.changes.map((change) => ({ ...change, why: [...change.why] }) as JsonObject);
  return { ...pinObject(pin), definition, changes, diff: renderDiff(diff) };
}

async function decide(
  args: JsonObject,
  { who, address, parts }: OperationContext,
  how: 'accept' | 'reject',
): Promise<JsonObject> {
  const { pins } = parts.recorder;
  const id = args['id'] as string;
  const decided = await pins[how](id, args['fingerprint'] as string, toActor(who, address));
  if (decided !== undefined) return pinObject(decided);
  throw new GatewayError((await pins.get(id)) === undefined ? 'not_found' : 'pin_moved', 'pin');
}

const decision = (how: 'accept' | 'reject', sentence: string): Operation => ({
  name: `pins_${how}`,
  sentence,
  role: 'admin',
  readOnly: false,
  destructive: how === 'accept',
  rest: { method: 'POST', path: `/api/pins/:id/${how}` },
  input: { type: 'object', properties: { id: ID, fingerprint: FINGERPRINT }, required: ['id', 'fingerprint'] },
  output: PIN,
  run: (args, context) => decide(args, context, how),
});

export const pins: readonly Operation[] = [
  {
    name: 'pins_list',
    sentence: 'Lists what the tools and servers of connections are known to be.',
    role: 'auditor',
    readOnly: true,
    destructive: false,
    rest: { method: 'GET', path: '/api/pins' },
    input: {
      type: 'object',
      properties: {
        connection: { type: 'string', maxLength: 63, description: 'Only pins of this connection.' },
        state: {
          type: 'string',
          enum: ['trusted', 'pending', 'changed', 'rejected'],
          description: 'Only pins in this state.',
        },
      },
    },
    output: { type: 'object', properties: { items: { type: 'array', items: PIN } }, required: ['items'] },
    async run({ connection, state }, { parts }) {
      const all = await parts.recorder.pins.list(connection as string | undefined);
      return { items: all.filter((pin) => state === undefined || pin.state === state).map(pinObject) };
    },
  },
  {
    name: 'pins_get',
    sentence: 'Shows one pin, with the difference between the trusted definition and the newest one.',
    role: 'auditor',
    readOnly: true,
    destructive: false,
    rest: { method: 'GET', path: '/api/pins/:id' },
    input: { type: 'object', properties: { id: ID }, required: ['id'] },
    output: { ...PIN, required: ['id', 'state', 'definition', 'diff'] },
    async run({ id }, { parts }) {
      const pin = await parts.recorder.pins.get(id as string);
      if (pin === undefined) throw new GatewayError('not_found', 'pin');
      return withDiff(pin);
    },
  },
  decision('accept', 'Trusts the definition with this fingerprint; the tool may be called again.'),
  decision('reject', 'Refuses the definition with this fingerprint; the tool may not be called.'),
];
