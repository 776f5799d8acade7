import fc from 'fast-check';
import t from 'tap';
import type { Requirement } from '../../policies/types.ts';
import { tally } from '../../policies/votes.ts';
import type { CountedVote } from '../../policies/votes.ts';

const need = (more: Partial<Requirement> = {}): Requirement => ({
  rule: 'writes',
  reviewersGroups: ['dba', 'security'],
  minApprovals: 1,
  allGroupsMustApprove: false,
  forceApprovalGroups: [],
  ...more,
});
const vote = (person: string, groups: readonly string[], more: Partial<CountedVote> = {}): CountedVote => ({
  person,
  groups,
  status: 'APPROVED',
  forced: false,
  ...more,
});

t.test('votes are counted by person, group and force', (t) => {
  const all = need({ allGroupsMustApprove: true });
  const force = need({ minApprovals: 3, forceApprovalGroups: ['oncall'] });
  const cases: readonly (readonly [string, readonly Requirement[], readonly CountedVote[], 'approved' | 'pending'])[] =
    [
      ['nobody voted', [need()], [], 'pending'],
      ['one reviewer is enough', [need()], [vote('eve', ['dba'])], 'approved'],
      ['a vote from outside the groups is none', [need()], [vote('eve', ['sales'])], 'pending'],
      ['a vote without groups is none', [need()], [vote('eve', [])], 'pending'],
      ['one of two', [need({ minApprovals: 2 })], [vote('eve', ['dba'])], 'pending'],
      ['two of two', [need({ minApprovals: 2 })], [vote('eve', ['dba']), vote('bob', ['dba'])], 'approved'],
      [
        'more than needed is enough too',
        [need({ minApprovals: 2 })],
        [vote('a', ['dba']), vote('b', ['dba']), vote('c', ['dba'])],
        'approved',
      ],
      [
        'the same person twice is one',
        [need({ minApprovals: 2 })],
        [vote('eve', ['dba']), vote('eve', ['security'])],
        'pending',
      ],
      [
        'one person in two groups is one person',
        [need({ minApprovals: 2 })],
        [vote('eve', ['dba', 'security'])],
        'pending',
      ],
      ['all groups: one is missing', [all], [vote('eve', ['dba']), vote('bob', ['dba'])], 'pending'],
      ['all groups: both are there', [all], [vote('eve', ['dba']), vote('bob', ['security'])], 'approved'],
      ['all groups: one person fills both', [all], [vote('eve', ['dba', 'security'])], 'approved'],
      [
        'all groups and two people: one person is not two',
        [need({ allGroupsMustApprove: true, minApprovals: 2 })],
        [vote('eve', ['dba', 'security'])],
        'pending',
      ],
      [
        'all groups and two people',
        [need({ allGroupsMustApprove: true, minApprovals: 2 })],
        [vote('eve', ['dba', 'security']), vote('bob', ['dba'])],
        'approved',
      ],
      ['force by a force group', [force], [vote('eve', ['oncall'], { forced: true })], 'approved'],
      ['force is asked for, not assumed', [force], [vote('eve', ['oncall'])], 'pending'],
      [
        'force from outside the force groups is a plain vote',
        [force],
        [vote('eve', ['dba'], { forced: true })],
        'pending',
      ],
      [
        'force overrides all groups',
        [need({ allGroupsMustApprove: true, forceApprovalGroups: ['oncall'] })],
        [vote('eve', ['oncall'], { forced: true })],
        'approved',
      ],
      [
        'force of one rule does not satisfy another',
        [force, need()],
        [vote('eve', ['oncall'], { forced: true })],
        'pending',
      ],
      [
        'a forced vote still counts plainly elsewhere',
        [force, need()],
        [vote('eve', ['oncall', 'dba'], { forced: true })],
        'approved',
      ],
      [
        'every requirement must be met',
        [need(), need({ reviewersGroups: ['legal'] })],
        [vote('eve', ['dba'])],
        'pending',
      ],
      [
        'every requirement is met',
        [need(), need({ reviewersGroups: ['legal'] })],
        [vote('eve', ['dba']), vote('lea', ['legal'])],
        'approved',
      ],
      ['a rejection is no approval', [need()], [vote('eve', ['dba'], { status: 'REJECTED' })], 'pending'],
      [
        'who rejected does not approve as well',
        [need()],
        [vote('eve', ['dba']), vote('eve', ['dba'], { status: 'REJECTED' })],
        'pending',
      ],
      [
        'a forced rejection forces nothing',
        [force],
        [vote('eve', ['oncall'], { forced: true, status: 'REJECTED' })],
        'pending',
      ],
      ['a minimum of zero still needs somebody', [need({ minApprovals: 0 })], [], 'pending'],
      ['a negative minimum still needs somebody', [need({ minApprovals: -1 })], [], 'pending'],
      [
        'a minimum that is no number is never reached',
        [need({ minApprovals: Number.NaN })],
        [vote('a', ['dba']), vote('b', ['dba'])],
        'pending',
      ],
      ['no reviewers groups: nobody can approve', [need({ reviewersGroups: [] })], [vote('eve', ['dba'])], 'pending'],
      [
        'no reviewers groups and all of them asked: still nobody',
        [need({ reviewersGroups: [], allGroupsMustApprove: true })],
        [vote('eve', ['dba'])],
        'pending',
      ],
      ['no requirement is not an approval', [], [vote('eve', ['dba'])], 'pending'],
      ['groups are compared exactly', [need()], [vote('eve', ['DBA', 'dba '])], 'pending'],
    ];
  for (const [title, requirements, votes, expected] of cases) t.equal(tally(requirements, votes), expected, title);
  t.end();
});

