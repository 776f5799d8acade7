import { isRecord } from '../config/resolve.ts';
import type { SavedWindow } from './window.ts';

/** Key, calls, bytes, last use. */
export type SavedSession = readonly [string, number, number, number];

/** What of one limit is kept over a restart. */
export interface SavedTally {
  readonly calls: readonly (readonly [string, SavedWindow])[];
  readonly bytes: readonly (readonly [string, SavedWindow])[];
  readonly lasting: readonly SavedSession[];
  readonly silent: readonly SavedSession[];
}

export interface SavedLimits {
  /** By the ids of limits. */
  readonly limits: Readonly<Record<string, SavedTally>>;
  /** When counts were lost: the doubt outlives another restart. */
  readonly lostAt?: number;
}

/** Reads what was written; throws when it is not exactly that. */
export function readSaved(value: unknown): SavedLimits {
  if (!isRecord(value) || value['version'] !== 1 || !isRecord(value['limits'])) throw new TypeError(UNKNOWN);
  for (const tally of Object.values(value['limits'])) {
    if (!isRecord(tally) || !isList(tally['calls'], isWindow) || !isList(tally['bytes'], isWindow))
      throw new TypeError(UNKNOWN);
    if (!isList(tally['lasting'], isSession) || !isList(tally['silent'], isSession)) throw new TypeError(UNKNOWN);
  }
  const lostAt = value['lostAt'];
  if (lostAt !== undefined && !isCount(lostAt)) throw new TypeError(UNKNOWN);
  return {
    limits: value['limits'] as SavedLimits['limits'],
    ...(lostAt === undefined ? {} : { lostAt: lostAt as number }),
  };
}

const UNKNOWN = 'not a file of counts';

function isList(value: unknown, fits: (item: readonly unknown[]) => boolean): boolean {
  return Array.isArray(value) && value.every((item) => Array.isArray(item) && fits(item));
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value);

const isWindow = ([key, window, ...rest]: readonly unknown[]): boolean =>
  typeof key === 'string' && Array.isArray(window) && window.every(isCount) && rest.length === 0;

const isSession = ([key, ...counts]: readonly unknown[]): boolean =>
  typeof key === 'string' && counts.length === 3 && counts.every(isCount);
