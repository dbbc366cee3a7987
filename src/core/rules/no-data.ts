/** There is no data directory yet, or one that a bootstrap made and that may not be published. */
import { sourceWithoutData } from '../clone-source.ts';
import { isInitialized, mayLead } from '../cluster.ts';
import type { Context } from '../context.ts';
import type { Job } from '../effects.ts';
import { holdOffMs } from '../hold-off.ts';
import { remoteSource } from '../remote.ts';
import { methodsOf, methodsWithoutLeader } from '../replica-methods.ts';
import { always, type Section } from './table.ts';

/**
 * A whole new cluster, made here. If the leader key names this node, this mark was lost before: no
 * client was ever led to that cluster.
 */
export const unpublishedCluster: Section = {
  title: 'A new cluster that may not be published',
  situation: 'a bootstrap here ended before the agent knew that the cluster was published',
  when: (c) => c.o.pg.dataDir === 'incomplete' && c.o.pg.incompleteWork === 'publication',
  rules: [
    {
      id: 'data.published',
      situation: 'etcd has its system identifier',
      when: (c) => c.view !== null && isInitialized(c.view) && c.view.initialize === c.o.pg.systemIdentifier,
      ask: () => ({ effects: [{ kind: 'mark-published' }], wakeInMs: 0 }),
      because: 'the cluster that was made here is the one etcd knows',
    },
    {
      id: 'data.publication-unknown',
      situation: 'its system identifier cannot be read',
      when: (c) => c.o.pg.systemIdentifier === null,
      ask: (c) => ({ effects: c.lockMine ? [{ kind: 'release-leader', optime: null }] : [], wakeInMs: 1000 }),
      because: 'the data directory was made by a bootstrap, and its system identifier cannot be read: it is left as it is',
    },
    {
      id: 'data.publish',
      situation: 'nobody has initialized the cluster since, and it is not paused',
      when: (c) => c.view?.initialize === null && c.unlocked && !c.paused,
      ask: (c) => ({
        effects: [{ kind: 'write-initialize', systemIdentifier: c.o.pg.systemIdentifier ?? '', onlyIfAbsent: true }],
        wakeInMs: 0,
      }),
      because: 'publishing the cluster that was made here, as nobody has made another',
    },
  ],
};

/** As long as others are there, a leader is likely within a ttl; a restore may take hours. */
function staysLeaderless({ m, me, o, view }: Context): boolean {
  const alone = view?.members.every((member) => member.name === me) === true;
  return alone || (m.leaderlessSinceMs !== null && o.nowMs - m.leaderlessSinceMs >= o.settings.dynamic.ttlSeconds * 1000);
}

const cloneFailed = (c: Context) => `cloning failed (${c.m.failures.clone?.message ?? ''}); trying again soon`;

export const noData: Section = {
  title: 'No data',
  situation: 'there are no data, or only a half-made copy',
  when: (c) => c.o.pg.dataDir === 'missing' || (c.o.pg.dataDir === 'incomplete' && c.o.pg.incompleteWork !== 'rewind'),
  rules: [
    {
      id: 'data.released',
      situation: 'the leader key names this node',
      when: (c) => c.lockMine,
      ask: () => ({ effects: [{ kind: 'release-leader', optime: null }], wakeInMs: 0 }),
      because: 'released leader key voluntarily as data dir empty and currently leader',
    },
    {
      id: 'data.paused',
      situation: 'the cluster is paused',
      when: (c) => c.paused,
      ask: () => ({}),
      because: 'running with empty data directory',
    },
    {
      id: 'data.clone',
      situation: 'a primary leads',
      when: (c) => sourceWithoutData(c) !== null,
      ask: (c) => {
        const wait = holdOffMs(c, 'clone');
        const from = sourceWithoutData(c);
        if (wait > 0 || from === null) return { wakeInMs: wait, because: cloneFailed(c) };
        return {
          effects: [{ kind: 'start-job', job: { kind: 'clone', ...from } }],
          because: `trying to bootstrap from ${from.sourceRole} '${from.source.name}'`,
        };
      },
      because: 'trying to bootstrap from the leader',
    },
    {
      id: 'data.bootstrap',
      situation: 'nobody has initialized the cluster, and this node may',
      when: (c) => c.unlocked && c.view?.initialize === null && c.o.settings.local.bootstrap !== null && mayLead(c.o.settings.local.tags),
      ask: (c) => {
        const job: Job & { kind: 'bootstrap' | 'bootstrap-standby' } = c.followsRemote
          ? { kind: 'bootstrap-standby', source: remoteSource(c.o.settings.dynamic) }
          : { kind: 'bootstrap' };
        const wait = holdOffMs(c, job.kind);
        if (wait > 0) return { wakeInMs: wait, because: `bootstrap failed (${c.m.failures[job.kind]?.message ?? ''}); trying again soon` };
        return {
          effects: [{ kind: 'race-initialize' }, { kind: 'start-job', job }],
          watchMembers: true,
          ...(c.followsRemote && { because: 'trying to bootstrap a new standby leader' }),
        };
      },
      because: 'trying to bootstrap a new cluster',
    },
    {
      id: 'data.clone-without-leader',
      situation: 'nobody leads the initialized cluster or is about to, and a configured method makes a replica without a leader',
      when: (c) =>
        c.view !== null &&
        c.unlocked &&
        isInitialized(c.view) &&
        staysLeaderless(c) &&
        methodsWithoutLeader(methodsOf(c.o.settings)).length > 0,
      ask: (c) => {
        const wait = holdOffMs(c, 'clone');
        if (wait > 0) return { wakeInMs: wait, watchMembers: true, because: cloneFailed(c) };
        return { effects: [{ kind: 'start-job', job: { kind: 'clone', source: null, fromLeader: false } }] };
      },
      because: 'trying to bootstrap (without leader)',
    },
    {
      id: 'data.wait',
      situation: 'there is no member to take the data from yet',
      when: always,
      ask: (c) => {
        // Nobody makes the cluster, and this node never will. If the log did not say so, three such
        // nodes would wait for each other for ever.
        const { bootstrapRefusal } = c.o.settings.local;
        const nobody = c.unlocked && c.view?.initialize === null && typeof bootstrapRefusal === 'string';
        return {
          watchMembers: true,
          ...(c.followsRemote ? { because: 'waiting for standby_leader to bootstrap' } : {}),
          ...(nobody ? { because: `waiting for leader to bootstrap; this member makes no new cluster: ${bootstrapRefusal}` } : {}),
        };
      },
      because: 'waiting for leader to bootstrap',
    },
  ],
};