const GROUPS = ['dba', 'security', 'legal', 'oncall'];
const groups = fc.subarray(GROUPS);
const requirement: fc.Arbitrary<Requirement> = fc.record({
  rule: fc.constant('r'),
  reviewersGroups: groups,
  minApprovals: fc.integer({ min: 0, max: 4 }),
  allGroupsMustApprove: fc.boolean(),
  forceApprovalGroups: groups,
});
const anyVote: fc.Arbitrary<CountedVote> = fc.record({
  person: fc.constantFrom('a', 'b', 'c', 'd'),
  groups,
  status: fc.constantFrom('APPROVED', 'APPROVED', 'APPROVED', 'REJECTED'),
  forced: fc.boolean(),
});
const requirements = fc.array(requirement, { maxLength: 3 });
const votes = fc.array(anyVote, { maxLength: 8 });

t.test('the arithmetic of votes holds for all votes [votes-monotone] [votes-distinct-people]', (t) => {
  fc.assert(
    fc.property(requirements, votes, anyVote, (needs, cast, more) => {
      if (tally(needs, cast) === 'pending') return true;
      const opposed = cast.some(({ person, status }) => person === more.person && status === 'REJECTED');
      return opposed || more.status === 'REJECTED' || tally(needs, [...cast, more]) === 'approved';
    }),
    { numRuns: 2000 },
  );
  t.pass('a further approval never undoes an approval');

  fc.assert(
    fc.property(requirements, votes, fc.infiniteStream(fc.nat()), (needs, cast, keys) => {
      const shuffled = cast
        .map((vote) => ({ vote, key: keys.next().value as number }))
        .toSorted((a, b) => a.key - b.key);
      return (
        tally(needs, cast) ===
        tally(
          needs.toReversed(),
          shuffled.map(({ vote }) => vote),
        )
      );
    }),
    { numRuns: 2000 },
  );
  t.pass('order is irrelevant');

  fc.assert(
    fc.property(requirement, votes, (asked, cast) => {
      const alone = cast.map((vote) => ({ ...vote, person: 'a', forced: false }));
      return tally([{ ...asked, minApprovals: 2 }], alone) === 'pending';
    }),
    { numRuns: 2000 },
  );
  t.pass('one person never is two');

  fc.assert(
    fc.property(requirements, votes, (needs, cast) => tally(needs, [...cast, ...cast]) === tally(needs, cast)),
    { numRuns: 2000 },
  );
  t.pass('repeating votes changes nothing');
  t.end();
});
