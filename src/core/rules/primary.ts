/** PostgreSQL runs as a primary and answers. */
import { mayLead } from '../cluster.ts';
import { isUnprotected, unlockedMs } from '../context.ts';
import { diskHangs } from '../quorum/resigning.ts';
import { isSuperseded, movedOn } from '../superseded.ts';
import { goesOnWithoutKey } from '../without-key.ts';
import { switchoverAway } from './switchover.ts';
import { always, nothing, type Section } from './table.ts';

/** A disk that is slow just now is looked at again so soon. */
const SLOW_DISK_MS = 500;

export const switchover: Section = {
  title: 'Switchover',
  situation: 'this primary leads, and an operator asked for a switchover or failover',
  when: (c) => c.isPrimary && c.lockMine && c.mayLeadNow && c.view?.failover != null,
  rules: [
    {
      id: 'leader.switchover',
      byTable: true,
      situation: 'always',
      when: always,
      ask: switchoverAway,
      because: 'switchover: demoting myself',
    },
  ],
};

export const primary: Section = {
  title: 'A primary runs here',
  situation: 'PostgreSQL answers, and is a primary',
  when: (c) => c.isPrimary,
  rules: [
    {
      id: 'primary.watchdog',
      situation: 'it leads, and the watchdog it must have cannot be used',
      when: (c) => c.lockMine && c.o.watchdog.required && !c.o.watchdog.active && !c.o.watchdog.healthy,
      ask: () => ({
        effects: [
          { kind: 'demote-now', mode: 'immediate' },
          { kind: 'release-leader', optime: null },
        ],
      }),
      because: 'Demoting self because watchdog could not be activated',
    },
    {
      id: 'primary.disk-hangs',
      situation: 'it leads, and its disk has finished no write for postgresql_unresponsive_after',
      when: (c) => c.lockMine && diskHangs(c),
      ask: (c) => {
        const late = `the disk has finished no write for ${Math.round((c.o.pg.diskWaitsMs ?? 0) / 1000)} seconds`;
        if (c.m.resigningSinceMs !== null) return { wakeInMs: 300, because: `${late}: asking the voters for another leader` };
        return { wakeInMs: 1000, because: `${late}, but continuing to lead because failover is not possible` };
      },
      because: 'the disk has finished no write for longer than postgresql_unresponsive_after',
    },
    {
      id: 'primary.leader',
      situation: 'it leads',
      when: (c) => c.lockMine,
      ask: (c) => (c.o.pg.diskWaitsMs === undefined ? nothing : { wakeInMs: SLOW_DISK_MS }),
      because: 'no action. I am ({me}), the leader with the lock',
    },
    {
      id: 'primary.not-allowed',
      situation: 'nobody holds the leader key, and this node may not lead',
      when: (c) => c.unlocked && !mayLead(c.o.settings.local.tags),
      ask: () => ({ effects: [{ kind: 'demote-now', mode: 'immediate' }] }),
      because: 'demoting self because I am not allowed to become primary',
    },
    {
      id: 'primary.outdated',
      situation:
        'nobody holds the leader key, and the cluster has moved on (a later timeline, another leader in /sync, or another primary that runs)',
      when: (c) => c.unlocked && isSuperseded(c),
      ask: (c) => ({
        effects: [{ kind: 'demote-now', mode: 'immediate' }],
        because: `demoting self because i am not the healthiest node: ${movedOn(c)}`,
      }),
      because: 'demoting self because i am not the healthiest node',
    },
    {
      id: 'primary.gave-its-word',
      situation:
        'nobody holds the leader key, and another goes on as leader without it, by the word of this node or of a member, or because failsafe mode does not ask this node (this one was promoted by hand)',
      when: (c) => c.unlocked && goesOnWithoutKey(c) !== null,
      ask: (c) => ({
        effects: [{ kind: 'demote-now', mode: 'immediate' }],
        because: `demoting self because ${goesOnWithoutKey(c)} may go on as the leader without its key`,
      }),
      because: 'demoting self because another may go on as the leader without its key',
    },
    {
      id: 'primary.not-acquired',
      situation: 'nobody holds the leader key, and this node could not take it for too long: its guard does not protect it',
      when: (c) => c.unlocked && isUnprotected(c),
      ask: () => ({ effects: [{ kind: 'demote-now', mode: 'fast' }] }),
      because: 'demoting self because the leader key could not be taken: etcd takes no writes, or grants no lease',
    },
    {
      id: 'primary.acquire',
      situation: 'nobody holds the leader key',
      when: (c) => c.unlocked,
      ask: (c) => ({ effects: [{ kind: 'acquire-leader', withinMs: unlockedMs(c) }], wakeInMs: 0 }),
      because: 'acquired session lock as a leader',
    },
  ],
};
