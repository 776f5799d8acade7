import { isSigned } from './chain.ts';
import type { Checkpoint, Head } from './chain.ts';
import { toCheckpoint } from './checkpoints.ts';
import type { CheckpointRow } from './checkpoints.ts';
import type { Keys } from './keys.ts';
import type { Db } from './store.ts';
import type { Complain } from './problem.ts';

type Met = ReadonlyMap<string, Head>;

/**
 * Meets the checkpoints on the way through the entries. A checkpoint names the heads between two transactions, and the
 * entries come in the order of transactions: so its heads are the last entries met at one moment of the walk.
 */
export class SignatureAudit {
  readonly #keys: Keys | undefined;
  readonly #complain: Complain;
  readonly #rows: Iterator<CheckpointRow>;
  #next: Checkpoint | undefined;
  #number = 0;
  #newest: Checkpoint | undefined;
  #unsigned = 0;
  #checked = 0;

  constructor(db: Db, keys: Keys | undefined, complain: Complain) {
    this.#keys = keys;
    this.#complain = complain;
    this.#rows = db.prepare<[], CheckpointRow>('SELECT * FROM checkpoints ORDER BY number').iterate();
    this.#next = this.#take();
  }

  /** Called behind every entry, with the heads so far. */
  entry(met: Met): void {
    this.#unsigned++;
    while (this.#next !== undefined && this.#reached(this.#next, met)) {
      this.#compare(this.#next, met);
      this.#unsigned = 0;
      this.#next = this.#take();
    }
  }

  /** What was signed but not met, in the database and in the head beside it. */
  end(met: Met, head: Checkpoint | undefined, file: string): { readonly unsigned: number; readonly checked: number } {
    const left = this.#next;
    if (left !== undefined) this.#cut(left, met, `checkpoint ${left.number}`);
    while (this.#next !== undefined) this.#next = this.#take();
    const newest = this.#newest;
    if (head === undefined) {
      if (newest !== undefined)
        this.#complain('missing', `checkpoint head ${file}`, `the store has ${newest.number} checkpoints`);
    } else this.#outside(head, met, file);
    return { unsigned: this.#unsigned, checked: this.#checked };
  }

  #take(): Checkpoint | undefined {
    const { value, done } = this.#rows.next();
    if (done === true) return undefined;
    const record = `checkpoint ${(value as CheckpointRow).number}`;
    const checkpoint = this.#parse(value as CheckpointRow, record);
    if (checkpoint === undefined) return this.#take();
    if (checkpoint.number !== this.#number + 1) {
      this.#complain('missing', `checkpoint ${this.#number + 1}`, `the next one found is ${checkpoint.number}`);
    }
    this.#number = checkpoint.number;
    this.#newest = checkpoint;
    this.#signature(checkpoint, record);
    return checkpoint;
  }

  #parse(row: CheckpointRow, record: string): Checkpoint | undefined {
    try {
      return toCheckpoint(row);
    } catch (error) {
      this.#complain('altered', record, (error as Error).message);
      this.#number = row.number;
      return undefined;
    }
  }

  #signature(checkpoint: Checkpoint, record: string): void {
    if (this.#keys === undefined) return;
    const key = this.#keys.verifier(checkpoint.key);
    this.#checked++;
    if (key === undefined)
      this.#complain('forged', record, `signed under the key ${checkpoint.key}, which was not given`);
    else if (!isSigned(checkpoint, key)) this.#complain('forged', record, 'its signature does not fit');
  }

  #reached(checkpoint: Checkpoint, met: Met): boolean {
    return Object.entries(checkpoint.heads).every(([writer, head]) => (met.get(writer)?.seq ?? 0) >= head.seq);
  }

  #compare(checkpoint: Checkpoint, met: Met): void {
    for (const [writer, head] of Object.entries(checkpoint.heads)) {
      const found = met.get(writer)!;
      if (found.seq === head.seq && found.hash === head.hash) continue;
      this.#complain(
        'altered',
        `entry ${head.seq} of writer ${writer}`,
        `checkpoint ${checkpoint.number} signed another one`,
      );
    }
  }

  #cut(checkpoint: Checkpoint, met: Met, source: string): void {
    for (const [writer, head] of Object.entries(checkpoint.heads)) {
      const last = met.get(writer)?.seq ?? 0;
      if (last >= head.seq) continue;
      this.#complain('cut', `entry ${last + 1} of writer ${writer}`, `${source} signed the entries up to ${head.seq}`);
    }
  }

  #outside(head: Checkpoint, met: Met, file: string): void {
    this.#signature(head, `checkpoint head ${file}`);
    this.#cut(head, met, `the checkpoint head ${file}`);
    const newest = this.#newest;
    if ((newest?.number ?? 0) < head.number) {
      this.#complain(
        'cut',
        `checkpoint ${(newest?.number ?? 0) + 1}`,
        `the checkpoint head ${file} is number ${head.number}`,
      );
    } else if (newest?.number === head.number && JSON.stringify(newest) !== JSON.stringify(head)) {
      this.#complain('altered', `checkpoint ${head.number}`, `it differs from the checkpoint head ${file}`);
    }
  }
}
