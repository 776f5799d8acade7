import { isAlnum, joinedBefore } from '../characters.ts';
import { DASH, DOT, SPACE } from '../digits.ts';
import type { DigitGroups } from '../digits.ts';
import type { Sink } from '../entities.ts';

/** Offers US social security numbers: 3-2-4 with one kind of separator, or nine bare digits with a word nearby. */
export function socialSecurityNumbers(text: string, groups: DigitGroups, sink: Sink): void {
  if (groups.digits < 9) return;
  for (let g = 0; g < groups.count; g += 1) {
    const size = groups.size(g);
    if (size === 9) {
      const at = groups.start(g);
      if (isIssued(digitsOf(text, at, at + 3), digitsOf(text, at + 3, at + 5), digitsOf(text, at + 5, at + 9))) {
        offer(text, groups, g, g, 0.2, sink);
      }
    } else if (size === 3 && groups.size(g + 1) === 2 && groups.size(g + 2) === 4) {
      const gap = groups.gap(text, g + 1);
      if (gap !== groups.gap(text, g + 2) || (gap !== DASH && gap !== SPACE && gap !== DOT)) continue;
      if (!isIssued(groups.value(text, g), groups.value(text, g + 1), groups.value(text, g + 2))) continue;
      const chained = groups.gap(text, g) === gap || groups.gap(text, g + 3) === gap;
      offer(text, groups, g, g + 2, chained ? 0.3 : gap === DASH ? 0.65 : 0.5, sink);
    }
  }
}

function offer(text: string, groups: DigitGroups, first: number, last: number, score: number, sink: Sink): void {
  const start = groups.start(first);
  const end = groups.end(last);
  if (joinedBefore(text, start) || isAlnum(text.charCodeAt(end))) return;
  sink.offer('US_SSN', start, end, score);
}

const digitsOf = (text: string, start: number, end: number): number => Number(text.slice(start, end));

/** Areas 000, 666 and 900 to 999, group 00 and serial 0000 are never issued. */
const isIssued = (area: number, group: number, serial: number): boolean =>
  area !== 0 && area !== 666 && area < 900 && group !== 0 && serial !== 0;
