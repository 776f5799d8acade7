const AWAKE = 0;
const SLEEPING = 1;
const GATHERING = 2;

/** What the main thread and the writer thread tell each other without messages. Positions count journal bytes from its very beginning. */
export class Shared {
  readonly memory: SharedArrayBuffer;
  readonly #positions: BigInt64Array;
  readonly #state: Int32Array;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(64)) {
    this.memory = memory;
    this.#positions = new BigInt64Array(memory, 0, 3);
    this.#state = new Int32Array(memory, 32, 1);
  }

  /** Up to here the journal holds whole entries that were acknowledged. */
  get written(): number {
    return Number(Atomics.load(this.#positions, 0));
  }
  set written(position: number) {
    Atomics.store(this.#positions, 0, BigInt(position));
  }

  /** Up to here the entries are in the store. */
  get moved(): number {
    return Number(Atomics.load(this.#positions, 1));
  }
  set moved(position: number) {
    Atomics.store(this.#positions, 1, BigInt(position));
  }

  /** Where the segment begins that is being written. */
  get segment(): number {
    return Number(Atomics.load(this.#positions, 2));
  }
  set segment(start: number) {
    Atomics.store(this.#positions, 2, BigInt(start));
  }

  /** Wakes the writer thread when it sleeps, and when it gathers only if `urgent`; nearly free otherwise. */
  wake(urgent: boolean): void {
    const state = Atomics.load(this.#state, 0);
    if (state === AWAKE || (state === GATHERING && !urgent)) return;
    if (Atomics.compareExchange(this.#state, 0, state, AWAKE) === state) Atomics.notify(this.#state, 0);
  }

  /** Announces a pause; look for work once more between this and `pause`. Gathering is ended by urgent calls only. */
  doze(gathering: boolean): void {
    Atomics.store(this.#state, 0, gathering ? GATHERING : SLEEPING);
  }

  /** Takes the announcement back. */
  rouse(): void {
    Atomics.store(this.#state, 0, AWAKE);
  }

  /** Pauses until woken, at most this long. */
  pause(ms: number): void {
    const state = Atomics.load(this.#state, 0);
    if (state !== AWAKE) Atomics.wait(this.#state, 0, state, ms);
    this.rouse();
  }
}
