// What readers do not see or what changes how they see the rest: format and control characters, fillers, variation selectors.
const UNSEEN =
  /[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\p{Cn}]|(?![\t\n\r])\p{Cc}|[\u{334}-\u{338}\u{2800}]/gu;
// Selectors and joiners inside emoji, which are seen.
const EMOJI = /(?<=\p{Extended_Pictographic})\ufe0f?(?:\u200d(?=\p{Extended_Pictographic}))?/gu;
const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

const codeOf = (char: string): string =>
  `U+${(char.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, '0')}`;

/** The text with everything that cannot be seen written out, such as `[U+200B]`. */
export function makeVisible(text: string): string {
  return text.replace(UNSEEN, (char) => `[${codeOf(char)}]`);
}

/** The characters of a text that cannot be seen, as `U+200B` or `U+202E (bidi)`, each once with how often it stands there. */
export function unseenIn(text: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const [char] of text.replace(EMOJI, '').matchAll(UNSEEN)) {
    const name = BIDI.test(char) ? `${codeOf(char)} (bidi)` : codeOf(char);
    found.set(name, (found.get(name) ?? 0) + 1);
  }
  return found;
}
