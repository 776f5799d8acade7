import type { Pin } from '../policies/pins/pin.ts';
import type { Ledger } from './ledger.ts';
import { brief, type PinsTable } from './pins-table.ts';
import type { ReviewDesk } from './review-desk.ts';
import type { Db, Statement } from './store.ts';
import type { Review } from './types.ts';

/** Notices what other processes did to reviews, tokens and pins of the same store. */
export class Watcher {
  readonly #db: Db;
  readonly #ledger: Ledger;
  readonly #reviews: ReviewDesk;
  readonly #pins: PinsTable;
  readonly #newest: Statement;
  readonly #changed: Statement;
  readonly #tokens: Statement;
  readonly #changedPins: Statement;
  #version: number;
  #seen: number;

  constructor(db: Db, ledger: Ledger, { reviews, pins }: { readonly reviews: ReviewDesk; readonly pins: PinsTable }) {
    this.#db = db;
    this.#ledger = ledger;
    this.#reviews = reviews;
    this.#pins = pins;
    this.#newest = db.prepare('SELECT coalesce(max(id), 0) FROM entries').pluck();
    const foreign = 'JOIN entries e ON e.id = t.changed WHERE t.changed > ? AND t.changed <= ? AND e.writer <> ?';
    this.#changed = db.prepare(`SELECT t.id FROM reviews t ${foreign}`).pluck();
    this.#tokens = db.prepare(`SELECT count(*) FROM tokens t ${foreign}`).pluck();
    this.#changedPins = db.prepare(`SELECT t.id FROM pins t ${foreign}`).pluck();
    this.#version = this.#dataVersion();
    this.#seen = this.#newest.get() as number;
  }

  /** Reviews and pins that others changed since the last look, and whether they changed tokens. */
  look(): { readonly reviews: readonly Review[]; readonly pins: readonly Pin[]; readonly tokens: boolean } {
    const version = this.#dataVersion();
    if (version === this.#version) return { reviews: [], pins: [], tokens: false };
    this.#version = version;
    const newest = this.#newest.get() as number;
    const range = [this.#seen, newest, this.#ledger.number] as const;
    const ids = this.#changed.all(...range) as string[];
    const tokens = (this.#tokens.get(...range) as number) > 0;
    const pins = this.#changedPins.all(...range) as string[];
    this.#seen = newest;
    return {
      reviews: ids.flatMap((id) => this.#reviews.get(id) ?? []),
      pins: pins.flatMap((id) => this.#pins.get(id) ?? []).map(brief),
      tokens,
    };
  }

  /** Changes with every commit of another connection, never with our own. */
  #dataVersion(): number {
    return this.#db.pragma('data_version', { simple: true }) as number;
  }
}
