import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import t from 'tap';
import type { Test } from 'tap';
import { FRAME_HEADER, readFrame, writeFrame } from '../../recorder/frames.ts';
import { JournalFile, RecordUnavailable } from '../../recorder/journal.ts';
import { createRefusals } from '../../recorder/refusals.ts';
import { repairJournal, segmentFile, segmentStarts } from '../../recorder/segments.ts';
import { Shared } from '../../recorder/shared.ts';
import type { Entry } from '../../recorder/types.ts';
import { verify } from '../../recorder/verify.ts';
import fc from 'fast-check';
import { closed, exchange, masterKey, open, opened, sessionOpened, tamper } from './fixture.ts';

const appender = new URL('./appender.ts', import.meta.url).pathname;

interface Child {
  readonly process: ChildProcess;
  readonly lines: string[];
  /** Resolves with the first line that fits. */
  line(fits: (line: string) => boolean): Promise<string>;
}

function run(args: readonly string[]): Child {
  const child = spawn(process.execPath, [appender, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines: string[] = [];
  t.teardown(() => child.kill('SIGKILL'));
  const reader = createInterface(child.stdout);
  reader.on('line', (line) => lines.push(line));
  return {
    process: child,
    lines,
    line: (fits) =>
      new Promise((resolve, reject) => {
        const found = lines.find(fits);
        if (found !== undefined) return resolve(found);
        const look = (line: string): void => {
          if (!fits(line)) return;
          reader.off('line', look);
          resolve(line);
        };
        reader.on('line', look);
        reader.once('close', () => reject(new Error(`the child ended; its last line was ${lines.at(-1)}`)));
      }),
  };
}

async function sound(folder: string): Promise<void> {
  const report = await verify({ path: `${folder}/store.db`, masterKey });
  t.same(report.problems, []);
}

t.test('a frame is read back as it was written, and any changed byte or cut end is noticed', async () => {
  fc.assert(
    fc.property(
      fc.json(),
      fc.option(fc.uint8Array({ minLength: 1 }), { nil: undefined }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (json, body, where, by) => {
        const buffer = Buffer.alloc(FRAME_HEADER + json.length * 3 + (body?.length ?? 0));
        const end = writeFrame(buffer, 0, json, body);
        const frame = readFrame(buffer, 0, end);
        if (frame?.entry.toString() !== json || frame.size !== end) return false;
        if (body === undefined ? frame.body !== undefined : !frame.body?.equals(body)) return false;
        if (readFrame(buffer, 0, where % end) !== undefined) return false;
        buffer[where % end]! ^= by;
        return readFrame(buffer, 0, end) === undefined;
      },
    ),
  );
});

for (const durability of ['group', 'call'] as const) {
  t.test(
    `every acknowledged entry survives kill -9, once, with durability ${durability} [journal-survives-kill]`,
    async (t) => {
      const folder = t.testdir();
      const acknowledged = new Set<string>();
      for (const round of [0, 1]) {
        const child = run([folder, 'forever', durability]);
        await child.line((line) => line.startsWith('closed exc_') && child.lines.length > 400 * (round + 1));
        child.process.kill('SIGKILL');
        await once(child.process, 'close');
        for (const line of child.lines) acknowledged.add(line);
        const recorder = await open(folder);
        await recorder.close();
        const found = tamper(
          folder,
          (db) => db.prepare(`SELECT type || ' ' || ref FROM entries WHERE ref IS NOT NULL`).pluck().all() as string[],
        );
        const stored = new Set(found.map((line) => line.replace('exchange.', '')));
        for (const line of acknowledged) t.ok(stored.has(line), `${line} is in the store`);
        const openRows = tamper(folder, (db) =>
          db.prepare('SELECT count(*) FROM exchanges WHERE closed IS NULL').pluck().get(),
        );
        t.equal(openRows, 0, 'what was open is settled');
        await sound(folder);
      }
      const twice = tamper(folder, (db) =>
        db.prepare('SELECT count(*) FROM (SELECT id FROM exchanges GROUP BY id HAVING count(*) > 2)').pluck().get(),
      );
      t.equal(twice, 0, 'nothing was replayed twice');
    },
  );
}

t.test(
  'an exchange that was open when the gateway died ends with outcome unknown [open-exchange-settled]',
  async (t) => {
    const folder = t.testdir();
    const child = run([folder, 'full']);
    await child.line((line) => line.startsWith('opened exc_'));
    child.process.kill('SIGKILL');
    await once(child.process, 'close');
    const recorder = await open(folder);
    const [first] = await recorder.sessions.exchanges('ses_1');
    t.match(first, { id: 'exc_full_0', outcome: 'unknown', isError: true });
    await recorder.close();
    await sound(folder);
  },
);

t.test(
  'a frame torn at the end of the newest segment is set aside, what is before it is kept [journal-torn-tail]',
  async (t) => {
    const folder = t.testdir();
    mkdirSync(`${folder}/store.db.journal`);
    const shared = new Shared();
    const journal = new JournalFile({
      folder: `${folder}/store.db.journal`,
      start: 0,
      durability: 'group',
      limit: 1e9,
      shared,
    });
    await Promise.all([
      journal.append(sessionOpened('ses_1')),
      journal.append(opened('exc_1')),
      journal.append(closed('exc_1')),
    ]);
    await journal.close();
    const segment = segmentFile(`${folder}/store.db.journal`, 0);
    const whole = statSync(segment).size;
    appendFileSync(segment, readFileSync(segment).subarray(0, 50));
    const recorder = await open(folder);
    t.match(await recorder.sessions.exchanges('ses_1'), [{ id: 'exc_1', outcome: 'answered' }]);
    await exchange(recorder, 'exc_2');
    await recorder.close();
    t.equal(readFileSync(`${segment}.torn-${whole}`).length, 50);
    await sound(folder);
  },
);

t.test('a journal with a segment that ends too early stops the start and names the file', async (t) => {
  const folder = t.testdir();
  const journal = `${folder}/store.db.journal`;
  mkdirSync(journal);
  writeFileSync(segmentFile(journal, 0), 'x');
  writeFileSync(segmentFile(journal, 100), '');
  await t.rejects(open(folder), { message: /ends 99 bytes too early/ });
  t.throws(() => repairJournal(journal), { message: new RegExp(journal) });
});

t.test('bytes behind the last good frame are never read once the next segment begins there', async (t) => {
  const folder = t.testdir();
  const journal = `${folder}/store.db.journal`;
  mkdirSync(journal);
  const frames = Buffer.alloc(2000);
  const end = writeFrame(frames, 0, JSON.stringify(sessionOpened('ses_1')), undefined);
  writeFileSync(
    segmentFile(journal, 0),
    Buffer.concat([frames.subarray(0, end), Buffer.from('left over by a write that failed')]),
  );
  const second = Buffer.alloc(2000);
  const length = writeFrame(second, 0, JSON.stringify(opened('exc_1')), undefined);
  writeFileSync(segmentFile(journal, end), second.subarray(0, length));
  const recorder = await open(folder);
  t.match(await recorder.sessions.exchanges('ses_1'), [{ id: 'exc_1', outcome: 'unknown' }]);
  await recorder.close();
  t.same(segmentStarts(journal), [], 'drained segments are deleted');
});

t.test('beyond its limit the journal refuses intents and still takes outcomes [journal-limit]', async (t) => {
  const folder = t.testdir();
  const journal = new JournalFile({ folder, start: 0, durability: 'group', limit: 4000, shared: new Shared() });
  await journal.append(opened('exc_1'), Buffer.alloc(4000));
  await t.rejects(journal.append(opened('exc_2')), { code: 'record_unavailable' });
  await journal.append(closed('exc_1'));
  t.match(journal.trouble(), /wait for the store/);
  await journal.close();
  await t.rejects(journal.append(closed('exc_1')), RecordUnavailable);
});

t.test(
  'a full disk refuses calls, keeps outcomes in the reserve, loses nothing, and recovers [disk-full-refuses]',
  async (t) => {
    const disk = mkdtempSync(`${tmpdir()}/portcullis-disk-`);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'portcullis-test', disk], { stdio: 'pipe' });
    } catch (error) {
      return void t.plan(0, `a small tmpfs cannot be mounted: ${(error as Error).message.split('\n').at(-2)}`);
    }
    t.teardown(() => {
      execFileSync('umount', [disk]);
      rmSync(disk, { recursive: true });
    });
    mkdirSync(`${disk}/data`);
    writeFileSync(`${disk}/ballast`, Buffer.alloc(36 * 1024 * 1024, 1));
    const child = run([`${disk}/data`, 'full']);
    await child.line((line) => line === 'full');
    t.match(
      child.lines.find((line) => line.startsWith('trouble')),
      /ENOSPC/,
    );
    t.equal(
      child.lines.find((line) => line.startsWith('refused')),
      'refused record_unavailable',
    );
    t.equal(child.lines.filter((line) => line.startsWith('closed')).length, 20, 'outcomes of calls under way are kept');
    t.notOk(child.lines.some((line) => line.startsWith('lost')));
    rmSync(`${disk}/ballast`);
    child.process.stdin!.write('space\n');
    t.equal(await child.line((line) => line.startsWith('well')), 'well undefined');
    const [code] = await once(child.process, 'close');
    t.equal(code, 0);
    await everything(t, `${disk}/data`, child.lines);
  },
);

