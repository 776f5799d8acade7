import { readFileSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import type { Log } from '../log.ts';
import type { Limits } from './limits.ts';
import { readSaved, type SavedLimits } from './saved.ts';

const EVERY_MS = 5_000;

/**
 * Keeps what limits count over a restart: read now, written every few seconds and at the end. A file that cannot be read is said
 * loudly, and each limit says what is assumed then; one that is not there means that nothing was counted yet.
 */
export function keepLimits(limits: Limits, path: string, log: Log): { close(): Promise<void> } {
  let written: string | undefined;
  try {
    const saved = read(path);
    limits.restore(saved);
    written = textOf(saved);
  } catch (fault) {
    log.error(
      { err: fault, file: path },
      'the counts of limits cannot be read: long limits count as half used, or as unused where on_lost_state is allow',
    );
    limits.lose();
  }
  let writing: Promise<void> | undefined;
  const write = async (): Promise<void> => {
    const text = textOf(limits.save());
    if (text === written) return;
    try {
      await replace(path, text);
      written = text;
    } catch (fault) {
      log.error({ err: fault, file: path }, 'the counts of limits cannot be written; a restart would forget them');
    }
  };
  const timer = setInterval(() => {
    writing ??= write().finally(() => (writing = undefined));
  }, EVERY_MS);
  timer.unref();
  return {
    async close() {
      clearInterval(timer);
      await writing;
      await write();
    },
  };
}

const textOf = (saved: SavedLimits): string => JSON.stringify({ version: 1, ...saved });

function read(path: string): SavedLimits {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code === 'ENOENT') return { limits: {} };
    throw fault;
  }
  return readSaved(JSON.parse(text));
}

/** Whole or not at all, whatever happens meanwhile. */
async function replace(path: string, text: string): Promise<void> {
  const draft = `${path}.new`;
  const file = await open(draft, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
}
