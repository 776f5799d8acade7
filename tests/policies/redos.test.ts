import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { RE2JS } from 're2js';
import t from 'tap';
import { RuleFault } from '../../policies/fault.ts';
import { compileGuardrails } from '../../policies/guardrail.ts';
import { createMasker } from '../../policies/masking/masker.ts';
import { compilePattern } from '../../policies/pattern.ts';
import { HOSTILE, REFUSED } from './hostile-patterns.ts';

const LONG = 100_000;

t.test(
  'a pattern that the engine cannot take is refused when it is loaded, with its position [pattern-linear]',
  async (t) => {
    t.ok(HOSTILE.length + REFUSED.length >= 50);
    for (const [pattern, position] of REFUSED) {
      t.throws(() => compilePattern(pattern), { name: 'RuleFault', position }, pattern);
      const rules = [{ type: 'pattern_match' as const, pattern_regex: pattern }];
      t.throws(() => compileGuardrails([{ name: 'r', input: { rules } }], 'input'), RuleFault, pattern);
      const custom_entity_types = [{ name: 'X', regex: pattern }];
      t.throws(() => createMasker([{ name: 'm', custom_entity_types }]), RuleFault, pattern);
    }
  },
);

t.test(
  'what a backtracking engine says of a few characters, the linear one says of a hundred thousand [pattern-linear]',
  async (t) => {
    for (const [pattern, piece, end] of HOSTILE) {
      const compiled = compilePattern(pattern);
      const large = piece.repeat(Math.ceil(LONG / piece.length)) + end;
      const said = compiled.search(large);
      // Counted repetitions keep the language's own engine busy even with twelve characters, and need more to match.
      if (pattern.includes('{')) t.type(said, 'boolean', pattern);
      else t.equal(said, new RegExp(pattern).test(piece.repeat(4) + end), `${pattern}, ${large.length} characters`);
      t.ok(RE2JS.compile(pattern).programSize() < 50_000, `${pattern}: steps for each character are bounded`);
    }
  },
);

t.test('rules with hostile patterns read hostile texts to their end [pattern-linear]', async (t) => {
  const rules = HOSTILE.map(([pattern_regex]) => ({
    type: 'pattern_match' as const,
    pattern_regex,
    action: 'warn' as const,
  }));
  const guardrails = compileGuardrails([{ name: 'all', output: { rules } }], 'output');
  const masker = createMasker([
    {
      name: 'all',
      custom_entity_types: HOSTILE.map(([regex], at) => ({ name: `X_${at}`, regex: `(?:${regex})never` })),
    },
  ]);
  const text = HOSTILE.map(([, piece, end]) => piece.repeat(30) + end);
  const json = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    result: { content: text.map((each) => ({ type: 'text', text: each })) },
  });
  t.ok(guardrails.judge(json, '').findings.length > 5, 'and find what is there');
  t.equal(masker.mask(json).json, json, 'and change nothing that they do not match');
});

t.test('no regular expression of the language is ever made of what users write [pattern-linear]', async (t) => {
  const root = join(import.meta.dirname, '../../policies');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
  t.ok(files.length > 50);
  // Words of a deny list, each escaped: an alternation of literals, which cannot backtrack.
  const literals = new Set(['words.map(bounded)', 'words.map(quote)']);
  for (const path of files) {
    const lines = readFileSync(join(root, path), 'utf8').split('\n');
    for (const [index, line] of lines.entries()) {
      if (!/(?<![\w'])RegExp\(/.test(line)) continue;
      const constant = /^const [A-Z_0-9]+(?:: RegExp)? = new RegExp\(/.test(line);
      const fixed = /new RegExp\([A-Z_]+(?:, '[a-z]+')?\)/.test(line);
      const literal = [...literals].some((words) => line.includes(`new RegExp(${words}.join('|')`));
      t.ok(constant || fixed || literal, `${path}:${index + 1}: ${line.trim()}`);
    }
  }
  const custom = readFileSync(join(root, 'masking/custom.ts'), 'utf8');
  t.match(custom, /const quote = \(word: string\): string => word\.replaceAll\(/, 'the words are escaped');
});
