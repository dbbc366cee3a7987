import { resolve } from 'node:path';
import { type Clock, sleep } from '../../ports/clock.ts';
import type { Guard, Tether } from '../../ports/guard.ts';
import type { Log } from '../../ports/log.ts';
import { codeOf, RegentError } from '../../support/errors.ts';
import { connectGuard, type GuardConnection, guardFailed } from './connection.ts';
import { findGuardScript, type GuardPlace, guardPlaces, logName, verifyPlace } from './place.ts';
import { type GuardProgram, spawnGuard } from './spawn.ts';
import { parseTether, TetherEnd, tetherWords } from './tether.ts';

const OPEN_TIMEOUT_MS = 5000;
const END_TIMEOUT_MS = 2000;
const RETRY_MS = 20;
const WORDS_MS = 2000;
/** From the start of tether.pl until it has handed the pipe over; a few milliseconds, usually. */
const HAND_OVER_MS = 1500;
const LOOK_MS = 5;
const HELLO = 'ok regent-guard 1 ';

export interface GuardOptions {
  readonly dataDir: string;
  /** Cluster and member, for the name of its log. */
  readonly label?: string;
  readonly clock: Clock;
  readonly log: Log;
  /** The user PostgreSQL runs as, when it is not the agent's own. */
  readonly runAs?: { readonly uid: number; readonly gid: number };
  /** guard.pl, when it is not beside this module. */
  readonly script?: string;
  readonly perl?: string;
  /** Names by which the server's program file may show itself (programNames). */
  readonly exeNames?: ReadonlySet<string>;
  /** From SIGQUIT to SIGKILL, in milliseconds. */
  readonly killDelayMs?: number;
}

export type GuardState = { readonly mode: 'disarmed' } | { readonly mode: 'armed' | 'fired'; readonly atBootMs: number };

/** What the guard can tell beyond the port, for status pages and tests. */
export interface PerlGuard extends Guard, Tether {
  state(options: { readonly timeoutMs: number }): Promise<GuardState>;
  /** Of the guard's process; null while there is no connection. */
  pid(): number | null;
}

/**
 * Talks to guard.pl: finds the one that runs for the data directory, or starts it. Nothing happens
 * before open() or the first order.
 */
export function createGuard(options: GuardOptions): PerlGuard {
  return new GuardClient(options);
}

class GuardClient implements PerlGuard {
  readonly #options: GuardOptions;
  readonly #gone: Array<() => void> = [];
  #connection: GuardConnection | null = null;
  #connecting: Promise<GuardConnection> | null = null;
  #pid: number | null = null;
  #leaving = false;
  #closed = false;
  /**
   * True for an agent's conversation, which holds the data directory; one that only asks does not.
   */
  #holds = false;
  /** Of the guard that is or was connected. */
  #socket = '';
  readonly #end = new TetherEnd();
  #tethered: boolean | null = null;
  /** The deadline of an earlier version's guard that was sent away; its replacement gets it. */
  #inherited: string | null = null;

  constructor(options: GuardOptions) {
    this.#options = options;
  }

  async open(): Promise<void> {
    this.#leaving = false;
    this.#closed = false;
    if (!this.#holds) {
      // A conversation that began without holding is begun again.
      this.#connection?.close();
      this.#connection = null;
    }
    this.#holds = true;
    await this.#connected();
    const state = await this.state({ timeoutMs: OPEN_TIMEOUT_MS });
    const { log, clock } = this.#options;
    if (state.mode === 'fired') {
      const secondsAgo = Math.round((clock.bootMs() - state.atBootMs) / 1000);
      log.warning(`the guard stopped PostgreSQL ${secondsAgo} s ago, because no agent had renewed its lease, and keeps it down`, {
        guardPid: this.#pid,
      });
    } else {
      log.debug(`guard ${this.#pid} is ${state.mode}`);
    }
  }

  async arm(deadlineBootMs: number, options: { readonly timeoutMs: number }): Promise<void> {
    const deadline = Math.floor(deadlineBootMs);
    const answer = await this.#order(`arm ${deadline}`, options.timeoutMs);
    if (answer === `ok armed ${deadline}`) return void this.#look();
    if (answer.startsWith('late ')) {
      throw guardFailed(
        `the deadline given to the guard has passed already (${answer})`,
        'the lease must be renewed before PostgreSQL may be writable',
      );
    }
    throw guardFailed(
      `the guard answered '${answer}' to an order to arm`,
      'end the regent-guard process of this data directory; the agent starts another',
    );
  }

  async disarm(options: { readonly timeoutMs: number }): Promise<void> {
    const answer = await this.#order('disarm', options.timeoutMs);
    if (answer !== 'ok disarmed') throw guardFailed(`the guard answered '${answer}' to an order to disarm`, 'see the log of the guard');
  }

