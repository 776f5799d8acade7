import { GatewayError } from '../errors.ts';

/** A request's target, of which no two servers can disagree what it names. */
export interface Target {
  /** Exactly as it came. */
  readonly path: string;
  /** Without its question mark, exactly as it came; undefined when there is none. */
  readonly query?: string;
}

const LONGEST = 8192;
// RFC 3986: the characters of a path and of a query.
const PATH = /^(?:\/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*)+$/;
const QUERY = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?[\]|]|%[0-9A-Fa-f]{2})*$/;
// Escapes of what needs none, and escapes of an escape: only one of two readers undoes them.
const NEEDLESS = /%(?:2[de]|3[0-9]|[46][1-9a-f]|[57][0-9a]|5f|7e|25[0-9a-f]{2})/i;
// Of a segment, all escapes undone: slashes, control characters, and dots that climb or that only some servers let climb.
const SPLITS = /[/\\\p{Cc}\p{Cf}]/u;
const CLIMBS = /^\.(?:;|$)|^\.\.|\.\.$|\.\.;/;

/** Throws `path_refused` for a path that two servers could read differently: dot segments, empty ones, escaped slashes and the like. */
export function readTarget(url: string): Target {
  const at = url.indexOf('?');
  const path = at < 0 ? url : url.slice(0, at);
  const query = at < 0 ? undefined : url.slice(at + 1);
  if (url.length > LONGEST) refuse('it is too long');
  if (!PATH.test(path)) refuse('it has characters or escapes that paths do not have');
  if (query !== undefined && !QUERY.test(query)) refuse('its query has characters or escapes that queries do not have');
  if (NEEDLESS.test(path)) refuse('it escapes what needs no escape');
  const segments = path.slice(1).split('/');
  for (const [index, segment] of segments.entries()) {
    if (segment === '' && index < segments.length - 1) refuse('it has an empty segment');
    for (const form of formsOf(segment)) {
      if (SPLITS.test(form)) refuse('it hides a slash or a control character');
      if (CLIMBS.test(form)) refuse('it has a dot segment');
    }
  }
  return query === undefined ? { path } : { path, query };
}

/** Does the path lie at or below the prefix, segment by segment? */
export function isBelow(path: string, prefix: string): boolean {
  return path === prefix || path.startsWith(`${prefix}/`);
}

function formsOf(segment: string): readonly string[] {
  if (!segment.includes('%')) return [segment];
  let decoded;
  try {
    decoded = decodeURIComponent(segment);
  } catch {
    // Overlong and broken UTF-8 is how slashes were hidden once.
    return refuse('its escapes are not UTF-8');
  }
  return [decoded, decoded.normalize('NFKC')];
}

function refuse(detail: string): never {
  throw new GatewayError('path_refused', detail);
}
