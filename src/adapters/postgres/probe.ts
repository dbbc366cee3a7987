/**
 * observe(): everything that can be learned of the local server within a deadline. What cannot be
 * learned is null; nothing here throws.
 */
import type { HistoryEntry } from '../../core/cluster.ts';
import { localPosition, timelineStart } from '../../core/divergence.ts';
import type { ControlFacts, PostgresFacts, SqlFacts, TimelineKnown } from '../../core/postgres-facts.ts';
import { maxLsn, type Timeline } from '../../core/units.ts';
import { codeOf, ensureError, RegentError } from '../../support/errors.ts';
import { oneAtATime } from '../../support/one-at-a-time.ts';
import { parseBackupLabel } from './backup-label.ts';
import { isGateClosed } from './client-gate.ts';
import type { ControlData } from './control-data.ts';
import { type DataDirFacts, dataDirTrouble } from './data-dir.ts';
import type { HeldProcess } from './detect.ts';
import { type DirectoryLook, DirectoryLooker } from './directory-look.ts';
import { IF_UNREADABLE } from './directory-mark.ts';
import { readFacts } from './facts-query.ts';
import { type LocalServer, runner, settingsInRole } from './local-server.ts';
import { isManaged } from './origin.ts';
import { PendingRestartReader } from './pending.ts';
import { readPidFile } from './pid-file.ts';
import { binary } from './programs.ts';
import { refusalText } from './refusal.ts';
import { isPausedByLimits, mayBeLimits, type RunningLimit } from './replay-pause.ts';
import { trimOutput } from './spawn.ts';
import { isTimeout, isTurnedAway, STARTING_STATES, sqlState, systemCode } from './sql.ts';
import { goesOn } from './timeline-fingerprint.ts';
import { findUnexplained, UnexplainedLog } from './unexplained.ts';
import { timelineOfWal } from './wal-timeline.ts';

interface Answer {
  readonly state: 'starting' | 'running' | 'unresponsive';
  readonly sql: SqlFacts | null;
  readonly systemIdentifier: string | null;
  readonly refusal?: string;
  readonly lockedOut?: string;
}

/**
 * Reserved for files and pg_controldata. So a server that does not answer cannot use up the time
 * for what can be known without it.
 */
const FILES_RESERVE_MS = 50;
/** How much of twice its time a caller waits for its turn; the rest is for the files alone. */
const TURN_SHARE = 1.75;
const TRIM_EVERY_MS = 60_000;

export class Probe {
  readonly #server: LocalServer;
  readonly #directory: DirectoryLooker;
  readonly #pending: PendingRestartReader;
  #identity: { readonly startTicks: string; readonly systemIdentifier: string } | null = null;
  #lastComplaint = '';
  #managed = false;
  readonly #unexplained = new UnexplainedLog();
  #trimmedAtMs = 0;

  constructor(server: LocalServer) {
    this.#server = server;
    this.#directory = new DirectoryLooker(server.clock);
    this.#pending = new PendingRestartReader(server.clock);
  }

  /**
   * The loop, a handover and peers that ask for the position may come at once, and there is one
   * connection to ask on.
   */
  readonly #inTurn = oneAtATime((timeoutMs: number) => this.#look(timeoutMs));

  /**
   * A turn may take as long as the most patient of those who share it allows. A leader whose lease
   * ends has no time for that: it gets what can be known without the connection.
   */
  async observe(timeoutMs: number): Promise<PostgresFacts> {
    const { clock } = this.#server;
    const askedAtMs = clock.monotonicMs();
    const facts = await this.#within<PostgresFacts | null>(this.#inTurn(timeoutMs), timeoutMs * TURN_SHARE, null);
    if (facts !== null) return facts;
    return this.#look(Math.max(FILES_RESERVE_MS, timeoutMs * (2 - TURN_SHARE)), clock.monotonicMs() - askedAtMs);
  }

