import { fingerprintOf, knownOf, nameFold, pinId, stateAfter, storable } from '../policies/pins/pin.ts';
import type { Pin, PinKind, PinState, Sight } from '../policies/pins/pin.ts';
import type { DiffClass } from '../policies/pins/diff.ts';
import type { Denial, Finding } from '../policies/types.ts';
import type { Pins as PinStore } from '../recorder/pin-types.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

export interface PinSettings {
  readonly mode: 'off' | 'alert' | 'block';
  readonly firstSight: 'trust_first' | 'require_review';
  /** How old the tool list may be by which a call is judged. */
  readonly maxAgeMs: number;
}

/** What an upstream shows of a tool or of itself. */
export interface Shown {
  readonly name: string;
  /** Its JSON text. */
  readonly text: string;
}

/** What stands against a tool: `refused` is left out and not called, anything else is only told. */
export interface Objection {
  readonly code: 'tool_changed' | 'tool_unreviewed';
  readonly refused: boolean;
}

/** What the pins say of a call: a finding, and a denial where it is refused. */
export interface Pinned {
  readonly finding: Finding;
  readonly denial?: Denial;
}

interface Known {
  readonly id: string;
  readonly kind: PinKind;
  state: PinState;
  fingerprints: readonly string[];
  class: DiffClass | undefined;
  /** When the newest definition was taken. */
  seenAt: number;
  /** Sights on their way to the store. */
  waiting: number;
  /** The store did not take the last sight. */
  unsaved: boolean;
}

interface Book {
  readonly byName: Readonly<Record<PinKind, Map<string, Known>>>;
  readonly byId: Map<string, Known>;
  /** Names of tools by what they could be taken for. */
  readonly folds: Map<string, string>;
  /** Lists in which nothing was new, as they were written, and under which settings. */
  readonly clean: Map<string, PinSettings>;
}

/** More tools of one connection are not told apart any more: they count as never accepted. */
const MOST_PINS = 10_000;
/** A definition that changes all the time is not written down all the time. */
const REST_MS = 60_000;
const MOST_CLEAN = 8;
const LONGEST_CLEAN = 1024 * 1024;

const REPORTS: Readonly<Record<PinState, string>> = {
  trusted: 'a tool or server was trusted at first sight that deserves a look',
  pending: 'a tool or server waits for its first review',
  changed: 'a tool or server is not what it was',
  rejected: 'a tool or server was rejected',
};

/** What is known of tools and servers, in memory: read at start, changed by what upstreams show and by what people decide. */
export class Pins {
  readonly #store: PinStore;
  readonly #now: () => number;
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #books = new Map<string, Book>();
  readonly #stop: () => void;

