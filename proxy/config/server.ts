import type { Row } from './schema.ts';

/** `server`: where the gateway listens and whom it answers. */
export const SERVER = {
  type: 'object',
  description: 'Where the gateway listens and whom it answers.',
  default: {},
  additionalProperties: false,
  properties: {
    listen: {
      type: 'string',
      format: 'listen-address',
      default: '127.0.0.1:8800',
      description: 'The address and port to listen on; 0.0.0.0 or an empty address means every address of the machine.',
    },
    public_url: {
      type: 'string',
      format: 'origin',
      description:
        'The URL by which clients reach the gateway, used in review links and as the audience of tokens; when absent it follows from server.listen.',
    },
    allowed_origins: {
      type: 'array',
      live: true,
      items: { type: 'string', format: 'origin' },
      uniqueItems: true,
      default: [],
      description:
        'Web sites whose scripts may call the gateway; the origin of server.public_url always may, others are refused.',
    },
    allowed_hosts: {
      type: 'array',
      items: { type: 'string', format: 'host-name' },
      uniqueItems: true,
      default: [],
      description:
        'Further hosts that the Host header may name; the host of server.public_url always may, and loopback names when server.listen is loopback.',
    },
    message_size: {
      type: 'string',
      format: 'byte-size',
      least: '1KB',
      default: '16MB',
      description: 'The largest single message that is judged, in either direction; larger ones are refused.',
    },
    max_in_flight: {
      type: 'integer',
      minimum: 1,
      maximum: 1_000_000,
      default: 1024,
      description: 'How many messages may be in flight at once; further ones are refused with 503.',
    },
    body_timeout: {
      type: 'string',
      format: 'time-span',
      least: '1s',
      default: '30s',
      description: 'How long a client may take to send the body of a request.',
    },
    keep_alive: {
      type: 'string',
      format: 'time-span',
      least: '1s',
      default: '15s',
      description: 'How long an event stream may be silent before a comment is sent that keeps its connection open.',
    },
    grace: {
      type: 'string',
      format: 'time-span',
      default: '10s',
      description: 'How long calls in flight may take to end when the gateway is told to stop.',
    },
    max_sessions_per_caller: {
      type: 'integer',
      minimum: 1,
      maximum: 100_000,
      default: 10_000,
      description:
        'How many sessions (Mcp-Session-Id) one caller may have open, of 100000 in all; further ones are refused with 503.',
    },
    max_streams_per_caller: {
      type: 'integer',
      minimum: 1,
      maximum: 1_000_000,
      default: 2000,
      description: 'How many streams for listening one caller may have open; further ones are refused with 503.',
    },
    session_idle: {
      type: 'string',
      format: 'time-span',
      least: '1s',
      default: '30m',
      description:
        'How long a session (Mcp-Session-Id) may be silent before it ends, here and at the upstream; open streams and calls in flight keep it alive.',
    },
    replicas: {
      type: 'boolean',
      default: false,
      description:
        'Whether several gateways with the same keys serve one address without sticky routing: answers and cancellations of a session then pass also when another of them saw the question or the call.',
    },
    trusted_proxies: {
      type: 'array',
      items: { type: 'string', format: 'network' },
      uniqueItems: true,
      default: [],
      description:
        'Addresses or networks of proxies in front of the gateway whose X-Forwarded-For is believed; all others are ignored.',
    },
  },
} as const satisfies Row;
