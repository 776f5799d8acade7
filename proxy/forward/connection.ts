import type { Era } from '../types.ts';
import type { Passage } from './passage.ts';
import type { Upstream } from './upstream.ts';

/** A named upstream MCP server. */
export interface Connection {
  readonly name: string;
  readonly upstream: Upstream;
  /** The way to its other routes, where some are configured. */
  readonly passage?: Passage;
  readonly transport: 'http' | 'stdio' | 'gateway';
  /** How long an answer may take to begin. */
  readonly timeoutMs: number;
  /** Answers are held until complete instead of being passed on message by message. */
  readonly whole: boolean;
  /** Takes the connection's own secrets out of what its upstream says. */
  readonly scrub: (json: string) => string;
  /** JSON-RPC methods outside the specification that may pass. */
  readonly methods: readonly string[];
  /** Eras the transport can carry at all, whatever the server says. */
  readonly eras: readonly Era[];
  /** What happens when client and upstream are of different eras (docs/protocol.md). */
  readonly era: 'auto' | 'passthrough' | 'translate';
  /** The upstream as seen by clients of the era that it does not speak itself. */
  readonly faces: Readonly<Record<Era, Upstream>>;
}
