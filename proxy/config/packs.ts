import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { GuardrailDocument, MaskingDocument } from '../../policies/documents.ts';
import { GUARDRAIL_SCHEMA, MASKING_SCHEMA } from '../../policies/schemas.ts';
import { DIALECTS } from '../../policies/sql/dialect.ts';
import type { Dialect } from '../../policies/sql/dialect.ts';
import { parseYaml } from './document.ts';
import { ConfigFault } from './problems.ts';
import type { Mistake } from './problems.ts';
import { isRecord } from './resolve.ts';
import type { Row } from './schema.ts';
import { compileShape, type ShapeCheck } from './shape.ts';

/** The packs that come with the gateway: a file of this name each, in `policies/packs`. */
export const PACK_NAMES = [
  'destructive-sql',
  'secrets',
  'prompt-injection',
  'shell-and-cloud-cli',
  'pci',
  'hipaa',
  'gdpr-identifiers',
] as const;

export type PackName = (typeof PACK_NAMES)[number];

const list = (items: string, description: string): Row => ({
  type: 'array',
  default: [],
  description,
  items: { type: 'string', minLength: 1, description: items },
});

/** The configuration's `packs`. */
export const PACKS: Row = {
  type: 'array',
  live: true,
  default: [],
  description:
    'Ready rules that come with the gateway: names of packs, or mappings that say where and how a pack applies.',
  items: {
    oneOf: [
      { type: 'string', enum: PACK_NAMES },
      {
        type: 'object',
        additionalProperties: false,
        required: ['name'],
        properties: {
          name: { type: 'string', enum: PACK_NAMES, description: 'The name of the pack.' },
          connections: list('A name.', 'Names of the connections that the rules of the pack apply to.'),
          attributes: list(
            'A word.',
            'Attributes of the connections that the rules of the pack apply to; with neither, all do.',
          ),
          mode: {
            type: 'string',
            enum: ['enforce', 'observe'],
            default: 'enforce',
            description: 'Whether the guardrails of the pack only record what they would have done.',
          },
          dialect: {
            type: 'string',
            enum: DIALECTS,
            default: 'postgresql',
            description: 'The dialect in which rules of the pack read SQL.',
          },
        },
      },
    ],
  },
};

/** One example of a pack: a call, or a text that a server answers with. */
export interface PackExample {
  readonly tool?: string;
  readonly arguments?: Record<string, unknown>;
  readonly answer?: string;
}

export interface Pack {
  readonly name: PackName;
  readonly description: string;
  readonly guardrails: readonly GuardrailDocument[];
  readonly datamasking_rules: readonly MaskingDocument[];
  /** Texts that each rule must and must not speak about. */
  readonly examples: readonly {
    readonly rule: string;
    readonly matches: readonly PackExample[];
    readonly passes: readonly PackExample[];
  }[];
}

/** Where and how a pack applies, as the configuration says. */
export interface PackUse {
  readonly name: PackName;
  readonly connections?: readonly string[];
  readonly attributes?: readonly string[];
  readonly mode?: 'enforce' | 'observe';
  readonly dialect?: Dialect;
}

const FOLDER = new URL('../../policies/packs/', import.meta.url);

const documents = (description: string, schema: object): Row => {
  const { $schema: _, title: __, ...items } = schema as Record<string, unknown>;
  return { type: 'array', default: [], description, items: items as Row };
};
const EXAMPLES: Row = {
  type: 'array',
  minItems: 1,
  items: {
    type: 'object',
    additionalProperties: false,
    properties: {
      tool: { type: 'string' },
      arguments: { type: 'object' },
      answer: { type: 'string' },
    },
  },
};
const SHAPE: Row = {
  type: 'object',
  additionalProperties: false,
  required: ['name', 'description', 'examples'],
  properties: {
    name: { type: 'string', enum: PACK_NAMES },
    description: { type: 'string', minLength: 1 },
    guardrails: documents('Guardrails.', GUARDRAIL_SCHEMA),
    datamasking_rules: documents('Masking rules.', MASKING_SCHEMA),
    examples: {
      type: 'array',
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['rule', 'matches', 'passes'],
        properties: { rule: { type: 'string' }, matches: EXAMPLES, passes: EXAMPLES },
      },
    },
  },
};

let shape: ShapeCheck | undefined;
const read = new Map<PackName, Pack>();

/** A pack that comes with the gateway, read once. Throws a ConfigFault that names every mistake with its place in the pack. */
export function loadPack(name: PackName): Pack {
  const known = read.get(name);
  if (known !== undefined) return known;
  const url = new URL(`${name}.yaml`, FOLDER);
  const pack = parsePack(readFileSync(url, 'utf8'), fileURLToPath(url));
  read.set(name, pack);
  return pack;
}

/** `loadPack` for a text already read; `file` names it in messages. */
export function parsePack(text: string, file: string): Pack {
  const document = parseYaml(text);
  shape ??= compileShape(SHAPE);
  const mistakes: readonly Mistake[] = document.problems.length > 0 ? [] : shape(document.value);
  const problems = [...document.problems, ...mistakes.map((mistake) => document.place(mistake))];
  if (problems.length > 0) throw new ConfigFault(file, problems);
  const pack = document.value as Pack;
  const { guardrails = [], datamasking_rules = [] } = pack as Partial<Pack>;
  return { ...pack, guardrails, datamasking_rules };
}

/** The packs that a configuration uses, whatever else stands there; each once. */
export function packsIn(written: unknown): readonly (PackUse & { readonly index: number })[] {
  if (!Array.isArray(written)) return [];
  return written.flatMap((each: unknown, index) => {
    const use = typeof each === 'string' ? { name: each } : each;
    if (!isRecord(use) || !PACK_NAMES.includes(use['name'] as PackName)) return [];
    return [{ ...(use as unknown as PackUse), index }];
  });
}

/** The rules of a pack as they apply: named after the pack, bound, and marked as managed by it. */
export function rulesOf(use: PackUse): Pick<Pack, 'guardrails' | 'datamasking_rules'> {
  const { guardrails, datamasking_rules } = loadPack(use.name);
  const bound = {
    managed_by: 'pack',
    ...(use.connections === undefined ? {} : { connections: use.connections }),
    ...(use.attributes === undefined ? {} : { attributes: use.attributes }),
  } as const;
  const nameOf = (rule: string): string => `${use.name}/${rule}`;
  return {
    guardrails: guardrails.map((rule) => ({
      ...inDialect(rule, use.dialect),
      ...bound,
      ...(use.mode === undefined ? {} : { mode: use.mode }),
      name: nameOf(rule.name),
    })),
    datamasking_rules: datamasking_rules.map((rule) => ({ ...rule, ...bound, name: nameOf(rule.name) })),
  };
}

function inDialect(rule: GuardrailDocument, dialect: Dialect | undefined): GuardrailDocument {
  if (dialect === undefined || rule.input === undefined) return rule;
  const rules = rule.input.rules.map((entry) => (entry.type === 'sql_statement' ? { ...entry, dialect } : entry));
  return { ...rule, input: { rules } };
}
