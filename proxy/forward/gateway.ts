import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { Json, JsonObject } from '../../policies/types.ts';
import { OPERATIONS, findOperation } from '../admin/operations.ts';
import type { Operation, OperationParts } from '../admin/operation.ts';
import { toolDefinition } from '../admin/tool.ts';
import { mayRun } from '../decide.ts';
import { GatewayError } from '../errors.ts';
import { member } from '../wire/member.ts';
import type { Frame } from '../types.ts';
import { LEGACY_VERSIONS, MODERN_VERSIONS } from '../wire/era.ts';
import { errorFrame, notificationFrame, resultFrame } from '../wire/frame.ts';
import { encodeEvent, type SseEvent } from '../wire/sse.ts';
import type { Caller, Outgoing, Upstream, UpstreamAnswer } from './upstream.ts';

const SERVER = { name: 'portcullis', version: '1' };

/** The gateway's own MCP server as a connection like any other: its tools are the table of operations. Stateless. */
export function createGatewayUpstream(parts: OperationParts): Upstream {
  const ajv = new Ajv2020({ allErrors: false, strict: true, useDefaults: false });
  const validators = new Map<string, ValidateFunction>(
    OPERATIONS.map((operation) => [operation.name, ajv.compile({ ...operation.input, additionalProperties: false })]),
  );
  return {
    async send(outgoing) {
      const { frame, caller } = outgoing;
      if (frame === undefined) return { status: 405, mode: 'empty' };
      if (frame.kind !== 'request') return { status: 202, mode: 'empty' };
      switch (frame.method) {
        case 'initialize':
          return json(frame, initializeResult(frame));
        case 'server/discover':
          return json(
            frame,
            modern(caller, {
              supportedVersions: [...MODERN_VERSIONS],
              capabilities: { tools: {} },
              ttlMs: 0,
              cacheScope: 'private',
            }),
          );
        case 'ping':
          return json(frame, {});
        case 'tools/list':
          return json(frame, modern(caller, listTools(caller)));
        case 'tools/call':
          return callTool(outgoing, frame, validators, parts);
        default:
          return {
            status: 200,
            mode: 'json',
            body: errorFrame(frame.id, { code: -32601, message: `method not found: ${frame.method}` }).bytes,
          };
      }
    },
    async close() {},
  };
}

function initializeResult(frame: Frame): JsonObject {
  const asked = member(member(frame.value, 'params'), 'protocolVersion');
  const version = typeof asked === 'string' && LEGACY_VERSIONS.includes(asked) ? asked : LEGACY_VERSIONS[0]!;
  return { protocolVersion: version, capabilities: { tools: {} }, serverInfo: SERVER };
}

function listTools(caller: Caller): JsonObject {
  const tools = OPERATIONS.filter((operation) => mayRun(operation.role, caller.principal)).map((operation) =>
    toolDefinition(operation),
  );
  return { tools, ...(caller.era === 'modern' ? { ttlMs: 0, cacheScope: 'private' } : {}) };
}

function modern(caller: Caller, result: JsonObject): JsonObject {
  return caller.era === 'modern' ? { ...result, resultType: 'complete' } : result;
}

const json = (frame: Frame, result: JsonObject): UpstreamAnswer => ({
  status: 200,
  mode: 'json',
  body: resultFrame(frame.id!, JSON.stringify(result)).bytes,
});

async function callTool(
  outgoing: Outgoing,
  frame: Frame,
  validators: ReadonlyMap<string, ValidateFunction>,
  parts: OperationParts,
): Promise<UpstreamAnswer> {
  const { call } = outgoing.caller;
  const operation = findOperation(call.name);
  const validate = validators.get(call.name);
  if (operation === undefined || validate === undefined) throw new GatewayError('name_unknown', `tool: ${call.name}`);
  if (!validate(call.arguments)) throw new GatewayError('arguments_invalid', ajvSentence(validate));
  const token = member(member(member(frame.value, 'params'), '_meta'), 'progressToken');
  if (token === undefined) {
    const result = await run(operation, outgoing, parts, () => undefined);
    return { status: 200, mode: 'json', body: resultFrame(frame.id!, JSON.stringify(result)).bytes };
  }
  return { status: 200, mode: 'sse', events: withProgress(operation, outgoing, frame, parts, token) };
}

/** The result of an operation as a tool result; its own errors are tool errors, everything else is the caller's. */
async function run(
  operation: Operation,
  { caller, signal }: Outgoing,
  parts: OperationParts,
  progress: (done: number, total: number, message: string) => void,
): Promise<JsonObject> {
  const { principal, arrival, call } = caller;
  try {
    const address = arrival.credentials.address;
    const value = await operation.run(call.arguments as JsonObject, {
      who: principal,
      address,
      parts,
      signal,
      progress,
    });
    return modern(caller, { content: [{ type: 'text', text: JSON.stringify(value) }], structuredContent: value });
  } catch (fault) {
    if (!(fault instanceof GatewayError) || fault.code === 'internal') throw fault;
    const denial = { code: fault.code, ...(fault.data as JsonObject), remedy: fault.row.remedy };
    return modern(caller, {
      content: [{ type: 'text', text: fault.message }],
      isError: true,
      _meta: { 'portcullis/denial': denial },
    });
  }
}

/** A long operation of a client that asked for progress: notifications until the result. */
async function* withProgress(
  operation: Operation,
  outgoing: Outgoing,
  frame: Frame,
  parts: OperationParts,
  progressToken: Json,
): AsyncGenerator<readonly SseEvent[]> {
  let notes: Frame[] = [];
  let wake: (() => void) | undefined;
  const running = run(operation, outgoing, parts, (progress, total, message) => {
    notes.push(
      notificationFrame('notifications/progress', JSON.stringify({ progressToken, progress, total, message })),
    );
    wake?.();
  });
  let done = false;
  const settled = (): void => {
    done = true;
    wake?.();
  };
  running.then(settled, settled);
  while (!done) {
    if (notes.length === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    const batch = notes;
    notes = [];
    if (batch.length > 0) yield batch.map(toEvent);
  }
  yield [toEvent(resultFrame(frame.id!, JSON.stringify(await running)))];
}

const toEvent = (frame: Frame): SseEvent => ({ raw: encodeEvent(frame, {}), data: frame.text });

function ajvSentence(validate: ValidateFunction): string {
  const error = validate.errors?.[0];
  return `${error?.instancePath === '' ? 'arguments' : `arguments${error?.instancePath}`} ${error?.message ?? 'do not fit the schema'}`;
}
