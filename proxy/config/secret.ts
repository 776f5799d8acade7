import { inspect } from 'node:util';

const SHOWN = '***';

/** A value that shows itself only to `reveal`: printed, logged or put into JSON it is `***`. */
export class Secret {
  readonly #value: string;
  /** Where it was written: in the configuration (or the environment), or in a file of its own. */
  readonly source: 'text' | 'file';

  constructor(value: string, source: 'text' | 'file') {
    this.#value = value;
    this.source = source;
  }

  reveal(): string {
    return this.#value;
  }

  equals(other: unknown): boolean {
    return other instanceof Secret && other.#value === this.#value;
  }

  toString(): string {
    return SHOWN;
  }

  toJSON(): string {
    return SHOWN;
  }

  [inspect.custom](): string {
    return SHOWN;
  }
}
