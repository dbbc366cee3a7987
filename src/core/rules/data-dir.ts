/**
 * A data directory that cannot be used, or whose data are another cluster's or no cluster's yet.
 */

import { isInitialized } from '../cluster.ts';
import { type Context, isOfAnotherCluster } from '../context.ts';
import type { Effect } from '../effects.ts';
import { reinitCommand } from '../operator-commands.ts';
import { always, type Section } from './table.ts';

const releaseKey = (c: Context): Effect[] => (c.lockMine ? [{ kind: 'release-leader', optime: null }] : []);

export const unusableDirectory: Section = {
  title: 'A data directory that cannot be used',
  situation: 'the data directory cannot be read, or holds something other than PostgreSQL’s data',
  when: (c) => c.o.pg.dataDir === 'inaccessible' || c.o.pg.dataDir === 'foreign',
  rules: [
    {
      id: 'data.inaccessible',
      situation: 'the data directory cannot be read',
      when: (c) => c.o.pg.dataDir === 'inaccessible',
      ask: (c) => ({
        effects: releaseKey(c),
        wakeInMs: 5000,
        because: `${c.lockMine ? 'released leader key voluntarily as data dir not accessible and currently leader; ' : ''}data directory is not accessible: ${c.o.settings.postgresql.dataDir}: ${c.o.pg.dataDirTrouble ?? 'it cannot be read in time'}`,
      }),
      because: 'data directory is not accessible',
    },
    {
      id: 'data.foreign',
      situation: 'the data directory holds something other than PostgreSQL’s data, or only what is left of them',
      when: always,
      ask: (c) => ({
        effects: releaseKey(c),
        wakeInMs: 5000,
        because: `data dir for the cluster is not empty, but system ID is invalid; consider doing reinitialize: ${c.o.settings.postgresql.dataDir} is not empty and no cluster: ${c.o.pg.dataDirTrouble ?? 'what it holds is not known'}; correct postgresql.data_dir, move that away, or ${reinitCommand(c)}`,
      }),
      because: 'data dir for the cluster is not empty, but system ID is invalid; consider doing reinitialize',
    },
  ],
};

function otherCluster({ me, view, o }: Context): string {
  const { scope } = o.settings.local;
  return (
    `system ID mismatch, node ${me} belongs to a different cluster: ${view?.initialize} != ${o.pg.systemIdentifier}. ` +
    `The first is what etcd has of '${scope}', the second that of the data in ${o.settings.postgresql.dataDir}. If these data are of another cluster, ` +
    'correct scope, namespace or data_dir; if they are not needed, move them away, and this node is cloned from the leader'
  );
}

export const anotherCluster: Section = {
  title: 'The data of another cluster',
  situation: 'the data belong to another cluster than the one that etcd names',
  when: (c) => c.view !== null && isOfAnotherCluster(c.o.pg, c.view),
  rules: [
    {
      id: 'data.other-cluster-paused',
      situation: 'the cluster is paused',
      when: (c) => c.paused,
      ask: (c) => ({
        effects: releaseKey(c),
        because: `${c.lockMine ? 'released leader key voluntarily due to the system ID mismatch: ' : ''}${otherCluster(c)}`,
      }),
      because: 'the data directory belongs to a different cluster (system identifier mismatch)',
    },
    {
      id: 'data.other-cluster',
      situation: 'otherwise',
      when: always,
      ask: (c) => {
        const message = otherCluster(c);
        return { effects: [...releaseKey(c), { kind: 'exit', code: 1, message }], because: message };
      },
      because: 'system ID mismatch',
    },
  ],
};

export const serverNotTakenOver: Section = {
  title: 'A server that was not taken over',
  situation: 'a server runs here that this agent has not taken over and that does not let it in (yet)',
  when: (c) => c.unadopted && c.o.pg.sql === null,
  rules: [
    {
      id: 'data.refused',
      situation: 'always',
      when: always,
      ask: (c) => {
        const { postmaster, refusal, state } = c.o.pg;
        const why = refusal ?? (state === 'running' ? 'it refuses the agent' : 'it is starting up or does not answer');
        return {
          // A refusal stays until somebody mends it, and every try leaves a line in PostgreSQL's
          // log.
          wakeInMs: state === 'running' ? 5000 : 1000,
          because: `PostgreSQL (pid ${postmaster?.pid}) runs, and has not been taken over; it is left as it is until it lets the agent in: ${why}`,
        };
      },
      because: 'PostgreSQL runs, and has not been taken over; it is left as it is until it lets the agent in',
    },
  ],
};

const hasStandbyData = (c: Context) => c.isStandby || (c.stopped && (c.o.pg.standbySignal || c.o.pg.recoverySignal === true));

const mayInitialize = (c: Context) => c.unlocked && !c.paused;

export const notInitialized: Section = {
  title: 'Data of a cluster that is not initialized',
  situation: 'etcd was read, and the cluster is not initialized there',
  when: (c) => c.view !== null && !isInitialized(c.view),
  rules: [
    {
      id: 'data.bootstrap-elsewhere',
      situation: 'another member is initializing the cluster right now',
      when: (c) => c.view?.initialize === '' && !c.lockMine,
      ask: () => ({ watchMembers: true }),
      because: 'another member is initializing the cluster; this node has data of its own and waits',
    },
    {
      id: 'data.adopt-standby',
      situation: 'this node has the data of a standby, and its configuration makes it one of a standby cluster',
      when: (c) => c.followsRemote && mayInitialize(c) && c.o.pg.systemIdentifier !== null && hasStandbyData(c),
      ask: (c) => ({
        effects: [{ kind: 'write-initialize', systemIdentifier: c.o.pg.systemIdentifier ?? '', onlyIfAbsent: true }],
        wakeInMs: 0,
      }),
      because: 'adopting the existing standby as the first member of a standby cluster',
    },
    {
      id: 'data.standby-uninitialized',
      situation: 'this node has the data of a standby',
      when: (c) => mayInitialize(c) && hasStandbyData(c),
      ask: () => ({ watchMembers: true }),
      because:
        'this node has a standby’s data, and cluster {scope} is not initialized in etcd. Start the primary’s agent first. If scope or namespace is misspelt or was renamed, correct it. If etcd was emptied, run regent etcd-replaced --initialize FILE on the node that led last',
    },
    {
      id: 'data.adopt',
      situation: 'this node has the data of a primary, and PostgreSQL answers or is down',
      // A server that does not answer may not be a primary, or may not let this agent lead.
      when: (c) => mayInitialize(c) && c.o.pg.systemIdentifier !== null && (c.stopped || c.isPrimary),
      ask: (c) => ({
        effects: [{ kind: 'write-initialize', systemIdentifier: c.o.pg.systemIdentifier ?? '', onlyIfAbsent: true }],
        wakeInMs: 0,
      }),
      because: 'adopting the existing PostgreSQL as the cluster’s first member',
    },
  ],
};
