import { explain } from './explain.ts';
import { me } from './me.ts';
import type { Operation } from './operation.ts';
import { pins } from './pins.ts';
import { reviews } from './reviews.ts';
import { sessions } from './sessions.ts';
import { tokens } from './tokens.ts';

/** The one table of operations. */
export const OPERATIONS: readonly Operation[] = [...me, ...pins, ...reviews, ...sessions, ...explain, ...tokens];

const BY_NAME = new Map(OPERATIONS.map((operation) => [operation.name, operation]));

export function findOperation(name: string): Operation | undefined {
  return BY_NAME.get(name);
}
