/**
 * Maintenance: the operator has the helm. Nothing is started, stopped, promoted or demoted unless
 * asked for by name.
 */
import { raceVerdict, supersededBy } from '../candidates.ts';
import { letGo } from './running.ts';
import { switchoverAway } from './switchover.ts';
import type { Rule } from './table.ts';
import { nothing } from './table.ts';

export const pausedRules: readonly Rule[] = [
  {
    id: 'paused.stopped-leader',
    situation: 'paused, PostgreSQL is down, the leader key is ours',
    when: (c) => c.paused && c.stopped && c.lockMine,
    ask: () => ({ effects: [{ kind: 'release-leader', optime: null }] }),
    because: 'removed leader lock because postgres is not running',
  },
  {
    id: 'paused.stopped',
    situation: 'paused, PostgreSQL is down, and not because the operator asked this node to hand over',
    when: (c) => c.paused && c.stopped && !c.m.handedOver,
    ask: () => nothing,
    because: 'postgres is not running',
  },
  {
    id: 'paused.primary-unlocked',
    situation: 'paused, a primary runs here, nobody holds the leader key, and by /sync nobody has led since',
    when: (c) => c.paused && c.isPrimary && c.unlocked && supersededBy(c) === null,
    ask: () => ({ effects: [{ kind: 'acquire-leader' }], wakeInMs: 0 }),
    because: 'acquired session lock as a leader',
  },
  {
    id: 'paused.primary-attach',
    situation: 'paused, a primary runs here and holds the leader key on a lease from before',
    when: (c) => c.paused && c.lockMine && !c.attached && c.o.lease.leaseId !== null,
    ask: () => ({ effects: [{ kind: 'attach-leader' }], wakeInMs: 0 }),
    because: 'taking over the leader key this node held already',
  },
  {
    id: 'paused.switchover',
    situation: 'paused, this primary leads, and the operator asked for a switchover or failover by name',
    when: (c) => c.paused && c.isPrimary && c.lockMine && c.view?.failover != null && c.view.failover.candidate !== null,
    ask: switchoverAway,
    because: 'switchover',
  },
  {
    id: 'paused.candidate',
    situation: 'paused, nobody leads, and the operator named this node',
    when: (c) => c.paused && c.isStandby && c.unlocked && c.view?.failover?.candidate === c.me,
    ask: (c) => {
      // A failover is the operator's word against all else; a switchover is not meant to lose
      // anything, and the former leader may be alive.
      const verdict = c.view?.failover?.leader == null ? null : raceVerdict(c);
      if (verdict?.win === false)
        return { chores: letGo(c), wakeInMs: 300, watchMembers: true, because: `not taking the leader key: ${verdict.because}` };
      return { effects: [{ kind: 'acquire-leader' }], wakeInMs: 0 };
    },
    because: 'taking the leader key as the candidate the operator named',
  },
  {
    id: 'paused.standby-leader',
    situation: 'paused, this standby holds the leader key without having been named',
    when: (c) => c.paused && c.isStandby && c.lockMine && c.view?.failover?.candidate !== c.me,
    ask: () => ({ effects: [{ kind: 'release-leader', optime: null }] }),
    because: 'removed leader lock because postgres is not running as primary',
  },
  {
    id: 'paused.primary',
    situation: 'paused, a primary runs here',
    when: (c) => c.paused && c.isPrimary,
    ask: (c) => ({
      because: c.lockMine ? `no action. I am (${c.me}), the leader with the lock` : 'continue to run as primary without lock',
    }),
    because: 'no action',
  },
  {
    id: 'paused.standby-unlocked',
    situation: 'paused, a standby runs here and nobody leads',
    when: (c) => c.paused && c.isStandby && c.unlocked,
    // Whom the operator named counts votes, and this one's is worth nothing before.
    ask: (c) => (c.view?.failover?.candidate == null ? nothing : { chores: letGo(c) }),
    because: 'no action. I am ({me})',
  },
  {
    id: 'paused.not-running',
    situation: 'paused, PostgreSQL is starting or does not answer',
    when: (c) => c.paused && !c.isStandby && !c.stopped,
    ask: () => nothing,
    because: 'PostgreSQL does not answer; nothing is done about it while paused',
  },
];