t.test('a file that cannot grow refuses calls, loses nothing, and recovers [disk-full-refuses]', async (t) => {
  const folder = t.testdir();
  const child = run([folder, 'full']);
  await child.line((line) => line === 'opened exc_full_20');
  const limit = (size: string): unknown =>
    execFileSync('prlimit', ['--pid', String(child.process.pid), `--fsize=${size}:unlimited`], { stdio: 'pipe' });
  try {
    limit('1');
  } catch (error) {
    child.process.kill();
    return void t.plan(0, `prlimit does not run here: ${(error as Error).message}`);
  }
  await child.line((line) => line === 'full');
  t.equal(
    child.lines.find((line) => line.startsWith('refused')),
    'refused record_unavailable',
  );
  limit('unlimited');
  child.process.stdin!.write('space\n');
  t.equal(await child.line((line) => line.startsWith('well')), 'well undefined');
  const [code] = await once(child.process, 'close');
  t.equal(code, 0);
  await everything(t, folder, child.lines);
});

/** What was acknowledged is in the store; what was refused is not. */
async function everything(t: Test, folder: string, lines: readonly string[]): Promise<void> {
  const recorder = await open(folder);
  const exchanges = await recorder.sessions.exchanges('ses_1');
  await recorder.close();
  const said = lines.filter((line) => line.startsWith('opened ')).map((line) => line.slice(7));
  t.same(
    exchanges.map(({ id }) => id),
    said,
  );
  for (const line of lines.filter((each) => each.startsWith('closed '))) {
    t.equal(exchanges.find(({ id }) => id === line.slice(7))?.outcome, 'answered', line);
  }
  const report = await verify({ path: `${folder}/store.db`, masterKey });
  t.same(report.problems, []);
}

