import type { Frame } from '../../types.ts';
import { objectMember } from '../../wire/frame.ts';

/** A call that may put questions of its server to its client. */
export interface Askable {
  /** Its client is not there now, and will learn of it only when it comes back. */
  readonly suspended: boolean;
  /** Takes a question that did not come on its own stream; false when it cannot. */
  put(question: Frame): boolean;
  /** The question with this id need not be asked any more. */
  withdraw(id: string): void;
}

/** The calls of one session, so of one principal, that may ask their client: nothing put here reaches anybody else's call. */
export class CallsInFlight {
  /** Oldest first. */
  readonly #calls = new Set<Askable>();

  add(call: Askable): void {
    this.#calls.add(call);
  }

  delete(call: Askable): void {
    this.#calls.delete(call);
  }

  /** Gives a question to the newest call, before all to one whose client waits; false when there is none. */
  put(question: Frame): boolean {
    const newest = [...this.#calls].reverse();
    const waited = newest.filter(({ suspended }) => !suspended);
    return [...waited, ...newest.filter(({ suspended }) => suspended)].some((call) => call.put(question));
  }

  /** The server withdraws a question: whichever call has it and did not ask it yet need not. */
  withdraw(cancelled: Frame): void {
    const id = JSON.stringify(objectMember(cancelled.value, 'params')?.['requestId']);
    for (const call of this.#calls) call.withdraw(id);
  }
}
