import { decodeString, find } from '../json/tree.ts';
import type { ArrayNode, Node } from '../json/tree.ts';
import type { Detector } from './detector.ts';
import { encodedSpans } from './encoded.ts';
import { withoutOverlaps } from './entities.ts';
import type { Span } from './entities.ts';

/** Of longer texts only so much at each end is read together with their neighbours. */
const REACH = 4096;
const CUT = '\n\n';
const KEY = 'text';
/** What hides the rest of its text: its own finding in one block says nothing of the next one. */
const OPEN_ENDED: ReadonlySet<string> = new Set(['PRIVATE_KEY']);
const DIGIT = /\p{N}/u;
const TEXT_MEMBER = /"text"\s*:/g;

/** A text of a list, such as that of a content block. */
interface Part {
  /** Position in the list. */
  readonly index: number;
  readonly node: Node;
  readonly value: string;
}

/** What lies in one text of a stretch that several texts make together. */
export interface Piece {
  readonly part: Part;
  readonly start: number;
  readonly end: number;
}

export interface Split {
  readonly span: Span;
  readonly value: string;
  readonly pieces: readonly Piece[];
}

/** False is certain: the raw JSON text has no two texts that could be read together. */
export function mayHoldParts(json: string): boolean {
  let count = 0;
  for (const _ of json.matchAll(TEXT_MEMBER)) if ((count += 1) === 2) return true;
  return false;
}

/** Whether something of the tree is only seen when the texts of a list are read together. */
export function holdsSplit(text: string, node: Node, detector: Detector): boolean {
  if (node.type === 'array') {
    return splits(text, node, detector).length > 0 || node.items.some((item) => holdsSplit(text, item, detector));
  }
  return node.type === 'object' && node.members.some(({ value }) => holdsSplit(text, value, detector));
}

/** Entities that begin in one text of a list and end in a later one, without what each text shows by itself. */
export function splits(text: string, list: ArrayNode, detector: Detector): readonly Split[] {
  if (list.items.length < 2) return [];
  const parts = partsOf(text, list);
  if (parts.length < 2) return [];
  const { joined, runs } = join(parts);
  const seen = new Map<Part, readonly Span[]>();
  const own = (part: Part): readonly Span[] => {
    let spans = seen.get(part);
    if (spans === undefined) {
      spans = [...detector.spans(part.value, KEY), ...encodedSpans(part.value, KEY, detector, () => false)];
      seen.set(part, spans);
    }
    return spans;
  };
  let at = 0;
  const encoded = encodedSpans(joined, KEY, detector, () => false);
  return withoutOverlaps([...detector.spans(joined, KEY), ...encoded]).flatMap((span) => {
    while (at < runs.length && (runs[at] as Run).to <= span.start) at += 1;
    if (at >= runs.length || (runs[at] as Run).to >= span.end) return [];
    const pieces: Piece[] = [];
    for (let i = at; i < runs.length && (runs[i] as Run).from < span.end; i += 1) {
      const { part, from, to, offset } = runs[i] as Run;
      const start = Math.max(span.start, from) - from + offset;
      const end = Math.min(span.end, to) - from + offset;
      if (end > start) pieces.push({ part, start, end });
    }
    if (new Set(pieces.map(({ part }) => part)).size < 2) return [];
    const fresh = pieces.filter(
      ({ part, start, end }) => !own(part).some((known) => known.start < end && start < known.end),
    );
    // An address at the end of a text does not go on in the first word of the next; digits go on in digits.
    const rest = fresh.map(({ part, start, end }) => part.value.slice(start, end)).join('');
    if (fresh.length < pieces.length && !DIGIT.test(rest) && !OPEN_ENDED.has(span.entity)) return [];
    return [{ span, value: joined.slice(span.start, span.end), pieces }];
  });
}

/** Texts of the items: their own `text`, that of their `content` (prompts) or their `resource`. */
function partsOf(text: string, list: ArrayNode): readonly Part[] {
  return list.items.flatMap((item, index) => {
    if (item.type !== 'object') return [];
    const node = [find(item, KEY), find(item, 'content', KEY), find(item, 'resource', KEY)].find(
      (found) => found?.type === 'string',
    );
    return node === undefined ? [] : [{ index, node, value: decodeString(text, node.start, node.end) }];
  });
}

/** A stretch of the joined text, and where it stands in its part. */
interface Run {
  readonly part: Part;
  readonly from: number;
  readonly to: number;
  readonly offset: number;
}

function join(parts: readonly Part[]): { readonly joined: string; readonly runs: readonly Run[] } {
  const pieces: string[] = [];
  const runs: Run[] = [];
  let at = 0;
  const add = (part: Part, from: number, to: number): void => {
    pieces.push(part.value.slice(from, to));
    runs.push({ part, from: at, to: at + to - from, offset: from });
    at += to - from;
  };
  for (const part of parts) {
    const { length } = part.value;
    if (length <= 2 * REACH) {
      add(part, 0, length);
    } else {
      add(part, 0, REACH);
      pieces.push(CUT);
      at += CUT.length;
      add(part, length - REACH, length);
    }
  }
  return { joined: pieces.join(''), runs };
}
