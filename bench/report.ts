import type { Outcome } from './load.ts';
import { median, streamAims, streamTables, type StreamSample } from './stream-report.ts';

/** One block: one row at one size and concurrency. */
export interface Sample extends Outcome {
  readonly row: string;
  readonly size: string;
  readonly connections: number;
  readonly repeat: number;
  /** CPU microseconds of the row's processes per call; absent for direct and where there is no /proc. */
  readonly cpu?: number;
  readonly rssBytes?: number;
}

export interface RowText {
  readonly key: string;
  readonly name: string;
  readonly note: string;
}

export interface Run {
  readonly date: string;
  readonly commit: string;
  readonly node: string;
  readonly machine: string;
  readonly pinned: boolean;
  readonly seconds: number;
  readonly repeats: number;
  readonly rows: readonly RowText[];
  readonly missing: readonly string[];
  readonly sizes: readonly string[];
  readonly concurrencies: readonly number[];
  readonly samples: readonly Sample[];
  readonly streams: readonly StreamSample[];
}

interface Cell {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly cpu: number | undefined;
  readonly rssBytes: number | undefined;
  readonly errors: number;
  readonly fault: string | undefined;
}

const HEADER = [
  '',
  'calls/s',
  'of direct',
  'of nginx',
  'of bare',
  'p50 µs',
  'p99 µs',
  'CPU µs/call',
  'RSS MB',
  'errors',
];

/** Errors of all blocks of a run. */
export function errorsOf(run: Run): number {
  return [...run.samples, ...run.streams].reduce((sum, sample) => sum + sample.errors, 0);
}

/** The tables as text for a terminal. */
export function terminalTables(run: Run): string {
  return tables(run)
    .map(({ title, lines }) => {
      const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
      const row = (line: readonly string[]): string =>
        line.map((text, at) => (at === 0 ? text.padEnd(widths[at]!) : text.padStart(widths[at]!))).join('  ');
      return [title, ...lines.map(row)].join('\n');
    })
    .join('\n\n');
}

/** The page docs/benchmarks.md. */
export function markdownPage(run: Run): string {
  const row = (line: readonly string[]): string => `| ${line.join(' | ')} |`;
  const sections = tables(run).map(({ title, lines }) =>
    [
      `### ${title}`,
      '',
      row(lines[0]!),
      row(lines[0]!.map((_, at) => (at === 0 ? '---' : '---:'))),
      ...lines.slice(1).map(row),
    ].join('\n'),
  );
  const errors = errorsOf(run);
  return `# Benchmarks

Written by \`npm run bench\`; do not edit. The numbers of every block are in \`bench/results/latest.json\`.

| | |
| --- | --- |
| date | ${run.date} |
| commit | ${run.commit} |
| Node | ${run.node} |
| machine | ${run.machine} |
| pinned | ${run.pinned ? 'yes: what is measured has one core to itself, load and upstream share another' : 'no: all programs share all cores'} |
| blocks | ${run.repeats} repeats of ${run.seconds} s for each row, size and concurrency |
| errors | ${errors === 0 ? 'none' : errors} |

## Against the aims

${aims(run)}

## Rows

${run.rows.map(({ name, note }) => `- **${name}**: ${note}.`).join('\n')}
${run.missing.map((line) => `- ${line}.\n`).join('')}
Each \`+\` row is the row above it with one more control. The gateway cannot be run without its record, which fails closed; therefore the bare
row is a program of its own, \`bench/bare.ts\`, and the difference between it and \`gateway, no rules\` is the price of the pipeline and the
record together. Before a gateway row is measured, the run proves that each of its controls is in force and that no other is: a wrong token is
answered with 401, forbidden words are refused, a forbidden tool is unknown, an e-mail address arrives masked, a clean answer arrives byte for byte.

## Results

${sections.join('\n\n')}

## How to read it

- **Load**: each connection sends a 2026-07-28 \`tools/call\` of 300 bytes as soon as the answer to the last one is complete (closed loop), so
  latency and throughput are two sides of one number. Every answer is checked: status 200, the right length, the right beginning; all else is an error.
- **calls/s, p50, p99**: medians over the repeats. Within a repeat the rows take turns and every repeat starts with another row, so that what the
  machine does beside is spread over all of them. Each repeat starts every program anew and
  warms it up.
- **of direct, of nginx, of bare**: throughput as a share of that row's.
- **CPU µs/call**: user and system time of the row's processes, all threads and children included, divided by the calls. It is read when the
  processes have become quiet, so what the recorder puts off until after the answer is counted. It is the steadiest figure of all and the one to compare.
- **RSS MB**: resident memory after the block. It grows over a run by what Node has not yet collected.
- Blocks with answers of 100 KB end after 2,000 calls at the latest, those with streams after 400, those with 10 MB after 24, because each is recorded.
- **RSS growth**: the most that resident memory exceeded, during the block, what it was before. Node collects late, so it is more than what a call needs.
- **Streams**: each answer is written by the upstream at once, a chunk for each event; nginx is asked not to buffer them, as servers ask it.
- p99 on a shared machine says more about the machine than about the row.
- The upstream answers from memory in microseconds. A real tool call takes milliseconds to seconds, so the shares here are the worst case.

## Do it again

\`npm run bench\` (about ${Math.ceil(minutes(run))} minutes); \`npm run bench -- streams\` or \`calls\` for a part; \`--quick\` for a look without writing this page; \`--seconds N\`, \`--repeats N\`,
\`--rows direct,bare,all\`, \`--out FOLDER\`.
`;
}

