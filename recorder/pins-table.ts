import { afterAccept, afterReject, afterSight, shapeOf } from '../policies/pins/pin.ts';
import type { Definition, Pin, PinKind, PinState, Sight } from '../policies/pins/pin.ts';
import type { DiffClass } from '../policies/pins/diff.ts';
import type { Actor } from './actor.ts';
import type { Ledger } from './ledger.ts';
import type { Db, Statement } from './store.ts';

export interface PinRow {
  readonly id: string;
  readonly changed: number;
  readonly connection: string;
  readonly kind: string;
  readonly name: string;
  readonly state: string;
  readonly class: string | null;
  readonly note: string | null;
  readonly trusted: string | null;
  readonly trusted_text: string | null;
  readonly candidate: string | null;
  readonly candidate_text: string | null;
  readonly first_seen: number;
  readonly seen_at: number;
  readonly decided_at: number | null;
  readonly decided_by: string | null;
}

const COLUMNS = `id, changed, connection, kind, name, state, class, note, trusted, candidate, first_seen, seen_at,
  decided_at, decided_by`;

const NONE: ReadonlyMap<string, string> = new Map();

/** What the entry of a change proves of the pin after it: every stored column. */
export function pinEvidence(row: PinRow): Buffer {
  const { changed: _, ...columns } = row;
  return Buffer.from(JSON.stringify(columns));
}

/** The fingerprints of tools and servers, and what was decided about them. Runs in the writer thread. */
export class PinsTable {
  readonly #db: Db;
  readonly #ledger: Ledger;
  readonly #told: (pins: readonly Pin[]) => void;
  readonly #row: Statement;
  readonly #put: Statement;
  readonly #mark: Statement;

  constructor(db: Db, ledger: Ledger, changed: (pins: readonly Pin[]) => void) {
    this.#db = db;
    this.#ledger = ledger;
    this.#told = changed;
    this.#row = db.prepare('SELECT * FROM pins WHERE id = ?');
    this.#put = db.prepare(
      `INSERT OR REPLACE INTO pins (id, changed, connection, kind, name, state, class, note, trusted, trusted_text,
         candidate, candidate_text, first_seen, seen_at, decided_at, decided_by)
       VALUES (?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#mark = db.prepare('UPDATE pins SET changed = ? WHERE id = ?');
  }

  list(connection: string | undefined): Pin[] {
    const all = `SELECT ${COLUMNS} FROM pins`;
    const order = 'ORDER BY connection, kind, name, id';
    const rows =
      connection === undefined
        ? this.#db.prepare(`${all} ${order}`).all()
        : this.#db.prepare(`${all} WHERE connection = ? ${order}`).all(connection);
    return (rows as PinRow[]).map(toPin);
  }

  get(id: string): Pin | undefined {
    const row = this.#row.get(id) as PinRow | undefined;
    return row === undefined ? undefined : toPin(row);
  }

  sighted(sights: readonly Sight[]): readonly Pin[] {
    const changed = this.#ledger.transact(() => {
      const twins = new Map<string, ReadonlyMap<string, string>>();
      return sights.flatMap((sight) => {
        const pin = this.get(sight.id);
        const next = afterSight(pin, sight, pin === undefined ? this.#twins(sight.connection, twins) : NONE);
        if (next !== undefined) this.#write(pin, next, sight.at);
        return next ?? [];
      });
    });
    if (changed.length > 0) this.#told(changed.map(brief));
    return sights.flatMap(({ id }) => this.get(id) ?? []).map(brief);
  }

  accept(id: string, fingerprint: string, by: Actor): Pin | undefined {
    return this.#decide(id, by, (pin, at) => afterAccept(pin, fingerprint, at, by.subject));
  }

  reject(id: string, fingerprint: string, by: Actor): Pin | undefined {
    return this.#decide(id, by, (pin, at) => afterReject(pin, fingerprint, at, by.subject));
  }

  #decide(id: string, by: Actor, decide: (pin: Pin, at: number) => Pin | undefined): Pin | undefined {
    const next = this.#ledger.transact(() => {
      const at = Date.now();
      const pin = this.get(id);
      const decided = pin === undefined ? undefined : decide(pin, at);
      if (decided !== undefined) this.#write(pin, decided, at, by);
      return decided;
    });
    if (next !== undefined) this.#told([brief(next)]);
    return next;
  }

  /** The trusted tools by shape, as they were before this batch: what came together is not a renamed other. */
  #twins(connection: string, known: Map<string, ReadonlyMap<string, string>>): ReadonlyMap<string, string> {
    let twins = known.get(connection);
    if (twins === undefined) {
      const rows = this.#db
        .prepare(`SELECT * FROM pins WHERE connection = ? AND kind = 'tool' AND trusted IS NOT NULL`)
        .all(connection) as PinRow[];
      twins = new Map(rows.map(({ name, trusted_text: text }) => [shapeOf(text ?? '{}') ?? name, name]));
      known.set(connection, twins);
    }
    return twins;
  }

  #write(before: Pin | undefined, pin: Pin, at: number, by?: Actor): void {
    this.#put.run(
      pin.id,
      pin.connection,
      pin.kind,
      pin.name,
      pin.state,
      pin.class ?? null,
      pin.note ?? null,
      pin.trusted?.fingerprint ?? null,
      pin.trusted?.text ?? null,
      pin.candidate?.fingerprint ?? null,
      pin.candidate?.text ?? null,
      pin.firstSeen,
      pin.seenAt,
      pin.decidedAt ?? null,
      pin.decidedBy ?? null,
    );
    const { id, state: to } = pin;
    const fingerprint = pin.candidate?.fingerprint ?? pin.trusted?.fingerprint ?? '';
    const entry = { type: 'pin.changed', at, id, from: before?.state ?? null, to, fingerprint } as const;
    const row = this.#row.get(id) as PinRow;
    const changed = this.#ledger.append(by === undefined ? entry : { ...entry, by }, pinEvidence(row));
    this.#mark.run(changed, id);
  }
}

/** A pin without the texts of its definitions, which may be long. */
export function brief(pin: Pin): Pin {
  const { trusted, candidate, ...rest } = pin;
  const without = ({ fingerprint }: Definition): Definition => ({ fingerprint, text: '' });
  return {
    ...rest,
    ...(trusted === undefined ? {} : { trusted: without(trusted) }),
    ...(candidate === undefined ? {} : { candidate: without(candidate) }),
  };
}

function toPin(row: PinRow): Pin {
  return {
    id: row.id,
    connection: row.connection,
    kind: row.kind as PinKind,
    name: row.name,
    state: row.state as PinState,
    ...(row.class === null ? {} : { class: row.class as DiffClass }),
    ...(row.note === null ? {} : { note: row.note }),
    ...(row.trusted === null ? {} : { trusted: { fingerprint: row.trusted, text: row.trusted_text ?? '' } }),
    ...(row.candidate === null ? {} : { candidate: { fingerprint: row.candidate, text: row.candidate_text ?? '' } }),
    firstSeen: row.first_seen,
    seenAt: row.seen_at,
    ...(row.decided_at === null ? {} : { decidedAt: row.decided_at }),
    ...(row.decided_by === null ? {} : { decidedBy: row.decided_by }),
  };
}