  async state(options: { readonly timeoutMs: number }): Promise<GuardState> {
    const [mode, moment] = (await this.#order('status', options.timeoutMs)).split(' ');
    return mode === 'armed' || mode === 'fired' ? { mode, atBootMs: Number(moment) } : { mode: 'disarmed' };
  }

  async deadline(options: { readonly timeoutMs: number }): Promise<number | null> {
    const state = await this.state(options);
    return state.mode === 'disarmed' ? null : state.atBootMs;
  }

  get tethered(): boolean | null {
    return this.#tethered;
  }

  async words(): Promise<readonly string[]> {
    try {
      await this.#within(this.#connected(), WORDS_MS);
      const { perl, script } = this.#program();
      return tetherWords(perl, script, this.#socket);
    } catch {
      return [];
    }
  }

  async hold(pid: number): Promise<boolean> {
    const { clock } = this.#options;
    const end = clock.monotonicMs() + HAND_OVER_MS;
    try {
      for (; clock.monotonicMs() < end; await sleep(clock, LOOK_MS)) {
        const told = parseTether(await this.#order('tether', HAND_OVER_MS));
        if (told === null) return false;
        const { place } = told;
        if (place?.pid !== pid) continue;
        if (!this.#end.hold(place)) return false;
        return (await this.#order(`tied ${pid} ${place.fd}`, HAND_OVER_MS)) === 'ok tied';
      }
    } catch {
      return false;
    }
    return false;
  }

  onGone(listener: () => void): void {
    this.#gone.push(listener);
  }

  pid(): number | null {
    return this.#pid;
  }

  async close(options: { readonly end: boolean }): Promise<void> {
    if (this.#closed) return;
    try {
      this.#leaving = true;
      if (options.end) await this.#sendAway();
    } finally {
      this.#closed = true;
      this.#connection?.close();
      this.#connection = null;
      this.#pid = null;
      this.#end.drop();
    }
  }

  async #sendAway(): Promise<void> {
    this.#connection ??= await this.#find(this.#places());
    if (!this.#connection) return;
    const { closed } = this.#connection;
    const answer = await this.#order('end', END_TIMEOUT_MS);
    if (answer !== 'ok end') throw guardFailed(`the guard answered '${answer}' to an order to end`, 'see the log of the guard');
    await this.#within(closed, END_TIMEOUT_MS);
  }

  /**
   * One order, repeated while the guard is still killing what it fired at, and once more over a new
   * connection when this one breaks.
   */
  async #order(line: string, timeoutMs: number): Promise<string> {
    const { clock } = this.#options;
    const end = clock.monotonicMs() + timeoutMs;
    const left = () => Math.max(1, end - clock.monotonicMs());
    for (let broken = 0; ; ) {
      const connection = await this.#within(this.#connected(), left());
      let answer: string;
      try {
        answer = await connection.ask(line, left());
      } catch (error) {
        if (this.#connection === connection) this.#connection = null;
        if (++broken > 1 || clock.monotonicMs() >= end || line === 'end') throw error;
        continue;
      }
      if (answer !== 'busy') return answer;
      if (left() <= RETRY_MS)
        throw guardFailed(
          `PostgreSQL is still dying, ${timeoutMs} ms after '${line}'`,
          'a process that SIGKILL does not end waits for its disk',
        );
      await sleep(clock, RETRY_MS);
    }
  }

  #connected(): Promise<GuardConnection> {
    if (this.#closed) return Promise.reject(guardFailed('the guard was closed', 'open it again'));
    if (this.#connection) return Promise.resolve(this.#connection);
    this.#connecting ??= this.#findOrSpawn().finally(() => {
      this.#connecting = null;
    });
    return this.#connecting;
  }

  async #findOrSpawn(): Promise<GuardConnection> {
    const { clock } = this.#options;
    const end = clock.monotonicMs() + OPEN_TIMEOUT_MS;
    const places = this.#places();
    for (;;) {
      const found = await this.#find(places);
      if (found) {
        this.#connection = found;
        return found;
      }
      const left = end - clock.monotonicMs();
      if (left <= 0)
        throw guardFailed(
          `no guard could be reached within ${OPEN_TIMEOUT_MS} ms`,
          `see ${places[0]!.directory}/${logName(places[0]!, this.#options.label ?? '')}.log`,
        );
      const pid = await spawnGuard(this.#program(), places[0]!, clock, left);
      if (pid === null) await sleep(clock, RETRY_MS);
    }
  }

  /**
   * Finds the guard that runs, if there is one. Only the first place, where one would be started,
   * has to be beyond doubt.
   */
  async #find(places: readonly GuardPlace[]): Promise<GuardConnection | null> {
    for (const place of places) {
      try {
        if (!verifyPlace(place, this.#uid())) continue;
      } catch (error) {
        if (place === places[0]) throw error;
        continue;
      }
      const connection = await this.#tryConnect(place);
      if (connection) return connection;
    }
    return null;
  }

  async #tryConnect(place: GuardPlace): Promise<GuardConnection | null> {
    let opened: GuardConnection | null = null;
    let lost = false;
    const onClosed = () => {
      lost = true;
      if (this.#connection !== opened || opened === null) return;
      this.#connection = null;
      this.#pid = null;
      if (!this.#leaving) for (const listener of this.#gone) listener();
    };
    try {
      opened = await connectGuard(place.socket, this.#options.clock, 1000, onClosed);
    } catch (error) {
      const code = codeOf(error);
      if (code === 'ENOENT' || code === 'ECONNREFUSED') return null;
      throw error;
    }
    const answer = await opened.ask('ping', 1000).catch((error: unknown) => {
      // The guard was killed a moment ago. Its socket goes last, and connections in that moment end
      // with it.
      if (lost) return null;
      throw error;
    });
    if (answer === null) return null;
    if (answer.startsWith(HELLO)) {
      if (this.#holds) {
        await this.#hold(opened);
        if (!(await this.#tie(opened)) && (await this.#retire(opened))) return null;
        if (this.#inherited !== null) await opened.ask(this.#inherited, 1000);
        this.#inherited = null;
      }
      this.#socket = place.socket;
      this.#pid = Number(answer.slice(HELLO.length));
      return opened;
    }
    opened.close();
    throw guardFailed(
      `${place.socket} answered '${answer}', not as a guard of this version`,
      'end the regent-guard process of this data directory',
    );
  }

  /**
   * Throws DATA_DIR_HELD when another agent, alive or frozen, has this data directory. A guard of
   * an earlier version does not know who does.
   */
  async #hold(connection: GuardConnection): Promise<void> {
    const answer = await connection.ask(`hold ${process.pid}`, 1000);
    if (!answer.startsWith('held ')) return;
    connection.close();
    if (this.#connection === connection) this.#connection = null;
    const { dataDir } = this.#options;
    throw new RegentError('DATA_DIR_HELD', `another agent (pid ${answer.slice('held '.length)}) holds the data directory ${dataDir}`, {
      mend: 'one agent looks after one data directory: correct postgresql.data_dir in the file of this one, or end the other agent first',
    });
  }

  /**
   * Agent and guard both hold the writing end of the tether, whichever of the two is new here.
   * False: the guard is of a version before the tether.
   */
  async #tie(connection: GuardConnection): Promise<boolean> {
    const told = parseTether(await connection.ask('tether', 1000));
    if (told === null) return false;
    const mine = this.#end.place;
    const place = told.place ?? mine;
    if (place === null) return true;
    const holds = place === mine || (place.pid === mine?.pid && place.fd === mine.fd) || this.#end.hold(place);
    await connection.ask(holds ? `tied ${place.pid} ${place.fd}` : 'untied', 1000);
    void this.#look();
    return true;
  }

  /** False: it has fired, so it stays and keeps PostgreSQL down. */
  async #retire(connection: GuardConnection): Promise<boolean> {
    const [mode, moment] = (await connection.ask('status', 1000)).split(' ');
    if (mode === 'fired' || (await connection.ask('end', END_TIMEOUT_MS)) !== 'ok end') return false;
    this.#inherited = mode === 'armed' ? `arm ${moment}` : null;
    await this.#within(connection.closed, END_TIMEOUT_MS);
    this.#options.log.info('the guard is of an earlier version; another one takes its place');
    return true;
  }

  /** No work waits for this: it serves people who look at the state of this node. */
  async #look(): Promise<void> {
    const answer = await this.#connection?.ask('tether', 1000).catch(() => null);
    this.#tethered = answer == null ? null : (parseTether(answer)?.pulls ?? false);
  }

  #places(): readonly GuardPlace[] {
    return guardPlaces(this.#options.dataDir, this.#uid(), process.env['XDG_RUNTIME_DIR']);
  }

  #uid(): number {
    return this.#options.runAs?.uid ?? process.getuid?.() ?? 0;
  }

  #program(): GuardProgram {
    const { dataDir, script, perl, exeNames, killDelayMs, runAs } = this.#options;
    return {
      perl: perl ?? '/usr/bin/perl',
      script: script ?? findGuardScript(import.meta.url),
      dataDir: resolve(dataDir),
      label: this.#options.label ?? '',
      exeNames: [...(exeNames ?? ['postgres', 'postmaster'])],
      killDelayMs: killDelayMs ?? 250,
      runAs: runAs ?? null,
    };
  }

  #within<T>(promise: Promise<T>, ms: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = this.#options.clock.timer(ms, () =>
        reject(guardFailed(`no guard could be reached within ${Math.round(ms)} ms`, 'see the log')),
      );
      promise.then(resolve, reject).finally(cancel);
    });
  }
}
