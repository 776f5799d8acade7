import { mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Pin } from '../policies/pins/pin.ts';
import { JournalFile } from './journal.ts';
import { holdLock } from './lock.ts';
import type { Pins } from './pin-types.ts';
import { journalFolder, repairJournal } from './segments.ts';
import { assertMove } from './review-states.ts';
import { Shared } from './shared.ts';
import { Writer } from './writer.ts';
import type { Recorder, RecorderOptions, Review, Reviews, Sessions, TokenRecord, Tokens } from './types.ts';

/**
 * Opens the store, replays what a dead gateway left in the journal, and settles what it left open. Rejects when another
 * gateway holds the store, when the master key is not its own, or when it cannot be written.
 */
export async function openRecorder(options: RecorderOptions): Promise<Recorder> {
  const path = resolve(options.path);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const unlock = options.primary ? holdLock(path) : undefined;
  // A limit on the size of files shall be an error like a full disk, not the death of the process.
  process.on('SIGXFSZ', survive);
  const release = (): void => {
    process.off('SIGXFSZ', survive);
    unlock?.();
  };
  try {
    return await start({ ...options, path }, release);
  } catch (error) {
    release();
    throw error;
  }
}

const survive = (): void => undefined;

async function start(options: RecorderOptions, release: () => void): Promise<Recorder> {
  const { path, primary, durability, version, masterKey, previousKeys, journalLimit: limit } = options;
  const folder = journalFolder(path);
  const shared = new Shared();
  const reviewListeners = new Set<(review: Review) => void>();
  const tokenListeners = new Set<(tokens: readonly TokenRecord[]) => void>();
  const pinListeners = new Set<(pins: readonly Pin[]) => void>();
  const left = primary ? repairJournal(folder) : { start: 0, end: 0 };
  shared.segment = left.start;
  shared.written = left.end;
  const journalOfThread = primary ? folder : undefined;
  const data = { path, primary, durability, version, masterKey, previousKeys, journal: journalOfThread };
  const writer = new Writer(data, shared, (report) => {
    if (report.kind === 'review') for (const listener of reviewListeners) listener(report.review);
    else if (report.kind === 'pins') for (const listener of pinListeners) listener(report.pins);
    else for (const listener of tokenListeners) listener(report.tokens);
  });
  const moved = await writer.ready();
  let journal: JournalFile | undefined;
  try {
    if (primary) journal = new JournalFile({ folder, start: Math.max(left.end, moved), durability, limit, shared });
  } catch (error) {
    await writer.close();
    throw error;
  }
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    try {
      await journal?.close();
      await writer.close();
    } finally {
      release();
    }
  };
  return {
    append: (entry, body) =>
      journal?.append(entry, body) ??
      writer.call('append', entry, body === undefined ? undefined : Uint8Array.from(body)),
    reviews: reviewsOf(writer, reviewListeners),
    sessions: sessionsOf(writer),
    tokens: tokensOf(writer, tokenListeners),
    pins: pinsOf(writer, pinListeners),
    settled: async () => {
      await journal?.settled();
      await writer.settle(journal === undefined ? 0 : shared.written);
    },
    trouble: () => journal?.trouble() ?? writer.trouble(),
    close: () => (closing ??= close()),
  };
}

const bytesOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function listen<T>(listeners: Set<(value: T) => void>, listener: (value: T) => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

function reviewsOf(writer: Writer, listeners: Set<(review: Review) => void>): Reviews {
  return {
    attach: (draft) =>
      writer.call('reviews.attach', { ...draft, message: Buffer.from(Uint8Array.from(draft.message).buffer) }),
    get: (id) => writer.call('reviews.get', id),
    ofSession: (session) => writer.call('reviews.ofSession', session),
    list: (filter) => writer.call('reviews.list', filter),
    move: async (id, from, to, change) => {
      assertMove(from, to);
      // A view of a larger buffer would be sent with all of it.
      const result = change.result === undefined ? {} : { result: Buffer.from(Uint8Array.from(change.result).buffer) };
      return writer.call('reviews.move', id, from, to, { ...change, ...result });
    },
    vote: (id, vote) => writer.call('reviews.vote', id, vote),
    message: async (id) => bytesOf(await writer.call('reviews.message', id)),
    takeResult: async (id) => {
      const result = await writer.call('reviews.takeResult', id);
      return result === undefined ? undefined : bytesOf(result);
    },
    expire: (now) => writer.call('reviews.expire', now),
    onChange: (listener) => listen(listeners, listener),
  };
}

function sessionsOf(writer: Writer): Sessions {
  return {
    list: (filter) => writer.call('sessions.list', filter),
    get: (id) => writer.call('sessions.get', id),
    exchanges: (id) => writer.call('sessions.exchanges', id),
    exchange: (id, owner) => writer.call('sessions.exchange', id, owner),
  };
}

function tokensOf(writer: Writer, listeners: Set<(tokens: readonly TokenRecord[]) => void>): Tokens {
  return {
    create: (token, by) => writer.call('tokens.create', token, by),
    revoke: (id, by) => writer.call('tokens.revoke', id, by),
    list: () => writer.call('tokens.list'),
    onChange: (listener) => listen(listeners, listener),
  };
}

function pinsOf(writer: Writer, listeners: Set<(pins: readonly Pin[]) => void>): Pins {
  return {
    list: (connection) => writer.call('pins.list', connection),
    get: (id) => writer.call('pins.get', id),
    sighted: (sights) => writer.call('pins.sighted', sights),
    accept: (id, fingerprint, by) => writer.call('pins.accept', id, fingerprint, by),
    reject: (id, fingerprint, by) => writer.call('pins.reject', id, fingerprint, by),
    onChange: (listener) => listen(listeners, listener),
  };
}
