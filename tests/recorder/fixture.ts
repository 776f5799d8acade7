import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import Database from 'better-sqlite3';
import type { Test } from 'tap';
import type { Principal } from '../../policies/types.ts';
import { openRecorder } from '../../recorder/recorder.ts';
import type { Entry, Recorder, RecorderOptions, ReviewDraft } from '../../recorder/types.ts';

export const masterKey = Buffer.alloc(32, 7);

export const principal: Principal = {
  issuer: 'https://idp.example.com',
  subject: 'ada',
  email: 'ada@example.com',
  groups: ['engineering'],
  roles: [],
  authenticatedBy: 'oidc',
  actors: [],
};

export const dba = { issuer: 'https://idp.example.com', subject: 'grace' };
export const dba2 = { issuer: 'https://idp.example.com', subject: 'edith' };

export const open = (folder: string, changes: Partial<RecorderOptions> = {}): Promise<Recorder> =>
  openRecorder({
    path: `${folder}/store.db`,
    durability: 'group',
    version: '0.0.0',
    masterKey,
    previousKeys: [],
    primary: true,
    journalLimit: 256 * 1024 * 1024,
    ...changes,
  });

/** An open recorder in a folder of its own; both are gone after the test. */
export async function recording(t: Test): Promise<{ readonly folder: string; readonly recorder: Recorder }> {
  const folder = mkdtempSync(`${tmpdir()}/portcullis-recorder-`);
  const recorder = await open(folder);
  t.teardown(async () => {
    await recorder.close();
    rmSync(folder, { recursive: true });
  });
  return { folder, recorder };
}

export const sessionOpened = (id: string): Entry => ({
  type: 'session.opened',
  at: Date.now(),
  id,
  connection: 'default',
  principal,
});

export const opened = (id: string, session = 'ses_1'): Entry => ({
  type: 'exchange.opened',
  at: Date.now(),
  id,
  session,
  connection: 'default',
  kind: 'tool',
  method: 'tools/call',
  name: 'query',
  decision: { action: 'allow', rules: [], findings: [] },
  rulebook: 'rev-1',
});

export const closed = (id: string): Entry => ({
  type: 'exchange.closed',
  at: Date.now(),
  id,
  outcome: 'answered',
  isError: false,
  findings: [],
  heldMs: 0,
  upstreamMs: 3,
  totalMs: 4,
  bytesIn: 300,
  bytesOut: 1024,
});

/** One exchange from its intent to its outcome. */
export async function exchange(recorder: Recorder, id: string, session = 'ses_1'): Promise<void> {
  await recorder.append(opened(id, session), Buffer.from(`{"call":"${id}"}`));
  await recorder.append(closed(id), Buffer.from(`{"answer":"${id}"}`));
}

export const draft = (changes: Partial<ReviewDraft> = {}): ReviewDraft => ({
  id: `rev_${randomUUID()}`,
  fingerprint: 'fingerprint-1',
  owner: principal,
  connection: 'default',
  kind: 'tool',
  method: 'tools/call',
  name: 'execute_sql',
  preview: '{"sql":"DELETE FROM customers WHERE email = \'<EMAIL_ADDRESS>\'"}',
  requirements: [
    { rule: 'writes', reviewersGroups: ['dba'], minApprovals: 1, allGroupsMustApprove: false, forceApprovalGroups: [] },
  ],
  session: 'ses_1',
  exchange: 'exc_1',
  expiresAt: Date.now() + 60_000,
  message: Buffer.from('{"sql":"DELETE FROM customers WHERE email = \'bob@example.com\'"}'),
  ...changes,
});

/** Reads or damages a closed store behind the recorder's back. */
export function tamper<T>(folder: string, work: (db: Database.Database) => T): T {
  const db = new Database(`${folder}/store.db`);
  try {
    return work(db);
  } finally {
    db.close();
  }
}
