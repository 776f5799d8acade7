import { checkRules } from '../../policies/check.ts';
import type { ConnectionDocument, ElicitationDocument, RuleDocuments, SchemaMode } from '../../policies/documents.ts';
import { LIMIT_SCHEMA } from '../../policies/limit-schema.ts';
import {
  ACCESS_CONTROL_SCHEMA,
  ACCESS_REQUEST_SCHEMA,
  GUARDRAIL_SCHEMA,
  MASKING_SCHEMA,
} from '../../policies/schemas.ts';
import { packsIn, rulesOf } from './packs.ts';
import type { Mistake, Path } from './problems.ts';
import { isRecord } from './resolve.ts';
import type { Row } from './schema.ts';

function section(description: string, document: object): Row {
  const { $schema: _, title: __, ...items } = document as Record<string, unknown>;
  return { type: 'array', live: true, default: [], description, items: items as Row };
}

/** The rule sections. Their documents are taken literally: they mean the same here and through the API. */
export const RULES = {
  guardrails: section('What calls and answers must not say.', GUARDRAIL_SCHEMA),
  datamasking_rules: section('What is hidden in everything that goes to a client.', MASKING_SCHEMA),
  access_request_rules: section('Which calls wait until people have approved them.', ACCESS_REQUEST_SCHEMA),
  access_control: section('What members of a group may list and call.', ACCESS_CONTROL_SCHEMA),
  limits: section('How often, how many at once and how much.', LIMIT_SCHEMA),
} as const;

type RuleKind = keyof typeof RULES;
type Documents = Record<string, unknown>;

const KINDS = Object.keys(RULES) as RuleKind[];

/** The documents as written, and those of the packs behind them, for the Rulebook. */
export function ruleDocuments(written: Documents): RuleDocuments {
  return assemble(written, (kind) => [...listOf(written[kind]), ...packed(written, kind).map(({ rule }) => rule)]);
}

/** What is wrong with rules that have the right shape; documents that do not are left alone, their mistakes are known. */
export function checkRuleDocuments(written: Documents, sound: (path: Path) => boolean): readonly Mistake[] {
  const kept = new Map<string, readonly number[]>();
  const packs = new Map<string, readonly Packed[]>();
  const documents = assemble(written, (kind) => {
    const indexes = [...listOf(written[kind]).keys()].filter((index) => sound([kind, index]));
    kept.set(kind, indexes);
    const ready = packed(written, kind).filter(({ pack }) => sound(['packs', pack]));
    packs.set(kind, ready);
    return [...indexes.map((index) => listOf(written[kind])[index]), ...ready.map(({ rule }) => rule)];
  });
  const known = sound(['connections']);
  return checkRules(documents).flatMap(({ path, message }) => {
    const [first, index, ...rest] = parsePath(path);
    const kind = String(first);
    // Connections are checked as configuration; and while their names are in doubt, so is what a rule says of them.
    if (kind === 'connections' || (!known && (rest[0] === 'connections' || rest[0] === 'attributes'))) return [];
    const own = kept.get(kind) ?? [];
    const from = typeof index === 'number' ? packs.get(kind)?.[index - own.length] : undefined;
    if (from !== undefined) {
      // Where a pack applies is written here; the rest of it is not, and only its name can be taken twice.
      const place = rest[0] === 'connections' || rest[0] === 'attributes' ? rest : [];
      return [
        { path: ['packs', from.pack, ...place], message: place.length > 0 ? message : `${from.name}: ${message}` },
      ];
    }
    const original = typeof index === 'number' ? own[index] : undefined;
    return [{ path: original === undefined ? [kind] : [kind, original, ...rest], message }];
  });
}

interface Packed {
  /** The index in `packs`. */
  readonly pack: number;
  readonly name: string;
  readonly rule: unknown;
}

function packed(written: Documents, kind: RuleKind): readonly Packed[] {
  if (kind !== 'guardrails' && kind !== 'datamasking_rules') return [];
  return packsIn(written['packs']).flatMap((use) =>
    rulesOf(use)[kind].map((rule) => ({ pack: use.index, name: use.name, rule })),
  );
}

function assemble(written: Documents, list: (kind: RuleKind) => readonly unknown[]): RuleDocuments {
  const rules = Object.fromEntries(KINDS.map((kind) => [kind, list(kind)]));
  return { ...(rules as unknown as Omit<RuleDocuments, 'connections'>), connections: connectionDocuments(written) };
}

function connectionDocuments(written: Documents): ConnectionDocument[] {
  return listOf(written['connections']).flatMap((each) => {
    if (!isRecord(each) || typeof each['name'] !== 'string') return [];
    const groups = isRecord(each['access']) ? each['access']['groups'] : undefined;
    const access = Array.isArray(groups) ? { access: { groups: groups as string[] } } : {};
    const elicitation = isRecord(each['elicitation'])
      ? { elicitation: each['elicitation'] as ElicitationDocument }
      : {};
    const mode = each['schema_validation'];
    const schema = typeof mode === 'string' ? { schema_validation: mode as SchemaMode } : {};
    const attributes = listOf(each['attributes']) as string[];
    return [{ name: each['name'], attributes, ...access, ...elicitation, ...schema }];
  });
}

/** `guardrails[0].input.rules[1]` or `guardrails/0/input/rules/1` as keys and indexes. */
function parsePath(path: string): (string | number)[] {
  return path.split(/[.[\]/]+/).flatMap((step) => (step === '' ? [] : [/^\d+$/.test(step) ? Number(step) : step]));
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
