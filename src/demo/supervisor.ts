/**
 * Keeps the processes of a demo. It starts them, restarts what dies by itself (a bounded number of
 * times), and leaves alone what its user stopped or killed. It stops everything in an order that
 * causes no failover.
 *
 * Children lead sessions of their own, so that Ctrl-C at the terminal reaches the supervisor alone.
 * Every change is written to the state file first and reported second.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { readPidFile } from '../adapters/postgres/pid-file.ts';
import { ensureError, RegentError } from '../support/errors.ts';
import { demoCommand } from './commands.ts';
import { endInOrder, killNode, signal, waitGone } from './kill.ts';
import { findLeader } from './observe.ts';
import type { DemoPlan, NodePlan } from './plan.ts';
import { identify, isAlive, nodeProcesses, type ProcessIdentity } from './process-table.ts';
import { marksOf, type ProcessSpec } from './specs.ts';
import { type DemoState, type ProcessState, writeState } from './state.ts';

const RESTARTS_MAX = 5;
const RESTARTS_WITHIN_MS = 60_000;
const RESTART_DELAY_MS = 300;

interface Entry {
  readonly spec: ProcessSpec;
  child: ChildProcess | null;
  identity: ProcessIdentity | null;
  startedAt: number | null;
  wanted: ProcessState['wanted'];
  /** Moments of recent restarts. */
  restarts: number[];
  ended: string | null;
}

function describeEnd(code: number | null, by: NodeJS.Signals | null): string {
  return by === null ? `ended with exit code ${code}` : `was ended by ${by}`;
}

export class Supervisor {
  readonly #plan: DemoPlan;
  readonly #entries: ReadonlyMap<string, Entry>;
  readonly #report: (text: string) => void;
  #writing: Promise<void> = Promise.resolve();
  #closing: Promise<void> | null = null;

