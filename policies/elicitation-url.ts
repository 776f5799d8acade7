import { compileGlobs } from './glob.ts';

/** Hosts that people may be sent to. */
export interface Hosts {
  /** Is there a list at all? */
  readonly listed: boolean;
  allows(host: string): boolean;
}

/** Patterns are compared with host names in lower case; without a list every host is allowed whose name is plain. */
export function compileHosts(patterns: readonly string[] | undefined): Hosts {
  if (patterns === undefined) return { listed: false, allows: (host) => !PUNYCODE.test(host) };
  const globs = compileGlobs(patterns);
  // A wildcard must not let in a name that only looks like another: punycode counts where a pattern says so.
  const punycode = compileGlobs(patterns.filter((pattern) => pattern.includes('xn--')));
  return { listed: true, allows: (host) => (PUNYCODE.test(host) ? punycode : globs).matches(host) };
}

const PUNYCODE = /(?:^|\.)xn--/;
// RFC 3986: the characters of a URI, which has no white space, control characters, letters beyond ASCII or backslashes.
const URI = /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+$/;
const HTTP = /^(https?):\/\/([^/?#]*)/i;
// A host exactly as every reader understands it: no user, no escapes, no port out of range.
const AUTHORITY = /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;
const LOOPBACK = /^(?:localhost|.+\.localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/**
 * What is wrong with a URL that a person is asked to open; undefined when nothing is (EL "Safe URL Handling", duties M-10 and G-09).
 * Refused is also what two readers could take for different hosts.
 */
export function screenUrl(url: string, hosts: Hosts): string | undefined {
  if (!URI.test(url)) return 'the URL holds characters that URLs do not have';
  const [, scheme, authority] = HTTP.exec(url) ?? [];
  if (scheme === undefined || authority === undefined) return 'the URL does not begin with https://';
  if (authority.includes('@')) return 'the URL names a user';
  const host = AUTHORITY.exec(authority)?.[1]?.toLowerCase();
  if (host === undefined || !URL.canParse(url) || new URL(url).hostname !== host) {
    return 'the host of the URL is not written as it is read';
  }
  if (scheme.toLowerCase() === 'http' && !LOOPBACK.test(host)) return 'the URL is not encrypted';
  if (hosts.allows(host)) return undefined;
  return hosts.listed ? 'the host of the URL is not on the list' : 'the host of the URL is written in punycode';
}

const LINK = /[a-z][a-z0-9+.-]{0,20}:\/\/[^\s"'<>]*/gi;
const TRAILING = /[).,;:!?\]]+$/;

/** What is wrong with the links of a text that is shown, when there is a list of hosts that they must be on. */
export function screenLinks(text: string, hosts: Hosts): string | undefined {
  if (!hosts.listed) return undefined;
  for (const [link] of text.matchAll(LINK)) {
    const wrong = screenUrl(link.replace(TRAILING, ''), hosts);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}
