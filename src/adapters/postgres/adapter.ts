/**
 * The Postgres port on a real server. Settings and shared state are kept here; each operation has a
 * file of its own.
 */
import type { Client } from 'pg';
import type { CallbackAction, ServerRole, Source } from '../../core/effects.ts';
import type { PostgresFacts, SourceHistory, TimelineStart, WalEnd } from '../../core/postgres-facts.ts';
import type { FenceMark } from '../../core/quorum/fence-mark.ts';
import type { Settings } from '../../core/settings.ts';
import type { LogicalSlot, LogicalWork } from '../../core/slots/logical-work.ts';
import type { Timeline } from '../../core/units.ts';
import type { Gucs } from '../../pgconf/guc.ts';
import type { Complaint } from '../../pgconf/guc-complaints.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Tether } from '../../ports/guard.ts';
import type { Log } from '../../ports/log.ts';
import type { ApplyOutcome, Bounded, Postgres, SlotCopy, StopOptions } from '../../ports/postgres.ts';
import { codeOf, ensureError, RegentError } from '../../support/errors.ts';
import { removeLaterHistories } from './abandoned-timelines.ts';
import { BeforeStop } from './before-stop.ts';
import { askPrePromote, Callbacks } from './callbacks.ts';
import { openGate, removeGate } from './client-gate.ts';
import { type CloneOptions, clone } from './clone.ts';
import { ConfWriter } from './conf-writer.ts';
import { clearIncomplete, inspectDataDir } from './data-dir.ts';
import { clearMark, setMark } from './directory-mark.ts';
import { DiskTrial } from './disk-trial.ts';
import { endWalsenders } from './fast-shutdown.ts';
import { Heartbeat } from './heartbeat.ts';
import { endLeftoverTools } from './leftover-tools.ts';
import { exportKerberosName } from './libpq-environment.ts';
import { depsOf, type LocalServer, newReaders, type RunAs, runner } from './local-server.ts';
import { workLogicalSlots } from './logical-slots.ts';
import { type BootstrapOptions, bootstrapServer } from './new-cluster.ts';
import { namesInFiles } from './origin.ts';
import { judgeParameters } from './parameter-judge.ts';
import { checkRemake, sayTroubles } from './place-check.ts';
import { PostmasterWatch } from './postmaster.ts';
import { Probe } from './probe.ts';
import { serverPrograms } from './programs.ts';
import { promoteServer } from './promote.ts';
import { endReceiver } from './receiver.ts';
import { applyConfig, setSynchronousNames } from './reload.ts';
import { removeDirectory } from './removal.ts';
import { compare, rewind } from './rewind.ts';
import { Room } from './room.ts';
import { ServerLog } from './server-log.ts';
import { fetchSlots, placeSlots, removeSlots } from './slot-copies.ts';
import { endWalsender, type SlotPlan, syncSlots } from './slots.ts';
import { socketTrouble } from './sockets.ts';
import { hasEnd } from './source-end.ts';
import { askSource } from './source-history.ts';
import { SourceTrouble } from './source-trouble.ts';
import type { WalPlace } from './source-wal.ts';
import { type StartOptions, startServer } from './start.ts';
import { endLeftovers, stopServer } from './stop.ts';
import { askFingerprint, hasTimeline } from './timeline-fingerprint.ts';
import { refuseUnexplained } from './unexplained.ts';

export interface PostgresOptions {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly log: Log;
  /**
   * Where the server's early output goes when log.dir is not set; default: beside the data
   * directory.
   */
  readonly stateDir?: string;
  /**
   * User PostgreSQL and its programs run as; default: the agent's own. Only root may choose
   * another.
   */
  readonly runAs?: RunAs;
  /** Ties PostgreSQL to its guard and this agent; default: it is started without. */
  readonly tether?: Tether;
}

export function createPostgres(options: PostgresOptions): Postgres {
  return new PostgresAdapter(options);
}

class PostgresAdapter implements Postgres {
  readonly #server: LocalServer;
  readonly #probe: Probe;
  readonly #callbacks: Callbacks;
  readonly #trouble: SourceTrouble;
  readonly #serverLog: ServerLog;
  readonly #room: Room;
  readonly #disk: DiskTrial;
  #placeSaid = false;

