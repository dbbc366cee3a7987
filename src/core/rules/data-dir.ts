/** What to do when there is no usable data directory, or one of another cluster. */

import { mayLead, memberOf } from '../cluster.ts';
import { type Context, isOfAnotherCluster, readyLeader, sourceOf } from '../context.ts';
import type { Source } from '../effects.ts';
import { methodsWithoutLeader } from '../replica-methods.ts';
import { isCountedOn } from '../voters.ts';
import { reinitCommand } from './mend.ts';
import { holdOffMs, type Rule } from './table.ts';

const noData = (c: Context) => c.o.pg.dataDir === 'missing' || (c.o.pg.dataDir === 'incomplete' && c.o.pg.incompleteWork !== 'rewind');
/**
 * A whole new cluster, made here. Whoever holds the leader key has lost this mark before: nobody
 * was ever led to it.
 */
const unpublished = (c: Context) => c.o.pg.dataDir === 'incomplete' && c.o.pg.incompleteWork === 'publication';
const initialized = (c: Context) => c.view !== null && c.view.initialize !== null && c.view.initialize !== '';
const belongsElsewhere = (c: Context) => c.view !== null && isOfAnotherCluster(c.o.pg, c.view);

export interface CloneSource {
  readonly source: Source;
  readonly sourceRole: 'leader' | 'replica';
  /**
   * The operator asked for a copy from the leader. Where the leader is the source for another
   * reason, the configured methods count.
   */
  readonly fromLeader: boolean;
}

/**
 * A running replica tagged clonefrom if there is one (the first by name), else the leader; the
 * leader where the operator wants that.
 */
export function cloneSource(c: Context, fromLeader = false): CloneSource | null {
  return sourceFor(c, fromLeader, fromLeader);
}

function sourceFor(c: Context, mustBeLeader: boolean, fromLeader: boolean): CloneSource | null {
  const leader = readyLeader(c);
  if (leader === null || c.view === null) return null;
  const offered = c.view.members.find(
    (member) =>
      !mustBeLeader &&
      member.tags.clonefrom === true &&
      member.name !== c.me &&
      member.name !== leader.name &&
      member.state === 'running' &&
      member.connUrl !== null,
  );
  const source = sourceOf(offered ?? leader);
  return source === null ? null : { source, sourceRole: offered === undefined ? 'leader' : 'replica', fromLeader };
}

/**
 * While /sync counts on what this member confirmed before it lost its data, its copy is of the
 * primary that /sync names: nobody else is sure to have all of it. What a method of the user's
 * restored is marked as that, and counts for nothing until it has caught up with that primary.
 */
export function sourceWithoutData(c: Context): CloneSource | null {
  const countedOn = c.view !== null && isCountedOn(c.view, c.o.settings.dynamic.synchronousMode, c.me);
  return countedOn && c.view?.sync?.leader !== c.otherLeader ? null : sourceFor(c, countedOn, false);
}

/**
 * While others are there a leader is likely within a ttl, and what has to be restored may take
 * hours.
 */
function staysLeaderless({ m, me, o, view }: Context): boolean {
  const alone = view?.members.every((member) => member.name === me) === true;
  return alone || (m.leaderlessSinceMs !== null && o.nowMs - m.leaderlessSinceMs >= o.settings.dynamic.ttlSeconds * 1000);
}

function otherCluster({ me, view, o }: Context): string {
  const { scope } = o.settings.local;
  return (
    `system ID mismatch, node ${me} belongs to a different cluster: ${view?.initialize} != ${o.pg.systemIdentifier}. ` +
    `The first is what etcd has of '${scope}', the second that of the data in ${o.settings.postgresql.dataDir}. If these data are of another cluster, ` +
    'correct scope, namespace or data_dir; if they are not needed, move them away, and this node is cloned from the leader'
  );
}

