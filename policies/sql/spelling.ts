import type { Token } from './lexer.ts';

/** A statement as the parser reads it: nothing in it but words, signs, and names and texts without surprises. */
export interface Spelling {
  readonly text: string;
  /** What stands for names that the parser might misread. */
  readonly names: ReadonlyMap<string, string>;
}

const TAME_TEXT = /^[\w %.,:@/+-]{0,40}$/;
const TAME_NAME = /^[A-Za-z_][\w ]{0,60}$/;
// So many values of a list are read; further ones say nothing new about a statement.
const MOST_VALUES = 4;
const WORDS = new Set(['null', 'true', 'false', 'default']);

/** Spells a statement for the parser. */
export function spell(tokens: readonly Token[]): Spelling {
  const names = new Map<string, string>();
  const parts: string[] = [];
  for (const [at, token] of withoutLongLists(tokens).entries()) {
    const dashes = token.source === '-' && parts.at(-1) === '-';
    if (at > 0 && (token.spaced || dashes)) parts.push(' ');
    parts.push(spellToken(token, names));
  }
  return { text: parts.join(''), names };
}

function spellToken(token: Token, names: Map<string, string>): string {
  if (token.kind === 'text') {
    const quote = token.source.endsWith('"') ? '"' : "'";
    return `${quote}${TAME_TEXT.test(token.value) ? token.value : 's'}${quote}`;
  }
  if (token.kind !== 'name') return token.source;
  // Brackets are no part of some grammars.
  const open = token.source.startsWith('[') ? '"' : token.source.charAt(0);
  if (TAME_NAME.test(token.value)) return `${open}${token.value}${open}`;
  const stand = `q_${names.size}_`;
  names.set(stand, token.value);
  return `${open}${stand}${open}`;
}

/** Leaves out values of lists of values, and rows of values: they say nothing about what a statement does. */
function withoutLongLists(tokens: readonly Token[]): readonly Token[] {
  const kept: Token[] = [];
  let values = 0;
  let rows = 0;
  for (let at = 0; at < tokens.length; at += 1) {
    const token = tokens[at] as Token;
    if (isSign(token, ',')) {
      const row = rowEnd(tokens, at + 1);
      const value = isValue(tokens[at - 1]) && isValue(tokens[at + 1]) && endsValue(tokens[at + 2]);
      if (row > 0) rows += 1;
      if (value) values += 1;
      if (row > 0 ? rows >= MOST_VALUES : value && values >= MOST_VALUES) {
        at = row > 0 ? row : at + 1;
        continue;
      }
    } else if (!isValue(token)) {
      values = 0;
    }
    kept.push(token);
  }
  return kept;
}

/** The end of the row of nothing but values that begins here; 0 when there is none. */
function rowEnd(tokens: readonly Token[], start: number): number {
  if (!isSign(tokens[start], '(') || !isSign(tokens[start - 2], ')')) return 0;
  for (let at = start + 1; at < tokens.length; at += 2) {
    if (!isValue(tokens[at])) return 0;
    if (isSign(tokens[at + 1], ')')) return at + 1;
    if (!isSign(tokens[at + 1], ',')) return 0;
  }
  return 0;
}

const isSign = (token: Token | undefined, sign: string): boolean => token?.kind === 'sign' && token.value === sign;
const isValue = (token: Token | undefined): boolean =>
  token?.kind === 'number' || token?.kind === 'text' || (token?.kind === 'word' && WORDS.has(token.value));
const endsValue = (token: Token | undefined): boolean => isSign(token, ',') || isSign(token, ')');
