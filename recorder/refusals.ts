import type { Journal } from './types.ts';

/** A request that was turned away before it became a call. */
export interface Refusal {
  readonly code: string;
  readonly address: string;
  readonly route: string;
  readonly at: number;
}

export interface Refusals {
  /** Returns at once: a flood of refusals costs authenticated calls nothing. */
  note(refusal: Refusal): void;
  /** Writes the count of this minute now; for a clean stop. */
  flush(): void;
}

const MINUTE = 60_000;
const PER_ADDRESS = 20;
const IN_ALL = 200;
/** Stands for values that differ among the refusals counted in one entry. */
const SEVERAL = '*';

type Counted = { code: string; address: string; route: string; count: number };

/** Records refusals one by one up to 20 a minute of an address and 200 in all, and the rest as one entry with their count when the minute ends. */
export function createRefusals(journal: Journal): Refusals {
  let minute = 0;
  let written = 0;
  let counted: Counted | undefined;
  let timer: NodeJS.Timeout | undefined;
  // Holds only addresses that had an entry of their own this minute: at most 200.
  const addresses = new Map<string, number>();

  const count = ({ code, address, route }: Refusal, times: number): void => {
    if (counted === undefined) counted = { code, address, route, count: times };
    else {
      if (counted.code !== code) counted.code = SEVERAL;
      if (counted.address !== address) counted.address = SEVERAL;
      if (counted.route !== route) counted.route = SEVERAL;
      counted.count += times;
    }
    timer ??= setTimeout(turn, MINUTE - (Date.now() % MINUTE)).unref();
  };

  const write = (refusal: Refusal, times: number): void => {
    const { code, address, route, at } = refusal;
    // What cannot be written now is counted, and tried again when the minute ends.
    journal.append({ type: 'refusal', at, code, address, route, count: times }).catch(() => count(refusal, times));
  };

  const flush = (): void => {
    const rest = counted;
    counted = undefined;
    clearTimeout(timer);
    timer = undefined;
    if (rest !== undefined) write({ ...rest, at: Date.now() }, rest.count);
  };

  const turn = (): void => {
    flush();
    addresses.clear();
    written = 0;
  };

  const note = (refusal: Refusal): void => {
    const now = Math.floor(refusal.at / MINUTE);
    if (now !== minute) {
      minute = now;
      turn();
    }
    const ofAddress = addresses.get(refusal.address) ?? 0;
    if (written >= IN_ALL || ofAddress >= PER_ADDRESS) return count(refusal, 1);
    addresses.set(refusal.address, ofAddress + 1);
    written++;
    write(refusal, 1);
  };

  return { note, flush };
}
