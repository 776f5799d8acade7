import fc from 'fast-check';
import t from 'tap';
import type { Test } from 'tap';
import { assertMove, final, legal, MOVES } from '../../recorder/review-states.ts';
import type { Recorder, Review, ReviewState, TokenRecord } from '../../recorder/types.ts';
import { verify } from '../../recorder/verify.ts';
import {
  closed,
  dba,
  dba2,
  draft,
  exchange,
  masterKey,
  open,
  opened,
  principal,
  recording,
  sessionOpened,
  tamper,
} from './fixture.ts';

const STATES = Object.keys(MOVES) as ReviewState[];

async function sound(t: Test, folder: string): Promise<void> {
  t.same((await verify({ path: `${folder}/store.db`, masterKey })).problems, []);
}

const vote = (by: typeof dba, at = Date.now()) => ({
  by,
  groups: ['dba'],
  status: 'APPROVED' as const,
  at,
  forced: false,
});

t.test('a review moves by the one table only, and final states have no way out [review-legal-moves]', async (t) => {
  t.same(
    STATES.filter((state) => final(state)),
    ['REJECTED', 'REVOKED', 'EXECUTED', 'EXPIRED'],
  );
  fc.assert(
    fc.property(fc.constantFrom(...STATES), fc.constantFrom(...STATES), (from, to) => {
      if (legal(from, to)) assertMove(from, to);
      else t.throws(() => assertMove(from, to), { message: `a review cannot move from ${from} to ${to}` });
    }),
  );
});

t.test(
  'whatever moves are asked for, in any order, the store follows the table and executes at most once [review-legal-moves]',
  async (t) => {
    const { folder, recorder } = await recording(t);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom(...STATES), fc.constantFrom(...STATES)), { maxLength: 12 }),
        async (moves) => {
          const { review } = await recorder.reviews.attach(draft({ fingerprint: crypto.randomUUID() }));
          let state: ReviewState = 'PENDING';
          let executions = 0;
          for (const [from, to] of moves) {
            const moved = await recorder.reviews.move(review.id, from, to, {}).catch(() => 'illegal' as const);
            if (!legal(from, to)) t.equal(moved, 'illegal');
            else if (from === state) {
              t.equal((moved as Review).state, to);
              state = to;
              if (to === 'EXECUTED') executions++;
            } else t.equal(moved, undefined);
          }
          t.equal((await recorder.reviews.get(review.id))?.state, state);
          t.ok(executions <= 1);
          if (final(state)) await t.rejects(recorder.reviews.message(review.id));
        },
      ),
      { numRuns: 30 },
    );
    await recorder.close();
    await sound(t, folder);
  },
);

t.test(
  'of two that move the same review exactly one wins, also through two recorders of one store [review-compare-and-set]',
  async (t) => {
    const { folder, recorder } = await recording(t);
    const beside = await open(folder, { primary: false });
    t.teardown(() => beside.close());
    for (let round = 0; round < 20; round++) {
      const { review } = await recorder.reviews.attach(draft({ fingerprint: `race ${round}` }));
      await recorder.reviews.move(review.id, 'PENDING', 'APPROVED', { by: dba, vote: vote(dba) });
      const winners = await Promise.all([
        recorder.reviews.move(review.id, 'APPROVED', 'PROCESSING', {}),
        beside.reviews.move(review.id, 'APPROVED', 'PROCESSING', {}),
        recorder.reviews.move(review.id, 'APPROVED', 'REVOKED', { by: dba }),
      ]);
      t.equal(winners.filter((winner) => winner !== undefined).length, 1);
    }
    await beside.close();
    await recorder.close();
    await sound(t, folder);
  },
);

t.test(
  'a held call attaches to its live review; its message is readable in PROCESSING only and erased at the end [review-message-erased]',
  async (t) => {
    const { folder, recorder } = await recording(t);
    const first = draft();
    t.match(await recorder.reviews.attach(first), {
      created: true,
      review: { id: first.id, state: 'PENDING', votes: [], resultWaiting: false },
    });
    t.match(await recorder.reviews.attach(draft()), { created: false, review: { id: first.id } });
    const other = await recorder.reviews.attach(draft({ owner: { ...principal, subject: 'mallory' } }));
    t.ok(other.created, 'another owner never attaches');
    await t.rejects(recorder.reviews.message(first.id), { message: /not being executed/ });
    await recorder.reviews.move(first.id, 'PENDING', 'APPROVED', { by: dba, vote: vote(dba) });
    t.match(await recorder.reviews.attach(draft()), { created: false, review: { state: 'APPROVED' } });
    await recorder.reviews.move(first.id, 'APPROVED', 'PROCESSING', { executionSession: 'ses_run' });
    t.match(await recorder.reviews.attach(draft()), { created: false, review: { state: 'PROCESSING' } });
    t.same(await recorder.reviews.message(first.id), first.message);
    t.match(await recorder.reviews.ofSession('ses_run'), { id: first.id });
    t.equal(await recorder.reviews.ofSession('ses_1'), undefined, 'two reviews were held in it');
    const executed = await recorder.reviews.move(first.id, 'PROCESSING', 'EXECUTED', {
      outcome: 'answered',
      result: Buffer.from('{"ok":1}'),
    });
    t.match(executed, { state: 'EXECUTED', outcome: 'answered', executionSession: 'ses_run', resultWaiting: true });
    await t.rejects(recorder.reviews.message(first.id));
    t.match(await recorder.reviews.attach(draft()), { created: false, review: { id: first.id, state: 'EXECUTED' } });
    const takers = await Promise.all([recorder.reviews.takeResult(first.id), recorder.reviews.takeResult(first.id)]);
    t.same(takers.filter((taken) => taken !== undefined).map(String), ['{"ok":1}'], 'the result is given once');
    t.ok((await recorder.reviews.attach(draft())).created, 'a later identical call is a new review');
    await recorder.close();
    tamper(folder, (db) => {
      t.equal(db.prepare('SELECT count(*) FROM review_messages WHERE review = ?').pluck().get(first.id), 0);
      const sealed = db.prepare('SELECT sealed FROM review_messages').pluck().all() as Buffer[];
      t.equal(sealed.length, 2);
      t.notOk(
        sealed.some((bytes) => bytes.includes('bob@example.com')),
        'sealed',
      );
    });
    await sound(t, folder);
  },
);