t.test(
  'refusals are recorded one by one up to 20 an address and 200 in all, then counted [refusals-bounded]',
  async (t) => {
    const entries: Extract<Entry, { type: 'refusal' }>[] = [];
    const refusals = createRefusals({
      append: async (entry) => {
        if (entry.type === 'refusal') entries.push(entry);
      },
    });
    const at = 60_000 * 1000;
    for (let n = 0; n < 30; n++) refusals.note({ code: 'token_missing', address: '192.0.2.1', route: '/mcp', at });
    t.equal(entries.length, 20);
    for (let n = 0; n < 100_000; n++)
      refusals.note({ code: 'token_invalid', address: `2001:db8::${n}`, route: '/mcp', at });
    t.equal(entries.length, 200);
    refusals.note({ code: 'token_missing', address: '192.0.2.1', route: '/mcp', at: at + 60_000 });
    t.match(entries[200], { code: '*', address: '*', route: '/mcp', count: 10 + 100_000 - 180 });
    t.match(entries[201], { code: 'token_missing', address: '192.0.2.1', count: 1 });
    t.equal(entries.length, 202);
    refusals.flush();
  },
);

t.test('refusals that cannot be written are counted and tried again', async (t) => {
  const counts: number[] = [];
  let fails = true;
  const refusals = createRefusals({
    append: async (entry) => {
      if (fails) throw new RecordUnavailable('no room');
      if (entry.type === 'refusal') counts.push(entry.count);
    },
  });
  for (let n = 0; n < 3; n++) refusals.note({ code: 'token_missing', address: '192.0.2.1', route: '/mcp', at: 0 });
  await new Promise(setImmediate);
  fails = false;
  refusals.flush();
  t.same(counts, [3]);
});
