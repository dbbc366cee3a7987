import { expect, test } from 'vitest';
import { aStatus } from '../../test/fixtures/agent.ts';
import { dynamic, member, view } from '../../test/support/build.ts';
import { failoverFenceBody, quorumBody } from './failover-fence.ts';

const beating = ['a', 'b', 'c'].map((name) => member(name, { raw: { beats: 1 } }));
const sync = { leader: 'a', quorum: 1, standbys: ['b', 'c'], modRevision: '6' };
const led = view({ leaderName: 'a', members: beating, sync });
const quorum = dynamic({ synchronousMode: 'quorum' });
const nothing = { isDcsAway: false, vouchedForBy: [], missesLeader: null, promisedAgainst: null };

test('the voters, and how many promises are needed', () => {
  expect(failoverFenceBody(led, quorum)).toEqual({ failover_fence: { fence: 'quorum', voters: ['b', 'c'], needed: 2 } });
});

test('why it is the lease', () => {
  expect(failoverFenceBody(led, dynamic())).toEqual({
    failover_fence: {
      fence: 'lease',
      rule: 'lease.asynchronous',
      because: 'synchronous_mode is off, so the old primary could go on acknowledging commits',
    },
  });
  const mixed = { ...led, members: [beating[0]!, beating[1]!, member('c')] };
  expect(failoverFenceBody(mixed, quorum)).toMatchObject({ failover_fence: { rule: 'lease.voter-without-beats' } });
  expect(failoverFenceBody(null, quorum)).toEqual({});
});

test('etcd does not answer, and who vouches then', () => {
  expect(quorumBody(aStatus({ quorum: nothing }))).toEqual({});
  expect(quorumBody(aStatus({ quorum: { ...nothing, isDcsAway: true } }))).toEqual({ dcs: 'unreachable' });
  expect(quorumBody(aStatus({ quorum: { ...nothing, isDcsAway: true, vouchedForBy: ['b', 'c'] } }))).toEqual({
    dcs: 'unreachable; vouched for by b, c',
    vouched_for_by: ['b', 'c'],
  });
});

test('a standby says that it misses its leader, and what it has promised', () => {
  const missesLeader = 'nothing listens at the ports of a any more';
  expect(quorumBody(aStatus({ quorum: { ...nothing, missesLeader, promisedAgainst: 'a' } }))).toEqual({
    leader_missed: missesLeader,
    promised: 'takes no more WAL from a',
  });
});
