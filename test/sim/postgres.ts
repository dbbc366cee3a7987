/** The Postgres port of one agent over the model of its server, in the steps of the adapter. */
import type { CallbackAction, ServerRole, Source } from '../../src/core/effects.ts';
import type { PostgresFacts, SourceHistory } from '../../src/core/postgres-facts.ts';
import type { FenceMark } from '../../src/core/quorum/fence-mark.ts';
import type { Settings } from '../../src/core/settings.ts';
import { slotNameOf } from '../../src/core/slot-names.ts';
import { type Clock, sleep } from '../../src/ports/clock.ts';
import type { ApplyOutcome, Bounded, Postgres, StopOptions } from '../../src/ports/postgres.ts';
import { RegentError } from '../../src/support/errors.ts';
import type { Gate, Simulation } from './clock.ts';
import { factsOf } from './facts.ts';
import { admitClients } from './postgres/admission.ts';
import { Connection } from './postgres/connection.ts';
import { Drain } from './postgres/fast-shutdown.ts';
import { accessFiles, writeFiles } from './postgres/files.ts';
import { Obedience } from './postgres/obedience.ts';
import { compare, hidesTimeline, isContained, needsRewind, refuse, settle } from './postgres/rewind.ts';
import { syncSlots } from './postgres/slots.ts';
import { type Asked, askHistory } from './postgres/source-history.ts';
import { forgetTimelines } from './postgres/timelines.ts';
import { step, transfer, transient } from './postgres/transfer.ts';
import type { Configured, SimServer } from './server.ts';

export interface PostgresParts {
  readonly sim: Simulation;
  readonly server: SimServer;
  readonly clock: Clock;
  readonly gate: Gate;
  readonly find: (host: string) => SimServer | null;
  readonly newSystemId: () => string;
  readonly trace: (line: string) => void;
  readonly told: (action: CallbackAction, role: string) => void;
}

const LOOK_MS = 10;
/** How often a signal tries a process that stands still. */
const STILL_MS = 100;

const notModelled = (): Promise<never> => Promise.reject(new Error('the model has no logical slots'));

export class SimPostgres implements Postgres {
  readonly #parts: PostgresParts;
  readonly #stopListening: () => void;
  readonly #listeners: Array<() => void> = [];
  readonly #connection: Connection;
  readonly #obedience: Obedience;
  /**
   * null: the user's own value, which is empty here; undefined: what a predecessor wrote stands.
   */
  #syncNames: string | null | undefined = undefined;
  #useSlots = true;
  /**
   * The server may not have been told of what is in its files: they changed without a signal since,
   * or a predecessor wrote them.
   */
  #owesReload = true;

