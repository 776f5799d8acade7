import { _, type AnySchemaObject, type CodeKeywordDefinition, type KeywordCxt } from 'ajv/dist/2020.js';
import type { Json } from '../types.ts';

/** The value is too large, or the schema refers to itself in too many ways, to be judged in bounded time. */
export class TooCostly extends Error {}

const STEPS = 200_000;
/** Characters of a text that count as one step. */
const CHARACTERS = 256;

/** Items of an array that count as one step. */
const ITEMS = 8;

/** Keywords that look at each item of an array or each member of an object. */
const WALKERS: ReadonlySet<string> = new Set([
  'items',
  'prefixItems',
  'additionalItems',
  'contains',
  'unevaluatedItems',
  'additionalProperties',
  'patternProperties',
  'propertyNames',
  'unevaluatedProperties',
  'minProperties',
  'maxProperties',
]);

/** The steps that one validation may take. Without it a small schema with references can keep a processor busy for years. */
export class Budget {
  #left = 0;

  begin(): void {
    this.#left = STEPS;
  }

  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw new TooCostly();
  }

  readonly visit = (data: Json): void => {
    this.spend(typeof data === 'string' ? 1 + Math.floor(data.length / CHARACTERS) : 1);
  };

  readonly walk = (data: Json): void => {
    if (Array.isArray(data)) this.spend(1 + Math.floor(data.length / ITEMS));
    else this.spend(1 + (data !== null && typeof data === 'object' ? Object.keys(data).length : 0));
  };
}

interface Rules {
  readonly rules: readonly { readonly rules: readonly { keyword: string; definition: unknown }[] }[];
  readonly post: { readonly rules: readonly { keyword: string; definition: unknown }[] };
}

/** Makes every keyword of a validator that was not used yet count its work. */
export function charge(rules: Rules, budget: Budget): void {
  for (const group of [...rules.rules, rules.post]) {
    for (const rule of group.rules) {
      const definition = rule.definition as CodeKeywordDefinition & AnySchemaObject;
      if (typeof definition.code !== 'function') continue;
      const generate = definition.code.bind(definition);
      const spend = WALKERS.has(rule.keyword) ? budget.walk : budget.visit;
      rule.definition = {
        ...definition,
        code(context: KeywordCxt, type?: string) {
          const counter = context.gen.scopeValue('func', { ref: spend });
          context.gen.code(_`${counter}(${context.data})`);
          return generate(context, type);
        },
      };
    }
  }
}
