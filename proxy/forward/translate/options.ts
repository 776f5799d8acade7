import type { FrameLimits } from '../../wire/frame.ts';
import type { ParamHeader } from '../../wire/param-headers.ts';

/** What a face needs of the gateway around it. */
export interface FaceOptions {
  /** Largest message, bytes. */
  readonly messageSize: number;
  readonly limits: FrameLimits;
  /** The mirrored parameters of a tool; `fresh` asks the upstream again. */
  readonly params: (tool: string, fresh: boolean) => Promise<readonly ParamHeader[]>;
  readonly now: () => number;
  /** The upstream is one channel for all calls of a session, which does not tell whose a question is. */
  readonly channel?: boolean;
}