export const dataDirRules: readonly Rule[] = [
  {
    id: 'wish.reinitialize',
    situation: 'the operator wants this member cloned anew, another member leads, and the data here are not another cluster’s',
    // Before all that is said of a directory without usable data: it is what an operator would mend
    // by this.
    when: (c) =>
      c.o.wishes.reinitialize !== null &&
      c.otherLeader !== null &&
      cloneSource(c) !== null &&
      c.o.pg.dataDir !== 'inaccessible' &&
      !belongsElsewhere(c),
    ask: (c) => {
      const from = cloneSource(c, c.o.wishes.reinitialize?.fromLeader);
      return from === null ? {} : { effects: [{ kind: 'start-job', job: { kind: 'reinitialize', ...from } }] };
    },
    because: 'reinitialize: this member is cloned anew at the operator’s wish',
  },
  {
    id: 'data.inaccessible',
    situation: 'the data directory cannot be read',
    when: (c) => c.o.pg.dataDir === 'inaccessible',
    ask: (c) => ({
      effects: c.lockMine ? [{ kind: 'release-leader', optime: null }] : [],
      wakeInMs: 5000,
      because: `data directory ${c.o.settings.postgresql.dataDir} cannot be used: ${c.o.pg.dataDirTrouble ?? 'it cannot be read in time'}`,
    }),
    because: 'the data directory cannot be used: it cannot be read',
  },
  {
    id: 'data.foreign',
    situation: 'the data directory holds something else than PostgreSQL’s data, or what is left of them',
    when: (c) => c.o.pg.dataDir === 'foreign',
    ask: (c) => ({
      effects: c.lockMine ? [{ kind: 'release-leader', optime: null }] : [],
      wakeInMs: 5000,
      because: `data directory ${c.o.settings.postgresql.dataDir} is not empty and no cluster: ${c.o.pg.dataDirTrouble ?? 'what it holds is not known'}; correct postgresql.data_dir, move that away, or ${reinitCommand(c)}`,
    }),
    because:
      'the data directory is not empty and no cluster: correct postgresql.data_dir, move away what it holds, or reinitialize the member',
  },
  {
    id: 'data.published',
    situation: 'the bootstrap here ended before it was known to be published, and etcd has its system identifier',
    when: (c) => unpublished(c) && initialized(c) && c.view?.initialize === c.o.pg.systemIdentifier,
    ask: () => ({ effects: [{ kind: 'mark-published' }], wakeInMs: 0 }),
    because: 'the cluster that was made here is the one etcd knows',
  },
  {
    id: 'data.publication-unknown',
    situation: 'the bootstrap here ended before it was known to be published, and its system identifier cannot be read',
    when: (c) => unpublished(c) && c.o.pg.systemIdentifier === null,
    ask: (c) => ({ effects: c.lockMine ? [{ kind: 'release-leader', optime: null }] : [], wakeInMs: 1000 }),
    because: 'the data directory was made by a bootstrap, and its system identifier cannot be read: it is left as it is',
  },
  {
    id: 'data.publish',
    situation: 'the bootstrap here was not published, and nobody has initialized the cluster since',
    when: (c) => unpublished(c) && c.view?.initialize === null && c.unlocked && !c.paused,
    ask: (c) => ({
      effects: [{ kind: 'write-initialize', systemIdentifier: c.o.pg.systemIdentifier ?? '', onlyIfAbsent: true }],
      wakeInMs: 0,
    }),
    because: 'publishing the cluster that was made here, as nobody has made another',
  },
  {
    id: 'data.released',
    situation: 'no data, and the leader key is ours',
    when: (c) => noData(c) && c.lockMine,
    ask: () => ({ effects: [{ kind: 'release-leader', optime: null }], wakeInMs: 0 }),
    because: 'released leader key voluntarily as data dir empty and currently leader',
  },
  {
    id: 'data.paused',
    situation: 'no data, and the cluster is paused',
    when: (c) => noData(c) && c.paused,
    ask: () => ({}),
    because: 'running with empty data directory',
  },
  {
    id: 'data.clone',
    situation: 'no data, and a primary leads',
    when: (c) => noData(c) && sourceWithoutData(c) !== null,
    ask: (c) => {
      const wait = holdOffMs(c, 'clone');
      const from = sourceWithoutData(c);
      if (wait > 0 || from === null)
        return { wakeInMs: wait, because: `cloning failed (${c.m.failures.clone?.message ?? ''}); trying again soon` };
      return {
        effects: [{ kind: 'start-job', job: { kind: 'clone', ...from } }],
        because: `trying to bootstrap from ${from.sourceRole} '${from.source.name}'`,
      };
    },
    because: 'trying to bootstrap from the leader',
  },
  {
    id: 'data.bootstrap',
    situation: 'no data, nobody has initialized the cluster, and this node may',
    when: (c) =>
      noData(c) && c.unlocked && c.view?.initialize === null && c.o.settings.local.bootstrap !== null && mayLead(c.o.settings.local.tags),
    ask: (c) => {
      const wait = holdOffMs(c, 'bootstrap');
      if (wait > 0) return { wakeInMs: wait, because: `bootstrap failed (${c.m.failures.bootstrap?.message ?? ''}); trying again soon` };
      return { effects: [{ kind: 'race-initialize' }, { kind: 'start-job', job: { kind: 'bootstrap' } }], watchMembers: true };
    },
    because: 'trying to bootstrap a new cluster',
  },
  {
    id: 'data.clone-without-leader',
    situation: 'no data, nobody leads the initialized cluster or is about to, and a configured method makes a replica without a leader',
    when: (c) =>
      noData(c) && c.unlocked && initialized(c) && staysLeaderless(c) && methodsWithoutLeader(c.o.settings.postgresql).length > 0,
    ask: (c) => {
      const wait = holdOffMs(c, 'clone');
      if (wait > 0)
        return {
          wakeInMs: wait,
          watchMembers: true,
          because: `cloning failed (${c.m.failures.clone?.message ?? ''}); trying again soon`,
        };
      return { effects: [{ kind: 'start-job', job: { kind: 'clone', source: null, fromLeader: false } }] };
    },
    because: 'trying to bootstrap (without leader)',
  },
  {
    id: 'data.wait',
    situation: 'no data, and nobody to take it from yet',
    when: noData,
    ask: (c) => {
      // Nobody makes the cluster, and this node never will: without this word three such nodes wait
      // for each other for ever.
      const { bootstrapRefusal } = c.o.settings.local;
      const nobody = c.unlocked && c.view?.initialize === null && typeof bootstrapRefusal === 'string';
      return {
        watchMembers: true,
        ...(nobody ? { because: `waiting for leader to bootstrap; this member makes no new cluster: ${bootstrapRefusal}` } : {}),
      };
    },
    because: 'waiting for leader to bootstrap',
  },
  {
    id: 'data.other-cluster-paused',
    situation: 'the data belongs to another cluster, and this one is paused',
    when: (c) => c.paused && belongsElsewhere(c),
    ask: (c) => ({ effects: c.lockMine ? [{ kind: 'release-leader', optime: null }] : [], because: otherCluster(c) }),
    because: 'the data directory belongs to a different cluster (system identifier mismatch)',
  },
  {
    id: 'data.other-cluster',
    situation: 'the data belongs to another cluster',
    when: belongsElsewhere,
    ask: (c) => {
      const message = otherCluster(c);
      const release = c.lockMine ? [{ kind: 'release-leader', optime: null } as const] : [];
      return { effects: [...release, { kind: 'exit', code: 1, message }], because: message };
    },
    because: 'system ID mismatch',
  },
  {
    id: 'data.refused',
    situation: 'a server that this node has not taken over runs here, and does not let the agent in (yet)',
    when: (c) => c.unadopted && c.o.pg.sql === null,
    ask: (c) => {
      const { postmaster, refusal, state } = c.o.pg;
      const why = refusal ?? (state === 'running' ? 'it refuses the agent' : 'it is starting up or does not answer');
      return {
        // A refusal stays until somebody mends it, and every try leaves a line in PostgreSQL's log.
        wakeInMs: state === 'running' ? 5000 : 1000,
        because: `PostgreSQL (pid ${postmaster?.pid}) runs, and has not been taken over; it is left as it is until it lets the agent in: ${why}`,
      };
    },
    because: 'PostgreSQL runs, and has not been taken over; it is left as it is until it lets the agent in',
  },
  {
    id: 'data.bootstrap-elsewhere',
    situation: 'this node has data, and another is initializing the cluster right now',
    when: (c) => c.view?.initialize === '' && !c.lockMine,
    ask: () => ({ watchMembers: true }),
    because: 'another member is initializing the cluster; this node has data of its own and waits',
  },
  {
    id: 'data.standby-uninitialized',
    situation: 'this node has a standby’s data, and the cluster was never initialized',
    when: (c) => c.view !== null && !initialized(c) && c.unlocked && !c.paused && (c.isStandby || (c.stopped && c.o.pg.standbySignal)),
    ask: () => ({ watchMembers: true }),
    because:
      'this node has a standby’s data, and cluster {scope} is not initialized in etcd: start the primary’s agent first; or correct scope and namespace, if they are misspelt or were renamed; or, if etcd was emptied, run regent etcd-replaced --initialize FILE on the node that led last',
  },
  {
    id: 'data.adopt',
    situation: 'this node has a primary’s data, its PostgreSQL answers or is down, and the cluster was never initialized',
    // Whether a server that does not answer is a primary, and would let this agent lead, is not
    // known.
    when: (c) =>
      c.view !== null && !initialized(c) && c.unlocked && !c.paused && c.o.pg.systemIdentifier !== null && (c.stopped || c.isPrimary),
    ask: (c) => ({
      effects: [{ kind: 'write-initialize', systemIdentifier: c.o.pg.systemIdentifier ?? '', onlyIfAbsent: true }],
      wakeInMs: 0,
    }),
    because: 'adopting the existing PostgreSQL as the cluster’s first member',
  },
];

export function leaderMember(c: Context) {
  return c.view !== null && c.otherLeader !== null ? memberOf(c.view, c.otherLeader) : null;
}