t.test('votes count one for each person, and only while the review is pending', async (t) => {
  const { recorder } = await recording(t);
  const { review } = await recorder.reviews.attach(draft());
  const votes = await Promise.all([
    recorder.reviews.vote(review.id, vote(dba)),
    recorder.reviews.vote(review.id, vote(dba)),
  ]);
  t.equal(votes.filter((each) => each !== undefined).length, 1);
  t.equal(
    await recorder.reviews.move(review.id, 'PENDING', 'APPROVED', { vote: vote(dba) }),
    undefined,
    'nobody votes twice',
  );
  t.match(await recorder.reviews.move(review.id, 'PENDING', 'APPROVED', { by: dba2, vote: vote(dba2) }), {
    votes: [{ by: dba }, { by: dba2 }],
  });
  t.equal(await recorder.reviews.vote(review.id, vote({ ...dba, subject: 'late' })), undefined);
  t.equal(await recorder.reviews.vote('rev_unknown', vote(dba)), undefined);
});

t.test('an overdue review is expired, by whoever meets it first', async (t) => {
  const { recorder } = await recording(t);
  const past = Date.now() - 1;
  const one = (await recorder.reviews.attach(draft({ expiresAt: past, fingerprint: 'one' }))).review;
  const two = (await recorder.reviews.attach(draft({ expiresAt: past, fingerprint: 'two' }))).review;
  t.equal(await recorder.reviews.move(one.id, 'PENDING', 'APPROVED', { vote: vote(dba) }), undefined);
  t.match(await recorder.reviews.get(one.id), { state: 'EXPIRED', votes: [] });
  t.ok((await recorder.reviews.attach(draft({ fingerprint: 'one' }))).created);
  t.same(await recorder.reviews.expire(Date.now()), [two.id]);
  t.same(await recorder.reviews.expire(Date.now()), []);
  t.match(await recorder.reviews.list({ states: ['EXPIRED'] }), { length: 2 });
  t.match(await recorder.reviews.list({ owner: dba }), { length: 0 });
  t.match(await recorder.reviews.list({ owner: principal, limit: 1 }), { length: 1 });
});

t.test(
  'a run that the death of the gateway interrupted is settled as unknown and never repeated [review-settled-after-crash]',
  async (t) => {
    const folder = t.testdir();
    const first = await open(folder);
    const { review } = await first.reviews.attach(draft());
    await first.reviews.move(review.id, 'PENDING', 'APPROVED', { vote: vote(dba) });
    await first.reviews.move(review.id, 'APPROVED', 'PROCESSING', {});
    const waiting = (await first.reviews.attach(draft({ fingerprint: 'waiting' }))).review;
    await first.close();
    const second = await open(folder);
    t.teardown(() => second.close());
    t.match(await second.reviews.get(review.id), { state: 'EXECUTED', outcome: 'unknown', resultWaiting: false });
    t.match(await second.reviews.get(waiting.id), { state: 'PENDING' });
    await second.reviews.move(waiting.id, 'PENDING', 'APPROVED', { vote: vote(dba) });
    await second.reviews.move(waiting.id, 'APPROVED', 'PROCESSING', {});
    t.same(await second.reviews.message(waiting.id), draft().message, 'held bytes survive the restart');
    t.match(await second.reviews.move(waiting.id, 'PROCESSING', 'APPROVED', {}), { state: 'APPROVED' });
    await second.close();
    await sound(t, folder);
  },
);

