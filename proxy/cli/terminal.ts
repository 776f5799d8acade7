/** Text that cannot move a terminal's cursor, colour it or turn its direction: everything recorded is hostile input. */
export function safe(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (char) =>
    char === '\n' ? ' ' : `\\u{${char.codePointAt(0)!.toString(16)}}`,
  );
}

export function shorten(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

/** Rows under their headings, columns aligned. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [headings, ...rows].map((row) => row.map(safe));
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export interface Style {
  dim(text: string): string;
  good(text: string): string;
  bad(text: string): string;
  bold(text: string): string;
}

/** Colours on a terminal that wants them (NO_COLOR, https://no-color.org), plain text elsewhere. */
export function styleFor(
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): Style {
  const on = stream.isTTY === true && env['NO_COLOR'] === undefined;
  const wrap = (code: number) => (text: string) => (on ? `\u001b[${code}m${text}\u001b[0m` : text);
  return { dim: wrap(2), good: wrap(32), bad: wrap(31), bold: wrap(1) };
}
