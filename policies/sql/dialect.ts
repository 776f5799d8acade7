/** The SQL dialects that are read, by the names that rules use. */
export const DIALECTS = ['postgresql', 'mysql', 'sqlite', 'transactsql'] as const;

export type Dialect = (typeof DIALECTS)[number];

/** How a dialect writes comments, texts and names. */
export interface Lexis {
  /** Opening quotes of texts and names, each with its closing one. */
  readonly quotes: ReadonlyMap<string, Quoting>;
  /** A backslash in a text hides the character behind it. */
  readonly backslash: boolean;
  readonly nestedComments: boolean;
  /** `#` begins a comment. */
  readonly hash: boolean;
  /** `--` is a comment only before white space. */
  readonly spacedDashes: boolean;
  readonly dollarQuotes: boolean;
  /** Characters of names besides letters, digits and the underscore. */
  readonly nameStart: RegExp;
  readonly namePart: RegExp;
  /** Statements may follow each other without anything between them. */
  readonly bareSequences: boolean;
}

interface Quoting {
  readonly close: string;
  readonly kind: 'text' | 'name';
}

const quotes = (texts: string, names: string): ReadonlyMap<string, Quoting> =>
  new Map(
    [...texts, ...names].map((open, at) => [
      open,
      { close: open === '[' ? ']' : open, kind: at < texts.length ? 'text' : 'name' },
    ]),
  );

const PLAIN: Lexis = {
  quotes: quotes(`'`, '"'),
  backslash: false,
  nestedComments: false,
  hash: false,
  spacedDashes: false,
  dollarQuotes: false,
  nameStart: /[\p{L}_]/u,
  namePart: /[\p{L}\p{M}\p{N}_$]/u,
  bareSequences: false,
};

export const LEXIS: Readonly<Record<Dialect, Lexis>> = {
  postgresql: { ...PLAIN, nestedComments: true, dollarQuotes: true },
  mysql: {
    ...PLAIN,
    quotes: quotes(`'"`, '`'),
    backslash: true,
    hash: true,
    spacedDashes: true,
    nameStart: /[\p{L}_$]/u,
  },
  sqlite: { ...PLAIN, quotes: quotes(`'`, '"`[') },
  transactsql: {
    ...PLAIN,
    quotes: quotes(`'`, '"['),
    nestedComments: true,
    nameStart: /[\p{L}_#@]/u,
    namePart: /[\p{L}\p{M}\p{N}_$#@]/u,
    bareSequences: true,
  },
};
