import { isAlnum, isDigit, isHex, joinedBefore } from '../characters.ts';
import { DOT } from '../digits.ts';
import type { DigitGroups } from '../digits.ts';
import type { Sink } from '../entities.ts';

const COLON = 0x3a;
const LONGEST = 48;

/** Offers IPv4 addresses: exactly four numbers up to 255. Version numbers have more or fewer parts, or say so. */
export function ipv4(text: string, groups: DigitGroups, sink: Sink): void {
  for (let g = 0; g + 3 < groups.count; g += 1) {
    let last = g;
    while (groups.gap(text, last + 1) === DOT) last += 1;
    if (last === g + 3) offerIpv4(text, groups, g, sink);
    g = last;
  }
}

function offerIpv4(text: string, groups: DigitGroups, g: number, sink: Sink): void {
  for (let i = g; i < g + 4; i += 1) {
    const size = groups.size(i);
    if (size > 3 || groups.value(text, i) > 255 || (size === 2 && text.charCodeAt(groups.start(i)) === 0x30)) return;
  }
  const start = groups.start(g);
  const end = groups.end(g + 3);
  if (joinedBefore(text, start) || isAlnum(text.charCodeAt(end)) || isProduct(text, start, end)) return;
  sink.offer('IP_ADDRESS', start, end, sink.speaksOfVersions(start) ? 0.3 : 0.6);
}

/** `Chrome/120.0.0.0` of a user agent. */
const isProduct = (text: string, start: number, end: number): boolean =>
  text.charCodeAt(start - 1) === 0x2f && joinedBefore(text, start - 1) && text.startsWith('.0.0.0', end - 6);

/** Finds IPv6 addresses. */
export class Ipv6Recogniser {
  #judged = 0;

  begin(): void {
    this.#judged = 0;
  }

  /** Offers the address whose first colon is at `colon`. */
  look(text: string, colon: number, sink: Sink): void {
    // A stretch of digits, colons and full stops is judged once, as a whole.
    if (colon < this.#judged) return;
    let start = colon;
    while (colon - start < 4 && isHex(text.charCodeAt(start - 1))) start -= 1;
    if ((start === colon && text.charCodeAt(colon + 1) !== COLON) || joinedBefore(text, start)) return;
    let end = colon;
    while (isAddressPart(text.charCodeAt(end))) end += 1;
    this.#judged = end;
    if (end - start > LONGEST) return;
    while (text.charCodeAt(end - 1) === DOT || endsInOneColon(text, end)) end -= 1;
    if (isAlnum(text.charCodeAt(end))) return;
    // `face:` may be a label before an address.
    const second = colon + 1;
    if (isIpv6(text.slice(start, end))) sink.offer('IP_ADDRESS', start, zoneEnd(text, end), 0.7);
    else if (start < colon && isIpv6(text.slice(second, end)))
      sink.offer('IP_ADDRESS', second, zoneEnd(text, end), 0.7);
  }
}

const endsInOneColon = (text: string, end: number): boolean =>
  text.charCodeAt(end - 1) === COLON && text.charCodeAt(end - 2) !== COLON;

const isAddressPart = (c: number): boolean => isHex(c) || c === COLON || c === DOT;

function zoneEnd(text: string, end: number): number {
  if (text.charCodeAt(end) !== 0x25) return end;
  let i = end + 1;
  while (i - end < 16 && (isAlnum(text.charCodeAt(i)) || text.charCodeAt(i) === 0x5f)) i += 1;
  return i > end + 1 ? i : end;
}

/** RFC 4291 section 2.2. Too few digits for an address (`::2`, a slice in many languages) do not count, loopback does. */
function isIpv6(address: string): boolean {
  const halves = address.split('::');
  if (halves.length > 2) return false;
  let groups = 0;
  let digits = 0;
  let numeric = false;
  for (const half of halves) {
    if (half === '') continue;
    const parts = half.split(':');
    for (let i = 0; i < parts.length; i += 1) {
      const part = parts[i] as string;
      if (part.includes('.')) {
        if (i !== parts.length - 1 || half !== halves.at(-1) || !isDotted(part)) return false;
        groups += 2;
        digits += 4;
        numeric = true;
      } else {
        if (part.length === 0 || part.length > 4) return false;
        groups += 1;
        digits += part.length;
        for (let k = 0; k < part.length; k += 1) numeric ||= isDigit(part.charCodeAt(k));
      }
    }
  }
  if (halves.length === 1) return groups === 8;
  return groups < 8 && numeric && (digits >= 4 || address === '::1');
}

function isDotted(part: string): boolean {
  const numbers = part.split('.');
  return numbers.length === 4 && numbers.every((n) => n.length > 0 && n.length <= 3 && Number(n) <= 255);
}
