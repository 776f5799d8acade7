import type { Outcome } from '../recorder/types.ts';
import { GatewayError, type ErrorCode } from './errors.ts';
import type { Gateway } from './gateway.ts';
import { challenge } from './identity/challenge.ts';
import type { Arrival, Frame } from './types.ts';
import { FrameFault } from './wire/frame.ts';

/** Headers of a refusal: which methods there are; how to authenticate, where a different token would help. */
export function challengeHeaders(
  error: GatewayError,
  arrival: Arrival,
  gateway: Gateway,
): Readonly<Record<string, string>> {
  if (error.code === 'method_not_allowed') return { allow: 'POST, GET, DELETE' };
  if (error.row.http !== 401 && error.code !== 'scope_insufficient') return {};
  return { 'www-authenticate': challenge(error, gateway.challengeFor(arrival.route)) };
}

/** The id that a refusal echoes: only a request has one; a refused answer of the client must not look like an answer to it. */
export function idOf(frame: Frame | undefined, fault: unknown): string | undefined {
  if (frame === undefined) return fault instanceof FrameFault ? fault.id : undefined;
  return frame.kind === 'request' ? frame.id : undefined;
}

/** How an exchange ended that this error ended. */
export function outcomeOf(code: ErrorCode): Outcome {
  switch (code) {
    case 'review_pending':
      return 'pending';
    case 'upstream_unreachable':
    case 'credential_unavailable':
      return 'unreachable';
    case 'upstream_lost':
    case 'upstream_timeout':
    case 'record_lost':
      return 'unknown';
    case 'internal':
    case 'upstream_invalid':
    case 'upstream_refused':
    case 'session_unknown':
      return 'failed';
    default:
      return 'denied';
  }
}
