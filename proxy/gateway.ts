import type { Signal } from './abort.ts';
import type { Rulebook } from '../policies/rulebook.ts';
import type { Principal } from '../policies/types.ts';
import type { Recorder } from '../recorder/types.ts';
import type { Carriers } from './carriers.ts';
import type { Catalogs } from './forward/catalog.ts';
import type { Ask } from './forward/client.ts';
import type { Connection } from './forward/connection.ts';
import type { WireSessions } from './forward/sessions.ts';
import type { Limits } from './limits/limits.ts';
import type { Listeners } from './listeners.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { TaskOwners } from './modern/tasks.ts';
import type { PinSettings, Pins } from './pins.ts';
import type { Recordings } from './recordings.ts';
import type { Seal } from './seal.ts';
import type { Credentials } from './types.ts';
import type { Vault } from './vault.ts';
import type { Waiters } from './waiters.ts';
import type { FrameLimits } from './wire/frame.ts';

export interface HoldSettings {
  /** How long a call is held open before the pending answer. */
  readonly inlineTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly reviewExpiryMs: number;
  /** Calls one principal may have held open at once. */
  readonly maxPendingPerPrincipal: number;
}

/** What a reload swaps as one value; a call keeps the one it began with. */
export interface Settings {
  readonly rulebook: Rulebook;
  readonly hold: HoldSettings;
  readonly allowedOrigins: readonly string[];
  /** By connection. */
  readonly pins: ReadonlyMap<string, PinSettings>;
}

/** The parts that the steps of the pipeline share; made by the composition root. */
export interface Gateway {
  readonly authenticate: (credentials: Credentials, route: string, now: number) => Principal | Promise<Principal>;
  readonly recorder: Recorder;
  readonly refusals: { note(refusal: { code: string; address: string; route: string; at: number }): void };
  readonly connections: ReadonlyMap<string, Connection>;
  readonly sessions: WireSessions;
  readonly carriers: Carriers;
  readonly recordings: Recordings;
  readonly catalogs: Catalogs;
  readonly pins: Pins;
  readonly waiters: Waiters;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Asks something from inside, through the same pipeline. */
  readonly ask: Ask;
  /** Seals the state of upstreams that passes through clients. */
  readonly stateSeal: Seal;
  readonly tasks: TaskOwners;
  /** What stands behind the placeholders of masking. */
  readonly vault: Vault;
  readonly listeners: Listeners;
  readonly limits: Limits;
  /** Other gateways serve the same sessions: what this one does not know may be known to them. */
  readonly replicas: boolean;
  readonly frameLimits: FrameLimits;
  readonly publicUrl: string;
  readonly allowedHosts: readonly string[];
  readonly messageSize: number;
  readonly bodyTimeoutMs: number;
  /** What a caller refused with 401 or 403 on this route is told about how to authenticate. */
  readonly challengeFor: (route: string) => { readonly resourceMetadata?: string; readonly scopes: readonly string[] };
  /** Aborts when the gateway stops: whoever waits for people is told to come back. */
  readonly stopping: Signal;
  readonly now: () => number;
  /** The settings of this moment. */
  settings(): Settings;
}
