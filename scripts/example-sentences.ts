import { isMap, isScalar, isSeq, LineCounter, parse, parseDocument } from 'yaml';
import { CONFIG_SCHEMA } from '../proxy/config.ts';
import { listRows } from '../proxy/config/rows.ts';

const WIDTH = 120;

/** The example with its switched-off options switched on: `#key:` becomes `key:`, while `# prose` stays a comment. */
export function switchOn(example: string): string {
  return example.replace(/^( *)#(?=\S)/gm, '$1');
}

/** Line (from 0) of each key of a YAML text, by the name of its row; of a key that stands there often, the first. */
export function linesOfRows(text: string): ReadonlyMap<string, number> {
  const counter = new LineCounter();
  const found = new Map<string, number>();
  const walk = (node: unknown, name: string): void => {
    if (isSeq(node)) for (const item of node.items) walk(item, `${name}[]`);
    if (!isMap(node)) return;
    for (const pair of node.items) {
      if (!isScalar(pair.key) || typeof pair.key.value !== 'string') continue;
      const path = name === '' ? pair.key.value : `${name}.${pair.key.value}`;
      if (!found.has(path)) found.set(path, counter.linePos(pair.key.range?.[0] ?? 0).line - 1);
      walk(pair.value, path);
    }
  };
  walk(parseDocument(text, { lineCounter: counter }).contents, '');
  return found;
}

/** All values that stand under a row's name, such as `connections[].timeout`. */
export function valuesOf(value: unknown, name: string): readonly unknown[] {
  if (name === '') return [value];
  const [, step = '', rest = ''] = /^\.?(\[\]|[^.[]+)(.*)$/.exec(name) ?? [];
  if (step === '[]') return Array.isArray(value) ? value.flatMap((item) => valuesOf(item, rest)) : [];
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return [];
  return valuesOf((value as Record<string, unknown>)[step], rest);
}

/** The example with the schema's sentence above each option; values and blank lines are left as they are. */
export function withSentences(example: string): string {
  const lines = example.split('\n');
  const on = switchOn(example);
  const places = linesOfRows(on);
  const values: unknown = parse(on);
  const above = new Map<number, string>();
  for (const { name, row, section } of listRows(CONFIG_SCHEMA)) {
    const line = places.get(name);
    if (line === undefined || row.description === undefined) continue;
    const fallback = JSON.stringify(row.default);
    const shown =
      section ||
      !fallback ||
      fallback === '""' ||
      valuesOf(values, name).some((each) => JSON.stringify(each) === fallback);
    above.set(line, shown ? row.description : `${row.description} Default: ${fallback}.`);
  }
  const written: string[] = [];
  for (const [index, line] of lines.entries()) {
    const sentence = above.get(index);
    if (sentence !== undefined) {
      while (isProse(written.at(-1))) written.pop();
      written.push(...wrap(sentence, /^ */.exec(line)![0]));
    }
    written.push(line);
  }
  return written.join('\n');
}

function isProse(line: string | undefined): boolean {
  return line !== undefined && /^ *# /.test(line);
}

function wrap(sentence: string, indent: string): string[] {
  const lines: string[] = [];
  let line = `${indent}#`;
  for (const word of sentence.split(' ')) {
    if (line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = `${indent}#`;
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
