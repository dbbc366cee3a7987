/** What the real adapter would find out about a server like this. */
import { sameName } from '../../src/core/cluster.ts';
import type { ControlFacts, PostgresFacts, ReceiverFacts, SqlFacts, WalsenderFacts } from '../../src/core/postgres-facts.ts';
import { slotNameOf } from '../../src/core/slot-names.ts';
import { realNames } from '../../src/core/sync-names.ts';
import type { SimServer } from './server.ts';

export function factsOf(server: SimServer, forced?: 'unresponsive'): PostgresFacts {
  const { process, dir } = server;
  const state =
    process === null
      ? 'stopped'
      : process.hung || forced === 'unresponsive'
        ? 'unresponsive'
        : process.phase === 'running'
          ? 'running'
          : 'starting';
  const readable = dir === 'valid' || (dir === 'incomplete' && server.systemId !== null);
  return {
    dataDir: dir,
    ...(dir === 'incomplete' && server.work !== null ? { incompleteWork: server.work } : {}),
    systemIdentifier: readable ? server.systemId : null,
    major: readable ? 15 : null,
    postmaster: process === null ? null : { pid: process.pid },
    state,
    sql: state === 'running' ? sqlOf(server) : null,
    control: process === null && readable ? controlOf(server) : null,
    localHistory: readable ? server.position.branch.history : [],
    standbySignal: server.signal,
  };
}

function controlOf(server: SimServer): ControlFacts {
  const recovering = /recovery$/.test(server.controlState);
  return {
    systemIdentifier: server.systemId ?? '',
    state: server.controlState,
    checkpointLsn: server.checkpointLsn,
    timeline: server.position.branch.timeline,
    minRecoveryLsn: recovering ? server.replayLsn : null,
    minRecoveryTimeline: recovering ? server.position.branch.timeline : null,
    dataChecksums: false,
    walLogHints: true,
  };
}

function sqlOf(server: SimServer): SqlFacts {
  const { inRecovery, position, live } = server;
  const source = server.replication.source;
  return {
    inRecovery,
    serverVersion: 150_018,
    timeline: position.branch.timeline,
    flushLsn: inRecovery ? null : position.lsn,
    receiveLsn: inRecovery ? position.lsn : null,
    replayLsn: inRecovery ? server.replayLsn : null,
    replayPaused: server.replayPaused,
    replayedTimestamp: null,
    receiver: source === null ? null : receiverOf(server, source),
    replication: sendersOf(server),
    slots: [...server.slots].map(([name, restartLsn]) => ({
      name,
      type: 'physical' as const,
      active: server.replication.senders().some((sender) => slotNameOf(sender.standby.name) === name),
      restartLsn,
      confirmedFlushLsn: null,
      xmin: null,
      plugin: null,
      database: null,
      walStatus: 'reserved',
      failover: false,
    })),
    synchronousStandbyNames: live.syncNames,
    synchronousCommit: 'on',
    primaryConninfo:
      live.source === null ? '' : `user=replicator host=${live.source.host} port=${live.source.port} application_name=${server.name}`,
    primarySlotName: live.source === null ? '' : slotNameOf(server.name),
    restoreCommand: '',
    postmasterStartTime: `${new Date(Math.round(server.process?.startedAtWallMs ?? 0)).toISOString().replace('T', ' ').replace('Z', '000+00:00')}`,
    pendingRestart: {},
  };
}

function receiverOf(server: SimServer, source: SimServer): ReceiverFacts {
  return {
    status: 'streaming',
    receivedTimeline: server.position.branch.timeline,
    slotName: slotNameOf(server.name),
    conninfo: '',
    senderHost: source.name,
    senderPort: 5432,
    latestEndLsn: server.position.lsn,
  };
}

function sendersOf(server: SimServer): WalsenderFacts[] {
  const names = server.syncNames();
  const real = realNames(names);
  const rank = (name: string) => real.findIndex((other) => sameName(other, name)) + 1;
  const senders = [...server.replication.senders()].sort((a, b) => (rank(a.standby.name) || 99) - (rank(b.standby.name) || 99));
  return senders.map((sender, i) => {
    const listed = rank(sender.standby.name) > 0;
    const standing = names.method === 'quorum' ? 'quorum' : i < names.count ? 'sync' : 'potential';
    return {
      pid: sender.pid,
      usename: 'replicator',
      applicationName: sender.standby.name,
      clientAddr: sender.standby.name,
      state: 'streaming',
      syncState: listed ? standing : 'async',
      syncPriority: listed ? (names.method === 'quorum' ? 1 : rank(sender.standby.name)) : 0,
      writeLsn: sender.flushLsn,
      flushLsn: sender.flushLsn,
      replayLsn: sender.flushLsn,
      replyTime: String(sender.repliedAt),
    };
  });
}
