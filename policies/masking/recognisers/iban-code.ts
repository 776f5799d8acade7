import { getCountrySpecifications } from 'ibantools';
import { isAlnum, isDigit, isLetter, isLower, joinedBefore } from '../characters.ts';
import type { Sink } from '../entities.ts';

export type IbanRecogniser = (text: string, at: number, sink: Sink) => void;

/** A recogniser that offers the IBAN whose country code is at `at`: its country's length and the checksum of ISO 13616. */
export function compileIban(): IbanRecogniser {
  // Lengths by country, at 26 * first letter + second letter.
  const lengths = new Uint8Array(26 * 26);
  for (const [country, { chars }] of Object.entries(getCountrySpecifications())) {
    if (chars !== null && chars !== undefined) lengths[place(country.charCodeAt(0), country.charCodeAt(1))] = chars;
  }
  return (text, at, sink) => {
    if (!isLetter(text.charCodeAt(at)) || !isLetter(text.charCodeAt(at + 1))) return;
    const length = lengths[place(text.charCodeAt(at), text.charCodeAt(at + 1))] as number;
    if (length === 0 || !isDigit(text.charCodeAt(at + 3)) || joinedBefore(text, at)) return;
    const end = endOf(text, at, length);
    if (end > 0 && checks(text, at, end)) sink.offer('IBAN_CODE', at, end, 0.95);
  };
}

const place = (a: number, b: number): number => ((a | 0x20) - 0x61) * 26 + (b | 0x20) - 0x61;

/** Index behind `length` letters and digits at `at`, single spaces and hyphens between them allowed; -1 when there are not as many. */
function endOf(text: string, at: number, length: number): number {
  let count = 0;
  let i = at;
  while (count < length) {
    const c = text.charCodeAt(i);
    if (isAlnum(c)) {
      count += 1;
    } else if ((c !== 0x20 && c !== 0x2d) || !isAlnum(text.charCodeAt(i + 1)) || besideLower(text, i)) {
      return -1;
    }
    i += 1;
  }
  return isAlnum(text.charCodeAt(i)) ? -1 : i;
}

/** Prose: groups of an IBAN are written in capitals. */
const besideLower = (text: string, i: number): boolean =>
  isLower(text.charCodeAt(i - 1)) || isLower(text.charCodeAt(i + 1));

function checks(text: string, start: number, end: number): boolean {
  let rest = 0;
  const feed = (c: number): void => {
    if (isDigit(c)) rest = (rest * 10 + c - 0x30) % 97;
    else if (isLetter(c)) rest = (rest * 100 + (c | 0x20) - 0x57) % 97;
  };
  for (let i = start + 4; i < end; i += 1) feed(text.charCodeAt(i));
  for (let i = start; i < start + 4; i += 1) feed(text.charCodeAt(i));
  return rest === 1;
}
