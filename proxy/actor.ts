import type { Principal } from '../policies/types.ts';
import type { Actor } from '../recorder/types.ts';

/** Whoever acts, as it is stored beside the act: no claims, no token. */
export function toActor(who: Principal, address: string): Actor {
  return {
    issuer: who.issuer,
    subject: who.subject,
    ...(who.email === undefined ? {} : { email: who.email }),
    address,
  };
}
