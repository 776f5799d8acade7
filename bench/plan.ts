import { parseArgs } from 'node:util';
import { SHAPE_ROWS } from './shapes.ts';
import { targets, type Target } from './targets.ts';

export const USAGE =
  'usage: npm run bench -- [calls | streams] [--quick] [--seconds N] [--repeats N] [--rows direct,nginx,bare,...] [--out FOLDER]';

/** What one run measures. */
export interface Plan {
  /** Many small calls; and answers that are large or long. Both when neither is named. */
  readonly calls: boolean;
  readonly streams: boolean;
  readonly quick: boolean;
  readonly seconds: number;
  readonly repeats: number;
  readonly rows: readonly Target[];
  readonly missing: readonly string[];
  readonly out: string | undefined;
}

/** Reads the command line; throws a TypeError that says what was expected. */
export function plan(): Plan {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      seconds: { type: 'string' },
      repeats: { type: 'string' },
      rows: { type: 'string' },
      out: { type: 'string' },
    },
  });
  const positive = (name: string, text: string | undefined, otherwise: number): number => {
    const value = Number(text ?? otherwise);
    if (!(value > 0 && value <= 1000)) throw new TypeError(`--${name} must be a number over 0, at most 1000`);
    return value;
  };
  const [part, ...more] = positionals;
  if (more.length > 0 || (part !== undefined && part !== 'calls' && part !== 'streams'))
    throw new TypeError(`calls or streams was expected, not ${positionals.join(' ')}`);
  const { all, missing } = targets();
  const wanted = values.rows?.split(',');
  const unknown = wanted?.filter((key) => !all.some((target) => target.key === key)) ?? [];
  if (unknown.length > 0)
    throw new TypeError(`no such row here: ${unknown.join(', ')}; rows: ${all.map(({ key }) => key).join(', ')}`);
  const known = part === 'streams' ? all.filter(({ key }) => SHAPE_ROWS.includes(key)) : all;
  return {
    calls: part !== 'streams',
    streams: part !== 'calls',
    quick: values.quick,
    seconds: positive('seconds', values.seconds, values.quick ? 0.2 : 2),
    repeats: Math.ceil(positive('repeats', values.repeats, values.quick ? 1 : 5)),
    rows: wanted === undefined ? known : all.filter(({ key }) => wanted.includes(key)),
    missing,
    out: values.out,
  };
}
