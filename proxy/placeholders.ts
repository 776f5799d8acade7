import { splice, type Edit } from '../policies/json/splice.ts';
import { decodeString, find, parseTree, type Node } from '../policies/json/tree.ts';
import { DEEPEST } from '../policies/masking/depth.ts';
import { innerJson } from '../policies/masking/inner-json.ts';
import { mayHoldPlaceholder, placeholders } from '../policies/masking/placeholder.ts';
import { rawEdits } from '../policies/masking/raw-edits.ts';
import type { Facts } from '../policies/types.ts';
import { GatewayError } from './errors.ts';
import type { Catalog } from './forward/catalog.ts';
import type { Gateway } from './gateway.ts';
import { paramsText, type Asked } from './identify.ts';
import { scopeKey } from './vault.ts';
import { withText } from './wire/frame.ts';
import { member } from './wire/member.ts';
import { mirrorParams } from './wire/param-headers.ts';

/** Whose placeholders a message means: those of its session, or of its caller's stateless calls. */
export function scopeOf({ session, principal, arrival }: Asked, gateway: Gateway): string {
  const borrowed = arrival.review === undefined ? undefined : gateway.vault.borrowed(arrival.review);
  return borrowed ?? scopeKey(principal, session?.id);
}

/** The facts for masking an answer: with a source of placeholders and digests where rules make some. */
export function tokenFacts(asked: Asked, gateway: Gateway): Facts {
  const { rules, principal, facts } = asked;
  // What the gateway reads for itself is not a session of anybody.
  if (!rules.needsTokens || principal.authenticatedBy === 'system') return facts;
  return { ...facts, tokens: gateway.vault.source(scopeOf(asked, gateway), gateway.now()) };
}

/**
 * The call with values in the place of the placeholders in its arguments, for tools that may have them: what the upstream gets
 * (`outgoing`, and the headers that repeat it) and what rules judge besides (`restored`). The frame of the record and of the review
 * keeps the placeholders. Refuses placeholders that stand for nothing here.
 */
export function restore(asked: Asked, gateway: Gateway): Asked | Promise<Asked> {
  const { frame, call, rules, principal, through, era, translated, connection } = asked;
  if (frame?.kind !== 'request' || call.kind !== 'tool' || through !== undefined) return asked;
  const types = rules.restores(call.name);
  // Of a tool that the caller may not see, nothing tells that it exists.
  if (types.size === 0 || (rules.filters(principal) && !rules.sees('tool', call.name, principal))) return asked;
  const sent = asked.outgoing ?? frame;
  if (!mayHoldPlaceholder(sent.text)) return asked;
  const args = find(parseTree(sent.text), 'params', 'arguments');
  const edits: Edit[] = [];
  if (args !== undefined) new Restorer(asked, gateway, types).visit(sent.text, args, 0, edits);
  if (edits.length === 0) return asked;
  const outgoing = withText(sent, splice(sent.text, edits));
  const restored = {
    ...call,
    arguments: member(member(outgoing.value, 'params'), 'arguments') ?? {},
    text: paramsText(outgoing),
  };
  const whole = { ...asked, outgoing, restored };
  if (era !== 'modern' || translated) return whole;
  const catalog = gateway.catalogs.get(connection);
  return catalog instanceof Promise ? catalog.then((known) => mirrored(whole, known)) : mirrored(whole, catalog);
}

/** With the headers that repeat the restored arguments (duty R-11). */
function mirrored(asked: Asked, catalog: Catalog | undefined): Asked {
  const { restored } = asked;
  const params = catalog?.tools.get(asked.call.name)?.params ?? [];
  if (restored === undefined || params.length === 0) return asked;
  const span = find(parseTree(restored.text), 'arguments');
  const text = span === undefined ? '{}' : restored.text.slice(span.start, span.end);
  return { ...asked, mirrored: mirrorParams(restored.arguments, params, text) };
}

class Restorer {
  readonly #scope: string;
  readonly #gateway: Gateway;
  readonly #types: ReadonlySet<string>;
  #added = 0;

  constructor(asked: Asked, gateway: Gateway, types: ReadonlySet<string>) {
    this.#scope = scopeOf(asked, gateway);
    this.#gateway = gateway;
    this.#types = types;
  }

  /** Adds the edits of all strings of a value; keys stay as they are. */
  visit(text: string, node: Node, depth: number, edits: Edit[]): void {
    if (node.type === 'object') for (const { value } of node.members) this.visit(text, value, depth, edits);
    else if (node.type === 'array') for (const item of node.items) this.visit(text, item, depth, edits);
    else if (node.type === 'string') {
      const found = this.#string(decodeString(text, node.start, node.end), depth);
      if (found.length > 0) rawEdits(text, node.start, found, edits);
    }
  }

  #string(value: string, depth: number): readonly Edit[] {
    const inner = innerJson(value);
    if (inner === undefined) return this.#plain(value);
    const edits: Edit[] = [];
    // In JSON inside of a string a value gets the escapes of that JSON too; where that is not read, nothing is restored.
    if (depth < DEEPEST) this.visit(value, inner, depth + 1, edits);
    return edits;
  }

  #plain(value: string): readonly Edit[] {
    const { vault, now, messageSize } = this.#gateway;
    return placeholders(value).flatMap(({ start, end, type }) => {
      if (!this.#types.has(type)) return [];
      const text = vault.value(this.#scope, value.slice(start, end), now());
      if (text === undefined) throw new GatewayError('placeholder_unknown');
      this.#added += text.length;
      if (this.#added > messageSize) throw new GatewayError('too_large', 'server.message_size once it is restored');
      return [{ start, end, text }];
    });
  }
}
