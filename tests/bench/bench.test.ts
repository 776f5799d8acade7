import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { AnswerReader } from '../../bench/answer-reader.ts';
import { answers, rawRequest, requestBody, SIZES, toolOf } from '../../bench/payload.ts';
import type { Run } from '../../bench/report.ts';

const ROOT = join(import.meta.dirname, '../..');

function bench(...args: string[]) {
  return spawn(process.execPath, [join(ROOT, 'bench/run.ts'), ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function leftovers(): string[] {
  const data = join(ROOT, 'data');
  return existsSync(data) ? readdirSync(data).filter((name) => name.startsWith('bench-')) : [];
}

t.test('every answer is read as one, however the socket cuts it', async (t) => {
  const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n';
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 200 }),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
      fc.boolean(),
      fc.integer({ min: 0, max: 40 }),
      (bytes, cuts, chunked, known) => {
        const body = Buffer.from(bytes);
        const parts: Buffer[] = [];
        for (let at = 0, turn = 0; at < body.length; turn += 1) {
          const piece = body.subarray(at, at + cuts[turn % cuts.length]!);
          parts.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
          at += piece.length;
        }
        const whole = chunked
          ? Buffer.concat([
              Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\n`),
              ...parts,
              Buffer.from('0\r\n\r\n'),
            ])
          : Buffer.concat([Buffer.from(`${head}Content-Length: ${body.length}\r\n\r\n`), body]);
        const reader = new AnswerReader(body.subarray(0, known));
        for (let round = 0; round < 2; round += 1) {
          const ends: number[] = [];
          for (let at = 0, turn = 0; at < whole.length; turn += 1) {
            const piece = whole.subarray(at, at + cuts[turn % cuts.length]!);
            at += piece.length;
            if (reader.push(piece)) ends.push(at);
          }
          if (ends.join() !== String(whole.length) || reader.length !== body.length || !reader.expected) return false;
        }
        return true;
      },
    ),
  );
  const reader = new AnswerReader(Buffer.from('{"jsonrpc":"2.0","id":1,"result"'));
  t.equal(reader.push(Buffer.from(`${head}Content-Length: 31\r\n\r\n{"jsonrpc":"2.0","id":1,"error"`)), true);
  t.equal(reader.expected, false, 'another beginning is noticed');
  t.throws(() => reader.push(Buffer.from(`${head}Content-Length: 1\r\n\r\nab`)), /after the end/);
  t.throws(() => new AnswerReader(Buffer.alloc(0)).push(Buffer.from(`${head}\r\n`)), /without a length/);
});

t.test('requests are 300 bytes and answers have the size their row names', async (t) => {
  for (const size of SIZES) {
    for (const personal of [false, true]) {
      const tool = toolOf(size, personal);
      t.equal(requestBody(tool).length, 300);
      t.match(rawRequest(1, tool, undefined).toString(), /\r\nMcp-Name: \w+\r\nContent-Length: 300\r\n\r\n\{/);
      const answer = answers().get(tool);
      t.equal(answer?.length, size.bytes);
      t.equal(String(answer).includes('@example.com'), personal);
      t.match(JSON.parse(String(answer)), { jsonrpc: '2.0', id: 1, result: { isError: false } });
    }
  }
});

t.test(
  'a quick run measures direct and bare without an error and writes what it says [bench-errors-counted]',
  async (t) => {
    const out = t.testdir();
    const before = leftovers();
    const run = bench('--quick', '--rows', 'direct,bare', '--out', out);
    const text = (await Promise.all([run.stdout.toArray(), run.stderr.toArray(), once(run, 'exit')]))
      .slice(0, 2)
      .map((all) => Buffer.concat(all as Buffer[]).toString());
    t.equal(run.exitCode, 0, text[1] ?? '');
    for (const title of [
      '1 KB answers, 1 connection',
      '1 KB answers, 32 connections',
      '100 KB answers, 8 connections',
      'SSE answers of 1,000 events, 1 connection',
      '10 MB JSON answers, 4 connections',
    ]) {
      t.ok(text[0]!.includes(title), title);
    }
    const { samples, streams } = JSON.parse(readFileSync(join(out, 'latest.json'), 'utf8')) as Run;
    t.equal(samples.length, 2 * 2 * 3, 'rows x sizes x concurrencies');
    for (const { row, size, connections, calls, errors, fault } of samples) {
      t.ok(calls > 0 && errors === 0, `${row}, ${size}, ${connections}: ${fault ?? `${calls} calls`}`);
    }
    t.equal(streams.length, 2 * (2 + 2), 'rows x connections of each shape');
    for (const { row, shape, connections, calls, errors, fault, bytes } of streams) {
      t.ok(calls > 0 && errors === 0, `${row}, ${shape}, ${connections}: ${fault ?? `${calls} calls`}`);
      t.ok(bytes > 100_000, `an answer of ${bytes} bytes`);
    }
    t.ok(
      samples.every(({ row, cpu }) => row === 'direct' || process.platform !== 'linux' || cpu !== undefined),
      'CPU is measured',
    );
    t.match(readFileSync(join(out, 'benchmarks.md'), 'utf8'), /\| gateway, bare \| [\d,]+ \|/);
    t.strictSame(leftovers(), before, 'its files are gone');
  },
);

t.test(
  'Ctrl-C ends the run and all that it started',
  { skip: process.platform !== 'linux' && 'needs /proc' },
  async (t) => {
    const before = leftovers();
    const run = bench('--rows', 'direct,bare', '--out', t.testdir());
    let told = '';
    let started: number[] = [];
    for await (const chunk of run.stderr) {
      told += String(chunk);
      if (started.length > 0 || !/: direct [\d,]+\/s\n/.test(told)) continue;
      started = childrenOf(run.pid!);
      run.kill('SIGINT');
    }
    if (run.exitCode === null) await once(run, 'exit');
    t.equal(run.exitCode, 130);
    t.notMatch(told, /Error|failed/);
    t.strictSame(leftovers(), before, 'its files are gone');
    t.equal(started.length, 3, 'upstream, load and the bare gateway had been started');
    for (const pid of started) t.throws(() => process.kill(pid, 0), { code: 'ESRCH' }, 'is gone');
  },
);

t.test('a wrong option is refused with the usage', async (t) => {
  const run = bench('--rows', 'direct,apache');
  const [[code], words] = await Promise.all([once(run, 'exit'), run.stderr.toArray()]);
  t.equal(code, 2);
  t.match(Buffer.concat(words).toString(), /no such row here: apache[^]*usage: npm run bench/);
});

function childrenOf(pid: number): number[] {
  const list = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1');
  return list.trim().split(/\s+/).map(Number);
}