  /**
   * `unansweredMs`: the server has not answered the question under way for so long, and is not
   * asked again.
   */
  async #look(timeoutMs: number, unansweredMs: number | null = null): Promise<PostgresFacts> {
    const { clock, settings, watch } = this.#server;
    const deadline = clock.monotonicMs() + timeoutMs;
    const leftMs = () => Math.max(1, deadline - clock.monotonicMs());
    const { dataDir } = settings.postgresql;
    this.#trimNowAndThen();
    const unknown: DirectoryLook = {
      facts: { state: 'inaccessible', incompleteWork: null, major: null, standbySignal: false },
      marks: IF_UNREADABLE,
    };
    const files = this.#within(this.#directory.look(dataDir), leftMs(), unknown);
    const fence = await this.#within(this.#server.fence.read(dataDir), leftMs(), 'unreadable');
    const postmaster = watch.current(dataDir);
    const askedAtMs = clock.monotonicMs();
    const ask = (held: HeldProcess) =>
      unansweredMs === null ? this.#ask(held, Math.max(1, leftMs() - FILES_RESERVE_MS)) : this.#without(held, 'unresponsive');
    const answer = postmaster ? await ask(postmaster) : null;
    const waitedMs = unansweredMs ?? clock.monotonicMs() - askedAtMs;
    // A server that went away while it was being asked is stopped, not starting.
    const alive = postmaster !== null && postmaster.state() !== 'gone' ? postmaster : null;
    const unexplained = alive === null ? findUnexplained(this.#server) : null;
    this.#unexplained.note(this.#server, unexplained);
    const directory = (await files).facts;
    const ending = answer?.state === 'starting' && readPidFile(dataDir)?.status === 'stopping';
    const control = await this.#controlData(directory, alive === null || answer?.systemIdentifier == null || ending, leftMs());
    if (alive === null) this.#server.heartbeat.reset();
    const live = alive === null ? null : answer;
    const timeline = live?.sql ? live.sql.timeline : control ? stoppedTimeline(control) : null;
    this.#server.walSegmentBytes ??= control?.walSegmentBytes ?? null;
    const localHistory = await this.#within(this.#localHistory(timeline), leftMs(), []);
    const aimsAt = getsNoWal(live?.sql ?? null) ? await this.#within(this.#aimsAt(timeline), leftMs(), null) : null;
    const unmanaged = alive !== null && (await this.#within(this.#unmanaged(), leftMs(), false));
    // After the server was asked: a job marks the directory before it starts one.
    const { marks } = await this.#within(this.#directory.look(dataDir), leftMs(), unknown);
    const facts: PostgresFacts = {
      dataDir: directory.state,
      ...(directory.incompleteWork === null ? {} : { incompleteWork: directory.incompleteWork }),
      ...dataDirTrouble(directory),
      systemIdentifier: live?.systemIdentifier ?? control?.systemIdentifier ?? null,
      major: directory.major,
      postmaster: alive === null ? null : { pid: alive.pid },
      state: live?.state ?? (unexplained === null ? 'stopped' : 'unresponsive'),
      ...(unexplained === null ? {} : { unexplained }),
      ...(live?.state === 'unresponsive' && waitedMs > 0 ? { waitedMs } : {}),
      sql: live?.sql ?? null,
      control: alive === null && unexplained === null && control !== null ? controlFacts(control) : null,
      localHistory,
      ...(aimsAt === null ? {} : { aimsAt }),
      standbySignal: directory.standbySignal,
      ...(directory.recoverySignal ? { recoverySignal: true } : {}),
      // Only a start writes another word there, and a postmaster that is stopping never starts
      // again.
      ...(alive !== null && ending && control?.state === 'shut down' ? { closed: true } : {}),
      ...(unmanaged ? { unmanaged: true } : {}),
      ...(live?.refusal === undefined ? {} : { refusal: live.refusal }),
      ...(live?.lockedOut === undefined ? {} : { lockedOut: live.lockedOut }),
      ...baseBackupOf(directory, control),
      ...(marks.restored ? { restored: true } : {}),
      ...(marks.strayed ? { strayed: true } : {}),
      ...(marks['opened-by-hand'] ? { openedByHand: true } : {}),
      ...(fence === null ? {} : { fence }),
      ...(alive !== null && (this.#server.clientsOut ?? (await this.#within(this.#clientsOut(), leftMs(), false)))
        ? { clientsOut: true }
        : {}),
    };
    const timelineFingerprint = await this.#within(this.#timelineFingerprint(facts), leftMs(), null);
    return timelineFingerprint === null ? facts : { ...facts, timelineFingerprint };
  }

  /** An agent before this one may have started it so. */
  async #clientsOut(): Promise<boolean> {
    const found = await isGateClosed(this.#server.settings);
    this.#server.clientsOut ??= found;
    return this.#server.clientsOut;
  }

  /** Files that this agent has written are an agent's work from then on. */
  async #unmanaged(): Promise<boolean> {
    const { role, settings } = this.#server;
    if (role !== null || this.#managed) return false;
    this.#managed = await isManaged(settings);
    return !this.#managed;
  }

  async #timelineFingerprint(facts: PostgresFacts): Promise<string | null> {
    const { settings, walSegmentBytes } = this.#server;
    const start = timelineStart(facts);
    const end = localPosition(facts)?.lsn ?? null;
    if (start === null || end === null || walSegmentBytes === null || !goesOn(start, end)) return null;
    try {
      return await this.#server.timelineFingerprint.read(settings.postgresql.dataDir, start, walSegmentBytes);
    } catch (error) {
      this.#complain(error);
      return null;
    }
  }

  #without(postmaster: HeldProcess, state: Answer['state']): Answer {
    const systemIdentifier = this.#identity?.startTicks === postmaster.startTicks ? this.#identity.systemIdentifier : null;
    return { state, sql: null, systemIdentifier };
  }

