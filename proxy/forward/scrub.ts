const SHORTEST = 8;

/**
 * Takes the gateway's own secrets out of a JSON text, wherever an upstream gives them back: each value, and the part of it
 * behind a scheme such as `Bearer`. Values under 8 characters would hit ordinary words and are left out; other encodings of a
 * secret are not recognised. Answers the very same string when there is nothing to take out.
 */
export function createScrub(secrets: readonly string[]): (json: string) => string {
  const whole = secrets
    .flatMap((secret) => [secret, secret.split(' ').at(-1)!])
    .filter(({ length }) => length >= SHORTEST);
  const written = whole.flatMap((secret) => {
    const text = JSON.stringify(secret).slice(1, -1);
    return [text, text.replaceAll('/', '\\/')];
  });
  // The longest first: a value contains the part of it that is listed too.
  const needles = [...new Set(written)].sort((a, b) => b.length - a.length);
  return (json) => {
    let text = json;
    for (const needle of needles) if (text.includes(needle)) text = text.replaceAll(needle, '<UPSTREAM_CREDENTIAL>');
    return text;
  };
}
