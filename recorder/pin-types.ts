import type { Pin, PinState, Sight } from '../policies/pins/pin.ts';
import type { Actor } from './actor.ts';

/** In the audit log: a pin came to be, changed or was decided on. */
export interface PinEntry {
  readonly type: 'pin.changed';
  readonly at: number;
  readonly id: string;
  readonly from: PinState | null;
  readonly to: PinState;
  /** Of the definition that this is about. */
  readonly fingerprint: string;
  /** Absent when the upstream changed it. */
  readonly by?: Actor;
}

/** What the tools and servers of connections are known to be. Every change is one transaction with its audit entry. */
export interface Pins {
  /** All of them, or those of one connection; without the texts of their definitions. */
  list(connection?: string): Promise<readonly Pin[]>;
  get(id: string): Promise<Pin | undefined>;
  /** Takes what upstreams showed; answers the pins as they are then, without texts. */
  sighted(sights: readonly Sight[]): Promise<readonly Pin[]>;
  /** Trusts the definition with this fingerprint; undefined when there is no such pin, or it is not one of its definitions. */
  accept(id: string, fingerprint: string, by: Actor): Promise<Pin | undefined>;
  /** Refuses it; undefined when there is no such pin, or it is not its newest definition. */
  reject(id: string, fingerprint: string, by: Actor): Promise<Pin | undefined>;
  /** Called after every change, also one made by another process (seen within a second); texts are left out. */
  onChange(listener: (pins: readonly Pin[]) => void): () => void;
}
