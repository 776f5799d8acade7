/** Longest part of a line that is kept, and looked at for secrets before it is cut to what is shown. */
const KEPT = 8192;
const SHOWN = 4096;
const MOST_PER_SECOND = 100;

/**
 * Cuts what a child writes to its standard error into lines for the log: each bounded, at most 100 a second, then one line that
 * says how many were left out.
 */
export class ErrorLines {
  readonly #scrub: (text: string) => string;
  readonly #onLine: (line: string) => void;
  #text = '';
  #said = 0;
  #dropped = 0;
  #second: NodeJS.Timeout | undefined;

  constructor(scrub: (text: string) => string, onLine: (line: string) => void) {
    this.#scrub = scrub;
    this.#onLine = onLine;
  }

  push(chunk: string): void {
    let at = 0;
    for (let end = chunk.indexOf('\n'); end >= 0; end = chunk.indexOf('\n', at)) {
      this.#add(chunk, at, end);
      at = end + 1;
      const line = this.#text;
      this.#text = '';
      this.say(line);
    }
    this.#add(chunk, at, chunk.length);
  }

  #add(chunk: string, from: number, to: number): void {
    const room = KEPT - this.#text.length;
    if (room > 0) this.#text += chunk.slice(from, Math.min(to, from + room));
  }

  /** One whole line. */
  say(line: string): void {
    this.#second ??= setTimeout(() => this.#nextSecond(), 1_000).unref();
    this.#said += 1;
    if (this.#said > MOST_PER_SECOND) this.#dropped += 1;
    else this.#onLine(this.#scrub(line.slice(0, KEPT)).slice(0, SHOWN));
  }

  #nextSecond(): void {
    this.#second = undefined;
    this.#said = 0;
    if (this.#dropped > 0) this.#onLine(`${this.#dropped} more lines were left out`);
    this.#dropped = 0;
  }

  /** The child is gone: what it did not end with a line break is a line too. */
  end(): void {
    if (this.#text !== '') this.say(this.#text);
    this.#text = '';
    clearTimeout(this.#second);
    this.#nextSecond();
  }
}
