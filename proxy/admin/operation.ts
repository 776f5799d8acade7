import type { Signal } from '../abort.ts';
import type { Json, JsonObject, Principal } from '../../policies/types.ts';
import type { Recorder } from '../../recorder/types.ts';
import type { Waiters } from '../waiters.ts';
import type { HoldSettings } from '../gateway.ts';

/** JSON Schema 2020-12 of an object. */
export type ObjectSchema = {
  readonly type: 'object';
  readonly properties: Record<string, JsonObject>;
  readonly required?: readonly string[];
};

/** What operations may use of the gateway. */
export interface OperationParts {
  readonly recorder: Recorder;
  readonly waiters: Waiters;
  readonly now: () => number;
  readonly hold: () => HoldSettings;
  readonly publicUrl: string;
  /** Runs an approved review's call through the pipeline, as its owner; resolves with the masked answer. */
  readonly execute: (review: string, owner: Principal, address: string) => Promise<Execution>;
}

export interface Execution {
  readonly session: string;
  /** The final answer's JSON-RPC value, masked; undefined when the call was given up. */
  readonly value: JsonObject | undefined;
}

export interface OperationContext {
  readonly who: Principal;
  readonly address: string;
  readonly parts: OperationParts;
  readonly signal: Signal;
  /** Tells a client that asked for progress how a long wait goes. */
  readonly progress: (done: number, total: number, message: string) => void;
}

/** One administrative operation, written once; the MCP tool, REST route, CLI command and docs row derive from it. */
export interface Operation {
  readonly name: string;
  readonly sentence: string;
  readonly role: 'any' | 'auditor' | 'admin';
  readonly input: ObjectSchema;
  readonly output: JsonObject;
  readonly readOnly: boolean;
  readonly destructive: boolean;
  readonly rest: { readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'; readonly path: string };
  run(args: JsonObject, context: OperationContext): Promise<Json>;
}
