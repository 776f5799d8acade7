import type { JsonObject } from '../../policies/types.ts';
import type { Review } from '../../recorder/types.ts';
import type { Execution, OperationContext } from './operation.ts';

const INLINE_MS = 50_000;

/** Runs an approved call and waits for it up to 50 s; after that it goes on and the envelope says `running`. */
export async function executionEnvelope(review: Review, context: OperationContext): Promise<JsonObject> {
  const { parts, who, address, signal } = context;
  const startedAt = parts.now();
  const running = parts.execute(review.id, who, address);
  // Whoever stops waiting does not stop the run; a late fault is on record already.
  running.catch(() => undefined);
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, INLINE_MS, undefined);
    signal.on(() => resolve(undefined));
  });
  const execution = await Promise.race([running, patience]).finally(() => clearTimeout(timer));
  if (execution === undefined) {
    return {
      status: 'running',
      review_id: review.id,
      session_id: '',
      message: 'execution still running after 50s',
      next_step: `Call reviews_get with id "${review.id}" until its status is EXECUTED, then repeat the identical call to receive the result once.`,
    };
  }
  return completed(execution, review, parts.now() - startedAt);
}

function completed({ session, value }: Execution, review: Review, elapsed: number): JsonObject {
  const result = value?.['result'] as { isError?: unknown; content?: unknown } | undefined;
  const error = value?.['error'] as { message?: unknown } | undefined;
  const blocks = Array.isArray(result?.content) ? (result.content as { text?: unknown }[]) : [];
  const text = blocks.map((block) => (typeof block.text === 'string' ? block.text : '')).join('\n');
  const exitCode = value === undefined ? -2 : error !== undefined || result?.isError === true ? 1 : 0;
  return {
    status: exitCode === 0 ? 'completed' : 'failed',
    review_id: review.id,
    session_id: session,
    output: error === undefined ? text : String(error.message),
    output_status: exitCode === 0 ? 'success' : 'failed',
    exit_code: exitCode,
    execution_time_ms: elapsed,
    has_review: true,
    ...(result === undefined ? {} : { result: result as JsonObject }),
  };
}
