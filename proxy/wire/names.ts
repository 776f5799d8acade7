/** Members that JSON-RPC and MCP read at the top of a message. */
export const ENVELOPE = ['jsonrpc', 'id', 'method', 'params', 'result', 'error'] as const;

/** Members that some method of some revision reads in `params`. What lies under them is the method's own content. */
const PARAMS = [
  'name',
  'arguments',
  'uri',
  '_meta',
  'cursor',
  'requestState',
  'inputResponses',
  'taskId',
  'task',
  'ref',
  'argument',
  'context',
  'level',
  'requestId',
  'reason',
  'progressToken',
  'progress',
  'total',
  'message',
  'protocolVersion',
  'capabilities',
  'clientInfo',
  'notifications',
  'mode',
  'url',
  'elicitationId',
  'requestedSchema',
  'messages',
  'systemPrompt',
  'includeContext',
  'maxTokens',
  'modelPreferences',
  'tools',
  'toolChoice',
  'data',
  'logger',
];

/** Members of `_meta` by which a message says what it is. */
const META = [
  ...[
    'protocolVersion',
    'clientCapabilities',
    'clientInfo',
    'serverInfo',
    'logLevel',
    'subscriptionId',
    'related-task',
  ].map((name) => `io.modelcontextprotocol/${name}`),
  'progressToken',
];

/**
 * What lenient readers may take a key for: compatibility forms, case, accents, invisible characters, spaces and the
 * separators by which camelCase becomes snake_case are all folded away.
 */
export function fold(key: string): string {
  return key
    .normalize('NFKD')
    .replace(/[\p{M}\p{C}\p{Z}\p{Default_Ignorable_Code_Point}_-]/gu, '')
    .toUpperCase()
    .toLowerCase();
}

/** The reserved names of one place of a message. */
export class Names {
  readonly #exact: ReadonlySet<string>;
  readonly #folded: ReadonlySet<string>;
  /** Keys already judged, because the same ones come with every message. */
  readonly #known = new Map<string, boolean>();

  constructor(names: readonly string[]) {
    this.#exact = new Set(names);
    this.#folded = new Set(names.map(fold));
  }

  /** Whether a lenient reader may take the key for a reserved name that it is not. */
  mimics(key: string): boolean {
    if (this.#exact.has(key)) return false;
    let answer = this.#known.get(key);
    if (answer === undefined) {
      answer = this.#folded.has(fold(key));
      if (key.length <= 64 && this.#known.size < 1000) this.#known.set(key, answer);
    }
    return answer;
  }
}

export const ENVELOPE_NAMES: Names = new Names(ENVELOPE);
export const PARAMS_NAMES: Names = new Names(PARAMS);
export const META_NAMES: Names = new Names(META);