  constructor(parts: PostgresParts) {
    this.#parts = parts;
    const { server, gate, sim } = parts;
    this.#connection = new Connection(server, parts.clock);
    this.#obedience = new Obedience(parts);
    const gone = () => void sim.after(server.parts.rng.between(0.5, 100), () => gate.deliver('message', () => this.#tellGone()));
    server.onGone.add(gone);
    this.#stopListening = () => server.onGone.delete(gone);
  }

  configure(settings: Settings): void {
    this.#useSlots = settings.dynamic.useSlots;
  }

  reloadAsked(): void {}

  judgeParameters = async (): Promise<null> => null;

  observe(options: { readonly timeoutMs: number }): Promise<PostgresFacts> {
    const { server, sim, gate, clock } = this.#parts;
    return new Promise((resolve) => {
      const silent = server.process?.hung === true || server.process?.postmasterHung === true;
      const cancel = clock.timer(options.timeoutMs, () => resolve(factsOf(server, 'unresponsive')));
      if (silent) return;
      sim.after(server.parts.rng.between(1, 8), () => {
        const facts = this.#obedience.through(this.#connection.through(factsOf(server)));
        gate.deliver('message', () => {
          cancel();
          resolve(facts);
        });
      });
    });
  }

  onPostmasterGone(listener: () => void): void {
    this.#listeners.push(listener);
  }

  async apply(role: ServerRole, options: Bounded & { readonly only?: 'role' }): Promise<ApplyOutcome> {
    const { server } = this.#parts;
    this.#adopt(role);
    const changed = writeFiles(server, this.#configured(role));
    this.#owesReload ||= changed;
    this.#obedience.saw(server.file.syncNames);
    const notWritten = options.only === 'role' ? [] : accessFiles(server);
    if (!this.#owesReload || server.process === null) return { changed, reloaded: false, notWritten };
    await this.#reload(options);
    return { changed, reloaded: true, notWritten };
  }

  async setSyncNames(value: string | null, options: Bounded): Promise<void> {
    const { server } = this.#parts;
    if (value === null || server.process === null) this.#syncNames = value;
    if (server.process === null) return;
    this.#connection.need();
    if (server.process.hung || server.process.postmasterHung) await step(this.#parts, options.timeoutMs + 1, options, 'PG_UNREACHABLE');
    const before = server.live.syncNames;
    const names = value ?? '';
    this.#obedience.saw(before);
    this.#obedience.saw(names);
    this.#syncNames = value;
    const changed = writeFiles(server, { ...server.file, syncNames: names });
    const glances = value !== null && !changed && before === names;
    if (glances) await step(this.#parts, server.parts.rng.between(3, 15), options, 'PG_RELOAD_TIMEOUT');
    else await this.#reload(options);
    if (names !== '') await this.#obedience.until(options, glances ? 'glance' : 'changed');
  }

  async start(role: ServerRole, options: Bounded & { readonly clientsOut?: boolean }): Promise<Pick<ApplyOutcome, 'notWritten'>> {
    const { server, clock } = this.#parts;
    this.#adopt(role);
    await step(this.#parts, 5, options);
    if (server.process !== null || server.pidTaken) throw transient('PG_RUNNING', 'PostgreSQL is running already');
    writeFiles(server, this.#configured(role));
    if (role.kind === 'standby' && role.source !== null) server.parts.tell(server, 'starting');
    if (!server.start(role, false, options.clientsOut === true))
      throw new RegentError('DATA_DIR_UNUSABLE', `no usable data directory (${server.dir})`);
    const { process } = server;
    this.#owesReload = false;
    this.#obedience.started(server.file.syncNames);
    const deadline = clock.monotonicMs() + options.timeoutMs;
    for (;;) {
      if (server.process !== process) throw transient('PG_START_FAILED', 'PostgreSQL ended while starting');
      if (options.signal?.aborted) throw transient('PG_START_ABORTED', 'the start was called off');
      if (server.running) {
        this.#connection.renew();
        // The rules that keep clients out may be what keeps the agent out.
        if (server.lockedOut) admitClients(server);
        return { notWritten: accessFiles(server) };
      }
      if (clock.monotonicMs() >= deadline) throw transient('PG_START_TIMEOUT', 'PostgreSQL does not accept connections');
      await sleep(clock, LOOK_MS, options.signal);
    }
  }

  async stop(mode: 'fast' | 'immediate', options: StopOptions): Promise<void> {
    const { server, clock } = this.#parts;
    const { process } = server;
    if (process === null || process === server.unseen) return;
    const deadline = clock.monotonicMs() + options.timeoutMs;
    const reserveMs = Math.min(1500, options.timeoutMs * 0.3);
    if (mode === 'fast') {
      const drain = options.successors === undefined ? null : new Drain(server, clock, options.successors, () => options.onClosed?.());
      server.stopFast();
      if (await this.#untilGone(deadline - reserveMs, drain)) return;
    }
    if (server.process !== process) return;
    server.stopImmediate(20);
    if (await this.#untilGone(Math.max(deadline, clock.monotonicMs() + 500))) return;
    throw transient('PG_STOP_FAILED', 'processes of PostgreSQL are left');
  }

  async endWalsenders(pids: readonly number[], options: Bounded): Promise<void> {
    await step(this.#parts, 3, options);
    const { server } = this.#parts;
    this.#connection.need();
    if (server.accepts) server.replication.end(pids);
  }

  async promote(options: Bounded): Promise<void> {
    const { server, clock } = this.#parts;
    const { process } = server;
    const deadline = clock.monotonicMs() + options.timeoutMs;
    if (process === null) throw transient('PROMOTE_FAILED', 'PostgreSQL is not running');
    await step(this.#parts, 2, options);
    server.promote();
    while (server.inRecovery || server.process !== process) {
      if (server.process !== process) throw transient('PROMOTE_FAILED', 'PostgreSQL ended while being promoted');
      if (options.signal?.aborted || clock.monotonicMs() >= deadline)
        throw transient('PROMOTE_TIMEOUT', 'PostgreSQL is still in recovery after the promotion was asked for');
      await sleep(clock, LOOK_MS, options.signal);
    }
  }

  async checkpoint(options: Bounded): Promise<void> {
    const { server } = this.#parts;
    const { process } = server;
    if (process === null) throw transient('PG_UNREACHABLE', 'PostgreSQL is not running');
    this.#connection.renew();
    this.#connection.need();
    await step(this.#parts, server.draw(server.durations.checkpointMs), options);
    while (server.process === process && server.diskHung) await step(this.#parts, 500, options);
    if (server.process !== process) throw transient('PG_UNREACHABLE', 'the connection ended');
    server.checkpointed();
    this.#parts.trace(`${server.name} checkpoint`);
  }

  async resumeReplay(options: Bounded): Promise<void> {
    await step(this.#parts, 2, options);
    const { server } = this.#parts;
    this.#connection.need();
    server.resumeReplay();
  }

  async admitClients(options: Bounded): Promise<void> {
    await step(this.#parts, 3, options);
    this.#connection.need();
    admitClients(this.#parts.server);
  }

  async bootstrap(options: Bounded): Promise<{ readonly systemIdentifier: string }> {
    const { server } = this.#parts;
    if (server.process !== null || server.pidTaken)
      throw transient('PG_RUNNING', 'PostgreSQL runs: its data directory is not to be touched');
    if (server.dir === 'valid' || server.work === 'publication') throw new RegentError('BOOTSTRAP_REFUSED', 'there is data already');
    const systemIdentifier = this.#parts.newSystemId();
    server.dir = 'incomplete';
    server.work = 'bootstrap';
    await step(this.#parts, server.draw(server.durations.initdbMs), options, 'INITDB_FAILED');
    server.initialize(systemIdentifier);
    server.start({ kind: 'primary' }, true);
    while (!server.running) {
      if (server.process === null) throw transient('PG_START_FAILED', 'PostgreSQL ended while starting');
      await step(this.#parts, LOOK_MS, options, 'PG_START_ABORTED');
    }
    await step(this.#parts, 60, options, 'BOOTSTRAP_ABORTED');
    if (!server.running) throw transient('PG_UNREACHABLE', 'the connection ended');
    server.work = 'publication';
    return { systemIdentifier };
  }

  async markPublished(): Promise<void> {
    const { server } = this.#parts;
    await step(this.#parts, 2, { timeoutMs: 1000 });
    if (server.work === 'publication') Object.assign(server, { dir: 'valid', work: null });
  }

  readonly markCaughtUp = () => this.#mark({ restored: false });
  readonly markStrayed = (strayed: boolean) => this.#mark({ strayed });
  readonly markOpenedByHand = (openedByHand: boolean) => this.#mark({ openedByHand });
  readonly markFence = (fence: FenceMark | null) => this.#mark({ fence });

  async #mark(marks: Partial<Pick<SimServer, 'restored' | 'strayed' | 'openedByHand' | 'fence'>>): Promise<void> {
    await step(this.#parts, 2, { timeoutMs: 1000 });
    Object.assign(this.#parts.server, marks);
  }

  async clone(source: Source | null, options: Bounded): Promise<void> {
    const { server } = this.#parts;
    if (source === null) throw new RegentError('CLONE_FAILED', 'no method of the simulator works without a leader');
    if (server.process !== null || server.pidTaken)
      throw transient('PG_RUNNING', 'PostgreSQL runs: its data directory is not to be touched');
    if (server.dir === 'valid') throw new RegentError('CLONE_REFUSED', 'there is data already');
    server.dir = 'incomplete';
    server.work = 'clone';
    try {
      const from = await transfer(this.#parts, source, server.draw(server.durations.cloneMs), options, 'CLONE_FAILED');
      server.copyFrom(from);
      server.filesFrom = from.checkpoint.lsn;
      server.dir = 'valid';
      server.work = null;
    } catch (error) {
      server.wipe();
      throw error;
    }
  }

  async rewind(source: Source, options: Bounded): Promise<void> {
    const { server } = this.#parts;
    if (server.process !== null || server.pidTaken) throw transient('PG_RUNNING', 'PostgreSQL runs');
    const target = await settle(this.#parts, source, options);
    refuse(server, target);
    if (isContained(server, target)) {
      server.signal = true;
      return;
    }
    if (hidesTimeline(server)) server.finishRecovery();
    if (!server.controlState.startsWith('shut down')) {
      await step(this.#parts, server.draw(server.durations.crashRecoveryMs), options, 'REWIND_FAILED');
      server.finishRecovery();
    }
    server.signal = true;
    // "no rewind required": pg_rewind compares numbers only.
    if (!needsRewind(server, target)) return;
    server.dir = 'incomplete';
    server.work = 'rewind';
    const from = await transfer(this.#parts, source, server.draw(server.durations.rewindMs), options, 'REWIND_FAILED');
    const slots = new Map(server.slots);
    server.copyFrom(from);
    for (const [name, lsn] of slots) server.slots.set(name, lsn);
    server.dir = 'valid';
    server.work = null;
  }

  readonly compare = (source: Source, options: Bounded): Promise<void> => compare(this.#parts, source, options);
  async checkRemake(): Promise<void> {}
  async removeDataDirectory(options: Bounded): Promise<void> {
    const { server } = this.#parts;
    await step(this.#parts, 20, options);
    if (server.process !== null || server.pidTaken) throw transient('PG_RUNNING', 'PostgreSQL runs');
    server.wipe();
  }

  readonly sourceHistory = (source: Source, options: Asked): Promise<SourceHistory> => askHistory(this.#parts, source, options);

  endWalsender = (pid: number, _name: string, options: Bounded): Promise<void> => this.endWalsenders([pid], options);

  async endReceiver(pid: number, options: Bounded): Promise<void> {
    await step(this.#parts, 2, options);
    const { replication } = this.#parts.server;
    if (replication.receivesBy?.pid === pid) replication.stopReceiving();
  }

  async syncSlots(plan: Parameters<Postgres['syncSlots']>[0], options: Bounded): Promise<void> {
    await step(this.#parts, 2, options);
    this.#connection.need();
    syncSlots(this.#parts.server, plan);
  }

  // The options of a run have no permanent logical slots, so nobody asks for these.
  workLogicalSlots = notModelled;
  fetchSlots = notModelled;
  placeSlots = notModelled;
  removeSlots = notModelled;
  readonly forgetTimelines = () => forgetTimelines(this.#parts.server);

  async runCallback(action: CallbackAction, role: string): Promise<void> {
    const { server, trace, told } = this.#parts;
    if (server.scriptsGone) throw transient('CALLBACK_NOT_STARTED', `${action} could not be started`);
    trace(`${server.name} callback ${action} ${role}`);
    told(action, role);
  }

  async prePromote(): Promise<boolean> {
    return true;
  }

  async close(): Promise<void> {
    this.#stopListening();
  }

  #adopt(role: ServerRole): void {
    if (role.kind === 'primary' && role.syncNames !== undefined) this.#syncNames = role.syncNames;
  }

  #configured(role: ServerRole): Configured {
    const { server } = this.#parts;
    const syncNames = this.#syncNames === undefined ? server.file.syncNames : (this.#syncNames ?? '');
    const source = role.kind === 'standby' ? role.source : null;
    const slot = source?.remote ? source.remote.slot : source !== null && this.#useSlots ? slotNameOf(server.name) : null;
    return { source: source && { host: source.host, port: source.port }, syncNames, slot: slot ?? '' };
  }

  #tellGone(): void {
    for (const listener of this.#listeners) listener();
  }

  async #reload(options: Bounded): Promise<void> {
    const { server } = this.#parts;
    const { process } = server;
    await step(this.#parts, server.parts.rng.between(3, 15), options, 'PG_RELOAD_TIMEOUT');
    if (process?.hung || process?.postmasterHung) {
      // Nobody lets the adapter in, so it signals and leaves it at that. A process that stands
      // still takes the signal up when it goes on.
      await step(this.#parts, options.timeoutMs, options, 'PG_RELOAD_TIMEOUT');
      this.#owesReload = false;
      this.#reloadOnceAwake();
      return;
    }
    this.#owesReload = false;
    if (server.process !== process || !server.running) throw transient('PG_RELOAD_TIMEOUT', 'PostgreSQL did not take up its configuration');
    server.reload();
    this.#connection.filesRead();
  }

  #reloadOnceAwake(): void {
    const { server } = this.#parts;
    if (server.process?.hung || server.process?.postmasterHung) server.later(STILL_MS, () => this.#reloadOnceAwake());
    else server.reload();
  }

  async #untilGone(deadline: number, drain: Drain | null = null): Promise<boolean> {
    const { server, clock } = this.#parts;
    const { process } = server;
    while (server.process === process && process !== null) {
      if (clock.monotonicMs() >= deadline) return false;
      drain?.giveUp();
      await sleep(clock, LOOK_MS / 2);
    }
    return true;
  }
}
