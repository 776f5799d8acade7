import type { IncomingHttpHeaders } from 'node:http';
import type { Json } from '../../policies/types.ts';
import { GatewayError } from '../errors.ts';
import type { Frame } from '../types.ts';
import { objectMember } from './frame.ts';

/** The member of params that `Mcp-Name` repeats. */
const NAMED_BY: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
]);

const VALUE_LENGTH = 8192;
const PREFIX = '=?base64?';
const SUFFIX = '?=';

/**
 * Refuses a modern message whose `Mcp-Method` or `Mcp-Name` does not repeat the body (R-04 to R-06), and mirrored
 * headers with characters that no header holds. A notification needs none of them, but those that come must agree.
 */
export function checkStandardHeaders(frame: Frame, headers: IncomingHttpHeaders): void {
  const isRequest = frame.kind === 'request';
  const method = headerValue(headers, 'mcp-method');
  if (method === undefined ? isRequest : method !== frame.method)
    throw mismatch('Mcp-Method must be the method of the body');

  const name = headerValue(headers, 'mcp-name');
  const member = NAMED_BY.get(frame.method as string);
  if (name === undefined) {
    if (isRequest && member !== undefined) throw mismatch(`Mcp-Name must be params.${member} of the body`);
  } else {
    const params = objectMember(frame.value, 'params');
    const decoded = decodeMirrored(name);
    // A header that repeats nothing may still be believed behind us.
    const members = member === undefined ? ['name', 'uri', 'taskId'] : [member];
    const said = members.map((key): Json | undefined =>
      params && Object.hasOwn(params, key) ? params[key] : undefined,
    );
    if (!said.includes(decoded))
      throw mismatch(`Mcp-Name must be ${member === undefined ? 'absent' : `params.${member} of the body`}`);
  }
  for (const key of Object.keys(headers)) if (key.startsWith('mcp-param-')) headerValue(headers, key);
}

/** The value that a mirrored header stands for: literal, or base64 of UTF-8 between exact markers (R-05). */
export function decodeMirrored(value: string): string {
  if (value.length < PREFIX.length + SUFFIX.length || !value.startsWith(PREFIX) || !value.endsWith(SUFFIX))
    return value;
  const encoded = value.slice(PREFIX.length, -SUFFIX.length);
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.toString('base64') !== encoded) throw mismatch('a header is not the base64 it claims to be');
  const text = bytes.toString('utf8');
  if (!Buffer.from(text).equals(bytes)) throw mismatch('a header is not base64 of UTF-8');
  return text;
}

/** A value as a mirrored header carries it: literal where that is safe, otherwise base64 between the markers. */
export function encodeMirrored(value: string): string {
  if (/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value) && !value.startsWith('=?')) return value;
  return `${PREFIX}${Buffer.from(value).toString('base64')}${SUFFIX}`;
}

/** The one value of a mirrored header without the white space around it; refused when no header may hold it. */
export function headerValue(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  if (value === undefined) return undefined;
  const trimmed = typeof value === 'string' ? value.replace(/^[ \t]+|[ \t]+$/g, '') : '\0';
  if (trimmed.length > VALUE_LENGTH) throw mismatch('a header is too long');
  if (!/^[\t\x20-\x7e]*$/.test(trimmed)) throw mismatch('a header holds characters that no header may hold');
  return trimmed;
}

const mismatch = (detail: string): GatewayError => new GatewayError('header_mismatch', detail);
