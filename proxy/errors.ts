/** The one table of errors: every refusal a client can meet. docs/errors.md is compared with it. */

export interface ErrorRow {
  /** JSON-RPC code: the specification's own for protocol faults, positive integers for ours. */
  readonly rpc: number;
  /** HTTP status of the refusal. Policy says no with 200: another 4xx makes dual-era clients fall back. */
  readonly http: number;
  /** What is wrong and what was expected; `%s` takes the detail. */
  readonly sentence: string;
  /** What the agent or its operator can do next. */
  readonly remedy: string;
}

const row = (rpc: number, http: number, sentence: string, remedy: string): ErrorRow => ({
  rpc,
  http,
  sentence,
  remedy,
});

export const ERRORS = {
  // Identity
  token_missing: row(401, 401, 'no bearer token in the Authorization header', 'send Authorization: Bearer <token>'),
  token_invalid: row(401, 401, 'the bearer token was not accepted: %s', 'obtain a new access token for this gateway'),
  token_malformed: row(
    401,
    400,
    'the Authorization header is malformed: %s',
    'send exactly one Authorization: Bearer <token>',
  ),
  token_in_query: row(
    401,
    401,
    'tokens in the query string are not accepted',
    'send the token in the Authorization header',
  ),
  scope_insufficient: row(403, 403, 'the token lacks a required scope: %s', 'request a token with the named scopes'),
  identity_unavailable: row(503, 503, 'the identity provider cannot be asked: %s', 'retry later'),
  // Transport
  origin_refused: row(
    403,
    403,
    'the Origin header names a site that is not allowed',
    'add the origin to server.allowed_origins',
  ),
  host_refused: row(
    421,
    421,
    'the Host header names a host this gateway does not serve',
    'use a host of server.public_url or server.allowed_hosts',
  ),
  route_unknown: row(404, 404, 'no such route: %s', 'use /mcp or /mcp/<connection>'),
  method_not_allowed: row(405, 405, 'the HTTP method is not served here: %s', 'use POST'),
  media_type: row(
    415,
    415,
    'the body must be uncompressed application/json in UTF-8: %s',
    'send Content-Type: application/json without Content-Encoding',
  ),
  not_acceptable: row(
    406,
    406,
    'the Accept header must list application/json and text/event-stream',
    'send Accept: application/json, text/event-stream',
  ),
  too_large: row(-32600, 413, 'the message is larger than %s', 'send less, or raise server.message_size'),
  too_busy: row(503, 503, 'too many messages are in flight', 'retry after a second'),
  too_many_sessions: row(
    503,
    503,
    'there are too many sessions, of all callers or of this one',
    'end sessions that are no longer used with DELETE',
  ),
  too_many_streams: row(
    503,
    503,
    'this caller has too many streams for listening open',
    'close streams that are no longer read',
  ),
  body_timeout: row(408, 408, 'the body did not arrive in time', 'send the body at once'),
  // Frames
  parse_error: row(-32700, 400, 'the body is not one JSON text: %s', 'send one strict JSON-RPC 2.0 message'),
  invalid_request: row(
    -32600,
    400,
    'the message is not a JSON-RPC 2.0 message: %s',
    'send one strict JSON-RPC 2.0 message',
  ),
  header_mismatch: row(-32020, 400, 'a header disagrees with the body: %s', 'make the MCP headers equal to the body'),
  envelope_invalid: row(
    -32602,
    400,
    'the request envelope in _meta is incomplete: %s',
    'send protocolVersion and clientCapabilities in params._meta',
  ),
  version_unsupported: row(
    -32022,
    400,
    'the protocol version is not served here: %s',
    'use one of the supported versions',
  ),
  version_invalid: row(
    -32600,
    400,
    'the MCP-Protocol-Version header is not a known revision: %s',
    'send the negotiated version',
  ),
  method_unknown: row(-32601, 200, 'method not found: %s', 'use a method of the negotiated revision'),
  session_missing: row(-32600, 400, 'the Mcp-Session-Id header is missing', 'send the id of the initialize response'),
  session_unknown: row(-32001, 404, 'session not found', 'initialize a new session'),
  duplicate_request: row(
    -32600,
    400,
    'a request with this id is already in flight on this session',
    'use a new id for each request',
  ),
  body_refused: row(400, 400, 'a request with this method has no body here: %s', 'send it without a body'),
  path_refused: row(
    400,
    400,
    'the path is written so that servers read it differently: %s',
    'write the path without dot segments, empty segments and needless escapes',
  ),
  // Policy
  connection_unknown: row(404, 404, 'connection not found or not accessible', 'ask an administrator for access'),
  name_unknown: row(-32602, 200, 'Unknown %s', 'list what is offered and use one of those names'),
  request_state_invalid: row(
    -32602,
    200,
    'the requestState was not made for this request, or is no longer valid',
    'send the request again without requestState',
  ),
  task_unknown: row(
    -32602,
    200,
    'unknown task',
    'use the id of a task that a call of yours made, and that is still kept',
  ),
  params_invalid: row(-32602, 200, 'invalid params: %s', 'send params that fit the method'),
  capability_missing: row(
    -32021,
    400,
    'the request did not declare a client capability that it needs: %s',
    'declare the capability in the request, if the client has it',
  ),
  access_denied: row(1001, 200, 'this call is not allowed: %s', 'ask an administrator for access'),
  guardrail_blocked: row(
    1002,
    200,
    '%s',
    'change the call so that it no longer breaks the rule; do not try to evade it',
  ),
  output_blocked: row(1003, 200, '%s', 'narrow the call so that the answer no longer holds what the rule forbids'),
  inspection_failed: row(
    1004,
    200,
    'the answer could not be inspected and was withheld',
    'report the exchange id to an administrator',
  ),
  server_request_blocked: row(
    1005,
    200,
    'the upstream server may not ask this of the client: %s',
    'do without it, or ask an administrator to allow it',
  ),
  route_uninspected: row(
    1006,
    200,
    'this route is closed because of the rules of its connection: %s',
    'use the tools of the server, or ask an administrator',
  ),
  arguments_schema: row(
    1020,
    200,
    'the arguments do not fit the input schema of the tool: %s',
    'read the input schema of the tool in tools/list, then repeat the call with arguments that fit it',
  ),
  schema_unusable: row(
    1021,
    200,
    'the arguments cannot be compared with the input schema of the tool, and this connection lets no other call pass',
    'ask an administrator',
  ),
  rate_limited: row(1041, 200, '%s', 'wait as long as data.retry_after says, then repeat the call'),
  concurrency_limited: row(1042, 200, '%s', 'wait until a call that runs has ended, then repeat the call'),
  budget_spent: row(1043, 200, '%s', 'tell the user that the budget is spent'),
  loop_detected: row(1044, 200, '%s', 'do not repeat this call; change it, or tell the user that it leads nowhere'),
  placeholder_unknown: row(
    1030,
    200,
    'a placeholder in the arguments stands for nothing in this session: it is of another session, or expired',
    'get the data again, then repeat the call with the placeholder that the answer holds now',
  ),
  tool_changed: row(1030, 200, 'the tool or its server is not what was trusted', 'ask an administrator to review it'),
  tool_unreviewed: row(1031, 200, 'nobody has accepted this tool yet', 'ask an administrator to review it'),
  // Approval
  review_pending: row(
    1101,
    200,
    'approval required before this execution can run',
    'wait for the review, then repeat the identical call',
  ),
  review_rejected: row(1102, 200, 'the reviewers rejected this call%s', 'do not repeat the call; ask the reviewer'),
  review_expired: row(1103, 200, 'nobody approved this call in time', 'repeat the call to ask again'),
  review_spent: row(
    1104,
    200,
    'the approval of this call was already used by another identical request',
    'repeat the call to ask again',
  ),
  review_not_found: row(1105, 200, 'review not found', 'use the review_id of the pending answer'),
  review_wrong_state: row(1106, 200, 'review is in wrong state: %s', 'read the review again'),
  review_not_eligible: row(1107, 200, 'not eligible for review', 'ask a member of the reviewers groups'),
  review_self_approval: row(1108, 200, 'unable to self approve review', 'ask another member of the reviewers groups'),
  too_many_held: row(
    1109,
    200,
    'too many of your calls are waiting for approval already',
    'wait until some of them are decided',
  ),
  // Upstream
  upstream_unreachable: row(1201, 200, 'the upstream server could not be reached%s', 'retry later'),
  upstream_lost: row(
    1202,
    200,
    'the upstream server broke off before it answered; the call may have run',
    'check its effect before you repeat it',
  ),
  upstream_refused: row(
    1203,
    200,
    'the upstream server refused the gateway: %s',
    'report the exchange id to an administrator',
  ),
  upstream_invalid: row(
    1204,
    200,
    'the upstream server sent something that is not MCP: %s',
    'report the exchange id to an administrator',
  ),
  upstream_timeout: row(
    1205,
    200,
    'the upstream server did not answer within %s; the call may have run',
    'check its effect before you repeat it',
  ),
  credential_unavailable: row(
    1206,
    200,
    'the credential for the upstream cannot be read',
    'report the exchange id to an administrator',
  ),
  // Record
  record_unavailable: row(1301, 200, 'the call cannot be recorded, so it was not made', 'retry later'),
  record_lost: row(
    1302,
    200,
    'the call was made but its outcome cannot be recorded, so the answer is withheld',
    'check its effect before you repeat it',
  ),
  // Gateway operations
  arguments_invalid: row(-32602, 200, 'invalid arguments: %s', 'send arguments that fit the input schema'),
  admin_required: row(1401, 200, 'admin access required', 'ask an administrator'),
  auditor_required: row(1402, 200, 'admin or auditor access required', 'ask an administrator'),
  not_found: row(1403, 200, '%s not found', 'list what exists and use one of those ids'),
  pin_moved: row(1404, 200, 'this is not the newest definition of the %s', 'look again and decide about what it shows'),
  internal: row(-32603, 500, 'internal error', 'report the exchange id to an administrator'),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

/** A refusal with a row of the table. `message` may be sent to the client; `cause` is for the log only. */
export class GatewayError extends Error {
  readonly code: ErrorCode;
  readonly row: ErrorRow;
  /** Extra members for the JSON-RPC error's data. */
  readonly data: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, detail = '', options: { cause?: unknown; data?: Record<string, unknown> } = {}) {
    super(
      ERRORS[code].sentence.replace('%s', () => detail),
      { cause: options.cause },
    );
    this.name = 'GatewayError';
    this.code = code;
    this.row = ERRORS[code];
    this.data = options.data ?? {};
  }
}
