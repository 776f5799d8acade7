import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { Database } from 'better-sqlite3';
import t from 'tap';
import { verify } from '../../recorder/verify.ts';
import type { Sight } from '../../policies/pins/pin.ts';
import type { VerifyReport } from '../../recorder/verify.ts';
import { dba, dba2, draft, exchange, masterKey, open, opened, sessionOpened, tamper } from './fixture.ts';

const root = mkdtempSync(`${tmpdir()}/portcullis-verify-`);
t.teardown(() => rmSync(root, { recursive: true }));
const original = `${root}/original`;
let copies = 0;

/** A store in which every table has rows, written by a gateway, a command beside it, and the gateway's next run. */
async function write(): Promise<void> {
  const first = await open(original);
  await first.append(sessionOpened('ses_1'));
  for (let n = 0; n < 5; n++) await exchange(first, `exc_${n}`);
  await first.append(opened('exc_talk'));
  await first.append(
    { type: 'exchange.message', at: 5, id: 'exc_talk', direction: 'to_client' },
    Buffer.from('{"progress":1}'),
  );
  await first.append({ type: 'session.closed', at: 6, id: 'ses_1', reason: 'deleted' });
  await first.append({ type: 'refusal', at: 7, code: 'token_missing', address: '192.0.2.1', route: '/mcp', count: 1 });
  const { review } = await first.reviews.attach(draft());
  const vote = { groups: ['dba'], status: 'APPROVED' as const, at: 8, forced: false };
  await first.reviews.vote(review.id, { ...vote, by: dba });
  await first.reviews.move(review.id, 'PENDING', 'APPROVED', { by: dba2, vote: { ...vote, by: dba2 } });
  const run = (await first.reviews.attach(draft({ fingerprint: 'run' }))).review;
  await first.reviews.move(run.id, 'PENDING', 'APPROVED', { by: dba });
  await first.reviews.move(run.id, 'APPROVED', 'PROCESSING', { executionSession: 'ses_run' });
  await first.reviews.move(run.id, 'PROCESSING', 'EXECUTED', {
    outcome: 'answered',
    result: Buffer.from('{"rows":1}'),
  });
  const beside = await open(original, { primary: false });
  await beside.tokens.create(
    {
      id: 'tok_1',
      hash: 'ab'.repeat(32),
      name: 'ci',
      subject: 'ci',
      email: 'ci@example.com',
      groups: ['engineering'],
      createdAt: 9,
      expiresAt: 10,
    },
    dba,
  );
  await beside.tokens.revoke('tok_1', dba);
  const definition = (text: string): Pick<Sight, 'fingerprint' | 'text'> => ({ fingerprint: sha256(text), text });
  const pin = { connection: 'default', kind: 'tool', at: 10, firstSight: 'trust_first' } as const;
  await beside.pins.sighted([
    { ...pin, id: 'pin_1', name: 'echo', ...definition('{"name":"echo"}') },
    { ...pin, id: 'pin_2', name: 'other', ...definition('{"name":"other"}'), like: 'echo' },
  ]);
  await beside.pins.sighted([{ ...pin, id: 'pin_1', name: 'echo', ...definition('{"name":"echo","title":"x"}') }]);
  await beside.pins.accept('pin_1', sha256('{"name":"echo","title":"x"}'), dba);
  await beside.pins.sighted([{ ...pin, id: 'pin_1', name: 'echo', ...definition('{"name":"echo","title":"y"}') }]);
  await beside.pins.reject('pin_2', sha256('{"name":"other"}'), dba);
  await beside.close();
  await first.close();
  cpSync(`${original}/store.db`, `${root}/earlier.db`);
  const second = await open(original);
  await second.append(sessionOpened('ses_2'));
  await exchange(second, 'exc_last', 'ses_2');
  await second.close();
  // Four megabytes that would be copied for every damage.
  rmSync(`${original}/store.db.journal`, { recursive: true });
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

const ready = write();

/** What verify says about a copy after the damage. */
async function damaged(
  damage: (db: Database, folder: string) => void,
  key: Buffer | null = masterKey,
): Promise<VerifyReport> {
  await ready;
  const folder = `${root}/copy-${copies++}`;
  cpSync(original, folder, { recursive: true });
  tamper(folder, (db) => damage(db, folder));
  const report = await verify({ path: `${folder}/store.db`, ...(key === null ? {} : { masterKey: key }) });
  rmSync(folder, { recursive: true });
  return report;
}

t.test('a store that nobody touched verifies, with the key and without it', async (t) => {
  const report = await damaged(() => undefined);
  t.match(report, { ok: true, problems: [], unsigned: 0 });
  t.ok(report.entries > 30 && report.signatures > 3);
  t.match(await damaged(() => undefined, null), { ok: true, signatures: 0 });
});

t.test('the store of a gateway that runs verifies too: the write-ahead log is read, nothing is changed', async (t) => {
  const folder = mkdtempSync(`${root}/live-`);
  const recorder = await open(folder);
  await recorder.append(sessionOpened('ses_1'));
  for (let n = 0; n < 20; n++) await exchange(recorder, `exc_${n}`);
  await recorder.settled();
  const report = await verify({ path: `${folder}/store.db`, masterKey });
  t.match(report, { ok: true, problems: [] });
  t.ok(report.entries >= 42);
  await recorder.close();
});

/** Columns that prove nothing by themselves: the gateway's own place in its journal. */
const EXEMPT = new Set(['meta.value journal position', 'meta.key journal position']);

/** Changes one value as little as its type allows. */
function flip(value: unknown): unknown {
  if (typeof value === 'number') return value + 1;
  if (value === null) return undefined;
  if (typeof value === 'string') {
    const last = value.charCodeAt(value.length - 1);
    return value.slice(0, -1) + String.fromCharCode(last ^ 1);
  }
  const bytes = Buffer.from(value as Buffer);
  bytes[Math.floor(bytes.length / 2)]! ^= 1;
  return bytes;
}

t.test('one changed byte in any column of any row is found [verify-finds-change]', async (t) => {
  await ready;
  const cells = tamper(original, (db) => {
    const tables = db
      .prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'`)
      .pluck()
      .all() as string[];
    return tables.flatMap((table) => {
      const columns = db.prepare(`SELECT name, pk FROM pragma_table_info('${table}')`).all() as {
        name: string;
        pk: number;
      }[];
      const keys = columns.filter(({ pk }) => pk > 0).map(({ name }) => name);
      const rows = db.prepare(`SELECT * FROM ${table}`).all() as Record<string, unknown>[];
      return rows.flatMap((row) => columns.map(({ name }) => ({ table, name, keys, row })));
    });
  });
  let tried = 0;
  for (const { table, name, keys, row } of cells) {
    const changed = flip(row[name]) ?? (/at$|closed|count/.test(name) ? 12 : 'x');
    const cell = `${table}.${name} ${keys.map((key) => String(row[key])).join(' ')}`;
    if (EXEMPT.has(cell)) continue;
    let applied = true;
    const report = await damaged((db) => {
      const where = keys.map((key) => `${key} = ?`).join(' AND ');
      try {
        db.pragma('foreign_keys = OFF');
        db.prepare(`UPDATE ${table} SET ${name} = ? WHERE ${where}`).run(changed, ...keys.map((key) => row[key]));
      } catch {
        // The new value collides with a row that is there: not a change that can be made.
        applied = false;
      }
    });
    if (!applied) continue;
    tried++;
    if (report.ok) t.fail(`${cell} was changed unseen`);
  }
  t.ok(tried > 400, `${tried} cells were tried`);
});

t.test('a deleted row of any table is found [verify-finds-deletion]', async (t) => {
  await ready;
  const tables = [
    'entries',
    'bodies',
    'salts',
    'sessions',
    'exchanges',
    'messages',
    'reviews',
    'review_votes',
    'review_messages',
    'tokens',
    'pins',
    'checkpoints',
    'writers',
  ];
  for (const table of tables) {
    const rows = tamper(original, (db) => db.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number);
    t.ok(rows > 0, `${table} has rows`);
    for (let index = 0; index < rows; index++) {
      const report = await damaged((db) => {
        const keys = (
          db.prepare(`SELECT name FROM pragma_table_info('${table}') WHERE pk > 0`).pluck().all() as string[]
        ).join(', ');
        db.exec(
          `DELETE FROM ${table} WHERE (${keys}) = (SELECT ${keys} FROM ${table} ORDER BY ${keys} LIMIT 1 OFFSET ${index})`,
        );
      });
      if (report.ok) t.fail(`row ${index} of ${table} was deleted unseen`);
    }
  }
});

t.test('the first bad record is named [verify-names-record]', async (t) => {
  await ready;
  const writer = tamper(original, (db) => db.prepare('SELECT id FROM writers ORDER BY number').pluck().get() as string);
  const seq = tamper(original, (db) =>
    db.prepare(`SELECT seq FROM entries WHERE id = (SELECT opened FROM exchanges WHERE id = 'exc_2')`).pluck().get(),
  );
  const altered = await damaged((db) =>
    db.exec(
      `UPDATE bodies SET body = CAST('{"call":"exc_9"}' AS BLOB) WHERE entry = (SELECT opened FROM exchanges WHERE id = 'exc_2')`,
    ),
  );
  t.match(altered.problems, [{ kind: 'altered', record: `body of entry ${String(seq)} of writer ${writer}` }]);
  const missing = await damaged((db) => db.exec('DELETE FROM entries WHERE seq = 5 AND writer = 1'));
  t.match(missing.problems[0], { kind: 'missing', record: `entry 5 of writer ${writer}` });
  const swapped = await damaged((db) =>
    db.exec(`CREATE TEMP TABLE two AS SELECT * FROM entries WHERE writer = 1 AND seq IN (5, 6);
      UPDATE entries SET (seq, at, type, ref, canonical, hash) =
        (SELECT seq, at, type, ref, canonical, hash FROM two WHERE two.id <> entries.id) WHERE id IN (SELECT id FROM two)`),
  );
  t.match(swapped.problems[0], { kind: 'reordered', record: `entry 6 of writer ${writer}` });
  const forged = await damaged((db) =>
    db.exec(
      `INSERT INTO exchanges SELECT 'ses_other', opened, id, closed, connection, kind, name, action, outcome FROM exchanges LIMIT 1`,
    ),
  );
  t.match(forged.problems[0], { kind: 'forged' });
  const signed = await damaged((db) => db.exec(`UPDATE checkpoints SET at = at + 1 WHERE number = 1`));
  t.match(signed.problems[0], { kind: 'forged', record: 'checkpoint 1' });
});

t.test(
  'newest rows cut back past the last checkpoint are missed by the head outside the database [verify-finds-cut]',
  async (t) => {
    // The attacker leaves a database that agrees with itself: as it was before the gateway's last run.
    const cut = await damaged((db, folder) => {
      db.close();
      cpSync(`${root}/earlier.db`, `${folder}/store.db`);
    });
    t.ok(cut.problems.length > 0 && cut.problems.every(({ kind }) => kind === 'cut'), JSON.stringify(cut.problems));
    const headless = await damaged((_, folder) => rmSync(`${folder}/store.db.head`));
    t.match(headless.problems, [{ kind: 'missing', record: /store\.db\.head/ }]);
    const other = await damaged((_, folder) => {
      const head = JSON.parse(readFileSync(`${folder}/store.db.head`, 'utf8')) as { number: number };
      writeFileSync(`${folder}/store.db.head`, JSON.stringify({ ...head, number: head.number - 1 }));
    });
    t.match(other.problems, [{ kind: 'forged' }]);
    const garbled = await damaged((_, folder) => writeFileSync(`${folder}/store.db.head`, 'x'));
    t.match(garbled.problems[0], { kind: 'altered' });
  },
);

t.test(
  'a chain rewritten from some entry on, hashes and all, does not fit the signed checkpoints [verify-finds-rewrite]',
  async (t) => {
    const report = await damaged((db) => {
      const rows = db.prepare('SELECT id, seq, canonical FROM entries WHERE writer = 3 ORDER BY id').all() as {
        id: number;
        seq: number;
        canonical: Buffer;
      }[];
      let previous: Buffer | undefined;
      for (const { id, seq, canonical } of rows) {
        const bytes = Buffer.from(canonical);
        if (seq === 3) bytes.write('dEfault', bytes.indexOf('default'));
        if (previous !== undefined) bytes.set(previous, 28);
        previous = createHash('sha256').update(bytes).digest();
        db.prepare('UPDATE entries SET canonical = ?, hash = ? WHERE id = ?').run(bytes, previous, id);
      }
      db.prepare('UPDATE writers SET hash = ? WHERE number = 3').run(previous);
      db.exec(`UPDATE sessions SET connection = 'dEfault' WHERE id = 'ses_2'`);
    });
    t.match(report.problems[0], { kind: 'altered', detail: /checkpoint \d+ signed another one/ });
  },
);

t.test('a file damaged below the rows is reported, not thrown', async (t) => {
  const report = await damaged((db, folder) => {
    db.close();
    const bytes = readFileSync(`${folder}/store.db`);
    bytes.fill(0xff, 8192 * 3, 8192 * 3 + 64);
    writeFileSync(`${folder}/store.db`, bytes);
  });
  t.equal(report.ok, false);
  await t.rejects(verify({ path: `${root}/nothing.db` }));
});
