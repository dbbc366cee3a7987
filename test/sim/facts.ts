/** What the real adapter would find out about a server like this. */
import type {
  ControlFacts,
  PostgresFacts,
  ReceiverFacts,
  SlotFacts,
  SqlFacts,
  TimelineKnown,
  UnexplainedProcess,
  WalsenderFacts,
} from '../../src/core/postgres-facts.ts';
import { slotNameOf } from '../../src/core/slot-names.ts';
import type { ServerProcess } from './postgres/process.ts';
import { candidates, priorityOf } from './postgres/syncrep.ts';
import { repliedAt, type Sender } from './replication-link.ts';
import type { SimServer } from './server.ts';
import { type Branch, branchAt, type Position, plus, SWITCH_BYTES } from './wal.ts';

export function factsOf(server: SimServer, forced?: 'unresponsive'): PostgresFacts {
  const { dir } = server;
  const stranger = strangerOf(server);
  const process = stranger === null ? server.process : null;
  const state =
    stranger !== null
      ? 'unresponsive'
      : process === null
        ? 'stopped'
        : process.hung || process.postmasterHung || forced === 'unresponsive'
          ? 'unresponsive'
          : process.phase === 'running'
            ? 'running'
            : 'starting';
  const readable = dir === 'valid' || (dir === 'incomplete' && server.systemId !== null);
  const facts: { -readonly [Fact in keyof PostgresFacts]: PostgresFacts[Fact] } = {
    dataDir: dir,
    systemIdentifier: readable ? server.systemId : null,
    major: readable ? 15 : null,
    postmaster: process === null ? null : { pid: process.pid },
    state,
    sql: state === 'running' ? sqlOf(server) : null,
    control: process === null && stranger === null && readable ? controlOf(server) : null,
    localHistory: readable ? knownBranch(server).history : [],
    standbySignal: server.signal,
  };
  const aim = aimOf(server);
  if (aim !== null) facts.aimsAt = aim;
  if (stranger !== null) facts.unexplained = stranger;
  if (server.disk.sinceMs !== null && facts.sql?.inRecovery === false) facts.diskWaitsMs = server.parts.sim.now - server.disk.sinceMs;
  if (server.restored) facts.restored = true;
  if (server.strayed) facts.strayed = true;
  if (server.openedByHand) facts.openedByHand = true;
  if (server.fence !== null) facts.fence = server.fence;
  if (process === null && readable && server.backup !== null)
    facts.baseBackup = { timeline: server.backup.branch.timeline, checkpointLsn: server.backup.lsn };
  if (process?.archiving === true) facts.closed = true;
  if (process?.clientsOut === true) facts.clientsOut = true;
  if (dir === 'incomplete' && server.work !== null) facts.incompleteWork = server.work;
  if (server.inRecovery && server.full === 'wal') facts.promotionTrouble = 'the disk of pg_wal is full';
  const timelineFingerprint = readable ? fingerprintOf(server) : null;
  if (timelineFingerprint !== null) facts.timelineFingerprint = timelineFingerprint;
  return facts;
}

/**
 * The unknown process under the pid in postmaster.pid: the server itself, or a process that got the
 * pid of one that is gone.
 */
function strangerOf({ process, unseen, pidTaken }: SimServer): UnexplainedProcess | null {
  if (process !== null) return process === unseen ? { pid: process.pid, program: 'wrapped' } : null;
  return pidTaken ? { pid: 99, program: 'sleep' } : null;
}

/**
 * The position by PostgreSQL and its files. A standby that still replays its initial WAL is where
 * its replay is, and a stopped one is where its control file says. One that follows a later
 * timeline is sent what it lacks of those before first, and is on them until then. Once a
 * walreceiver has run, the received WAL is all there is, and its segments tell the timeline
 * (src/adapters/postgres/probe.ts), wherever a paused replay is.
 */
function knownBranch(server: SimServer): Branch {
  const { process, position, replayLsn, minRecovery, checkpoint } = server;
  if (process === null) return minRecovery?.branch ?? checkpoint.branch;
  if (!server.inRecovery) return position.branch;
  return process.replaying && !process.hasReceived ? branchAt(position, replayLsn) : writtenBranch(position);
}

/** Of one that gets no WAL: the timeline whose history it fetched, and of which it has no WAL. */
function aimOf(server: SimServer): TimelineKnown | null {
  const { branch } = server.position;
  const isStandby = server.process !== null && server.inRecovery && server.running;
  if (!isStandby || server.replication.source !== null || tellsReplaying(server)) return null;
  return branch.timeline > knownBranch(server).timeline ? { timeline: branch.timeline, history: branch.history } : null;
}

/**
 * As src/adapters/postgres/facts-query.ts tells it: not of one that streams, or has since it was
 * started and is paused.
 */
function tellsReplaying({ process, replayPaused, replication }: SimServer): boolean {
  return process?.replaying === true && replication.source === null && !(replayPaused && process.hasReceived);
}

function writtenBranch({ branch, lsn }: Position): Branch {
  let at = branch;
  while (at.parent !== null && lsn < at.forkLsn) at = at.parent;
  return at;
}

