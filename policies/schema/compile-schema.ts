import { Ajv, type Options } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Json, JsonObject, SchemaReport } from '../types.ts';
import { PatternCost, requireBounded, SchemaUnusable } from './bounds.ts';
import { Budget, charge, TooCostly } from './budget.ts';
import { compileSchemaPattern, type SchemaPattern } from './ecma-pattern.ts';
import { faultsOf } from './faults.ts';
import { replaceKeywords } from './keywords.ts';

/** What a schema makes of a value, in bounded time. Pure, but for the schema that it compiles when it is first asked. */
export type SchemaCheck = (value: Json) => SchemaReport;

type Dialect = 'draft-07' | '2020-12';

const DIALECTS: ReadonlyMap<string, Dialect> = new Map([
  ['json-schema.org/draft/2020-12/schema', '2020-12'],
  ['json-schema.org/draft-07/schema', 'draft-07'],
  ['json-schema.org/draft-06/schema', 'draft-07'],
]);

const OPTIONS: Options = {
  allErrors: true,
  // What `faultsOf` needs of a fault: the value that it is about.
  verbose: true,
  messages: false,
  strict: false,
  strictNumbers: false,
  multipleOfPrecision: 9,
  validateFormats: false,
  ownProperties: true,
  inlineRefs: false,
  loopRequired: 8,
  logger: false,
};

/** Compiles on the first value, once. A schema that cannot be used says so of every value, and never throws. */
export function lazySchema(schema: Json): SchemaCheck {
  let check: SchemaCheck | undefined;
  return (value) => {
    check ??= compileOrSay(schema);
    return check(value);
  };
}

function compileOrSay(schema: Json): SchemaCheck {
  try {
    return compileSchema(schema);
  } catch (fault) {
    // Whatever the compiler does not take is a schema that cannot be used; what becomes of the call is the mode's to say.
    const unusable = fault instanceof Error ? fault.message.slice(0, 300) : 'it does not compile';
    return () => ({ unusable, faults: [] });
  }
}

/** Throws for a schema that is malformed, unbounded, of another dialect, or refers to something outside of itself. */
export function compileSchema(schema: Json): SchemaCheck {
  requireBounded(schema);
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) {
    throw new SchemaUnusable('it is not an object');
  }
  const { $schema, ...rest } = schema;
  const dialect = dialectOf($schema);
  try {
    return compileAs(dialect ?? '2020-12', rest);
  } catch (fault) {
    // Tuples and dependencies of older drafts are common in schemas that do not name theirs.
    if (dialect !== undefined) throw fault;
    return compileAs('draft-07', rest);
  }
}

function dialectOf(named: Json | undefined): Dialect | undefined {
  if (named === undefined) return undefined;
  const dialect = DIALECTS.get(
    String(named)
      .replace(/^https?:\/\//, '')
      .replace(/#$/, ''),
  );
  if (dialect === undefined) throw new SchemaUnusable('its $schema is neither draft 2020-12 nor draft-07');
  return dialect;
}

function compileAs(dialect: Dialect, schema: JsonObject): SchemaCheck {
  if (metaOf(dialect).validateSchema(schema) !== true) throw new SchemaUnusable('it is not a valid schema');
  const budget = new Budget();
  const patterns = new PatternCost();
  const ajv = create(dialect, {
    ...OPTIONS,
    meta: false,
    validateSchema: false,
    ignoreKeywordsWithRef: dialect === 'draft-07',
    code: {
      regExp: Object.assign((source: string) => chargedPattern(source, budget, patterns), { code: 'pattern' }),
      optimize: false,
    },
  } as Options);
  replaceKeywords(ajv, budget);
  charge(ajv.RULES, budget);
  const validate = ajv.compile(dialect === 'draft-07' ? (referencesAlone(schema) as JsonObject) : schema);
  // Its answer would be a promise, and so never false.
  if ('$async' in validate) throw new SchemaUnusable('it is asynchronous');
  return (value) => {
    budget.begin();
    try {
      if (validate(value)) return FITS;
      return { faults: faultsOf(validate.errors ?? [], value) };
    } catch (fault) {
      if (fault instanceof TooCostly || fault instanceof RangeError) return { unusable: TOO_COSTLY, faults: [] };
      throw fault;
    } finally {
      validate.errors = null;
    }
  };
}

/** Up to draft-07 nothing beside `$ref` counts; the library still reads `type` there. */
function referencesAlone(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(referencesAlone);
  if (schema === null || typeof schema !== 'object') return schema;
  const refers = typeof schema['$ref'] === 'string';
  const members = Object.entries(schema).filter(([key]) => !(refers && key === 'type'));
  return Object.fromEntries(
    members.map(([key, value]) => [key, key === 'enum' || key === 'const' ? value : referencesAlone(value)]),
  );
}

const FITS: SchemaReport = { faults: [] };
const TOO_COSTLY = 'a value takes too long to compare with it';

const create = (dialect: Dialect, options: Options): Ajv =>
  dialect === '2020-12' ? (new Ajv2020(options) as unknown as Ajv) : new Ajv(options);

const metas = new Map<Dialect, Ajv>();

/** The validator of schemas themselves; it takes a while to make. */
function metaOf(dialect: Dialect): Ajv {
  let meta = metas.get(dialect);
  if (meta === undefined)
    metas.set(dialect, (meta = create(dialect, { strict: false, validateFormats: false, logger: false })));
  return meta;
}

/** The validator tells patterns apart by their text. */
function chargedPattern(source: string, budget: Budget, cost: PatternCost): SchemaPattern {
  cost.add(source);
  const pattern = compileSchemaPattern(source);
  const test = (text: string): boolean => {
    budget.visit(text);
    return pattern.test(text);
  };
  return { test, toString: () => source };
}
