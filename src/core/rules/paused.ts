/** A pause: nothing is started, stopped, promoted or demoted unless an operator asks by name. */
import type { Context } from '../context.ts';
import { letGo } from '../let-go.ts';
import { leavesKey, raceVerdict } from '../race/race.ts';
import { supersededBy } from '../superseded.ts';
import { goesOnWithoutKey } from '../without-key.ts';
import { switchoverAway } from './switchover.ts';
import { nothing, type Section } from './table.ts';

/** The lease is a fact of this round: etcd may have refused to renew it. */
const leaderInPause = (c: Context) =>
  c.mayLeadNow
    ? `no action. I am (${c.me}), the leader with the lock`
    : 'continue to run as primary after failing to update leader lock in DCS';

export const paused: Section = {
  title: 'Paused',
  situation: 'the cluster is paused',
  when: (c) => c.paused,
  rules: [
    {
      id: 'paused.stopped-leader',
      situation: 'PostgreSQL is down, and the leader key names this node',
      when: (c) => c.stopped && c.lockMine,
      ask: () => ({ effects: [{ kind: 'release-leader', optime: null }] }),
      because: 'removed leader lock because postgres is not running',
    },
    {
      id: 'paused.stopped',
      situation: 'PostgreSQL is down, and not because an operator asked this node to hand over',
      when: (c) => c.stopped && !c.m.handedOver,
      ask: () => nothing,
      because: 'postgres is not running',
    },
    {
      id: 'paused.primary-unlocked',
      situation:
        'a primary runs here, nobody holds the leader key, by /sync nobody has led since, and none is known to go on as leader without it',
      when: (c) => c.isPrimary && c.unlocked && supersededBy(c) === null && goesOnWithoutKey(c) === null,
      ask: () => ({ effects: [{ kind: 'acquire-leader' }], wakeInMs: 0 }),
      because: 'acquired session lock as a leader',
    },
    {
      id: 'paused.primary-attach',
      situation: 'a primary runs here and holds the leader key on a lease from before',
      when: (c) => c.lockMine && !c.attached && c.authority.lease.leaseId !== null,
      ask: () => ({ effects: [{ kind: 'attach-leader' }], wakeInMs: 0 }),
      because: 'taking over the leader key this node held already',
    },
    {
      id: 'paused.switchover',
      byTable: true,
      situation: 'this primary leads, and an operator asked for a switchover or failover to a named member',
      when: (c) => c.isPrimary && c.lockMine && c.view?.failover != null && c.view.failover.candidate !== null,
      ask: switchoverAway,
      because: 'switchover',
    },
    {
      id: 'paused.candidate',
      situation: 'nobody leads, and an operator named this node',
      when: (c) => c.isStandby && c.unlocked && c.view?.failover?.candidate === c.me,
      ask: (c) => {
        // An operator's failover overrides everything else. A switchover is to lose nothing, and
        // the former leader may be alive.
        const race = c.view?.failover?.leader == null ? null : raceVerdict(c);
        if (race !== null && race.verdict !== 'take') {
          return { rule: race.id, chores: letGo(c), wakeInMs: 300, watchMembers: true, because: leavesKey(race) };
        }
        return { effects: [{ kind: 'acquire-leader' }], wakeInMs: 0 };
      },
      because: 'taking the leader key as the candidate the operator named',
    },
    {
      id: 'paused.standby-leader',
      situation: 'this standby holds the leader key without having been named, and the cluster is no standby cluster',
      when: (c) => c.isStandby && c.lockMine && !c.followsRemote && c.view?.failover?.candidate !== c.me,
      ask: () => ({ effects: [{ kind: 'release-leader', optime: null }] }),
      because: 'removed leader lock because postgres is not running as primary',
    },
    {
      id: 'paused.primary',
      situation: 'a primary runs here',
      when: (c) => c.isPrimary,
      ask: (c) => ({
        because: c.lockMine ? leaderInPause(c) : 'continue to run as primary without lock',
      }),
      because: 'no action',
    },
    {
      id: 'paused.standby-unlocked',
      situation: 'a standby runs here and nobody leads',
      when: (c) => c.isStandby && c.unlocked,
      // The member that the operator named counts votes, and this node's vote counts only after it
      // has let go of the former primary.
      ask: (c) => (c.view?.failover?.candidate == null ? nothing : { chores: letGo(c) }),
      because: 'no action. I am ({me})',
    },
    {
      id: 'paused.not-running',
      situation: 'PostgreSQL is starting or does not answer',
      when: (c) => !c.isStandby && !c.stopped,
      ask: () => nothing,
      because: 'PostgreSQL does not answer; nothing is done about it while paused',
    },
  ],
};
