import { createInterface } from 'node:readline';
import { setImmediate as turn } from 'node:timers/promises';
import { closed, open, opened, sessionOpened } from './fixture.ts';

// A gateway that does nothing but record; its parent kills it, or takes the room on its disk away.
const [folder = '', mode = '', durability = 'group'] = process.argv.slice(2);
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const recorder = await open(folder, { durability: durability === 'call' ? 'call' : 'group' });
await recorder.append(sessionOpened('ses_1'));
const body = Buffer.alloc(16 * 1024, 'x');

async function forever(worker: number): Promise<void> {
  for (let count = 0; ; count++) {
    const id = `exc_${worker}_${count}`;
    await recorder.append(opened(id), body.subarray(0, 300));
    say(`opened ${id}`);
    await recorder.append(closed(id), body.subarray(0, 1024));
    say(`closed ${id}`);
  }
}

/** Opens exchanges until one is refused; answers those that were opened. */
async function fill(prefix: string): Promise<string[]> {
  const ids: string[] = [];
  for (;;) {
    const id = `exc_${prefix}_${ids.length}`;
    try {
      await recorder.append(opened(id), body);
      ids.push(id);
      say(`opened ${id}`);
    } catch (error) {
      say(`refused ${(error as { code?: string }).code}`);
      say(`trouble ${recorder.trouble()}`);
      return ids;
    }
  }
}

async function full(): Promise<void> {
  const lines = createInterface(process.stdin)[Symbol.asyncIterator]();
  const ids = await fill('full');
  for (const id of ids.slice(0, 20)) {
    await recorder.append(closed(id), body).then(
      () => say(`closed ${id}`),
      () => say(`lost ${id}`),
    );
  }
  await recorder.append(opened('exc_too_many'), body).then(
    () => say('opened exc_too_many'),
    () => say('full'),
  );
  await lines.next();
  for (;;) {
    const done = await recorder.append(opened('exc_after'), body).then(
      () => true,
      () => false,
    );
    if (done) break;
    await turn();
  }
  say('opened exc_after');
  await recorder.settled();
  say(`well ${recorder.trouble()}`);
  await recorder.close();
  process.exit(0);
}

if (mode === 'full') await full();
else await Promise.all(Array.from({ length: 8 }, (_, worker) => forever(worker)));
