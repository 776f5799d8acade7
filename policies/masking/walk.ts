import { splice } from '../json/splice.ts';
import type { Edit } from '../json/splice.ts';
import { decodeString, parseTree } from '../json/tree.ts';
import type { ArrayNode, Member, Node, ObjectNode } from '../json/tree.ts';
import type { Finding } from '../types.ts';
import { DEEPEST } from './depth.ts';
import type { Detector } from './detector.ts';
import { Findings, Place } from './findings.ts';
import { mergeEdits, outsideLeaves } from './nested.ts';
import { FREE, MESSAGE, isConstant, isOpaque, mayBeConstant, isProtocolMember, zoneOf } from './protocol.ts';
import type { Zone } from './protocol.ts';
import { rawEdits } from './raw-edits.ts';

export interface Masked {
  readonly json: string;
  readonly findings: readonly Finding[];
}

/** Masks every string of a JSON-RPC message, values and keys. Throws SyntaxError when the text is not JSON. */
export function walk(json: string, detector: Detector): Masked {
  const walker = new Walker(detector);
  const edits: Edit[] = [];
  walker.visit(json, parseTree(json), MESSAGE, undefined, 0, edits);
  return edits.length === 0 ? { json, findings: [] } : { json: splice(json, edits), findings: walker.findings.list() };
}

class Walker {
  readonly findings = new Findings();
  readonly #detector: Detector;
  readonly #place = new Place();

  constructor(detector: Detector) {
    this.#detector = detector;
  }

  /** Adds the edits of one value. `key` names what the value belongs to, `depth` counts the strings around the text. */
  visit(text: string, node: Node, zone: Zone, key: string | undefined, depth: number, edits: Edit[]): void {
    switch (node.type) {
      case 'scalar':
        return;
      case 'string':
        return this.#string(text, node.start, node.end, key, depth, edits);
      case 'array':
        return this.#array(text, node, zone, key, depth, edits);
      case 'object':
        return this.#object(text, node, zone, depth, edits);
      default:
        node satisfies never;
    }
  }

  #array(text: string, node: ArrayNode, zone: Zone, key: string | undefined, depth: number, edits: Edit[]): void {
    for (const [position, item] of node.items.entries()) {
      if (item.type === 'scalar') continue;
      if (depth === 0) this.#place.enter(String(position));
      this.visit(text, item, zone, key, depth, edits);
      if (depth === 0) this.#place.leave();
    }
  }

  #object(text: string, node: ObjectNode, zone: Zone, depth: number, edits: Edit[]): void {
    const masked = this.#keys(text, node, zone, depth, edits);
    for (const member of node.members) {
      const { key, value } = member;
      if (value.type === 'scalar' || isOpaque(zone, key)) continue;
      if (value.type === 'string' && this.#isConstant(text, zone, member, node)) continue;
      if (depth === 0) this.#place.enter(masked?.has(member) === true ? '*' : key);
      this.visit(text, value, zoneOf(zone, key), key, depth, edits);
      if (depth === 0) this.#place.leave();
    }
  }

  #isConstant(text: string, zone: Zone, { key, value }: Member, node: ObjectNode): boolean {
    if (!mayBeConstant(zone, key)) return false;
    return isConstant(zone, key, decodeString(text, value.start, value.end), node.members, () => {
      const type = node.members.find((member) => member.key === 'type')?.value;
      return type?.type === 'string' ? decodeString(text, type.start, type.end) : '';
    });
  }

  #string(text: string, start: number, end: number, key: string | undefined, depth: number, edits: Edit[]): void {
    const found = this.#mask(decodeString(text, start, end), key, depth);
    if (found.length > 0) rawEdits(text, start, found, edits);
  }

  /** The edits of a decoded string. */
  #mask(value: string, key: string | undefined, depth: number): readonly Edit[] {
    const inner = depth < DEEPEST ? innerJson(value) : undefined;
    if (inner !== undefined) return this.#maskJson(value, inner, key, depth);
    const spans = this.#detector.spans(value, key);
    return spans.length === 0 ? [] : this.#report(spans);
  }

  #maskJson(value: string, inner: Node, key: string | undefined, depth: number): readonly Edit[] {
    const edits: Edit[] = [];
    this.visit(value, inner, FREE, key, depth + 1, edits);
    // What only the whole text shows: expressions of a rule that match across the members of the inner JSON.
    const across = outsideLeaves(inner, this.#detector.regexSpans(value));
    return across.length === 0 ? edits : mergeEdits(edits, this.#report(across));
  }

  #report(spans: ReturnType<Detector['spans']>): Edit[] {
    const path = this.#place.pointer();
    return spans.map(({ start, end, entity, rule }) => {
      this.findings.add(rule, entity, path);
      return { start, end, text: `<${entity}>` };
    });
  }

  /** Masks the keys of one object and keeps them different from each other; returns the members whose keys were masked. */
  #keys(text: string, node: ObjectNode, zone: Zone, depth: number, edits: Edit[]): ReadonlySet<Member> | undefined {
    let changed: Map<Member, readonly Edit[]> | undefined;
    if (depth === 0) this.#place.enter('*');
    for (const member of node.members) {
      if (isProtocolMember(zone, member.key)) continue;
      const found = this.#mask(member.key, undefined, depth);
      if (found.length > 0) (changed ??= new Map()).set(member, found);
    }
    if (depth === 0) this.#place.leave();
    if (changed === undefined) return undefined;
    const taken = new Set(node.members.filter((member) => !changed.has(member)).map((member) => member.key));
    const counts = new Map<string, number>();
    for (const [member, found] of changed) {
      const name = splice(member.key, found);
      let count = counts.get(name) ?? 0;
      let unique: string;
      do {
        count += 1;
        unique = count === 1 ? name : `${name}_${count}`;
      } while (taken.has(unique));
      counts.set(name, count);
      taken.add(unique);
      rawEdits(text, member.keyStart, found, edits);
      if (count > 1) edits.push({ start: member.keyEnd - 1, end: member.keyEnd - 1, text: `_${count}` });
    }
    return new Set(changed.keys());
  }
}

/** The tree of a string that is itself a JSON object, array or, encoded twice, string. */
function innerJson(value: string): Node | undefined {
  let at = 0;
  while (isSpace(value.charCodeAt(at))) at += 1;
  const first = value.charCodeAt(at);
  if (first !== 0x7b && first !== 0x5b && first !== 0x22) return undefined;
  try {
    return parseTree(value);
  } catch (error) {
    // Not JSON after all: the string is read as plain text, so nothing goes unseen.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const isSpace = (c: number): boolean => c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09;