  constructor(store: PinStore, now: () => number, log: Log, metrics: Metrics) {
    this.#store = store;
    this.#now = now;
    this.#log = log;
    this.#metrics = metrics;
    this.#stop = store.onChange((pins) => {
      for (const pin of pins) {
        this.#report(pin);
        this.#take(pin);
      }
    });
  }

  /** Rejects when the store cannot be read. */
  async load(): Promise<void> {
    for (const pin of await this.#store.list()) this.#take(pin);
  }

  close(): void {
    this.#stop();
  }

  /** True when this very list was looked at before and held nothing new. */
  isClean(connection: string, list: string, settings: PinSettings): boolean {
    return this.#books.get(connection)?.clean.get(list) === settings;
  }

  noteClean(connection: string, list: string, settings: PinSettings): void {
    const { clean } = this.#book(connection);
    if (list.length > LONGEST_CLEAN) return;
    if (clean.size >= MOST_CLEAN) clean.clear();
    clean.set(list, settings);
  }

  /** Compares what an upstream shows with what is known. What is new is known at once, and on its way to the store. */
  see(
    connection: string,
    kind: PinKind,
    shown: readonly Shown[],
    settings: PinSettings,
    redact: (json: string) => string,
  ): void {
    const sights = shown.flatMap((each) => this.#look(connection, kind, each, settings, redact) ?? []);
    if (sights.length === 0) return;
    this.#book(connection).clean.clear();
    this.#store.sighted(sights).then(
      (pins) => {
        for (const { id } of sights) this.#known(connection, id, (known) => (known.waiting -= 1));
        for (const pin of pins) this.#take(pin);
      },
      (fault: unknown) => {
        for (const { id } of sights)
          this.#known(connection, id, (known) => {
            known.waiting -= 1;
            known.unsaved = true;
          });
        this.#log.error({ connection, err: fault }, 'what an upstream shows of its tools could not be recorded');
      },
    );
  }

  /** What stands against calling or listing the tool. A look into a map. */
  tool(connection: string, name: string, settings: PinSettings): Objection | undefined {
    const book = this.#books.get(connection);
    const known = book === undefined ? undefined : this.#find(book, connection, 'tool', name);
    if (known !== undefined) return objection(known.state, settings);
    const full = book !== undefined && book.byId.size >= MOST_PINS && settings.mode === 'block';
    return settings.firstSight === 'require_review' || full ? { code: 'tool_unreviewed', refused: true } : undefined;
  }

  /** What stands against what a server said of itself in its answer to the method. */
  said(connection: string, method: string, settings: PinSettings): Objection | undefined {
    const state = this.#books.get(connection)?.byName.server.get(method)?.state;
    return state === undefined ? undefined : objection(state, settings);
  }

  /** What stands against all tools of the connection: its server is not the one it was. */
  server(connection: string, settings: PinSettings): Objection | undefined {
    for (const { state, class: difference } of this.#books.get(connection)?.byName.server.values() ?? []) {
      if (state === 'rejected' || (state === 'changed' && difference !== 'cosmetic')) return objection(state, settings);
    }
    return undefined;
  }

  #look(
    connection: string,
    kind: PinKind,
    { name, text }: Shown,
    { firstSight }: PinSettings,
    redact: (json: string) => string,
  ): Sight | undefined {
    const book = this.#book(connection);
    const fingerprint = fingerprintOf(text);
    const now = this.#now();
    let known = this.#find(book, connection, kind, name);
    const like = known === undefined && kind === 'tool' ? this.#likeness(book, name) : undefined;
    const pin = known && { state: known.state, known: known.fingerprints };
    const state = stateAfter(pin, { fingerprint, firstSight, ...(like === undefined ? {} : { like }) });
    if (state === undefined && known?.unsaved !== true) return undefined;
    if (known === undefined) {
      if (book.byId.size >= MOST_PINS) return undefined;
      known = this.#add(book, { id: pinId(connection, kind, name), kind, name });
    } else if (known.state !== 'trusted' && !known.unsaved && now - known.seenAt < REST_MS) return undefined;
    if (state !== undefined) {
      known.fingerprints = state === 'trusted' ? [fingerprint] : [...known.fingerprints.slice(0, 1), fingerprint];
      known.state = state;
      known.class = undefined;
    }
    known.seenAt = now;
    known.waiting += 1;
    known.unsaved = false;
    return {
      id: known.id,
      connection,
      kind,
      fingerprint,
      at: now,
      firstSight,
      name: storableName(name, redact),
      text: storable(text, redact),
      ...(like === undefined ? {} : { like: storableName(like, redact) }),
    };
  }

  /** The other tool for which a new one of this name could be taken. */
  #likeness(book: Book, name: string): string | undefined {
    const other = book.folds.get(nameFold(name));
    return other === undefined || other === name ? undefined : other;
  }

  #find(book: Book, connection: string, kind: PinKind, name: string): Known | undefined {
    const known = book.byName[kind].get(name);
    if (known !== undefined || book.byId.size === book.byName.tool.size + book.byName.server.size) return known;
    // Some names are stored masked: those pins are known by the digest of the name until it is met.
    const masked = book.byId.get(pinId(connection, kind, name));
    if (masked !== undefined) book.byName[kind].set(name, masked);
    return masked;
  }

  #add(book: Book, { id, kind, name }: { id: string; kind: PinKind; name: string | undefined }): Known {
    const known: Known = {
      id,
      kind,
      state: 'trusted',
      fingerprints: [],
      class: undefined,
      seenAt: 0,
      waiting: 0,
      unsaved: false,
    };
    book.byId.set(id, known);
    if (name === undefined) return known;
    book.byName[kind].set(name, known);
    if (kind === 'tool' && !book.folds.has(nameFold(name))) book.folds.set(nameFold(name), name);
    return known;
  }

  /** The store's word on a pin; while a sight is on its way, the word on that one is waited for. */
  #take(pin: Pin): void {
    const book = this.#book(pin.connection);
    const { id, kind, name } = pin;
    const isName = pinId(pin.connection, kind, name) === id;
    const known = book.byId.get(id) ?? this.#add(book, { id, kind, name: isName ? name : undefined });
    if (known.waiting > 0) return;
    book.clean.clear();
    known.state = pin.state;
    known.class = pin.class;
    known.fingerprints = knownOf(pin);
  }

  #known(connection: string, id: string, change: (known: Known) => void): void {
    const known = this.#books.get(connection)?.byId.get(id);
    if (known !== undefined) change(known);
  }

  /** For operators: what upstreams show, not what people decided. */
  #report({ connection, kind, name, state, class: difference, note, id, seenAt, decidedAt = 0 }: Pin): void {
    if (decidedAt > seenAt || (state === 'trusted' && note === undefined && difference === undefined)) return;
    this.#metrics.pinChanged(connection, state, difference ?? 'none');
    this.#log.warn({ connection, pin: id, kind, name, state, class: difference, note }, REPORTS[state]);
  }

  #book(connection: string): Book {
    let book = this.#books.get(connection);
    if (book === undefined) {
      const byName = { tool: new Map<string, Known>(), server: new Map<string, Known>() };
      book = { byName, byId: new Map(), folds: new Map(), clean: new Map() };
      this.#books.set(connection, book);
    }
    return book;
  }
}

/** What a person refused stays refused; what nobody accepted yet is refused where reviews are required. */
function objection(state: PinState, { mode, firstSight }: PinSettings): Objection | undefined {
  switch (state) {
    case 'trusted':
      return undefined;
    case 'pending':
      return { code: 'tool_unreviewed', refused: mode === 'block' || firstSight === 'require_review' };
    case 'changed':
      return { code: 'tool_changed', refused: mode === 'block' };
    case 'rejected':
      return { code: 'tool_changed', refused: true };
    default:
      return state satisfies never;
  }
}

function storableName(name: string, redact: (json: string) => string): string {
  return JSON.parse(redact(JSON.stringify(name.slice(0, 1024)))) as string;
}
