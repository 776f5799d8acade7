import { LARGE_BYTES, SHAPES, type Shape } from './shapes.ts';
import type { Outcome } from './load.ts';

/** One block of large or long answers. */
export interface StreamSample extends Outcome {
  readonly row: string;
  readonly shape: string;
  readonly connections: number;
  readonly repeat: number;
  /** Of one answer's body. */
  readonly bytes: number;
  readonly cpu?: number;
  readonly rssBytes?: number;
  /** By how much resident memory exceeded at most, during the block, what it was before. */
  readonly growthBytes?: number;
}

interface Row {
  readonly key: string;
  readonly name: string;
}

export interface Table {
  readonly title: string;
  readonly lines: readonly (readonly string[])[];
}

interface Cell {
  readonly perSecond: number;
  readonly bytes: number;
  readonly p50: number;
  readonly cpu: number | undefined;
  readonly growthBytes: number | undefined;
  readonly errors: number;
  readonly fault: string | undefined;
}

/** One table for each shape and number of connections that was measured. */
export function streamTables(rows: readonly Row[], samples: readonly StreamSample[]): Table[] {
  return SHAPES.flatMap((shape) =>
    shape.connections.flatMap((connections) => {
      const cells = rows.map(({ key, name }) => ({ name, key, cell: cellOf(samples, key, shape, connections) }));
      if (cells.every(({ cell }) => cell === undefined)) return [];
      const head = [
        '',
        shape.events > 0 ? 'events/s' : 'answers/s',
        'MB/s',
        'of direct',
        'of nginx',
        'of bare',
        'p50 ms',
        'CPU ms/answer',
        'RSS growth MB',
        'errors',
      ];
      const share = (cell: Cell, other: string): string => {
        const base = cells.find(({ key }) => key === other)?.cell;
        return base === undefined ? '–' : (cell.perSecond / base.perSecond).toFixed(2);
      };
      const lines = cells.flatMap(({ name, cell }) =>
        cell === undefined
          ? []
          : [
              [
                name,
                Math.round(cell.perSecond * Math.max(1, shape.events)).toLocaleString('en'),
                ((cell.perSecond * cell.bytes) / 1e6).toFixed(0),
                share(cell, 'direct'),
                share(cell, 'nginx'),
                share(cell, 'bare'),
                (cell.p50 / 1000).toFixed(1),
                cell.cpu === undefined ? '–' : (cell.cpu / 1000).toFixed(2),
                cell.growthBytes === undefined ? '–' : (cell.growthBytes / 1e6).toFixed(0),
                cell.errors === 0 ? '0' : `${cell.errors} (${cell.fault})`,
              ],
            ],
      );
      const title = `${shape.name}, ${connections} ${connections === 1 ? 'connection' : 'connections'}`;
      return [{ title, lines: [head, ...lines] }];
    }),
  );
}

/** What was aimed at beside what was measured, as lines of a Markdown table. */
export function streamAims(samples: readonly StreamSample[]): string[] {
  return SHAPES.flatMap((shape) => {
    const connections = shape.connections.at(-1)!;
    const own = cellOf(samples, 'all', shape, connections);
    const nginx = cellOf(samples, 'nginx', shape, connections);
    const lone = cellOf(samples, 'all', shape, shape.connections[0]!);
    const share = own && nginx && (own.perSecond / nginx.perSecond) * 100;
    const lines = [
      aim(
        `everything on: at least 60 % of nginx's throughput, ${shape.name}, ${connections} at once`,
        share,
        '%',
        (it) => it >= 60,
      ),
    ];
    if (shape.events > 0) return lines;
    const growth = lone?.growthBytes;
    const most = (2 * LARGE_BYTES) / 1e6;
    return [
      ...lines,
      aim(
        `everything on: RSS grows by less than twice the largest message (${most.toFixed(0)} MB), ${shape.name}, 1 at once`,
        growth === undefined ? undefined : growth / 1e6,
        'MB',
        (it) => it < most,
      ),
    ];
  });
}

function aim(what: string, value: number | undefined, unit: string, met: (value: number) => boolean): string {
  if (value === undefined) return `| ${what} | not measured | |`;
  return `| ${what} | ${value.toFixed(0)} ${unit} | ${met(value) ? 'met' : 'missed'} |`;
}

function cellOf(samples: readonly StreamSample[], row: string, shape: Shape, connections: number): Cell | undefined {
  const own = samples.filter(
    (each) => each.row === row && each.shape === shape.key && each.connections === connections,
  );
  if (own.length === 0) return undefined;
  return {
    perSecond: median(own.map((each) => each.perSecond))!,
    bytes: own[0]!.bytes,
    p50: median(own.map((each) => each.p50))!,
    cpu: median(own.flatMap((each) => each.cpu ?? [])),
    growthBytes: median(own.flatMap((each) => each.growthBytes ?? [])),
    errors: own.reduce((sum, each) => sum + each.errors, 0),
    fault: own.find((each) => each.fault !== undefined)?.fault,
  };
}

/** The value in the middle; undefined when there is none. */
export function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 || sorted.length === 0 ? sorted[middle] : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
