import { FILE, SECRET, type Row } from './schema.ts';

const HTTP_UPSTREAM = {
  type: 'object',
  additionalProperties: false,
  required: ['url'],
  properties: {
    url: {
      type: 'string',
      format: 'http-url',
      description: 'The HTTP endpoint of the MCP server.',
    },
    transport: {
      type: 'string',
      enum: ['streamable', 'sse'],
      default: 'streamable',
      description:
        'How the server is spoken to: Streamable HTTP, or the HTTP+SSE transport of 2024-11-05, whose event stream is at the url.',
    },
    ca: {
      ...FILE,
      content: true,
      description:
        "A PEM file of the certificates that may sign the server's certificate, instead of the built-in ones.",
    },
  },
} as const satisfies Row;

const STDIO_UPSTREAM = {
  type: 'object',
  additionalProperties: false,
  required: ['command'],
  properties: {
    command: {
      type: 'array',
      items: { type: 'string', minLength: 1 },
      minItems: 1,
      description:
        'The program that speaks MCP on its standard input and output, and its arguments; no shell reads them.',
    },
    env: {
      type: 'object',
      propertyNames: { type: 'string', pattern: '^[A-Za-z_][A-Za-z0-9_]*$', expected: 'the name of a variable' },
      additionalProperties: SECRET,
      default: {},
      description: 'Environment variables for the program, shown nowhere; each a text or { file: path }.',
    },
    cwd: {
      type: 'string',
      format: 'path',
      description: 'The folder the program runs in; when absent, that of the gateway.',
    },
    process: {
      type: 'string',
      enum: ['session', 'shared'],
      default: 'session',
      description:
        'Whether each session has a process of its own, or all share one, which then may neither ask clients anything nor send them logs.',
    },
  },
} as const satisfies Row;

const NO_CREDENTIAL = {
  type: 'object',
  additionalProperties: false,
  required: ['type'],
  properties: {
    type: {
      type: 'string',
      const: 'none',
      description: 'What proves the gateway to the upstream: none, or static for a fixed header.',
    },
  },
} as const satisfies Row;

const STATIC_CREDENTIAL = {
  type: 'object',
  additionalProperties: false,
  required: ['type', 'value'],
  properties: {
    type: { type: 'string', const: 'static', description: NO_CREDENTIAL.properties.type.description },
    header: {
      type: 'string',
      format: 'header-name',
      default: 'Authorization',
      description: 'The header that carries the credential.',
    },
    value: { ...SECRET, description: "The header's whole value, such as Bearer ${UPSTREAM_TOKEN}, or { file: path }." },
  },
} as const satisfies Row;

const ROUTE = {
  type: 'object',
  additionalProperties: false,
  required: ['methods', 'path'],
  properties: {
    methods: {
      type: 'array',
      items: { type: 'string', enum: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] },
      minItems: 1,
      uniqueItems: true,
      description: 'The HTTP methods that pass: GET, HEAD, POST, PUT, PATCH, DELETE.',
    },
    path: {
      type: 'string',
      pattern: '^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$',
      maxLength: 200,
      expected: 'a path such as /files, without a slash at its end',
      description: 'The path, which covers everything below it too: /files and /files/a, but not /filesystem.',
    },
  },
} as const satisfies Row;

