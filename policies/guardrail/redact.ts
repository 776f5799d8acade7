import { splice } from '../json/splice.ts';
import type { Edit } from '../json/splice.ts';
import { decodeString, parseTree } from '../json/tree.ts';
import type { Member, Node, ObjectNode } from '../json/tree.ts';
import { MESSAGE, isConstant, isOpaque, isProtocolMember, zoneOf } from '../masking/protocol.ts';
import type { Zone } from '../masking/protocol.ts';
import { rawEdits } from '../masking/raw-edits.ts';
import type { Span } from './matcher.ts';

export const REDACTED = '<REDACTED>';

/** What to replace in the string with that number, given its text: nothing, stretches of it, or all of it. */
export type Marking = (token: number, text: string) => readonly Span[] | 'whole' | undefined;

/**
 * The JSON text of a message with the marked strings and keys replaced, everything else untouched. Undefined when a marked one is a
 * word of the protocol, without which the message could not be read.
 */
export function redactStrings(json: string, mark: Marking): string | undefined {
  const redactor = new Redactor(json, mark);
  redactor.visit(parseTree(json), MESSAGE);
  return redactor.possible ? splice(json, redactor.edits) : undefined;
}

class Redactor {
  readonly edits: Edit[] = [];
  possible = true;
  readonly #json: string;
  readonly #mark: Marking;
  // Counts as the reader of texts does: every key and every string, in their order.
  #token = 0;

  constructor(json: string, mark: Marking) {
    this.#json = json;
    this.#mark = mark;
  }

  visit(node: Node, zone: Zone, member?: Member, parent?: ObjectNode): void {
    switch (node.type) {
      case 'scalar':
        return;
      case 'string':
        return this.#string(node.start, node.end, zone, member, parent);
      case 'array':
        for (const item of node.items) this.visit(item, zone);
        return;
      case 'object':
        return this.#object(node, zone);
      default:
        node satisfies never;
    }
  }

  #object(node: ObjectNode, zone: Zone): void {
    const taken = new Set(node.members.map(({ key }) => key));
    for (const member of node.members) {
      this.#key(member, zone, taken);
      const { key, value } = member;
      // A member's own zone decides what of it is the protocol's; what it holds is judged in the zone inside.
      if (value.type === 'string') this.#string(value.start, value.end, zone, member, node);
      else this.visit(value, zoneOf(zone, key));
    }
  }

  #key({ key, keyStart, keyEnd }: Member, zone: Zone, taken: Set<string>): void {
    const marked = this.#mark(this.#next(), key);
    if (marked === undefined) return;
    if (isProtocolMember(zone, key)) {
      this.possible = false;
      return;
    }
    // Keys are replaced whole and stay different from each other.
    let name = REDACTED;
    for (let count = 2; taken.has(name); count += 1) name = `${REDACTED.slice(0, -1)}_${count}>`;
    taken.add(name);
    this.edits.push({ start: keyStart, end: keyEnd, text: JSON.stringify(name) });
  }

  #string(start: number, end: number, zone: Zone, member?: Member, parent?: ObjectNode): void {
    const text = decodeString(this.#json, start, end);
    const marked = this.#mark(this.#next(), text);
    if (marked === undefined) return;
    if (member !== undefined && parent !== undefined && this.#isProtocol(zone, member, text, parent)) {
      this.possible = false;
    } else if (marked === 'whole') {
      this.edits.push({ start, end, text: JSON.stringify(REDACTED) });
    } else {
      const edits = merged(marked).map((span) => ({ start: span.start, end: span.end, text: REDACTED }));
      rawEdits(this.#json, start, edits, this.edits);
    }
  }

  #isProtocol(zone: Zone, { key }: Member, text: string, parent: ObjectNode): boolean {
    if (isOpaque(zone, key)) return true;
    return isConstant(zone, key, text, parent.members, () => {
      const type = parent.members.find((member) => member.key === 'type')?.value;
      return type?.type === 'string' ? decodeString(this.#json, type.start, type.end) : '';
    });
  }

  #next(): number {
    this.#token += 1;
    return this.#token - 1;
  }
}

/** The spans in order, those that touch or overlap as one. */
function merged(spans: readonly Span[]): readonly Span[] {
  const out: { start: number; end: number }[] = [];
  for (const { start, end } of spans.toSorted((a, b) => a.start - b.start || a.end - b.end)) {
    const last = out.at(-1);
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
    else out.push({ start, end });
  }
  return out;
}
