import { isAlnum, isDigit, isHex, isLetter, isUpper } from './characters.ts';
import { CONTEXT_OF, mentions } from './context.ts';
import { compileCustomGate } from './custom.ts';
import type { CustomGate } from './custom.ts';
import { AT, CAPITAL_J, NOTHING } from './detector.ts';
import type { Detector } from './detector.ts';
import { BUILT_IN_TYPES, CONTEXT_BOOST } from './entities.ts';
import type { BuiltInType, Sink } from './entities.ts';
import { ACTIVE, INERT, INVISIBLE, MARK, SEPARATOR } from './fold.ts';
import { maySpellSecret } from './recognisers/aws-access-key.ts';
import { KEY_LABEL } from './recognisers/private-key.ts';

const QUOTE = 64;
const BACKSLASH = 65;
const DELETE = 66;
const FOREIGN = 67;
const QUOTATION = 0x22;
const COLON = 0x3a;
const OPENS = /^[ \t\r\n]*[[{]/;
// Units of a text whose copy is kept for the next one.
const KEPT = 1 << 20;

/**
 * One pass over a raw JSON text that says whether a closer look could find anything. False is certain: between the quotes of a text
 * without escapes that hide characters, and without characters that fold, recognisers see the very units they would see in the
 * decoded strings. Anything else counts as a yes.
 */
export class Gate implements Sink {
  readonly #detector: Detector;
  readonly #custom: CustomGate;
  readonly #lowest: ReadonlyMap<BuiltInType, number>;
  readonly #triggers = new Uint8Array(128);
  /** Whether hyphens, full stops and colons stand inside of what is looked for, between letters too. */
  readonly #joinsWords: boolean;
  #buffer = Buffer.alloc(8192);
  #hit = false;
  #escaped = false;
  /** Context words that would make a weak candidate count. */
  #wanted = 0;

  constructor(detector: Detector, denyLists: readonly string[]) {
    this.#detector = detector;
    this.#custom = compileCustomGate(detector.customs, denyLists, detector.folding);
    this.#lowest = new Map(
      BUILT_IN_TYPES.flatMap((type) => {
        const asks = detector.asks.get(type);
        return asks === undefined ? [] : [[type, Math.min(...asks.map(({ threshold }) => threshold))] as const];
      }),
    );
    this.#joinsWords = JOINED.some((type) => this.wants(type));
    this.#triggers.set(detector.triggers);
    this.#triggers[QUOTATION] = QUOTE;
    this.#triggers[0x5c] = BACKSLASH;
    this.#triggers[0x7f] = DELETE;
  }

  mayHold(raw: string): boolean {
    this.#hit = false;
    this.#escaped = false;
    this.#wanted = 0;
    // Not a JSON-RPC message: the walk refuses what is no JSON at all.
    if (!OPENS.test(raw)) return true;
    if (this.wants('PRIVATE_KEY') && raw.includes(KEY_LABEL)) return true;
    if (this.#scan(raw)) return true;
    if (this.wants('AWS_ACCESS_KEY') && maySpellSecret(raw)) this.offer('AWS_ACCESS_KEY', 0, 0, 0.3);
    if (this.#hit || (this.#wanted !== 0 && mentions(raw, 0, raw.length, this.#wanted) !== 0)) return true;
    return this.#custom.active && this.#custom.mayMatch(raw, this.#escaped);
  }

  wants(type: BuiltInType): boolean {
    return this.#lowest.has(type);
  }

  offer(type: BuiltInType, _start: number, _end: number, score: number): boolean {
    const lowest = this.#lowest.get(type);
    if (lowest === undefined) return false;
    if (score >= lowest) {
      this.#hit = true;
      return true;
    }
    if (score + CONTEXT_BOOST >= lowest) this.#wanted |= CONTEXT_OF[type];
    return false;
  }

  speaksOfVersions(): boolean {
    return false;
  }

  /** True when something between the quotes may be found, or may hide from this pass. */
  #scan(raw: string): boolean {
    const triggers = this.#triggers;
    const detector = this.#detector;
    let folds = false;
    let seams = false;
    const units = this.#unitsOf(raw);
    detector.beginLooking();
    for (let i = 0; ;) {
      // Two loops, not one with a state: numbers outside of strings cost nothing, and branches stay predictable.
      while (i < raw.length && units[i] !== QUOTATION) i += 1;
      if (i >= raw.length) break;
      i += 1;
      for (;;) {
        let c = units[i] as number;
        while (c < 0x80 && triggers[c] === NOTHING) {
          i += 1;
          c = units[i] as number;
        }
        // A string that does not end: the walk will say what is wrong with the text.
        if (i >= raw.length) return true;
        const trigger = c < 0x80 ? (triggers[c] as number) : FOREIGN;
        if (trigger === QUOTE) {
          i += 1;
          break;
        } else if (trigger === BACKSLASH) {
          if (hidesCharacter(raw, i)) return true;
          this.#escaped = true;
          i += 2;
        } else if (trigger === FOREIGN) {
          const verdict = this.#foreign(raw, i, c);
          if (verdict === YES) return true;
          if (verdict === FOLDS) folds = true;
          i += 1;
        } else if (trigger === DELETE) {
          return true;
        } else {
          if (trigger === AT || trigger === CAPITAL_J) {
            if (raw.startsWith('\\"', i - 2)) return true;
            seams = true;
          }
          i = detector.look(raw, i, trigger, this);
          if (this.#hit) return true;
        }
      }
    }
    // Addresses and tokens have seams (full stops, hyphens) that look different before folding.
    return folds && seams;
  }

  /** The text's UTF-16 units: reading them from an array is twice as fast as from the string. */
  #unitsOf(raw: string): Uint16Array {
    let buffer = this.#buffer;
    if (buffer.length < raw.length * 2) {
      buffer = Buffer.alloc(raw.length * 2 + 1024);
      if (raw.length <= KEPT) this.#buffer = buffer;
    }
    buffer.write(raw, 'utf16le');
    return new Uint16Array(buffer.buffer, buffer.byteOffset, raw.length);
  }

  #foreign(raw: string, at: number, c: number): typeof NO | typeof FOLDS | typeof YES {
    const folding = this.#detector.folding;
    const kind = folding.kind(c >= 0xd800 && c < 0xdc00 ? (raw.codePointAt(at) as number) : c);
    if (kind === INERT) return NO;
    if (kind === ACTIVE || this.#custom.active) return YES;
    if (kind === INVISIBLE || kind === MARK) {
      const before = raw.charCodeAt(at - 1);
      if (before < 0x80) return YES;
      const behind = folding.kind(before);
      return behind === INERT || behind === INVISIBLE || behind === MARK ? FOLDS : YES;
    }
    return kind === SEPARATOR && this.#mayJoin(raw, at) ? YES : FOLDS;
  }

  /** Whether a separator that needs folding may stand inside of a number, an address or a label. */
  #mayJoin(raw: string, at: number): boolean {
    const before = raw.charCodeAt(at - 1);
    const after = raw.charCodeAt(at + 1);
    if (isColon(raw.charCodeAt(at)) && (isHex(before) || before === COLON || after === COLON || isColon(after)))
      return true;
    if (isDigit(before) || isDigit(after)) return true;
    if (this.#joinsWords && (isColon(raw.charCodeAt(at)) ? isLetter(before) : isAlnum(before) && isAlnum(after)))
      return true;
    return isSeam(raw.charCodeAt(this.#skip(raw, at, -1))) && isSeam(raw.charCodeAt(this.#skip(raw, at, 1)));
  }

  /** The first unit in a direction that is no separator, at most four units away. */
  #skip(raw: string, at: number, step: 1 | -1): number {
    let i = at + step;
    for (let n = 0; n < 3; n += 1) {
      const c = raw.charCodeAt(i);
      const separates =
        c < 0x80
          ? c === 0x20 || c === 0x2d || c === 0x2e || c === 0x28 || c === 0x29
          : this.#detector.folding.kind(c) === SEPARATOR;
      if (!separates) return i;
      i += step;
    }
    return i;
  }
}

const JOINED: readonly BuiltInType[] = ['URL', 'MAC_ADDRESS', 'API_KEY', 'PASSWORD', 'GENERIC_SECRET'];

const NO = 0;
const FOLDS = 1;
const YES = 2;

/** Characters that fold to a colon. */
const isColon = (c: number): boolean => c === 0xff1a || c === 0xfe13 || c === 0xfe55 || c === 0x2a74;
const isSeam = (c: number): boolean => isDigit(c) || isUpper(c) || c === 0x2b;

/** True for escapes of characters that may fold or vanish, also of those that an inner JSON text or plain text spells out. */
function hidesCharacter(raw: string, backslash: number): boolean {
  const c = raw.charCodeAt(backslash + 1);
  const escaped = c === 0x5c ? raw.charCodeAt(backslash + 2) : c;
  return escaped === 0x75 || escaped === 0x62 || escaped === 0x66;
}
