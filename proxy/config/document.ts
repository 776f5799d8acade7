import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit, type Document, type Node } from 'yaml';
import { showPath, type Mistake, type Path, type Problem } from './problems.ts';

/** A parsed file: its plain value, and the place in the text of whatever a mistake points at. */
export interface ParsedDocument {
  readonly value: unknown;
  /** Faults of the YAML itself; when there are any, `value` is undefined. */
  readonly problems: readonly Problem[];
  place(mistake: Mistake): Problem;
}

// An alias bomb multiplies; a configuration needs a handful.
const MOST_ALIASES = 100;

/** Reads YAML 1.2 strictly: one document, unique keys, text keys, no unknown tags, few aliases. */
export function parseYaml(text: string): ParsedDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const at = (offset: number, message: string): Problem => {
    const { line, col } = lines.linePos(offset);
    return { path: '', line: Math.max(line, 1), column: Math.max(col, 1), message };
  };
  // Some messages of the parser end with the text they met, which may be a secret.
  const problems = [...document.errors, ...document.warnings].map((fault) =>
    at(fault.pos[0], `not valid YAML: ${fault.message.replace(/: ".*/s, '')}`),
  );
  problems.push(...keyAndAliasFaults(document, at));
  let value: unknown;
  if (problems.length === 0) {
    try {
      value = document.toJS({ maxAliasCount: MOST_ALIASES });
    } catch (fault) {
      if (!(fault instanceof ReferenceError)) throw fault;
      problems.push(at(0, `not valid YAML: too many aliases, expected at most ${MOST_ALIASES}`));
    }
  }
  return {
    value,
    problems,
    place(mistake) {
      const offset = find(document, mistake.path, mistake.at === 'key');
      return { ...at(offset, mistake.message), path: showPath(mistake.path) };
    },
  };
}

function keyAndAliasFaults(document: Document.Parsed, at: (offset: number, message: string) => Problem): Problem[] {
  const faults: Problem[] = [];
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document) === undefined)
        faults.push(at(start(alias), 'not valid YAML: the alias names no anchor before it'));
    },
    Pair(_, pair) {
      const key = pair.key;
      if (isScalar(key) && typeof key.value === 'string') return;
      faults.push(
        at(start(key ?? pair.value), 'a key is not a text, expected a word (quote it if it looks like a number)'),
      );
    },
  });
  return faults;
}

function start(node: unknown): number {
  return (node as Node | null)?.range?.[0] ?? 0;
}

/** The offset of the path's value or key; of its nearest existing parent's key when there is no such value. */
function find(document: Document.Parsed, path: Path, wantsKey: boolean): number {
  let node: unknown = document.contents;
  let key: unknown = node;
  for (const step of path) {
    if (isAlias(node)) node = node.resolve(document);
    let next: unknown;
    let nextKey: unknown;
    if (isMap(node)) {
      const pair = node.items.find((each) => isScalar(each.key) && each.key.value === step);
      next = pair?.value;
      nextKey = pair?.key;
    } else if (isSeq(node) && typeof step === 'number') {
      next = nextKey = node.items[step];
    }
    if (nextKey === undefined) return start(key);
    node = next ?? nextKey;
    key = nextKey;
  }
  return start(wantsKey ? key : node);
}