/** Known once more than the promotion's own record is there. */
function fingerprintOf(server: SimServer): string | null {
  let branch = knownBranch(server);
  // Where a crash recovery wrote a record of its own the WAL parts, and the timeline's number
  // stays.
  while (branch.parent?.timeline === branch.timeline) branch = branch.parent;
  const end = server.process === null ? (server.minRecovery?.lsn ?? server.checkpoint.lsn) : server.position.lsn;
  return server.hasStartOf(branch) && end > plus(branch.forkLsn, SWITCH_BYTES) ? branch.timelineFingerprint : null;
}

function controlOf(server: SimServer): ControlFacts {
  // A promotion writes its timeline there before the first checkpoint on it.
  const recovering = /recovery$|^in production$/.test(server.controlState) ? server.minRecovery : null;
  return {
    systemIdentifier: server.systemId ?? '',
    state: server.controlState,
    checkpointLsn: server.checkpoint.lsn,
    timeline: server.checkpoint.branch.timeline,
    minRecoveryLsn: recovering?.lsn ?? null,
    minRecoveryTimeline: recovering?.branch.timeline ?? null,
    dataChecksums: false,
    walLogHints: true,
  };
}

function sqlOf(server: SimServer): SqlFacts {
  const { inRecovery, position, live } = server;
  const source = server.replication.source;
  const senders = server.replication.senders();
  const facts: SqlFacts = {
    inRecovery,
    serverVersion: 150_018,
    timeline: knownBranch(server).timeline,
    flushLsn: inRecovery ? null : position.lsn,
    receiveLsn: inRecovery && server.process?.hasReceived ? position.lsn : null,
    replayLsn: inRecovery ? server.replayLsn : null,
    replayPaused: server.replayPaused,
    replayedTimestamp: null,
    receiver: source === null ? null : receiverOf(server, source),
    replication: sendersOf(server),
    slots: [...server.slots].map(([name, restartLsn]) => ({
      name,
      type: 'physical' as const,
      ...userOf(senders, name),
      restartLsn,
      confirmedFlushLsn: null,
      xmin: null,
      plugin: null,
      database: null,
      walStatus: 'reserved',
      failover: false,
    })),
    synchronousStandbyNames: live.syncNames,
    obeysSyncNames: true,
    synchronousCommit: 'on',
    primaryConninfo:
      live.source === null ? '' : `user=replicator host=${live.source.host} port=${live.source.port} application_name=${server.name}`,
    primarySlotName: live.slot,
    restoreCommand: '',
    postmasterStartTime: server.process === null ? '' : startTimeOf(server.process),
    pendingRestart: {},
  };
  if (!inRecovery) Object.assign(facts, { checkpointTimeline: server.checkpoint.branch.timeline });
  if (inRecovery && source === null)
    Object.assign(facts, { checkpoint: { timeline: server.checkpoint.branch.timeline, checkpointLsn: server.checkpoint.lsn } });
  return tellsReplaying(server) ? { ...facts, replaying: true } : facts;
}

function userOf(senders: readonly Sender[], slot: string): Pick<SlotFacts, 'active' | 'activePid'> {
  const uses = ({ standby, stranger }: Sender) => stranger !== true && standby.live.slot === slot && slotNameOf(standby.name) === slot;
  const user = senders.find(uses);
  return { active: user !== undefined, activePid: user?.pid ?? null };
}

const startTimes = new WeakMap<ServerProcess, string>();

function startTimeOf(process: ServerProcess): string {
  let text = startTimes.get(process);
  if (text === undefined) {
    text = new Date(Math.round(process.startedAtWallMs)).toISOString().replace('T', ' ').replace('Z', '000+00:00');
    startTimes.set(process, text);
  }
  return text;
}

function receiverOf(server: SimServer, source: SimServer): ReceiverFacts {
  return {
    status: 'streaming',
    receivedTimeline: writtenBranch(server.position).timeline,
    slotName: server.live.slot === '' ? null : server.live.slot,
    conninfo: '',
    senderHost: source.name,
    senderPort: 5432,
    latestEndLsn: source.position.lsn,
    ...stream(server),
  };
}

/** The two ends of a stream have one number here. */
function stream({ replication, parts }: SimServer): Pick<ReceiverFacts, 'pid' | 'silentMs'> {
  const sender = replication.receivesBy;
  if (sender === null) return {};
  return { pid: sender.pid, silentMs: sender.heardUntil === null ? 0 : parts.sim.now - sender.heardUntil };
}

function sendersOf(server: SimServer): WalsenderFacts[] {
  const names = server.sessions.names();
  const senders = server.replication.senders();
  const able = candidates(names, senders);
  const chosen = names.method === 'quorum' ? 'quorum' : 'sync';
  return senders.map((sender) => {
    const place = able.indexOf(sender);
    const priority = priorityOf(names, sender.standby.name);
    const potential = names.method === 'quorum' || (place >= 0 && place < names.count) ? chosen : 'potential';
    return {
      pid: sender.pid,
      usename: 'replicator',
      applicationName: sender.standby.name,
      clientAddr: sender.stranger === true ? 'elsewhere' : sender.standby.name,
      state: sender.state,
      syncState: priority === 0 ? 'async' : potential,
      syncPriority: priority,
      writeLsn: sender.flushLsn,
      flushLsn: sender.flushLsn,
      replayLsn: sender.replayLsn,
      replyTime: String(repliedAt(sender, server.parts.sim.now)),
    };
  });
}
