import { lower, normalise, withoutLookalikes } from './normalise.ts';

const WORDS = 'pwd|secrets?|credentials?|pin|otp|totp|cvv2?|cvc2?|ssn|senha|mnemonic';
const PHRASES = [
  'pass (?:word|phrase|code)s?',
  '(?:api|access|secret|private|signing|encryption|ssh|master|wallet) keys?',
  '(?:access|api|auth|authentication|authorization|bearer|refresh|session|security|github|gitlab|slack) tokens?',
  '(?:one time|2fa|mfa|verification|security|authentication|authenticator|recovery|backup|login) codes?',
  '(?:credit|debit) cards?',
  'card (?:number|no|verification)',
  'social security',
  '(?:seed|recovery|secret|backup) phrases?',
  '(?:secret|security) answers?',
  'mot de passe',
];
// What asks about a secret, not for it.
const ABOUT =
  'names?|ids?|identifiers?|counts?|lengths?|policy|policies|expiry|expiration|age|types?|kinds?|managers?|providers?|colou?rs?|icons?|labels?|locations?|positions?';
// Found inside of words too: names are often written without gaps.
const STEM = new RegExp(
  `(?:passwor[dt]|passwd|passphrase|passcode|apikey|secretkey|accesskey|privatekey|accesstoken|authtoken|bearertoken|refreshtoken|apitoken|clientsecret|creditcard|cardnumber|seedphrase|kennwort|contrasena)(?!(?:less|${ABOUT})$)`,
);
const IS_ABOUT = new RegExp(`^(?:${ABOUT})$`);
const PHRASE = new RegExp(` (?:${[...PHRASES, WORDS].join('|')}) (?!(?:${ABOUT}) )`);
// Alone it is what is asked for; in company it may be the token of a page or of a language model.
const ALONE = /^ (?:(?:the|your|my|new|current|old) )*tokens? $/;

// A warning not to give one, up to the end of its clause: what follows a colon is asked for after all.
const WARNING =
  /\b(?:do not|don['’]?t|never)\s+(?:give|enter|share|provide|include|send|type|put|use|tell|write)\b[^.:;!?]*/giu;

/** Does the label of a field (name, title, description) say that a secret belongs into it? Goes by words, in English and a few neighbours. */
export function namesSecret(label: string): boolean {
  const text = letters(label.replace(WARNING, ' '));
  return readings(text).some((words) => {
    const joined = ` ${words.join(' ')} `;
    return PHRASE.test(joined) || ALONE.test(joined) || words.some((word, at) => isSecret(word, words[at + 1] ?? ''));
  });
}

const VERB = /^(?:enter|type|provide|give|supply|paste|input|share|send|submit|tell|insert|reply|what)$/;
const FILLER = /^(?:please|your|the|my)$/;
// How far behind the verb the secret may stand: further on the sentence has another object.
const REACH = 6;

/** Does a sentence ask for a secret, or consist of its name? */
export function asksForSecret(sentence: string): boolean {
  const words = wordsOf(letters(sentence));
  if (words.filter((word) => !FILLER.test(word)).length <= 2 && namesSecret(sentence)) return true;
  return words.some((word, at) => VERB.test(word) && namesSecret(words.slice(at + 1, at + 1 + REACH).join(' ')));
}

function isSecret(word: string, next: string): boolean {
  return (STEM.test(word) || STEM.test(plainSpelling(word))) && !IS_ABOUT.test(next);
}

/** Words as they are written, and split where the case changes: `apiKey` is `api key`, `APIkey` is `apikey`. */
function readings(text: string): readonly (readonly string[])[] {
  const split = text.replace(/([a-z0-9])(?=[A-Z])/g, '$1 ').replace(/([A-Z])(?=[A-Z][a-z])/g, '$1 ');
  return split === text ? [wordsOf(text)] : [wordsOf(split), wordsOf(text)];
}

/** Plain Latin letters where the text has letters that look like them. */
function letters(text: string): string {
  return withoutLookalikes(normalise(text))
    .normalize('NFD')
    .replace(/\p{M}+/gu, '')
    .replaceAll('@', 'a')
    .replaceAll('$', 's');
}

/** Lower-case words; letters that stand apart (`S.S.N.`, `p a s s w o r d`) are one word. */
function wordsOf(text: string): readonly string[] {
  const words: string[] = [];
  let apart = '';
  const join = (): void => {
    if (apart.length > 2) words.push(apart);
    else words.push(...apart);
    apart = '';
  };
  for (const word of lower(text).match(/[\p{L}\p{N}]+/gu) ?? []) {
    if (word.length === 1) apart += word;
    else {
      join();
      words.push(word);
    }
  }
  join();
  return words;
}

const DIGITS: Readonly<Record<string, string>> = { 0: 'o', 1: 'i', 3: 'e', 4: 'a', 5: 's', 7: 't' };

const plainSpelling = (word: string): string => word.replace(/[013457]/g, (digit) => DIGITS[digit] as string);
