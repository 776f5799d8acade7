import type { Row } from './schema.ts';

export interface NamedRow {
  /** Such as `server.listen`, `connections[].upstream.url`, `auth.oidc.audience`. */
  readonly name: string;
  readonly row: Row;
  /** `form`: required in one of several forms of the mapping it stands in. */
  readonly required: boolean | 'form';
  /** A mapping with keys of its own, or a list of such: its value is told by the rows below it. */
  readonly section: boolean;
  /** Does a reload apply it without a restart? */
  readonly live: boolean;
}

/** Every key of a schema in the order of the schema, each once; forms of one key (`oneOf`) follow each other. */
export function listRows(schema: Row): readonly NamedRow[] {
  const rows = new Map<string, NamedRow>();
  collect(schema, '', false, rows);
  return [...rows.values()];
}

function collect(row: Row, name: string, live: boolean, rows: Map<string, NamedRow>): void {
  const forms = row.oneOf ?? [row];
  for (const form of forms) {
    for (const [key, member] of Object.entries(form.properties ?? {})) {
      const path = name === '' ? key : `${name}.${key}`;
      const inside = member.items ?? member;
      const below = new Map<string, NamedRow>();
      if (!isPlace(inside))
        collect(inside, member.items === undefined ? path : `${path}[]`, live || member.live === true, below);
      const everywhere = forms.every((each) => each.required?.includes(key));
      const required = everywhere || (form.required?.includes(key) === true ? 'form' : false);
      const section = below.size > 0;
      rows.set(path, {
        name: path,
        row: merged(rows.get(path)?.row, member),
        required,
        section,
        live: live || member.live === true,
      });
      for (const [each, found] of below) rows.set(each, found);
    }
  }
}

/** A key that tells the forms apart has one constant in each. */
function merged(before: Row | undefined, row: Row): Row {
  if (before === undefined || row.const === undefined) return row;
  const { const: only, ...rest } = row;
  return { ...rest, enum: [...(before.enum ?? [before.const ?? '']), only] };
}

/** The place of a text (`{ file: path }`) is a way to write a value, not a section. */
function isPlace(row: Row): boolean {
  return row.secret === true || row.content === true || row.required?.[0] === 'file';
}
