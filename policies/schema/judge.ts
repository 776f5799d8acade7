import type { SchemaMode } from '../documents.ts';
import type { Decision, Denial, Finding, SchemaReport } from '../types.ts';

export interface SchemaOpinion {
  readonly findings: readonly Finding[];
  readonly denial?: Denial;
}

/** How many faults are told and recorded: enough to mend a call, and never the whole of a large one. */
const MOST_FAULTS = 5;
const RULE = 'schema_validation';
const SILENT: SchemaOpinion = { findings: [] };

/** What the mode of a connection makes of arguments that were compared with the tool's input schema. Fails closed in `enforce`. */
export function judgeArguments(mode: SchemaMode, report: SchemaReport | undefined): SchemaOpinion {
  if (mode === 'off' || report === undefined) return SILENT;
  const { faults, unusable } = report;
  if (unusable === undefined && faults.length === 0) return SILENT;
  const seen = unusable === undefined ? faults : [{ path: '', keyword: 'schema_unusable' }];
  const findings = findingsOf(seen, 'input', '', mode === 'enforce');
  if (mode === 'observe') return { findings };
  return { findings, denial: unusable === undefined ? unfitting(seen) : UNUSABLE };
}

/** A decision of the rules, with what the mode makes of the arguments: a call that rules deny is not judged any further. */
export function withArguments(decision: Decision, mode: SchemaMode, report: SchemaReport | undefined): Decision {
  if (decision.action === 'deny') return decision;
  const { findings: seen, denial } = judgeArguments(mode, report);
  if (seen.length === 0) return decision;
  const findings = [...decision.findings, ...seen];
  return denial === undefined ? { ...decision, findings } : { action: 'deny', denial, findings };
}

/** What is recorded of structured content that does not fit the tool's output schema. No mode refuses it: it is the server's fault. */
export function outputFindings(report: SchemaReport): readonly Finding[] {
  const { faults, unusable } = report;
  const seen = unusable === undefined ? faults : [{ path: '', keyword: 'schema_unusable' }];
  return findingsOf(seen, 'output', '/result/structuredContent', false);
}

const UNUSABLE: Denial = {
  code: 'schema_unusable',
  rule: RULE,
  reason: '',
  remedy: 'ask an administrator: the rules of this connection let only calls pass that could be compared with a schema',
};

function unfitting(faults: SchemaReport['faults']): Denial {
  const places = faults.slice(0, MOST_FAULTS).map(({ path, keyword }) => `${path === '' ? '/' : path} (${keyword})`);
  const more = faults.length > MOST_FAULTS ? ` and ${faults.length - MOST_FAULTS} more` : '';
  return {
    code: 'arguments_schema',
    rule: RULE,
    reason: `${places.join(', ')}${more}`,
    remedy: 'read the input schema of the tool in tools/list, then repeat the call with arguments that fit it',
  };
}

function findingsOf(
  faults: SchemaReport['faults'],
  direction: Finding['direction'],
  below: string,
  blocks: boolean,
): readonly Finding[] {
  return faults.slice(0, MOST_FAULTS).map(({ path, keyword }) => ({
    rule: RULE,
    policy: 'schema',
    direction,
    action: direction === 'input' ? 'block' : 'warn',
    path: `${below}${path}`,
    entity: keyword,
    count: 1,
    ...(direction === 'input' && !blocks ? { observed: true } : {}),
  }));
}
