import { joinedBefore } from '../characters.ts';
import type { DigitGroups } from '../digits.ts';
import type { Sink } from '../entities.ts';

const MONTH =
  'jan(?:uary|uar|vier|eiro)?|enero|gennaio|feb(?:ruary|ruar|rero|braio)?|f[eé]vrier|fevereiro|mar(?:ch|s|zo|ço)?|m[aä]rz|apr(?:il|ile)?|avril|abril|may|mai|mayo|maggio|maio|' +
  'jun(?:e|i|io|ho)?|juin|giugno|jul(?:y|i|io|ho)?|juillet|luglio|aug(?:ust)?|ao[uû]t|agosto|sept?(?:ember|embre|iembre)?|settembre|setembro|oct(?:ober|obre|ubre)?|okt(?:ober)?|ottobre|outubro|' +
  'nov(?:ember|embre|iembre|embro)?|dec(?:ember|embre)?|d[eé]cembre|dez(?:ember|embro)?|dic(?:iembre|embre)?';
const TIME =
  '(?:[01]?\\d|2[0-3]):[0-5]\\d(?::[0-5]\\d(?:[.,]\\d{1,9})?)?(?: ?[AaPp]\\.?[Mm]\\b)?(?: ?(?:Z|UTC|GMT|[+-]\\d\\d:?\\d\\d))?';
const ENDS = '(?![0-9A-Za-z:/]|[.-]\\d)';
const WITH_TIME = `(?:,?[T ](?:at )?${TIME})?`;

const YEAR_FIRST = new RegExp(
  `(?:1[89]|20|21)\\d\\d([-/.])(?:0?[1-9]|1[0-2])\\1(?:0?[1-9]|[12]\\d|3[01])${WITH_TIME}${ENDS}`,
  'y',
);
const YEAR_LAST = new RegExp(
  `(?:0?[1-9]|[12]\\d|3[01])([-/.])(?:0?[1-9]|[12]\\d|3[01])\\1(?:1[89]|20|21)\\d\\d${WITH_TIME}${ENDS}`,
  'y',
);
const SHORT_YEAR = new RegExp(`(?:0[1-9]|[12]\\d|3[01])/(?:0[1-9]|[12]\\d|3[01])/\\d\\d${ENDS}`, 'y');
const CLOCK = new RegExp(
  `(?:[01]\\d|2[0-3]|\\d(?=:[0-5]\\d ?[AaPp]))${TIME.slice('(?:[01]?\\d|2[0-3])'.length)}${ENDS}`,
  'y',
);
const DAY_MONTH = new RegExp(
  `\\d{1,2}(?:st|nd|rd|th|\\.|º)? (?:of |de )?(?:${MONTH})\\b\\.?(?:,? (?:de |del )?\\d{4}${WITH_TIME})?${ENDS}`,
  'iy',
);
const MONTH_BEFORE = new RegExp(`(?:^|[^\\p{L}\\p{N}])((?:${MONTH})\\.? )$`, 'iu');
const DAY_YEAR = new RegExp(`\\d{1,2}(?:st|nd|rd|th)?(?:,? \\d{4}${WITH_TIME})?${ENDS}`, 'iy');
const YEAR = new RegExp(`(?:1[89]|20|21)\\d\\d${ENDS}`, 'y');
const LONGEST_MONTH = 13;

/** Offers dates and times of day: ISO 8601, day and month in either order, with the names of months of six languages. */
export function datesAndTimes(text: string, groups: DigitGroups, sink: Sink): void {
  let done = 0;
  for (let g = 0; g < groups.count; g += 1) {
    const start = groups.start(g);
    const size = groups.size(g);
    if (start < done || size > 4 || size === 3 || joinedBefore(text, start)) continue;
    done = size === 4 ? year(text, start, sink) : dayOrHour(text, start, groups.end(g), sink);
  }
}

function year(text: string, start: number, sink: Sink): number {
  const end = match(YEAR_FIRST, text, start);
  if (end > 0) return offer(start, end, 0.6, sink);
  const month = monthBefore(text, start);
  const after = month === 0 ? 0 : match(YEAR, text, start);
  return after > 0 ? offer(start - month, after, 0.55, sink) : start;
}

function dayOrHour(text: string, start: number, end: number, sink: Sink): number {
  const next = text.charCodeAt(end);
  if (next === 0x3a) {
    const clock = text.charCodeAt(start - 1) === 0x3a ? 0 : match(CLOCK, text, start);
    return clock > 0 ? offer(start, clock, 0.5, sink) : start;
  }
  if (next === 0x2f || next === 0x2d || next === 0x2e) {
    const date = match(YEAR_LAST, text, start) || (next === 0x2f ? match(SHORT_YEAR, text, start) : 0);
    if (date > 0) return offer(start, date, 0.6, sink);
  }
  const month = monthBefore(text, start);
  const rest = month === 0 ? 0 : match(DAY_YEAR, text, start);
  if (rest > 0) return offer(start - month, rest, 0.6, sink);
  const named = match(DAY_MONTH, text, start);
  return named > 0 ? offer(start, named, 0.6, sink) : start;
}

function match(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : 0;
}

/** The length of a month's name and the space behind it, directly before `at`; 0 without. */
function monthBefore(text: string, at: number): number {
  if (text.charCodeAt(at - 1) !== 0x20) return 0;
  const before = MONTH_BEFORE.exec(text.slice(Math.max(0, at - LONGEST_MONTH), at));
  return before === null ? 0 : (before[1] as string).length;
}

function offer(start: number, end: number, score: number, sink: Sink): number {
  sink.offer('DATE_TIME', start, end, score);
  return end;
}
