import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { startIssuer } from './issuer.ts';
import type { Block, Outcome } from './load.ts';
import { headersOf, rawRequest, requestBody, SIZES, toolOf, type Size } from './payload.ts';
import { plan, USAGE, type Plan } from './plan.ts';
import { cores, Program, settled, watchMemory } from './processes.ts';
import { errorsOf, markdownPage, terminalTables, type Run, type Sample } from './report.ts';
import { shapeRequest, SHAPE_ROWS, SHAPES } from './shapes.ts';
import type { StreamSample } from './stream-report.ts';
import { folderIn, targets, type Ground, type Running, type Target } from './targets.ts';

const ROOT = join(import.meta.dirname, '..');
const CONCURRENCIES = [1, 8, 32];
/** Everything that was started and must be ended, the newest first, whatever happens. */
class Ending {
  readonly #steps: (() => unknown)[] = [];
  #begun: Promise<void> | undefined;

  add(step: () => unknown): void {
    if (this.#begun !== undefined) throw new Error('the run is ending');
    this.#steps.push(step);
  }

  /** Starts a program that ends with all else. */
  start(name: string, command: readonly string[], options: { core: number | undefined; talks: boolean }): Program {
    if (this.#begun !== undefined) throw new Error('the run is ending');
    const program = Program.start(name, command, options);
    this.add(() => program.stop());
    return program;
  }

  /** Resolves when all is ended, however often it is called. */
  end(): Promise<void> {
    this.#begun ??= (async () => {
      for (const step of this.#steps.toReversed()) await step();
    })();
    return this.#begun;
  }
}

async function measure(planned: Plan, ending: Ending): Promise<Measured> {
  const pinned = cores();
  const issuer = await startIssuer();
  ending.add(issuer.stop);
  mkdirSync(join(ROOT, 'data'), { recursive: true });
  const folder = mkdtempSync(join(ROOT, 'data', 'bench-'));
  ending.add(() => rmSync(folder, { recursive: true, force: true }));
  const script = (name: string): string[] => [process.execPath, join(import.meta.dirname, name)];
  const upstream = ending.start('the upstream', script('upstream.ts'), { core: pinned?.upstream, talks: true });
  const { port: upstreamPort } = await upstream.next<{ port: number }>();
  const load = ending.start('the load', script('load.ts'), { core: pinned?.load, talks: true });
  await load.next();

  const samples: Sample[] = [];
  const streams: StreamSample[] = [];
  for (let repeat = 1; repeat <= planned.repeats; repeat += 1) {
    const round = new Ending();
    ending.add(() => round.end());
    const started: { target: Target; running: Running }[] = [];
    for (const target of planned.rows) {
      progress(`repeat ${repeat}/${planned.repeats}: starting ${target.name}`);
      const own = folderIn(folder, `${repeat}-${target.key}`);
      const start: Ground['start'] = (name, command, talks = false) =>
        round.start(name, command, { core: pinned?.measured, talks });
      const ground = { root: ROOT, folder: own, upstreamPort, issuer, start };
      started.push({ target, running: await target.start(ground) });
    }
    for (const { target, running } of planned.calls ? started : []) {
      // Until the compiler of Node has seen enough; the first thousands of calls would count for all others.
      for (const size of SIZES)
        await block(load, running, ofSize(size, target), 32, planned.quick ? 0.05 : WARM_UP_SECONDS);
    }
    for (const size of planned.calls ? SIZES : []) {
      for (const connections of CONCURRENCIES) {
        for (let turn = 0; turn < started.length; turn += 1) {
          const { target, running } = started[(turn + repeat - 1) % started.length]!;
          const sample = await block(load, running, ofSize(size, target), connections, planned.seconds);
          samples.push({ row: target.key, size: size.name, connections, repeat, ...sample });
          const rate = Math.round(sample.perSecond).toLocaleString('en');
          progress(
            `repeat ${repeat}/${planned.repeats}, ${size.name}, ${connections} at once: ${target.name} ${rate}/s`,
          );
        }
      }
    }
    if (planned.streams) streams.push(...(await measureStreams(planned, repeat, load, started)));
    await round.end();
    rmSync(folder, { recursive: true, force: true });
  }
  progress('measured');
  return { samples, streams };
}

// Tens of thousands of calls, which is what the optimising compiler wants of a program of this size.
const WARM_UP_SECONDS = 6;

interface Measured {
  readonly samples: Sample[];
  readonly streams: StreamSample[];
}

/** What a block asks again and again. */
interface Question {
  readonly tool: string;
  readonly body: Buffer;
  readonly mostCalls: number;
  readonly toTheEnd?: boolean;
}

function ofSize(size: Size, target: Target): Question {
  const tool = toolOf(size, target.personal);
  return { tool, body: requestBody(tool), mostCalls: size.mostCalls };
}

/** Large and long answers, the rows taking turns. */
async function measureStreams(
  planned: Plan,
  repeat: number,
  load: Program,
  started: readonly { readonly target: Target; readonly running: Running }[],
): Promise<StreamSample[]> {
  const samples: StreamSample[] = [];
  const rows = started.filter(({ target }) => SHAPE_ROWS.includes(target.key));
  for (const shape of SHAPES) {
    const question: Question = {
      tool: shape.tool,
      body: shapeRequest(shape),
      mostCalls: shape.mostCalls,
      toTheEnd: true,
    };
    for (const { running } of rows) await block(load, running, question, 1, planned.quick ? 0.05 : 3);
    for (const connections of shape.connections) {
      for (let turn = 0; turn < rows.length; turn += 1) {
        const { target, running } = rows[(turn + repeat - 1) % rows.length]!;
        const sample = await block(load, running, question, connections, planned.seconds);
        samples.push({ row: target.key, shape: shape.key, connections, repeat, ...sample });
        const rate = ((sample.perSecond * sample.bytes) / 1e6).toFixed(0);
        progress(
          `repeat ${repeat}/${planned.repeats}, ${shape.name}, ${connections} at once: ${target.name} ${rate} MB/s`,
        );
      }
    }
  }
  return samples;
}

type Measure = Outcome & Pick<StreamSample, 'bytes' | 'cpu' | 'rssBytes' | 'growthBytes'>;

async function block(
  load: Program,
  running: Running,
  question: Question,
  connections: number,
  seconds: number,
): Promise<Measure> {
  const { port, program, token } = running;
  const { tool, body, mostCalls, toTheEnd = false } = question;
  const known = await fetch(`http://127.0.0.1:${port}/mcp`, {
    method: 'POST',
    headers: headersOf(tool, token),
    body,
  });
  const answer = Buffer.from(await known.arrayBuffer());
  const request: Block = {
    port,
    request: rawRequest(port, tool, token, body).toString('base64'),
    connections,
    seconds,
    mostCalls,
    toTheEnd,
    length: answer.length,
    prefix: answer.subarray(0, 256).toString('base64'),
  };
  const before = program && (await settled(program.pid));
  const most = program && watchMemory(program.pid);
  load.send(request);
  const outcome = { ...(await load.next<Outcome>()), bytes: answer.length };
  const peak = most?.();
  if (program?.ended === true) throw program.failure();
  const after = program && (await settled(program.pid));
  if (before === undefined || after === undefined) return outcome;
  const growthBytes = peak === undefined ? undefined : Math.max(0, peak - before.rssBytes);
  return {
    ...outcome,
    cpu: (after.cpuMicros - before.cpuMicros) / outcome.calls,
    rssBytes: after.rssBytes,
    ...(growthBytes === undefined ? {} : { growthBytes }),
  };
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[2K${text.slice(0, (process.stderr.columns ?? 80) - 1)}`);
  else process.stderr.write(`${text}\n`);
}

function describe(planned: Plan, { samples, streams }: Measured): Run {
  const git = (...args: string[]): string => {
    const { status, stdout } = spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' });
    return status === 0 ? stdout.trim() : 'unknown';
  };
  const changed =
    git('status', '--porcelain', '--', 'proxy', 'policies', 'recorder', 'bench', ':!bench/results') !== '';
  return {
    date: new Date().toISOString().slice(0, 16).replace('T', ' ') + ' UTC',
    commit: `${git('rev-parse', '--short=12', 'HEAD')}${changed ? ' with changes not committed' : ''}`,
    node: process.version,
    machine: `${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, ${type()}`,
    pinned: cores() !== undefined,
    seconds: planned.seconds,
    repeats: planned.repeats,
    rows: planned.rows.map(({ key, name, note }) => ({ key, name, note })),
    missing: planned.missing,
    sizes: planned.calls ? SIZES.map(({ name }) => name) : [],
    concurrencies: CONCURRENCIES,
    samples,
    streams,
  };
}

/** The page belongs to whole runs; others write only where they are told to. */
function write(planned: Plan, run: Run): void {
  const whole = !planned.quick && planned.calls && planned.streams && planned.rows.length === targets().all.length;
  if (planned.out === undefined && !whole) return;
  const page = planned.out ?? join(ROOT, 'docs');
  const results = planned.out ?? join(import.meta.dirname, 'results');
  for (const folder of [page, results]) mkdirSync(folder, { recursive: true });
  writeFileSync(join(page, 'benchmarks.md'), markdownPage(run));
  writeFileSync(join(results, 'latest.json'), `${JSON.stringify(run, undefined, 1)}\n`);
  console.log(`\nwritten: ${join(page, 'benchmarks.md')}, ${join(results, 'latest.json')}`);
}

async function main(): Promise<number> {
  let planned: Plan;
  try {
    planned = plan();
  } catch (fault) {
    console.error(`${(fault as Error).message}\n${USAGE}`);
    return 2;
  }
  const ending = new Ending();
  let interrupted: number | undefined;
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.once(signal, () => {
      interrupted = code;
      void ending.end();
    });
  }
  for (const line of planned.missing) console.log(line);
  try {
    const run = describe(planned, await measure(planned, ending));
    console.log(`\n${terminalTables(run)}`);
    write(planned, run);
    const errors = errorsOf(run);
    if (errors > 0) console.error(`\n${errors} calls were not answered as they should have been`);
    return errors === 0 ? 0 : 1;
  } catch (fault) {
    // What a signal ended fails in its own way wherever the run was; that is no news.
    if (interrupted !== undefined) return interrupted;
    const { message, cause } = fault as Error;
    console.error(`\nthe run failed: ${message}${cause instanceof Error ? `\n${cause.message}` : ''}`);
    return 1;
  } finally {
    await ending.end();
  }
}

process.exitCode = await main();
