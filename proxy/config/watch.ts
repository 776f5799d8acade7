import { lstatSync, readlinkSync, watch, type FSWatcher } from 'node:fs';
import { basename, dirname, join, parse, resolve, sep } from 'node:path';
import { ConfigFault, hashOf, parseConfig, readConfigFile, type Config, type Environment } from '../config.ts';

export interface WatchListeners {
  /** A new text was read and is without fault. */
  onChange(config: Config): void;
  /** The new text must not be used, or the file cannot be watched any more: what ran before goes on. */
  onFault(fault: ConfigFault): void;
}

export interface WatchOptions {
  readonly env: Environment;
  /** What runs now: a change made since it was read is not missed. */
  readonly running: Config;
}

export interface ConfigWatch {
  close(): void;
  /** Reads the file now, also when its text is the same: the secrets it points at may have changed. */
  reload(): void;
}

// A writer that truncates and then writes causes two events; one look after both is enough.
const SETTLE_MS = 50;
// While the folder is away no event can tell that it is back.
const RETRY_MS = 5000;
const MOST_LINKS = 40;

/**
 * Calls a listener for each new text of the file, however it was replaced: in place, by a rename, or by changing a symbolic link
 * anywhere on its way (a mounted Kubernetes ConfigMap). Events only cause a look; whether the text changed is decided by its hash.
 */
export function watchConfig(file: string, listeners: WatchListeners, { env, running }: WatchOptions): ConfigWatch {
  let watchers: FSWatcher[] = [];
  let seen = running.hash;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  const look = (always: boolean): void => {
    if (closed) return;
    clearTimeout(timer);
    timer = undefined;
    try {
      // Watching first: whatever changes after the reading causes an event.
      arm();
      const text = readConfigFile(file);
      const hash = hashOf(text);
      if (hash === seen && !always) return;
      seen = hash;
      listeners.onChange(parseConfig(text, file, env));
    } catch (fault) {
      if (!(fault instanceof ConfigFault)) throw fault;
      const unreadable = fault.problems[0]?.line === 0;
      if (unreadable && seen === fault.message && !always) return;
      if (unreadable) seen = fault.message;
      listeners.onFault(fault);
    }
  };

  const soon = (): void => {
    if (!closed) timer ??= setTimeout(look, SETTLE_MS, false);
  };

  /** Watches the folders on the file's way as it is now. */
  const arm = (): void => {
    const before = watchers;
    watchers = [];
    try {
      for (const [folder, names] of wayTo(file)) watchers.push(watchNames(folder, names, soon));
    } catch (fault) {
      timer ??= setTimeout(look, RETRY_MS, false).unref();
      const why = (fault as NodeJS.ErrnoException).code ?? 'failed';
      const message = `cannot be watched (${why}), expected a readable folder`;
      throw new ConfigFault(file, [{ path: '', line: 0, column: 0, message }]);
    } finally {
      for (const watcher of before) watcher.close();
    }
  };

  look(false);
  return {
    close() {
      closed = true;
      clearTimeout(timer);
      for (const watcher of watchers) watcher.close();
    },
    reload: () => look(true),
  };
}

/** The folder's own name tells that it was moved or deleted; other names in it are none of ours. */
function watchNames(folder: string, names: ReadonlySet<string>, soon: () => void): FSWatcher {
  const watcher = watch(folder, (_, name) => {
    if (name === null || names.has(name) || name === basename(folder)) soon();
  });
  watcher.on('error', soon);
  return watcher;
}

/** Folders and the names in them that decide what the file is: each symbolic link on its way, and the file itself. */
function wayTo(file: string): Map<string, Set<string>> {
  const way = new Map<string, Set<string>>();
  const note = (path: string): void => {
    const folder = dirname(path);
    way.set(folder, (way.get(folder) ?? new Set()).add(basename(path)));
  };
  let path = resolve(file);
  for (let links = 0; links < MOST_LINKS; links += 1) {
    const link = firstLink(path);
    if (link === undefined) break;
    note(link);
    path = resolve(dirname(link), readlinkSync(link), path.slice(link.length + 1));
  }
  note(path);
  return way;
}

function firstLink(path: string): string | undefined {
  let current = parse(path).root;
  for (const step of path.slice(current.length).split(sep)) {
    current = join(current, step);
    if (lstatSync(current, { throwIfNoEntry: false })?.isSymbolicLink() === true) return current;
  }
  return undefined;
}
