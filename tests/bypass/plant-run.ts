import fc from 'fast-check';
import type { Test } from 'tap';
import type { Guard } from './corpus/types.ts';
import { readable } from './leak-detector.ts';
import { ENCODINGS, planted, type Planted } from './plant.ts';
import { ask, OUT, requestOf, startStage, type Stage } from './stage.ts';

/** What is read so far, by guard; guardrails read all encodings three deep. */
const READ: Readonly<Partial<Record<Guard, { readonly encodings: readonly string[]; readonly depth: number }>>> = {
  words: { encodings: Object.keys(ENCODINGS), depth: 3 },
  pattern: { encodings: Object.keys(ENCODINGS), depth: 3 },
  mask: {
    encodings: ['JSON in a string', 'JSON with escapes', 'invisible characters', 'full-width letters', 'in a sentence'],
    depth: 1,
  },
};

export interface PlantCounts {
  readonly runs: number;
  /** Planted secrets that the client would have got without rules. */
  readonly delivered: number;
}

/** Plants secrets in answers and asks for them through the door; throws with a smallest example when one of them leaves. */
export async function plantSecrets(
  t: Test,
  {
    runs,
    seed,
    guards = ['words', 'pattern', 'mask'],
  }: { readonly runs: number; readonly seed: number; readonly guards?: readonly Guard[] },
): Promise<PlantCounts> {
  const stage = await startStage(t);
  let done = 0;
  let delivered = 0;
  for (const guard of guards) {
    const secret = OUT[guard];
    const { encodings, depth } = READ[guard]!;
    await fc.assert(
      fc.asyncProperty(planted(secret, encodings, depth), async (made) => {
        done += 1;
        const seen = await deliver(stage, guard, made);
        const left = readable(seen, secret);
        if (left !== undefined)
          throw new Error(
            `${left} left: ${made.place}, ${made.wrapped.join(' in ') || 'as it is'}\n${seen.slice(-1500)}`,
          );
        if (!/"code":(?:-32603|1003)/.test(seen)) delivered += 1;
      }),
      { numRuns: Math.ceil(runs / guards.length), seed, endOnFailure: false },
    );
  }
  const secrets = guards.map((guard) => OUT[guard]);
  for (const exchange of await stage.gateway.exchanges()) {
    const left = readable(JSON.stringify(exchange).slice(0, 20_000), ...secrets);
    if (left !== undefined) throw new Error(`${left} is in the record: ${JSON.stringify(exchange).slice(0, 3000)}`);
  }
  return { runs: done, delivered };
}

async function deliver(stage: Stage, guard: Guard, { era, method, params, answer, events }: Planted): Promise<string> {
  const { logged } = stage.gateway;
  const before = logged.length;
  const door = await stage.door(guard, era);
  stage.play(async (request) => {
    if (request.method !== method || (method === 'tools/call' && request.name !== 'say')) return request.usual();
    const whole = `{"jsonrpc":"2.0","id":${request.idText},${JSON.stringify(answer).slice(1)}`;
    if (events.length === 0) return whole;
    const stream = request.stream();
    for (const event of events) await stream.send({ jsonrpc: '2.0', ...event });
    await stream.send(whole);
    stream.end();
    return undefined;
  });
  const seen = await ask(door, requestOf(era, method, params), []);
  stage.play(undefined);
  return `${seen}\n${logged.slice(before).join('\n')}`;
}