  constructor(plan: DemoPlan, specs: readonly ProcessSpec[], report: (text: string) => void) {
    this.#plan = plan;
    this.#report = report;
    this.#entries = new Map(
      specs.map((spec) => [
        spec.name,
        { spec, child: null, identity: null, startedAt: null, wanted: 'stopped', restarts: [], ended: null },
      ]),
    );
  }

  state(): DemoState {
    return {
      supervisor: identify(process.pid),
      processes: [...this.#entries.values()].map((entry) => ({
        name: entry.spec.name,
        kind: entry.spec.kind,
        identity: entry.identity,
        startedAt: entry.startedAt,
        wanted: entry.wanted,
        restarts: entry.restarts.length,
        ended: entry.ended,
      })),
    };
  }

  async startAll(): Promise<void> {
    for (const entry of this.#entries.values()) this.#launch(entry);
    await this.#save();
  }

  async startNode(name: string): Promise<string> {
    const { entry } = this.#nodeEntry(name);
    if (entry.identity && isAlive(entry.identity)) return `${name} is running already`;
    entry.restarts = [];
    this.#launch(entry);
    await this.#save();
    return `${name} is starting`;
  }

  /** In order: the agent stops its PostgreSQL, and hands leadership over first if it has it. */
  async stopNode(name: string): Promise<string> {
    const { entry, node } = this.#nodeEntry(name);
    entry.wanted = 'stopped';
    await this.#save();
    if (!entry.identity || !isAlive(entry.identity)) return `${name} is not running`;
    signal(entry.identity, 'SIGTERM');
    const inOrder = await waitGone([entry.identity], entry.spec.graceMs);
    const marks = marksOf(node, entry.identity);
    // A paused agent leaves its PostgreSQL running, but a user who stops the node wants that
    // stopped too, in good order.
    const postmaster = inOrder ? nodeProcesses(marks).find(({ pid }) => pid === readPidFile(node.dataDir)?.pid) : undefined;
    if (postmaster && signal(postmaster, 'SIGINT')) await waitGone([postmaster], entry.spec.graceMs);
    // What was not stopped in time must not go on without its agent.
    if (!inOrder || nodeProcesses(marks).length > 0) await killNode(marks);
    return inOrder ? `${name} has stopped` : `${name} did not stop within ${entry.spec.graceMs / 1000} s and was killed`;
  }

  async killNode(name: string): Promise<string> {
    const { entry, node } = this.#nodeEntry(name);
    entry.wanted = 'killed';
    await this.#save();
    const count = await killNode(marksOf(node, entry.identity));
    return count === 0 ? `${name} is not running` : `killed ${count} ${count === 1 ? 'process' : 'processes'} of ${name} with SIGKILL`;
  }

  /** Everything, once; later calls wait for the first. */
  shutdown(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Ends everything at once, when the user will not wait. */
  async abandon(): Promise<void> {
    for (const entry of this.#entries.values()) entry.wanted = 'stopped';
    for (const node of this.#plan.nodes) await killNode(marksOf(node, this.#entries.get(node.name)?.identity ?? null));
    for (const entry of this.#entries.values()) if (entry.identity) signal(entry.identity, 'SIGKILL');
  }

  async #close(): Promise<void> {
    for (const entry of this.#entries.values()) entry.wanted = 'stopped';
    await this.#save();
    const running = (kinds: readonly ProcessState['kind'][]) =>
      [...this.#entries.values()].filter((entry) => kinds.includes(entry.spec.kind) && entry.identity !== null && isAlive(entry.identity));
    const leader = await findLeader(this.#plan);
    await this.#endAll(running(['router', 'haproxy']));
    // The leader last: as long as another node could take over, its agent would hand over to it.
    await this.#endAll(running(['agent']).filter((entry) => entry.spec.name !== leader));
    await this.#endAll(running(['agent']));
    for (const node of this.#plan.nodes) await killNode(marksOf(node, null));
    // One by one: a leader whose peers are leaving with it waits seconds for one to hand over to.
    for (const entry of running(['etcd'])) await this.#endAll([entry]);
    await this.#save();
  }

  async #endAll(entries: readonly Entry[]): Promise<void> {
    const graceMs = Math.max(0, ...entries.map((entry) => entry.spec.graceMs));
    await endInOrder(
      entries.flatMap((entry) => entry.identity ?? []),
      graceMs,
    );
  }

  #nodeEntry(name: string): { readonly entry: Entry; readonly node: NodePlan } {
    const node = this.#plan.nodes.find((one) => one.name === name);
    const entry = this.#entries.get(name);
    if (!node || !entry) {
      const known = this.#plan.nodes.map((one) => one.name).join(', ');
      throw new RegentError('DEMO_NODE', `there is no node '${name}' in this demo`, { mend: `its nodes are: ${known}` });
    }
    if (this.#closing)
      throw new RegentError('DEMO_STOPPING', 'the demo is stopping', {
        mend: `start it again with: ${demoCommand('', this.#plan.directory)}`,
      });
    return { entry, node };
  }

  #launch(entry: Entry): void {
    const { spec } = entry;
    entry.wanted = 'running';
    entry.ended = null;
    const log = openSync(spec.logFile, 'a', 0o600);
    try {
      const child = spawn(spec.file, [...spec.args], { cwd: spec.cwd, env: { ...spec.env }, detached: true, stdio: ['ignore', log, log] });
      entry.child = child;
      entry.identity = child.pid === undefined ? null : identify(child.pid);
      entry.startedAt = Date.now();
      child.on('error', (error) => void this.#onEnd(entry, child, `could not be started: ${error.message}`, null));
      child.on('exit', (code, by) => void this.#onEnd(entry, child, describeEnd(code, by), by));
    } catch (error) {
      void this.#onEnd(entry, entry.child, `could not be started: ${ensureError(error).message}`, null);
    } finally {
      closeSync(log);
    }
  }

  async #onEnd(entry: Entry, child: ChildProcess | null, how: string, by: NodeJS.Signals | null): Promise<void> {
    if (entry.child !== child) return;
    const { name, kind } = entry.spec;
    entry.child = null;
    entry.identity = null;
    entry.startedAt = null;
    entry.ended = how;
    if (entry.wanted !== 'running') return this.#save();
    // Somebody's kill is an experiment with the node, not a failure of ours to mend.
    if (kind === 'agent' && by !== null) {
      entry.wanted = 'killed';
      this.#report(`${name} ${how}; bring it back with: ${demoCommand(`start ${name}`, this.#plan.directory)}`);
      return this.#save();
    }
    const now = Date.now();
    entry.restarts = entry.restarts.filter((moment) => now - moment < RESTARTS_WITHIN_MS);
    if (entry.restarts.length >= RESTARTS_MAX) {
      entry.wanted = 'stopped';
      this.#report(`${name} ${how}, ${RESTARTS_MAX + 1} times within a minute; given up. Its log: ${entry.spec.logFile}`);
      return this.#save();
    }
    entry.restarts.push(now);
    this.#report(`${name} ${how}; restarting it`);
    await this.#save();
    await sleep(RESTART_DELAY_MS * entry.restarts.length);
    if (entry.wanted === 'running' && entry.child === null) this.#launch(entry);
    await this.#save();
  }

  /**
   * Writes are queued, so that the last state is what stays. A full disk must not take the demo
   * down.
   */
  #save(): Promise<void> {
    this.#writing = this.#writing
      .then(() => writeState(this.#plan.directory, this.state()))
      .catch((error: unknown) => this.#report(`the state file could not be written: ${ensureError(error).message}`));
    return this.#writing;
  }
}
