/** What readers of JSON disagree on, found by a plain recursive reader that shares nothing with the gateway's own. */
export interface Readings {
  /** Some object says a key twice, after its escapes are resolved. */
  readonly repeats: boolean;
  /** Keys of the objects at the top, under `params` and under `params._meta`, in turn. */
  readonly keys: {
    readonly top: readonly string[];
    readonly params: readonly string[];
    readonly meta: readonly string[];
  };
}

type Place = 'top' | 'params' | 'meta' | 'deep';

/** Reads a text that JSON.parse has accepted. */
export function readingsOf(text: string): Readings {
  const keys: Record<Exclude<Place, 'deep'>, string[]> = { top: [], params: [], meta: [] };
  let repeats = false;
  let at = 0;
  const blank = (): void => {
    while (' \t\r\n'.includes(text[at] ?? '?')) at += 1;
  };
  const string = (): string => {
    const from = at;
    for (at += 1; text[at] !== '"'; at += 1) if (text[at] === '\\') at += 1;
    at += 1;
    return JSON.parse(text.slice(from, at)) as string;
  };
  const value = (place: Place): void => {
    blank();
    const first = text[at];
    if (first === '"') string();
    else if (first === '{') object(place);
    else if (first === '[') array();
    else while (at < text.length && !',]} \t\r\n'.includes(text[at]!)) at += 1;
    blank();
  };
  const object = (place: Place): void => {
    const seen = new Set<string>();
    at += 1;
    blank();
    while (text[at] !== '}') {
      blank();
      const key = string();
      if (seen.has(key)) repeats = true;
      seen.add(key);
      if (place !== 'deep') keys[place].push(key);
      blank();
      at += 1;
      value(place === 'top' && key === 'params' ? 'params' : place === 'params' && key === '_meta' ? 'meta' : 'deep');
      if (text[at] === ',') at += 1;
    }
    at += 1;
  };
  const array = (): void => {
    at += 1;
    blank();
    while (text[at] !== ']') {
      value('deep');
      if (text[at] === ',') at += 1;
    }
    at += 1;
  };
  value('top');
  return { repeats, keys };
}

const RESERVED = {
  top: ['jsonrpc', 'id', 'method', 'params', 'result', 'error'],
  params: ['name', 'arguments', 'uri', '_meta', 'taskId', 'cursor', 'requestState', 'inputResponses'],
  meta: ['protocolVersion', 'clientCapabilities', 'clientInfo', 'logLevel'].map(
    (it) => `io.modelcontextprotocol/${it}`,
  ),
} as const;

/** As a reader that ignores case finds names (Go's encoding/json does; there the Kelvin sign is a k). */
const folded = (key: string): string => key.toUpperCase().toLowerCase();

/** The first key that such a reader takes for a reserved one it is not. */
export function lookalikeOf({ keys }: Readings): string | undefined {
  for (const place of ['top', 'params', 'meta'] as const) {
    const names: readonly string[] = RESERVED[place];
    const same = names.map(folded);
    const found = keys[place].find((key) => !names.includes(key) && same.includes(folded(key)));
    if (found !== undefined) return found;
  }
  return undefined;
}
