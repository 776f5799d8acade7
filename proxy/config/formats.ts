import { isIP } from 'node:net';
import { parseByteSize, parseTimeSpan } from '../../policies/units.ts';

export interface Listen {
  readonly host: string;
  readonly port: number;
}

/** Host and port of `127.0.0.1:8800`, `[::1]:8800`, `localhost:8800` or `:8800` (every address of the machine). */
export function parseListen(text: string): Listen | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]*)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const host = match[1] ?? (match[2] === '' ? '::' : match[2]!);
  const port = Number(match[3]);
  if (port > 65_535 || (match[1] !== undefined && isIP(host) !== 6)) return undefined;
  if (/^[\d.]+$/.test(host) && isIP(host) !== 4) return undefined;
  return { host, port };
}

/** The address as it stands in a URL or in `server.listen`. */
export function showListen(listen: Listen): string {
  return isIP(listen.host) === 6 ? `[${listen.host}]:${listen.port}` : `${listen.host}:${listen.port}`;
}

/** True for the names and addresses by which only this machine can be reached. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  return (
    bare === 'localhost' ||
    bare.endsWith('.localhost') ||
    bare === '::1' ||
    (isIP(bare) === 4 && bare.startsWith('127.'))
  );
}

function parseUrl(text: string): URL | undefined {
  if (/[\s\\]/.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  const web = url.protocol === 'http:' || url.protocol === 'https:';
  return web && url.username === '' && url.password === '' && url.hash === '' ? url : undefined;
}

function isIssuer(text: string): boolean {
  const url = parseUrl(text);
  return url !== undefined && url.search === '' && (url.protocol === 'https:' || isLoopback(url.hostname));
}

function isNetwork(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128));
}

const HOST = /^(?:\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::\d{1,5})?$/;

export interface Format {
  readonly accepts: (text: string) => boolean;
  /** What was expected, in words that follow "expected". */
  readonly expected: string;
}

/** The `format` names that configuration rows use. They avoid the names JSON Schema gives a meaning of its own. */
export const FORMATS = {
  'time-span': {
    accepts: (text) => parseTimeSpan(text) !== undefined,
    expected: 'a duration with a unit of ms, s, m, h or d, such as 30s, at most 24d',
  },
  'byte-size': {
    accepts: (text) => parseByteSize(text) !== undefined,
    expected: 'a size with a unit of B, KB, MB, GB, KiB, MiB or GiB, such as 16MB',
  },
  'listen-address': {
    accepts: (text) => parseListen(text) !== undefined,
    expected: 'an address and a port, such as 127.0.0.1:8800 or [::1]:8800',
  },
  origin: {
    accepts: (text) => parseUrl(text)?.origin === text,
    expected: 'a scheme and a host in lower case without a path, such as https://gateway.example.com',
  },
  'http-url': {
    accepts: (text) => parseUrl(text) !== undefined,
    expected: 'an http or https URL without user, password and fragment',
  },
  issuer: {
    accepts: isIssuer,
    expected: 'the https URL of the issuer without user, query and fragment (http only on loopback)',
  },
  'host-name': {
    accepts: (text) => HOST.test(text),
    expected: 'a host in lower case with an optional port, such as gateway.example.com',
  },
  network: { accepts: isNetwork, expected: 'an IP address or a network, such as 10.0.0.0/8' },
  path: { accepts: (text) => text !== '' && !text.includes('\0'), expected: 'the path of a file or folder' },
  'header-name': {
    accepts: (text) => /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/.test(text),
    expected: 'the name of an HTTP header, such as Authorization',
  },
} as const satisfies Record<string, Format>;

export type FormatName = keyof typeof FORMATS;