  constructor(options: PostgresOptions) {
    const { settings, clock, log } = options;
    const runAs = options.runAs ?? null;
    exportKerberosName(settings);
    const beforeStop = new BeforeStop();
    const watch = new PostmasterWatch(clock, () => serverPrograms(this.#server.settings));
    this.#server = {
      settings,
      clock,
      log,
      runAs,
      tether: options.tether ?? null,
      syncNames: null,
      role: null,
      filesFor: null,
      owesReload: true,
      namesObeyed: false,
      reloadAsked: false,
      walSegmentBytes: null,
      clientsOut: null,
      stateDir: options.stateDir ?? null,
      watch,
      heartbeat: new Heartbeat(clock, (stands) => watch.connection(stands)),
      writer: new ConfWriter({ run: runner(runAs), log, runAs }),
      beforeStop: (timeoutMs) => beforeStop.run(this.#server, timeoutMs),
      ...newReaders(),
    };
    this.#probe = new Probe(this.#server);
    this.#callbacks = new Callbacks(this.#server);
    this.#trouble = new SourceTrouble(clock, log, () => this.#server.settings.local);
    this.#serverLog = new ServerLog(this.#server);
    this.#room = new Room(clock);
    this.#disk = new DiskTrial(clock);
  }

  configure(settings: Settings): void {
    this.#server.settings = settings;
    exportKerberosName(settings);
  }

  reloadAsked(): void {
    this.#server.reloadAsked = true;
  }

  async observe(options: { readonly timeoutMs: number }): Promise<PostgresFacts> {
    this.#sayPlace();
    const seen = await this.#probe.observe(options.timeoutMs);
    const { settings, walSegmentBytes, filesFor } = this.#server;
    const facts = settings.byRole === undefined ? seen : { ...seen, filesFor };
    const phase = this.#trouble.phase(facts);
    if (phase === 'begins') await this.#serverLog.begin();
    const words = phase === 'stalls' ? await this.#serverLog.words() : null;
    const { role } = this.#server;
    const standby = role?.kind === 'standby' ? role : null;
    const told = this.#trouble.complete(facts, standby?.source ?? null, words);
    const complete = standby?.patient === true ? { ...told, retriesPatiently: true as const } : told;
    if (facts.sql?.inRecovery === false) {
      const diskWaitsMs = this.#disk.look(settings.postgresql.dataDir, facts.sql.flushLsn);
      return diskWaitsMs === null ? complete : { ...complete, diskWaitsMs };
    }
    if (facts.sql === null) return complete;
    const promotionTrouble = await this.#room.trouble(settings.postgresql.dataDir, walSegmentBytes);
    return promotionTrouble === null ? complete : { ...complete, promotionTrouble };
  }

  onPostmasterGone(listener: () => void): void {
    this.#server.watch.onGone(listener);
  }

  async apply(role: ServerRole, options: Bounded & { readonly only?: 'role' }): Promise<ApplyOutcome> {
    await this.#adoptNames(role);
    return applyConfig(this.#server, role, options);
  }

  judgeParameters(parameters: Gucs, options: Bounded): Promise<readonly Complaint[] | null> {
    return judgeParameters(this.#server, parameters, options);
  }

  setSyncNames(value: string | null, options: Bounded): Promise<void> {
    return setSynchronousNames(this.#server, value, options);
  }

  async start(role: ServerRole, options: StartOptions): Promise<Pick<ApplyOutcome, 'notWritten'>> {
    await this.#adoptNames(role);
    return startServer(this.#server, role, options);
  }

  stop(mode: 'fast' | 'immediate', options: StopOptions): Promise<void> {
    return stopServer(this.#server, mode, options);
  }

  endWalsenders(pids: readonly number[], options: Bounded): Promise<void> {
    return this.#withClient('Regent walsenders', options, (client) => endWalsenders(this.#server.clock, client, pids, options));
  }

  promote(options: Bounded): Promise<void> {
    return promoteServer(this.#server, options);
  }

  async checkpoint(options: Bounded): Promise<void> {
    const { heartbeat, settings } = this.#server;
    await heartbeat.use(settings, { ...options, applicationName: 'Regent checkpoint', long: true }, (client) => client.query('CHECKPOINT'));
  }

  async resumeReplay(options: Bounded): Promise<void> {
    try {
      await this.#statement('SELECT pg_wal_replay_resume()', 'Regent resume', options);
    } catch (error) {
      if (codeOf(error) !== null) throw error;
      // When a limit is too low for the WAL, PostgreSQL ends at this call, before it has answered.
      const message = `PostgreSQL ended when the agent resumed its WAL replay: ${ensureError(error).message}`;
      throw new RegentError('PG_UNREACHABLE', message, { policy: 'transient', cause: error });
    }
  }

  bootstrap(options: BootstrapOptions): Promise<{ readonly systemIdentifier: string }> {
    this.#forgetFiles();
    return bootstrapServer(this.#server, options);
  }

  async markPublished(): Promise<void> {
    const { dataDir } = this.#server.settings.postgresql;
    const { state, incompleteWork } = await inspectDataDir(dataDir);
    // What any other mark says stays true.
    if (incompleteWork === 'publication') await clearIncomplete(dataDir);
    else if (state !== 'valid') throw new RegentError('DATA_DIR_UNUSABLE', `${dataDir} is ${state}: there is nothing to publish`);
  }

  markCaughtUp(): Promise<void> {
    return clearMark(this.#server.settings.postgresql.dataDir, 'restored');
  }

  markStrayed(strayed: boolean): Promise<void> {
    const { dataDir } = this.#server.settings.postgresql;
    return strayed ? setMark(dataDir, 'strayed') : clearMark(dataDir, 'strayed');
  }

  markOpenedByHand(opened: boolean): Promise<void> {
    const { dataDir } = this.#server.settings.postgresql;
    return opened ? setMark(dataDir, 'opened-by-hand') : clearMark(dataDir, 'opened-by-hand');
  }

  markFence(mark: FenceMark | null): Promise<void> {
    return this.#server.fence.write(this.#server.settings.postgresql.dataDir, mark);
  }

  admitClients(options: Bounded): Promise<void> {
    return openGate(this.#server, options);
  }

  async clone(source: Source | null, options: CloneOptions): Promise<void> {
    await this.#takeDirectory('a clone', options);
    await clone(depsOf(this.#server), source, options);
  }

  async rewind(source: Source, options: Bounded): Promise<void> {
    await this.#takeDirectory('pg_rewind', options);
    await rewind(depsOf(this.#server), source, options);
  }

  async compare(source: Source, options: Bounded): Promise<void> {
    await this.#takeDirectory('a comparison', options);
    await compare(depsOf(this.#server), source, options);
  }

  async endWalsender(pid: number, name: string, options: Bounded): Promise<void> {
    await this.#withClient('Regent walsender', options, (client) => endWalsender(client, pid, name));
  }

  async endReceiver(pid: number): Promise<void> {
    endReceiver(this.#server, pid);
  }

  async syncSlots(plan: SlotPlan, options: Bounded): Promise<void> {
    const failures = await this.#withClient('Regent slots', options, (client) => syncSlots(client, plan, this.#server.log));
    if (failures.length === 0) return;
    const list = failures.map(({ slot, action, message }) => `${action} ${slot}: ${message}`).join('; ');
    throw new RegentError('SLOTS_FAILED', `not all replication slots could be brought in order: ${list}`, { policy: 'transient' });
  }

  workLogicalSlots(work: LogicalWork, options: Bounded): ReturnType<Postgres['workLogicalSlots']> {
    return workLogicalSlots(this.#server, work, options);
  }

  fetchSlots(leader: Source, wanted: readonly LogicalSlot[], options: Bounded): Promise<readonly SlotCopy[]> {
    return fetchSlots(this.#server, leader, wanted, options);
  }

  placeSlots(copies: readonly SlotCopy[]): Promise<readonly string[]> {
    return placeSlots(this.#server, copies);
  }

  removeSlots(names: readonly string[]): Promise<void> {
    return removeSlots(this.#server, names);
  }

  forgetTimelines(after: Timeline): Promise<readonly string[]> {
    return removeLaterHistories(this.#server.settings.postgresql.dataDir, after);
  }

  checkRemake(cluster: string | null): Promise<void> {
    return checkRemake(depsOf(this.#server), cluster);
  }

  async removeDataDirectory(options: Bounded & { readonly keepAside: boolean }): Promise<void> {
    await this.#takeDirectory('a removal', options);
    await removeDirectory(this.#server, options.keepAside);
  }

  async sourceHistory(source: Source, options: Bounded & { readonly own?: TimelineStart; readonly end?: WalEnd }): Promise<SourceHistory> {
    const { settings } = this.#server;
    try {
      const { history, missing } = await askSource(settings, source, { ...options, wants: this.#wantedFrom(source) });
      this.#trouble.answered(source, missing);
      const timelineFingerprint = options.own === undefined ? null : await this.#sourceFingerprint(source, history, options.own, options);
      const hasOurEnd = options.end === undefined ? null : await hasEnd(this.#server, source, history, options.end, options);
      return { ...history, ...(timelineFingerprint === null ? {} : { timelineFingerprint }), ...(hasOurEnd === null ? {} : { hasOurEnd }) };
    } catch (error) {
      if (!options.signal?.aborted) this.#trouble.failed(source, error, settings.postgresql.replication.username);
      throw error;
    }
  }

  runCallback(action: CallbackAction, role: string): Promise<void> {
    return this.#callbacks.run(action, role);
  }

  prePromote(options: Bounded): Promise<boolean> {
    return askPrePromote(this.#server, options);
  }

  async close(): Promise<void> {
    this.#server.watch.close();
    this.#server.heartbeat.reset();
  }

  /** Only the source that this standby is told to follow is asked as a walreceiver asks. */
  #wantedFrom(source: Source): WalPlace | null {
    const { role, walSegmentBytes } = this.#server;
    const follows = role?.kind === 'standby' && role.source?.name === source.name;
    const place = follows && walSegmentBytes !== null ? this.#trouble.wants() : null;
    return place === null || walSegmentBytes === null ? null : { ...place, segmentBytes: walSegmentBytes };
  }

  async #sourceFingerprint(source: Source, history: SourceHistory, own: TimelineStart, options: Bounded): Promise<string | null> {
    const { walSegmentBytes, log } = this.#server;
    if (walSegmentBytes === null || !hasTimeline(history, own)) return null;
    try {
      return await askFingerprint(depsOf(this.#server), source, own, walSegmentBytes, options);
    } catch (error) {
      // Without it the histories are compared alone, as pg_rewind and PostgreSQL do.
      log.debug(`${source.name} does not tell with what its timeline ${own.timeline} begins: ${ensureError(error).message}`);
      return null;
    }
  }

  /**
   * What the decision says about synchronous_standby_names counts; a primary must never open with
   * less than /sync relies on.
   */
  async #adoptNames(role: ServerRole): Promise<void> {
    if (role.kind !== 'primary') return;
    if (role.syncNames !== undefined) this.#server.syncNames = role.syncNames;
    // A primary does not let the agent in: its files say what is in force.
    else this.#server.syncNames ??= await namesInFiles(this.#server.settings);
  }

  /** Makes sure that nobody else works in it, and forgets what was known of its files. */
  async #takeDirectory(what: string, options: Bounded): Promise<void> {
    const { clock, settings, watch } = this.#server;
    const { dataDir } = settings.postgresql;
    const running = watch.current(dataDir);
    if (running) {
      const message = `PostgreSQL runs (pid ${running.pid}): its data directory must not be touched by ${what}`;
      throw new RegentError('PG_RUNNING', message, { policy: 'transient', mend: 'stop it first' });
    }
    await endLeftovers(this.#server, clock.monotonicMs() + options.timeoutMs);
    refuseUnexplained(this.#server, what);
    await endLeftoverTools(clock, dataDir, options.timeoutMs);
    await removeGate(settings);
    this.#forgetFiles();
  }

  /** What is wrong with the places in the configuration, once. */
  #sayPlace(): void {
    if (this.#placeSaid) return;
    this.#placeSaid = true;
    const { settings, log, runAs } = this.#server;
    void sayTroubles({ settings, log, owner: runAs, socket: socketTrouble(settings) });
  }

  #forgetFiles(): void {
    this.#server.history.forget();
    this.#server.timelineFingerprint.forget();
    this.#server.role = null;
    this.#server.filesFor = null;
  }

  #statement(text: string, applicationName: string, options: Bounded): Promise<unknown> {
    return this.#withClient(applicationName, options, (client) => client.query(text));
  }

  #withClient<T>(applicationName: string, options: Bounded, work: (client: Client) => Promise<T>): Promise<T> {
    return this.#server.heartbeat.use(this.#server.settings, { ...options, applicationName }, work);
  }
}
