import { splice } from '../json/splice.ts';
import type { Edit } from '../json/splice.ts';
import { decodeString, parseTree } from '../json/tree.ts';
import type { ArrayNode, Member, Node, ObjectNode } from '../json/tree.ts';
import type { Finding, TokenSource } from '../types.ts';
import { DEEPEST } from './depth.ts';
import type { Detector } from './detector.ts';
import { encodedSpans } from './encoded.ts';
import type { Span } from './entities.ts';
import { Findings, Place } from './findings.ts';
import { innerJson } from './inner-json.ts';
import { splits } from './joined.ts';
import { mergeEdits, outsideLeaves } from './nested.ts';
import { numberEntity } from './numbers.ts';
import { escapePlaceholders } from './placeholder.ts';
import { FREE, MESSAGE, isConstant, isOpaque, mayBeConstant, isProtocolMember, zoneOf } from './protocol.ts';
import type { Zone } from './protocol.ts';
import { rawEdits } from './raw-edits.ts';
import { Strategies } from './strategies.ts';

/** A number that is an entity, where only a number may stand. */
export interface Refused {
  readonly rule: string;
  readonly entity: string;
  readonly path: string;
}

export interface Masked {
  readonly json: string;
  readonly findings: readonly Finding[];
  /** Why nothing of the message may be passed on; `json` is then `null`. */
  readonly refused?: Refused;
}

/** How what is found is hidden; without any of it each stretch becomes its type. */
export interface Manner {
  readonly strategies?: Strategies;
  readonly tokens?: TokenSource | undefined;
  /** Whether text that reads like a placeholder is made to read otherwise. */
  readonly escapes?: boolean;
}

/** Masks every string of a JSON-RPC message, values and keys, and numbers. Throws SyntaxError when the text is not JSON. */
export function walk(json: string, detector: Detector, manner: Manner = {}): Masked {
  const walker = new Walker(detector, manner);
  const edits: Edit[] = [];
  walker.visit(json, parseTree(json), MESSAGE, undefined, 0, edits);
  const { refused } = walker;
  if (refused !== undefined) return { json: 'null', findings: walker.findings.list(), refused };
  return edits.length === 0 ? { json, findings: [] } : { json: splice(json, edits), findings: walker.findings.list() };
}

class Walker {
  readonly findings = new Findings();
  refused: Refused | undefined;
  readonly #detector: Detector;
  readonly #strategies: Strategies;
  readonly #tokens: TokenSource | undefined;
  readonly #escapes: boolean;
  readonly #place = new Place();

  constructor(detector: Detector, { strategies, tokens, escapes }: Manner) {
    this.#detector = detector;
    this.#strategies = strategies ?? new Strategies([]);
    this.#tokens = tokens;
    this.#escapes = escapes === true;
  }

  /** Adds the edits of one value. `key` names what the value belongs to, `depth` counts the strings around the text. */
  visit(text: string, node: Node, zone: Zone, key: string | undefined, depth: number, edits: Edit[]): void {
    switch (node.type) {
      case 'scalar':
        return this.#number(text, node, false, key, depth, edits);
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
      if (depth === 0) this.#place.enter(String(position));
      this.visit(text, item, zone, key, depth, edits);
      if (depth === 0) this.#place.leave();
    }
    if (depth === 0) this.#joined(text, node, edits);
  }

  /** Masks what begins in one text of the list and ends in another: its first piece takes the place of all. */
  #joined(text: string, list: ArrayNode, edits: Edit[]): void {
    const added: Edit[] = [];
    for (const { span, value, pieces } of splits(text, list, this.#detector)) {
      if (this.#strategies.allows(span.entity, value)) continue;
      const whole = { ...span, start: 0, end: value.length };
      const edit = this.#strategies.edit(whole, value, this.#tokens);
      const covers = edit.start === 0 && edit.end === value.length;
      for (const [position, { part, start, end }] of pieces.entries()) {
        const hidden = covers ? edit.text : `<${span.entity}>`;
        rawEdits(text, part.node.start, [{ start, end, text: position === 0 ? hidden : '' }], added);
      }
      this.findings.add(span.rule, span.entity, `${this.#place.pointer()}/${pieces[0]!.part.index}`);
    }
    if (added.length === 0) return;
    const merged = mergeEdits(edits.splice(0), added);
    for (const edit of merged) edits.push(edit);
  }

  #number(text: string, node: Node, ofProtocol: boolean, key: string | undefined, depth: number, edits: Edit[]): void {
    const found = numberEntity(text, node, key, this.#detector);
    if (found === undefined || this.#strategies.allows(found.span.entity, found.digits)) return;
    const { digits, span } = found;
    const { rule, entity } = span;
    const path = this.#place.pointer();
    // A number in JSON inside of a string stands under no schema.
    const way = this.#strategies.numbers(rule) === 'refuse' && depth > 0 ? 'string' : this.#strategies.numbers(rule);
    this.findings.add(rule, entity, path, way === 'refuse' ? 'error' : 'mask');
    if (way === 'refuse') this.refused ??= { rule, entity, path };
    const asText = way === 'string' && !ofProtocol;
    const hidden = asText ? JSON.stringify(splice(digits, [this.#strategies.edit(span, digits, this.#tokens)])) : '0';
    edits.push({ start: node.start, end: node.end, text: hidden });
  }

  #object(text: string, node: ObjectNode, zone: Zone, depth: number, edits: Edit[]): void {
    const masked = this.#keys(text, node, zone, depth, edits);
    for (const member of node.members) {
      const { key, value } = member;
      if (isOpaque(zone, key)) continue;
      if (value.type === 'string' && this.#isConstant(text, zone, member, node)) continue;
      if (depth === 0) this.#place.enter(masked?.has(member) === true ? '*' : key);
      if (value.type === 'scalar') this.#number(text, value, isProtocolMember(zone, key), key, depth, edits);
      else this.visit(text, value, zoneOf(zone, key), key, depth, edits);
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
    const plain = spans.length === 0 ? NONE : this.#report(spans, value);
    const found = this.#encoded(value, key, plain);
    return this.#escapes ? [...found, ...escapePlaceholders(value, found)] : found;
  }

  #maskJson(value: string, inner: Node, key: string | undefined, depth: number): readonly Edit[] {
    const edits: Edit[] = [];
    this.visit(value, inner, FREE, key, depth + 1, edits);
    // What only the whole text shows: expressions of a rule that match across the members of the inner JSON.
    const across = outsideLeaves(inner, this.#detector.regexSpans(value));
    return across.length === 0 ? edits : mergeEdits(edits, this.#report(across, value));
  }

  /** Hides what an encoding holds; what stands for it is replaced by the type, whatever the strategy. */
  #encoded(value: string, key: string | undefined, plain: readonly Edit[]): readonly Edit[] {
    const spans = encodedSpans(value, key, this.#detector, (entity, text) => this.#strategies.allows(entity, text));
    if (spans.length === 0) return plain;
    const path = this.#place.pointer();
    const edits = spans.map(({ start, end, entity, rule }) => {
      this.findings.add(rule, entity, path);
      return { start, end, text: `<${entity}>` };
    });
    return mergeEdits(plain, mergeEdits([], edits));
  }

  #report(spans: readonly Span[], value: string): readonly Edit[] {
    const path = this.#place.pointer();
    return spans.flatMap((span) => {
      if (this.#strategies.allows(span.entity, value.slice(span.start, span.end))) return [];
      this.findings.add(span.rule, span.entity, path);
      return [this.#strategies.edit(span, value, this.#tokens)];
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

const NONE: readonly Edit[] = [];