/** The aims of the design beside what was measured. */
function aims(run: Run): string {
  const size = run.sizes[0] ?? '1 KB';
  const most = Math.max(...run.concurrencies);
  const all = cell(run, 'all', size, most);
  const bare = cell(run, 'bare', size, most);
  const lone = cell(run, 'all', size, 1);
  const nginx = cell(run, 'nginx', size, 1);
  const line = (aim: string, value: number | undefined, limit: number, unit: string, under: boolean): string => {
    if (value === undefined) return `| ${aim} | not measured | |`;
    return `| ${aim} | ${value.toFixed(under ? 0 : 1)} ${unit} | ${(under ? value <= limit : value >= limit) ? 'met' : 'missed'} |`;
  };
  const calls = [
    '| aim | measured | |',
    '| --- | ---: | --- |',
    line(`everything on: at most 70 µs of CPU a call, ${size}, ${most} connections`, all?.cpu, 70, 'µs', true),
    line(
      `everything on: at least 60 % of the bare throughput, ${size}, ${most} connections`,
      all && bare && (all.perSecond / bare.perSecond) * 100,
      60,
      '%',
      false,
    ),
    line(
      `everything on: p50 at most 150 µs over nginx, ${size}, 1 connection`,
      lone && nginx && lone.p50 - nginx.p50,
      150,
      'µs',
      true,
    ),
  ];
  return [...calls, ...streamAims(run.streams)].join('\n');
}

function tables(run: Run): { title: string; lines: readonly (readonly string[])[] }[] {
  const calls = run.sizes.flatMap((size) =>
    run.concurrencies.map((connections) => {
      const lines = run.rows.map(({ key, name }) => line(run, key, name, size, connections));
      return {
        title: `${size} answers, ${connections} ${connections === 1 ? 'connection' : 'connections'}`,
        lines: [HEADER, ...lines],
      };
    }),
  );
  return [...calls, ...streamTables(run.rows, run.streams)];
}

function line(run: Run, key: string, name: string, size: string, connections: number): string[] {
  const own = cell(run, key, size, connections);
  if (own === undefined) return [name, ...HEADER.slice(1).map(() => '–')];
  const share = (other: string): string => {
    const base = cell(run, other, size, connections);
    return base === undefined ? '–' : (own.perSecond / base.perSecond).toFixed(2);
  };
  return [
    name,
    Math.round(own.perSecond).toLocaleString('en'),
    share('direct'),
    share('nginx'),
    share('bare'),
    own.p50.toFixed(0),
    own.p99.toFixed(0),
    own.cpu === undefined ? '–' : own.cpu.toFixed(1),
    own.rssBytes === undefined ? '–' : (own.rssBytes / 1e6).toFixed(0),
    own.errors === 0 ? '0' : `${own.errors} (${own.fault})`,
  ];
}

function cell(run: Run, row: string, size: string, connections: number): Cell | undefined {
  const own = run.samples.filter((each) => each.row === row && each.size === size && each.connections === connections);
  if (own.length === 0) return undefined;
  return {
    perSecond: median(own.map((each) => each.perSecond))!,
    p50: median(own.map((each) => each.p50))!,
    p99: median(own.map((each) => each.p99))!,
    cpu: median(own.flatMap((each) => each.cpu ?? [])),
    rssBytes: median(own.flatMap((each) => each.rssBytes ?? [])),
    errors: own.reduce((sum, each) => sum + each.errors, 0),
    fault: own.find((each) => each.fault !== undefined)?.fault,
  };
}

function minutes(run: Run): number {
  const blocks = run.repeats * run.rows.length * run.sizes.length * run.concurrencies.length;
  return (blocks * (run.seconds + 0.6) + run.repeats * run.rows.length * 6) / 60;
}