  async #ask(postmaster: HeldProcess, timeoutMs: number): Promise<Answer> {
    const without = (state: Answer['state']) => this.#without(postmaster, state);
    if (postmaster.state() === 'stopped') return without('unresponsive');
    try {
      const { sql, systemIdentifier } = await this.#sqlFacts(postmaster, timeoutMs);
      this.#identity = { startTicks: postmaster.startTicks, systemIdentifier };
      this.#lastComplaint = '';
      const { lockedOut } = this.#server.heartbeat;
      return { state: 'running', sql, systemIdentifier, ...(lockedOut !== null && { lockedOut }) };
    } catch (error) {
      const state = stateByError(error);
      if (state === 'running' && isTurnedAway(error)) {
        const lockedOut = refusalText(error);
        return { ...without(state), lockedOut, refusal: lockedOut };
      }
      if (state !== 'starting') this.#complain(error);
      return state === 'running' ? { ...without(state), refusal: refusalText(error) } : without(state);
    }
  }

  async #sqlFacts(postmaster: HeldProcess, timeoutMs: number): Promise<{ sql: SqlFacts; systemIdentifier: string }> {
    const { clock, heartbeat, settings } = this.#server;
    const deadline = clock.monotonicMs() + timeoutMs;
    const { row, identity } = await heartbeat.facts(settings, timeoutMs);
    const facts = readFacts(row, identity.server_version);
    this.#server.walSegmentBytes = identity.wal_segment_bytes;
    const hasNames = facts.synchronousStandbyNames !== '';
    if (!hasNames) this.#server.namesObeyed = false;
    const obeysSyncNames = !hasNames || this.#server.namesObeyed;
    const leftMs = Math.max(1, deadline - clock.monotonicMs());
    const key = `${postmaster.startTicks} ${row.conf_load_time}`;
    const major = Math.floor(identity.server_version / 10_000);
    const pendingRestart = await this.#pending.read(heartbeat, settingsInRole(this.#server), major, key, leftMs);
    let timeline = facts.timeline;
    if (facts.inRecovery && timeline === null) {
      const position = maxLsn(facts.receiveLsn, facts.replayLsn);
      const bySegment = await timelineOfWal(settings.postgresql.dataDir, position, identity.wal_segment_bytes).catch(() => null);
      timeline = Math.max(bySegment ?? 0, row.control?.timeline ?? 0) || null;
    }
    const pausedByLimits = mayBeLimits(facts, major) && (await this.#pausedByLimits(Math.max(1, deadline - clock.monotonicMs())));
    const sql = { ...facts, timeline, pendingRestart, obeysSyncNames, ...(pausedByLimits ? { pausedByLimits } : {}) };
    return { sql, systemIdentifier: identity.system_identifier };
  }

  async #pausedByLimits(timeoutMs: number): Promise<boolean> {
    const { heartbeat } = this.#server;
    const control = await this.#readControl(timeoutMs);
    return isPausedByLimits(control, (text, values) => heartbeat.query<RunningLimit>(text, [...values], timeoutMs));
  }

  async #controlData(directory: DataDirFacts, needed: boolean, timeoutMs: number): Promise<ControlData | null> {
    const halfMade = directory.incompleteWork === 'bootstrap' || directory.incompleteWork === 'clone';
    return !needed || directory.major === null || halfMade ? null : this.#readControl(timeoutMs);
  }

  async #readControl(timeoutMs: number): Promise<ControlData | null> {
    const { settings, runAs, control } = this.#server;
    const program = binary(settings, 'pg_controldata');
    try {
      return await this.#within(control.read(settings.postgresql.dataDir, program, runner(runAs), timeoutMs), timeoutMs, null);
    } catch (error) {
      this.#complain(error);
      return null;
    }
  }

  #localHistory(timeline: Timeline | null): Promise<readonly HistoryEntry[]> {
    return this.#readOr([], () => this.#server.history.read(this.#server.settings.postgresql.dataDir, timeline));
  }

  async #aimsAt(timeline: Timeline | null): Promise<TimelineKnown | null> {
    if (timeline === null) return null;
    return this.#readOr(null, () => this.#server.history.latest(this.#server.settings.postgresql.dataDir, timeline));
  }

  async #readOr<T>(otherwise: T, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      this.#complain(error);
      return otherwise;
    }
  }

  #trimNowAndThen(): void {
    const now = this.#server.clock.monotonicMs();
    if (now - this.#trimmedAtMs < TRIM_EVERY_MS) return;
    this.#trimmedAtMs = now;
    trimOutput(this.#server).catch((error) => this.#complain(error));
  }

  /**
   * A disk that hangs must not hang the round. The work goes on in the thread pool; its late result
   * is dropped.
   */
  #within<T>(work: Promise<T>, timeoutMs: number, otherwise: T): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = this.#server.clock.timer(timeoutMs, () => resolve(otherwise));
      work.then(resolve, reject).finally(cancel);
    });
  }

  /** Logs once a reason, not once a round. */
  #complain(error: unknown): void {
    const { message } = ensureError(error);
    if (message === this.#lastComplaint) return;
    this.#lastComplaint = message;
    const mend = error instanceof RegentError ? error.mend : null;
    this.#server.log.warning(`PostgreSQL cannot be observed: ${message}`, mend === null ? {} : { mend });
  }
}

