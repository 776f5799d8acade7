import type { ErrorCode, GatewayError } from '../errors.ts';

export interface ChallengeOptions {
  /** URL of the route's RFC 9728 metadata; absent while OAuth is off. */
  readonly resourceMetadata?: string;
  /** The scopes a client should ask for. */
  readonly scopes: readonly string[];
}

/** RFC 6750 section 3.1. A refusal for want of any token names no error, so that the client simply logs in. */
const OAUTH_ERRORS: Partial<Record<ErrorCode, string>> = {
  token_invalid: 'invalid_token',
  token_malformed: 'invalid_request',
  token_in_query: 'invalid_request',
  scope_insufficient: 'insufficient_scope',
};

/** The WWW-Authenticate value of a refusal (RFC 6750 section 3, RFC 9728 section 5.1). No text in it can end its quotes. */
export function challenge(error: GatewayError, { resourceMetadata, scopes }: ChallengeOptions): string {
  const parameters: string[] = [];
  const oauthError = OAUTH_ERRORS[error.code];
  if (oauthError !== undefined) parameters.push(`error="${oauthError}"`, `error_description="${plain(error.message)}"`);
  const missing = error.data['scopes'];
  const needed = new Set([...scopes, ...(Array.isArray(missing) ? missing.map(String) : [])].map(word));
  needed.delete('');
  if (needed.size > 0) parameters.push(`scope="${[...needed].join(' ')}"`);
  if (resourceMetadata !== undefined) parameters.push(`resource_metadata="${word(resourceMetadata)}"`);
  return parameters.length === 0 ? 'Bearer' : `Bearer ${parameters.join(', ')}`;
}

/** RFC 6750 section 3: printable ASCII without quote and backslash. */
function plain(text: string): string {
  return text.replace(/"/g, "'").replace(/[^\x20-\x5b\x5d-\x7e]/g, ' ');
}

/** RFC 6749 section 3.3: the same without space, as in a scope or a URL. */
function word(text: string): string {
  return text.replace(/[^\x21\x23-\x5b\x5d-\x7e]/g, '');
}
