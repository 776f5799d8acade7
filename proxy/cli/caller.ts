import { userInfo } from 'node:os';
import { Abort } from '../abort.ts';
import type { JsonObject, Principal } from '../../policies/types.ts';
import { findOperation } from '../admin/operations.ts';
import { loadConfig } from '../config.ts';
import { operate } from '../doors/operate.ts';
import { createLog } from '../log.ts';
import { createPortcullis } from '../main.ts';

export interface CallerOptions {
  readonly config: string;
  readonly url?: string;
  readonly token?: string;
}

/** An operation refused; its message is the gateway's own sentence. */
export class Refused extends Error {}

/**
 * Runs one operation of the table: with a token on the running gateway over REST, without one on the store itself, as the local
 * operator (an admin without groups). Either way it walks the pipeline and is recorded.
 */
export async function callOperation(name: string, args: JsonObject, options: CallerOptions): Promise<JsonObject> {
  return options.token === undefined ? callLocal(name, args, options) : callRemote(name, args, options, options.token);
}

async function callRemote(name: string, args: JsonObject, options: CallerOptions, token: string): Promise<JsonObject> {
  const { method, path } = findOperation(name)!.rest;
  const url = options.url ?? loadConfig(options.config, process.env).server.publicUrl;
  const rest = { ...args };
  const filled = path.replace(/:(\w+)/g, (_, key: string) => {
    const value = String(rest[key]);
    delete rest[key];
    return encodeURIComponent(value);
  });
  const target = new URL(filled, url);
  const inQuery = method === 'GET' || method === 'DELETE';
  if (inQuery) for (const [key, value] of Object.entries(rest)) target.searchParams.set(key, String(value));
  let response: Response;
  try {
    response = await fetch(target, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(inQuery ? {} : { 'content-type': 'application/json' }) },
      redirect: 'error',
      ...(inQuery ? {} : { body: JSON.stringify(rest) }),
    });
  } catch (cause) {
    throw new Refused(`no gateway answers at ${target.origin}: is it running, and is --url right?`, { cause });
  }
  const body = (await response.json()) as JsonObject;
  if (response.status !== 200) throw new Refused(sentenceOf(body));
  return body;
}

async function callLocal(name: string, args: JsonObject, options: CallerOptions): Promise<JsonObject> {
  const config = loadConfig(options.config, process.env);
  const portcullis = await createPortcullis(config, createLog({ level: 'error', format: 'text' }), { role: 'tool' });
  try {
    const credentials = { type: 'proven', principal: localOperator(), address: 'local' } as const;
    const gone = new Abort();
    const answer = await operate(portcullis.gateway, credentials, '/api', name, () => args, {}, gone);
    if (answer.status !== 200) throw new Refused(sentenceOf(answer.body));
    return answer.body;
  } finally {
    await portcullis.close();
  }
}

function sentenceOf(body: JsonObject): string {
  const error = body['error'] as { message?: string; remedy?: string } | undefined;
  return `${error?.message ?? 'it did not work'}${error?.remedy === undefined ? '' : ` (${error.remedy})`}`;
}

/** Whoever can read the key file and write the store may administer it; approving needs a group, which this one has not. */
function localOperator(): Principal {
  return {
    issuer: 'portcullis:local',
    subject: userInfo().username,
    groups: [],
    roles: ['admin'],
    authenticatedBy: 'local',
    actors: [],
  };
}
