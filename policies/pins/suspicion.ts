import { fold, hiddenText } from '../normalise.ts';
import { unseenIn } from './visible.ts';

// With what stands for an address where the record masks them.
const URL_LIKE = /\b(?:https?|ftp|wss?|file|data|javascript):[^\s"'<>)\]}]+|<URL>|\bwww\.[^\s"'<>)\]}]+/gi;
const ENCODED = /[A-Za-z0-9+/_-]{60,}={0,2}/g;

/** Wordings by which descriptions give orders to whoever reads them; each regular expression takes linear time. */
const ORDERS: readonly (readonly [name: string, pattern: RegExp])[] = [
  [
    'tells to ignore instructions',
    /\b(?:ignore|disregard|forget|override)\b[^.\n]{0,40}\b(?:instruction|rule|prompt|polic|guideline)/g,
  ],
  [
    'tells to keep something from people',
    /\b(?:do not|don't|dont|never|without)\b[^.\n]{0,20}\b(?:tell|telling|mention|inform|reveal|show|notify|notifying|ask|asking|confirm)/g,
  ],
  [
    'speaks of secret files',
    /(?:\.ssh\b|id_rsa|id_ed25519|\.env\b|\.aws\b|\/etc\/passwd|mcp\.json|credentials?\b|private key|api[ _-]?keys?\b|passwords?\b)/g,
  ],
  ['speaks of the system prompt', /\bsystem (?:prompt|message)\b/g],
  [
    'gives orders about other tools',
    /\b(?:before|after|instead of|whenever)\b[^.\n]{0,30}\b(?:call|calling|use|using|run|running|invoke|invoking)\b[^.\n]{0,30}\b(?:tool|function|this|any|other)/g,
  ],
  [
    'gives orders to the model',
    /\b(?:you must|you should always|you have to|always call|always use|must first|first call|first read|as an ai)\b/g,
  ],
  [
    'tells to send something',
    /\b(?:send|forward|upload|post|exfiltrate|transmit|bcc)\b[^.\n]{0,40}\b(?:to|http|mail|address|server)\b/g,
  ],
  ['marks itself as important', /<\/?(?:important|system|instructions?|secret|hidden|admin)\b[^>]{0,40}>|<!--/g],
];

/** What about a text needs a person's eye, each with how often it is there. */
export function suspicionsIn(text: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const [char, count] of unseenIn(text)) found.set(`holds the invisible character ${char}`, count);
  if (hiddenText(text) !== '') found.set('holds text in tag characters', 1);
  for (const [url] of text.matchAll(URL_LIKE)) count(found, `names the address ${url.slice(0, 120)}`);
  for (const _ of text.matchAll(ENCODED)) count(found, 'holds a long encoded run');
  const folded = fold(text);
  for (const [name, pattern] of ORDERS) for (const _ of folded.matchAll(pattern)) count(found, name);
  return found;
}

/** What of that is in the new text more often than in the old. */
export function addedSuspicions(before: string, after: string): readonly string[] {
  const old = suspicionsIn(before);
  return [...suspicionsIn(after)].filter(([name, times]) => times > (old.get(name) ?? 0)).map(([name]) => name);
}

function count(found: Map<string, number>, name: string): void {
  found.set(name, (found.get(name) ?? 0) + 1);
}
