import { isAlnum, isBase64Url, isDigit, isEscapeLetter, isLower, joinedBefore } from '../characters.ts';
import type { Sink } from '../entities.ts';

const UNDERSCORE = 0x5f;
const DASH = 0x2d;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;
const SLASH = 0x2f;
// What is read before a key is judged; of an accepted one the whole is taken.
const ENOUGH = 120;

/** What ends with the prefix's last character and how much of which alphabet follows. */
interface Prefix {
  readonly text: string;
  readonly fewest: number;
  readonly unit: (c: number) => boolean;
  /** Small words may follow the prefix too: the rest must be mixed as random text is. */
  readonly mixed?: boolean;
}

const word = (c: number): boolean => isAlnum(c) || c === UNDERSCORE;

const UNDERSCORED: readonly Prefix[] = [
  ...['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_'].map((text) => ({ text, fewest: 36, unit: isAlnum })),
  { text: 'github_pat_', fewest: 36, unit: word },
  { text: 'npm_', fewest: 36, unit: isAlnum },
  { text: 'hf_', fewest: 30, unit: isAlnum, mixed: true },
  { text: 'whsec_', fewest: 24, unit: isAlnum, mixed: true },
  ...['sk', 'rk'].flatMap((kind) =>
    ['live', 'test', 'prod'].map((mode) => ({ text: `${kind}_${mode}_`, fewest: 16, unit: word })),
  ),
];
const HYPHENED: readonly Prefix[] = [
  ...['glpat-', 'gldt-', 'glrt-', 'glptt-', 'glcbt-', 'glsoat-', 'glagent-'].map((text) => ({
    text,
    fewest: 20,
    unit: isBase64Url,
  })),
  ...['xoxb-', 'xoxp-', 'xoxa-', 'xoxr-', 'xoxs-', 'xoxe-', 'xoxo-', 'xapp-'].map((text) => ({
    text,
    fewest: 16,
    unit: isBase64Url,
    mixed: true,
  })),
  { text: 'sk-', fewest: 20, unit: isBase64Url, mixed: true },
];
const AZURE = ['AccountKey=', 'SharedAccessKey=', 'SharedAccessSignature='];

/** Finds keys and tokens by the prefixes that their issuers give them. */
export class ApiKeyRecogniser {
  #judged = 0;

  begin(): void {
    this.#judged = 0;
  }

  /** Offers the key whose prefix ends at `at`, with an underscore, a hyphen, an equals sign, or begins there with `AIza`. */
  look(text: string, at: number, sink: Sink): void {
    if (at < this.#judged) return;
    const c = text.charCodeAt(at);
    if (c === 0x41) this.#google(text, at, sink);
    else if (c === EQUALS) this.#azure(text, at, sink);
    else {
      for (const prefix of c === DASH ? HYPHENED : UNDERSCORED) {
        if (text.charCodeAt(at - 1) !== prefix.text.charCodeAt(prefix.text.length - 2)) continue;
        const start = at + 1 - prefix.text.length;
        if (start < 0 || !text.startsWith(prefix.text, start) || joinedBefore(text, start)) continue;
        if (holds(text, at + 1, prefix)) this.#offer(text, start, at + 1, prefix.unit, 0.95, sink);
        return;
      }
    }
  }

  #google(text: string, at: number, sink: Sink): void {
    if (!text.startsWith('AIza', at) || joinedBefore(text, at)) return;
    let end = at + 4;
    while (end < at + 40 && isBase64Url(text.charCodeAt(end))) end += 1;
    if (end - at === 39) sink.offer('API_KEY', at, end, 0.95);
  }

  /** Keys of storage accounts and of connection strings: only the value is offered. */
  #azure(text: string, at: number, sink: Sink): void {
    const name = AZURE.find((known) => text.startsWith(known, at + 1 - known.length));
    if (name === undefined) return;
    const prefix = { text: name, fewest: 40, unit: azure, mixed: true };
    if (holds(text, at + 1, prefix)) this.#offer(text, at + 1, at + 1, azure, 0.9, sink);
  }

  #offer(text: string, start: number, from: number, unit: (c: number) => boolean, score: number, sink: Sink): void {
    let end = from;
    while (unit(text.charCodeAt(end))) end += 1;
    this.#judged = end;
    sink.offer('API_KEY', start, end, score);
  }
}

/** Raw JSON may write `/` as `\/`. */
const azure = (c: number): boolean =>
  isAlnum(c) || c === 0x2b || c === SLASH || c === EQUALS || c === BACKSLASH || c === 0x25;

function holds(text: string, from: number, { fewest, unit, mixed }: Prefix): boolean {
  let end = from;
  while (end - from < ENOUGH && unit(text.charCodeAt(end))) end += 1;
  return end - from >= fewest && (mixed !== true || turns(text, from, end) >= 4);
}

/** How often small letters, capitals and digits take turns: often in random text, seldom in words. */
export function turns(text: string, start: number, end: number): number {
  let count = 0;
  let before = 0;
  for (let i = start; i < end; i += 1) {
    const c = text.charCodeAt(i);
    const kind = !isAlnum(c) || isEscapeLetter(text, i) ? 0 : isDigit(c) ? 1 : isLower(c) ? 2 : 3;
    if (kind !== 0 && before !== 0 && kind !== before) count += 1;
    if (kind !== 0) before = kind;
  }
  return count;
}
