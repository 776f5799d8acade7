import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { decodeString, find, parseTree, type Node } from '../../../policies/json/tree.ts';
import type { Frame } from '../../types.ts';

/** What the server behind can tell of by itself, as far as a session may hear of it. */
export type Offer = 'tools' | 'prompts' | 'resources' | 'subscribe';

const OFFERS: readonly Offer[] = ['tools', 'prompts', 'resources', 'subscribe'];

/** What is fixed when a session opens. */
export interface SessionFacts {
  readonly version: string;
  /** JSON text of the client's capabilities, in the words of 2026-07-28. */
  readonly capabilities: string;
  /** JSON text of what the client says it is. */
  readonly clientInfo: string | undefined;
  readonly offers: readonly Offer[];
}

/** The standing GET stream of a session. */
export interface Listening {
  /** Makes the server behind tell what the session wants now; throws when it does not. */
  refit(): Promise<void>;
  /** Whether the server said that it tells of changes to this resource. */
  hears(uri: string): boolean;
  close(): void;
}

/** A session as this process knows it: its facts, and what lasts only as long as the process. */
export interface LegacySession {
  readonly facts: SessionFacts;
  logLevel: string | undefined;
  /** Calls under way by normalised id; each entry gives its call up. */
  readonly calls: Map<string, () => void>;
  /** Questions to the client that it has not answered, by normalised id. */
  readonly questions: Map<string, (answer: Frame) => void>;
  /** URIs of resources whose changes the client wants to know of. */
  readonly subscriptions: Set<string>;
  listening: Listening | undefined;
}

const LONGEST = 3072;
const MOST = 10_000;

/**
 * Sessions of clients in front of a server that has none. An id holds all that was agreed when the session opened, so that
 * another process can go on with it; what changed since begins anew there. A session that was ended stays ended.
 */
export class LegacySessions {
  readonly #live = new Map<string, LegacySession>();
  /** Digests of ended ids, oldest first. */
  readonly #ended = new Set<string>();

  open(facts: SessionFacts): string {
    const written = write(facts);
    const id = written.length <= LONGEST ? written : `m!${randomUUID()}`;
    this.#remember(id, facts);
    return id;
  }

  find(id: string): LegacySession | undefined {
    const live = this.#live.get(id);
    if (live !== undefined) return live;
    if (this.#ended.has(digest(id))) return undefined;
    const facts = read(id);
    return facts === undefined ? undefined : this.#remember(id, facts);
  }

  /** Frees all that the session holds; its id is unknown from now on. */
  end(id: string): void {
    const session = this.#live.get(id);
    this.#live.delete(id);
    this.#ended.add(digest(id));
    if (this.#ended.size > MOST) this.#ended.delete(this.#ended.values().next().value!);
    if (session === undefined) return;
    for (const giveUp of session.calls.values()) giveUp();
    session.listening?.close();
  }

  close(): void {
    for (const { calls, listening } of this.#live.values()) {
      for (const giveUp of calls.values()) giveUp();
      listening?.close();
    }
    this.#live.clear();
  }

  #remember(id: string, facts: SessionFacts): LegacySession {
    const session: LegacySession = {
      facts,
      logLevel: undefined,
      calls: new Map(),
      questions: new Map(),
      subscriptions: new Set(),
      listening: undefined,
    };
    this.#live.set(id, session);
    if (this.#live.size > MOST) this.#evict();
    return session;
  }

  /** Forgets the oldest session that nothing is waiting for; its id can be read again, unless it was too long to hold its facts. */
  #evict(): void {
    for (const [id, { calls, listening }] of this.#live) {
      if (calls.size > 0 || listening !== undefined) continue;
      this.#live.delete(id);
      return;
    }
  }
}

function write({ version, capabilities, clientInfo, offers }: SessionFacts): string {
  const head = { r: randomBytes(16).toString('base64url'), v: version, o: offers };
  const info = clientInfo === undefined ? '' : `,"i":${clientInfo}`;
  const text = `${JSON.stringify(head).slice(0, -1)},"c":${capabilities}${info}}`;
  return `m.${Buffer.from(text).toString('base64url')}`;
}

function read(id: string): SessionFacts | undefined {
  if (!id.startsWith('m.') || id.length > LONGEST) return undefined;
  const text = Buffer.from(id.slice(2), 'base64url').toString();
  let root: Node;
  try {
    root = parseTree(text);
  } catch {
    // No id of ours: a session that is not known.
    return undefined;
  }
  const version = find(root, 'v');
  const capabilities = find(root, 'c');
  const info = find(root, 'i');
  const offers = find(root, 'o');
  if (version?.type !== 'string' || capabilities?.type !== 'object' || offers?.type !== 'array') return undefined;
  const offered = offers.items.map((item) => text.slice(item.start, item.end));
  return {
    version: decodeString(text, version.start, version.end),
    capabilities: text.slice(capabilities.start, capabilities.end),
    clientInfo: info?.type === 'object' ? text.slice(info.start, info.end) : undefined,
    offers: OFFERS.filter((offer) => offered.includes(`"${offer}"`)),
  };
}

const digest = (id: string): string => createHash('sha256').update(id).digest('base64url');