const CONNECTION = {
  type: 'object',
  additionalProperties: false,
  required: ['name', 'upstream'],
  properties: {
    name: {
      type: 'string',
      pattern: '^[a-z0-9][a-z0-9-]{0,62}$',
      expected: '1 to 63 lower-case letters, digits and hyphens, the first no hyphen',
      description:
        'The name in the URL /mcp/<name> and in rules; /mcp serves the connection default, or the only one there is.',
    },
    type: {
      type: 'string',
      enum: ['database', 'application', 'custom'],
      default: 'custom',
      description: 'What kind of system stands behind the server.',
    },
    upstream: {
      oneOf: [HTTP_UPSTREAM, STDIO_UPSTREAM],
      description: 'The MCP server: a url, or a command that the gateway runs.',
    },
    credential: {
      oneOf: [NO_CREDENTIAL, STATIC_CREDENTIAL],
      default: { type: 'none' },
      description: "What the gateway shows the upstream instead of the caller's token, which is never passed on.",
    },
    access: {
      type: 'object',
      live: true,
      additionalProperties: false,
      required: ['groups'],
      properties: {
        groups: {
          type: 'array',
          items: { type: 'string', minLength: 1 },
          minItems: 1,
          uniqueItems: true,
          description: 'The groups whose members see the connection.',
        },
      },
      description: 'Who sees the connection; without it, administrators only.',
    },
    attributes: {
      type: 'array',
      live: true,
      items: { type: 'string', minLength: 1 },
      uniqueItems: true,
      default: [],
      description: 'Words by which rules may name this connection and others like it.',
    },
    elicitation: {
      type: 'object',
      live: true,
      additionalProperties: false,
      properties: {
        url_hosts: {
          type: 'array',
          items: {
            type: 'string',
            pattern: '^[a-z0-9*?._-]+$',
            expected: 'a host in lower case, in which * is any text and ? any character',
          },
          minItems: 1,
          uniqueItems: true,
          description:
            'The hosts that the server may send people to, by URLs and by links in forms; when absent, any whose name is not in punycode.',
        },
        secret_fields: {
          type: 'string',
          enum: ['refuse', 'allow'],
          default: 'refuse',
          description: 'Whether forms of the server may ask people for passwords, keys, card numbers and the like.',
        },
      },
      description: 'What the server may ask of people by elicitation.',
    },
    schema_validation: {
      type: 'string',
      live: true,
      enum: ['enforce', 'observe', 'off'],
      default: 'off',
      description:
        "What becomes of calls whose arguments do not fit the tool's own input schema: enforce refuses them, observe records them; both read the server's tool list.",
    },
    pins: {
      type: 'object',
      live: true,
      default: {},
      additionalProperties: false,
      properties: {
        mode: {
          type: 'string',
          enum: ['off', 'alert', 'block'],
          default: 'alert',
          description:
            'What becomes of a tool whose definition is not the trusted one: alert records it and tells the log; block also leaves it out of lists and refuses its calls.',
        },
        first_sight: {
          type: 'string',
          enum: ['trust_first', 'require_review'],
          default: 'trust_first',
          description:
            'What becomes of a tool that was never seen: trust_first trusts it, require_review refuses it until an administrator accepts it.',
        },
        max_age: {
          type: 'string',
          format: 'time-span',
          default: '5s',
          description:
            'How old the tool list may be by which a call is judged, where pins can refuse it; 0s reads it for every call.',
        },
      },
      description: 'What becomes of tools that change.',
    },
    timeout: {
      type: 'string',
      format: 'time-span',
      least: '1s',
      default: '10m',
      description: 'How long the upstream may take to answer a call.',
    },
    methods: {
      type: 'array',
      items: {
        type: 'string',
        pattern: '^[A-Za-z0-9_$.-]+(/[A-Za-z0-9_$.-]+)*$',
        expected: 'a JSON-RPC method, such as vendor/action',
      },
      uniqueItems: true,
      default: [],
      description: 'JSON-RPC methods beyond those of the protocol that may pass, each exactly as written.',
    },
    era: {
      type: 'string',
      enum: ['auto', 'passthrough', 'translate'],
      default: 'auto',
      description:
        'What happens when client and server speak different eras of the protocol: auto translates for sessions (up to 2025-11-25) in front of a server that speaks 2026-07-28 only; translate also does the reverse; passthrough never translates.',
    },
    routes: {
      type: 'array',
      items: ROUTE,
      default: [],
      description:
        'Paths of the server besides MCP that pass through, under the same path; bodies are not inspected, so rules that would have to read one close them.',
    },
    inspect: {
      type: 'string',
      enum: ['stream', 'whole'],
      default: 'stream',
      description:
        'Whether the messages of an answer are inspected and passed on one by one, or held until all are complete.',
    },
  },
} as const satisfies Row;

/** `connections`: the MCP servers that the gateway governs. */
export const CONNECTIONS = {
  type: 'array',
  description: 'The MCP servers that the gateway governs.',
  minItems: 1,
  items: CONNECTION,
} as const satisfies Row;
