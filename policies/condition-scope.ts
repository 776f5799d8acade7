import type { ConnectionDocument } from './documents.ts';
import type { Call, Json, Principal } from './types.ts';

/** The caller as conditions see him; what the token does not say is the empty text. */
export class PrincipalValue {
  readonly issuer: string;
  readonly subject: string;
  readonly email: string;
  readonly name: string;
  readonly groups: readonly string[];
  readonly roles: readonly string[];

  constructor(who: Principal) {
    this.issuer = who.issuer;
    this.subject = who.subject;
    this.email = who.email ?? '';
    this.name = who.name ?? '';
    this.groups = who.groups;
    this.roles = who.roles;
  }
}

export class ConnectionValue {
  readonly name: string;
  readonly attributes: readonly string[];

  constructor(document: ConnectionDocument) {
    this.name = document.name;
    this.attributes = document.attributes;
  }
}

/** The called tool; its name is empty for other calls, and the hints are what the upstream says of it. */
export class ToolValue {
  readonly name: string;
  readonly readOnlyHint: boolean;
  readonly destructiveHint: boolean;
  readonly idempotentHint: boolean;
  readonly openWorldHint: boolean;

  constructor(call: Call) {
    this.name = call.kind === 'tool' ? call.name : '';
    this.readOnlyHint = call.annotations.readOnlyHint;
    this.destructiveHint = call.annotations.destructiveHint;
    this.idempotentHint = call.annotations.idempotentHint;
    this.openWorldHint = call.annotations.openWorldHint;
  }
}

/** The variables of a condition, for one call. */
export interface Scope {
  readonly principal: PrincipalValue;
  readonly connection: ConnectionValue;
  readonly kind: string;
  readonly method: string;
  readonly tool: ToolValue;
  readonly name: string;
  readonly args: Json;
  /** Characters of the call's text: an upper bound of everything in `args`. Not a variable. */
  readonly size: number;
}

export function scopeOf(call: Call, who: Principal, connection: ConnectionValue): Scope {
  return {
    principal: new PrincipalValue(who),
    connection,
    kind: call.kind,
    method: call.method,
    tool: new ToolValue(call),
    name: call.name,
    args: call.arguments,
    size: call.text.length,
  };
}
