const ASCII = /^[\t\n\r\x20-\x7e]*$/;
// Characters that readers and programs skip: default ignorables, format and control characters, overlays that strike letters out.
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Cf}]+|\p{Cc}|[\u{334}-\u{338}\u{20d0}-\u{20f0}]+/gu;
const KEPT = '\t\n\r\f';
// White space that a pattern's \s does not know, and two ligatures whose expansion would blow the text up.
const SPACE = /[\v\u0085\u1680\u2028\u2029\ufdfa\ufdfb]/g;
const TAGS = /[\u{e0020}-\u{e007e}]/gu;
const LOOKALIKE = /[\u0370-\u052f]/g;

const FROM = 'АВЕЅІЈКМНОРСТХУаеѕіјорсхуԁһԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧονραικυχ';
const TO = 'ABESIJKMHOPCTXYaesijopcxydhqwABEZHIKMNOPTYXovpaikux';
const LOOKALIKES: ReadonlyMap<string, string> = new Map([...FROM].map((char, at) => [char, TO.charAt(at)]));

/** Printable ASCII only: every normal form of such a text is the text itself. */
export const isPlainAscii = (text: string): boolean => ASCII.test(text);

/** One form for texts that look or act alike: NFKC, without invisible characters, with plain spaces. Never much longer than the text. */
export function normalise(text: string): string {
  if (isPlainAscii(text)) return text;
  return text
    .replace(SPACE, ' ')
    .replace(INVISIBLE, (skipped) => (KEPT.includes(skipped) ? skipped : ''))
    .normalize('NFKC');
}

/** As `normalise`, ignoring case and the commonest Cyrillic and Greek lookalikes of Latin letters. */
export function fold(text: string): string {
  return lower(withoutLookalikes(normalise(text)));
}

/** Lower case, the same for both forms of the Greek sigma. */
export function lower(text: string): string {
  return text.toLowerCase().replaceAll('ς', 'σ');
}

/** Cyrillic and Greek letters replaced by the Latin ones they look like. */
export function withoutLookalikes(text: string): string {
  return text.replace(LOOKALIKE, (char) => LOOKALIKES.get(char) ?? char);
}

/** Text hidden in Unicode tag characters, which people do not see and models read; empty when there is none. */
export function hiddenText(text: string): string {
  return (text.match(TAGS) ?? []).map((tag) => String.fromCharCode((tag.codePointAt(0) as number) - 0xe0000)).join('');
}
