export type Era = 'legacy' | 'modern';

/**
 * What must not get through: a word of a deny list, a match of a pattern, an entity that is masked, the name of a tool that access
 * denies.
 */
export type Guard = 'words' | 'pattern' | 'mask' | 'access';

/** The twenty kinds of tricks by which text gets past a proxy that reads messages. */
export const POINTS: readonly string[] = [
  'duplicate keys, also spelt with escapes: one reader takes the first, another the last',
  'keys that look like members of the protocol: other case, full-width letters, NUL, zero-width characters',
  'headers that say something other than the body, repeated headers, line ends in decoded header values',
  'batches: where there are none, one denied message among allowed ones, nested',
  'encodings of the body: compression, UTF-16, JSON escapes, percent-encoding, character references',
  'encodings inside values: base64, hexadecimal, data URIs, JSON in a string, several of them nested',
  'Unicode: invisible and bidirectional characters, tag characters, lookalikes, full-width letters',
  'splitting over blocks, members, events, pages, calls',
  'structured content beside the text content',
  'carriers that are no text: embedded resources, blobs, images, links, and the same data by another method',
  'metadata: names, descriptions, schemas, annotations, instructions, prompts, icons, _meta',
  'errors: message, data, HTTP bodies',
  'side channels on a stream: progress, logs, updates, task status, elicitation, sampling',
  'second paths to the same data: tasks, resumption, listening, completion, templates, retries',
  'what clients send beside arguments: answers to questions, roots, client info, tokens, cursors, headers',
  'names that are confused with others: case, lookalikes, invisible characters',
  'methods: other case, spaces, NUL, a request without its id',
  'keys of the prototype',
  'time of check and time of use: other arguments in a repeat, a definition that changes',
  'too large to be read',
];

interface Row {
  readonly id: string;
  /** 1 to 20, as in POINTS. */
  readonly point: number;
  readonly eras: readonly Era[];
  readonly what: string;
  /** Absent: all that judge the direction. */
  readonly guards?: readonly Guard[];
  /** Cannot be stopped; it must raise a finding, or docs/bypass.md says why it is not detected. */
  readonly detect_only?: string;
  /** A hole that is known and not closed yet, by guard. */
  readonly todo?: Partial<Readonly<Record<Guard, string>>>;
}

export interface InputEntry extends Row {
  readonly direction: 'input';
  readonly carrier: string;
  readonly disguise: string;
}

export interface OutputEntry extends Row {
  readonly direction: 'output';
  readonly carrier: string;
  readonly disguise: string;
}

export type Entry = InputEntry | OutputEntry;

export const BOTH: readonly Era[] = ['legacy', 'modern'];
export const LEGACY: readonly Era[] = ['legacy'];
export const MODERN: readonly Era[] = ['modern'];