/**
 * A server that starts, recovers or shuts down answers cannot_connect_now (57P03) or has its door
 * closed. 57P01 and 57P02 come from one that is about to shut down. Any other answer (a wrong
 * password, too many connections) is an answer nevertheless: the server runs, though its facts stay
 * unknown.
 */
export function stateByError(error: unknown): Answer['state'] {
  if (isTimeout(error)) return 'unresponsive';
  // Ours has not opened its port yet, and another server listens on it.
  if (codeOf(error) === 'PG_ANOTHER_SERVER') return 'starting';
  const state = sqlState(error);
  if (state !== null) return STARTING_STATES.has(state) ? 'starting' : 'running';
  const code = systemCode(error);
  return (code !== null && CLOSED_DOOR.has(code)) || /Connection terminated/.test(ensureError(error).message) ? 'starting' : 'running';
}

const CLOSED_DOOR = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'EPIPE']);

function baseBackupOf(
  { backupLabel, state, incompleteWork }: DataDirFacts,
  control: ControlData | null,
): Pick<PostgresFacts, 'baseBackup'> {
  // A half-made directory says so itself.
  if (control === null || (state !== 'valid' && incompleteWork !== 'rewind')) return {};
  const label = backupLabel === undefined ? null : parseBackupLabel(backupLabel);
  if (label !== null) return { baseBackup: { timeline: label.timeline, checkpointLsn: label.checkpointLsn } };
  if (backupLabel === undefined && control.backupUnfinished !== true) return {};
  return { baseBackup: { timeline: control.timeline, checkpointLsn: control.checkpointLsn } };
}

function stoppedTimeline(control: ControlData): Timeline {
  return Math.max(control.timeline, control.minRecoveryTimeline ?? 0);
}

function controlFacts(control: ControlData): ControlFacts {
  const { limits: _limits, walSegmentBytes: _bytes, ...facts } = control;
  return facts;
}

/** What it has on its disk is replayed first, which may bring it to a later timeline. */
const getsNoWal = (sql: SqlFacts | null): boolean =>
  sql?.inRecovery === true && sql.replaying !== true && sql.receiver?.status !== 'streaming';
