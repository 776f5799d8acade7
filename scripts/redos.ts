import { compileGuardrails } from '../policies/guardrail.ts';
import { BUILT_IN_TYPES, createMasker } from '../policies/masking/masker.ts';
import { compilePattern } from '../policies/pattern.ts';
import { HOSTILE } from '../tests/policies/hostile-patterns.ts';

const USAGE = 'usage: node scripts/redos.ts [largest size in KB, 10240]';
const LIMIT = 2.5;
const FIRST_KB = 10;
// Shorter times say more of the clock than of the work.
const LEAST_MS = 2;
const TRIES = 3;

interface Subject {
  readonly name: string;
  /** What is done to a text of about so many characters. */
  run(size: number): () => unknown;
}

const repeat = (piece: string, end: string, size: number): string => piece.repeat(Math.ceil(size / piece.length)) + end;
const message = (text: string): string =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text }] } });

function subjects(): readonly Subject[] {
  const patterns = HOSTILE.map(([source, piece, end]): Subject => {
    const pattern = compilePattern(source);
    return {
      name: source,
      run: (size) => {
        const text = repeat(piece, end, size);
        return () => pattern.search(text);
      },
    };
  });
  const words = compileGuardrails(
    [{ name: 'w', output: { rules: [{ type: 'deny_words_list', words: ['never there'] }] } }],
    'output',
  );
  const masker = createMasker([{ name: 'm', supported_entity_types: [{ name: 'ALL', entity_types: BUILT_IN_TYPES }] }]);
  const pieces: readonly (readonly [string, string])[] = [
    ['plain words', 'the quick brown fox '],
    ['quotes', '{"a":"'],
    ['escapes', '\\u0041'],
    ['percent signs', '%25'],
    ['character references', '&#38;'],
    ['base64', 'QUFBQUFBQUFB'],
    ['digits', '4111 '],
    ['at signs', 'a@'],
    ['dots', 'a.b.'],
    ['colons', '1:'],
    ['zero-width characters', 'a\u200b'],
    ['comments', '/*'],
  ];
  const readers = pieces.flatMap(([name, piece]): Subject[] => [
    {
      name: `guardrail, ${name}`,
      run: (size) =>
        (
          (json) => () =>
            words.judge(json, '')
        )(message(repeat(piece, '!', size))),
    },
    {
      name: `masking, ${name}`,
      run: (size) =>
        (
          (json) => () =>
            masker.mask(json)
        )(message(repeat(piece, '!', size))),
    },
  ]);
  return [...patterns, ...readers];
}

/** The best of a few tries: what the work takes when nothing disturbs it. */
function time(work: () => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < TRIES; i += 1) {
    const start = performance.now();
    work();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

/** Prints for each subject the time at the largest size and the greatest ratio of the time at 2n to that at n. */
function main(): number {
  const largest = Number(process.argv[2] ?? 10_240);
  if (!Number.isInteger(largest) || largest < 2 * FIRST_KB) {
    console.error(USAGE);
    return 2;
  }
  let worst = 0;
  for (const { name, run } of subjects()) {
    time(run(FIRST_KB * 1024));
    let before = 0;
    let ratio = 0;
    let last = 0;
    let kb = FIRST_KB;
    for (; kb <= largest; kb *= 2) {
      last = time(run(kb * 1024));
      if (before >= LEAST_MS) ratio = Math.max(ratio, last / before);
      before = last;
    }
    worst = Math.max(worst, ratio);
    const speed = kb / 2 / 1024 / (last / 1000);
    console.log(
      `${ratio > LIMIT ? 'OVER ' : '     '}ratio ${ratio.toFixed(2).padStart(5)}  ${last.toFixed(1).padStart(9)} ms for ${kb / 2} KB  ${speed.toFixed(1).padStart(7)} MB/s  ${name}`,
    );
  }
  console.log(`greatest ratio ${worst.toFixed(2)}, limit ${LIMIT}`);
  return worst > LIMIT ? 1 : 0;
}

process.exit(main());
