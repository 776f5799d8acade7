import { CONFIG_SCHEMA } from '../proxy/config.ts';
import { listRows, type NamedRow } from '../proxy/config/rows.ts';
import { expectedOf } from '../proxy/config/wording.ts';
import { METRICS, type MetricRow } from '../proxy/metrics.ts';

const NOTE = '<!-- Written by scripts/write-docs.ts; change the table it comes from, not this page. -->';

/** docs/configuration.md: each key with its type, its default and its sentence. */
export function renderConfiguration(): string {
  const rows = listRows(CONFIG_SCHEMA);
  const sections = Object.entries(CONFIG_SCHEMA.properties ?? {}).map(([section, row]) => {
    const below = rows.filter((each) => each.name.startsWith(`${section}.`) || each.name.startsWith(`${section}[]`));
    const table = [
      '| key | value | default | reload | what it does |',
      '|---|---|---|---|---|',
      ...below.map(configurationLine),
    ];
    return [`## ${section}`, '', row.description ?? '', '', ...table, ''].join('\n');
  });
  return `# Configuration

${NOTE}

One YAML file holds everything; \`config.example.yaml\` shows every key with its default. \`portcullis config check <file>\` reads a file,
prints every mistake in it with line and column, and otherwise the configuration it amounts to, without secrets.

* **Strict.** Unknown keys, duplicate keys and values of the wrong kind are errors, and the gateway does not start with any.
* **Durations** are whole numbers with a unit: \`250ms\`, \`30s\`, \`10m\`, \`24h\`, \`7d\`; at most 24 days. **Sizes** likewise: \`512B\`, \`64KB\`,
  \`16MB\`, \`1GB\` are powers of 1000, \`KiB\`, \`MiB\`, \`GiB\` powers of 1024.
* **\`\${NAME}\`** in a text takes the value of an environment variable; one that is unset or empty is an error. \`$\${\` stands for a plain
  \`\${\`. In the rule sections (${ruleSections(rows)}) nothing is replaced: a rule means the same in the file and through the API.
* **Secrets** may be written as \`\${NAME}\` or as \`{ file: path }\`, a file whose content without its last line break is the value. They are
  printed nowhere.
* **Paths** that are relative start at the folder of the configuration file.
* **Reload.** The file is read again when it changes, or on SIGHUP. A file with a mistake is reported and what ran before goes on.
  Keys marked *live* apply at once, to calls that begin from then on; the others are named in the log and wait for a restart.

${sections.join('\n')}`;
}

function ruleSections(rows: readonly NamedRow[]): string {
  const names = rows.filter(
    (each) => each.live && each.section && !/[.[]/.test(each.name) && each.row.type === 'array',
  );
  return names.map((each) => `\`${each.name}\``).join(', ');
}

function configurationLine({ name, row, required, section, live }: NamedRow): string {
  const words =
    section && row.oneOf === undefined ? (row.type === 'array' ? 'a list of mappings' : 'a mapping') : valueWords(row);
  const must = required === 'form' ? '**required** in this form' : '**required**';
  const fallback =
    required !== false ? must : row.default === undefined || section ? '' : `\`${JSON.stringify(row.default)}\``;
  return `| \`${name}\` | ${cell(words)} | ${cell(fallback)} | ${live ? 'live' : ''} | ${cell(row.description ?? '')} |`;
}

function valueWords(row: NamedRow['row']): string {
  const least = row.least === undefined ? '' : `, at least ${row.least}`;
  if (row.format === 'time-span') return `a duration${least}`;
  if (row.format === 'byte-size') return `a size${least}`;
  if (row.secret === true) return 'a secret: a text or `{ file: path }`';
  if (row.type === 'object' && row.required?.[0] === 'file') return '`{ file: path }`';
  if (row.type === 'array' && row.items !== undefined) return `a list; each ${valueWords(row.items)}`;
  if (row.type === 'object' && row.additionalProperties)
    return `a mapping; each value ${valueWords(row.additionalProperties)}`;
  const range =
    row.minimum === undefined
      ? ''
      : row.maximum === undefined
        ? `, at least ${row.minimum}`
        : `, ${row.minimum} to ${row.maximum}`;
  return `${expectedOf(row)}${range}`;
}

/** docs/metrics.md: every metric of the gateway's own. */
export function renderMetrics(): string {
  const lines = Object.entries<MetricRow>(METRICS).map(([name, row]) => {
    const labels = row.labels.map((label) => `\`${label}\``).join(', ');
    return `| \`portcullis_${name}\` | ${row.type} | ${labels} | ${cell(row.help)} |`;
  });
  return `# Metrics

${NOTE}

\`GET /metrics\` answers in the Prometheus text format. Labels take few values: names from the configuration or from a table of the
program, never anything a caller sends. Besides these there are the usual metrics of the process and of Node (\`process_\`, \`nodejs_\`).

| metric | type | labels | what it tells |
|---|---|---|---|
${lines.join('\n')}
`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
