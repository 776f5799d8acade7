import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError } from '../errors.ts';
import type { Era, Frame } from '../types.ts';
import { objectMember } from './frame.ts';
import { repeatedMcpHeader } from './mcp-headers.ts';
import { checkStandardHeaders } from './mirrored.ts';

export { knownMethod } from './methods.ts';

export const MODERN_VERSIONS: readonly string[] = ['2026-07-28'];
/** Newest first. */
export const LEGACY_VERSIONS: readonly string[] = ['2025-11-25', '2025-06-18', '2025-03-26'];
/** A server of 2024-11-05 may be negotiated behind a newer transport; clients then name it in the header. */
const NAMED_VERSIONS: ReadonlySet<string> = new Set([...LEGACY_VERSIONS, '2024-11-05']);

const VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';
const CAPABILITIES_KEY = 'io.modelcontextprotocol/clientCapabilities';

export interface Classified {
  readonly era: Era;
  /** Modern: the request's version. Legacy: what the header names, if it came. */
  readonly version?: string;
}

/**
 * The era of one posted message: the body decides, the headers must agree (PROTOCOL 1.5, 1.6). What it returns as
 * modern carries a whole envelope, a served version and mirrored headers equal to the body; everything else that
 * claims to be modern is refused.
 */
export function classify(frame: Frame, headers: IncomingHttpHeaders, rawHeaders: readonly string[] = []): Classified {
  const header = headers['mcp-protocol-version'];
  const named = typeof header === 'string' ? header.trim() : undefined;
  const repeated = repeatedMcpHeader(rawHeaders);
  if (frame.kind === 'response') {
    if (named !== undefined && MODERN_VERSIONS.includes(named)) {
      throw new GatewayError('invalid_request', `clients of ${named} send no responses`);
    }
    return legacy(named, repeated);
  }

  const meta = objectMember(objectMember(frame.value, 'params'), '_meta');
  const enveloped = meta !== undefined && Object.hasOwn(meta, VERSION_KEY);
  const inHeader = named !== undefined && MODERN_VERSIONS.includes(named);
  if (frame.method === 'initialize' && !(enveloped && envelopeFault(meta) === undefined)) {
    if (inHeader) throw new GatewayError('header_mismatch', 'MCP-Protocol-Version names a revision without initialize');
    return legacy(named, repeated);
  }
  if (!enveloped && !inHeader) return legacy(named, repeated);
  if (repeated !== undefined) throw new GatewayError('header_mismatch', `${repeated} came more than once`);

  const claimed = enveloped ? meta[VERSION_KEY] : undefined;
  const isRequest = frame.kind === 'request';
  if (
    typeof claimed === 'string'
      ? (isRequest || named !== undefined) && claimed !== named
      : enveloped && named === undefined
  ) {
    throw new GatewayError('header_mismatch', 'MCP-Protocol-Version must be the protocolVersion of _meta');
  }
  const fault = isRequest
    ? envelopeFault(meta)
    : enveloped && typeof claimed !== 'string'
      ? 'protocolVersion must be a string'
      : undefined;
  if (fault !== undefined) throw new GatewayError('envelope_invalid', fault);
  const version = typeof claimed === 'string' ? claimed : (named as string);
  if (!MODERN_VERSIONS.includes(version)) throw unsupported(version);
  checkStandardHeaders(frame, headers);
  return { era: 'modern', version };
}

/**
 * The version that the header of a session operation (GET, DELETE) names; refused when it is no revision with sessions
 * (S-12).
 */
export function sessionVersion(headers: IncomingHttpHeaders, rawHeaders: readonly string[] = []): string | undefined {
  const header = headers['mcp-protocol-version'];
  const named = typeof header === 'string' ? header.trim() : undefined;
  if (named !== undefined && MODERN_VERSIONS.includes(named))
    throw new GatewayError('method_not_allowed', `${named} has no sessions`);
  return legacy(named, repeatedMcpHeader(rawHeaders)).version;
}

function legacy(named: string | undefined, repeated: string | undefined): Classified {
  if (repeated !== undefined) throw new GatewayError('invalid_request', `${repeated} came more than once`);
  if (named === undefined) return { era: 'legacy' };
  if (!NAMED_VERSIONS.has(named)) throw new GatewayError('version_invalid', shown(named));
  return { era: 'legacy', version: named };
}

function envelopeFault(meta: ReturnType<typeof objectMember>): string | undefined {
  if (meta === undefined || !Object.hasOwn(meta, VERSION_KEY)) return 'protocolVersion is missing';
  if (typeof meta[VERSION_KEY] !== 'string') return 'protocolVersion must be a string';
  return objectMember(meta, CAPABILITIES_KEY) === undefined ? 'clientCapabilities must be an object' : undefined;
}

function unsupported(requested: string): GatewayError {
  return new GatewayError('version_unsupported', shown(requested), {
    data: { supported: MODERN_VERSIONS, requested: requested.slice(0, 64) },
  });
}

/** A peer's words in our sentence: short and without surprises. */
const shown = (value: string): string => value.slice(0, 64).replace(/[^\x20-\x7e]/g, '?');
