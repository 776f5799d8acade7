import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { FORMATS } from './formats.ts';
import { quote, type Mistake, type Path } from './problems.ts';
import { fits, isRecord } from './resolve.ts';
import type { Row } from './schema.ts';
import { parseByteSize, parseTimeSpan } from '../../policies/units.ts';
import { expectedOf, explain, unknownKeyOf } from './wording.ts';

/** Compares a value with the rows it must fit and answers every mistake. */
export type ShapeCheck = (value: unknown) => readonly Mistake[];

/** Compiles the schema; the answer may be used for any number of files. */
export function compileShape(schema: Row): ShapeCheck {
  const ajv = new Ajv2020({
    allErrors: true,
    verbose: true,
    strict: true,
    strictRequired: false,
    allowUnionTypes: true,
  });
  for (const annotation of ['secret', 'content', 'live', 'expected']) ajv.addKeyword(annotation);
  ajv.addKeyword({
    keyword: 'least',
    type: 'string',
    validate: (least: string, text: string) => (measure(text) ?? Infinity) >= measure(least)!,
  });
  for (const [name, format] of Object.entries(FORMATS)) ajv.addFormat(name, format.accepts);
  const validate: ValidateFunction = ajv.compile(schema);
  return (value) => {
    if (validate(value)) return [];
    return chooseBranches(validate.errors ?? []).flatMap((error) => toMistake(error, value));
  };
}

function measure(text: string): number | undefined {
  return parseTimeSpan(text) ?? parseByteSize(text);
}

/**
 * Of a value that fits no branch of a `oneOf` the validator reports what is wrong with every branch. Keeps the mistakes of the branch
 * that was meant, or says once which branches there are.
 */
function chooseBranches(errors: readonly ErrorObject[]): readonly ErrorObject[] {
  const dropped = new Set<ErrorObject>();
  const beside = new Map<ErrorObject, string>();
  for (const choice of errors) {
    if (choice.keyword !== 'oneOf' && choice.keyword !== 'anyOf') continue;
    const meant = meantBranch(choice.schema as readonly Row[], choice.data);
    if (meant >= 0) dropped.add(choice);
    for (const error of errors) {
      const inside = error.schemaPath.startsWith(`${choice.schemaPath}/`) && isBelow(error, choice);
      if (inside && !error.schemaPath.startsWith(`${choice.schemaPath}/${meant}/`)) dropped.add(error);
      else if (inside && error.schemaPath === `${choice.schemaPath}/${meant}/additionalProperties`) {
        const other = (choice.schema as readonly Row[]).some((branch) =>
          Object.hasOwn(branch.properties ?? {}, unknownKeyOf(error)),
        );
        if (other) beside.set(error, (choice.schema as readonly Row[])[meant]!.required?.join(', ') ?? '');
      }
    }
  }
  return errors
    .filter((error) => !dropped.has(error) && error.propertyName === undefined && error.keyword !== 'if')
    .map((error) =>
      beside.has(error)
        ? { ...error, keyword: 'beside', params: { ...error.params, beside: beside.get(error) } }
        : error,
    );
}

function isBelow(error: ErrorObject, choice: ErrorObject): boolean {
  return error.instancePath === choice.instancePath || error.instancePath.startsWith(`${choice.instancePath}/`);
}

function meantBranch(branches: readonly Row[], value: unknown): number {
  const fitting = branches.findIndex((branch) => fits(branch, value));
  if (fitting >= 0 || !isRecord(value)) return fitting;
  const named = branches.findIndex((branch) =>
    Object.entries(branch.properties ?? {}).some(([key, row]) => row.const !== undefined && value[key] === row.const),
  );
  if (named >= 0) return named;
  const shared = branches.map((branch) => {
    const keys = Object.keys(value).filter((key) => Object.hasOwn(branch.properties ?? {}, key));
    return keys.filter((key) => branch.properties![key]!.const === undefined).length;
  });
  const most = Math.max(...shared);
  return most === 0 ? -1 : shared.indexOf(most);
}

function toMistake(error: ErrorObject, document: unknown): readonly Mistake[] {
  const path = toPath(error.instancePath, document);
  const row = (error.parentSchema ?? {}) as Row;
  switch (error.keyword) {
    case 'required': {
      const key = String(error.params['missingProperty']);
      return [{ path: [...path, key], message: `is missing, expected ${expectedOf(row.properties?.[key])}` }];
    }
    case 'additionalProperties':
    case 'unevaluatedProperties':
    case 'beside':
      return [{ path: [...path, unknownKeyOf(error)], at: 'key', message: explain(error) }];
    case 'propertyNames': {
      const key = String(error.params['propertyName']);
      const message = `${quote(key)} is not allowed as a key, expected ${expectedOf(row.propertyNames)}`;
      return [{ path: [...path, key], at: 'key', message }];
    }
    case 'uniqueItems':
      return [
        { path: [...path, Math.max(Number(error.params['i']), Number(error.params['j']))], message: explain(error) },
      ];
    default:
      return [{ path, message: explain(error) }];
  }
}

/** A JSON pointer as keys and indexes. */
function toPath(pointer: string, document: unknown): Path {
  const path: (string | number)[] = [];
  let node = document;
  for (const step of pointer.split('/').slice(1)) {
    const key = step.replaceAll('~1', '/').replaceAll('~0', '~');
    path.push(Array.isArray(node) ? Number(key) : key);
    node = (node as Record<string, unknown> | undefined)?.[key];
  }
  return path;
}