t.test('what one recorder of a store changes another one hears of [seen-across-processes]', async (t) => {
  const { folder, recorder } = await recording(t);
  const beside = await open(folder, { primary: false });
  t.teardown(() => beside.close());
  const { review } = await recorder.reviews.attach(draft());
  const approved = new Promise<Review>((resolve) =>
    recorder.reviews.onChange((each) => each.state === 'APPROVED' && resolve(each)),
  );
  // The writer thread alone does not keep a process alive.
  const alive = setInterval(() => undefined, 1000);
  t.teardown(() => clearInterval(alive));
  const created = new Promise<readonly TokenRecord[]>((resolve) => recorder.tokens.onChange(resolve));
  await beside.reviews.move(review.id, 'PENDING', 'APPROVED', { by: dba, vote: vote(dba) });
  const token = {
    id: 'tok_1',
    hash: 'ab'.repeat(32),
    name: 'ci',
    subject: 'ci',
    groups: ['engineering'],
    createdAt: Date.now(),
  };
  await beside.tokens.create(token, dba);
  t.match(await approved, { id: review.id, votes: [{ by: dba }] });
  t.same(await created, [token]);
  t.match(await recorder.tokens.revoke('tok_1', dba), { id: 'tok_1', revokedAt: Number });
  t.equal(await recorder.tokens.revoke('tok_2', dba), undefined);
  await beside.append(sessionOpened('ses_cli'));
  await exchange(beside, 'exc_cli', 'ses_cli');
  t.match(await recorder.sessions.exchanges('ses_cli'), [{ id: 'exc_cli', outcome: 'answered' }]);
  await beside.close();
  await recorder.close();
  await sound(t, folder);
});

t.test('a session is read back with its exchanges, their bodies and their messages', async (t) => {
  const { recorder } = await recording(t);
  await recorder.append({ ...sessionOpened('ses_1'), client: 'inspector 1.0' } as Parameters<Recorder['append']>[0]);
  await recorder.append(sessionOpened('ses_2'));
  await recorder.append(opened('exc_1'), Buffer.from('{"q":"ü"}'));
  await recorder.append(
    { type: 'exchange.message', at: 5, id: 'exc_1', direction: 'to_client' },
    Buffer.from('{"progress":1}'),
  );
  await recorder.append({ ...closed('exc_1'), code: 'x' } as Parameters<Recorder['append']>[0], Buffer.from('{"a":1}'));
  await recorder.append(opened('exc_2'));
  await recorder.append({ type: 'session.closed', at: 77, id: 'ses_1', reason: 'deleted' });
  t.match(await recorder.sessions.list({ limit: 1 }), { total: 2, items: [{ id: 'ses_2', exchanges: 0 }] });
  t.match(await recorder.sessions.list({ owner: principal, connection: 'default', offset: 1 }), {
    total: 2,
    items: [{ id: 'ses_1', client: 'inspector 1.0', principal, closedAt: 77, exchanges: 2 }],
  });
  t.match(await recorder.sessions.list({ owner: dba }), { total: 0, items: [] });
  t.equal(await recorder.sessions.get('ses_3'), undefined);
  t.match(await recorder.sessions.exchanges('ses_1'), [
    {
      id: 'exc_1',
      request: '{"q":"ü"}',
      response: '{"a":1}',
      code: 'x',
      messages: [{ at: 5, direction: 'to_client', body: '{"progress":1}' }],
    },
    { id: 'exc_2', outcome: undefined, findings: [], messages: [] },
  ]);
});

t.test(
  'the store has one gateway, and starts with its own master key only [one-primary] [wrong-key-stops]',
  async (t) => {
    const { folder, recorder } = await recording(t);
    await t.rejects(open(folder), { message: /another gateway holds the store .*store\.db\.lock/ });
    const { review } = await recorder.reviews.attach(draft());
    await recorder.close();
    await t.rejects(open(folder, { masterKey: Buffer.alloc(32, 8) }), { message: /the master key is not the one/ });
    const rotated = await open(folder, { masterKey: Buffer.alloc(32, 8), previousKeys: [masterKey] });
    await rotated.reviews.move(review.id, 'PENDING', 'APPROVED', { vote: vote(dba) });
    await rotated.reviews.move(review.id, 'APPROVED', 'PROCESSING', {});
    t.same(await rotated.reviews.message(review.id), draft().message, 'what an earlier key sealed is still read');
    await rotated.close();
    await t.rejects(open(folder), { message: /the master key is not the one/ });
    const report = await verify({
      path: `${folder}/store.db`,
      masterKey: Buffer.alloc(32, 8),
      previousKeys: [masterKey],
    });
    t.same(report.problems, []);
    tamper(folder, (db) => db.pragma('user_version = 99'));
    await t.rejects(open(folder, { masterKey: Buffer.alloc(32, 8) }), { message: /version 99/ });
  },
);

t.test('after close nothing is accepted, and closing twice is closing once', async (t) => {
  const { recorder } = await recording(t);
  await recorder.append(opened('exc_1'));
  await Promise.all([recorder.close(), recorder.close()]);
  await t.rejects(recorder.append(opened('exc_2')), { code: 'record_unavailable' });
  await t.rejects(recorder.reviews.list({}), { code: 'record_unavailable' });
});
