import type { LimitDocument } from './documents.ts';
import { parseByteSize, parseTimeSpan } from './units.ts';

type Report = (path: string, message: string) => void;

/** What is said of something a limit needs and does not have in a form that can be counted. */
const COUNT = 'must be a whole number, at least 1';
const SIZE = 'must be a size with a unit, such as 10MB, at least 1B';
const SPAN = 'must be a duration with a unit, such as 1m, from 1s to 24d';
const SHORTEST_MS = 1_000;

/** What is wrong with a limit that its schema cannot express, and what it can for documents that met none. */
export function checkLimit(path: string, rule: LimitDocument, report: Report): void {
  const { calls, concurrent, result_bytes: bytes, session, repeats, groups, tools } = rule;
  if ([calls, concurrent, bytes, session, repeats].every((each) => each === undefined)) {
    report(path, 'calls, concurrent, result_bytes, session or repeats must say what is limited');
  }
  if (groups?.length === 0) report(`${path}.groups`, 'must name at least one group; leave it out for everybody');
  if (tools?.length === 0) report(`${path}.tools`, 'must name at least one tool; leave it out for all calls');
  for (const [index, pattern] of (tools ?? []).entries()) {
    if (pattern === '') report(`${path}.tools[${index}]`, 'must not be empty');
  }
  if (rule.per === 'group' && groups === undefined) {
    report(`${path}.per`, 'counts by group, so groups must name those that are counted');
  }
  if (calls !== undefined) checkCount(`${path}.calls.most`, calls.most, report);
  if (calls !== undefined) checkSpan(`${path}.calls.within`, calls.within, report);
  if (concurrent !== undefined) checkCount(`${path}.concurrent`, concurrent, report);
  if (bytes !== undefined) checkSize(`${path}.result_bytes.most`, bytes.most, report);
  if (bytes !== undefined) checkSpan(`${path}.result_bytes.within`, bytes.within, report);
  if (session !== undefined && session.calls === undefined && session.bytes === undefined) {
    report(`${path}.session`, 'calls or bytes must say what a session may use');
  }
  if (session?.calls !== undefined) checkCount(`${path}.session.calls`, session.calls, report);
  if (session?.bytes !== undefined) checkSize(`${path}.session.bytes`, session.bytes, report);
  if (repeats !== undefined) checkCount(`${path}.repeats.most`, repeats.most, report);
  if (repeats !== undefined) checkSpan(`${path}.repeats.within`, repeats.within, report);
}

function checkCount(path: string, value: number, report: Report): void {
  if (!Number.isSafeInteger(value) || value < 1) report(path, COUNT);
}

function checkSize(path: string, text: string, report: Report): void {
  if (!((parseByteSize(text) ?? 0) >= 1)) report(path, SIZE);
}

function checkSpan(path: string, text: string, report: Report): void {
  if (!((parseTimeSpan(text) ?? 0) >= SHORTEST_MS)) report(path, SPAN);
}
