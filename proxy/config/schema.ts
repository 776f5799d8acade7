import type { ByteSizeText, TimeSpanText } from '../../policies/units.ts';

/**
 * One row of the configuration: JSON Schema 2020-12 with a one-sentence description, and annotations of our own.
 * `secret`: the value is a text, `${ENV}` or `{ file: path }`, and is never shown. `content`: the value is what the named file holds.
 * `live`: a reload applies it without a restart. `least`: the smallest time span or size.
 * `expected`: what a pattern asks for, in words that follow "expected".
 */
export interface Row {
  readonly type?: 'object' | 'array' | 'string' | 'boolean' | 'integer' | 'number';
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: string;
  readonly enum?: readonly string[];
  readonly format?: string;
  readonly pattern?: string;
  readonly expected?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly least?: TimeSpanText | ByteSizeText;
  readonly secret?: boolean;
  readonly content?: boolean;
  readonly live?: boolean;
  readonly items?: Row;
  readonly properties?: Readonly<Record<string, Row>>;
  readonly additionalProperties?: Row | false;
  readonly propertyNames?: Row;
  readonly required?: readonly string[];
  readonly oneOf?: readonly Row[];
}

/** A secret's place: a file whose content, without its last line break, is the value. */
export const FILE = {
  type: 'object',
  additionalProperties: false,
  required: ['file'],
  properties: {
    file: {
      type: 'string',
      format: 'path',
      description: 'Path of the file; a relative one starts at the folder of the configuration file.',
    },
  },
} as const satisfies Row;

/** A text that is never shown: written as `${ENV}`, as `{ file: path }`, or as it is. */
export const SECRET = { secret: true, oneOf: [{ type: 'string', minLength: 1 }, FILE] } as const satisfies Row;
