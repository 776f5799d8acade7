import { TODO } from './todo.ts';
import type { Entry, Era, Guard } from './types.ts';

/** point, carrier, disguises, eras, what is special about it, and what else there is to say of it. */
export type Line = readonly [
  point: number,
  carrier: string,
  disguises: string | readonly string[],
  eras: readonly Era[],
  more?: { readonly guards?: readonly Guard[]; readonly detect_only?: string },
];

/** One entry for each disguise of a line. */
export function entriesOf(direction: 'input' | 'output', lines: readonly Line[]): readonly Entry[] {
  return lines.flatMap(([point, carrier, disguises, eras, more = {}]) =>
    [disguises].flat().map((disguise) => {
      const id = `${direction}/${carrier}/${disguise}`;
      const todo = TODO[id];
      return {
        id,
        direction,
        point,
        carrier,
        disguise,
        eras,
        what: `${disguise}, in: ${carrier}`,
        ...more,
        ...(todo === undefined ? {} : { todo }),
      };
    }),
  );
}
