import { hash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Principal } from '../../policies/types.ts';
import type { TokenRecord, Tokens } from '../../recorder/types.ts';
import { newId } from '../ids.ts';
import { refuse } from './claims.ts';

/** The issuer of everyone who proves himself with a gateway token. */
export const TOKEN_ISSUER = 'portcullis:tokens';
/** What every gateway token begins with; no JWT can. */
export const TOKEN_PREFIX = 'pct_';

const SHAPE = /^pct_[A-Za-z0-9_-]{43}[A-Za-z0-9_-]{6}$/;

export interface MintedToken {
  /** Shown once, kept nowhere. */
  readonly token: string;
  readonly id: string;
  readonly hash: string;
}

/** A new token of 256 random bits: `pct_`, the secret, and a checksum by which scanners of leaked secrets know it. */
export function mintToken(): MintedToken {
  const secret = TOKEN_PREFIX + randomBytes(32).toString('base64url');
  const token = secret + checksum(secret);
  return { token, id: newId('tok'), hash: hashToken(token) };
}

/** What is stored of a token. A slow hash would add nothing: the secret has 256 bits of its own. */
export function hashToken(token: string): string {
  return hash('sha256', token, 'hex');
}

/** Whether a text has the form and checksum of a gateway token: one typed wrong has not. */
export function isTokenShaped(text: string): boolean {
  return SHAPE.test(text) && checksum(text.slice(0, -6)) === text.slice(-6);
}

function checksum(secret: string): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(secret));
  return bytes.toString('base64url');
}

/** Gateway tokens, found in memory by hash; the store is read at start and after a change, never on a call. */
export interface GatewayTokens {
  /** Who the token proves, without roles; throws a GatewayError when it is unknown, revoked or expired at `now`. */
  find(token: string, now: number): Principal;
  close(): void;
}

interface Indexed {
  readonly record: TokenRecord;
  readonly principal: Principal;
}

/** Rejects when the store cannot be read. A change seen while it is read wins over what was read. */
export async function createGatewayTokens(tokens: Tokens): Promise<GatewayTokens> {
  let index: ReadonlyMap<string, Indexed> | undefined;
  const stop = tokens.onChange((records) => {
    index = indexOf(records);
  });
  try {
    const records = await tokens.list();
    index ??= indexOf(records);
  } catch (error) {
    stop();
    throw error;
  }
  return {
    find(token, now) {
      const found = index?.get(hashToken(token));
      if (found === undefined)
        return refuse(isTokenShaped(token) ? 'unknown gateway token' : 'not a gateway token as it was issued');
      if (found.record.revokedAt !== undefined) return refuse('revoked');
      if (found.record.expiresAt !== undefined && now >= found.record.expiresAt) return refuse('expired');
      return found.principal;
    },
    close: stop,
  };
}

function indexOf(records: readonly TokenRecord[]): ReadonlyMap<string, Indexed> {
  return new Map(records.map((record) => [record.hash, { record, principal: principalOf(record) }]));
}

function principalOf(record: TokenRecord): Principal {
  return Object.freeze({
    issuer: TOKEN_ISSUER,
    subject: record.subject,
    ...(record.email === undefined ? {} : { email: record.email }),
    name: record.name,
    groups: Object.freeze([...new Set(record.groups)]),
    roles: Object.freeze([]),
    authenticatedBy: 'token' as const,
    actors: Object.freeze([]),
    clientId: record.id,
  });
}
